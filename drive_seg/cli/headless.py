"""A run without a window as a terminal sees it: opened, announced, ended by Ctrl-C, with a line that says how far it is."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape

from drive_seg.cli.flags import err
from drive_seg.contracts import Result
from drive_seg.settings import Settings

if TYPE_CHECKING:
    from drive_seg.assemble import Run


@contextmanager
def announced(settings: Settings) -> Iterator[tuple["Run", Callable[[Result], None]]]:
    """The run, and what is to be called after each frame. Raises what opening it raises."""
    from drive_seg.assemble import assembled
    from drive_seg.workers import ended_by_signals

    with ExitStack() as stack:
        with err.status("opening …") as status:
            run = stack.enter_context(assembled(settings, lambda line: status.update(escape(line))))
        stack.enter_context(ended_by_signals(run.capture.close))
        err.print(f"{run.capture.source.info.name} · {run.lane.headline}", soft_wrap=True, markup=False)
        print_note(run.lane.engine.note)
        with err.status("starting …") as status:

            def tell(result: Result) -> None:
                if result.frame.index % 15 == 0:
                    status.update(f"frame {result.frame.index}, {result.total_ms:.1f} ms")

            yield run, tell
        print_note(getattr(run.capture.source, "note", ""))  # of damage, of labels that were left out


def print_note(note: str) -> None:
    if note:
        err.print(note, soft_wrap=True, markup=False)
