"""What cameras and pictures share: a silent OpenCV, pictures as BGR uint8, and a rate where none is given.

Import this module instead of configuring cv2 elsewhere: V4L2's settings are read when the first capture opens.
"""

import math
import os

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


def size_hw_of(capture: cv2.VideoCapture) -> tuple[int, int]:
    return int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
