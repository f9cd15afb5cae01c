"""From settings to what a session is made of, on stand-ins: who gets which threads, who waits for whom, what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from drive_seg.contracts import Backend, OnnxFile, Port, SourceInfo
from drive_seg.errors import BackendError, SinkError, UsageError
from drive_seg.network.engine import Engine
from drive_seg.network.foreign import Foreign, ForeignEngine
from drive_seg.network.refresh import Async, Delayed, Sync
from drive_seg.session import opening
from drive_seg.session.opening import open_session
from drive_seg.session.paths import check_apart, reads
from drive_seg.settings import Settings
from drive_seg.sinks.masks import MaskWriter
from drive_seg.sinks.recorder import Recorder
from drive_seg.sinks.tracer import Tracer
from drive_seg.workers import Overflow
from tests.fakes import FakeBackend, FakeSource, FakeStage, make_keyed_bundle, make_two_rate_bundle
from tests.session.conftest import Stand

HW = (48, 64)


@pytest.mark.parametrize(
    ("mode", "threads", "own", "beside"), [("sync", 3, 3, None), ("async", 3, 2, 1), ("async", 1, 1, 1), ("async:2", 3, 3, None)]
)
def test_in_async_mode_the_deep_stage_has_one_of_the_threads_and_is_not_urgent(
    stand: Stand, mode: str, threads: int, own: int, beside: int | None
) -> None:
    stand.play(mode=mode, threads=threads, backend="onnxruntime", device="cpu", max_frames=1)
    asked = {"name": "onnxruntime", "device": "cpu", "precision": None}
    wanted = [{**asked, "threads": own, "urgent": True}]
    wanted += [{**asked, "threads": beside, "urgent": False}] if beside else []
    assert stand.asked == wanted
    assert stand.loaded() == {"low": [0], "high": [0, 1] if beside else [0], "head": [0]}  # its own context is the first frame's


def test_the_audits_network_works_beside_on_one_thread(stand: Stand) -> None:
    stand.play(audit=True, threads=3)
    assert [(one["threads"], one["urgent"]) for one in stand.asked] == [(3, True), (1, False)]
    assert stand.loaded() == {"low": [0, 1], "high": [0, 1], "head": [0, 1]}


def test_the_size_that_is_asked_for_is_the_networks_input(stand: Stand) -> None:
    stand.play(input_size=(32, 16), max_frames=1)
    assert set(stand.backends[0].sizes) == {(16, 24)}  # in the frame's shape, by the card's multiple
    assert opening.open_engine(opening.find_model(stand.settings()), stand.settings()).fit(HW) is None
    assert set(stand.backends[1].sizes) == {(24, 32)}  # the card's


@pytest.mark.parametrize(
    ("values", "kind", "name", "busy_after"),
    [
        ({"mode": "sync"}, Sync, "sync", None), ({"mode": "async"}, Async, "async", None), ({"mode": "async:3"}, Delayed, "async:3", 1),
        ({"schedule": "clockwork:pipelined"}, Delayed, "pipelined", 1), ({"schedule": "clockwork:pipelined=3"}, Delayed, "pipelined", 2),
    ],
)  # fmt: skip
def test_who_refreshes_the_cache(stand: Stand, values: dict[str, str], kind: type, name: str, busy_after: int | None) -> None:
    with open_session(stand.settings(**values)) as session:
        assert session.pipeline is not None
        refresher = session.pipeline.refresher
        assert (type(refresher), refresher.name) == (kind, name)
        ages = [result.age_frames for result, _ in session.results()]
    delays = {"async:3": [0, 1, 2, 3, 3], "pipelined": [0, 1, 1, 1, 1] if busy_after == 1 else [0, 1, 2, 2, 2]}
    assert ages == delays.get(name, ages)


@pytest.mark.parametrize("mode", ["async", "async:2"])
@pytest.mark.parametrize(
    ("schedule", "said"),
    [("clockwork:pipelined", "pipelined has a timing of its own"), ("clockwork:1,2,4", "clockwork:1,2,4 refreshes stage by stage, on the")],
)
def test_a_schedule_that_the_mode_cannot_keep_is_refused(stand: Stand, tmp_path: Path, mode: str, schedule: str, said: str) -> None:
    model = str(make_two_rate_bundle(tmp_path / "two").folder)
    with pytest.raises(UsageError, match=f"^--mode {mode}: .*{said}.*; leave the flag out$"):
        stand.play(mode=mode, schedule=schedule, model=model)
    assert all(stage.closed for backend in stand.backends for stages in backend.loaded.values() for stage in stages)
    assert stand.play(mode=mode, schedule="clockwork:3", model=model)[1]["mode"] == mode


def test_rates_stage_by_stage_need_two_cached_stages(stand: Stand, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--schedule clockwork:1,2,4: net has one cached stage"):
        stand.play(schedule="clockwork:1,2,4")
    results, _ = stand.play(schedule="clockwork:1,2,4", model=str(make_two_rate_bundle(tmp_path / "two").folder))
    keys = [(result.decision.run_mid, result.is_key) for result in results]  # `mid` alone, and both
    assert keys == [(False, True), (False, False), (True, False), (False, False), (False, True)]


def test_what_is_asked_for_is_what_the_pipeline_runs_by(stand: Stand, tmp_path: Path) -> None:
    model = str(make_keyed_bundle(tmp_path / "keyed").folder)
    asked = {"schedule": "keyframe:0.02", "propagation": "attend", "mode": "async:1"}
    results, summary = stand.play(model=model, refine=True, **asked)
    assert {name: summary[name] for name in asked} == asked
    assert results[0].labels.shape == HW  # refined
    assert results[3].decision.threshold == 0.02
    assert stand.backends[0].calls("attend") > 0


def test_a_precision_that_the_backend_cannot_keep_is_refused_and_nothing_stays_open(stand: Stand) -> None:
    with pytest.raises(UsageError, match=r"^--precision bf16: net runs in fp32 here; leave the flag out$"):
        stand.play(precision="bf16")
    assert all(stage.closed for stages in stand.backends[0].loaded.values() for stage in stages)
    assert stand.play(precision="fp32")[1]["precision"] == "fp32"


def test_what_a_network_without_a_card_is_told_is_for_that_alone(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("road\nsky\n")
    with pytest.raises(UsageError, match=r"^--class-names: is for a network without a card; give --model net\.onnx, or leave it out$"):
        stand.play(class_names=tmp_path / "names.txt")
    with pytest.raises(UsageError, match=r"^net\.onnx: give --class-names FILE with the names of its classes, one a line$"):
        stand.play(model="net.onnx")


def test_a_network_without_a_card_is_what_its_user_says_of_it(stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names, path = tmp_path / "names.txt", str(tmp_path / "net.onnx")
    names.write_text("road\nsky\n")
    file = OnnxFile(path, (Port("x", "float32", (1, 3, None, None)),), (Port("y", "float32", (1, 2, None, None)),), {})
    monkeypatch.setattr("drive_seg.session.opening.read_onnx", {path: file}.__getitem__)
    said = {"mean": (1.0, 2.0, 3.0), "std": (4.0, 5.0, 6.0), "channels": "bgr", "scale": 2.0, "input_size": (640, 480)}
    settings = stand.settings(model=path, class_names=names, propagation="flow", **said)
    found = opening.find_model(settings)
    assert isinstance(found, Foreign)
    assert [name.name for name in found.names] == ["road", "sky"]
    assert (found.mean, found.std, found.channels, found.scale, found.size_hw) == (said["mean"], said["std"], "bgr", 2.0, (480, 640))
    with opening.open_engine(found, settings) as engine:
        assert isinstance(engine, ForeignEngine)
    with pytest.raises(UsageError, match=r"--propagation attend: net\.onnx has no such"):
        opening.open_engine(found, settings.model_copy(update={"propagation": "attend"}))
    plain = opening.find_model(stand.settings(model=path, class_names=names))
    assert isinstance(plain, Foreign)
    assert (plain.mean, plain.std, plain.channels, plain.scale, plain.size_hw) == ((0, 0, 0), (1, 1, 1), "rgb", 1.0, None)


def test_what_a_run_reads_is_told_by_the_flag_that_names_it(stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("drive.mp4", "names.txt", "net.onnx", "net.onnx.data", "run.jsonl", "own.toml"):
        (tmp_path / name).touch()
    monkeypatch.setattr("drive_seg.session.paths.external_files", lambda model: [Path(f"{model}.data")])
    asked = {"source": str(tmp_path / "drive.mp4"), "class_names": tmp_path / "names.txt", "replay": tmp_path / "run.jsonl"}
    settings = stand.settings(model=str(tmp_path / "net.onnx"), **asked).model_copy(update={"config": tmp_path / "own.toml"})
    said = {(use.who, use.path.name) for use in reads(settings)}
    assert said == {
        ("--source", "drive.mp4"), ("--class-names", "names.txt"), ("--replay", "run.jsonl"), ("--config", "own.toml"),
        ("--model", "net.onnx"), ("--model", "net.onnx.data"),
    }  # fmt: skip
    assert {use.path.name for use in reads(stand.settings())} >= {"card.json", "low.onnx", "high.onnx", "head.onnx"}
    assert reads(stand.settings(source="demo:", model="nonesuch")) == []  # loading it tells
    writes = check_apart(stand.settings(output="out.mp4", save_masks="masks", trace="t.jsonl", json="j.json"))
    assert [(use.who, use.path.name) for use in writes] == [
        ("--output", "out.mp4"), ("--save-masks", "masks"), ("--trace", "t.jsonl"), ("--json", "j.json"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"--trace .*run\.jsonl: is what --replay reads"):
        check_apart(stand.settings(replay=tmp_path / "run.jsonl", trace=tmp_path / "run.jsonl"))


def test_a_record_decides_and_a_schedule_beside_it_is_refused(stand: Stand, tmp_path: Path) -> None:
    record = tmp_path / "run.jsonl"
    recorded, _ = stand.play(schedule="clockwork:3", trace=record)
    replayed, summary = stand.play(replay=record)
    assert [result.decision for result in replayed] == [result.decision for result in recorded]
    assert summary["schedule"] == f"replay of {record}"
    with pytest.raises(UsageError, match=r"^--schedule clockwork:2: --replay decides already; leave one of them out$"):
        stand.play(replay=record, schedule="clockwork:2")


class Kept(FakeBackend):
    """A backend that keeps what it compiles: `kept` says whether it has."""

    def __init__(self, kept: bool, told: list[Callable[[str], None] | None]) -> None:
        super().__init__()
        self.kept, self.told = kept, told

    def ahead(self, tell: Callable[[str], None] | None) -> Backend:
        self.told.append(tell)
        made = FakeBackend()
        if tell is None and not self.kept:

            def refuse(*_: object) -> FakeStage:
                raise BackendError("is not kept")

            made.load = refuse  # type: ignore[method-assign]
        elif tell:
            tell("building low")
        return made


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_not_compiled_yet_is_compiled_first_and_told(stand: Stand, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    told: list[Callable[[str], None] | None] = []
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda *_, **__: Kept(kept, told))
    said: list[str] = []
    assert opening.ready(stand.settings(), HW) is kept
    with open_session(stand.settings(), said.append) as session:
        assert session.pipeline is not None
    assert [line.partition(" ")[0] for line in said] == [] if kept else said[0].startswith("building low")
    assert sum(tell is not None for tell in told) == (not kept)
    told.clear()
    with open_session(stand.settings()):  # nobody is told: it is compiled when it is loaded
        pass
    assert told == []


def test_what_compiles_nothing_is_ready_and_prepares_nothing(stand: Stand) -> None:
    assert opening.ready(stand.settings(), HW)
    opening.prepare(stand.settings(), HW, lambda line: pytest.fail(line))
    assert stand.loaded() == {"low": [], "high": [], "head": []}


@pytest.mark.parametrize(
    ("live", "paced", "overflow"),
    [
        (False, False, Overflow.WAIT),
        (False, True, Overflow.DROP_OLDEST),
        (True, False, Overflow.DROP_OLDEST),
        (True, True, Overflow.DROP_OLDEST),
    ],
)
def test_a_file_waits_unless_it_keeps_its_pace(live: bool, paced: bool, overflow: Overflow) -> None:
    with opening.open_capture(FakeSource(live=live), paced, loop=True) as capture:
        assert capture._mailbox._overflow is overflow
        assert (capture.pace._realtime, capture.looping) == (paced, True)
    with opening.open_capture(FakeSource(), paced, loop=False) as capture:
        assert not capture.looping


def test_what_is_written_is_opened_together_or_not_at_all(stand: Stand, tmp_path: Path) -> None:
    assert opening.open_sinks(stand.settings(), SourceInfo("fake", HW, 30.0, False)) == {}
    places = {"output": tmp_path / "out.mp4", "save_masks": tmp_path / "masks", "trace": tmp_path / "run.jsonl"}
    sinks = opening.open_sinks(stand.settings(**places), SourceInfo("fake", HW, 30.0, False))
    assert {name: type(sink) for name, sink in sinks.items()} == {"recorder": Recorder, "masks": MaskWriter, "trace": Tracer}
    for sink in sinks.values():
        sink.close()
    before = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "run.jsonl").write_text("kept")
    with pytest.raises(UsageError, match=r"run\.jsonl: is there already"):
        opening.open_sinks(stand.settings(**places), SourceInfo("fake", HW, 30.0, False))
    (tmp_path / "run.jsonl").unlink()
    assert {path.name for path in tmp_path.iterdir()} == before  # the recording that was begun has left nothing
    again = opening.open_sinks(stand.settings(**places), SourceInfo("fake", HW, 30.0, False))  # nobody holds the masks' folder
    for sink in again.values():
        sink.close()
    (tmp_path / "masks" / "000000.png").touch()
    with pytest.raises(UsageError, match="masks"):
        opening.open_sinks(stand.settings(**places), SourceInfo("fake", HW, 30.0, False))
    (tmp_path / "out.mp4").touch()
    over = opening.open_sinks(stand.settings(**places, overwrite=True), SourceInfo("fake", HW, 30.0, False))
    assert set(over) == set(sinks)
    for sink in over.values():
        sink.close()


def test_a_recording_is_not_begun_over_what_is_read(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "drive.mp4").touch()
    settings = Settings.load(None, {"source": str(tmp_path / "drive.mp4"), "overwrite": True})
    with pytest.raises(UsageError, match=r"--output .*drive\.mp4: is what --source reads"):
        opening.open_recorder(tmp_path / "drive.mp4", settings, SourceInfo("fake", HW, 30.0, False))


def test_a_run_is_closed_whatever_ends_it(stand: Stand, tmp_path: Path) -> None:
    source = FakeSource()
    stand.source = lambda: source

    def run() -> None:
        with open_session(stand.settings(output=tmp_path / "out.mp4", audit=True)) as session:
            assert set(session.observers) == {"audit"}
            assert session.auditor is session.observers["audit"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert source.closed
    assert all(stage.closed for backend in stand.backends for stages in backend.loaded.values() for stage in stages)
    assert not list(tmp_path.glob("out*"))


def test_how_a_run_without_a_window_is_asked_for(stand: Stand) -> None:
    for values, loop, most, always in (
        ({"max_frames": 2}, False, 2, False),
        ({"loop": True}, True, None, False),
        ({"benchmark": True, "max_frames": 2}, True, None, True),
    ):
        stand.sources.clear()
        with open_session(stand.settings(**values, give_up="30s"), print) as session:
            assert [source.pop("tell") is not None for source in stand.sources] == [True]
            assert stand.sources == [{"uri": "drive", "loop": loop, "give_up_s": 30.0}]
            assert (session.max_frames, session.paints_always) == (most, always)
            assert session.capture is not None
            assert session.capture.looping is loop


def test_a_mistake_is_told_before_a_source_is_opened(stand: Stand, tmp_path: Path) -> None:
    for values, error in (
        ({"schedule": "sometimes"}, UsageError),
        ({"model": "nonesuch"}, UsageError),
        ({"trace": tmp_path / "no" / "run.jsonl"}, SinkError),
    ):
        with pytest.raises(error):
            stand.play(**values)
    assert stand.sources == []
    with opening.check(opening.find_model(stand.settings()), stand.settings(schedule="clockwork:2")) as engine:
        assert isinstance(engine, Engine)
    with pytest.raises(UsageError, match="one cached stage"):
        opening.check(opening.find_model(stand.settings()), stand.settings(schedule="clockwork:1,2,4"))
    with pytest.raises(UsageError, match="timing of its own"):
        opening.check(opening.find_model(stand.settings()), stand.settings(schedule="clockwork:pipelined", mode="async"))
