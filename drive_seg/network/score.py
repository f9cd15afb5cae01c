"""How well label maps agree with the truth, all read off one confusion matrix."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Labels

Scores = Mapping[str, float | None]  # by class name


class Confusion:
    """Counts of pixels, truth down and prediction across.

    An id of the truth that is no class is void and not scored; a prediction that is no class is wrong.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        side = len(self.classes) + 1  # the last row and column are void's
        self.counts: NDArray[np.int64] = np.zeros((side, side), np.int64)

    @classmethod
    def of(cls, classes: Sequence[str], counts: NDArray[np.int64]) -> Self:
        """What `add` returned, or a sum of such."""
        made = cls(classes)
        made.counts = counts
        return made

    def add(self, truth: Labels, predicted: Labels) -> NDArray[np.int64]:
        """Counts two HxW maps of the same size, and returns what was added."""
        n = len(self.classes)
        pairs = np.minimum(truth, n).astype(np.int64) * (n + 1) + np.minimum(predicted, n)
        added = np.bincount(pairs.ravel(), minlength=(n + 1) ** 2).reshape(n + 1, n + 1)
        self.counts += added
        return added

    def _hits(self) -> NDArray[np.int64]:
        return np.asarray(np.diagonal(self.counts)[:-1], np.int64)

    def _true(self) -> NDArray[np.int64]:
        return np.asarray(self.counts[:-1].sum(1), np.int64)

    def _claimed(self) -> NDArray[np.int64]:
        return np.asarray(self.counts[:-1, :-1].sum(0), np.int64)

    def pixels(self) -> dict[str, int]:
        """The truth's, by class name: what stands behind the class's figures."""
        return dict(zip(self.classes, map(int, self._true()), strict=True))

    def iou(self) -> Scores:
        """Hits among the pixels of truth or prediction; None for a class that neither showed."""
        return self._by_class(self._hits(), self._true() + self._claimed() - self._hits())

    def accuracy(self) -> Scores:
        """Hits among the truth's pixels (recall); None for a class that the truth did not show."""
        return self._by_class(self._hits(), self._true())

    def f1(self) -> Scores:
        """The harmonic mean of precision and recall, which is Dice; None for a class that neither showed."""
        return self._by_class(2 * self._hits(), self._true() + self._claimed())

    @property
    def miou(self) -> float | None:
        """Mean over the classes that were seen; None when none was."""
        return mean(self.iou())

    @property
    def pixel_accuracy(self) -> float | None:
        """Share of the scored pixels that are right; None when there was none."""
        total = self._true().sum()
        return float(self._hits().sum() / total) if total else None

    @property
    def class_accuracy(self) -> float | None:
        """Mean of `accuracy` over the truth's classes; None when there was none."""
        return mean(self.accuracy())

    @property
    def frequency_weighted_iou(self) -> float | None:
        """IoU of the truth's classes, weighted by their pixels (Long et al. 2015); None when there was none."""
        total, ious = self._true().sum(), self.iou().values()
        return float(sum(n * iou for n, iou in zip(self._true(), ious, strict=True) if n and iou) / total) if total else None

    @property
    def mean_f1(self) -> float | None:
        """Mean of `f1` over the classes that were seen; None when none was."""
        return mean(self.f1())

    def _by_class(self, shares: NDArray[np.int64], wholes: NDArray[np.int64]) -> Scores:
        return {name: float(share / whole) if whole else None for name, share, whole in zip(self.classes, shares, wholes, strict=True)}


def mean(scores: Scores) -> float | None:
    """Over the classes that have a score; None when none has."""
    known = [value for value in scores.values() if value is not None]
    return float(np.mean(known)) if known else None


def differing(one: Labels, other: Labels) -> float:
    """0..1, the share of pixels that two label maps of a picture disagree on, at the larger one's size by nearest neighbour."""
    if one.size < other.size:
        one, other = other, one
    if one.shape != other.shape:
        other = np.asarray(cv2.resize(other, one.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT))
    return float(np.count_nonzero(one != other) / one.size)


class LiveScore:
    """mIoU over the last `frames` labelled frames, counted at the labels' size so that it may run beside the video."""

    def __init__(self, classes: Sequence[str], frames: int = 30) -> None:
        self._frames = frames
        self._confusion = Confusion(classes)
        self._window: deque[NDArray[np.int64]] = deque()

    def add(self, truth: Labels, labels: Labels) -> NDArray[np.int64]:
        """Both uint8 HxW ids; the truth, of any size, is reduced to the labels' size by nearest neighbour. Returns what was counted."""
        height, width = labels.shape
        if truth.shape != labels.shape:
            # EXACT samples the middle of a cell; plain NEAREST samples its corner and costs mIoU at every edge
            truth = cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[assignment]
        self._window.append(added := self._confusion.add(truth, labels))
        if len(self._window) > self._frames:
            self._confusion.counts -= self._window.popleft()
        return added

    @property
    def miou(self) -> float | None:
        """0..1 over the classes that occur in truth or prediction; None while no labelled pixel was seen."""
        return self._confusion.miou
