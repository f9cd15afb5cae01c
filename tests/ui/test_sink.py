import threading

import pytest

from drive_seg.sinks.window import WindowSink
from drive_seg.workers import Closed
from tests.fakes import make_result


def test_one_call_until_taken_and_the_newest_only() -> None:
    calls: list[int] = []
    sink = WindowSink(lambda: calls.append(1))
    for index in range(100):
        sink.put(make_result(index))
    assert len(calls) == 1
    newest = sink.take()
    assert newest is not None
    assert newest.frame.index == 99
    assert sink.take() is None
    sink.put(make_result(100))
    assert len(calls) == 2


def test_numbers_count_every_result() -> None:
    now_s = iter([0.00, 0.01, 0.02, 0.02])
    sink = WindowSink(clock_s=lambda: next(now_s))
    for index in range(3):
        sink.put(make_result(index))
    assert sink.numbers().count == 3


def test_no_result_is_left_untold() -> None:
    """A taker that sleeps between calls still ends with the last result."""
    told = threading.Event()
    sink = WindowSink(told.set)
    seen = -1

    def send() -> None:
        for index in range(2000):
            sink.put(make_result(index))

    sender = threading.Thread(target=send)
    sender.start()
    while seen < 1999:
        assert told.wait(5)
        told.clear()
        if result := sink.take():
            assert result.frame.index > seen
            seen = result.frame.index
    sender.join()


def test_closed_sink_refuses() -> None:
    sink = WindowSink()
    sink.close()
    sink.close()
    with pytest.raises(Closed):
        sink.put(make_result())
