"""What every OpenCV source shares: a silent OpenCV, pictures as BGR uint8, and a clock that never goes back.

Import this module instead of configuring cv2 elsewhere: FFmpeg's and V4L2's settings are read when the first capture opens.
"""

import math
import os

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET: our own errors say what the person needs
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "4")  # seconds; a camera pulled out must not hold its reader for 10

import cv2
import numpy as np

from drive_seg.contracts import Array, Image

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

NOMINAL_FPS = 30.0  # where a container or a camera does not say


def bgr8(picture: Array) -> Image:
    """HxW, HxWx1, HxWx3 (BGR) or HxWx4 (BGRA), uint8 or uint16, as HxWx3 BGR uint8. Raises ValueError for anything else."""
    channels = 1 if picture.ndim == 2 else picture.shape[2] if picture.ndim == 3 else 0
    if picture.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4):
        raise ValueError(f"pictures of {picture.dtype} {picture.shape} are not supported")
    small: Array = (picture >> 8).astype(np.uint8) if picture.dtype == np.uint16 else picture
    if channels == 3:
        return small
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR if channels == 1 else cv2.COLOR_BGRA2BGR), np.uint8)


def fps_of(capture: cv2.VideoCapture) -> float:
    """The nominal rate; NOMINAL_FPS where none, or nonsense such as a time base, is given."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if math.isfinite(fps) and 0 < fps <= 1000 else NOMINAL_FPS


def frame_count_of(capture: cv2.VideoCapture) -> int | None:
    """How many frames the container says it has; None where it does not know (FFmpeg then answers with nonsense)."""
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if math.isfinite(count) and 0 < count < 1e9 else None


def size_hw_of(capture: cv2.VideoCapture) -> tuple[int, int]:
    return int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))


class MediaClock:
    """Presentation times that strictly increase: the container's own, and 1/fps further where that stands still or goes back."""

    def __init__(self, fps: float) -> None:
        self._step_s = 1 / fps
        self.last_s: float | None = None

    def tick(self, position_ms: float) -> float:
        """The time in seconds of the frame just grabbed, of which OpenCV says CAP_PROP_POS_MSEC."""
        time_s = position_ms / 1000 if math.isfinite(position_ms) else 0.0
        if self.last_s is not None and time_s <= self.last_s:
            time_s = self.last_s + self._step_s
        self.last_s = time_s
        return time_s
