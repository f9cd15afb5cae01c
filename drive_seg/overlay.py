"""Colours a label map and lays it over its picture, within 2 ms at 1280x720 on one core.

The mask is coloured at the labels' size and enlarged afterwards, and the blend is written into the enlarged mask: a second fresh
array of 2.7 MB costs more in page faults than the arithmetic.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from drive_seg.contracts import Image, Labels


class Painter:
    """Turns class ids into colours; ids beyond the palette (void) are black. Keeps no buffers: what it returns is the caller's."""

    def __init__(self, palette: Sequence[tuple[int, int, int]]) -> None:
        """`palette`: one RGB colour 0..255 per class, in the card's order."""
        self._bgr_of_id = np.zeros((256, 1, 3), np.uint8)
        if palette:
            self._bgr_of_id[: len(palette), 0] = np.asarray(palette, np.uint8)[:, ::-1]

    def colour(self, labels: Labels, size_hw: tuple[int, int]) -> Image:
        """The mask alone: uint8 HxW ids of any size -> BGR uint8 at `size_hw`."""
        mask = cv2.applyColorMap(labels, self._bgr_of_id)
        height, width = size_hw
        if mask.shape[:2] != size_hw:
            mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        return mask  # type: ignore[return-value]  # cv2's stubs do not know the dtype

    def paint(self, image: Image, labels: Labels, opacity: float) -> Image:
        """The mask over the picture, BGR uint8 at the image's size; `opacity` 0 is the picture, 1 the mask. `image` stays as it is."""
        mask = self.colour(labels, (image.shape[0], image.shape[1]))
        return cv2.addWeighted(image, 1.0 - opacity, mask, opacity, 0.0, dst=mask)  # type: ignore[return-value]
