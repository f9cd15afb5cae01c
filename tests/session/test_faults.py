"""What becomes of a run when a part of it raises, hangs or is slow: each ends, says what it was, and loses no more than it has to.

docs/reliability.md has the table of what is tested here.
"""

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from drive_seg.cli import app
from drive_seg.contracts import Frame
from drive_seg.errors import BackendError
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import parse_schedule
from drive_seg.session.session import Session
from drive_seg.workers import Closed
from tests.fakes import FakeBackend, make_bundle
from tests.faults import FRAMES, KINDS, PARTS, SINKS, Fault, FaultyBackend, frames
from tests.session.test_player import Drive, World, more, trouble
from tests.waiting import PATIENCE_S, until


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before)


TOLD = {  # where it raises and where it hangs
    **dict.fromkeys(
        ("file", "camera"),
        ("lens fell off; put it on again", "fake: reading a frame did not end within 0.2 s; check its cable or file and start again"),
    ),
    **{
        part: (
            "out of order; choose another",
            f"net on fake: {part.partition(',')[0]} did not end within 0.2 s; choose another backend or model",
        )
        for part in ("low", "high", "head", "high, async")
    },
    **dict.fromkeys(SINKS, ("No space left on device; free space there", "writing a frame did not end within 0.2 s; look at the disk")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_fails_ends_the_run_with_its_line(part: str, kind: str, tmp_path: Path) -> None:
    found = PARTS[part](kind, tmp_path, 0.2 if kind == "hang" else None)
    if kind == "slow":
        assert (found.line, found.frames) == ("", 10 * FRAMES if part == "high, async" else FRAMES)
    else:
        assert TOLD[part][KINDS.index(kind)] in found.line
    if part in ("low", "high", "head") and kind != "slow":
        assert found.frames == 1


def test_a_stage_that_nobody_lives_on_without_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in evaluate, sweep and what else runs a session in the main thread."""
    fault, told = Fault("hang", BackendError("")), list[str]()
    monkeypatch.setattr(app, "abandon", lambda error: (told.append(str(error)), fault.release()))
    monkeypatch.setattr("drive_seg.watchdog.LIMIT_S", 0.2)

    def command(*_: object, **__: object) -> None:
        with Engine(make_bundle(tmp_path / "net"), FaultyBackend("low", fault)) as engine:
            Session(Pipeline(engine, parse_schedule("every-frame")), frames()).run()

    with pytest.raises(Closed):  # where it came back after all; else the process has ended
        app.main([], command)
    assert told == ["net on fake: low did not end within 0.2 s; choose another backend or model"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


def test_a_comparison_that_hangs_is_told_and_the_pipeline_plays_on_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.session.steered.Session", partial(Session, limit_s=0.5))
    fault = Fault("hang", BackendError(""))
    monkeypatch.setattr(
        "drive_seg.session.opening.open_backend",
        lambda name, **how: FaultyBackend("low", fault) if name == "onnxruntime" else FakeBackend(),
    )
    try:
        with world.playing() as player:
            player.compare({"backend": "onnxruntime"})
            assert "low did not end within 0.5 s; choose another" in trouble(player, "comparison")
            until(lambda: player.status().state == "playing")
            more(player)
            assert player.status().comparison is None
    finally:
        fault.release()


@pytest.mark.parametrize("stage", ["low", "high", "head"])
def test_a_stage_that_hangs_in_the_window_is_told_and_another_backend_plays_on(
    stage: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drive_seg.session.steered.Session", partial(Session, limit_s=0.5))
    fault = Fault("hang", BackendError(""))
    monkeypatch.setattr(
        "drive_seg.session.opening.open_backend",
        lambda name, **how: FaultyBackend(stage, fault) if name != "onnxruntime" else FakeBackend(),
    )
    try:
        with world.playing() as player:
            assert f"{stage} did not end within 0.5 s; choose another" in trouble(player, "network")
            until(lambda: player.status().state == "failed")
            player.change(backend="onnxruntime")
            until(lambda: player.status().state == "playing")
            more(player)
            assert not player.status().paused
    finally:
        fault.release()


def test_a_window_whose_network_hangs_is_closed_with_its_recording(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("drive_seg.session.steered.Session", partial(Session, limit_s=0.5))
    fault = Fault("hang", BackendError(""))
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda name, **how: FaultyBackend("low", fault))
    try:
        with world.playing(output=tmp_path / "out.mp4"):
            pass  # closed while it hangs, or is about to
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert len(list(container.decode(video=0))) >= 1
    finally:
        fault.release()


def test_a_recording_that_hangs_in_the_window_ends_alone(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fault = Fault("hang", OSError())
    monkeypatch.setattr("drive_seg.sinks.recorder.Recorder._encode", lambda *_: fault())
    monkeypatch.setattr("drive_seg.watchdog.LIMIT_S", 0.5)
    try:
        with world.playing(output=tmp_path / "out.mp4") as player:
            assert "writing a frame did not end within 0.5 s" in trouble(player, "recorder")
            more(player)
            assert player.status().recording is None
            assert player.status().state == "playing"
    finally:
        fault.release()


def held() -> tuple[int, int]:
    """Threads and open files of the process."""
    threads, files = (len(list(Path("/proc/self", kind).iterdir())) for kind in ("task", "fd"))
    return threads, files


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_twenty_recordings_and_twenty_pipelines_leave_nothing_behind(world: World, tmp_path: Path) -> None:
    """Without the collector's help, which may not come for minutes. An encoder has threads for large pictures alone."""

    class Large(Drive):
        def read(self) -> Frame | None:
            frame = super().read()
            return frame and replace(frame, image=np.full((480, 640, 3), 100, np.uint8))

    world.sources["drive"] = Large
    with world.playing() as player:

        def once(number: int) -> None:
            path = tmp_path / f"{number}.mp4"
            player.record(path)
            until(lambda: player.recording == path)
            player.change(model=str(world.folder / ("other" if number % 2 else "one")), mode="async" if number % 2 else "sync")
            more(player, 2)
            until(lambda: player.status().runs.get("mode") == ("async" if number % 2 else "sync"))
            player.record(None)
            until(lambda: player.recording is None)

        gc.disable()
        try:
            once(0)
            before = held()
            for number in range(1, 21):
                once(number)
            until(lambda: held()[0] <= before[0] and held()[1] <= before[1])
        finally:
            gc.enable()
    assert player.status().trouble is None


HUNG = """
import sys
from drive_seg import watchdog
from drive_seg.cli.app import main
watchdog.LIMIT_S = 2.0  # of a read too, which is in no hurry
main(sys.argv[1:])
"""


def make_endless(path: Path) -> None:
    """A network whose one loop has more rounds than anybody can wait for, as a library runs it, where no signal comes in."""
    import onnx
    from onnx import TensorProto, helper

    picture = ["n", "c", "h", "w"]
    before, after = (helper.make_tensor_value_info(name, TensorProto.FLOAT, picture) for name in ("before", "after"))
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["goes_on"]), helper.make_node("Mul", ["before", "before"], ["after"])],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            before,
        ],
        [helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []), after],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "true", "image"], ["scores"], body=body)],
        "endless",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor("rounds", TensorProto.INT64, [], [2**40]), helper.make_tensor("true", TensorProto.BOOL, [], [True])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def test_a_network_that_never_returns_ends_a_headless_run_with_its_line(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    make_endless(tmp_path / "endless.onnx")
    (tmp_path / "names.txt").write_text("road\ncar\nsky\n")
    network = ["--model", str(tmp_path / "endless.onnx"), "--labels", str(tmp_path / "names.txt"), "--threads", "1"]
    asked = [sys.executable, "-c", HUNG, "run", "--headless", "--source", "demo:?size=64x64&frames=5", *network]
    done = subprocess.run(asked, capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False)
    assert done.returncode == 1, done.stderr
    assert "endless.onnx on openvino" in done.stderr
    assert "did not end within 2 s; choose another backend or model" in done.stderr
    assert "Traceback" not in done.stderr
