"""Where a frame's time goes: the stopwatch that the pipeline carries, and the table that a benchmark prints."""

import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from drive_seg.contracts import TIMED, Result

HISTORY = 100_000  # frames: an hour at 30 fps; a camera may run for weeks


class Stopwatch:
    """Milliseconds by stage for one frame."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self._start = time.perf_counter()

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.ms[stage] = (time.perf_counter() - start) * 1e3

    def stop(self, name: str) -> None:
        """From the stopwatch's making until now."""
        self.ms[name] = (time.perf_counter() - self._start) * 1e3


class Latencies:
    """Collects results after the warm-up and sums them up; a stage's figures are over the last HISTORY frames on which it ran."""

    def __init__(self, warmup: int) -> None:
        self.warmup, self.seen, self.keys = warmup, 0, 0
        self._ms: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._first_s = self._last_s = 0.0
        self._dropped_before = self._dropped = 0

    def add(self, result: Result, now_s: float) -> None:
        self.seen += 1
        self._last_s, self._dropped = now_s, result.dropped
        if self.seen <= self.warmup:
            self._first_s, self._dropped_before = now_s, result.dropped
            return
        if self.seen == 1:  # no warm-up: the clock starts with the first frame's own work
            self._first_s = now_s - sum(result.latency_ms.get(name, 0.0) for name in ("decode", "total", "overlay")) / 1e3
        self.keys += result.is_key
        for stage, ms in result.latency_ms.items():
            self._ms[stage].append(ms)

    @property
    def frames(self) -> int:
        return max(0, self.seen - self.warmup)

    def summary(self) -> dict[str, object]:
        """frames, warmup, fps, key_frame_rate, dropped, latency_ms by stage; the numbers are None when no frame was counted."""
        span = self._last_s - self._first_s
        return {
            "frames": self.frames,
            "warmup": self.warmup,
            "fps": self.frames / span if self.frames and span > 0 else None,
            "key_frame_rate": self.keys / self.frames if self.frames else None,
            "dropped": self._dropped - self._dropped_before,
            "latency_ms": {stage: percentiles(self._ms.get(stage, ())) for stage in ("total", *TIMED)},
        }


def percentiles(values: Collection[float]) -> Mapping[str, float | None]:
    if not values:
        return dict.fromkeys(("p50", "p95", "p99", "max", "mean"))
    p50, p95, p99 = np.percentile(list(values), (50, 95, 99))
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": max(values), "mean": sum(values) / len(values)}
