"""Where a frame's time goes: the stopwatch that the pipeline carries, and the table that a benchmark prints."""

import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from drive_seg.contracts import TIMED, Result, Span

HISTORY = 100_000  # frames: an hour at 30 fps; a camera may run for weeks
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
FEWEST_P999 = 1000
KINDS = ("key", "other", "cold")  # of frames: with a refresh, without, and one that waited for it because nothing cached was valid


class Stopwatch:
    """What a frame's time went into."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._start_s = time.perf_counter()

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        start_s = time.perf_counter()
        yield
        self.spans.append(Span(name, start_s, (time.perf_counter() - start_s) * 1e3))

    def passed_ms(self) -> float:
        """From the stopwatch's making until now."""
        return (time.perf_counter() - self._start_s) * 1e3


class Latencies:
    """Collects results after the warm-up and sums them up; a stage's figures are over the last HISTORY frames on which it ran."""

    def __init__(self, warmup: int) -> None:
        self.warmup, self.seen, self.keys = warmup, 0, 0
        self._ms: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._total_ms: dict[str, deque[float]] = {kind: deque(maxlen=HISTORY) for kind in KINDS}
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
        self._total_ms["cold" if result.cold else "key" if result.is_key else "other"].append(result.total_ms)
        for stage, ms in result.latency_ms.items():
            self._ms[stage].append(ms)

    @property
    def frames(self) -> int:
        return max(0, self.seen - self.warmup)

    def summary(self) -> dict[str, object]:
        """frames, warmup, fps, key_frame_rate, dropped, latency_ms by stage, total_ms by kind of frame; the numbers are None when no frame
        was counted."""
        span = self._last_s - self._first_s
        return {
            "frames": self.frames,
            "warmup": self.warmup,
            "fps": self.frames / span if self.frames and span > 0 else None,
            "key_frame_rate": self.keys / self.frames if self.frames else None,
            "dropped": self._dropped - self._dropped_before,
            "latency_ms": {stage: percentiles(self._ms.get(stage, ())) for stage in ("total", *TIMED)},
            "total_ms": {kind: {"frames": len(values), **percentiles(values)} for kind, values in self._total_ms.items()},
        }


def percentiles(values: Collection[float]) -> Mapping[str, float | None]:
    """PERCENTILES, max and mean, None where there is no value.

    p99.9 is None below FEWEST_P999 values, where it is the maximum or a guess.
    """
    if not values:
        return dict.fromkeys((*PERCENTILES, "max", "mean"))
    found = dict(zip(PERCENTILES, map(float, np.percentile(list(values), list(PERCENTILES.values()))), strict=True))
    tail = {} if len(values) >= FEWEST_P999 else {"p99.9": None}
    return {**found, **tail, "max": max(values), "mean": sum(values) / len(values)}
