"""The capture thread: which frames come and when, pausing and stepping, and how it ends."""

import threading
import time
from collections.abc import Callable

import pytest

from drive_seg.errors import SourceError
from drive_seg.sources import capture as module
from drive_seg.sources.capture import Capture, Pace
from drive_seg.workers import Overflow
from tests.fakes import FakeSource


def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)


def no_capture_thread() -> bool:
    return "capture" not in {thread.name for thread in threading.enumerate()}


def test_waiting_loses_nothing() -> None:
    source = FakeSource(20)
    with Capture(source, Overflow.WAIT, realtime=False) as capture:
        indices = []
        for frame in capture:
            time.sleep(0.001)
            indices.append(frame.index)
        assert capture.state == "ended"
    assert indices == list(range(20))
    assert capture.dropped == 0
    assert source.closed
    assert no_capture_thread()


def test_dropping_keeps_the_newest_and_counts() -> None:
    source = FakeSource(20)
    with Capture(source, Overflow.DROP_OLDEST, realtime=False) as capture:
        until(lambda: capture.state == "ended")
        assert [frame.index for frame in capture] == [19]
        assert capture.dropped == 19


def test_one_frame_is_read_ahead_no_more() -> None:
    source = FakeSource(20)
    with Capture(source, Overflow.WAIT, realtime=False) as capture:
        assert next(iter(capture)).index == 0
        until(lambda: source.reads == 3)  # one waits in the mailbox, one in the thread's hand
        time.sleep(0.05)
        assert source.reads == 3


def test_a_file_keeps_its_pace_without_drift() -> None:
    with Capture(FakeSource(16, fps=40), Overflow.WAIT, realtime=True) as capture:
        arrivals = {frame.index: time.monotonic() for frame in capture}
    late_s = [arrivals[index] - arrivals[0] - index / 40 for index in arrivals]
    assert list(arrivals) == list(range(16))
    assert min(late_s) > -0.1  # the first may have come late
    assert sorted(late_s)[8] < 0.05
    assert late_s[-1] < 0.2  # an absolute schedule: single waits do not add up


def test_without_realtime_a_file_is_not_held() -> None:
    start = time.monotonic()
    with Capture(FakeSource(50, fps=1), Overflow.WAIT, realtime=False) as capture:
        assert len(list(capture)) == 50
    assert time.monotonic() - start < 5


def test_a_live_source_is_never_held() -> None:
    start = time.monotonic()
    with Capture(FakeSource(5, fps=0.01, live=True), Overflow.WAIT, realtime=True) as capture:
        assert len(list(capture)) == 5
    assert time.monotonic() - start < 5


def test_a_slow_viewer_of_a_paced_file_loses_frames_not_time() -> None:
    with Capture(FakeSource(20, fps=50), Overflow.DROP_OLDEST, realtime=True) as capture:
        indices = []
        for frame in capture:
            indices.append(frame.index)
            time.sleep(0.08)
    assert len(indices) < 15
    assert indices[-1] == 19
    assert len(indices) + capture.dropped == 20


def test_pause_step_resume() -> None:
    source = FakeSource(200, fps=100)
    with Capture(source, Overflow.WAIT, realtime=True) as capture:
        seen: list[int] = []
        viewer = threading.Thread(target=lambda: seen.extend(frame.index for frame in capture))
        viewer.start()
        until(lambda: len(seen) >= 3)
        capture.pause()
        assert capture.paused
        time.sleep(0.1)
        before = len(seen)
        assert source.reads <= before + 1  # the file stands still, at most one frame further
        capture.step()
        until(lambda: len(seen) == before + 1)
        time.sleep(0.05)
        assert len(seen) == before + 1
        capture.resume()
        assert not capture.paused
        until(lambda: len(seen) >= before + 5)
    viewer.join(5)
    assert seen == list(range(len(seen)))


def test_a_paused_camera_goes_on_unseen() -> None:
    gate = threading.Semaphore(0)

    class Camera(FakeSource):
        def read(self):  # type: ignore[no-untyped-def]
            assert gate.acquire(timeout=5)
            return super().read()

    source = Camera(100, live=True)
    with Capture(source, Overflow.DROP_OLDEST, realtime=True) as capture:
        frames = iter(capture)
        gate.release()
        assert next(frames).index == 0
        capture.pause()
        gate.release(30)
        until(lambda: source.reads == 31)
        capture.step()
        gate.release()
        assert next(frames).index == 31
        capture.resume()
        gate.release()
        assert next(frames).index == 32
        assert capture.dropped == 0
        capture.pause()
        gate.release(100)


def test_a_broken_source_ends_with_its_error_after_what_it_gave() -> None:
    with Capture(FakeSource(3, error=SourceError("fake: cut short")), Overflow.WAIT, realtime=False) as capture:
        indices: list[int] = []
        with pytest.raises(SourceError, match="fake: cut short"):
            indices.extend(frame.index for frame in capture)
        assert capture.state == "failed"
    assert indices == [0, 1, 2]
    assert no_capture_thread()


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (SourceError("fake: nothing"), SourceError, "^fake: nothing$"),
        (TimeoutError("timed out"), SourceError, "^fake: timed out; check"),
        (ZeroDivisionError("a bug"), ZeroDivisionError, "a bug"),  # bugs keep their traceback
    ],
)
def test_the_first_frame_may_already_fail(error: Exception, expected: type[Exception], message: str) -> None:
    with Capture(FakeSource(0, error=error), Overflow.WAIT, realtime=True) as capture, pytest.raises(expected, match=message):
        next(iter(capture))


def test_a_source_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL_LIMIT_S", 0.1)
    monkeypatch.setattr(module, "CLOSE_LIMIT_S", 0.1)
    source = FakeSource(1, hang=True)
    with Capture(source, Overflow.WAIT, realtime=False) as capture:
        frames = iter(capture)
        assert next(frames).index == 0
        with pytest.raises(SourceError, match=r"fake: no frame for .* s; check its cable"):
            next(frames)
        assert capture.state == "failed"
    source.released.set()
    until(no_capture_thread)
    assert source.closed


def test_closing_while_a_paced_frame_waits() -> None:
    source = FakeSource(5, fps=0.01)
    with Capture(source, Overflow.WAIT, realtime=True) as capture:
        assert next(iter(capture)).index == 0
        start = time.monotonic()
    assert time.monotonic() - start < 2
    assert source.closed
    assert no_capture_thread()
    assert list(capture) == []


def test_closing_while_paused_or_full() -> None:
    paused = Capture(FakeSource(5), Overflow.WAIT, realtime=False)
    paused.pause()
    full = Capture(FakeSource(5), Overflow.WAIT, realtime=False)
    for capture in (paused, full):
        capture.close()
        capture.close()
    assert no_capture_thread()


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
