"""The capture thread: reads a source ahead of the pipeline, keeps its pace, pauses and seeks it, and hands over its failure."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, runtime_checkable

from drive_seg.contracts import Away, Closing, Frame, Seekable, Source
from drive_seg.errors import SourceError, UsageError
from drive_seg.sources.pace import Pace
from drive_seg.watchdog import Watched
from drive_seg.workers import Closed, Mailbox, Overflow, Worker

DEPTH = 1  # a deeper queue is only latency
LIVE_LIMIT_S = 4.5  # a camera's read that takes longer has broken
POLL_S = 0.25
CLOSE_LIMIT_S = 5.0  # longer than any read of ours blocks


@runtime_checkable
class Reconnecting(Protocol):
    """A source that may wait long within `read`, and says so."""

    @property
    def state(self) -> str:
        """`opening`, `playing` or `reconnecting`; read from any thread."""

    @property
    def away(self) -> Away | None:
        """While it is reconnecting."""

    def interrupt(self) -> None:
        """From any thread: a `read` that waits returns None soon."""


class Capture(Closing):
    """Gives a source's frames, read from now on in a thread of its own, one ahead.

    Owns `source` and closes it: only the thread touches it. With `Overflow.WAIT` every frame comes; with `DROP_OLDEST` the
    newest, and `dropped` counts the others. `realtime` plays a file at its own pace; a live source has no other.
    The frames end with the source, or raise what broke it, also where a read hangs (for `limit_s`, by default LIVE_LIMIT_S of a camera
    and watchdog.LIMIT_S of a file). With `stay` the
    source's end is no end: the state is `ended` and a seek goes on from there, until `close`.

    All methods may be called from any thread, the frames be taken by one.
    """

    def __init__(
        self,
        source: Source,
        overflow: Overflow,
        realtime: bool,
        stay: bool = False,
        looping: bool = False,
        limit_s: float | None = None,
        arrived: threading.Condition | None = None,
    ) -> None:
        """`arrived` is told whenever there may be something to take; it may be that of several captures."""
        self.source = source
        self._stay = stay
        self.pace = Pace(realtime)  # pauses, steps and speeds up; of any thread
        self._mailbox: Mailbox[tuple[int, Frame]] = Mailbox(DEPTH, overflow, arrived)  # after how many seeks, and what was read
        self._stopped = threading.Event()
        self._state = "opening"
        self._watched = Watched(self._hung, LIVE_LIMIT_S if source.info.live and limit_s is None else limit_s)
        self._changed = threading.Condition()  # guards the next five; Pace has a lock of its own, taken within this one
        self._looping = looping
        self._target: int | None = None  # where the source is to go next
        self._seeks = 0  # asked for, those of the loop included
        self._wanted = 0  # what was read after fewer seeks is not wanted any more
        self._jumps = 0  # of a live source, which went on unseen while it was paused
        self._unseen = False
        self._arrived = 0  # the seeks that the source has done
        self._end_s: float | None = None  # when the frame that went on last is over, by the source's clock
        self._worker = Worker("capture", self._run, on_error=self._fail).start()

    @property
    def state(self) -> str:
        """`opening`, `playing`, `reconnecting`, `ended` or `failed`, for people."""
        if self._state in ("opening", "playing") and isinstance(self.source, Reconnecting):
            return self.source.state
        return self._state

    @property
    def away(self) -> Away | None:
        """Where the source is reconnecting, what it tells of that."""
        return self.source.away if isinstance(self.source, Reconnecting) and self.state == "reconnecting" else None

    @property
    def dropped(self) -> int:
        """Frames that were read and overtaken by newer ones; those thrown away during a pause or by a seek are not counted."""
        return self._mailbox.dropped

    @property
    def ready(self) -> bool:
        """`next` would not wait, as far as that can be known."""
        return self._mailbox.ready

    @property
    def seekable(self) -> bool:
        return isinstance(self.source, Seekable)

    @property
    def looping(self) -> bool:
        """Whether a seekable source goes on from its start at its end, which counts as a seek."""
        return self._looping

    @looping.setter
    def looping(self, on: bool) -> None:
        with self._changed:
            self._looping = on
            self._changed.notify_all()

    def seek(self, index: int) -> None:
        """Goes to the frame of this index (clamped) soon; the newest request counts. Nothing that was read before comes afterwards.

        After the n-th seek every frame's segment is its own and n. While paused the one frame arrived at comes. Without `stay` a seek
        after the end has no effect. Raises UsageError where the source cannot.
        """
        if not self.seekable:
            raise UsageError(f"{self.source.info.name}: cannot seek; only a video file, pictures and the demo can")
        with self._changed:
            self._target, self._seeks = index, self._seeks + 1
            self._wanted = self._seeks
            self.pace.jump()
            self._mailbox.take_newest()  # in here: once the seek can be followed, what waits may be what was asked for
            self._changed.notify_all()

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame, or None when none came in time. Raises Closed at the end, and what broke the source."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                seeks, frame = self._mailbox.get(timeout_s=max(0.0, deadline_s - time.monotonic()))
            except TimeoutError:
                return None
            if seeks >= self._wanted:
                return frame

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                frame = self.next(POLL_S)
            except Closed:
                return
            if frame is not None:
                yield frame

    def close(self) -> None:
        """Ends the thread and closes the source; idempotent. Does not raise: what broke the source ends the frames."""
        self._stopped.set()
        self.pace.stop()
        with self._changed:
            self._changed.notify_all()
        self._mailbox.discard()
        if isinstance(self.source, Reconnecting):
            self.source.interrupt()
        with suppress(Exception):
            self._worker.join(0 if self._watched.hangs else CLOSE_LIMIT_S)

    def _run(self) -> None:
        with self.source, self._watched:
            while not self._stopped.is_set():
                self._follow_seeks()
                frame = self._read()
                if frame is None:
                    if not self._goes_on():
                        break
                elif self._passes(frame):
                    self._end_s = frame.time_s + 1 / self.source.info.fps
                    self._mailbox.put((self._arrived, self._released(frame)))
                    self._state = "playing"
        self._state = "ended"
        self._mailbox.close()

    def _read(self) -> Frame | None:
        if isinstance(self.source, Reconnecting):  # those bound their waits themselves
            return self.source.read()
        self._watched.begin("reading a frame")
        frame = self.source.read()
        self._watched.end()
        return frame

    def _released(self, frame: Frame) -> Frame:
        segment = frame.segment + self._arrived + self._jumps
        return replace(frame, segment=segment, released_s=time.perf_counter(), period_s=1 / self.source.info.fps)

    def _passes(self, frame: Frame) -> bool:
        if not self.source.info.live:
            return self.pace.wait_for(frame.time_s)
        passes = self.pace.passes_live()
        self._jumps += passes and self._unseen
        self._unseen = not passes
        return passes

    def _follow_seeks(self) -> None:
        """Takes the source to where it was last asked to go."""
        while True:
            with self._changed:
                if (target := self._target) is None:
                    return
                self._target, self._arrived, self._end_s = None, self._seeks, None
                self.pace.arrive()
            assert isinstance(self.source, Seekable)
            self.source.seek(target)

    def _goes_on(self) -> bool:
        """At the source's end: waits until the last frame is over, also paused, and with `stay` for a seek; whether there is one."""
        if self._end_s is not None and not self.source.info.live:
            self.pace.wait_for(self._end_s)
        with self._changed:
            if self._stay and not self._goes_elsewhere():
                self._state = "ended"
                self._changed.wait_for(self._goes_elsewhere)
            if self._target is None and self._loops:
                self._target, self._seeks = 0, self._seeks + 1
            return self._target is not None

    @property
    def _loops(self) -> bool:
        """A source that has given nothing since its start would loop in vain."""
        return self._looping and self.seekable and self._end_s is not None

    def _goes_elsewhere(self) -> bool:
        return self._target is not None or self._loops or self._stopped.is_set()

    def _fail(self, error: BaseException) -> None:
        self._state = "failed"
        # An operating system's error tells a person nothing without the source's name, and a TimeoutError would look like ours.
        self._mailbox.close(
            SourceError(f"{self.source.info.name}: {error}; check it and start again") if isinstance(error, OSError) else error
        )

    def _hung(self, text: str) -> None:
        self._fail(SourceError(f"{self.source.info.name}: {text}; check its cable or file and start again"))
