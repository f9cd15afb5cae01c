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


def truths(labels: Tensor, size_hw: tuple[int, int]) -> list[Tensor]:
    """What (N, H, W) ids say about a smaller map of scores.

    At half size a cell stands for four pixels, and it is taught all four: taught one of them, the masks came out 0.6 pixels beside
    the truth, which thin poles do not forgive. Further down the nearest one has to do.
    """
    if (labels.shape[1], labels.shape[2]) == (2 * size_hw[0], 2 * size_hw[1]):
        return [labels[:, i::2, j::2].long() for i in (0, 1) for j in (0, 1)]
    return [F.interpolate(labels[:, None].float(), size=size_hw, mode="nearest-exact")[:, 0].long()]


def cross_entropy(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Scores (N, C, h, w) against labels (N, H, W): a mean over the pixels, weighted by class; void is left out."""
    log_shares = F.log_softmax(scores.float(), 1)
    total, weight = scores.new_zeros((), dtype=torch.float32), scores.new_zeros((), dtype=torch.float32)
    for truth in truths(labels, (scores.shape[2], scores.shape[3])):
        total = total + F.nll_loss(log_shares, truth, weights, ignore_index=VOID, reduction="sum")
        weight = weight + weights[truth[truth != VOID]].sum()
    return total / weight.clamp(min=1e-6)
