"""Losses on class scores: weighted cross-entropy, with void left out in one place."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drive_seg.contracts import Labels
from drive_seg.lab.evaluate.pairs import VOID


def class_weights(labels: list[Labels], classes: int, floor: float) -> Tensor:
    """1 / log(floor + share of pixels) by class, scaled so that the mean weight of a pixel is 1 (ENet, arXiv 1606.02147)."""
    counts = sum((np.bincount(one.ravel(), minlength=256)[:classes] for one in labels), np.zeros(classes))
    share = counts / counts.sum()
    weights = 1 / np.log(floor + share)
    return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)


def reduce_labels(labels: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """(N, H, W) ids at a smaller size, by nearest neighbour."""
    return F.interpolate(labels[:, None].float(), size=size_hw, mode="nearest-exact")[:, 0].long()


def cross_entropy(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Scores (N, C, h, w) against labels (N, H, W) reduced to their size, a mean over the pixels weighted by class."""
    scores = scores.float()
    truth = reduce_labels(labels, (scores.shape[2], scores.shape[3]))
    return F.cross_entropy(scores, truth, weights, ignore_index=VOID)
