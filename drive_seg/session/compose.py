"""What a window or page shows of a frame: overlay, mask, picture, errors or doubt, alone, split between two ways, or what differs."""

from enum import Enum

import cv2
import numpy as np

from drive_seg.contracts import Image, Labels
from drive_seg.overlay import Look, Painter
from drive_seg.session.film import Versus, dark, difference, enlarged, split
from drive_seg.session.status import Shown

RIGHT, WRONG = (0, 114, 178), (230, 120, 0)  # RGB, told apart by every eye (Okabe, Ito 2008)


class View(Enum):
    OVERLAY = "overlay"
    MASK = "mask"
    PICTURE = "picture"
    ERRORS = "errors"  # where the truth is known
    DOUBT = "doubt"  # where the network tells its confidence


_ERRORS = Painter(Look(palette=(RIGHT, WRONG, (0, 0, 0)), opacity=0.6, hidden=frozenset({2})))


def compose(
    shown: Shown,
    painter: Painter,
    view: View,
    versus: Versus,
    divider: float,
    room_hw: tuple[int, int],
    ids: Labels | None = None,
    classes: int = 256,
) -> Image:
    """BGR at the frame's size, or at that of `room_hw` if it is smaller: what no screen shows need not be painted.

    `divider`: the share of the width, from the left, that is the frame's own; the rest is its other's. `ids`: of `same_ids`.
    `classes`: how many there are; other ids of the truth are void.
    """
    result, other = shown.result, None if shown.comparison is None else shown.comparison.labels
    if other is not None and ids is not None:
        other = np.asarray(cv2.LUT(other, ids), np.uint8)
    image = result.frame.image
    if room_hw[0] < image.shape[0]:
        image = scaled(image, room_hw)
    size_hw = image.shape[0], image.shape[1]
    if other is not None and versus is Versus.DIFFERENCE:
        return difference(image, result.labels, other)
    labels = result.labels if other is None else split(result.labels, other, size_hw, divider)
    if view is View.PICTURE:
        return image
    if view is View.DOUBT:
        return doubt(image, shown, divider)
    if view is View.ERRORS:
        return errors(image, labels, result.frame.labels, classes)
    if view is View.MASK:
        return painter.colour(labels, size_hw)
    return painter.paint(image, labels)


def scaled(image: Image, size_hw: tuple[int, int]) -> Image:
    """By OpenCV: it lets other threads run, where Qt would hold Python's lock all the while."""
    height, width = size_hw
    while image.shape[0] >= 2 * height and image.shape[0] > 1:  # bilinear skips pixels below a half, and INTER_AREA is fast at a half alone
        image = cv2.resize(image, (max(1, image.shape[1] // 2), image.shape[0] // 2), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if image.shape[:2] != size_hw:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return image


def errors(image: Image, labels: Labels, truth: Labels | None, classes: int) -> Image:
    """The picture in dark grey, and on it what is right and what is wrong; nothing where the truth is void, or there is none."""
    if truth is None:
        return dark(image)
    size_hw = image.shape[0], image.shape[1]
    truth = enlarged(truth, size_hw)
    return _ERRORS.paint(dark(image), np.where(truth < classes, truth != enlarged(labels, size_hw), 2).astype(np.uint8))


def doubt(image: Image, shown: Shown, divider: float) -> Image:
    """The picture in dark grey, and on it how unsure the network is: nothing where it is sure, brightest at half sure or less."""
    told = [one.confidence.steps for one in (shown.result, shown.comparison) if one and one.confidence]
    if not told:
        return dark(image)
    size_hw = image.shape[0], image.shape[1]
    steps = told[0] if len(told) == 1 else split(told[0], told[1], size_hw, divider)
    heat = cv2.applyColorMap(cv2.convertScaleAbs(cv2.bitwise_not(steps), alpha=2), cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.add(dark(image), cv2.resize(heat, size_hw[::-1], interpolation=cv2.INTER_LINEAR)), np.uint8)
