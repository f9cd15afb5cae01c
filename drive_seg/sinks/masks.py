"""Writes each frame's labels as a PNG: class ids, or what another data set has for its classes."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Result
from drive_seg.errors import SinkError
from drive_seg.files import PART, Held, as_sink_error, require_no_masks, write
from drive_seg.sinks.background import BackgroundWriter
from drive_seg.workers import Overflow

FASTEST = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # label maps are flat: level 9 saves little and costs tens of milliseconds

Table = NDArray[np.uint8]  # (256,) ids or (256, 3) BGR, by class id


class MaskWriter(BackgroundWriter):
    """`directory/000123.png` for frame 123: at the frame's size (enlarged by nearest neighbour), 8-bit grey with class ids, or what
    `coded` makes of the classes' names: other ids, or colours.

    The directory is made. A file that is there is only replaced with `overwrite`, or where this writer made it, as a frame may
    come twice. Encodes in a thread of its own. Raises UsageError for a directory with masks in it and for one that another
    process writes to, SinkError when it cannot be made, and from `put` or `close` when a mask could not be written.
    """

    def __init__(
        self,
        directory: str | Path,
        overflow: Overflow = Overflow.WAIT,
        overwrite: bool = False,
        coded: Callable[[tuple[str, ...]], Table] | None = None,
    ) -> None:
        self._directory, self._overwrite, self._coded = Path(directory), overwrite, coded
        self._own: set[int] = set()
        require_no_masks(self._directory, overwrite)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._held = Held(self._directory / f"masks{PART}", self._directory)
        except OSError as error:
            raise as_sink_error(self._directory, error) from error
        super().__init__(str(self._directory), overflow)

    def _write(self, result: Result) -> None:
        index, (height, width) = result.frame.index, result.frame.size_hw
        labels = self._coded(result.classes)[result.labels] if self._coded else result.labels
        picture = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
        path = self._directory / f"{index:06d}.png"
        ok, data = cv2.imencode(".png", picture, FASTEST)
        if not ok:
            raise SinkError(f"{path}: OpenCV could not encode the mask")
        write(path, data.tobytes(), self._overwrite or index in self._own)
        self._own.add(index)

    def _finish(self, whole: bool) -> None:
        self._held.release()
