"""Which frames become key frames, and when a cache may not be used."""

import numpy as np
import pytest

from drive_seg.contracts import Frame, Key
from drive_seg.errors import UsageError
from drive_seg.schedule import CUT, MAX_GAP_S, change, parse_schedule, why_invalid


def run(text: str, frames: int) -> list[int]:
    """The key frames among so many, the first one being cold."""
    schedule, keys = parse_schedule(text), [0]
    for index in range(1, frames):
        if schedule.decide(index - keys[-1]).run_high:
            keys.append(index)
    return keys


def test_every_frame_is_a_key_frame() -> None:
    assert run("every-frame", 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "keys"), [("clockwork:1", [0, 1, 2, 3, 4, 5, 6]), ("clockwork:2", [0, 2, 4, 6]), ("clockwork:3", [0, 3, 6])]
)
def test_clockwork_ticks(text: str, keys: list[int]) -> None:
    assert run(text, 7) == keys


def test_clockwork_does_not_wait_for_a_frame_that_was_dropped() -> None:
    assert parse_schedule("clockwork:3").decide(5).run_high


@pytest.mark.parametrize("text", ["every-frame", "clockwork:4"])
def test_a_schedule_has_the_name_it_was_asked_for_by(text: str) -> None:
    assert parse_schedule(text).name == text


@pytest.mark.parametrize(
    "text", ["", "sometimes", "clockwork", "clockwork:", "clockwork:0", "clockwork:-1", "clockwork:2.5", "every-frame:2"]
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_schedule(text)


KEY = Key({}, index=10, time_s=1.0, take=0, size_hw=(48, 64))


def frame(time_s: float = 1.1, take: int = 0, size_hw: tuple[int, int] = (48, 64)) -> Frame:
    return Frame(np.zeros((*size_hw, 3), np.uint8), 11, time_s, take=take)


def test_a_cache_is_good_for_the_next_frame() -> None:
    assert why_invalid(KEY, frame(), 1.05) is None


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (frame(size_hw=(64, 48)), "size"),
        (frame(take=1), "jumped"),
        (frame(time_s=1.06 + MAX_GAP_S), "gap"),
        (frame(time_s=0.5), "gap"),
    ],
)
def test_a_cache_is_bad_after(now: Frame, why: str) -> None:
    assert why in str(why_invalid(KEY, now, 1.05))


def test_change_is_nothing_for_the_same_and_large_for_another() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((1, 8, 40, 40), np.float32), np.zeros((1, 8, 40, 40), np.float32)
    assert change(a, a) == 0
    assert change(a, a * 1.1) < 0.2 < CUT
    assert change(a, b) > CUT
