"""Mailboxes are bounded, lose what they promise to lose, and never leave anyone waiting."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from drive_seg.workers import Apart, Closed, Mailbox, Overflow, Worker, clocked, ended_by_signals, on_all_cpus
from tests.waiting import PATIENCE_S, until


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
    sender.join(PATIENCE_S)
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
    sender.join(PATIENCE_S)
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
        worker.join(PATIENCE_S)
    assert [str(error) for error in seen] == ["broken"]
    assert worker.ended


def test_a_worker_that_hangs_is_named() -> None:
    release = threading.Event()
    worker = Worker("sleepy", lambda: release.wait(PATIENCE_S) and None).start()
    with pytest.raises(TimeoutError, match="sleepy"):
        worker.join(0.01)
    release.set()
    worker.join(PATIENCE_S)


@pytest.mark.parametrize("number", [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)])
def test_a_signal_calls_close_once_and_the_handlers_come_back(number: signal.Signals) -> None:
    if (before := signal.getsignal(number)) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as behind nohup, and stays so")
    calls: list[int] = []
    with ended_by_signals(calls.append):
        os.kill(os.getpid(), number)
        assert calls == [number]
    assert signal.getsignal(number) is before


def test_what_is_said_is_told_again_with_the_seconds_until_it_is_over() -> None:
    told: list[str] = []
    with clocked(told.append, every_s=0.01) as say:
        assert told == []
        say("building")
        until(lambda: len(told) >= 3)
    count = len(told)
    assert all(re.fullmatch(r"building, \d+ s", line) for line in told)
    time.sleep(0.05)
    assert len(told) == count


def test_what_refuses_to_be_told_later_ends_the_work_with_what_is_said_next() -> None:
    entered = threading.Event()

    def tell(line: str) -> None:
        if threading.current_thread() is not threading.main_thread():
            entered.set()
            raise Closed

    with clocked(tell, every_s=0.01) as say:
        say("building")
        assert entered.wait(PATIENCE_S)
        until(lambda: "clock" not in {thread.name for thread in threading.enumerate()})
        with pytest.raises(Closed):
            say("still building")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no thread on a CPU")
def test_threads_may_run_anywhere_though_a_pinned_one_starts_them() -> None:
    everywhere, found = os.sched_getaffinity(0), list[set[int]]()
    apart = Apart()
    apart._cpus = sorted(everywhere)  # as on a machine of two

    def start() -> None:
        apart.first()
        for release in (lambda: None, apart.release):
            with on_all_cpus():
                Worker("new", lambda: found.append(os.sched_getaffinity(0))).start().join(PATIENCE_S)
                release()
            found.append(os.sched_getaffinity(0))

    Worker("kept", start).start().join(PATIENCE_S)
    assert found == [everywhere, {min(everywhere)}, everywhere, everywhere]


STUCK = """
import hashlib, sys
from drive_seg.workers import ended_by_signals
with ended_by_signals(lambda _: None, lambda: print("salvaged", flush=True)):
    print("ready", flush=True)
    if sys.argv[1] == "library":  # which neither comes back nor lets Python handle a signal
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
    while True:
        pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals")
@pytest.mark.parametrize("where", ["python", "library"])
@pytest.mark.parametrize(("first", "second"), [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_a_second_signal_ends_the_process_whatever_the_main_thread_does(where: str, first: signal.Signals, second: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK, where], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(first)
            until(lambda: not pending(process.pid, first))  # two of a kind that wait would be one
            process.send_signal(second)
            assert process.communicate(timeout=PATIENCE_S)[0] == "salvaged\n"
            assert process.returncode == 128 + second
        finally:
            process.kill()


def pending(pid: int, number: signal.Signals) -> bool:
    """Whether the process has not been handed the signal yet."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return False
    fields = dict(line.split(":\t") for line in status.read_text().splitlines() if line.startswith(("SigPnd", "ShdPnd")))
    return any(int(mask, 16) >> (number - 1) & 1 for mask in fields.values())
