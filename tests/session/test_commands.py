"""What was asked for and not done yet: the newest of each kind counts, and nonsense is refused at once."""

import threading
import time

import pytest

from drive_seg.errors import UsageError
from drive_seg.session.commands import Commands, checked
from tests.waiting import PATIENCE_S


def test_the_newest_of_each_kind_is_taken_once_and_changes_are_merged() -> None:
    commands = Commands()
    commands.put("seek", 3)
    commands.put("change", {"schedule": "clockwork:2", "mode": "sync"})
    commands.put("seek", 7)
    commands.put("change", {"schedule": "clockwork:3"})
    commands.put("compare", {"schedule": "every-frame"})
    commands.put("compare", {"mode": "async"})  # another comparison, not both at once
    commands.put("audit", False)
    assert commands.take() == {
        "seek": 7, "change": {"schedule": "clockwork:3", "mode": "sync"}, "compare": {"mode": "async"}, "audit": False,
    }  # fmt: skip
    assert commands.take() == {}
    commands.put("change", {"loop": True})
    assert commands.take() == {"change": {"loop": True}}


def test_who_waits_is_woken_by_a_command_and_else_by_the_clock() -> None:
    commands, woken = Commands(), threading.Event()
    start_s = time.monotonic()
    commands.wait(0.05)
    assert time.monotonic() - start_s >= 0.05

    def wait() -> None:
        commands.wait(PATIENCE_S)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    commands.put("refresh", None)
    assert woken.wait(PATIENCE_S / 2)
    thread.join()
    start_s = time.monotonic()
    commands.wait(PATIENCE_S)  # one is there already
    assert time.monotonic() - start_s < PATIENCE_S / 2


def test_a_change_is_read_as_the_settings_are() -> None:
    known = {"schedule", "threads", "mode"}
    assert checked({"threads": "2"}, known) == {"threads": 2}
    assert checked({"schedule": "clockwork:2"}, known) == {"schedule": "clockwork:2", "replay": None}  # which would decide in its place
    with pytest.raises(UsageError, match=r"^loop, output: cannot be changed while it plays; mode, schedule, threads can$"):
        checked({"output": "x.mp4", "loop": True, "mode": "sync"}, known)
    with pytest.raises(UsageError, match="sometimes: no such schedule"):
        checked({"schedule": "sometimes"}, known)
