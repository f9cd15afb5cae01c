"""A run without a window as a terminal sees it: opened, announced, ended by Ctrl-C, with a line that says how far it is."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

from rich.markup import escape
from rich.status import Status
from rich.text import Text

from drive_seg.cli.flags import err, out
from drive_seg.contracts import Result
from drive_seg.errors import DriveSegError
from drive_seg.files import drop_begun
from drive_seg.session.observer import Observer
from drive_seg.settings import Settings
from drive_seg.sources.capture import Capture

if TYPE_CHECKING:
    from drive_seg.session.player import Player
    from drive_seg.session.session import Session

TELL_S = 60.0
SALVAGE_S = 5.0  # what is still to be written may take so long where the process is ended at once


class Progress(Observer):
    """The line that says how far it is; whoever shows it asks again and again, also while no frame comes."""

    def __init__(self, capture: Capture) -> None:
        self._capture, self._line = capture, "starting …"

    def on_result(self, result: Result, comparison: Result | None) -> None:
        if result.frame.index % 15 == 0:
            self._line = f"frame {result.frame.index}, {result.total_ms:.1f} ms"

    def __rich__(self) -> Text:
        away = self._capture.away
        return Text(f"{self._line}; reconnecting since {away.since}, try {away.tries}" if away else self._line)


class Events(Observer):
    """A line for each person who comes into the corridor, or is gone again."""

    def on_result(self, result: Result, comparison: Result | None) -> None:
        frame, ahead = result.frame, result.ahead
        if ahead and ahead.event:
            row = "" if ahead.person_row is None else f", row {ahead.person_row} of {ahead.size_hw[0]}"
            what = f"person in the corridor{row}" if ahead.event == "begin" else "nobody in the corridor any more"
            err.print(f"frame {frame.index}, {frame.time_s:.1f} s: {what}", soft_wrap=True, markup=False)


def said_by(status: Status) -> Callable[[str], None]:
    """Shows a line in the status; where that is no terminal, such as a service's log, the first one and one a minute are printed."""
    told_s = -math.inf

    def tell(line: str) -> None:
        nonlocal told_s
        status.update(escape(line))
        if not err.is_terminal and time.monotonic() - told_s >= TELL_S:
            told_s = time.monotonic()
            print_note(line)

    return tell


@contextmanager
def announced(settings: Settings) -> Iterator["Session"]:
    """Opened and announced, to be run. Raises what opening it raises."""
    from drive_seg.session.opening import open_session
    from drive_seg.session.unlike import Unlike
    from drive_seg.workers import ended_by_signals

    with ExitStack() as stack:
        with err.status("opening …") as status:
            session = stack.enter_context(open_session(settings, said_by(status)))
        assert session.capture is not None
        assert session.pipeline is not None
        close = session.capture.close
        stack.enter_context(ended_by_signals(lambda _: close(), lambda: salvage(session)))
        session.hung = lambda _, error: abandon(error, session)
        err.print(f"{session.capture.source.info.name} · {session.pipeline.headline}", soft_wrap=True, markup=False)
        print_note(session.pipeline.engine.note)
        session.observers["unlike"] = Unlike(session.pipeline.engine.sure, print_note)
        session.observers["progress"] = progress = Progress(session.capture)
        stack.enter_context(err.status(progress))
        session.observers["events"] = Events()
        yield session
        print_note(getattr(session.capture.source, "note", ""))  # of damage, of labels that were left out


def abandon(error: DriveSegError, session: "Session | None" = None) -> NoReturn:
    """Ends the process, whose main thread hangs: what was recorded until now is kept. Of any thread."""
    err.print(f"drive-seg: {error}", soft_wrap=True, markup=False)
    salvage(session)
    out.file.flush()
    os._exit(error.exit_code)


def salvage(session: "Session | Player | None" = None) -> None:
    """Before the process ends at once: completes what was recorded, and removes what is half written."""
    if session:
        session.salvage(SALVAGE_S)
    drop_begun()


def print_note(note: str) -> None:
    if note:
        err.print(note, soft_wrap=True, markup=False)
