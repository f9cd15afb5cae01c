"""A local camera as a live source."""

import sys
import time
from pathlib import Path

import cv2

from drive_seg.contracts import Closing, Frame, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sources.opencv import bgr8, fps_of, size_hw_of
from drive_seg.sources.pictures import natural_key

DEVICES = Path("/dev")


class CameraSource(Closing):
    """Camera `index`, which is `/dev/video<index>` on Linux, at the size and rate that it chooses.

    `time_s` counts from the opening, taken when the frame arrived; `decode_ms` is the decoding alone, without the wait for
    the frame. Owns the device until `close`. Raises SourceError when the camera is not there or busy, and from `read` when
    it delivers no more.
    """

    def __init__(self, index: int) -> None:
        self._name = f"camera {index}"
        linux = sys.platform.startswith("linux")
        if linux and not (DEVICES / f"video{index}").exists():
            raise SourceError(f"{self._name}: there is none; {_present()}")
        self._capture = cv2.VideoCapture(index, cv2.CAP_V4L2 if linux else cv2.CAP_ANY)
        if not self._capture.isOpened():
            raise SourceError(
                f"{self._name}: cannot be opened; close the program that uses it, or allow this user to (group video); {_present()}"
            )
        # MJPG lets USB 2 cameras reach 30 fps at 720p; one buffer keeps the frame read the newest. A camera may ignore both.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self.info = SourceInfo(self._name, size_hw_of(self._capture), fps_of(self._capture), live=True)
        self._opened_s = time.monotonic()
        self._index = 0
        self._closed = False

    def read(self) -> Frame | None:
        if self._closed:
            return None
        grabbed = self._capture.grab()
        time_s = time.monotonic() - self._opened_s
        start = time.perf_counter()
        ok, picture = self._capture.retrieve() if grabbed else (False, None)
        if not ok or picture is None:
            raise SourceError(f"{self._name}: it delivers no more frames after {self._index}; check its cable and start again")
        try:
            frame = Frame(bgr8(picture), self._index, time_s, decode_ms=(time.perf_counter() - start) * 1000)
        except ValueError as error:
            raise SourceError(f"{self._name}: {error}; choose another pixel format with v4l2-ctl") from error
        self._index += 1
        return frame

    def close(self) -> None:
        self._closed = True
        self._capture.release()


def _present() -> str:
    """What a person can do instead."""
    found = sorted((path for path in DEVICES.glob("video*") if path.name[5:].isdigit()), key=natural_key)
    if found:
        return "there is " + ", ".join(map(str, found))
    return "no camera was found: plug one in, or try --source demo:"
