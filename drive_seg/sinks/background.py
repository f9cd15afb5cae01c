"""The thread behind a sink that writes: a bounded mailbox, and errors that come back to whoever puts."""

from collections.abc import Callable
from contextlib import suppress

from drive_seg.contracts import Result
from drive_seg.errors import SinkError
from drive_seg.files import as_sink_error
from drive_seg.watchdog import Watched
from drive_seg.workers import Closed, Mailbox, Overflow, Worker

POLL_S = 0.05
DEPTH = 8  # rides out a slow moment of the disk; 8 pictures of 720p are 22 MB


class BackgroundWriter:
    """Calls `write` for each result and `finish` at the end, even after a failure (False then), in one thread of its own.

    `target` is what is written, for the messages. An OSError of either is raised once, as SinkError, by the next `put` or
    by `close`; nothing is written after it. So is a SinkError when one of the two takes longer than `limit_s` (by default
    watchdog.LIMIT_S); the thread is left alone then.
    """

    def __init__(
        self, target: str, write: Callable[[Result], None], finish: Callable[[bool], None], overflow: Overflow, limit_s: float | None = None
    ) -> None:
        self._target = target
        self._mailbox: Mailbox[Result] = Mailbox(DEPTH, overflow)
        self._error: BaseException | None = None
        self._watched = Watched(self._hung, limit_s)
        self._given_up = False
        # The two are held by the thread alone, and no longer: their object holds this, and would be a circle that only the collector ends.
        self._worker = Worker(f"write {target}", lambda: self._run(write, finish), on_error=self._fail).start()

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
        while not (self._worker.wait(POLL_S) or self._given_up):
            pass
        self._raise_error()

    def _run(self, write: Callable[[Result], None], finish: Callable[[bool], None]) -> None:
        with self._watched as watched:
            try:
                for result in self._mailbox:
                    watched.begin("writing a frame")
                    write(result)
                    watched.end()
            except BaseException:
                watched.begin("completing it")
                with suppress(Exception):  # the first failure is the one to tell
                    finish(False)
                raise
            watched.begin("completing it")
            finish(not self._given_up)

    def _hung(self, text: str) -> None:
        self._fail(SinkError(f"{self._target}: {text}; look at the disk that it is on, and write elsewhere"))
        self._given_up = True

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or (as_sink_error(self._target, error) if isinstance(error, OSError) else error)
        self._mailbox.discard()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error:
            raise error
