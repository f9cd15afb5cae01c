"""Colours a label map and lays it over its picture, within 2 ms at 1280x720 on one core, within 3 with classes hidden or as contours.

What is drawn is found out at the labels' size and enlarged afterwards, and all that follows is written into the enlarged mask: a
second fresh array of 2.7 MB costs more in page faults than the arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from drive_seg.classes import RGB, drawn_palette, people
from drive_seg.contracts import Array, Image, Labels

CONTOUR_SHARE = 1 / 360  # of the picture's height: how wide a contour is on either side of its border; 2 pixels at 1280x720

LINE = 254  # the id of a white line; where there are so many classes that one has it, nothing is outlined

_AROUND = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Look:
    """How labels are drawn over a picture."""

    palette: tuple[tuple[int, int, int], ...]  # RGB 0..255 by class, in the card's order
    opacity: float = 0.5  # 0 is the picture, 1 the mask
    hidden: frozenset[int] = frozenset()  # ids 0..255 that are left as the picture is
    contours: bool = False  # borders of the areas, opaque, instead of the areas
    outlined: frozenset[int] = frozenset()  # ids with a white line around their areas, as strong as these, unless contours are drawn


def usual_look(classes: Sequence[str], own: tuple[RGB, ...], opacity: float = 0.5) -> Look:
    """How a network's labels are drawn unless somebody chose otherwise: in a window, a recording, a notebook. `own`: its palette."""
    return Look(drawn_palette(classes, own), opacity, outlined=people(classes))


class Painter:
    """Turns class ids into colours; ids beyond the palette (void) are black. Keeps no buffers: what it returns is the caller's."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self._bgr_of_id = np.zeros((256, 1, 3), np.uint8)
        if look.palette:
            self._bgr_of_id[: len(look.palette), 0] = np.asarray(look.palette, np.uint8)[:, ::-1]
        self._hidden_of_id = np.zeros(256, np.uint8)
        if look.hidden:
            self._hidden_of_id[sorted(look.hidden)] = 255
            self._bgr_of_id[sorted(look.hidden)] = 0

        outlined = look.outlined - look.hidden if not look.contours and len(look.palette) <= LINE else frozenset[int]()
        self._outlined_of_id = np.zeros(256, np.uint8)
        if outlined:
            self._outlined_of_id[sorted(outlined)] = self._bgr_of_id[LINE] = 255
        self._outlines = bool(outlined)

    @property
    def tables(self) -> tuple[Array, Array] | None:
        """By id the BGR colour, float32 (256, 3), and the share of it in a pixel, float32 (256, 1); None where that does not say it all."""
        shares = np.where(self._hidden_of_id[:, None] > 0, 0, self.look.opacity).astype(np.float32)
        return None if self.look.contours else (self._bgr_of_id[:, 0].astype(np.float32), shares)

    def outlined(self, labels: Labels) -> Labels:
        """The same ids at their own size, and LINE around what is outlined: a tenth of a millisecond."""
        if not self._outlines:
            return labels
        inside = cv2.LUT(labels, self._outlined_of_id)
        line = cv2.subtract(cv2.dilate(inside, _AROUND), inside)
        return np.where(line, np.uint8(LINE), labels)

    def colour(self, labels: Labels, size_hw: tuple[int, int]) -> Image:
        """The mask alone: uint8 HxW ids of any size -> areas in BGR uint8 at `size_hw`, the hidden ones black."""
        return np.asarray(_resized(cv2.applyColorMap(labels, self._bgr_of_id), size_hw), np.uint8)

    def paint(self, image: Image, labels: Labels) -> Image:
        """The labels over the picture, BGR uint8 at the image's size. `image` stays as it is."""
        look, size_hw = self.look, (image.shape[0], image.shape[1])
        if look.contours:
            labels = _at_contour_size(labels, size_hw)
        labels = self.outlined(labels)
        mask = self.colour(labels, size_hw)
        if not look.contours:
            mask = cv2.addWeighted(image, 1.0 - look.opacity, mask, look.opacity, 0.0, dst=mask)  # type: ignore[assignment]
        if look.contours or look.hidden:
            cv2.copyTo(image, _resized(self._untouched(labels), size_hw), mask)
        return mask

    def _untouched(self, labels: Labels) -> Array:
        """Where the picture stays as it is: 255, elsewhere 0, at the labels' size."""
        hidden = cv2.LUT(labels, self._hidden_of_id)
        if not self.look.contours:
            return hidden
        steps = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, _AROUND)
        return cv2.bitwise_or(hidden, cv2.threshold(steps, 0, 255, cv2.THRESH_BINARY_INV)[1])


def _at_contour_size(labels: Labels, size_hw: tuple[int, int]) -> Labels:
    """So that one pixel is as large as a contour is wide."""
    width = max(1, round(size_hw[0] * CONTOUR_SHARE))
    return np.asarray(_resized(labels, (max(1, size_hw[0] // width), max(1, size_hw[1] // width))), np.uint8)


def _resized(array: Array, size_hw: tuple[int, int]) -> Array:
    """To this size by nearest neighbour, which takes each pixel from the same place whatever the array holds."""
    if array.shape[:2] == size_hw:
        return array
    return cv2.resize(array, size_hw[::-1], interpolation=cv2.INTER_NEAREST)
