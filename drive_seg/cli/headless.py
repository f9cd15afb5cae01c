"""A run without a window as a terminal sees it: opened, announced, ended by Ctrl-C, with a line that says how far it is."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

from rich.markup import escape
from rich.status import Status

from drive_seg.cli.flags import err, out
from drive_seg.contracts import Result
from drive_seg.errors import DriveSegError
from drive_seg.session.observer import Observer
from drive_seg.settings import Settings

if TYPE_CHECKING:
    from drive_seg.session.session import Session

SALVAGE_S = 5.0  # what is still to be written may take so long where the process is ended at once


class Progress(Observer):
    """The line that says how far it is."""

    def __init__(self, line: Status) -> None:
        self._line = line

    def on_result(self, result: Result, comparison: Result | None) -> None:
        if result.frame.index % 15 == 0:
            self._line.update(f"frame {result.frame.index}, {result.total_ms:.1f} ms")


@contextmanager
def announced(settings: Settings) -> Iterator["Session"]:
    """Opened and announced, to be run. Raises what opening it raises."""
    from drive_seg.session.opening import open_session
    from drive_seg.session.unlike import Unlike
    from drive_seg.workers import ended_by_signals

    with ExitStack() as stack:
        with err.status("opening …") as status:
            session = stack.enter_context(open_session(settings, lambda line: status.update(escape(line))))
        assert session.capture is not None
        assert session.pipeline is not None
        stack.enter_context(ended_by_signals(session.capture.close, lambda: session.salvage(SALVAGE_S)))
        session.hung = lambda _, error: abandon(session, error)
        err.print(f"{session.capture.source.info.name} · {session.pipeline.headline}", soft_wrap=True, markup=False)
        print_note(session.pipeline.engine.note)
        session.observers["unlike"] = Unlike(session.pipeline.engine.sure, print_note)
        session.observers["progress"] = Progress(stack.enter_context(err.status("starting …")))
        yield session
        print_note(getattr(session.capture.source, "note", ""))  # of damage, of labels that were left out


def abandon(session: "Session", error: DriveSegError) -> NoReturn:
    """Ends the process, whose main thread hangs: what was recorded until now is kept. Of any thread."""
    err.print(f"drive-seg: {error}", soft_wrap=True, markup=False)
    session.salvage(SALVAGE_S)
    out.file.flush()
    os._exit(error.exit_code)


def print_note(note: str) -> None:
    if note:
        err.print(note, soft_wrap=True, markup=False)
