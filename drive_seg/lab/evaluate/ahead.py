"""How far what is told of the road ahead is from what the true labels tell: rows, shares, people in the corridor, events."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from drive_seg.classes import VOID
from drive_seg.contracts import Ahead, Corridor, Labels, Result
from drive_seg.session.lookout import Event, Lookout
from drive_seg.session.observer import Observer


class RoadAhead(Observer):
    """Of a drive's consecutive frames. Where the truth is void, the prediction is taken for void too: nothing is scored there."""

    def __init__(self, corridor: Corridor, classes: Sequence[str]) -> None:
        """Raises UsageError for classes of which none is the road."""
        self._true, self._told = Lookout(corridor, classes), Lookout(corridor, classes)
        self._classes = len(classes)
        self._pairs: list[tuple[Ahead, Ahead]] = []  # true and told

    def on_result(self, result: Result, comparison: Result | None) -> None:
        truth = result.frame.labels
        assert truth is not None
        labels = unscored(result.labels, truth, self._classes)
        self._pairs.append((self._true.see(truth, result), self._told.see(labels, result)))

    def figures(self) -> Mapping[str, Any]:
        """`ahead`: rows as shares of the picture's height, differences as told minus true; None where there is nothing to compare."""
        shares = [told.share - true.share for true, told in self._pairs if true.share is not None and told.share is not None]
        both = [(true, told) for true, told in self._pairs if true.row is not None and told.row is not None]
        rows = [(told.row - true.row) / true.size_hw[0] for true, told in both if true.row is not None and told.row is not None]
        alike = [true.obstacle == told.obstacle for true, told in both]
        return {
            "ahead": {
                "corridor": np.round(self._true.corridor, 4).tolist(),
                "frames": len(self._pairs),
                "share": _errors(shares),
                "row": _errors(rows),
                "row_missed": sum(true.row is not None and told.row is None for true, told in self._pairs),
                "row_invented": sum(true.row is None and told.row is not None for true, told in self._pairs),
                "obstacle_alike": float(np.mean(alike)) if alike else None,
                "person_seen": _hits([(true.seen, told.seen) for true, told in self._pairs]),
                "person": _hits([(true.person, told.person) for true, told in self._pairs]),
                "events": _matched(self._true.events, self._told.events),
            }
        }


def unscored(labels: Labels, truth: Labels, classes: int) -> Labels:
    """(h, w) labels with VOID where the truth, of any size, is no class."""
    small = cv2.resize(truth, labels.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.where(small < classes, labels, np.uint8(VOID))


def _errors(differences: Sequence[float]) -> dict[str, Any]:
    size = np.abs(differences)
    return {
        "frames": len(differences),
        "mean_error": float(size.mean()) if size.size else None,
        "p50": float(np.percentile(size, 50)) if size.size else None,
        "p95": float(np.percentile(size, 95)) if size.size else None,
        "bias": float(np.mean(differences)) if size.size else None,
    }


def _hits(pairs: Sequence[tuple[bool, bool]]) -> dict[str, Any]:
    """Of frames: true and told."""
    true, told, right = sum(one for one, _ in pairs), sum(other for _, other in pairs), sum(one and other for one, other in pairs)
    return {"true": true, "told": told, "right": right, **_precision(right, told, right, true)}


def _precision(right: int, told: int, found: int, true: int) -> dict[str, float | None]:
    return {"precision": right / told if told else None, "recall": found / true if true else None}


def _matched(true: Sequence[Event], told: Sequence[Event]) -> dict[str, Any]:
    """An event is found, and one that is told is right, where the two have a frame in common."""
    partners = [next((other for other in told if _overlap(one, other)), None) for one in true]
    delays = [other.index - one.index for one, other in zip(true, partners, strict=True) if other]
    found, right = len(delays), sum(any(_overlap(one, other) for one in true) for other in told)
    counts = {"true": len(true), "told": len(told), "found": found, "right": right, **_precision(right, len(told), found, len(true))}
    return {**counts, "mean_delay_frames": float(np.mean(delays)) if delays else None}


def _overlap(one: Event, other: Event) -> bool:
    return one.segment == other.segment and one.index <= other.last_index and other.index <= one.last_index
