"""The mailbox between the pipeline thread and the window: the newest result only, and one call per result taken.

No Qt here; the window blends for itself, so that opacity and mode act at once, paused or not.
"""

import threading
import time
from collections.abc import Callable

from drive_seg.contracts import Result
from drive_seg.stats import Numbers, Rolling
from drive_seg.workers import Mailbox, Overflow


class WindowSink:
    """A Sink whose other end, `take` and `numbers`, belongs to the window's thread."""

    wants_overlay = False

    def __init__(self, on_new: Callable[[], None] | None = None, clock_s: Callable[[], float] = time.perf_counter) -> None:
        """`on_new` is called from the pipeline thread, at most once until the result is taken; it may be set later."""
        self.on_new = on_new
        self._clock_s = clock_s
        self._mailbox: Mailbox[Result] = Mailbox(depth=1, overflow=Overflow.DROP_OLDEST)
        self._rolling = Rolling()
        self._lock = threading.Lock()
        self._told = False

    def put(self, result: Result) -> None:
        """Never waits. Raises Closed once the sink is closed."""
        with self._lock:
            self._rolling.add(result, self._clock_s())  # every result counts, shown or not
            self._mailbox.put(result)
            tell, self._told = not self._told, True
        if tell and self.on_new:
            self.on_new()

    def take(self) -> Result | None:
        """The newest result that was not taken yet, or None."""
        with self._lock:
            self._told = False
            return self._mailbox.take_newest()

    def numbers(self) -> Numbers:
        """Rate and latency of the last second, of all results."""
        with self._lock:
            return self._rolling.numbers(self._clock_s())

    def close(self) -> None:
        """What waits can still be taken."""
        self._mailbox.close()
