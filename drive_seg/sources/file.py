"""A video file as a source: every frame with the container's own time, seeked exactly, and an error when the file was cut short."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import av

from drive_seg.contracts import Closing, Frame, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sources.playback import Playback
from drive_seg.sources.video import Plan, Unplayable, Video, plan_of


class FileSource(Closing):
    """Reads `path` from its first frame to its last, as fast as it is asked to.

    Frames are shown as the file says: turned, mirrored, with square pixels, in BT.709's colours. Damaged ones are left out, which `note`
    tells; their indexes are. Owns the decoder until `close`. Raises SourceError when the file is missing, empty or not a video, and from
    `read`, after the frames that are there, when the picture ends before its stated end.
    """

    def __init__(self, path: str | Path, plan: Plan | None = None) -> None:
        """`plan`: what `plan` said of the same file before, which spares reading it from end to end before the first seek."""
        self._path = Path(path)
        # The absolute path, for FFmpeg takes "a:b.mp4" for a protocol.
        self._address = f"file:{self._path.absolute()}"
        self._playback = self._open(plan)
        video = self._playback.video
        self.info = SourceInfo(str(self._path), self._playback.size_hw, video.rate, live=False, frame_count=video.frame_count)
        self._closed = False

    @property
    def note(self) -> str:
        """What was damaged of the frames so far, in one line; empty for nothing."""
        return self._playback.note

    @property
    def plan(self) -> Plan | None:
        """Which frame has which time, for which the file is read once; None where its packets do not tell."""
        self._playback.plan_ahead()
        return self._playback.plan

    def _open(self, plan: Plan | None = None) -> Playback:
        _check_readable(self._path)
        try:
            return Playback(Video(self._address), str(self._path), partial(plan_of, self._address), plan)
        except Unplayable as error:
            raise SourceError(f"{self._path}: {error}; convert it with ffmpeg") from error
        except av.error.FFmpegError as error:
            raise SourceError(
                f"{self._path}: cannot be played: not a video, or cut short before its index was written; "
                "convert it with ffmpeg, or copy or record it again"
            ) from error

    def read(self) -> Frame | None:
        """The next frame, `decode_ms` being the time that decoding and converting took; None at the end."""
        if self._closed:
            return None
        frame = self._playback.read()
        if frame is None and self._playback.ends_early():
            got, of = self._playback.index, self.info.frame_count
            raise SourceError(f"{self._path}: cut short: {got} of {of} frames are there; copy or record it again")
        return frame

    def seek(self, index: int) -> None:
        """As Seekable says, in a file of any rate: frames are told apart by their times, not by a count times a rate.

        The first one reads the file once for the times of its frames. Where they do not tell, all frames up to this one are decoded.
        """
        self._playback.plan_ahead()
        plan = self._playback.plan
        index = max(0, min(index, len(plan.pts) - 1) if plan else index)
        if not (self._playback.go(index) if plan else self._playback.index <= index):
            self._rewind()
        if not self._playback.pass_over(index) and self._playback.index:  # fewer can be decoded than there should be
            last = min(self._playback.index, index) - 1
            if plan:
                self._playback.follow(replace(plan, pts=plan.pts[: last + 1]))
            self.seek(last)

    def _rewind(self) -> None:
        """Opens the file anew: some containers do not find their key frames again."""
        before = self._playback
        before.close()
        self._playback = self._open(before.plan)
        self._playback.damaged |= before.damaged

    def close(self) -> None:
        self._closed = True
        self._playback.close()


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
