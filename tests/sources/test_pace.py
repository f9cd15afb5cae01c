"""When frames may go on, by a clock that the test turns: pauses, steps, jumps and speeds."""

import threading

import pytest

from drive_seg.sources.pace import Pace
from tests.waiting import PATIENCE_S


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_pause_shifts_the_schedule() -> None:
    clock = Clock()
    pace = Pace(realtime=True, clock=clock)
    assert pace.wait_for(7.0)  # the first frame's time is where the file begins
    clock.now_s += 1
    pace.pause()
    clock.now_s += 60
    pace.resume()
    assert pace._wait_s(8.5) == pytest.approx(0.5)
    clock.now_s += 2
    assert pace._wait_s(8.5) == 0


def test_single_waits_that_are_too_long_do_not_add_up() -> None:
    clock = Clock()
    pace = Pace(realtime=True, clock=clock)
    assert pace.wait_for(0.0)
    for index in range(1, 30):
        clock.now_s += (wait_s := pace._wait_s(index / 10) or 0) + 0.02
        assert wait_s == pytest.approx(0.1 if index == 1 else 0.08)
    assert clock.now_s == pytest.approx(100 + 2.9 + 0.02)


def test_it_plays_on_from_the_frame_stepped_to() -> None:
    clock = Clock()
    pace = Pace(realtime=True, clock=clock)
    assert pace.wait_for(0.0)
    pace.step()
    clock.now_s += 5
    assert pace.wait_for(0.5)
    clock.now_s += 5
    pace.resume()
    assert pace._wait_s(0.6) == pytest.approx(0.1)


def test_a_jump_refuses_the_frame_that_waits_and_all_until_it_arrives() -> None:
    pace = Pace(realtime=True, clock=Clock())
    assert pace.wait_for(0.0)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(pace.wait_for(50.0)))
    waiting.start()
    pace.jump()
    waiting.join(PATIENCE_S)
    assert answers == [False]
    assert not pace.wait_for(0.0)
    pace.arrive()
    assert pace.wait_for(1000.0)


@pytest.mark.parametrize("arrived_s", [1000.0, 0.0])
def test_the_schedule_begins_with_the_frame_arrived_at(arrived_s: float) -> None:
    clock = Clock()
    pace = Pace(realtime=True, clock=clock)
    assert pace.wait_for(500.0)
    pace.jump()
    clock.now_s += 3
    pace.arrive()
    clock.now_s += 1  # decoding
    assert pace.wait_for(arrived_s)
    assert pace._wait_s(arrived_s + 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(("before", "after"), [(1.0, 2.0), (8.0, 0.1), (0.1, 8.0)])
def test_a_change_of_speed_in_the_middle_neither_jumps_nor_stalls(before: float, after: float) -> None:
    clock = Clock()
    pace = Pace(realtime=True, clock=clock)
    pace.speed = before
    assert pace.wait_for(10.0)
    assert pace._wait_s(12.0) == pytest.approx(2 / before)
    clock.now_s += 0.5 / before
    pace.speed = after
    assert pace._wait_s(12.0) == pytest.approx(1.5 / after)
    clock.now_s += 1.5 / after
    assert pace._wait_s(12.0) == pytest.approx(0, abs=1e-9)
    assert pace._wait_s(13.0) == pytest.approx(1 / after)


def test_turning_the_speed_all_the_time_does_not_hold_a_frame_back() -> None:
    clock = Clock()
    pace = Pace(realtime=True, clock=clock)
    assert pace.wait_for(0.0)
    for _ in range(100):
        clock.now_s += 0.01
        pace.speed = 1.0
    assert pace._wait_s(1.0) == pytest.approx(0, abs=1e-9)


def test_a_speed_set_during_a_pause_counts_from_where_it_paused() -> None:
    clock = Clock()
    pace = Pace(realtime=True, clock=clock)
    assert pace.wait_for(0.0)
    clock.now_s += 1
    pace.pause()
    clock.now_s += 60
    pace.speed = 2.0
    clock.now_s += 60
    pace.resume()
    assert pace._wait_s(3.0) == pytest.approx(1.0)


def test_a_reader_that_could_not_follow_does_not_hurry_at_the_new_speed() -> None:
    clock = Clock()
    pace = Pace(realtime=True, clock=clock)
    pace.speed = 8.0
    for number in range(11):  # a second is decoded in one, not in an eighth
        assert pace.wait_for(number * 0.1)
        clock.now_s += 0.1
    pace.speed = 1.0
    assert 0 <= pace._wait_s(1.9) <= 1.0  # type: ignore[operator]
    assert pace._wait_s(1.9) > 0.05  # type: ignore[operator]
