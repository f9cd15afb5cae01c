"""Copy-paste of what is rare: cut-outs of small classes from other training pictures (Ghiasi et al. 2021, https://arxiv.org/abs/2012.07177)."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Image, Labels

SMALLEST = 60  # pixels; what is smaller is no object that an eye would know
SHIFT_ROWS = 6.0  # standard deviation: an object stays near its row, because its row says how far away it is


@dataclass(frozen=True, slots=True)
class Cutout:
    """One connected piece of a rare class, in its bounding box."""

    label: int
    image: Image
    mask: NDArray[np.uint8]  # 1 where the piece is
    top: int
    left: int
    brightness: NDArray[np.float64]  # BGR means of the picture that it comes from


def cut_out(samples: list[tuple[Image, Labels]], labels: tuple[int, ...]) -> dict[int, list[Cutout]]:
    """Every piece of the given classes in the samples, by class; a class without any is left out."""
    found: dict[int, list[Cutout]] = {}
    for image, truth in samples:
        brightness = image.mean((0, 1))
        for label in labels:
            _, pieces, stats, _ = cv2.connectedComponentsWithStats((truth == label).astype(np.uint8))
            for piece, (left, top, width, height, area) in enumerate(stats):
                if piece and area >= SMALLEST:  # 0 is what surrounds the pieces
                    box = np.s_[top : top + height, left : left + width]
                    mask = (pieces[box] == piece).astype(np.uint8)
                    found.setdefault(label, []).append(Cutout(label, image[box].copy(), mask, int(top), int(left), brightness))
    return found


def paste(image: Image, truth: Labels, cutouts: dict[int, list[Cutout]], rng: np.random.Generator) -> tuple[Image, Labels]:
    """A copy with one to four pieces put in at their own rows, anywhere across, classes equally often, as bright as the picture is."""
    image, truth = image.copy(), truth.copy()
    for _ in range(rng.integers(1, 5)):
        pieces = cutouts[sorted(cutouts)[rng.integers(len(cutouts))]]
        piece = pieces[rng.integers(len(pieces))]
        top = int(np.clip(piece.top + rng.normal(0, SHIFT_ROWS), 0, image.shape[0] - piece.mask.shape[0]))
        left = int(rng.integers(0, image.shape[1] - piece.mask.shape[1] + 1))
        put(image, truth, piece, top, left, flip=rng.random() < 0.5)
    return image, truth


def put(image: Image, truth: Labels, piece: Cutout, top: int, left: int, size: float = 1.0, flip: bool = False) -> None:
    """Draws a piece into a picture and its labels, in place and as bright as the picture is; what reaches beyond the picture is cut off."""
    patch, mask = piece.image, piece.mask
    if flip:
        patch, mask = np.ascontiguousarray(patch[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    if size != 1:
        size_wh = max(1, round(mask.shape[1] * size)), max(1, round(mask.shape[0] * size))
        patch = np.asarray(cv2.resize(patch, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
        mask = np.asarray(cv2.resize(mask, size_wh, interpolation=cv2.INTER_NEAREST), np.uint8)
    bottom, right = min(image.shape[0], top + mask.shape[0]), min(image.shape[1], left + mask.shape[1])
    if bottom <= max(top, 0) or right <= max(left, 0):
        return
    within = np.s_[max(-top, 0) : bottom - top, max(-left, 0) : right - left]
    patch, mask = patch[within], mask[within]
    box = np.s_[max(top, 0) : bottom, max(left, 0) : right]
    gain = np.clip(image.mean((0, 1)) / np.maximum(piece.brightness, 1), 0.4, 2.5)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)[..., None] * mask[..., None]  # no hard rim to learn it by
    image[box] = np.clip(image[box] * (1 - soft) + patch * gain * soft, 0, 255).astype(np.uint8)
    truth[box] = np.where(mask, piece.label, truth[box])
