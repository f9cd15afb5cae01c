"""What the window costs: its thread's time for a frame, and how old a frame is on the screen."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

KEPT = 10_000  # frames


class Meter:
    """How long Qt's thread is busy for a frame, and how old a frame is once it stands on the screen. Owned by the window's thread."""

    def __init__(self) -> None:
        # of Qt's thread for a frame: taken, composed, painted; and its share of all around it
        self.qt_ms: deque[float] = deque(maxlen=KEPT)
        self.cpu_ms: deque[float] = deque(maxlen=KEPT)  # of CPU that this thread took for all that it did since the frame before
        self.glass_ms: deque[float] = deque(maxlen=KEPT)  # from the frame's capture to the end of its painting
        self._spent_ms, self._cpu_s = 0.0, time.thread_time()

    @contextmanager
    def time(self) -> Iterator[None]:
        """What happens inside counts for the next frame that is painted."""
        begin_s = time.perf_counter()
        try:
            yield
        finally:
            self._spent_ms += (time.perf_counter() - begin_s) * 1e3

    def restart(self) -> None:
        """Forgets every frame so far."""
        self.qt_ms.clear()
        self.cpu_ms.clear()
        self.glass_ms.clear()

    def shown(self, captured_s: float) -> None:
        """A frame was painted for the first time; `captured_s` by time.perf_counter."""
        self.qt_ms.append(self._spent_ms)
        self.glass_ms.append((time.perf_counter() - captured_s) * 1e3)
        before_s, self._cpu_s = self._cpu_s, time.thread_time()
        self.cpu_ms.append((self._cpu_s - before_s) * 1e3)
        self._spent_ms = 0.0
