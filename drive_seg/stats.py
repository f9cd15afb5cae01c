"""What a run is like right now: frame rate, latency and key-frame share of the last second, mIoU of the last labelled frames.

Pure: time is passed in, nothing here reads a clock or locks.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Labels, Result
from drive_seg.network.score import Confusion

_Row = tuple[float, float, bool, int, bool, float | None]  # now_s, total_ms, is_key, age_frames, cold, high_ms


@dataclass(frozen=True, slots=True)
class Numbers:
    """The last second of a run; all zero when no result arrived in it."""

    count: int = 0  # results
    fps: float = 0.0
    p50_ms: float = 0.0  # of Result.total_ms
    p95_ms: float = 0.0
    key_share: float = 0.0  # 0..1, key frames among the results
    age_mean: float = 0.0  # frames
    age_max: int = 0  # frames
    cold: int = 0  # results that had to wait for the deep stage, as nothing cached was valid
    high_ms: float | None = None  # median of the deep stage's runs; None when none ended


class Rolling:
    """Keeps what Numbers needs of the results of the last `span_s` seconds."""

    def __init__(self, span_s: float = 1.0) -> None:
        self._span_s = span_s
        self._rows: deque[_Row] = deque()

    def add(self, result: Result, now_s: float) -> None:
        """`now_s` from a monotonic clock, the same for every call."""
        self._rows.append((now_s, result.total_ms, result.is_key, result.age_frames, result.cold, result.high_ms))
        self._forget(now_s)

    def numbers(self, now_s: float) -> Numbers:
        self._forget(now_s)
        if not self._rows:
            return Numbers()
        times, totals, keys, ages, cold, highs = zip(*self._rows, strict=True)
        high_ms = [ms for ms in highs if ms is not None]
        count, elapsed_s = len(times), times[-1] - times[0]
        p50_ms, p95_ms = np.percentile(totals, (50, 95))
        return Numbers(
            count=count,
            fps=(count - 1) / elapsed_s if elapsed_s > 0 else count / self._span_s,
            p50_ms=float(p50_ms),
            p95_ms=float(p95_ms),
            key_share=sum(keys) / count,
            age_mean=sum(ages) / count,
            age_max=max(ages),
            cold=sum(cold),
            high_ms=float(np.median(high_ms)) if high_ms else None,
        )

    def _forget(self, now_s: float) -> None:
        while self._rows and self._rows[0][0] <= now_s - self._span_s:
            self._rows.popleft()


class LiveScore:
    """mIoU over the last `frames` labelled frames, counted at the labels' size so that it may run beside the video."""

    def __init__(self, classes: Sequence[str], frames: int = 30) -> None:
        self._frames = frames
        self._confusion = Confusion(classes)
        self._window: deque[NDArray[np.int64]] = deque()

    def add(self, truth: Labels, labels: Labels) -> None:
        """Both uint8 HxW ids; the truth, of any size, is reduced to the labels' size by nearest neighbour."""
        height, width = labels.shape
        if truth.shape != labels.shape:
            # EXACT samples the middle of a cell; plain NEAREST samples its corner and costs mIoU at every edge
            truth = cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[assignment]
        self._window.append(self._confusion.add(truth, labels))
        if len(self._window) > self._frames:
            self._confusion.counts -= self._window.popleft()

    @property
    def miou(self) -> float | None:
        """0..1 over the classes that occur in truth or prediction; None while no labelled pixel was seen."""
        return self._confusion.miou
