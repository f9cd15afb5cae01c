"""A run without a window as a terminal sees it: opened, announced, ended by Ctrl-C, with a line that says how far it is."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from rich.markup import escape
from rich.status import Status
from rich.text import Text

from drive_seg.cli.flags import err, out
from drive_seg.contracts import Away, Result
from drive_seg.errors import DriveSegError
from drive_seg.files import drop_begun
from drive_seg.session.observer import Observer
from drive_seg.settings import Settings
from drive_seg.sources.capture import Capture
from drive_seg.workers import Worker, ended_by_signals

if TYPE_CHECKING:
    from drive_seg.session.cameras import Cameras
    from drive_seg.session.player import Player

TELL_S = 60.0
LOOK_S = 0.25  # no break is shorter than two of these
SALVAGE_S = 5.0  # what is still to be written may take so long where the process is ended at once


class Progress(Observer):
    """The line that says how far it is; whoever shows it asks again and again, also while no frame comes."""

    def __init__(self, captures: Sequence[Capture]) -> None:
        self._captures, self._line = captures, "starting …"

    def on_result(self, result: Result, comparison: Result | None) -> None:
        if result.frame.index % 15 == 0:
            self._line = f"frame {result.frame.index}, {result.total_ms:.1f} ms"

    def __rich__(self) -> Text:
        lost = [(f"{away.name} " * (len(self._captures) > 1), away) for one in self._captures if (away := one.away)]
        return Text("; ".join([self._line, *(f"{name}reconnecting since {away.since}, try {away.tries}" for name, away in lost)]))


class Events(Observer):
    """A line for each person who comes into the corridor, or is gone again."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def on_result(self, result: Result, comparison: Result | None) -> None:
        frame, ahead = result.frame, result.ahead
        if ahead and ahead.event:
            row = "" if ahead.person_row is None else f", row {ahead.person_row} of {ahead.size_hw[0]}"
            what = f"person in the corridor{row}" if ahead.event == "begin" else "nobody in the corridor any more"
            self._tell(f"frame {frame.index}, {frame.time_s:.1f} s: {what}")


def said_by(status: Status) -> Callable[[str], None]:
    """Shows a line in the status; where that is no terminal, such as a service's log, the first one and one a minute are printed."""
    log = logged()

    def tell(line: str) -> None:
        status.update(escape(line))
        log(line)

    return tell


def logged() -> Callable[[str], None]:
    """Prints the first line and one a minute, where that is no terminal, which is shown all of them."""
    told_s = -math.inf

    def tell(line: str) -> None:
        nonlocal told_s
        if not err.is_terminal and time.monotonic() - told_s >= TELL_S:
            told_s = time.monotonic()
            print_note(line)

    return tell


@contextmanager
def connection_told(capture: Capture) -> Iterator[None]:
    """In a log, while it is so: that a connection is lost, since when, which try it is; and that there is one again."""
    over = threading.Event()

    def watch() -> None:
        away: Away | None = None
        log = logged()
        while not over.wait(LOOK_S):
            before, away = away, capture.away
            if away:
                log(f"{away.name}: connection lost, reconnecting since {away.since}, try {away.tries}")
            elif before:
                logged()(f"{before.name}: connected again after {time.time() - before.since_s:.0f} s, try {before.tries}")
                log = logged()

    worker = Worker("connection", watch).start()
    try:
        yield
    finally:
        over.set()
        worker.wait(LOOK_S)


@contextmanager
def announced(settings: Settings) -> Iterator["Cameras"]:
    """Opened and announced, to be run. Raises what opening it raises."""
    from drive_seg.session.opening import lost_in_masks, open_cameras
    from drive_seg.session.unlike import Unlike

    with ExitStack() as stack:
        with err.status("opening …") as status:
            cameras = stack.enter_context(open_cameras(settings, said_by(status)))
        close = cameras.close
        stack.enter_context(ended_by_signals(lambda _: close(), lambda: salvage(cameras)))
        cameras.failed = lambda at, error: print_note(f"{cameras.labels[at]}{error}; the others go on")
        progress = Progress(cameras.captures)
        for session, capture, label in zip(cameras.sessions, cameras.captures, cameras.labels, strict=True):
            assert session.pipeline is not None
            tell = partial(_print_labelled, label)
            session.hung = lambda _, error: abandon(error, cameras)
            print_note(f"{label}{capture.source.info.name} · {session.pipeline.headline}")
            session.observers["unlike"] = Unlike(session.pipeline.engine.sure, tell)
            session.observers["progress"] = progress
            session.observers["events"] = Events(tell)
        for note in dict.fromkeys(session.pipeline.engine.note for session in cameras.sessions if session.pipeline):
            print_note(note)
        if settings.save_masks:
            print_note(lost_in_masks(settings))
        stack.enter_context(err.status(progress))
        for capture in cameras.captures:
            stack.enter_context(connection_told(capture))
        yield cameras
        for capture in cameras.captures:
            print_note(getattr(capture.source, "note", ""))  # of damage, of labels that were left out


def _print_labelled(label: str, line: str) -> None:
    print_note(f"{label}{line}")


def abandon(error: DriveSegError, run: "Cameras | None" = None) -> NoReturn:
    """Ends the process, whose main thread hangs: what was recorded until now is kept. Of any thread."""
    err.print(f"drive-seg: {error}", soft_wrap=True, markup=False)
    salvage(run)
    out.file.flush()
    os._exit(error.exit_code)


def salvage(run: "Cameras | Player | None" = None) -> None:
    """Before the process ends at once: completes what was recorded, and removes what is half written."""
    if run:
        run.salvage(SALVAGE_S)
    drop_begun()


def print_note(note: str) -> None:
    if note:
        err.print(note, soft_wrap=True, markup=False)
