"""Where and when `high` runs: whose context is shown in which mode, what is thrown away, and how a worker ends."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Decision, Frame, Image, Labels, Result, StageName, Tensors, View
from drive_seg.errors import BackendError
from drive_seg.network.card import Bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.refresh import Async, Delayed, Refresher, Streamed
from drive_seg.network.schedule import Clockwork, parse_schedule
from tests.fakes import FakeBackend, make_bundle, make_keyed_bundle, make_picture_bundle, make_two_rate_bundle
from tests.waiting import PATIENCE_S, until


def frame(index: int, blue: int | None = None, segment: int = 0, size_hw: tuple[int, int] = (24, 32)) -> Frame:
    return Frame(np.full((*size_hw, 3), 100 + index if blue is None else blue, np.uint8), index, index / 30, segment=segment)


def sources(results: list[Result]) -> list[int]:
    """The frame whose context each result's labels came from, by frame()'s colours; it has to be the one whose age is told."""
    found = [int(result.labels[0, 0]) - 100 for result in results]
    assert found == [result.frame.index - result.age_frames for result in results]
    return found


def delayed(tmp_path: Path, schedule: str, frames: int, depth: int, shown: list[Frame]) -> tuple[list[Result], FakeBackend]:
    backend = FakeBackend()
    with Engine(make_bundle(tmp_path / "net"), backend) as engine:
        pipeline = Pipeline(engine, parse_schedule(schedule), refresher=Delayed(engine, frames, depth, "test"))
        return [pipeline.step(one) for one in shown], backend


@pytest.mark.parametrize(
    ("schedule", "frames", "depth", "wanted", "highs"),
    [
        ("every-frame", 1, 1, [0, 0, 1, 2, 3, 4, 5], 6),  # the one that frame 6 started is still under way
        ("every-frame", 2, 1, [0, 0, 0, 1, 1, 3, 3], 3),
        ("clockwork:3", 2, 1, [0, 0, 0, 0, 0, 3, 3], 2),
        ("clockwork:pipelined", 1, 1, [0, 0, 1, 2, 3, 4, 5], 6),
        ("clockwork:pipelined=3", 2, 2, [0, 0, 0, 1, 2, 3, 4], 5),
    ],
)
def test_on_a_virtual_clock_a_context_is_used_a_given_number_of_frames_later(
    tmp_path: Path, schedule: str, frames: int, depth: int, wanted: list[int], highs: int
) -> None:
    results, backend = delayed(tmp_path, schedule, frames, depth, [frame(i) for i in range(7)])
    assert sources(results) == wanted
    assert backend.calls("high") == highs
    assert [result.cold for result in results] == [True] + [False] * 6


def test_a_wish_during_a_refresh_is_dropped_and_a_key_frame_is_one_that_started_one(tmp_path: Path) -> None:
    results, _ = delayed(tmp_path, "every-frame", 2, 1, [frame(i) for i in range(6)])
    assert [result.decision.reason for result in results] == ["first", "every", "busy", "every", "busy", "every"]
    assert [result.is_key for result in results] == [True, True, False, True, False, True]


def test_work_on_a_virtual_clock_counts_for_no_frame(tmp_path: Path, now_s: list[float]) -> None:
    slow = FakeBackend(before_high=lambda: now_s.append(now_s.pop() + 0.05))  # and nothing else takes any time
    with Engine(make_bundle(tmp_path / "net"), slow) as engine:
        pipeline = Pipeline(engine, parse_schedule("every-frame"), refresher=Delayed(engine, 1, 1, "async:1"))
        results = [pipeline.step(frame(i)) for i in range(4)]
    assert [result.total_ms for result in results] == pytest.approx([50, 0, 0, 0])
    assert [result.high_ms is not None for result in results] == [True, False, True, True]


def test_a_frame_beside_a_refresh_is_not_timed_as_one_without(tmp_path: Path, now_s: list[float]) -> None:
    """A budget is kept by these times: what a refresh slows down must not make the frames without one look dear."""
    seen = list[tuple[int, float, float | None]]()

    class Noting(Clockwork):
        def decide(self, view: View) -> Decision:
            seen.append((view.index, view.key_ms, view.other_ms))
            return super().decide(view)

    def paint(image: Image, labels: Labels) -> Image:
        now_s[0] += int(image[0, 0, 0]) / 1e3  # a frame takes as many ms as it is blue
        return image

    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        pipeline = Pipeline(engine, Noting((3,), "clockwork:3"), paint, refresher=Delayed(engine, 2, 1, "async:2"))
        for i in range(7):
            pipeline.step(frame(i))
    frames = [(index, round(key_ms), other_ms and round(other_ms)) for index, key_ms, other_ms in seen]
    assert frames == [  # frame 0 is cold; the refresh that frame 3 starts is still under way on frame 4
        (1, 100, None), (2, 100, 101), (3, 100, 102), (4, 103, 102), (5, 104, 102), (6, 104, 105),
    ]  # fmt: skip


@contextmanager
def asynchronous(
    tmp_path: Path, schedule: str = "every-frame", worker: FakeBackend | None = None
) -> Iterator[tuple[Pipeline, FakeBackend]]:
    worker = worker or FakeBackend()
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        pipeline = Pipeline(engine, parse_schedule(schedule), refresher=Async(engine, worker))
        yield pipeline, worker
        pipeline.close()


class Gate:
    """`high` waits here until the test lets it go on; the test waits until it is done."""

    def __init__(self) -> None:
        self._free, self.entered = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self) -> None:
        self.entered.release()
        assert self._free.acquire(timeout=PATIENCE_S)

    def open(self, pipeline: Pipeline) -> None:
        self._free.release()
        wait_for_the_worker(pipeline)


def wait_for_the_worker(pipeline: Pipeline) -> None:
    """Until it has done, or failed in, what it was given."""
    refresher = pipeline.refresher
    assert isinstance(refresher, Async)
    until(lambda: not refresher.busy or refresher._keys._items or refresher._worker.ended)


def test_no_frame_waits_and_a_context_is_swapped_in_between_two_frames_when_it_is_done(tmp_path: Path) -> None:
    gate = Gate()
    with asynchronous(tmp_path, worker=FakeBackend(before_high=gate)) as (pipeline, worker):
        results = [pipeline.step(frame(i)) for i in range(4)]  # frame 1 starts a refresh that does not end
        gate.open(pipeline)
        results += [pipeline.step(frame(4)), pipeline.step(frame(5))]  # frame 4 uses it and starts the next
        gate.open(pipeline)
        results += [pipeline.step(frame(6))]
        gate.open(pipeline)
    assert sources(results) == [0, 0, 0, 0, 1, 1, 4]
    assert [result.decision.reason for result in results] == ["first", "every", "busy", "busy", "every", "busy", "every"]
    assert [result.high_ms is not None for result in results] == [True, False, False, False, True, False, True]
    assert [result.cold for result in results] == [True] + [False] * 6
    assert worker.calls("high") == 3
    assert worker.calls("low") == worker.calls("head") == 0


def test_the_worker_reads_copies_of_what_low_has_long_overwritten(tmp_path: Path) -> None:
    gate = Gate()
    with asynchronous(tmp_path, worker=FakeBackend(before_high=gate)) as (pipeline, _):
        for i in range(5):
            pipeline.step(frame(i))
        gate.open(pipeline)
        assert sources([pipeline.step(frame(5))]) == [1]
        gate.open(pipeline)


def test_a_high_that_reads_the_picture_reads_a_copy_of_it(tmp_path: Path) -> None:
    gate, picture = Gate(), frame(0)  # a source that writes every picture into the same memory
    with Engine(make_picture_bundle(tmp_path / "net"), FakeBackend()) as engine:
        pipeline = Pipeline(engine, parse_schedule("every-frame"), refresher=Async(engine, FakeBackend(before_high=gate)))
        for i in range(5):
            picture.image[:] = 100 + i
            pipeline.step(replace(picture, index=i, time_s=i / 30))
        gate.open(pipeline)
        picture.image[:] = 105
        assert sources([pipeline.step(replace(picture, index=5, time_s=5 / 30))]) == [1]
        gate.open(pipeline)
        pipeline.close()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [(frame(2, segment=1), "jump"), (frame(2, blue=5), "cut"), (frame(2, size_hw=(32, 24)), "size")],
    ids=["jump", "cut", "size"],
)
def test_after_an_invalidation_a_frame_waits_for_its_own_high_and_what_was_under_way_is_thrown_away(
    tmp_path: Path, bad: Frame, reason: str
) -> None:
    gate = Gate()
    with asynchronous(tmp_path, worker=FakeBackend(before_high=gate)) as (pipeline, _):
        pipeline.step(frame(0))
        pipeline.step(frame(1))
        assert gate.entered.acquire(timeout=PATIENCE_S)
        if reason == "size":
            threading.Timer(0.05, gate._free.release).start()  # its compiled copy is of another size: it ends first
        cold = pipeline.step(bad)
        assert (cold.cold, cold.age_frames, cold.decision.reason, int(cold.labels[0, 0])) == (True, 0, reason, int(bad.image[0, 0, 0]))
        following = Frame(bad.image, 3, 3 / 30, segment=bad.segment)
        if reason != "size":
            assert pipeline.step(following).decision.reason == "busy"  # the one in vain is not over
            gate.open(pipeline)
        after = pipeline.step(Frame(bad.image, 4, 4 / 30, segment=bad.segment))
        assert (after.age_frames, after.decision.reason) == (2, "every")
        gate.open(pipeline)


def test_a_bundle_with_a_score_swaps_the_context_and_the_key_frames_tensors_together(tmp_path: Path) -> None:
    gate = Gate()
    with Engine(make_keyed_bundle(tmp_path / "net"), FakeBackend()) as engine:
        pipeline = Pipeline(engine, parse_schedule("keyframe:.05"), refresher=Async(engine, FakeBackend(before_high=gate)))
        blues = [100, 110, 120, 130]
        results = [pipeline.step(frame(i, blue)) for i, blue in enumerate(blues)]
        gate.open(pipeline)
        results.append(pipeline.step(frame(4, 131)))
        assert [int(result.labels[0, 0]) for result in results] == [100, 100, 100, 100, 110]
        assert [result.decision.score for result in results[1:]] == pytest.approx([0.1, 0.2, 0.3, 0.21])
        gate.open(pipeline)
        pipeline.close()


@pytest.mark.parametrize("mode", ["async", "async:2", "pipelined"])
def test_two_cached_stages_are_one_refresh(tmp_path: Path, mode: str) -> None:
    gate, beside = Gate(), FakeBackend()
    with Engine(make_two_rate_bundle(tmp_path / "net"), FakeBackend()) as engine:
        if mode == "async":
            beside = FakeBackend(before_high=gate)
            refresher: Refresher = Async(engine, beside)
        else:
            refresher = Delayed(engine, 2, 1, mode) if mode == "async:2" else Delayed(engine, 1, 1, mode)
        pipeline = Pipeline(engine, parse_schedule("every-frame"), refresher=refresher)
        results = [pipeline.step(frame(i)) for i in range(3)]
        if mode == "async":
            gate.open(pipeline)
        results.append(pipeline.step(frame(3)))
        assert sources(results) == {"async": [0, 0, 0, 1], "async:2": [0, 0, 0, 1], "pipelined": [0, 0, 1, 2]}[mode]
        assert all((result.labels[-1] == result.labels[0]).all() for result in results)
        assert {"mid", "high"} <= set(results[3].latency_ms)
        if mode == "async":
            gate.open(pipeline)
        pipeline.close()
    assert beside.calls("mid") == beside.calls("high") == (2 if mode == "async" else 0)


def test_what_high_fails_with_ends_the_run(tmp_path: Path) -> None:
    def fail() -> None:
        raise BackendError("out of memory")

    with asynchronous(tmp_path, worker=FakeBackend(before_high=fail)) as (pipeline, _):
        pipeline.step(frame(0))
        pipeline.step(frame(1))
        wait_for_the_worker(pipeline)
        with pytest.raises(BackendError, match="out of memory"):
            pipeline.step(frame(2))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads cannot be told here where to run")
@pytest.mark.parametrize("cpus", [2, 3])
def test_of_two_cpus_each_thread_has_its_own_until_the_end_and_of_more_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpus: int
) -> None:
    allowed = {threading.get_ident(): set(range(cpus))}
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: allowed[threading.get_ident()])
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, mask: allowed.update({threading.get_ident(): set(mask)}))
    with asynchronous(tmp_path) as (pipeline, _):
        pipeline.step(frame(0))
        pipeline.step(frame(1))
        wait_for_the_worker(pipeline)
        assert sorted(map(sorted, allowed.values())) == ([[0], [1]] if cpus == 2 else [[0, 1, 2]])
    assert allowed[threading.get_ident()] == set(range(cpus))


def test_closing_waits_for_what_runs_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with asynchronous(tmp_path, worker=FakeBackend(before_high=lambda: time.sleep(0.2))) as (pipeline, worker):
        pipeline.step(frame(0))
        pipeline.step(frame(1))
        pipeline.close()
        pipeline.close()
        assert set(threading.enumerate()) <= before
        assert [stage.closed for stage in worker.loaded["high"]] == [True]


def test_closing_does_not_wait_for_ever_for_a_high_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.network.refresh.CLOSE_LIMIT_S", 0.1)
    gate = Gate()
    with asynchronous(tmp_path, worker=FakeBackend(before_high=gate)) as (pipeline, worker):
        pipeline.step(frame(0))
        pipeline.step(frame(1))
        assert gate.entered.acquire(timeout=PATIENCE_S)
        pipeline.close()
        assert not worker.loaded["high"][0].closed  # it is still being used
        gate._free.release()


def test_a_new_size_waits_for_the_refresh_under_way_however_slow_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.network.refresh.CLOSE_LIMIT_S", 0.0)
    gate, results = Gate(), []
    with asynchronous(tmp_path, worker=FakeBackend(before_high=gate)) as (pipeline, worker):
        pipeline.step(frame(0))
        pipeline.step(frame(1))
        assert gate.entered.acquire(timeout=PATIENCE_S)
        other = threading.Thread(target=lambda: results.append(pipeline.step(frame(2, size_hw=(32, 24)))))
        other.start()
        other.join(0.05)
        assert not worker.loaded["high"][0].closed
        assert results == []
        gate._free.release()
        other.join(PATIENCE_S)
        assert [result.cold for result in results] == [True]
        assert [stage.closed for stage in worker.loaded["high"]] == [True, False]
        monkeypatch.undo()


def test_a_new_size_gets_a_copy_of_its_own(tmp_path: Path) -> None:
    with asynchronous(tmp_path, "clockwork:2") as (pipeline, worker):
        for i in range(6):
            pipeline.step(frame(i, size_hw=(24, 32) if i < 3 else (24, 48)))
            wait_for_the_worker(pipeline)
        assert [stage.closed for stage in worker.loaded["high"]] == [True, False]
        assert [stage.calls for stage in worker.loaded["high"]] == [1, 1]


# ---- where `low` runs


class FakeBeside:
    """A Beside on the host that works when it is told to, on what `low` had put out when it was started."""

    def __init__(self, engine: Engine, backend: FakeBackend) -> None:
        self._engine, self._deep = engine, engine.copy_deep(backend)
        self._taken: Tensors | None = None
        self.finished = self.closed = False
        self.error: BackendError | None = None

    def start(self) -> None:
        assert self._taken is None, "started before the last was taken"
        low = self._engine._stages["low"]._outputs  # type: ignore[attr-defined]
        self._taken, self.finished = {name: np.array(low[name]) for name in self._engine.deep_takes}, False

    def take(self) -> tuple[Tensors, Mapping[StageName, float]] | None:
        assert not self.closed
        if self.error:
            raise self.error
        if not self.finished:
            return None
        made = dict(self._taken or {})
        for stage in self._engine.cached:
            made |= self._deep(stage, made)
        self._taken = None
        return made, dict.fromkeys(self._engine.cached, 2.0)

    def close(self) -> None:
        self.closed = True


@contextmanager
def streamed(bundle: Bundle, schedule: str = "every-frame") -> Iterator[tuple[Pipeline, list[FakeBeside]]]:
    opened: list[FakeBeside] = []
    with Engine(bundle, FakeBackend()) as engine:

        def open_beside() -> FakeBeside:
            opened.append(FakeBeside(engine, FakeBackend()))
            return opened[-1]

        pipeline = Pipeline(engine, parse_schedule(schedule), refresher=Streamed(engine, open_beside))
        yield pipeline, opened
        pipeline.close()
    assert all(one.closed for one in opened)


@pytest.mark.parametrize("make", [make_bundle, make_two_rate_bundle])
def test_on_a_stream_of_its_own_no_frame_waits_either(tmp_path: Path, make: Callable[[Path], Bundle]) -> None:
    with streamed(make(tmp_path / "net")) as (pipeline, opened):
        results = [pipeline.step(frame(i)) for i in range(4)]
        opened[0].finished = True
        results += [pipeline.step(frame(4)), pipeline.step(frame(5))]
        opened[0].finished = True
        results += [pipeline.step(frame(6))]
        assert sources(results) == [0, 0, 0, 0, 1, 1, 4]
        assert [result.decision.reason for result in results] == ["first", "every", "busy", "busy", "every", "busy", "every"]
        assert [result.high_ms is not None for result in results] == [True, False, False, False, True, False, True]
        stages = pipeline.engine.cached
        spans = [span for span in results[4].spans if span.track == "high"]
        assert [(span.name, span.ms) for span in spans] == [(stage, 2.0) for stage in stages]
        assert [span.start_s - spans[0].start_s for span in spans] == pytest.approx([0.002 * at for at in range(len(stages))])
        low = [next(span for span in results[at].spans if span.name == "low") for at in (1, 2)]
        assert low[0].start_s < spans[0].start_s < low[1].start_s  # it was started on frame 1
        assert results[4].high_ms == 2.0 * len(stages)
        assert set(results[4].latency_ms) >= set(stages)
        assert {thread.name for thread in threading.enumerate()}.isdisjoint({"high"})


@pytest.mark.parametrize("bad", [frame(2, segment=1), frame(2, blue=5)], ids=["jump", "cut"])
def test_on_a_stream_what_was_under_way_is_thrown_away_after_an_invalidation(tmp_path: Path, bad: Frame) -> None:
    with streamed(make_bundle(tmp_path / "net")) as (pipeline, opened):
        pipeline.step(frame(0))
        pipeline.step(frame(1))
        cold = pipeline.step(bad)
        assert (cold.cold, int(cold.labels[0, 0])) == (True, int(bad.image[0, 0, 0]))
        assert pipeline.step(Frame(bad.image, 3, 3 / 30, segment=bad.segment)).decision.reason == "busy"
        opened[0].finished = True
        after = pipeline.step(Frame(bad.image, 4, 4 / 30, segment=bad.segment))
        assert (after.age_frames, after.decision.reason) == (2, "every")


def test_on_a_stream_a_new_size_gets_another_one_and_a_failure_ends_the_run(tmp_path: Path) -> None:
    with streamed(make_bundle(tmp_path / "net")) as (pipeline, opened):
        pipeline.step(frame(0))
        pipeline.step(frame(1))  # under way when the size changes
        assert pipeline.step(frame(2, size_hw=(24, 48))).cold
        assert [one.closed for one in opened] == [True, False]
        assert pipeline.step(frame(3, size_hw=(24, 48))).decision.reason == "every"
        opened[1].error = BackendError("out of memory")
        with pytest.raises(BackendError, match="out of memory"):
            pipeline.step(frame(4, size_hw=(24, 48)))
