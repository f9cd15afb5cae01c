"""A network stream (rtsp, http) as a source: what breaks off is connected again, for as long as it takes."""

import errno
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import av
import numpy as np
from av.video.frame import VideoFrame

from drive_seg.contracts import Away, Closing, Frame, Image, SourceInfo
from drive_seg.errors import Absent, SourceError
from drive_seg.redaction import redacted
from drive_seg.sources.playback import Playback
from drive_seg.sources.video import Unplayable, Video

TIMEOUTS_S = 5.0, 4.0  # of opening and of reading
RECONNECT_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)  # waits before the attempts, the last one again and again; a frame starts them anew
TELL_S = 0.25
OPTIONS = {"rtsp_flags": "prefer_tcp"}  # without lost packets, where the server has it
REFUSED = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)
ABSENT = {errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}


class StreamSource(Closing):
    """Plays `uri` live, or, where the server says how long it is (a file behind http), as a file.

    Live frames carry the time of their arrival since the opening, because MJPEG and many RTSP servers send no true time;
    `decode_ms` is then the colour conversion alone, for decoding cannot be told from waiting. After a reconnect `segment` has
    grown by one. It is tried for `give_up_s`, None for as long as it takes.

    A server that is not there yet is waited for where there is somebody to `tell`, who is called four times a second; what it raises
    ends the waiting. Raises Absent when there is no server, SourceError when it has no stream, when it refuses user name and
    password, and from `read` once `give_up_s` are over.
    """

    def __init__(self, uri: str, give_up_s: float | None = None, tell: Callable[[Away], None] | None = None) -> None:
        self._uri, self._name, self._give_up_s = uri, redacted(uri), give_up_s
        self._interrupted = threading.Event()
        self._state = "opening"
        self._index = self._segment = self._attempts = self._damaged = self._breaks = 0
        self._lost_s: float | None = None  # since when there is no connection
        self._without_s = 0.0  # how long there was none, the breaks together
        self._away: Away | None = None
        self._video: Video | None = self._first_connection(tell)
        self._playback: Playback | None = None  # of what has an end
        self._waiting: VideoFrame | None = None  # decoded at the opening
        self._began: tuple[int | None, Image] | None = None  # what the first connection began with
        count, rate = self._video.frame_count, self._video.rate
        if live := count is None and self._video.bytes is None:
            size_hw = self._begin(self._video)
        else:
            self._playback = Playback(self._video, self._name)
            size_hw = self._playback.size_hw
        self.info = SourceInfo(self._name, size_hw, rate, live=live, frame_count=count)
        self._opened_s = time.monotonic()

    @property
    def state(self) -> str:
        """`opening` until the first frame, then `playing` or `reconnecting`. May be read from any thread."""
        return self._state

    @property
    def away(self) -> Away | None:
        """While it is reconnecting: since when, and how often that was tried. May be read from any thread."""
        return self._away

    @property
    def note(self) -> str:
        """What was damaged and how often the connection broke so far, in one line; empty for nothing."""
        if self._playback:
            return self._playback.note
        said = [f"{self._damaged} frames damaged on the way"] if self._damaged else []
        if self._breaks:
            said.append(f"connection lost {self._breaks} time{'s' * (self._breaks > 1)}, {self._without_s:.0f} s without it")
        return f"{self._name}: {', '.join(said)}; check the network" if said else ""

    def interrupt(self) -> None:
        """From any thread: a `read` that waits between two attempts returns None, as do all later ones."""
        self._interrupted.set()

    def read(self) -> Frame | None:
        if self._playback and not self._interrupted.is_set():
            return self._read_file(self._playback)
        while not self._interrupted.is_set():
            if (frame := self._grab()) is None:
                self._reconnect()
                continue
            time_s, start = time.monotonic() - self._opened_s, time.perf_counter()
            assert self._video
            image = self._video.picture(frame)
            if self._attempts and self._replayed(frame.pts, image):
                self._interrupted.set()
                break
            if self._lost_s is not None:
                self._without_s += time.monotonic() - self._lost_s
            self._state, self._attempts, self._lost_s, self._away = "playing", 0, None, None
            self._index += 1
            ms = (time.perf_counter() - start) * 1000
            return Frame(image, self._index - 1, time_s, decode_ms=ms, segment=self._segment)
        return None

    def _read_file(self, playback: Playback) -> Frame | None:
        self._state = "playing"
        try:
            frame, broken = playback.read(), False
        except SourceError:  # where the server does not say how long it is, its end is a broken connection too
            frame, broken = None, playback.video.bytes is not None
        if frame is None and (broken or playback.ends_early()):
            of = f" of {self.info.frame_count}" if self.info.frame_count else ""
            raise SourceError(f"{self._name}: broke off: {playback.index}{of} frames came; check the connection and the file")
        return frame

    def _begin(self, video: Video) -> tuple[int, int]:
        """The size of what is shown, which its first frame tells."""
        self._waiting = self._grab()
        if self._waiting is None:
            video.close()
            raise self._no_stream()
        image = video.picture(self._waiting)
        self._began = self._waiting.pts, image
        return image.shape[0], image.shape[1]

    def _grab(self) -> VideoFrame | None:
        """The next frame; None when the connection is lost."""
        if (waiting := self._waiting) is not None:
            self._waiting = None
            return waiting
        if self._video is None:
            return None
        try:
            lost, frame = self._video.next()
        except av.error.FFmpegError:
            return None
        self._damaged += len(lost)
        return frame

    def _replayed(self, pts: int | None, image: Image) -> bool:
        """Whether a connection began as the first one did: a file, which has been played then. A camera's pictures are never the same."""
        if not self._uri.lower().startswith("http") or self._video is None or self._video.endless or self._began is None:
            return False
        return pts == self._began[0] and np.array_equal(image, self._began[1])

    def _reconnect(self) -> None:
        """One attempt, after its wait."""
        self._state = "reconnecting"
        if self._video:
            self._video.close()
            self._video = None
        if self._lost_s is None:
            self._lost_s, self._breaks = time.monotonic(), self._breaks + 1
            self._away = Away(self._name, time.time(), 0)
        delay_s = self._delay_s()
        if self._gives_up(self._lost_s, delay_s):
            raise SourceError(
                f"{self._name}: lost after {self._index} frames, {self._attempts} reconnects failed; check the server and the network"
            )
        if self._interrupted.wait(delay_s):
            return
        self._attempts += 1
        if self._away:
            self._away = replace(self._away, tries=self._attempts)
        try:
            self._video = self._connect()
        except REFUSED as error:
            raise self._refused() from error
        except (av.error.FFmpegError, Unplayable):
            return
        self._segment += 1

    def _first_connection(self, tell: Callable[[Away], None] | None) -> Video:
        since_s, began_s = time.monotonic(), time.time()
        while True:
            try:
                return self._connect()
            except REFUSED as error:
                raise self._refused() from error
            except Unplayable as error:
                raise SourceError(f"{self._name}: {error}; check the address") from error
            except av.error.FFmpegError as error:
                absent = error.errno in ABSENT or isinstance(error, av.error.ExitError)
                if tell is None or not absent or self._gives_up(since_s, self._delay_s()):
                    raise self._no_stream(Absent if absent else SourceError) from error
            next_s = time.monotonic() + self._delay_s()
            self._attempts += 1
            while (now_s := time.monotonic()) < next_s:
                tell(Away(self._name, began_s, self._attempts))
                self._interrupted.wait(min(TELL_S, next_s - now_s))

    def _delay_s(self) -> float:
        return RECONNECT_DELAYS_S[min(self._attempts, len(RECONNECT_DELAYS_S) - 1)]

    def _gives_up(self, since_s: float, delay_s: float) -> bool:
        return self._give_up_s is not None and time.monotonic() + delay_s - since_s > self._give_up_s

    def _connect(self) -> Video:
        return Video(self._uri, live=True, options=OPTIONS, timeout_s=TIMEOUTS_S)

    def _no_stream(self, kind: type[SourceError] = SourceError) -> SourceError:
        return kind(f"{self._name}: no video stream there; check the address, and that the server runs and can be reached")

    def _refused(self) -> SourceError:
        return SourceError(
            f"{self._name}: the server refuses user name and password; give others before the host, as in NAME:PASSWORD@host"
        )

    def close(self) -> None:
        self._interrupted.set()
        self._waiting = None
        if self._playback:
            self._playback.close()
        if self._video:
            self._video.close()
