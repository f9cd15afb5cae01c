"""A camera of several that fails, hangs, or is not there yet: it is opened again, and what is read goes on."""

import threading
from collections.abc import Callable, Iterator

import pytest

from drive_seg.contracts import Source
from drive_seg.errors import SourceError
from drive_seg.sources.reopened import Reopened
from tests.fakes import FakeSource
from tests.waiting import until


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.sources.reopened.DELAYS_S", (0.0,))


def opening(*made: FakeSource | None) -> Callable[[], Source]:
    """One after the other; None for a time when it is not there."""
    left: Iterator[FakeSource | None] = iter(made)

    def reopen() -> Source:
        if (source := next(left)) is None:
            raise SourceError("camera 7: there is none; plug one in")
        return source

    return reopen


def test_its_frames_are_counted_on_and_nothing_cached_crosses_the_gap() -> None:
    first, second = FakeSource(2, live=True, error=SourceError("unplugged")), FakeSource(2, live=True)
    with Reopened("camera 7", opening(None, None, second), first) as source:
        frames = [source.read() for _ in range(4)]
        assert [(frame.index, frame.segment) for frame in frames if frame] == [(0, 0), (1, 0), (2, 1), (3, 1)]
        times = [frame.time_s for frame in frames if frame]
        assert times == sorted(times)
        assert first.closed
        assert source.note == "camera 7: lost 1 time; check its cable"
        assert (source.state, source.away) == ("playing", None)
    assert second.closed


def test_a_read_that_hangs_is_left_alone_and_its_camera_closed_when_it_comes_back() -> None:
    first, second = FakeSource(1, live=True, hang=True), FakeSource(1, live=True)
    with Reopened("camera 7", opening(second), first, limit_s=0.2) as source:
        frames = [source.read(), source.read()]
        assert [frame.segment for frame in frames if frame] == [0, 1]
        assert not first.closed  # it is read from
        first.released.set()
        until(lambda: first.closed)


def test_one_that_is_not_there_yet_is_waited_for_and_says_so() -> None:
    came = threading.Event()
    made = FakeSource(1, live=True)

    def reopen() -> Source:
        if not came.is_set():
            raise SourceError("nobody there")
        return made

    source, read = Reopened("rtsp://x", reopen, None), list[object]()
    reader = threading.Thread(target=lambda: read.append(source.read()))
    reader.start()
    until(lambda: source.away and source.away.tries > 2)
    assert source.state == "reconnecting"
    came.set()
    reader.join()
    assert len(read) == 1
    assert source.info == made.info
    source.close()


def test_one_that_stays_away_for_too_long_is_given_up_with_the_reason() -> None:
    with Reopened("camera 7", opening(*[None] * 10**6), None, give_up_s=0.05) as source, pytest.raises(SourceError) as raised:
        source.read()
    assert str(raised.value).startswith("camera 7: lost, and opened again in vain ")
    assert str(raised.value).endswith("times; camera 7: there is none; plug one in")


def test_nobody_waits_for_it_any_more_once_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.sources.reopened.DELAYS_S", (10_000.0,))
    source, read = Reopened("camera 7", opening(), None), list[object]()
    reader = threading.Thread(target=lambda: read.append(source.read()))
    reader.start()
    until(lambda: source.away)
    source.interrupt()
    reader.join()
    assert read == [None]
