"""Average precision by class, from the class scores that the torch network gives: an exported head gives labels alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Image, Labels
from drive_seg.errors import BundleError
from drive_seg.lab.evaluate.accuracy import Scored
from drive_seg.network.card import Bundle
from drive_seg.network.preprocess import input_size, to_input
from drive_seg.network.score import Scores, mean

RANGE, BINS = 16.0, 2048  # log-odds from -16 to 16 in steps of 1/64; what fp32 can tell from certain lies within


class Curves:
    """Precision against recall by class, over every known pixel, in bounded memory.

    Each pixel's probability of the class is counted in one of BINS bins of its log-odds, where an even step stays fine near 0 and 1.
    """

    def __init__(self, classes: int) -> None:
        self.hits, self.all = (np.zeros((classes, BINS), np.int64) for _ in range(2))

    def add(self, truth: Labels, log_odds: NDArray[np.float32]) -> None:
        """HxW ids and (C, h, w) log-odds, which are enlarged to the truth's size by nearest neighbour as labels are."""
        classes, h, w = log_odds.shape
        bins = np.clip((log_odds + RANGE) * (BINS / (2 * RANGE)), 0, BINS - 1).astype(np.int64)
        rows, columns = (np.arange(large) * small // large for large, small in zip(truth.shape, (h, w), strict=True))
        known = truth < classes
        for i in range(classes):
            enlarged = bins[i][rows][:, columns]
            self.all[i] += np.bincount(enlarged[known], minlength=BINS)
            self.hits[i] += np.bincount(enlarged[truth == i], minlength=BINS)

    def average_precision(self, classes: Sequence[str]) -> Scores:
        """By class name: the sum over the bins, from the surest down, of the recall gained times the precision there.

        As in scikit-learn and torchmetrics nothing is interpolated. None for a class without a pixel.
        """
        scores: dict[str, float | None] = {}
        for name, hits, all_ in zip(classes, self.hits[:, ::-1], self.all[:, ::-1], strict=True):
            found, claimed = hits.cumsum(), all_.cumsum()
            scores[name] = float((hits * (found / np.maximum(claimed, 1))).sum() / found[-1]) if found[-1] else None
        return scores


class AveragePrecision:
    """Runs the bundle's weights in torch, in fp32, on the same input as the engine. Where it cannot, its figures say why instead."""

    def __init__(self, bundle: Bundle) -> None:
        self.card, self.curves = bundle.card, Curves(len(bundle.card.classes))
        self.network: Any = None
        try:
            from drive_seg.lab.models.stored import read_network

            self.network = read_network(bundle)
            self.by = "torch fp32"
        except ImportError as error:
            self.by = f"not measured: {error}; pip install 'drive-seg[lab]'"
        except BundleError as error:
            self.by = f"not measured: {error}"

    def add(self, frame: Scored) -> None:
        if self.network is not None:
            self.curves.add(frame.truth, self._log_odds(frame.image))

    def figures(self) -> dict[str, Any]:
        """average_precision by class, its mean, and what gave them; None for both without a network."""
        by_class = None if self.network is None else self.curves.average_precision(self.card.classes)
        return {
            "mean_average_precision": None if by_class is None else mean(by_class),
            "average_precision": by_class,
            "average_precision_by": self.by,
        }

    def _log_odds(self, image: Image) -> NDArray[np.float32]:
        import torch

        size_hw = input_size((image.shape[0], image.shape[1]), (self.card.input.height, self.card.input.width), self.card.input.multiple)
        with torch.inference_mode():
            log_shares = self.network(torch.from_numpy(to_input(image, size_hw))).log_softmax(1)[0]
            odds: NDArray[np.float32] = (log_shares - (-torch.expm1(log_shares)).log()).numpy()
        return odds
