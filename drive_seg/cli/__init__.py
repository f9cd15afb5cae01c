"""drive-seg on the command line: one command a file, put together in `app`.

options     options made of the settings
flags       the two consoles, and how figures are written to a file
headless    a run without a window as a terminal sees it
benchmark   what `run --benchmark` and `bench` measure and print
"""

# signal's own imports, and typing's, take so long that a Ctrl-C falls into them: until it is handled, it is a traceback.
import _signal as signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["launch", "main"]


def main(arguments: "Sequence[str] | None" = None, command: "Callable[..., Any] | None" = None) -> None:
    """Runs a command and ends the process, as `app.main` says; without arguments those of the process."""
    if arguments is None:
        _end_at_once()
    from drive_seg.cli import app

    app.main(arguments, command)


def launch() -> None:
    """`python launch.py …` is `drive-seg run …`."""
    _end_at_once()
    import sys

    main(["run", *sys.argv[1:]])


def _end_at_once() -> None:
    """While nothing is there yet that has to be closed, and once nothing is there any more, a signal ends the process with its line."""

    def end(number: int, _: object) -> None:
        try:
            os.write(2, b"drive-seg: interrupted\n")
        finally:
            os._exit(128 + number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)
