"""What the window measures: what it costs itself, and how well its frames are labelled where the source knows the truth."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from drive_seg.network.score import LiveScore
from drive_seg.session.status import Shown, Status

KEPT = 10_000  # frames


class Meter:
    """How long Qt's thread is busy for a frame, and how old a frame is once it stands on the screen. Owned by the window's thread."""

    def __init__(self) -> None:
        self.qt_ms: deque[float] = deque(maxlen=KEPT)  # of Qt's thread for a frame: taken, composed, painted, and the strip's share
        self.glass_ms: deque[float] = deque(maxlen=KEPT)  # from the frame's capture to the end of its painting
        self._spent_ms = 0.0

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
        self.glass_ms.clear()

    def shown(self, captured_s: float) -> None:
        """A frame was painted for the first time; `captured_s` by time.perf_counter."""
        self.qt_ms.append(self._spent_ms)
        self.glass_ms.append((time.perf_counter() - captured_s) * 1e3)
        self._spent_ms = 0.0


class Truth:
    """mIoU of some of the frames shown: each is counted a few times a second, which costs nothing that is felt."""

    def __init__(self) -> None:
        self._score: LiveScore | None = None
        self._of: tuple[object, ...] = ()
        self._last: tuple[int, int] | None = None

    def count(self, status: Status, shown: Shown | None) -> float | None:
        """0..1; None where nothing is known, or source and network mean other classes by their ids."""
        source = status.source
        if not (source.labelled and source.classes in ((), status.classes)):
            return None
        of = source.name, status.classes, status.runs.get("model")
        if self._score is None or of != self._of:
            self._score, self._of, self._last = LiveScore(status.classes), of, None
        frame = shown.result.frame if shown else None
        if shown and frame and frame.labels is not None and (frame.segment, frame.index) != self._last:
            self._score.add(frame.labels, shown.result.labels)
            self._last = frame.segment, frame.index
        return self._score.miou
