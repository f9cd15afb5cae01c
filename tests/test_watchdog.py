"""Which steps are told to hang, and which are not."""

import os
import signal
import subprocess
import sys
import threading
import weakref

import pytest

from drive_seg import watchdog
from drive_seg.errors import BackendError
from drive_seg.watchdog import Aside, Watched
from tests.waiting import PATIENCE_S, until


def test_a_step_that_does_not_end_is_told_once_by_its_name() -> None:
    told: list[str] = []
    with Watched(told.append, 0.05) as watched:
        watched.begin("low")
        until(lambda: told)
        assert watched.hangs == "low did not end within 0.05 s"
        assert watchdog.hanging()
        for _ in range(20):
            watched.count(1.0)
        watched.end()
        assert not watched.hangs
        assert not watchdog.hanging()
    assert told == ["low did not end within 0.05 s"]


def test_many_short_steps_are_not_one_long_one() -> None:
    told: list[str] = []
    watched = Watched(told.append, 1.0)
    for _ in range(50):
        watched.begin("low")
        watched.count(0.9)
    watched.end()
    watched.count(2.0)
    assert not told
    watched.begin("low")
    watched.count(0.9)
    watched.count(0.9)
    until(lambda: told)


def test_the_thread_is_there_while_something_is_watched() -> None:
    def is_there() -> bool:
        return "watchdog" in {thread.name for thread in threading.enumerate()}

    one, other = Watched(lambda _: None), Watched(lambda _: None)
    before = is_there()
    for _ in range(3):
        one.watch()
        other.watch()
        assert is_there()
        one.leave()
        assert is_there()
        other.leave()
        other.leave()
        assert is_there() == before


def test_a_caller_gets_what_is_made_aside_and_what_is_raised_there() -> None:
    with Aside("aside", BackendError) as aside:
        assert aside(lambda: threading.current_thread().name) == "aside"
        with pytest.raises(ZeroDivisionError):
            aside(lambda: 1 // 0)
        assert aside(lambda: 2) == 2
    assert "aside" not in {thread.name for thread in threading.enumerate()}


def test_a_caller_does_not_hang_with_what_is_done_aside() -> None:
    release = threading.Event()

    def stage() -> str:
        aside.watched.begin("low")
        release.wait(PATIENCE_S)
        return "too late"

    aside = Aside("aside", BackendError, 0.05)
    assert aside(lambda: "soon") == "soon"
    for _ in range(2):
        with pytest.raises(BackendError, match=r"low did not end within 0\.05 s"):
            aside(stage)
    aside.close()
    assert aside.hangs
    assert watchdog.hanging()
    release.set()
    until(lambda: "aside" not in {thread.name for thread in threading.enumerate()})
    assert not watchdog.hanging()


def test_what_is_made_aside_is_not_held_there() -> None:
    class Picture:
        pass

    with Aside("aside", BackendError) as aside:
        found = weakref.ref(aside(Picture))
        until(lambda: found() is None)


STOPPED = """
import sys
from drive_seg.watchdog import Watched
with Watched(lambda text: print(text, flush=True), 2.0) as watched:
    watched.begin("low")
    print("begun", flush=True)
    sys.stdin.readline()
    watched.end()
    print("ended", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP")
def test_the_time_in_which_the_process_is_stopped_is_not_the_steps() -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            os.kill(process.pid, signal.SIGSTOP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2.5)
            os.kill(process.pid, signal.SIGCONT)
            assert process.communicate("\n", timeout=PATIENCE_S)[0] == "ended\n"
        finally:
            process.kill()
