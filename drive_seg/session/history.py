"""What became of the last frames, without their pictures: what the strip and the plots of class areas are drawn from."""

import csv
import io
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Ahead, Decision, Result
from drive_seg.files import write
from drive_seg.network.postprocess import shares

LENGTH = 18_000  # frames: 10 minutes at 30 fps
AHEAD = ("corridor_road", "corridor_row", "corridor_obstacle", "corridor_people", "person_ahead")


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame."""

    index: int
    segment: int
    time_s: float
    total_ms: float  # frame to labels
    is_key: bool
    cold: bool
    age_frames: int
    reason: str  # contracts.Reason
    text: str  # the decision for people
    score: float | None
    threshold: float | None
    dropped: int  # so far
    latency_ms: Mapping[str, float]  # by contracts.TIMED, and "total"
    confidence: float | None  # 0..1, mean over the picture; None where it is not told
    shares: NDArray[np.float32]  # (classes,) of all pixels; what is missing to 1 is void
    ahead: Ahead | None  # without its polygon
    spare: Decision | None  # of a frame in a run that refreshes on each: what one by changed labels would have decided (session.spare)


def moment_of(result: Result, classes: int, spare: Decision | None = None) -> Moment:
    frame, decision = result.frame, result.decision
    return Moment(
        index=frame.index,
        segment=frame.segment,
        time_s=frame.time_s,
        total_ms=result.total_ms,
        is_key=result.is_key,
        cold=result.cold,
        age_frames=result.age_frames,
        reason=decision.reason,
        text=decision.text,
        score=decision.score,
        threshold=decision.threshold,
        dropped=result.dropped,
        latency_ms=result.latency_ms,
        confidence=None if result.confidence is None else result.confidence.mean,
        shares=shares(result.labels, classes),
        ahead=result.ahead and replace(result.ahead, polygon=()),
        spare=spare,
    )


class History:
    """The last LENGTH moments. One thread adds, any may read."""

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque(maxlen=LENGTH)
        self._lock = threading.Lock()

    def add(self, moment: Moment) -> None:
        with self._lock:
            self._moments.append(moment)

    def clear(self) -> None:
        with self._lock:
            self._moments.clear()

    def last(self, count: int) -> tuple[Moment, ...]:
        """Oldest first."""
        with self._lock:
            return tuple(islice(reversed(self._moments), max(0, count)))[::-1]


def write_csv(path: Path, classes: Sequence[str], moments: Sequence[Moment], overwrite: bool = False) -> None:
    """index, time_s and each class's share of the picture, a line for each moment that was labelled with as many classes.

    Where the road ahead was looked at, AHEAD too: of the corridor the share that is road, the row and class that end its free part, the
    pixels of people in it, and whether somebody is there.

    Raises UsageError for a file that is there unless it is to be overwritten, SinkError when it cannot be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text)
    looked = any(moment.ahead for moment in moments)
    table.writerow((*areas_header(classes), *(AHEAD if looked else ())))
    for moment in moments:
        if len(moment.shares) == len(classes):
            areas = areas_row(moment.index, moment.time_s, moment.shares)
            table.writerow((*areas, *(_ahead(moment.ahead, classes) if looked else ())))
    write(path, text.getvalue(), overwrite)


def _ahead(ahead: Ahead | None, classes: Sequence[str]) -> tuple[object, ...]:
    """AHEAD of one frame."""
    if ahead is None:
        return ("",) * len(AHEAD)
    share, obstacle = "" if ahead.share is None else f"{ahead.share:.6f}", "" if ahead.obstacle is None else classes[ahead.obstacle]
    return share, "" if ahead.row is None else ahead.row, obstacle, ahead.persons, int(ahead.person)


def areas_header(classes: Sequence[str]) -> tuple[str, ...]:
    return ("index", "time_s", *classes)


def areas_row(index: int, time_s: float, shares: NDArray[np.float32]) -> tuple[object, ...]:
    """A frame's line of a table of areas."""
    return (index, f"{time_s:.6f}", *(f"{share:.6f}" for share in shares))
