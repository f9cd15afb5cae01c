"""When a cache may not be used, and what a schedule is told of one that may."""

import numpy as np
import pytest

from drive_seg.contracts import Frame, Key
from drive_seg.network.cache import CUT, MAX_GAP_S, Cache, change, why_invalid

KEY = Key(index=10, time_s=1.0, segment=0, size_hw=(48, 64))


def frame(time_s: float = 1.1, segment: int = 0, size_hw: tuple[int, int] = (48, 64), index: int = 11, period_s: float = 1 / 30) -> Frame:
    return Frame(np.zeros((*size_hw, 3), np.uint8), index, time_s, segment=segment, period_s=period_s)


def test_a_cache_is_good_for_the_next_frame() -> None:
    assert why_invalid(KEY, frame(), 10, 1.05) is None


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (frame(size_hw=(64, 48)), "size"),
        (frame(segment=1), "jump"),
        (frame(time_s=1.06 + MAX_GAP_S), "gap"),
        (frame(time_s=0.5), "gap"),
        (frame(time_s=0.5, index=4), "gap"),
        (frame(time_s=61.0, index=12), "gap"),
        (frame(time_s=8.0, period_s=2.0), "gap"),
        (frame(time_s=2.2, period_s=0.0), "gap"),
    ],
)
def test_a_cache_is_bad_after(now: Frame, why: str) -> None:
    assert why_invalid(KEY, now, 10, 1.05) == why


@pytest.mark.parametrize(
    "now",
    [
        frame(time_s=3.45, index=82),  # 2.4 s of 30 fps were dropped, because computing took so long
        frame(time_s=1.05 + 2.4, index=22),  # a camera that gives 5 a second in the dark and says 30
        frame(time_s=3.05, period_s=2.0),
    ],
)
def test_what_was_dropped_is_no_gap_nor_what_is_the_sources_own_pace(now: Frame) -> None:
    assert why_invalid(KEY, now, 10, 1.05) is None


def test_without_a_key_there_is_nothing_to_use() -> None:
    assert why_invalid(None, frame(), 10, 1.05) == "first"


def test_change_is_nothing_for_the_same_and_large_for_another() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((1, 8, 40, 40), np.float32), np.zeros((1, 8, 40, 40), np.float32)
    assert change(a, a) == 0
    assert change(a, a * 1.1) < 0.2 < CUT
    assert change(a, b) > CUT


def test_labels_are_compared_with_the_first_that_were_shown_with_the_key() -> None:
    cache = Cache(CUT)
    labels = [np.zeros((10, 10), np.uint8) for _ in range(3)]
    labels[1][0], labels[2][:3] = 1, 1
    cache.swap(KEY)
    seen = []
    for i, one in enumerate(labels):
        cache.shown(one, ms=20.0 + i, refreshing=i == 0)
        seen.append(cache.view(frame(index=11 + i), None).changed)
    assert seen == [0.0, 0.1, 0.3]
    cache.swap(KEY)
    assert cache.view(frame(index=14), None).changed == 0.0


def test_a_schedule_is_told_which_frame_it_decides_on() -> None:
    cache = Cache(CUT)
    cache.swap(KEY)
    view = cache.view(frame(index=14, segment=2), 0.5)
    assert (view.index, view.segment, view.age_frames, view.mid_age_frames, view.score) == (14, 2, 4, 4, 0.5)


def test_times_are_told_apart_by_whether_there_was_a_refresh_to_bear() -> None:
    cache = Cache(CUT)
    cache.swap(KEY)
    cache.shown(np.zeros((2, 2), np.uint8), 50.0, refreshing=True)
    first = cache.view(frame(), 0.25)
    assert (first.last_ms, first.key_ms, first.other_ms, first.score) == (50.0, 50.0, None, 0.25)
    cache.shown(np.zeros((2, 2), np.uint8), 10.0, refreshing=False)
    second = cache.view(frame(index=12), None)
    assert (second.age_frames, second.last_ms, second.key_ms, second.other_ms) == (2, 10.0, 50.0, 10.0)
