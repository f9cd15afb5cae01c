"""The capture thread: reads a source ahead of the pipeline, keeps its pace, pauses it, and hands over its failure."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol, Self, runtime_checkable

from drive_seg.contracts import Frame, Source
from drive_seg.errors import SourceError
from drive_seg.workers import Closed, Mailbox, Overflow, Worker

DEPTH = 1  # a deeper queue is only latency
STALL_LIMIT_S = 4.5  # a read that takes longer has broken
CLOSE_LIMIT_S = 5.0  # longer than any read of ours blocks


@runtime_checkable
class Reconnecting(Protocol):
    """A source that may wait long within `read`, and says so."""

    @property
    def state(self) -> str:
        """`opening`, `playing` or `reconnecting`; read from any thread."""

    def interrupt(self) -> None:
        """From any thread: a `read` that waits returns None soon."""


class Pace:
    """When a frame of a file may go on: paused, stepped, or at its own time. Live frames never wait, they go on or are lost.

    The schedule is absolute (this frame's time less the first one's), so that waits do not add up; a pause shifts it.
    `clock` gives monotonic seconds.
    """

    def __init__(self, realtime: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._realtime, self._clock = realtime, clock
        self._changed = threading.Condition()
        self._stopped = False
        self._paused_s: float | None = None  # since when
        self._steps = 0
        self._origin_s: float | None = None  # when the frame of time 0 is, or was, due

    @property
    def paused(self) -> bool:
        return self._paused_s is not None

    def pause(self) -> None:
        with self._changed:
            if self._paused_s is None:
                self._paused_s = self._clock()
            self._changed.notify_all()

    def resume(self) -> None:
        with self._changed:
            if self._paused_s is not None and self._origin_s is not None:
                self._origin_s += self._clock() - self._paused_s
            self._paused_s, self._steps = None, 0
            self._changed.notify_all()

    def step(self) -> None:
        """Pauses, and lets one more frame pass."""
        with self._changed:
            if self._paused_s is None:
                self._paused_s = self._clock()
            self._steps += 1
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_for(self, time_s: float) -> bool:
        """Returns when the frame of this time may go on; False once stopped."""
        with self._changed:
            while not self._stopped:
                wait_s = self._wait_s(time_s)
                if wait_s == 0:
                    return True
                self._changed.wait(wait_s)
        return False

    def passes_live(self) -> bool:
        """Whether the live frame just read goes on; while paused all but the stepped ones are lost, so that resuming is live."""
        with self._changed:
            return not self.paused or self._take_step()

    def _wait_s(self, time_s: float) -> float | None:
        """Seconds until the frame is due; 0 now, None until something changes."""
        now_s = self._clock()
        if self._paused_s is not None:
            if not self._take_step():
                return None
            self._origin_s, self._paused_s = now_s - time_s, now_s  # it plays on from the frame that was stepped to
            return 0
        if not self._realtime:
            return 0
        if self._origin_s is None:
            self._origin_s = now_s - time_s
        return max(0.0, self._origin_s + time_s - now_s)

    def _take_step(self) -> bool:
        self._steps -= 1 if (stepped := self._steps > 0) else 0
        return stepped


class Capture:
    """Iterates over a source's frames, read from now on in a thread of its own, one ahead.

    Owns `source` and closes it: only the thread touches it. With `Overflow.WAIT` every frame comes; with `DROP_OLDEST` the
    newest, and `dropped` counts the others. `realtime` plays a file at its own pace; a live source has no other.
    The iteration ends with the source, or raises what broke it, at the latest STALL_LIMIT_S after a read that hangs.
    """

    def __init__(self, source: Source, overflow: Overflow, realtime: bool) -> None:
        self.source = source
        self._pace = Pace(realtime)
        self._mailbox: Mailbox[Frame] = Mailbox(DEPTH, overflow)
        self._stopped = threading.Event()
        self._state = "opening"
        self._reading_since_s: float | None = None
        self._worker = Worker("capture", self._run, on_error=self._fail).start()

    @property
    def state(self) -> str:
        """`opening`, `playing`, `reconnecting`, `ended` or `failed`, for people."""
        if self._state in ("opening", "playing") and isinstance(self.source, Reconnecting):
            return self.source.state
        return self._state

    @property
    def dropped(self) -> int:
        """Frames that were read and overtaken by newer ones; those thrown away during a pause are not counted."""
        return self._mailbox.dropped

    @property
    def paused(self) -> bool:
        return self._pace.paused

    def pause(self) -> None:
        """A file is read no further (at most the one frame already captured still comes); a live source goes on unseen."""
        self._pace.pause()

    def resume(self) -> None:
        self._pace.resume()

    def step(self) -> None:
        """Pauses, and lets one more frame come."""
        self._pace.step()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                yield self._mailbox.get(timeout_s=0.25)
            except TimeoutError:
                self._check_stall()
            except Closed:
                return

    def close(self) -> None:
        """Ends the thread and closes the source; idempotent. Does not raise: what broke the source ends the iteration."""
        self._stopped.set()
        self._pace.stop()
        self._mailbox.discard()
        if isinstance(self.source, Reconnecting):
            self.source.interrupt()
        with suppress(Exception):
            self._worker.join(CLOSE_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> None:
        with self.source:
            while not self._stopped.is_set():
                self._reading_since_s = time.monotonic()
                frame = self.source.read()
                self._reading_since_s = None
                if frame is None:
                    break
                if self._passes(frame):
                    self._mailbox.put(frame)
                    self._state = "playing"
        self._state = "ended"
        self._mailbox.close()

    def _passes(self, frame: Frame) -> bool:
        return self._pace.passes_live() if self.source.info.live else self._pace.wait_for(frame.time_s)

    def _fail(self, error: BaseException) -> None:
        self._state = "failed"
        # An operating system's error tells a person nothing without the source's name, and a TimeoutError would look like ours.
        self._mailbox.close(
            SourceError(f"{self.source.info.name}: {error}; check it and start again") if isinstance(error, OSError) else error
        )

    def _check_stall(self) -> None:
        since_s = self._reading_since_s
        if since_s is None or isinstance(self.source, Reconnecting):  # those bound their waits themselves
            return
        if (stalled_s := time.monotonic() - since_s) > STALL_LIMIT_S:
            self._state = "failed"
            raise SourceError(f"{self.source.info.name}: no frame for {stalled_s:.0f} s; check its cable or file and start again")
