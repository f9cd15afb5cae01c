"""How well label maps agree with the truth, all read off one confusion matrix."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Labels


class Confusion:
    """Counts of pixels, truth down and prediction across.

    An id of the truth that is no class is void and not scored; a prediction that is no class is wrong.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        side = len(self.classes) + 1  # the last row and column are void's
        self.counts: NDArray[np.int64] = np.zeros((side, side), np.int64)

    def add(self, truth: Labels, predicted: Labels) -> NDArray[np.int64]:
        """Counts two HxW maps of the same size, and returns what was added."""
        n = len(self.classes)
        pairs = np.minimum(truth, n).astype(np.int64) * (n + 1) + np.minimum(predicted, n)
        added = np.bincount(pairs.ravel(), minlength=(n + 1) ** 2).reshape(n + 1, n + 1)
        self.counts += added
        return added

    def iou(self) -> dict[str, float | None]:
        """By class name; None for a class that neither truth nor prediction showed."""
        scored = self.counts[:-1]
        hits = np.diagonal(scored)
        unions = scored.sum(1) + scored[:, :-1].sum(0) - hits
        return {name: float(hit / union) if union else None for name, hit, union in zip(self.classes, hits, unions, strict=True)}

    @property
    def miou(self) -> float | None:
        """Mean over the classes that were seen; None when none was."""
        seen = [value for value in self.iou().values() if value is not None]
        return float(np.mean(seen)) if seen else None

    @property
    def pixel_accuracy(self) -> float | None:
        total = self.counts[:-1].sum()
        return float(np.diagonal(self.counts[:-1]).sum() / total) if total else None
