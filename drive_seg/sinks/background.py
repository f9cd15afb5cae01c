"""The thread behind a sink that writes: a bounded mailbox, and errors that come back to whoever puts."""

import errno
from collections.abc import Callable
from contextlib import suppress

from drive_seg.contracts import Result
from drive_seg.errors import SinkError
from drive_seg.workers import Closed, Mailbox, Overflow, Worker

DEPTH = 8  # rides out a slow moment of the disk; 8 pictures of 720p are 22 MB

_FREE_SPACE = "free space there, or choose another place"
REMEDIES = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EFBIG: _FREE_SPACE,
    errno.ENOENT: "make its folder first, or choose another place",
    errno.EACCES: "choose a place where this user may write",
    errno.EPERM: "choose a place where this user may write",
    errno.EROFS: "choose a place where this user may write",
}


class BackgroundWriter:
    """Calls `write` for each result and `finish` at the end, even after a failure, in one thread of its own.

    `target` is what is written, for the messages. An OSError of either is raised once, as SinkError, by the next `put` or
    by `close`; nothing is written after it.
    """

    def __init__(self, target: str, write: Callable[[Result], None], finish: Callable[[], None], overflow: Overflow) -> None:
        self._target, self._write, self._finish = target, write, finish
        self._mailbox: Mailbox[Result] = Mailbox(DEPTH, overflow)
        self._error: BaseException | None = None
        self._worker = Worker(f"write {target}", self._run, on_error=self._fail).start()

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped

    def put(self, result: Result) -> None:
        try:
            self._mailbox.put(result)
        except Closed:
            self._raise_error()
            raise SinkError(f"{self._target}: is closed already; nothing more can be written to it") from None

    def close(self) -> None:
        """Waits until all that was put is written."""
        self._mailbox.close()
        try:
            self._worker.join()
        except BaseException:
            self._raise_error()

    def _run(self) -> None:
        try:
            for result in self._mailbox:
                self._write(result)
        except BaseException:
            with suppress(Exception):  # the first failure is the one to tell
                self._finish()
            raise
        self._finish()

    def _fail(self, error: BaseException) -> None:
        self._error = as_sink_error(self._target, error) if isinstance(error, OSError) else error
        self._mailbox.discard()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error:
            raise error


def as_sink_error(target: object, error: OSError) -> SinkError:
    """One line: what could not be written, why, and what to do."""
    remedy = REMEDIES.get(error.errno or 0, "choose another place")
    sink_error = SinkError(f"{target}: cannot be written: {error.strerror or error}; {remedy}")
    sink_error.__cause__ = error
    return sink_error
