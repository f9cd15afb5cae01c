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
    brightness = image.mean((0, 1))
    for _ in range(rng.integers(1, 5)):
        pieces = cutouts[sorted(cutouts)[rng.integers(len(cutouts))]]
        piece = pieces[rng.integers(len(pieces))]
        patch, mask = piece.image, piece.mask
        if rng.random() < 0.5:
            patch, mask = patch[:, ::-1], mask[:, ::-1]
        height, width = mask.shape
        top = int(np.clip(piece.top + rng.normal(0, SHIFT_ROWS), 0, image.shape[0] - height))
        left = int(rng.integers(0, image.shape[1] - width + 1))
        box = np.s_[top : top + height, left : left + width]
        gain = np.clip(brightness / np.maximum(piece.brightness, 1), 0.4, 2.5)
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)[..., None] * mask[..., None]  # no hard rim to learn it by
        image[box] = np.clip(image[box] * (1 - soft) + patch * gain * soft, 0, 255).astype(np.uint8)
        truth[box] = np.where(mask, piece.label, truth[box])
    return image, truth
