"""On which frames of a run that refreshes on every one a schedule by changed labels would not have: decided beside it, by its labels."""

from typing import Final

import numpy as np

from drive_seg.contracts import Decision, Labels, Result, View
from drive_seg.network.schedule import parse_schedule

SCHEDULE: Final = "clockwork:adaptive=0.03"  # every network can be run by it, and it decides by labels alone


class Spare:
    """Takes the labels of every frame for those that kept features would have led to. Used by one thread."""

    def __init__(self) -> None:
        self._schedule = parse_schedule(SCHEDULE)
        self._key: tuple[int, Labels] | None = None  # of the last frame on which it would have refreshed: index and labels
        self._last: Result | None = None

    def add(self, result: Result) -> Decision | None:
        """What it would have decided; None where the run keeps features itself, or had to refresh whatever the schedule says."""
        frame, labels, key, last, self._last = result.frame, result.labels, self._key, self._last, result
        comparable = last is not None and last.frame.segment == frame.segment and last.labels.shape == labels.shape
        if result.decision.reason != "every" or key is None or last is None or not comparable or key[1].shape != labels.shape:
            self._key = frame.index, labels
            return None
        changed, age = float(np.count_nonzero(last.labels != key[1]) / labels.size), frame.index - key[0]
        decision = self._schedule.decide(View(frame.index, age, None, changed, 0.0, 0.0, None, age, frame.segment))
        if decision.run_high:
            self._key = frame.index, labels
        return decision
