"""A measurement's figures and notes, against frames whose times are known; and one real run over fakes."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drive_seg.bench.machine import Gauges, Usage
from drive_seg.bench.measure import Measurement, deadline, measure, notes, tracks
from drive_seg.bench.tally import Timing
from drive_seg.contracts import Result, Source, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import EveryFrame, Schedule, parse_schedule
from drive_seg.session.figures import Latencies
from drive_seg.session.observer import Observer
from drive_seg.session.session import Session
from drive_seg.settings import Settings
from drive_seg.sources.capture import Capture
from drive_seg.workers import Overflow
from tests.fakes import FakeBackend, FakeFile, FakeSource, make_bundle

RAN = dict.fromkeys(("model", "backend", "precision", "device", "schedule", "mode", "propagation"), "x")
QUIET = Usage(10.0, 1.5, 0.75, 0.02, 400.0, 0, (), (), {}, {"CPU": "no counter", "GPU": "no driver"})


def one(ms: float, kind: str = "other", labels_ms: float | None = None, wait_ms: float = 0.0, decode_ms: float = 1.0) -> Timing:
    tracks_ms = {"capture": decode_ms, "pipeline": ms}
    return Timing(0.0, kind, kind != "other", wait_ms, labels_ms or ms + 1, None, {"decode": decode_ms, "total": ms}, tracks_ms)


def measured(
    timings: Sequence[Timing], usage: Usage = QUIET, seconds: float = 10.0, settings: Settings | None = None, **told: Any
) -> Measurement:
    source = SourceInfo("drive.mp4", (48, 64), 30.0, live=False)
    rest: dict[str, Any] = {
        "warmup": 72,
        "warm": True,
        "cut": False,
        "round_frames": None,
        "rounds": 0,
        "whole": False,
        "dropped": 0,
    } | told
    return Measurement(RAN, source, settings or Settings(), tuple(timings), seconds, usage=usage, **rest)


def test_the_figures_of_known_frames() -> None:
    frames = [one(float(ms), "key" if ms % 4 == 0 else "other") for ms in range(1, 101)]
    summary = measured(frames, seconds=5.0).summary()
    assert (summary["frames"], summary["fps"], summary["key_frame_rate"], summary["warmup"]) == (100, 20.0, 0.25, 72)
    total = summary["latency_ms"]["total"]
    assert [total[name] for name in ("p50", "p90", "p95", "p99", "max", "mean")] == pytest.approx([50.5, 90.1, 95.05, 99.01, 100, 50.5])
    assert total["p99.9"] is None
    assert summary["total_ms"]["key"] | {"frames": 25} == summary["total_ms"]["key"]
    assert (summary["total_ms"]["key"]["p50"], summary["total_ms"]["other"]["max"], summary["total_ms"]["cold"]["frames"]) == (52, 99, 0)
    assert summary["capture_to_labels_ms"]["p50"] == 51.5
    assert summary["cpu"] == {"cores": 1.5, "share": 0.75, "others": 0.02}
    assert summary["memory_mib"] == 400
    assert summary["notes"] == []
    assert summary["per_frame"]["total_ms"] == [float(ms) for ms in range(1, 101)]
    assert summary["per_frame"]["kind"][:4] == ["other", "other", "other", "key"]


def test_what_latencies_tells_is_all_there() -> None:
    assert set(Latencies(0).summary()) <= set(measured([one(5.0)]).summary())


def test_deadlines_are_missed_by_what_the_frames_came_for() -> None:
    frames = [one(ms, labels_ms=labels) for ms, labels in ((10, 20), (40, 50), (20, 34), (33, 33))]
    back_to_back = deadline(frames, Settings(deadline="33ms"), dropped=0)
    assert back_to_back == {"ms": 33.0, "by": "frame to labels", "missed": 1, "due": 4, "share": 0.25}
    paced = deadline(frames, Settings(deadline="33ms", realtime=True), dropped=1)  # 50, 34, and the one that was lost, of five
    assert paced == {"ms": 33.0, "by": "capture to labels", "missed": 3, "due": 5, "share": 0.6}
    assert deadline(frames, Settings(), dropped=0) is None


def test_tracks_overlap() -> None:
    beside = replace(one(10.0), tracks_ms={"pipeline": 8.0, "high": 9.0})
    assert tracks([beside] * 10, seconds=0.1) == {"pipeline": pytest.approx(0.8), "high": pytest.approx(0.9)}


def test_energy_is_told_by_frame() -> None:
    usage = replace(QUIET, joules={"CPU package-0": 30.0}, not_measured={"GPU": "no driver"})
    energy = measured([one(5.0)] * 100, usage).summary()["energy"]
    assert energy == {"joules": {"CPU package-0": 30.0}, "per_frame": {"CPU package-0": 0.3}, "not_measured": {"GPU": "no driver"}}


STEADY = [one(10.0)] * 300


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (measured(STEADY, warm=False), "unstable: the warm-up ended at its bound, after 72 frames"),
        (measured(STEADY, warm=False, cut=True), "unstable: the frames ended within the warm-up, which is counted here"),
        (measured(STEADY, warm=True, cut=True), "unstable: the frames ended within the warm-up, which is counted here"),
        (measured([one(10.0)] * 200 + [one(12.0)] * 100), "unstable: the median of other frames was 10.00, 10.00, 12.00 ms"),
        (measured(STEADY, replace(QUIET, others_share=0.3)), "unstable: other processes took 30% of the CPUs"),
        (measured(STEADY, replace(QUIET, throttles=2)), "throttled: the CPU was slowed for its heat 2 times"),
        (measured(STEADY, replace(QUIET, slowdowns=("power cap",))), "throttled: the GPU's clock was held back (power cap)"),
        (measured(STEADY, replace(QUIET, mhz=(4000.0, 4000.0, 3900.0, 3000.0, 3000.0, 3000.0))), "clock fell from 4000 to 3000 MHz"),
        (measured([one(10.0, wait_ms=12.0, decode_ms=20.0)] * 300), "bound by decoding: 36% of the time was waited"),
        (
            measured([one(10.0, decode_ms=50.0, wait_ms=40.0)] * 300, settings=Settings(realtime=True)),
            "50.0 ms to decode and comes every 33.3 ms",
        ),
        (measured(STEADY, round_frames=101, rounds=2), "not whole rounds of the source: 300 frames of rounds of 101"),
    ],
)
def test_a_doubt_is_noted(told: Measurement, said: str) -> None:
    (note,) = notes(told)
    assert said in note


@pytest.mark.parametrize(
    "told",
    [
        measured(STEADY),
        measured([one(10.0), one(10.0), one(40.0, "key")] * 100),  # two kinds of frames are no drift
        measured([one(10.0, wait_ms=30.0)] * 300, settings=Settings(realtime=True)),  # a paced run waits
        measured(STEADY, replace(QUIET, mhz=(4000.0, 3900.0, 3900.0))),
        measured([one(10.0)] * 303, round_frames=101, rounds=3, whole=True),
    ],
)
def test_a_quiet_run_has_no_note(told: Measurement) -> None:
    assert notes(told) == []


def opened(folder: Path, source: Source, schedule: Schedule | None = None, looping: bool = False) -> Session:
    engine = Engine(make_bundle(folder), FakeBackend(noise=100.0))  # so that a frame is like the one before
    return Session(Pipeline(engine, schedule or EveryFrame()), Capture(source, Overflow.WAIT, realtime=False, looping=looping))


class Seen(Observer):
    def __init__(self) -> None:
        self.indices: list[int] = []

    def on_result(self, result: Result, comparison: Result | None) -> None:
        self.indices.append(result.frame.index)


def measured_in(session: Session, settings: Settings) -> dict[str, Any]:
    assert session.capture is not None
    with session.capture:
        return measure(session, settings, Gauges()).summary()


def test_a_source_with_an_end_is_looped_and_counted_whole(tmp_path: Path) -> None:
    settings = Settings.load(None, {"warmup": 4, "min_frames": 7, "min_time": 0})
    session, seen = opened(tmp_path / "net", FakeFile(6), parse_schedule("clockwork:3"), looping=True), Seen()
    session.observers["seen"] = seen
    summary = measured_in(session, settings)
    assert seen.indices == [*range(6), *range(6), *range(4)]
    assert (summary["frames"], summary["warmup"], summary["source"]["whole"], summary["source"]["rounds"]) == (12, 4, True, 2)
    assert {kind: row["frames"] for kind, row in summary["total_ms"].items()} == {"cold": 2, "key": 2, "other": 8}
    assert len(summary["per_frame"]["at_s"]) == 12
    assert summary["seconds"] > 0
    assert summary["fps"] == pytest.approx(12 / summary["seconds"])
    assert 0 < summary["tracks"]["pipeline"] <= 1


@pytest.mark.parametrize("told", [{"warmup": 10}, {"warmup": 4}, {}])
def test_a_source_that_ends_within_the_warmup_has_figures_of_what_there_was(tmp_path: Path, told: dict[str, int]) -> None:
    summary = measured_in(opened(tmp_path / "net", FakeSource(4)), Settings.load(None, told))
    assert (summary["frames"], summary["warmup"], summary["key_frame_rate"]) == (4, 0, 1.0)
    assert summary["seconds"] > 0
    assert any("ended within the warm-up" in note for note in summary["notes"])


def test_a_clock_that_never_settles_is_a_note_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.bench.tally.WARMUP_FRAMES", 90)
    times = itertools.accumulate(1.01**count * 1e-6 for count in itertools.count())  # each step is longer than the one before
    monkeypatch.setattr("drive_seg.network.pipeline.time", SimpleNamespace(perf_counter=lambda: next(times)))
    summary = measured_in(opened(tmp_path / "net", FakeFile(6), looping=True), Settings.load(None, {"max_frames": 9}))
    assert (summary["frames"], summary["warmup"]) == (9, 90)
    assert "unstable: the warm-up ended at its bound, after 90 frames" in summary["notes"]


def test_no_frame_at_all_is_an_error_that_names_the_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no frame came"):
        measured_in(opened(tmp_path / "net", FakeFile(0), looping=True), Settings.load(None, {}))
