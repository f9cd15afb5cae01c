"""The commands as a person types them: what they print, what they write, and the exit code."""

import io
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from rich.console import Console

from drive_seg import cli
from drive_seg.cli import headless
from drive_seg.cli.benchmark import table
from drive_seg.cli.flags import err as stderr
from drive_seg.cli.flags import reserved
from drive_seg.cli.headless import Events, Progress, print_note, said_by
from drive_seg.contracts import KINDS, TIMED, Ahead, Away
from drive_seg.demo import DemoDrive
from drive_seg.errors import SourceError
from drive_seg.files import part_of
from drive_seg.network.ahead import USUAL
from drive_seg.network.card import load_bundle
from drive_seg.session.figures import percentiles
from drive_seg.settings import DEFAULT_MODEL
from drive_seg.sources import stream
from drive_seg.workers import Worker
from tests.fakes import FakeBackend, FakeSource, make_bundle, make_result
from tests.sources.test_stream import Camera
from tests.waiting import PATIENCE_S, until

ROOT = Path(__file__).parents[2]
SHORT = "demo:?size=128x96&frames=5"
SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
SIGNALS = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as nohup and a shell's & have it


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def printed(out: str, row: str) -> list[float]:
    """The figures of a table's row, of which there are seven."""
    line = next(line for line in out.splitlines() if line.strip().startswith(row))
    return [float("nan") if figure == "–" else float(figure) for figure in line.split()[-7:]]


def test_the_table_of_a_benchmark_fits_80_columns_whatever_the_figures() -> None:
    figures = {**percentiles([0.001, 99_999.9, 123_456.7]), "frames": 3}
    summary: dict[str, Any] = {
        "latency_ms": dict.fromkeys(("total", *TIMED), figures), "total_ms": dict.fromkeys(KINDS, figures),
        "capture_to_labels_ms": figures, "capture_to_overlay_ms": figures,
    }  # fmt: skip
    file = io.StringIO()
    Console(file=file, width=80).print(table(summary))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in file.getvalue()
    for row in (*TIMED, "frame to labels", "cold frames", "capture to overlay"):
        assert printed(file.getvalue(), row)[-2] == 123_457


def test_benchmark_prints_the_table_and_writes_the_same_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    source = ("--source", "demo:?size=128x96&frames=6")
    counted = ("--warmup", "3", "--min-frames", "5", "--min-time", "0", "--deadline", "30fps")
    code, out, _ = call(
        capsys, "run", *source, "--benchmark", *counted, "--schedule", "clockwork:2", "--refine", "--threads", "1", "--json", str(path)
    )
    assert code == 0
    summary = json.loads(path.read_text())
    assert {
        "model", "backend", "precision", "device", "schedule", "mode", "propagation", "frames", "warmup", "fps", "key_frame_rate",
        "dropped", "latency_ms", "total_ms", "machine", "versions", "date", "command",
    } <= set(summary)  # fmt: skip
    assert (summary["frames"], summary["warmup"], summary["key_frame_rate"]) == (6, 3, 0.5)  # a whole round, from its middle
    assert summary["command"].startswith("drive-seg run --source 'demo:?size=128x96&frames=6' --benchmark")
    assert set(summary["latency_ms"]) == {"total", *TIMED}
    assert "mid" not in out  # of which this bundle has none
    for stage in (*(stage for stage in TIMED if stage != "mid"), "frame to labels"):
        row = summary["latency_ms"]["total" if stage == "frame to labels" else stage]
        assert row["p50"] <= row["p90"] <= row["p95"] <= row["p99"] <= row["max"]
        assert row["p99.9"] is None  # of six frames
        assert printed(out, stage)[0] == pytest.approx(row["p50"], rel=0.01, abs=0.006)
    assert {kind: row["frames"] for kind, row in summary["total_ms"].items()} == {"cold": 1, "key": 2, "other": 3}
    for kind in ("key", "other"):
        assert printed(out, f"{kind} frames")[3] == pytest.approx(summary["total_ms"][kind]["p99"], rel=0.01, abs=0.006)
    for said in ("1 whole rounds of 6 frames", "deadline 33.3 ms, frame to labels: ", "at work: capture ", "CPU cores busy", "energy: CPU"):
        assert said in out


def test_one_configuration_is_measured_alike_by_bench(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = ("--source", "demo:?size=128x96&frames=4", "--warmup", "1", "--min-frames", "4", "--min-time", "0", "--threads", "1")
    code, out, _ = call(capsys, "bench", *source, "--schedule", "clockwork:2", "--json", str(tmp_path / "bench.json"))
    summary = json.loads((tmp_path / "bench.json").read_text())
    assert (code, summary["frames"], summary["schedule"], "frame to labels" in out) == (0, 4, "clockwork:2", True)
    per_frame = next(line for line in (tmp_path / "bench.json").read_text().splitlines() if '"total_ms": [' in line)
    assert per_frame.endswith("],")  # frame by frame, on one line


def test_what_is_asked_for_is_counted_however_unsteady_the_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drive_seg.bench.tally.WARMUP_FRAMES", 9)  # and never stable within them
    monkeypatch.setattr("drive_seg.bench.tally.WARMUP_S", math.inf)
    source = ("--source", "demo:?size=128x96&frames=4", "--threads", "1")
    code, out, err = call(capsys, "run", "--benchmark", *source, "--max-frames", "7", "--json", str(tmp_path / "bench.json"))
    assert code == 0, err
    assert json.loads((tmp_path / "bench.json").read_text())["frames"] == 7
    assert "7 frames, " in out
    assert "after a warm-up of 9 frames" in out
    assert "note: unstable: the warm-up ended at its bound, after 9 frames" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--deadline", "soon"], "30fps"),
        (["--matrix", "none.toml"], "none.toml"),
        (["--matrix", "none.toml", "--json", "x.json"], "--out DIR"),
        (["--model", "camvid", "--model", "camvid-large", "--json", "x.json"], "--out DIR"),
        (["--window", "--schedule", "clockwork:2", "--schedule", "clockwork:4"], "--window: measures one configuration"),
        (["--compare", "a.json", "b.json"], "a.json"),
        (["--compare", "a.json", "b.json", "--model", "camvid"], "measures nothing"),
    ],
)
def test_a_mistake_in_bench_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    code, _, err = call(capsys, "bench", *arguments)
    lines = [line for line in err.splitlines() if line.startswith("drive-seg:")]
    assert (code, len(lines)) == (2, 1)
    assert said in lines[0]


def test_an_audited_run_says_how_far_its_labels_agree_with_the_full_networks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    source = ("--headless", "--source", "demo:?size=128x96&frames=20", "--threads", "1")
    code, out, _ = call(capsys, "run", *source, "--schedule", "clockwork:4", "--audit", "--json", str(path))
    found = json.loads(path.read_text())["agreement"]
    assert (code, {one["age"] for one in found} <= {0, 1, 2, 3}) == (0, True)
    assert f"at age {found[-1]['age']}; {sum(one['frames'] for one in found)} frames audited" in out


def test_the_road_ahead_is_told_at_the_end_and_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = ("--json", str(tmp_path / "run.json"), "--trace", str(tmp_path / "run.jsonl"))
    code, out, _ = call(capsys, "run", "--headless", "--source", SHORT, "--threads", "1", "--corridor", "saved", *files)
    ahead = json.loads((tmp_path / "run.json").read_text())["ahead"]
    lines = [json.loads(line)["ahead"] for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert (code, ahead["frames"], len(lines)) == (0, 5, 5)
    assert ahead["road_share"] == pytest.approx(sum(line["share"] for line in lines) / 5)
    assert f"{ahead['road_share']:.1%} of the corridor was road; a person came into it {ahead['persons']} times and was there in " in out


def test_a_person_in_the_corridor_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    ahead = Ahead((360, 480), USUAL, (), 0.8, 210, 9, 50, 210, True, True, "begin")
    events = Events(print_note)
    for index, one in enumerate((ahead, replace(ahead, event=None), replace(ahead, person=False, person_row=None, event="end"))):
        made = make_result(123 + index)
        events.on_result(replace(made, ahead=one), None)
    assert capsys.readouterr().err.splitlines() == [
        "frame 123, 4.1 s: person in the corridor, row 210 of 360",
        "frame 125, 4.2 s: nobody in the corridor any more",
    ]


def test_a_config_file_is_read_and_the_command_line_wins(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "drive.toml").write_text(f'source = "{SHORT}"\nschedule = "clockwork:5"\nheadless = true\n')
    code, out, err = call(capsys, "run", "--config", str(tmp_path / "drive.toml"), "--max-frames", "2")
    assert (code, "clockwork:5" in err, "2 frames" in out) == (0, True, True)


@pytest.fixture
def junk(tmp_path: Path) -> Path:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no film\n" * 100)
    (tmp_path / "nothing").mkdir()
    cv2.imwrite(str(tmp_path / "good.png"), np.zeros((96, 128, 3), np.uint8))
    (tmp_path / "net").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--video", "{}/missing.mp4"], 1, "missing.mp4"),
        (["--video", "{}/empty.mp4"], 1, "empty.mp4"),
        (["--video", "{}/text.mp4"], 1, "text.mp4"),
        (["--source", "{}/nothing"], 1, "nothing"),
        (["--camera", "97"], 1, "camera 97"),
        (["--source", "gopher://x"], 2, "gopher"),
        (["--source", "demo:?sed=3"], 2, "sed"),
        (["--source", SHORT, "--model", "{}/net"], 1, "card.json"),
        (["--source", SHORT, "--model", "nonesuch"], 2, "nonesuch"),
        (["--source", SHORT, "--schedule", "sometimes"], 2, "every-frame, clockwork:N"),
        (["--source", SHORT, "--backend", "abacus"], 2, "openvino"),
        (["--source", SHORT, "--precision", "int3"], 2, "int3"),
        (["--source", SHORT, "--mode", "slow"], 2, "--mode"),
        (["--source", SHORT, "--mode", "async", "--schedule", "clockwork:pipelined"], 2, "timing of its own"),
        (["--source", SHORT, "--schedule", "clockwork:1,2,4"], 2, f"{DEFAULT_MODEL} has one cached stage"),
        (["--source", SHORT, "--propagation", "drift"], 2, f"{DEFAULT_MODEL} has no such; it has hold, flow"),
        (["--source", SHORT, "--replay", "{}/text.mp4"], 2, "line 1"),
        (["--source", SHORT, "--replay", "{}/none.jsonl"], 2, "none.jsonl"),
        (["--source", SHORT, "--trace", "{}/no/such.jsonl"], 1, "such.jsonl"),
        (["--source", SHORT, "--opacity", "7"], 2, "--opacity"),
        (["--source", SHORT, "--video", "x.mp4"], 2, "one of them"),
        (["--source", SHORT, "--config", "{}/none.toml"], 2, "none.toml"),
        (["--source", SHORT, "-o", "{}/out.gif"], 2, "out.gif"),
        (["--source", SHORT, "-o", "{}/no/such/out.mp4"], 1, "out.mp4"),
        (["--source", SHORT, "--json", "{}/no/such.json"], 1, "such.json"),
        (["--bogus"], 2, "--bogus"),
        (["--warmup", "soon"], 2, "--warmup"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], junk: Path, arguments: list[str], code: int, said: str
) -> None:
    got, _, err = call(capsys, "run", "--headless", *(argument.format(junk) for argument in arguments))
    lines = [line for line in err.splitlines() if line.startswith("drive-seg:")]
    assert got == code
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--video", "{}/missing.mp4"], 1, "missing.mp4"),
        (["--source", SHORT, "--schedule", "clockwork:1,2,4"], 2, f"{DEFAULT_MODEL} has one cached stage"),
        (["--source", SHORT, "-o", "{}/no/such/out.mp4"], 1, "out.mp4"),
    ],
)
def test_a_mistake_is_told_before_there_is_a_window(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, junk: Path, arguments: list[str], code: int, said: str
) -> None:
    pytest.importorskip("PyQt6", reason="a window needs PyQt6")
    from drive_seg.ui import window

    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setattr(window, "MainWindow", lambda *_: pytest.fail("there is a window"))
    got, _, err = call(capsys, "run", *(argument.format(junk) for argument in arguments))
    lines = [line for line in err.splitlines() if line.startswith("drive-seg:")]
    assert (got, len(lines)) == (code, 1)
    assert said in lines[0]


def test_an_altered_bundle_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for path in (ROOT / "engines" / "camvid").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "high.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"?")
    code, _, err = call(capsys, "run", "--headless", "--source", SHORT, "--model", str(tmp_path))
    assert code == 1
    assert "high.onnx" in err
    assert "SHA-256" in err


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "run", "--headless", "--video", "missing.mp4", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("drive-seg: missing.mp4: ")


def test_several_cameras_are_told_one_by_one_and_one_that_broke_is_the_exit_code(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"a": lambda: FakeSource(3), "b": lambda: FakeSource(2, error=SourceError("b: broke; check it"))}
    made["c"] = lambda: FakeSource(0, error=SourceError("c: is away; check it"))
    monkeypatch.setattr("drive_seg.session.opening.open_source", lambda uri, **how: made[uri]())
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda name, **how: FakeBackend())
    what = ("--model", str(make_bundle(tmp_path / "net").folder), *(flag for uri in made for flag in ("--source", uri)))
    written = ("--save-masks", str(tmp_path / "masks"), "--json", str(tmp_path / "run.json"))
    code, out, err = call(capsys, "run", "--headless", *what, *written)
    assert code == 1
    assert "[1] b: broke; check it; the others go on" in err
    assert "[2] c: is away; check it; the others go on" in err
    assert err.endswith(("drive-seg: b: broke; check it\n", "drive-seg: c: is away; check it\n"))  # whichever was first
    told = out.splitlines()
    assert [line.partition(",")[0] for line in told[:3]] == ["[0] fake: 3 frames", "[1] fake: 2 frames", "5 frames"]
    assert told[3:5] == [f"wrote {tmp_path / f'masks-{at}'}" for at in (0, 1)]
    kept = json.loads((tmp_path / "run.json").read_text())
    assert [(one["frames"], one["error"]) for one in kept["cameras"]] == [(3, None), (2, "b: broke; check it"), (0, "c: is away; check it")]


def test_sources_are_named_by_one_flag_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for named in (("--source", "a", "--source", "b", "--video", "c"), ("--video", "a", "--camera", "0")):
        code, _, err = call(capsys, "run", *named)
        assert (code, err) == (2, "drive-seg: --source, --video and --camera name the same thing; give one of them\n")


def test_models_says_where_each_bundle_lies(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(tmp_path / "engines" / DEFAULT_MODEL)
    make_bundle(tmp_path / "engines" / "broken")
    (tmp_path / "engines" / "broken" / "low.onnx").unlink()
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(capsys, "models")
    lines = out.splitlines()
    assert code == 0
    assert f"{DEFAULT_MODEL}: {ROOT / 'engines' / DEFAULT_MODEL}" in lines
    assert f"{DEFAULT_MODEL}: engines/{DEFAULT_MODEL}, hidden by the one above; name it by this path" in lines
    assert any(line.startswith("broken: ") and "is missing from the bundle" in line for line in lines)


def test_a_run_says_which_of_two_bundles_it_takes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "engines" / DEFAULT_MODEL, tmp_path / "engines" / DEFAULT_MODEL)
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, "run", "--headless", "--source", "demo:?size=160x120&frames=1")
    assert code == 0
    assert f"{DEFAULT_MODEL} means {ROOT / 'engines' / DEFAULT_MODEL}; --model ./engines/{DEFAULT_MODEL} is another one" in err


def test_models_and_doctor_report(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "models")
    assert (code, "camvid" in out) == (0, True)
    code, out, _ = call(capsys, "doctor")
    assert (code, "openvino" in out, "camvid" in out) == (0, True, True)


def test_evaluate_writes_its_scores(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    code, out, _ = call(capsys, "evaluate", "--source", "demo:?seed=5&frames=3", "--json", str(path))
    scores = json.loads(path.read_text())
    assert code == 0
    assert {"miou", "pixel_accuracy", "iou", "frames"} <= set(scores)
    assert scores["frames"] == 3
    assert f"mIoU {scores['miou']:.4f}" in out
    assert 0.5 < scores["miou"] <= 1


def test_a_run_is_recorded_and_replayed_in_another_precision(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first, again = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source = ("--headless", "--source", "demo:?size=128x96&frames=12", "--threads", "1")
    schedule = ("--schedule", "clockwork:adaptive=.03,max_age=6", "--precision", "fp32")
    assert call(capsys, "run", *source, *schedule, "--trace", str(first))[0] == 0
    code, out, _ = call(capsys, "run", *source, "--replay", str(first), "--trace", str(again))
    assert (code, f"wrote {again}" in out) == (0, True)
    keys = [
        [(line["index"], line["key"], line["reason"]) for line in map(json.loads, path.read_text().splitlines())] for path in (first, again)
    ]
    assert keys[0] == keys[1]
    assert 1 < sum(key for _, key, _ in keys[0]) < 12
    code, _, err = call(capsys, "run", *source, "--replay", str(first), "--schedule", "clockwork:2")
    assert (code, "leave one of them out" in err) == (2, True)


def test_evaluate_plays_a_clip_by_a_schedule(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drive, path = DemoDrive(5, (96, 128)), tmp_path / "scores.json"
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for i in range(8):
        for folder, picture in zip(("images", "labels"), drive.frame(i), strict=True):
            cv2.imwrite(str(tmp_path / folder / f"{i:03}.png"), picture)
    clip = ("evaluate", "--clip", str(tmp_path), "--threads", "1", "--overwrite", "--json", str(path))
    figures = {}
    for mode, propagation in (("sync", "hold"), ("async:1", "flow"), ("async", "hold")):
        code, out, err = call(capsys, *clip, "--schedule", "clockwork:4", "--mode", mode, "--propagation", propagation)
        assert (code, err) == (0, "")
        figures[mode] = json.loads(path.read_text())
        assert f"clockwork:4, {mode}, {propagation}: " in out
    sync = figures["sync"]
    assert {"miou", "pixel_accuracy", "iou", "frames", "gflop_per_frame", "key_frame_rate", "miou_by_frame"} <= set(sync)
    assert (sync["frames"], sync["key_frame_rate"]) == (8, 0.25)
    assert (sync["schedule"], sync["mode"], sync["propagation"]) == ("clockwork:4", "sync", "hold")
    gflop = {name: stage.gflop for name, stage in load_bundle(DEFAULT_MODEL).card.stages.items()}
    assert sync["gflop_per_frame"] == pytest.approx(gflop["low"] + gflop["head"] + gflop["high"] / 4)
    assert sync["total_ms"]["other"]["frames"] == 6
    for mode, scores in figures.items():
        assert scores["mode"] == mode
        assert scores["total_ms"]["cold"]["frames"] == 1
        assert scores["miou_by_frame"][0] == sync["miou_by_frame"][0]


def test_evaluate_needs_pictures_and_labels_or_a_source(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(capsys, "evaluate")[0] == 2
    assert call(capsys, "evaluate", "--images", str(tmp_path))[0] == 2


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the program in a process of its own, which does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
        asked = [sys.executable, *arguments]
        process = subprocess.Popen(asked, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env})
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_signal_closes_the_recording_and_prints_the_summary(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "out.mp4"
    process = start("launch.py", "--headless", "--source", "demo:?size=128x96", "-o", str(path), "--threads", "1")
    part = part_of(path)
    until(lambda: part.exists() and part.stat().st_size >= 2_000)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "frame to labels p50" in out
    assert "Traceback" not in err
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 1


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("becomes", [None, ImportError])
def test_a_signal_before_there_is_a_session_is_a_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals, becomes: type[Exception] | None
) -> None:
    def command(*_: object, **__: object) -> None:
        with reserved(tmp_path / "run.json", overwrite=False):
            assert [path.name for path in tmp_path.iterdir()] == ["run.json.part"]
            try:
                os.kill(os.getpid(), number)
            except BaseException as error:
                if becomes:  # as a library makes it of what comes up in it
                    raise becomes from error
                raise

    with pytest.raises(SystemExit) as end:
        cli.main([], command)
    assert end.value.code == 128 + number
    assert capsys.readouterr().err == "drive-seg: interrupted\n"
    assert not list(tmp_path.iterdir())


EARLY = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "drive_seg.cli.app":
            os.kill(os.getpid(), int(sys.argv[1]))
sys.meta_path.insert(0, Finder())
from drive_seg.cli import launch
launch()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_program_is_imported_is_a_line(start: Start, number: signal.Signals) -> None:
    process = start("-c", EARLY, str(int(number)))
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (128 + number, "drive-seg: interrupted\n")


COMMANDS = {  # and about how long each takes on a quiet machine
    "window": (("run", "--source", "demo:?size=128x96", "--output", "{0}/out.mp4"), 3.0),
    "run": (("run", "--headless", "--source", "demo:?size=128x96", "--output", "{0}/out.mp4", "--json", "{0}/run.json"), 2.5),
    "bench": (("bench", "--source", "demo:?size=128x96", "--json", "{0}/run.json"), 2.5),
    "evaluate": (("evaluate", "--source", "demo:?size=128x96&frames=600", "--json", "{0}/run.json"), 6.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment_ends_in_order(name: str, start: Start, tmp_path: Path) -> None:
    """At moments of chance from its first lines on. Before those it is Python's own start, which has a way of its own."""
    arguments, seconds = COMMANDS[name]
    chance = random.Random(time.time_ns())
    for number in SIGNALS * 3:
        process = start(
            "-c", STARTED, *(argument.format(tmp_path) for argument in arguments), "--threads", "1", QT_QPA_PLATFORM="offscreen"
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(chance.uniform(0, seconds))
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode in (0, 128 + number), err
        assert "Traceback" not in err
        assert "ignored" not in err
        assert process.returncode == 0 or err.splitlines()[-1] == "drive-seg: interrupted"
        assert not list(tmp_path.glob("*.part"))
        for path in tmp_path.iterdir():
            path.unlink()


STARTED = """
from drive_seg import cli
before = cli._end_at_once
def handled():
    before()
    print("started", flush=True)
cli._end_at_once = handled
cli.main()
"""


def test_without_a_display_it_says_so_once_and_goes_on(start: Start) -> None:
    process = start("-m", "drive_seg", "run", "--source", SHORT, DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert err.count("cannot open a window") == 1
    assert "5 frames" in out


def test_the_live_program_needs_no_torch_and_no_workshop() -> None:
    code = f"""
import sys
from drive_seg.cli import main
try:
    main(["run", "--headless", "--source", "{SHORT}"])
except SystemExit as end:
    unasked = "torch", "onnx", "PyQt6", "starlette", "uvicorn", "prometheus_client"
    print(end.code, sorted(m for m in sys.modules if m.split(".")[0] in unasked or m.startswith(("drive_seg.lab", "drive_seg.serve"))))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(
    "arguments", [("batch", "{}/*.mp4", "--out", "x"), ("batch", "{}", "--out", "x"), ("run", "--replay", "{}"), ("run", "--config", "{}")]
)
def test_an_address_where_a_file_is_asked_for_is_told_without_its_password(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths leave out its second slash."""
    code, _, err = call(capsys, *(one.format("http://me:hunter2@cam/x") for one in arguments))
    assert (code, "cam/x" in err, "hunter2" in err) == (2, True, False), err


def test_a_log_is_told_what_is_waited_for_and_not_four_times_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    with stderr.status("opening …") as status:
        tell = said_by(status)
        for tries in range(5):
            tell(f"cam: connecting since 10:00:00, try {tries}")
    assert capsys.readouterr().err == "cam: connecting since 10:00:00, try 0\n"


def test_a_log_is_told_while_a_connection_is_lost_and_when_it_is_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda name, **how: FakeBackend())
    monkeypatch.setattr(stream, "RECONNECT_DELAYS_S", (0.05,))
    monkeypatch.setattr(headless, "LOOK_S", 0.01)
    monkeypatch.setattr(headless, "TELL_S", 0.0)
    told = list[str]()
    monkeypatch.setattr(headless, "print_note", told.append)
    make_bundle(tmp_path / "small")

    def last() -> str:
        return told[-1] if told else ""

    def drive(camera: Camera) -> None:
        try:
            for _ in range(2):
                until(lambda: (tmp_path / "run.jsonl.part").exists() and (tmp_path / "run.jsonl.part").stat().st_size)
                camera.end()
                until(lambda: re.search(r"/live: connection lost, reconnecting since \d\d:\d\d:\d\d, try [1-9]", last()))
                camera.begin()
                until(lambda: re.search(r"/live: connected again after \d+ s, try [1-9]", last()))
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    with Camera() as camera:
        camera.begin()
        driver = Worker("driver", lambda: drive(camera)).start()
        made = str(tmp_path / "small"), "--trace", str(tmp_path / "run.jsonl")
        with pytest.raises(SystemExit) as end:
            cli.main(["run", "--headless", "--source", camera.address, "--model", *made])
        driver.join(PATIENCE_S)
    assert end.value.code in (0, None)
    assert sum("connected again" in line for line in told) == 2


def test_a_terminals_line_says_since_when_it_is_reconnecting() -> None:
    capture: Any = SimpleNamespace(away=None)
    line = Progress([capture])
    assert str(line.__rich__()) == "starting …"
    capture.away = Away("cam", time.time(), 3)
    assert str(line.__rich__()) == f"starting …; reconnecting since {capture.away.since}, try 3"
