"""Which frames a benchmark counts, on clocks that the tests wind."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from drive_seg.bench.tally import LONGEST_S, ROUND_FRAMES, WARMUP_FRAMES, WARMUP_S, Tally, is_stable, timing
from drive_seg.contracts import Decision, Frame, Result, Span
from drive_seg.settings import Settings

PICTURE, LABELS = np.zeros((2, 2, 3), np.uint8), np.zeros((1, 1), np.uint8)


def frame(index: int, segment: int = 0, decoded_s: float = 0.0, decode_ms: float = 1.0) -> Frame:
    return Frame(PICTURE, index, index / 30, decode_ms, segment=segment, decoded_s=decoded_s)


def result(
    of: Frame, total_ms: float = 5.0, is_key: bool = True, dropped: int = 0, spans: Sequence[Span] = (), cold: bool = False
) -> Result:
    ms = {"decode": of.decode_ms, "total": total_ms}
    return Result(of, LABELS, None, Decision(is_key, "clock", ""), 0, 0.0, cold=cold, latency_ms=ms, spans=tuple(spans), dropped=dropped)


def looped(length: int) -> Iterator[Frame]:
    for count in itertools.count():
        yield frame(count % length, segment=count // length)


def play(tally: Tally, frames: Iterator[Frame], every_s: float = 0.01, total_ms: float = 5.0) -> int:
    """Feeds frames until the tally has enough; returns how many were taken."""
    for count, one in enumerate(frames):
        if not tally.wants(one, count * every_s):
            return count
        tally.add(result(one, total_ms), 1.0, (count + 1) * every_s)
    raise AssertionError("the frames ran out")


def test_counting_begins_after_the_frames_that_were_told_and_ends_at_the_minimum() -> None:
    tally = Tally(Settings(warmup=7, min_frames=20, min_time=0), None, 0.0)
    assert play(tally, looped(10**9)) == 27
    assert (tally.warmup, len(tally.timings), tally.warm) == (7, 20, True)
    assert tally.timings[-1].at_s == pytest.approx(0.2)
    assert tally.seconds == pytest.approx(0.2)


def test_the_minimum_of_time_counts_too() -> None:
    tally = Tally(Settings(warmup=0, min_frames=1, min_time=0.5), None, 0.0)
    play(tally, looped(10**9))
    assert len(tally.timings) == 51  # the first one's own work began before it was asked for


@pytest.mark.parametrize("warmup", [0, 3, 10, 14])
def test_a_looped_source_is_counted_in_whole_rounds_wherever_they_begin(warmup: int) -> None:
    tally = Tally(Settings(warmup=warmup, min_frames=21, min_time=0), 10, 0.0)
    play(tally, looped(10))
    assert (len(tally.timings), tally.rounds, tally.whole) == (30, 3, True)


def test_a_frame_that_was_lost_does_not_make_a_round_longer() -> None:
    tally = Tally(Settings(warmup=3, min_frames=1, min_time=0, realtime=True), 10, 0.0)
    play(tally, (one for one in looped(10) if (one.segment, one.index) != (1, 3)))
    assert (tally.whole, tally.rounds) == (True, 1)
    assert len(tally.timings) == 10  # 3 to 12, and the next one seen is 14


def test_a_long_source_is_counted_to_the_minimum_only() -> None:
    tally = Tally(Settings(warmup=0, min_frames=20, min_time=0), ROUND_FRAMES + 1, 0.0)
    play(tally, looped(ROUND_FRAMES + 1))
    assert (len(tally.timings), tally.round_frames, tally.whole) == (20, None, False)


@pytest.mark.parametrize("warmup", [0, 5, 40])
@pytest.mark.parametrize("every_s", [0.01, 30.0])
def test_max_frames_is_how_many_are_counted_whatever_the_warmup_and_the_minimum_and_the_time(warmup: int, every_s: float) -> None:
    for minimum in (1, 1000):
        tally = Tally(Settings(warmup=warmup, min_frames=minimum, min_time=0, max_frames=18), 10, 0.0)
        assert play(tally, looped(10), every_s) == warmup + 18
        assert (len(tally.timings), tally.warmup, tally.rounds, tally.whole) == (18, warmup, 1, False)


def test_max_frames_may_be_whole_rounds() -> None:
    tally = Tally(Settings(warmup=5, max_frames=20), 10, 0.0)
    play(tally, looped(10))
    assert (len(tally.timings), tally.rounds, tally.whole) == (20, 2, True)


def test_a_network_that_is_too_slow_for_the_minimum_ends_after_its_time() -> None:
    tally = Tally(Settings(warmup=0, min_frames=1000, min_time=10), None, 0.0)
    play(tally, looped(10**9), every_s=2.0)
    assert LONGEST_S <= tally.seconds <= LONGEST_S + 4


def test_opening_a_looped_source_anew_is_not_counted() -> None:
    tally, now_s = Tally(Settings(warmup=0, min_frames=20, min_time=0), 10, 0.0), 0.0
    for one in looped(10):
        wait_s = 1.0 if one.index == 10 else 0.001  # the second round's first frame
        now_s += wait_s
        if not tally.wants(one, now_s):
            break
        now_s += 0.005
        tally.add(result(one), wait_s * 1e3, now_s)
    assert len(tally.timings) == 20
    assert max(one.wait_ms for one in tally.timings) == pytest.approx(1.0)
    assert tally.seconds == pytest.approx(20 * 0.006 - 0.001 + 0.001, abs=2e-3)


def test_a_steady_network_is_warm_after_three_windows() -> None:
    tally = Tally(Settings(min_frames=10, min_time=0), None, 0.0)
    play(tally, looped(10**9))
    assert (tally.warmup, tally.warm) == (72, True)


def test_one_that_never_becomes_steady_is_counted_at_the_bound_and_says_so() -> None:
    tally = Tally(Settings(min_frames=10, min_time=0), None, 0.0)
    for count, one in enumerate(looped(10**9)):
        if not tally.wants(one, count * 1e-3):
            break
        tally.add(result(one, total_ms=5.0 + count), 0.0, count * 1e-3)
    assert (tally.warmup, tally.warm) == (WARMUP_FRAMES, False)
    slow = Tally(Settings(min_frames=10, min_time=0), None, 0.0)
    play(slow, looped(10**9), every_s=1.0)
    assert (slow.warmup, slow.warm) == (WARMUP_S, False)


@pytest.mark.parametrize("every_s", [1e-3, 0.1, 5.0])
def test_times_that_never_settle_leave_what_was_asked_for(every_s: float) -> None:
    tally = Tally(Settings(max_frames=33), None, 0.0)
    for count, one in enumerate(looped(10**9)):
        if not tally.wants(one, count * every_s):
            break
        tally.add(result(one, total_ms=1.0 + count % 97 + 7 * (count // 24 % 5)), 0.0, (count + 1) * every_s)
    assert (len(tally.timings), tally.warm, tally.counting) == (33, False, True)
    assert tally.warmup <= WARMUP_FRAMES
    assert tally.warmup * every_s < WARMUP_S + every_s
    assert tally.seconds == pytest.approx(33 * every_s)


@pytest.mark.parametrize("settings", [Settings(warmup=50), Settings(warmup=20), Settings()])
def test_frames_that_end_within_the_warmup_are_what_is_counted(settings: Settings) -> None:
    tally = Tally(settings, None, 0.0)
    for index in range(20):
        assert tally.wants(frame(index), index * 0.01)
        tally.add(result(frame(index), total_ms=5.0 + index, dropped=3), 1.0, (index + 1) * 0.01)
    assert [one.ms["total"] for one in tally.timings] == [5.0 + index for index in range(20)]
    assert (tally.counting, tally.warmup, tally.dropped, tally.whole) == (False, 0, 3, False)
    assert tally.seconds == pytest.approx(0.19 + 0.006)  # the first frame's own work, and the rest


def test_stable_is_judged_by_kind() -> None:
    steady = [("key", 30.0) if i % 3 == 0 else ("other", 10.0) for i in range(72)]
    assert is_stable(steady)
    assert not is_stable(steady[1:])  # too few
    falling = [(kind, ms * (1.06 if i < 24 else 1.0)) for i, (kind, ms) in enumerate(steady)]
    assert not is_stable(falling)
    mixed = [("key", 30.0)] * 12 + [("other", 10.0)] * 12 + [("key", 30.0)] * 16 + [("other", 10.0)] * 8 + steady[:24]
    assert is_stable(mixed)  # the mean of the windows moves, the kinds do not
    assert not is_stable([("cold", 10.0)] * 4 + [("key", 10.0)] * 20 + [("other", 10.0)] * 48)  # nothing to compare


def test_dropped_frames_of_the_warmup_are_not_counted() -> None:
    tally = Tally(Settings(warmup=2, min_frames=3, min_time=0, realtime=True), None, 0.0)
    for index, dropped in enumerate([4, 7, 7, 8, 9]):
        assert tally.wants(frame(index), index)
        tally.add(result(frame(index), dropped=dropped), 0.0, index)
    assert tally.dropped == 2


def test_a_frames_times_come_from_its_spans_own_clocks() -> None:
    spans = [
        Span("decode", 10.0, 4.0, "capture"), Span("low", 10.010, 3.0), Span("head", 10.013, 2.0), Span("refine", 10.015, 1.0),
        Span("overlay", 10.017, 1.0), Span("high", 9.990, 30.0, "high"), Span("mid", 9.985, 5.0, "high"),
    ]  # fmt: skip
    one = timing(result(frame(0, decoded_s=10.004, decode_ms=4.0), spans=spans), wait_ms=2.0, at_s=1.0)
    assert one.labels_ms == pytest.approx(16.0)  # from 10.000 to the end of refine
    assert one.overlay_ms == pytest.approx(18.0)
    assert dict(one.tracks_ms) == {"capture": 4.0, "pipeline": pytest.approx(7.0), "high": 35.0}
