"""A frame's way through the program, top to bottom. READ SECOND."""

from collections.abc import Callable

import numpy as np

from drive_seg.contracts import Array, Frame, Image, Key, Labels, Network, Result, Tensors
from drive_seg.preprocess import to_input
from drive_seg.schedule import Decision, Schedule, change, why_invalid
from drive_seg.trace import Stopwatch

Paint = Callable[[Image, Labels], Image]
Refine = Callable[[Labels, Image], Labels]


class Pipeline:
    """Owned by one thread, the only one that touches the engine."""

    def __init__(self, engine: Network, schedule: Schedule, paint: Paint | None = None, refine: Refine | None = None) -> None:
        self.engine, self.schedule, self.paint, self.refine = engine, schedule, paint, refine
        self._key: Key | None = None
        self._last: tuple[float, Array] | None = None  # the last frame's time and features

    def step(self, frame: Frame, dropped: int = 0) -> Result:
        """Labels, and the overlay where one is wanted, for one frame. Raises BackendError."""
        size_hw = (frame.image.shape[0], frame.image.shape[1])
        self.engine.fit(size_hw)
        watch = Stopwatch()
        with watch.time("preprocess"):
            image = to_input(frame.image, self.engine.input_hw)
        with watch.time("low"):
            low = self.engine.low(image)
        decision = self._decide(frame, low)
        if decision.run_high or self._key is None:
            with watch.time("high"):
                self._key = Key(self.engine.high(low), frame.index, frame.time_s, frame.take, size_hw)
        with watch.time("head"):
            labels = self.engine.head(low, self._key.context)
        if self.refine:
            with watch.time("refine"):
                labels = self.refine(labels, frame.image)
        watch.stop("total")
        overlay = None
        if self.paint:
            with watch.time("overlay"):
                overlay = self.paint(frame.image, labels)
        return Result(
            frame=frame,
            labels=labels,
            overlay=overlay,
            is_key=self._key.index == frame.index,
            age_frames=frame.index - self._key.index,
            age_ms=(frame.time_s - self._key.time_s) * 1e3,
            reason=decision.reason,
            latency_ms={"decode": frame.decode_ms, **watch.ms},
            dropped=dropped,
        )

    def _decide(self, frame: Frame, low: Tensors) -> Decision:
        """The cache's safety first, the schedule's wish second."""
        features = low[self.engine.change]
        last, self._last = self._last, (frame.time_s, np.array(features))
        if self._key is None or last is None:
            return Decision(True, "first frame")
        if invalid := why_invalid(self._key, frame, last[0]):
            return Decision(True, invalid)
        if change(last[1], features) > self.engine.cut:
            return Decision(True, "scene cut")
        return self.schedule.decide(frame.index - self._key.index)
