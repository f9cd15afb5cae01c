"""A network stream (rtsp, http) as a source: what breaks off is connected again, a bounded number of times."""

import threading
import time
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import cv2

from drive_seg.contracts import Frame, Image, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sources.opencv import MediaClock, bgr8, fps_of, frame_count_of, size_hw_of
from drive_seg.sources.truncation import SLACK_FRAMES

OPEN_TIMEOUT_MS = 5000
READ_TIMEOUT_MS = 4000
RECONNECT_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # waits before the attempts; a frame that arrives starts them anew


class StreamSource:
    """Plays `uri` live, or, where the server says how many frames there are (a file behind http), as a file.

    Live frames carry the time of their arrival since the opening, because MJPEG and many RTSP servers send no true time;
    `decode_ms` is then the colour conversion alone, for decoding cannot be told from waiting. After a reconnect `take` has
    grown by one. Raises SourceError when there is no stream, and from `read` once all attempts have failed.
    """

    def __init__(self, uri: str) -> None:
        self._uri, self._name = uri, without_password(uri)
        self._interrupted = threading.Event()
        self._capture = _connect(uri)
        if not self._capture.isOpened():
            raise SourceError(f"{self._name}: no video stream there; check the address, and that the server runs and can be reached")
        count = frame_count_of(self._capture)
        self.info = SourceInfo(self._name, size_hw_of(self._capture), fps_of(self._capture), live=count is None, frame_count=count)
        self._clock = MediaClock(self.info.fps)
        self._opened_s = time.monotonic()
        self._index = self._segment = self._attempts = 0
        self._state = "opening"

    @property
    def state(self) -> str:
        """`opening` until the first frame, then `playing` or `reconnecting`. May be read from any thread."""
        return self._state

    def interrupt(self) -> None:
        """From any thread: a `read` that waits between two attempts returns None, as do all later ones."""
        self._interrupted.set()

    def read(self) -> Frame | None:
        while not self._interrupted.is_set():
            start = time.perf_counter()
            if self._capture.grab():
                grabbed_s = time.monotonic() - self._opened_s
                start = time.perf_counter() if self.info.live else start
                position_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
                ok, picture = self._capture.retrieve()
                if ok:
                    time_s = grabbed_s if self.info.live else self._clock.tick(position_ms)
                    return self._frame(bgr8(picture), time_s, start)
            if self.info.frame_count is not None:
                self._check_end(self.info.frame_count)
                return None
            self._reconnect()
        return None

    def _frame(self, image: Image, time_s: float, start: float) -> Frame:
        self._state, self._attempts = "playing", 0
        frame = Frame(image, self._index, time_s, decode_ms=(time.perf_counter() - start) * 1000, segment=self._segment)
        self._index += 1
        return frame

    def _check_end(self, expected: int) -> None:
        if expected - self._index > SLACK_FRAMES:
            raise SourceError(f"{self._name}: broke off: {self._index} of {expected} frames came; check the connection and the file")

    def _reconnect(self) -> None:
        """One attempt, after its wait; leaves a capture that may or may not be open."""
        self._state = "reconnecting"
        self._capture.release()
        if self._attempts == len(RECONNECT_DELAYS_S):
            raise SourceError(
                f"{self._name}: lost after {self._index} frames, {self._attempts} reconnects failed; check the server and the network"
            )
        delay_s = RECONNECT_DELAYS_S[self._attempts]
        self._attempts += 1
        if not self._interrupted.wait(delay_s):
            self._capture = _connect(self._uri)
            self._segment += self._capture.isOpened()

    def close(self) -> None:
        self._interrupted.set()
        self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def without_password(uri: str) -> str:
    """The address as it may be shown and logged."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host))


def _connect(uri: str) -> cv2.VideoCapture:
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
    return cv2.VideoCapture(uri, cv2.CAP_FFMPEG, limits)
