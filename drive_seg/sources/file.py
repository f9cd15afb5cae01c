"""A video file as a source: every frame with the container's own time, and an error when the file was cut short."""

import time
from pathlib import Path
from typing import Self

import cv2

from drive_seg.contracts import Frame, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sources.opencv import MediaClock, bgr8, fps_of, frame_count_of, size_hw_of
from drive_seg.sources.truncation import ended_early, is_cut


class FileSource:
    """Reads `path` from its first frame to its last, as fast as it is asked to.

    Frames are turned as the file's rotation says. Owns the decoder until `close`. Raises SourceError when the file is
    missing, empty or not a video, and from `read`, after the frames that are there, when it ends before its stated end.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).expanduser()
        _check_readable(self._path)
        # The absolute path, for FFmpeg takes "a:b.mp4" for a protocol.
        self._capture = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(
                f"{self._path}: cannot be played: not a video, or cut short before its index was written; "
                "convert it with ffmpeg, or copy or record it again"
            )
        fps = fps_of(self._capture)
        self.info = SourceInfo(str(self._path), size_hw_of(self._capture), fps, live=False, frame_count=frame_count_of(self._capture))
        self._clock = MediaClock(fps)
        self._index = 0
        self._closed = False

    def read(self) -> Frame | None:
        """The next frame, `decode_ms` being the time that OpenCV took for it; None at the end."""
        if self._closed:
            return None
        start = time.perf_counter()
        if not self._capture.grab():
            self._check_end()
            return None
        time_s = self._clock.tick(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        ok, picture = self._capture.retrieve()
        if not ok:
            raise SourceError(f"{self._path}: frame {self._index} cannot be decoded; convert the file with ffmpeg")
        frame = Frame(bgr8(picture), self._index, time_s, decode_ms=(time.perf_counter() - start) * 1000)
        self._index += 1
        return frame

    def _check_end(self) -> None:
        if self._index == 0:
            raise SourceError(f"{self._path}: no frame of it can be decoded; convert it with ffmpeg, or copy or record it again")
        expected, fps = self.info.frame_count, self.info.fps
        missing_s = (expected or 0) / fps - (self._clock.last_s or 0) - 1 / fps
        if ended_early(is_cut(self._path), self._index, expected, missing_s):
            raise SourceError(f"{self._path}: cut short: {self._index} of {expected} frames are there; copy or record it again")

    def close(self) -> None:
        self._closed = True
        self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _check_readable(path: Path) -> None:
    """Says in a person's words what FFmpeg would say in its own, or not at all."""
    try:
        if not path.is_file():
            problem = "not a file" if path.exists() else "no such file"
            raise SourceError(f"{path}: {problem}; give a video file, a folder or glob of pictures, a camera number, a stream or demo:")
        with path.open("rb") as file:
            if not file.read(1):
                raise SourceError(f"{path}: the file is empty; copy or record it again")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; check the path and its permissions") from error
