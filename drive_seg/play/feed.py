"""The source that a player plays: its frames as one run with those of the sources before it."""

from dataclasses import replace

from drive_seg import assemble
from drive_seg.contracts import Frame, Seekable, Source, SourceInfo
from drive_seg.errors import UsageError
from drive_seg.settings import Settings
from drive_seg.sources import open_source
from drive_seg.sources.capture import Capture
from drive_seg.workers import Closed, Worker


def open_for_player(settings: Settings) -> Source:
    """A seekable source is looped by its capture, so that it stays seekable. Raises UsageError, SourceError."""
    source = open_source(settings.source, loop=False)
    if not settings.loop or isinstance(source, Seekable):
        return source
    source.close()
    return open_source(settings.source, loop=True)


class Feed:
    """Opened and read by the player's thread; the source is steered by any."""

    def __init__(self, name: str) -> None:
        self.info = SourceInfo(name, (0, 0), 0.0, live=False)
        self.failed = False
        self._capture: Capture | None = None
        self._segment = self._last_segment = 0  # added to the frames of this source, and the last frame's, so that no segment comes twice
        self._dropped = 0  # by the sources before
        self._speed = 1.0
        self.closing: list[Worker] = []  # close the sources before

    def play(self, source: Source, loop: bool) -> None:
        """This source from now on, which the feed owns; the one before is closed in a thread of its own, as its camera may hang."""
        before, self._capture = self._capture, assemble.open_capture(source, paced=True, stay=True)
        if before:
            self._dropped += before.dropped
            self.closing = [worker for worker in self.closing if worker.alive] + [Worker("close source", before.close).start()]
        self._segment = self._last_segment + 1 if before else 0
        self.info, self.failed = source.info, False
        self._capture.looping = loop
        self._capture.speed = self._speed

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame, or None when none came in time. Raises what broke the source, which gives none from then on, and Closed."""
        assert self._capture is not None
        try:
            frame = self._capture.next(timeout_s)
        except Closed:
            raise
        except BaseException:
            self.failed = True
            raise
        if frame is None:
            return None
        self._last_segment = self._segment + frame.segment
        return replace(frame, segment=self._last_segment)

    @property
    def state(self) -> str:
        if self.failed or self._capture is None:
            return "failed" if self.failed else "opening"
        state = self._capture.state
        return "paused" if self.paused and state in ("opening", "playing") else state

    @property
    def dropped(self) -> int:
        return self._dropped + (self._capture.dropped if self._capture else 0)

    @property
    def paused(self) -> bool:
        return self._capture is not None and self._capture.paused

    @property
    def seekable(self) -> bool:
        return self._capture is not None and self._capture.seekable

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, factor: float) -> None:
        if self._capture:
            self._capture.speed = factor
        self._speed = factor

    def loop(self, on: bool) -> None:
        if self._capture:
            self._capture.looping = on

    def pause(self) -> None:
        if self._capture:
            self._capture.pause()

    def resume(self) -> None:
        if self._capture:
            self._capture.resume()

    def step(self) -> None:
        if self._capture:
            self._capture.step()

    def seek(self, index: int) -> None:
        if self._capture is None:
            raise UsageError(f"{self.info.name}: is not open yet; seek once it plays")
        self._capture.seek(index)

    def close(self) -> None:
        """Idempotent; of any thread. A read that hangs is left behind after a while."""
        if self._capture:
            self._capture.close()
