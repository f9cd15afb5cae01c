"""Losses on class scores, by the name that a recipe gives, and the one place where labels meet scores and void ends."""

import math
from collections.abc import Callable, Mapping
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drive_seg.contracts import Labels
from drive_seg.lab.evaluate.pairs import VOID

FOCUS = 2.0  # focal's gamma
HARD_SHARE = 0.7  # OHEM keeps pixels whose true class gets less than this
HARD_LEAST = 1 / 16  # and never fewer than this share of the known pixels
FALSE_ALARM, MISS = 0.3, 0.7  # Tversky's alpha and beta: what is missed costs more than what is seen where nothing is
BAND_PX = 3  # the boundary's pixels: no farther than this from one of another class, at the labels' size
SAMPLE = 60_000  # pixels that Lovász sorts at most


def class_weights(labels: list[Labels], classes: int, floor: float) -> Tensor:
    """1 / log(floor + share of pixels) by class, scaled so that the mean weight of a pixel is 1 (ENet, arXiv 1606.02147)."""
    counts = sum((np.bincount(one.ravel(), minlength=256)[:classes] for one in labels), np.zeros(classes))
    share = counts / counts.sum()
    weights = 1 / np.log(floor + share)
    return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)


def truths(labels: Tensor, size_hw: tuple[int, int]) -> list[Tensor]:
    """Target maps, int64 (N, h, w), of (N, H, W) ids for scores of a smaller size.

    At half size a cell stands for four pixels, and it is taught all four: taught one of them, the masks came out 0.6 pixels beside
    the truth, which thin poles do not forgive. Further down the nearest one has to do.
    """
    if (labels.shape[1], labels.shape[2]) == (2 * size_hw[0], 2 * size_hw[1]):
        return [labels[:, i::2, j::2].long() for i in (0, 1) for j in (0, 1)]
    return [F.interpolate(labels[:, None].float(), size=size_hw, mode="nearest-exact")[:, 0].long()]


def near_boundary(labels: Tensor) -> Tensor:
    """Of (N, H, W) ids, uint8 1 where another class is within BAND_PX rows and columns; the border of void is none."""
    ids = labels[:, None].float()
    void = ids == VOID
    highest, lowest = _highest_around(ids.masked_fill(void, -1.0)), -_highest_around(-ids.masked_fill(void, float(VOID)))
    return (highest > lowest)[:, 0].to(torch.uint8)


def _highest_around(x: Tensor) -> Tensor:
    """Down and then across, which is less work than the square at once."""
    side = 2 * BAND_PX + 1
    return F.max_pool2d(F.max_pool2d(x, (side, 1), 1, (BAND_PX, 0)), (1, side), 1, (0, BAND_PX))


class Targets:
    """A batch's scores with their target maps; void is masked here, so that no loss below sees it."""

    def __init__(self, scores: Tensor, labels: Tensor, weights: Tensor) -> None:
        """Scores (N, C, h, w) of any float type, uint8 labels (N, H, W) with VOID, and a weight for each of the C classes."""
        self.scores, self.labels, self.weights = scores.float(), labels, weights
        self.size_hw = (scores.shape[2], scores.shape[3])
        self.maps = truths(labels, self.size_hw)

    @cached_property
    def pixels(self) -> tuple[Tensor, Tensor]:
        """-log(share of the true class) and the class weight of every pixel, (maps, N, h, w) each; void has zero of both."""
        log_shares, table = F.log_softmax(self.scores, 1), F.pad(self.weights, (0, 1))
        nll = [F.nll_loss(log_shares, truth, ignore_index=VOID, reduction="none") for truth in self.maps]
        return torch.stack(nll), torch.stack([table[truth.clamp(max=len(self.weights))] for truth in self.maps])

    def map_mean(self, loss: Callable[..., Tensor]) -> Tensor:
        """The mean of one of kornia's losses over the maps."""
        return torch.stack([loss(self.scores, truth, ignore_index=VOID) for truth in self.maps]).mean()

    def sample(self) -> tuple[Tensor, Tensor]:
        """Scores (1, C, P, 1) and ids (1, P, 1) of the known pixels on a lattice of at most SAMPLE.

        The lattice stands still and the crops move under it. Its step is odd, so that it meets every phase of a sub-pixel convolution.
        """
        step = math.ceil(math.sqrt(len(self.maps) * self.maps[0].numel() / SAMPLE)) | 1
        scores = self.scores[:, :, ::step, ::step].transpose(0, 1).flatten(1)
        ids = [truth[:, ::step, ::step].flatten() for truth in self.maps]
        known = [truth != VOID for truth in ids]
        some = torch.cat([scores[:, there] for there in known], 1)
        return some[None, :, :, None], torch.cat([truth[there] for truth, there in zip(ids, known, strict=True)])[None, :, None]


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def weighted_cross_entropy(targets: Targets) -> Tensor:
    """The mean cross-entropy of a pixel, weighted by class."""
    return _weighted_mean(*targets.pixels)


def cross_entropy(targets: Targets) -> Tensor:
    """Every pixel alike, so that the common classes decide."""
    nll, weights = targets.pixels
    return _weighted_mean(nll, (weights > 0).float())


def ohem(targets: Targets) -> Tensor:
    """Weighted cross-entropy of the hard pixels alone (online bootstrapping, Wu et al. 2016, arXiv 1604.04339)."""
    nll, weights = targets.pixels
    least = max(1, int(HARD_LEAST * int((weights > 0).sum())))
    limit = nll.detach().new_tensor(-math.log(HARD_SHARE))
    if int((nll > limit).sum()) < least:
        limit = nll.detach().flatten().topk(least).values[-1]
    return _weighted_mean(nll, weights * (nll >= limit))


def focal(targets: Targets) -> Tensor:
    """Cross-entropy times (1 - share)^gamma, weighted by class (Lin et al. 2017, arXiv 1708.02002, equation 5).

    Not kornia's: with class weights that one takes 119 ms for one of the four maps of eight 480x360 pictures on two cores, this one 23
    for all four.
    """
    nll, weights = targets.pixels
    return _weighted_mean((1 - (-nll).exp()) ** FOCUS * nll, weights)


def boundary(targets: Targets) -> Tensor:
    """Weighted cross-entropy of the pixels near a boundary between classes.

    Beside another loss it is a weight map that is higher at borders (U-Net, arXiv 1505.04597, equation 2) with a band instead of a
    Gaussian: two poolings for any number of classes, where a distance map a class costs a transform for each.
    """
    nll, weights = targets.pixels
    return _weighted_mean(nll, weights * torch.stack(truths(near_boundary(targets.labels), targets.size_hw)))


def dice(targets: Targets) -> Tensor:
    """1 - Dice, the mean over each picture's classes, which count alike without weights (V-Net, arXiv 1606.04797)."""
    from kornia.losses import dice_loss

    return targets.map_mean(partial(dice_loss, average="macro"))


def tversky(targets: Targets) -> Tensor:
    """Dice with a dearer price for what is missed (Salehi et al. 2017, arXiv 1706.05721)."""
    from kornia.losses import tversky_loss

    return targets.map_mean(partial(tversky_loss, alpha=FALSE_ALARM, beta=MISS))


def lovasz(targets: Targets) -> Tensor:
    """Lovász-softmax, a surrogate of 1 - mIoU (Berman et al. 2018, arXiv 1705.08790), over the batch's classes.

    It sorts every pixel by every class, so it takes a sample: all pixels of a batch of eight would cost more than the network.
    """
    from kornia.losses import lovasz_softmax_loss

    scores, truth = targets.sample()
    if not truth.numel():
        return scores.sum()
    classes = scores.shape[1]
    there = torch.bincount(truth.flatten(), minlength=classes) > 0
    return lovasz_softmax_loss(scores, truth, weight=there * (classes / there.sum()))  # it divides by all classes


LOSSES: dict[str, Callable[[Targets], Tensor]] = {
    "weighted_cross_entropy": weighted_cross_entropy,
    "cross_entropy": cross_entropy,
    "ohem": ohem,
    "focal": focal,
    "dice": dice,
    "tversky": tversky,
    "lovasz": lovasz,
    "boundary": boundary,
}


def combined(losses: Mapping[str, float], scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The sum of the named losses, each times its factor: scores (N, C, h, w) against labels (N, H, W); void teaches nothing."""
    targets = Targets(scores, labels, weights)
    return torch.stack([factor * LOSSES[name](targets) for name, factor in losses.items()]).sum()
