"""Writes each frame's labels as a PNG of class ids."""

from pathlib import Path

import cv2

from drive_seg.contracts import Result
from drive_seg.errors import SinkError
from drive_seg.sinks.background import BackgroundWriter, as_sink_error
from drive_seg.workers import Overflow

FASTEST = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # label maps are flat: level 9 saves little and costs tens of milliseconds


class MaskWriter:
    """`directory/000123.png` for frame 123: 8-bit grey, class ids, at the frame's size (enlarged by nearest neighbour).

    The directory is made; masks that are already there are overwritten. Encodes in a thread of its own. Raises SinkError
    when the directory cannot be made, and from `put` or `close` when a mask could not be written.
    """

    wants_overlay: bool = False

    def __init__(self, directory: str | Path, overflow: Overflow = Overflow.WAIT) -> None:
        self._directory = Path(directory).expanduser()
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise as_sink_error(self._directory, error) from error
        self._writer = BackgroundWriter(str(self._directory), self._write, lambda: None, overflow)

    @property
    def dropped(self) -> int:
        return self._writer.dropped

    def put(self, result: Result) -> None:
        self._writer.put(result)

    def close(self) -> None:
        self._writer.close()

    def _write(self, result: Result) -> None:
        height, width = result.frame.image.shape[:2]
        labels = cv2.resize(result.labels, (width, height), interpolation=cv2.INTER_NEAREST)
        path = self._directory / f"{result.frame.index:06d}.png"
        ok, data = cv2.imencode(".png", labels, FASTEST)
        if not ok:
            raise SinkError(f"{path}: OpenCV could not encode the mask")
        try:
            path.write_bytes(data.tobytes())
        except OSError:
            path.unlink(missing_ok=True)  # no half mask is left behind
            raise
