"""The source that is played now: exchanged for another one, waited for, paused, sped up and seeked in while its frames come."""

from collections.abc import Callable
from dataclasses import replace

from drive_seg.contracts import Away, Frame, Source, SourceInfo
from drive_seg.errors import UsageError
from drive_seg.redaction import redacted
from drive_seg.session import opening
from drive_seg.session.awaited import Awaited
from drive_seg.settings import Settings
from drive_seg.sources.capture import Capture
from drive_seg.sources.pace import Pace
from drive_seg.workers import Closed


class CurrentSource:
    """Exchanged and read by the session's thread; steered, and asked how it stands, by any."""

    def __init__(self, name: str, end: Callable[[str, Callable[[], None]], None]) -> None:
        """`end` closes something in a thread of its own, which its first argument names: a camera may hold that up."""
        self.info = SourceInfo(redacted(name), (0, 0), 0.0, live=False)
        self.capture: Capture | None = None
        self.awaited: Awaited | None = None  # a stream that will be played once it is there
        self.failed = False  # it broke: opened anew it may go on
        self.over = False  # as many of its frames as were asked for have come
        self.speed, self._idle = 1.0, Pace(realtime=False)
        self._end, self._dropped_before = end, 0  # by the captures before this one
        self._segment = self._last_segment = 0  # added to the frames of this source, and the last frame's, so that no segment comes twice

    # -- by the session's thread

    def exchange(self, source: Source, loop: bool) -> bool:
        """Plays this one, which it owns from now on. Returns whether it is the first."""
        before, self.capture = self.capture, opening.open_capture(source, paced=True, loop=loop, stay=True)
        self.capture.pace.speed = self.speed
        self.info, self.failed, self.over = source.info, False, False
        if before is None:
            return True
        self._dropped_before += before.dropped
        self._segment = self._last_segment + 1
        self._end("close source", before.close)
        return False

    def next(self, timeout_s: float) -> Frame | None:
        """Its next frame, or None when none came in time. Raises Closed, and what broke it."""
        assert self.capture is not None
        try:
            frame = self.capture.next(timeout_s)
        except Closed:
            raise
        except Exception:
            self.failed = True
            raise
        if frame is None:
            return None
        self._last_segment = self._segment + frame.segment
        return replace(frame, segment=self._last_segment)

    def wait_for(self, settings: Settings) -> None:
        """For theirs, until another one is opened; what plays plays on."""
        self.awaited = Awaited(settings)
        if self.capture is None:
            self.info, self.failed = replace(self.info, name=redacted(settings.source)), False

    def stop_waiting(self) -> None:
        if awaited := self.awaited:
            self.awaited = None
            self._end("stop waiting", awaited.close)

    # -- by any

    @property
    def pace(self) -> Pace:
        """Pauses, steps and speeds it up; before it is open there is nothing to steer."""
        return self.capture.pace if self.capture else self._idle

    def set_speed(self, factor: float) -> None:
        """Raises UsageError for one that cannot be played."""
        self.pace.speed = factor
        self.speed = factor

    def seek(self, index: int) -> None:
        """Raises UsageError where it cannot."""
        if self.capture is None:
            raise UsageError(f"{self.info.name}: is not open yet; seek once it plays")
        self.capture.seek(index)

    def close(self) -> None:
        """Idempotent."""
        if self.capture:
            self.capture.close()

    @property
    def seekable(self) -> bool:
        return self.capture is not None and self.capture.seekable

    @property
    def dropped(self) -> int:
        return self._dropped_before + (self.capture.dropped if self.capture else 0)

    @property
    def away(self) -> Away | None:
        return self.awaited.away if self.awaited else self.capture.away if self.capture else None

    @property
    def note(self) -> str:
        """What it has to say of itself, for people; mostly nothing."""
        return str(getattr(self.capture and self.capture.source, "note", ""))

    @property
    def state(self) -> str:
        """opening, connecting, playing, paused, reconnecting, ended or failed."""
        if self.failed or self.over:
            return "failed" if self.failed else "ended"
        if self.capture is None:
            return "connecting" if self.awaited else "opening"
        state = self.capture.state
        return "paused" if self.pace.paused and state in ("opening", "playing") else state

    @property
    def stands(self) -> bool:
        """No frame of it is coming until somebody does something."""
        return self.state in ("paused", "ended") or self.failed
