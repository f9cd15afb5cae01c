"""How fast a session runs: percentiles of what ran since it began, and what the last second was like, beside its comparison."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from drive_seg.contracts import KINDS, TIMED, Result
from drive_seg.network.score import differing

HISTORY = 100_000  # frames: an hour at 30 fps; a camera may run for weeks
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
FEWEST_P999 = 1000
DIFFERING_FRAMES = 300


def percentiles(values: Collection[float]) -> Mapping[str, float | None]:
    """PERCENTILES, max and mean, None where there is no value.

    p99.9 is None below FEWEST_P999 values, where it is the maximum or a guess.
    """
    if not values:
        return dict.fromkeys((*PERCENTILES, "max", "mean"))
    found = dict(zip(PERCENTILES, map(float, np.percentile(list(values), list(PERCENTILES.values()))), strict=True))
    tail = {} if len(values) >= FEWEST_P999 else {"p99.9": None}
    return {**found, **tail, "max": max(values), "mean": sum(values) / len(values)}


def work_s(result: Result) -> float:
    """What a frame took by itself, its decoding and overlay included."""
    return sum(result.latency_ms.get(name, 0.0) for name in ("decode", "total", "overlay")) / 1e3


class Latencies:
    """Collects results after the warm-up and sums them up; a stage's figures are over the last HISTORY frames on which it ran.

    One thread adds, any may ask for the summary.
    """

    def __init__(self, warmup: int = 0, dropped_before: int = 0) -> None:
        self.warmup, self.seen, self.keys = warmup, 0, 0
        self._lock = threading.Lock()
        self._ms: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._total_ms: dict[str, deque[float]] = {kind: deque(maxlen=HISTORY) for kind in KINDS}
        self._confidence: deque[float] = deque(maxlen=HISTORY)
        self._seconds = 0.0
        self._last_s: float | None = None  # when the last frame came, unless the clock stood since
        self._dropped_before = self.dropped = dropped_before  # frames that the source lost until counting began, and so far

    def add(self, result: Result, now_s: float) -> None:
        with self._lock:
            self.seen += 1
            since_s, self._last_s, self.dropped = self._last_s, now_s, result.dropped
            if self.seen <= self.warmup:
                self._dropped_before = result.dropped
                return
            self._seconds += work_s(result) if since_s is None else now_s - since_s
            self.keys += result.is_key
            self._total_ms[result.kind].append(result.total_ms)
            if result.confidence:
                self._confidence.append(result.confidence.mean)
            for stage, ms in result.latency_ms.items():
                self._ms[stage].append(ms)

    def values(self, stage: str) -> tuple[float, ...]:
        """In ms, of the last HISTORY frames on which it ran."""
        with self._lock:
            return tuple(self._ms.get(stage, ()))

    def stand(self) -> None:
        """The time from here to the next frame is nobody's: of that frame, its own work counts."""
        self._last_s = None

    @property
    def frames(self) -> int:
        return max(0, self.seen - self.warmup)

    def summary(self) -> dict[str, object]:
        """frames, warmup, fps, key_frame_rate, dropped, confidence (mean, where it is told), latency_ms by stage, total_ms by kind
        of frame; the numbers are None when no frame was counted."""
        with self._lock:
            return {
                "frames": self.frames,
                "warmup": self.warmup,
                "fps": self.frames / self._seconds if self.frames and self._seconds > 0 else None,
                "key_frame_rate": self.keys / self.frames if self.frames else None,
                "dropped": self.dropped - self._dropped_before,
                **({"confidence": sum(self._confidence) / len(self._confidence)} if self._confidence else {}),
                "latency_ms": {stage: percentiles(self._ms.get(stage, ())) for stage in ("total", *TIMED)},
                "total_ms": {kind: {"frames": len(values), **percentiles(values)} for kind, values in self._total_ms.items()},
            }


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
        self._rows = deque[tuple[float, float, bool, int, bool, float | None]]()

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


class Figures:
    """What a window shows of the frames that have come: written by the session's thread, read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rollings = Rolling(), Rolling()  # of the pipeline and its comparison
        self._differing: deque[float] = deque(maxlen=DIFFERING_FRAMES)

    def add(self, result: Result, comparison: Result | None) -> None:
        now_s = time.perf_counter()
        with self._lock:
            for rolling, one in zip(self._rollings, (result, comparison), strict=True):
                if one:
                    rolling.add(one, now_s)

    def compare(self, result: Result, comparison: Result) -> None:
        share = differing(result.labels, comparison.labels)
        with self._lock:
            self._differing.append(share)

    def forget_comparison(self) -> None:
        """Another pipeline, or another comparison: what differed before says nothing."""
        with self._lock:
            self._differing.clear()
            self._rollings = self._rollings[0], Rolling()

    def numbers(self) -> tuple[Numbers, Numbers]:
        """Of the last second: the pipeline's and the comparison's."""
        with self._lock:
            main, comparison = (rolling.numbers(time.perf_counter()) for rolling in self._rollings)
        return main, comparison

    def differing(self) -> float | None:
        """Mean share of label pixels over the last DIFFERING_FRAMES that were compared."""
        with self._lock:
            return sum(self._differing) / len(self._differing) if self._differing else None
