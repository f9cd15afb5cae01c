"""The capture thread: which frames come and when, pausing, stepping, seeking and looping, and how it ends."""

import random
import threading
import time

import pytest

from drive_seg.contracts import Frame
from drive_seg.errors import SourceError, UsageError
from drive_seg.sources import capture as module
from drive_seg.sources.capture import Capture
from drive_seg.workers import Closed, Overflow
from tests.fakes import FakeFile, FakeSource
from tests.waiting import PATIENCE_S, until

AGES = 1 / (10 * PATIENCE_S)  # frames a second: whoever waited for the second frame's time would be given up


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


def test_no_frame_of_a_file_comes_before_its_time_and_its_way_begins_then() -> None:
    start_s, begun_s = time.monotonic(), time.perf_counter()
    with Capture(FakeSource(16, fps=40), Overflow.WAIT, realtime=True) as capture:
        arrivals = [(frame, time.monotonic()) for frame in capture]
    assert [frame.index for frame, _ in arrivals] == list(range(16))
    for frame, arrived_s in arrivals:
        assert arrived_s >= start_s + frame.time_s
        assert frame.captured_s >= begun_s + frame.time_s  # though it was read before


def test_without_realtime_a_file_is_not_held() -> None:
    with Capture(FakeSource(50, fps=AGES), Overflow.WAIT, realtime=False) as capture:
        assert len(come(capture, 50)) == 50


def test_a_live_source_is_never_held() -> None:
    with Capture(FakeSource(5, fps=AGES, live=True), Overflow.WAIT, realtime=True) as capture:
        assert len(come(capture, 5)) == 5


def test_a_slow_viewer_of_a_paced_file_loses_frames_not_time() -> None:
    with Capture(FakeSource(20, fps=50), Overflow.DROP_OLDEST, realtime=True) as capture:
        indices = []
        for frame in capture:
            indices.append(frame.index)
            before = capture.dropped
            until(lambda: capture.dropped > before or capture.state == "ended")  # noqa: B023
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
        capture.pace.pause()
        assert capture.pace.paused
        until(lambda: source.reads == len(seen) + 1)  # what was under way has come
        time.sleep(0.1)
        before = len(seen)
        assert source.reads <= before + 1  # the file stands still, at most one frame further
        capture.pace.step()
        until(lambda: len(seen) == before + 1)
        time.sleep(0.05)
        assert len(seen) == before + 1
        capture.pace.resume()
        assert not capture.pace.paused
        until(lambda: len(seen) >= before + 5)
    viewer.join(PATIENCE_S)
    assert seen == list(range(len(seen)))


def test_a_paused_camera_goes_on_unseen() -> None:
    gate = threading.Semaphore(0)

    class Camera(FakeSource):
        def read(self):  # type: ignore[no-untyped-def]
            assert gate.acquire(timeout=PATIENCE_S)
            return super().read()

    source = Camera(100, live=True)
    with Capture(source, Overflow.DROP_OLDEST, realtime=True) as capture:
        frames = iter(capture)
        gate.release()
        first = next(frames)
        assert (first.index, first.segment) == (0, 0)
        capture.pace.pause()
        gate.release(30)
        until(lambda: source.reads == 31)
        capture.pace.step()
        gate.release()
        stepped = next(frames)
        assert (stepped.index, stepped.segment) == (31, 1)  # what went on unseen was jumped over
        capture.pace.resume()
        gate.release()
        resumed = next(frames)
        assert (resumed.index, resumed.segment) == (32, 1)
        assert capture.dropped == 0
        capture.pace.pause()
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


@pytest.mark.parametrize("live", [True, False])
def test_a_source_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, live: bool) -> None:
    monkeypatch.setattr(module, "CLOSE_LIMIT_S", 0.1)
    source = FakeSource(1, hang=True, live=live)
    with Capture(source, Overflow.WAIT, realtime=False, limit_s=0.1) as capture:
        frames = iter(capture)
        assert next(frames).index == 0
        with pytest.raises(SourceError, match=r"fake: reading a frame did not end within 0.1 s; check its cable"):
            next(frames)
        assert capture.state == "failed"
    source.released.set()
    until(no_capture_thread)
    assert source.closed


def test_a_file_that_takes_longer_than_a_camera_may_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIVE_LIMIT_S", 0.01)
    source = FakeSource(1, hang=True)
    with Capture(source, Overflow.WAIT, realtime=False) as capture:
        assert following(capture).index == 0
        assert capture.next(0.1) is None  # looked at many times
        source.released.set()
        with pytest.raises(Closed):
            capture.next(PATIENCE_S)


def test_closing_while_a_paced_frame_waits() -> None:
    source = FakeSource(5, fps=AGES)
    with Capture(source, Overflow.WAIT, realtime=True) as capture:
        assert next(iter(capture)).index == 0
    until(no_capture_thread)
    assert source.closed
    assert list(capture) == []


def test_closing_while_paused_or_full() -> None:
    paused = Capture(FakeSource(5), Overflow.WAIT, realtime=False)
    paused.pace.pause()
    full = Capture(FakeSource(5), Overflow.WAIT, realtime=False)
    for capture in (paused, full):
        capture.close()
        capture.close()
    assert no_capture_thread()


def following(capture: Capture) -> Frame:
    frame = capture.next(PATIENCE_S)
    assert frame is not None
    return frame


def come(capture: Capture, count: int) -> list[tuple[int, int]]:
    """Index and take of the next frames."""
    return [(frame.index, frame.segment) for frame in (following(capture) for _ in range(count))]


def test_next_waits_as_long_as_told_and_tells_the_end_from_nothing_yet() -> None:
    with Capture(FakeSource(2), Overflow.WAIT, realtime=False) as capture:
        assert come(capture, 2) == [(0, 0), (1, 0)]
        with pytest.raises(Closed):
            capture.next(PATIENCE_S)
    with Capture(FakeSource(2), Overflow.WAIT, realtime=False, stay=True) as capture:
        come(capture, 2)
        until(lambda: capture.state == "ended")
        start = time.monotonic()
        assert capture.next(0.4) is None
        assert time.monotonic() - start > 0.35
    with pytest.raises(Closed):
        capture.next(PATIENCE_S)
    assert no_capture_thread()


@pytest.mark.parametrize("overflow", list(Overflow))
def test_no_older_frame_comes_after_a_seek(overflow: Overflow) -> None:
    chance = random.Random(0)
    with Capture(FakeFile(1000), overflow, realtime=False, stay=True) as capture:
        for number in range(1, 200):
            target = chance.randrange(900)
            capture.seek(target)
            first = following(capture)
            assert first.segment == number
            assert first.image[0, 0, 0] == first.index % 256
            assert first.index == target if overflow is Overflow.WAIT else first.index >= target
            time.sleep(chance.choice([0, 0, 0.001]))


def test_the_newest_of_many_wishes_counts_and_takes_never_fall() -> None:
    source = FakeFile(1000)
    with Capture(source, Overflow.WAIT, realtime=False) as capture:
        targets = [number * 7 % 900 for number in range(200)]
        asking = threading.Thread(target=lambda: [capture.seek(index) for index in targets])
        asking.start()
        frames = [following(capture) for _ in range(100)]
        asking.join()
        while frames[-1].segment < len(targets):
            frames.append(following(capture))
    segments = [frame.segment for frame in frames]
    assert segments == sorted(segments)
    assert next(frame.index for frame in frames if frame.segment == len(targets)) == targets[-1]
    assert source.seeked[-1] == targets[-1]


def test_a_wish_during_a_slow_seek_replaces_it() -> None:
    class Slow(FakeFile):
        gate = threading.Semaphore(0)

        def seek(self, index: int) -> None:
            super().seek(index)
            assert self.gate.acquire(timeout=PATIENCE_S)

    source = Slow(100)
    with Capture(source, Overflow.WAIT, realtime=False) as capture:
        following(capture)
        capture.seek(10)
        until(lambda: source.seeked == [10])
        capture.seek(20)
        capture.seek(30)
        source.gate.release(5)
        assert come(capture, 2) == [(30, 3), (31, 3)]
        assert source.seeked == [10, 30]


@pytest.mark.parametrize("realtime", [True, False])
def test_while_paused_a_seek_shows_exactly_that_frame(realtime: bool) -> None:
    source = FakeFile(1000, fps=200)
    with Capture(source, Overflow.WAIT, realtime) as capture:
        come(capture, 3)
        capture.pace.pause()
        for number, target in enumerate((500, 20, 21, 20, 999), 1):
            capture.seek(target)
            assert come(capture, 1) == [(target, number)]
            assert capture.next(0.02) is None
        assert capture.pace.paused
        capture.seek(30)
        capture.pace.step()
        assert come(capture, 2) == [(30, 6), (31, 6)]
        assert capture.next(0.02) is None
        capture.pace.resume()
        assert come(capture, 2) == [(32, 6), (33, 6)]


def test_steps_before_a_seek_are_forgotten_and_a_pause_after_it_does_not_hold_its_frame() -> None:
    with Capture(FakeFile(1000, fps=0.01), Overflow.WAIT, realtime=True) as capture:
        come(capture, 1)
        capture.seek(10)
        capture.pace.pause()
        assert come(capture, 1) == [(10, 1)]
        assert capture.next(0.05) is None


def test_far_away_in_time_nothing_is_waited_for_and_nothing_hurried() -> None:
    with Capture(FakeFile(100_000, fps=20), Overflow.WAIT, realtime=True) as capture:
        come(capture, 2)
        for target in (90_000, 5):
            start = time.monotonic()
            capture.seek(target)
            assert following(capture).index == target
            come(capture, 4)
            assert time.monotonic() - start > 3.5 / 20


def test_at_its_end_it_stays_and_a_seek_goes_on_from_there() -> None:
    source = FakeFile(5, fps=200)
    with Capture(source, Overflow.WAIT, realtime=True, stay=True) as capture:
        assert [index for index, _ in come(capture, 5)] == [0, 1, 2, 3, 4]
        until(lambda: capture.state == "ended")
        assert not source.closed
        capture.seek(3)
        assert come(capture, 2) == [(3, 1), (4, 1)]
        until(lambda: capture.state == "ended")
        capture.pace.pause()
        capture.seek(0)
        assert come(capture, 1) == [(0, 2)]
        assert capture.next(0.05) is None
        assert capture.state == "playing"
        capture.pace.resume()
        assert [index for index, _ in come(capture, 4)] == [1, 2, 3, 4]
    assert source.closed
    assert no_capture_thread()


def test_an_error_ends_also_what_stays() -> None:
    with Capture(FakeSource(1, error=SourceError("fake: cut short")), Overflow.WAIT, realtime=False, stay=True) as capture:
        following(capture)
        with pytest.raises(SourceError, match="cut short"):
            capture.next(PATIENCE_S)


def test_looping_is_a_seek_to_the_start_of_which_no_frame_is_lost() -> None:
    source, start = FakeFile(3, fps=100), time.monotonic()
    with Capture(source, Overflow.WAIT, realtime=True) as capture:
        capture.looping = True
        assert come(capture, 7) == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2)]
        assert time.monotonic() - start > 0.055  # the last frame of a round has its time too
        capture.seek(1)
        capture.looping = False
        assert [(frame.index, frame.segment) for frame in capture] == [(1, 3), (2, 3)]


def test_paused_on_the_last_frame_it_does_not_begin_anew() -> None:
    with Capture(FakeFile(3), Overflow.WAIT, realtime=False) as capture:
        capture.looping = True
        capture.pace.pause()
        capture.seek(2)
        assert following(capture).index == 2
        assert capture.next(0.05) is None
        capture.pace.step()
        assert following(capture).index == 0
        assert capture.next(0.05) is None


def test_loop_that_is_wished_for_at_the_end_begins_anew() -> None:
    with Capture(FakeFile(2), Overflow.WAIT, realtime=False, stay=True) as capture:
        come(capture, 2)
        until(lambda: capture.state == "ended")
        capture.looping = True
        assert come(capture, 3) == [(0, 1), (1, 1), (0, 2)]


def test_a_file_without_a_frame_is_not_looped_in_vain() -> None:
    with Capture(FakeFile(0), Overflow.WAIT, realtime=False) as capture:
        capture.looping = True
        with pytest.raises(Closed):
            capture.next(PATIENCE_S)


def test_a_live_source_refuses_to_seek_in_words() -> None:
    with Capture(FakeSource(5, live=True), Overflow.WAIT, realtime=True) as capture:
        assert not capture.seekable
        with pytest.raises(UsageError, match=r"^fake: cannot seek; only"):
            capture.seek(2)
        assert following(capture).segment == 0


def test_a_speed_that_cannot_be_played_is_refused() -> None:
    start = time.monotonic()
    with Capture(FakeFile(400, fps=50), Overflow.WAIT, realtime=True) as capture:
        assert capture.pace.speed == 1
        for factor in (0, 0.05, 9, float("nan")):
            with pytest.raises(UsageError, match=r"give one from 0\.1 to 8"):
                capture.pace.speed = factor
        capture.pace.speed = 8
        come(capture, 81)
        assert time.monotonic() - start > 0.15  # of 1.6 s
        assert capture.pace.speed == 8


def test_a_source_that_breaks_in_a_seek_says_so() -> None:
    class Broken(FakeFile):
        def seek(self, index: int) -> None:
            raise SourceError("fake: is gone")

    with Capture(Broken(), Overflow.WAIT, realtime=False, stay=True) as capture:
        capture.seek(2)
        with pytest.raises(SourceError, match="fake: is gone"):
            list(capture)
