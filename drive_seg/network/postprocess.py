"""From scores to labels where the graph does not: the argmax, and borders that are smooth or follow the picture's edges."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import STEPS, Array, Confidence, Image, Labels

RADIUS = 1  # of the windows, in the labels' pixels: 2 gains nothing and 3 loses the poles (docs/measured.md)
EPSILON = 1e-3  # of brightness 0..1, squared: a window that varies less is taken for flat


def shares(labels: Labels, classes: int) -> NDArray[np.float32]:
    """(classes,) of all pixels of (h, w) ids: OpenCV counts 480x360 in .1 ms, numpy's bincount in .6."""
    counts = np.ravel(cv2.calcHist([labels], [0], None, [256], [0, 256]))  # a column in OpenCV 4
    return np.asarray(counts[:classes] / labels.size, np.float32)


def argmax(planes: Iterable[Array]) -> Labels:
    """(h, w) positions of the largest of the float32 planes (h, w), the first of equals, as argmax; at most 255 planes.

    A running maximum: without a branch a pixel, and without a copy of all planes, it takes 0.5 ms for 11 x 360 x 480 on one core
    where numpy's argmax takes 5.8.
    """
    rest = iter(planes)
    best = np.array(next(rest))
    labels, better = np.zeros(best.shape, np.uint8), np.empty(best.shape, np.bool_)
    positions = better.view(np.uint8)
    for i, plane in enumerate(rest, 1):
        np.greater(plane, best, out=better)
        np.multiply(positions, np.uint8(i), out=positions)
        np.maximum(labels, positions, out=labels)  # positions grow, so that the last one to be better is the largest
        np.maximum(best, plane, out=best)
    return labels


def at_size(labels: Labels, size_hw: tuple[int, ...]) -> Labels:
    """Ids (h, w) as (H, W) by nearest neighbour: how a network's labels meet a truth of the frame's size."""
    return np.asarray(cv2.resize(labels, size_hw[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def along_edges(labels: Labels, image: Image, confidence: Confidence | None = None) -> Labels:
    """Ids (h, w) and their BGR picture (H, W, 3) to ids (H, W) whose borders follow the picture's edges.

    A fast guided filter (He, Sun, Tang 2010; He and Sun 2015, https://arxiv.org/abs/1505.00996, algorithm 2) of each class's
    indicator with the picture's brightness as the guide: a linear model of it is fitted in every window at the labels' size, and
    evaluated on the picture at full size. The algorithm's last smoothing of the model is left out: it costs a fifth more and gains
    nothing. Written out here because what has it is no light dependency of the live program: kornia's is torch, OpenCV's is in contrib,
    whose wheel would replace ours, and no dense CRF is kept up.
    """
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
    full = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32) / np.float32(255)
    size = (full.shape[1], full.shape[0])
    guide = cv2.resize(full, labels.shape[::-1], interpolation=cv2.INTER_AREA)
    mean = _mean(guide)
    precision = 1 / (_mean(guide * guide) - mean * mean + EPSILON)
    scores, levels = np.empty_like(full), np.empty_like(full)  # for every class in turn: fresh memory costs more than the arithmetic

    def plane(value: int) -> Array:
        indicator = (labels == value).astype(np.float32)
        level = _mean(indicator)
        slope = (_mean(guide * indicator) - mean * level) * precision
        level -= slope * mean
        np.multiply(cv2.resize(slope, size, dst=scores), full, out=scores)
        return np.add(scores, cv2.resize(level, size, dst=levels), out=scores)

    return _named(argmax(plane(int(value)) for value in present), present)


def smooth(labels: Labels, image: Image, confidence: Confidence | None) -> Labels:
    """Ids (h, w) and how sure they are to ids of the picture's size (H, W), as if the scores had been enlarged before they were compared.

    Each class's probability is known where it is the first or the second, the rest being the second's, and taken for 0 elsewhere; enlarged
    bilinearly, the largest wins. Borders then lie where two classes are equally probable instead of on the cells' edges.
    """
    assert confidence is not None
    first, second = confidence.steps, confidence.runner_up
    behind = np.minimum(STEPS - first, np.maximum(first, 1) - 1)  # never before the first, in its own cell
    present = np.union1d(np.flatnonzero(np.bincount(labels.ravel())), np.flatnonzero(np.bincount(second.ravel())))
    size = (image.shape[1], image.shape[0])

    def plane(value: int) -> Array:
        scores = np.where(labels == value, first, (second == value) * behind)
        return np.asarray(cv2.resize(scores, size, interpolation=cv2.INTER_LINEAR))

    return _named(argmax(plane(int(value)) for value in present), present)


def _named(positions: Labels, ids: Array) -> Labels:
    table = np.zeros(256, np.uint8)
    table[: len(ids)] = ids
    return np.asarray(cv2.LUT(positions, table), np.uint8)


def _mean(values: Array) -> Array:
    side = 2 * RADIUS + 1
    return np.asarray(cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT))


@dataclass(frozen=True, slots=True)
class Kind:
    """What a user can choose, and what it means."""

    help: str
    refine: Callable[[Labels, Image, Confidence | None], Labels]  # to the picture's size
    confidence: bool = False  # it has to be known


KINDS: dict[str, Kind] = {
    "edges": Kind("they follow the picture's edges: a guided filter", along_edges),
    "smooth": Kind("they lie where two classes are equally probable: probabilities enlarged before they are compared", smooth, True),
}
