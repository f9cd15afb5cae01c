"""A video file as a source: every frame with the container's own time, sought exactly, and an error when the file was cut short."""

import time
from bisect import bisect_right
from pathlib import Path
from typing import Self

import cv2

from drive_seg.contracts import Frame, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sources.opencv import MediaClock, bgr8, fps_of, frame_count_of, size_hw_of
from drive_seg.sources.timeline import presentation_times
from drive_seg.sources.truncation import ended_early, is_cut

NEAR_FRAMES = 32  # OpenCV goes at least 16 frames back to a key frame: what lies so near ahead is reached sooner by decoding on
EARLIER_S = (0, 1, 4, 16, 64)  # OpenCV counts from the key frame and takes the rate to be constant; where it is not, it goes too far
SAME_S = 1e-5  # two times that differ by less are one


class FileSource:
    """Reads `path` from its first frame to its last, as fast as it is asked to.

    Frames are turned as the file's rotation says. Owns the decoder until `close`. Raises SourceError when the file is
    missing, empty or not a video, and from `read`, after the frames that are there, when it ends before its stated end.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._capture = self._open()
        fps = fps_of(self._capture)
        self.info = SourceInfo(str(self._path), size_hw_of(self._capture), fps, live=False, frame_count=frame_count_of(self._capture))
        self._clock = MediaClock(fps)
        self._index = 0  # of the frame that comes next
        self._times_s: list[float] = []  # by index: of the frames read so far, and of all once the file was scanned
        self._scanned: bool | None = None  # whether that gave their times
        self._closed = False

    def _open(self) -> cv2.VideoCapture:
        _check_readable(self._path)
        # The absolute path, for FFmpeg takes "a:b.mp4" for a protocol.
        capture = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise SourceError(
                f"{self._path}: cannot be played: not a video, or cut short before its index was written; "
                "convert it with ffmpeg, or copy or record it again"
            )
        return capture

    def read(self) -> Frame | None:
        """The next frame, `decode_ms` being the time that OpenCV took for it; None at the end."""
        if self._closed:
            return None
        start = time.perf_counter()
        time_s = self._grab()
        if time_s is None:
            self._check_end()
            return None
        ok, picture = self._capture.retrieve()
        if not ok:
            raise SourceError(f"{self._path}: frame {self._index - 1} cannot be decoded; convert the file with ffmpeg")
        return Frame(bgr8(picture), self._index - 1, time_s, decode_ms=(time.perf_counter() - start) * 1000)

    def seek(self, index: int) -> None:
        """As Seekable says, in a file of any rate: frames are told apart by their times, not by a count times a rate.

        The first one reads the file once for the times of its frames. Where they do not tell, all frames up to this one are decoded.
        """
        if self._scanned is None:
            self._scan()
        index = max(0, min(index, len(self._times_s) - 1) if self._scanned else index)
        ahead = index - self._index
        on_the_way = ahead >= 0 and (ahead <= NEAR_FRAMES or not self._scanned)
        if not on_the_way and (index <= NEAR_FRAMES or not self._land(index)):
            self._rewind()
        while self._index < index and self._grab() is not None:
            pass
        if 0 < self._index < index:  # fewer can be decoded than the file promises
            del self._times_s[self._index :]
            self.seek(self._index - 1)

    def _grab(self) -> float | None:
        """Decodes the next frame and returns its time; None at the end."""
        if not self._capture.grab():
            return None
        time_s = self._clock.tick(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        if self._index == len(self._times_s):
            self._times_s.append(time_s)
        self._index += 1
        return time_s

    def _rewind(self) -> None:
        """Opens the file anew: in some containers FFmpeg does not find the first frame again."""
        self._capture.release()
        self._capture = self._open()
        self._clock.last_s, self._index = None, 0

    def _scan(self) -> None:
        if not self._times_s:
            self._grab()  # the file may begin with frames that cannot be decoded
        times_s = presentation_times(self._path)
        self._scanned = times_s is not None and bool(self._times_s)
        if self._scanned and times_s:
            self._times_s += times_s[bisect_right(times_s, self._times_s[-1] + SAME_S) :]

    def _land(self, index: int) -> bool:
        """Decodes up to the frame before `index`, from some key frame on; False where that is not found by its time."""
        if not self._scanned:
            return False
        wanted_s = self._times_s[index - 1]
        for earlier_s in EARLIER_S:
            if earlier_s > wanted_s or not self._capture.set(cv2.CAP_PROP_POS_MSEC, (wanted_s - earlier_s) * 1000):
                break
            time_s = self._grab_anywhere()
            if time_s is not None and time_s > wanted_s + SAME_S:
                continue
            while time_s is not None and time_s < wanted_s - SAME_S:
                time_s = self._grab_anywhere()
            if time_s is None or time_s > wanted_s + SAME_S:
                break
            self._clock.last_s, self._index = time_s, index
            return True
        return False

    def _grab_anywhere(self) -> float | None:
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 if self._capture.grab() else None

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
