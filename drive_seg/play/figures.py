"""What a player knows of the frames that have come: written by its thread, read by any."""

import threading
import time
from collections import deque

from drive_seg import assemble
from drive_seg.assemble import Lane
from drive_seg.audit import Auditor, differing
from drive_seg.contracts import Result
from drive_seg.play.history import History, Moment, moment_of
from drive_seg.stats import Numbers, Rolling
from drive_seg.trace import Latencies

DIFFERING_FRAMES = 300


class Figures:
    def __init__(self) -> None:
        self._lock = threading.Lock()  # the history has its own
        self._history, self._latencies = History(), Latencies(warmup=0)
        self._rollings = Rolling(), Rolling()  # of the lane and its rival
        self._differing: deque[float] = deque(maxlen=DIFFERING_FRAMES)

    def add(self, result: Result, rival: Result | None, classes: int) -> None:
        self._history.add(moment_of(result, classes))
        now_s = time.perf_counter()
        with self._lock:
            self._latencies.add(result, now_s)
            for rolling, one in zip(self._rollings, (result, rival), strict=True):
                if one:
                    rolling.add(one, now_s)

    def compare(self, result: Result, rival: Result) -> None:
        share = differing(result.labels, rival.labels)
        with self._lock:
            self._differing.append(share)

    def forget_rival(self) -> None:
        """Another lane, or another rival: what differed before says nothing."""
        with self._lock:
            self._differing.clear()
            self._rollings = self._rollings[0], Rolling()

    def numbers(self) -> tuple[Numbers, Numbers]:
        """Of the last second: the lane's and the rival's."""
        with self._lock:
            mine, rivals = (rolling.numbers(time.perf_counter()) for rolling in self._rollings)
        return mine, rivals

    def differing(self) -> float | None:
        """Mean share of label pixels over the last DIFFERING_FRAMES that were compared."""
        with self._lock:
            return sum(self._differing) / len(self._differing) if self._differing else None

    def forget_history(self) -> None:
        """Another source: its frames have the same numbers, and are others."""
        self._history.clear()

    def last(self, count: int) -> tuple[Moment, ...]:
        return self._history.last(count)

    def summary(self, lane: Lane, auditor: Auditor | None) -> dict[str, object]:
        with self._lock:
            return assemble.summed_up(lane, self._latencies, auditor)
