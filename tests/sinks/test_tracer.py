"""What is written of each frame, that another backend decides the same from it, and that work side by side is seen side by side."""

import json
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Frame, Result, Span
from drive_seg.errors import SinkError, UsageError
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.refresh import Async, Delayed, Refresher, Sync
from drive_seg.network.schedule import Replay, Schedule, parse_schedule
from drive_seg.sinks.tracer import Tracer, read_decisions
from tests.fakes import FakeBackend, make_bundle, make_keyed_bundle, make_result, make_two_rate_bundle
from tests.waiting import until

BLUES = [100, 104, 108, 113, 117, 30, 31, 50, 55, 58]  # a cut at 5


def play(folder: Path, schedule: Schedule, trace: Path, backend: FakeBackend, mode: Callable[[Engine], Refresher] = Sync) -> list[Result]:
    with Engine(make_keyed_bundle(folder), backend) as engine, closing(Tracer(trace)) as tracer:
        pipeline = Pipeline(engine, schedule, refresher=mode(engine))
        results = []
        for i, blue in enumerate(BLUES):
            results.append(pipeline.step(Frame(np.full((24, 32, 3), blue, np.uint8), i, i / 30)))
            tracer.put(results[-1])
    return results


@pytest.mark.parametrize("mode", [Sync, lambda engine: Delayed(engine, 2, 1, "async:2")], ids=["sync", "async:2"])
def test_a_record_makes_another_backend_decide_the_same(tmp_path: Path, mode: Callable[[Engine], Refresher]) -> None:
    schedule = parse_schedule("keyframe:0.1")
    first = play(tmp_path / "a", schedule, tmp_path / "a.jsonl", FakeBackend(), mode)
    noisy = FakeBackend(noise=-2.5)
    replay = Replay(read_decisions(tmp_path / "a.jsonl"), "replay")
    again = play(tmp_path / "b", replay, tmp_path / "b.jsonl", noisy, mode)
    assert [result.decision for result in again] == [result.decision for result in first]
    assert [result.age_frames for result in again] == [result.age_frames for result in first]
    assert {result.decision.reason for result in first} >= {"first", "cut", "score"}


def test_without_the_record_that_backend_decides_otherwise(tmp_path: Path) -> None:
    """Else the test above would prove nothing: the score is against the key's features, of which noise on one side is seen."""
    first = play(tmp_path / "a", parse_schedule("clockwork:2"), tmp_path / "a.jsonl", FakeBackend())
    again = play(tmp_path / "b", parse_schedule("keyframe:0.1"), tmp_path / "b.jsonl", FakeBackend(noise=-2.5))
    assert [result.is_key for result in first] != [result.is_key for result in again]


def play_two_rates(folder: Path, schedule: Schedule, trace: Path) -> list[Result]:
    with Engine(make_two_rate_bundle(folder), FakeBackend()) as engine, closing(Tracer(trace)) as tracer:
        pipeline = Pipeline(engine, schedule)
        results = [pipeline.step(Frame(np.full((24, 32, 3), blue, np.uint8), i, i / 30)) for i, blue in enumerate(BLUES)]
        for result in results:
            tracer.put(result)
    return results


def test_a_record_tells_which_stages_ran_and_makes_them_run_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = play_two_rates(tmp_path / "a", parse_schedule("clockwork:1,2,4"), path)
    again = play_two_rates(tmp_path / "b", Replay(read_decisions(path), "replay"), tmp_path / "b.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["index"] for line in lines if line["mid"]] == [2, 7]  # after the cut at 5 the clocks begin again
    assert [line["index"] for line in lines if "mid" in line["latency_ms"]] == [0, 2, 4, 5, 7, 9]
    assert [result.decision for result in again] == [result.decision for result in first]
    assert all(np.array_equal(one.labels, other.labels) for one, other in zip(first, again, strict=True))
    with Engine(make_bundle(tmp_path / "c"), FakeBackend()) as engine, pytest.raises(UsageError, match="one cached stage"):
        Pipeline(engine, Replay(read_decisions(path), "replay"))


def test_a_record_from_before_there_was_a_mid_is_still_read(tmp_path: Path) -> None:
    play_two_rates(tmp_path / "a", parse_schedule("clockwork:3"), tmp_path / "a.jsonl")
    kept = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    old = "".join(json.dumps({key: value for key, value in line.items() if key != "mid"}) + "\n" for line in kept)
    (tmp_path / "old.jsonl").write_text(old)
    assert read_decisions(tmp_path / "old.jsonl") == read_decisions(tmp_path / "a.jsonl")


def test_a_record_of_frames_that_came_twice_has_a_decision_for_each_time(tmp_path: Path) -> None:
    """As in a source that is looped, or seeked back."""
    path = tmp_path / "run.jsonl"
    with closing(Tracer(path)) as tracer:
        for segment, is_key in enumerate((True, False)):
            made = make_result(3, age=0 if is_key else 2)
            tracer.put(replace(made, frame=replace(made.frame, segment=segment)))
    assert {key: decision.run_high for key, decision in read_decisions(path).items()} == {(0, 3): True, (1, 3): False}


def test_a_record_without_segments_is_read_by_its_indices(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with closing(Tracer(path)) as tracer:
        tracer.put(make_result(3))
    kept = json.loads(path.read_text())
    del kept["segment"]
    path.write_text(json.dumps(kept) + "\n")
    assert list(read_decisions(path)) == [(None, 3)]


def test_a_line_has_what_is_known_of_its_frame(tmp_path: Path) -> None:
    results = play(tmp_path / "a", parse_schedule("keyframe:0.1"), tmp_path / "a.jsonl", FakeBackend())
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(line["segment"], line["index"]) for line in lines] == [(0, i) for i in range(10)]
    assert lines[3]["score"] == pytest.approx(0.13)
    assert (lines[3]["key"], lines[3]["reason"], lines[3]["threshold"], lines[3]["age_frames"]) == (True, "score", 0.1, 0)
    assert (lines[5]["reason"], lines[5]["cold"]) == ("cut", True)
    for line, result in zip(lines, results, strict=True):
        assert line["time_s"] == pytest.approx(result.frame.time_s, abs=1e-6)
        assert line["latency_ms"] == pytest.approx(dict(result.latency_ms), abs=1e-3)
        assert set(line["latency_ms"]) >= {"decode", "preprocess", "low", "propagate", "head", "total"}
        assert ("high" in line["latency_ms"]) == line["key"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", None), ("no json\n", "line 1"), ('{"index": 0}\n', "line 1"), ('{"traceEvents": [\n', "line 1"), (None, "cannot be read")],
)
def test_a_file_that_no_run_wrote_is_refused_by_its_line(tmp_path: Path, text: str | None, said: str | None) -> None:
    path = tmp_path / "run.jsonl"
    if text is not None:
        path.write_text(text)
    if said is None:
        assert read_decisions(path) == {}
        return
    with pytest.raises(UsageError, match=said):
        read_decisions(path)


def test_a_trace_for_perfetto_has_a_track_for_each_thread_and_shows_what_overlaps(tmp_path: Path) -> None:
    path, results, over = tmp_path / "run.perfetto.json", list[Result](), threading.Event()

    def while_two_frames_pass() -> None:
        seen = len(results)
        until(lambda: over.is_set() or len(results) >= seen + 2)

    slow = FakeBackend(before_high=while_two_frames_pass)
    with Engine(make_keyed_bundle(tmp_path / "net"), FakeBackend()) as engine, closing(Tracer(path)) as tracer:
        pipeline = Pipeline(engine, parse_schedule("every-frame"), refresher=Async(engine, slow))

        def refreshed_thrice() -> bool:
            i = len(results)
            results.append(pipeline.step(Frame(np.full((24, 32, 3), 100, np.uint8), i, i / 30)))
            tracer.put(results[-1])
            return sum(result.high_ms is not None for result in results) > 3  # the first frame's own is not beside it

        until(refreshed_thrice)
        over.set()
        pipeline.close()
    events = json.loads(path.read_text())["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert list(names.values()) == ["capture", "pipeline", "high"]
    slices = [(names[event["tid"]], event["name"], event["ts"], event["ts"] + event["dur"]) for event in events if event["ph"] == "X"]
    lows = [(start, end) for track, name, start, end in slices if (track, name) == ("pipeline", "low")]
    highs = [(start, end) for track, name, start, end in slices if (track, name) == ("high", "high")]
    assert len(lows) == len(results)
    assert len(highs) == 3
    assert all(any(start < low_end and low_start < end for low_start, low_end in lows) for start, end in highs)
    for one, two in pairwise(highs):
        assert one[1] <= two[0]  # one at a time


def test_decoding_has_its_place_in_time(tmp_path: Path) -> None:
    with closing(Tracer(tmp_path / "run.perfetto.json")) as tracer:
        result = make_result()
        tracer.put(replace(result, spans=(Span("decode", 12.5, 4.0, "capture"),)))
    (event,) = [event for event in json.loads((tmp_path / "run.perfetto.json").read_text())["traceEvents"] if event["ph"] == "X"]
    assert (event["ts"], event["dur"], event["tid"]) == (12.5e6, 4e3, 1)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"run\.jsonl"):
        Tracer(tmp_path / "no" / "such" / "run.jsonl")
    if Path("/dev/full").exists():
        tracer = Tracer(Path("/dev/full"))

        def fill() -> None:
            for _ in range(10_000):
                tracer.put(make_result())

        with pytest.raises(SinkError, match=r"/dev/full"):
            fill()
        tracer.close()
