"""Mailboxes are bounded, lose what they promise to lose, and never leave anyone waiting."""

import os
import signal
import threading
import time

import pytest

from drive_seg.workers import Closed, Mailbox, Overflow, Worker, ended_by_signals


def test_drop_oldest_keeps_the_newest_and_counts_the_rest() -> None:
    box: Mailbox[int] = Mailbox(2, Overflow.DROP_OLDEST)
    for i in range(5):
        box.put(i)
    assert (box.get(), box.get(), box.dropped) == (3, 4, 3)


def test_wait_loses_nothing() -> None:
    box: Mailbox[int] = Mailbox(1, Overflow.WAIT)

    def send() -> None:
        for i in range(50):
            box.put(i)
        box.close()

    sender = Worker("sender", send).start()
    assert list(box) == list(range(50))
    sender.join(1)
    assert box.dropped == 0


def test_the_receiver_gets_what_was_sent_and_then_the_error() -> None:
    box: Mailbox[int] = Mailbox(2, Overflow.WAIT)
    box.put(1)
    box.close(OSError("lens fell off"))
    assert box.get() == 1
    with pytest.raises(OSError, match="lens"):
        box.get()


def test_a_closed_mailbox_takes_nothing_and_a_waiting_sender_is_sent_off() -> None:
    box: Mailbox[int] = Mailbox(1, Overflow.WAIT)
    box.put(1)
    sender = Worker("sender", lambda: box.put(2)).start()
    time.sleep(0.02)
    assert sender.alive
    box.discard()
    sender.join(1)
    with pytest.raises(Closed):
        box.put(3)


def test_get_gives_up_in_time() -> None:
    with pytest.raises(TimeoutError):
        Mailbox[int](1, Overflow.WAIT).get(0.01)


def test_take_newest_forgets_the_older_ones() -> None:
    box: Mailbox[int] = Mailbox(3, Overflow.DROP_OLDEST)
    for i in range(3):
        box.put(i)
    assert (box.take_newest(), box.take_newest()) == (2, None)


def test_a_worker_keeps_its_error_for_who_joins() -> None:
    seen: list[BaseException] = []

    def fail() -> None:
        raise ValueError("broken")

    worker = Worker("w", fail, seen.append).start()
    with pytest.raises(ValueError, match="broken"):
        worker.join(1)
    assert [str(error) for error in seen] == ["broken"]
    assert worker.ended


def test_a_worker_that_hangs_is_named() -> None:
    release = threading.Event()
    worker = Worker("sleepy", lambda: release.wait(5) and None).start()
    with pytest.raises(TimeoutError, match="sleepy"):
        worker.join(0.01)
    release.set()
    worker.join(1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_calls_close_once_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    calls: list[int] = []
    with ended_by_signals(lambda: calls.append(1)):
        os.kill(os.getpid(), number)
        assert calls == [1]
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before
