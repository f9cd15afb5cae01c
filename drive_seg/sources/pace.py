"""When a frame that was read may go on: paused, stepped, after a jump, or at its own time and speed."""

import threading
import time
from collections.abc import Callable

from drive_seg.errors import UsageError

SPEEDS = (0.1, 8.0)


class Pace:
    """Holds the frames of a file back until they are due. Live frames never wait, they go on or are lost.

    The schedule is absolute (this frame's time less the first one's, over the speed), so that waits do not add up; a pause
    shifts it and a jump starts it anew. `clock` gives monotonic seconds.
    """

    def __init__(self, realtime: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._realtime, self._clock = realtime, clock
        self._changed = threading.Condition()
        self._stopped = False
        self._jumped = False  # the frame that waits, or the next one, is not wanted any more
        self._arriving = False  # the next frame is the first one after a jump
        self._paused_s: float | None = None  # since when
        self._steps = 0
        self._speed = 1.0
        self._origin_s: float | None = None  # when the frame of time 0 is, or was, due
        self._late_s = 0.0  # by how much the last frame was

    @property
    def paused(self) -> bool:
        return self._paused_s is not None

    @property
    def speed(self) -> float:
        """How many times faster than its own time a file is played, where it is paced at all; SPEEDS are its bounds."""
        return self._speed

    @speed.setter
    def speed(self, factor: float) -> None:
        """From any thread, also while a frame waits: what was played so far stays played, the rest takes 1/factor of its time.

        Raises UsageError for one that cannot be played.
        """
        slowest, fastest = SPEEDS
        if not slowest <= factor <= fastest:
            raise UsageError(f"a speed of {factor:g} cannot be played; give one from {slowest:g} to {fastest:g}")
        with self._changed:
            if self._origin_s is not None:
                now_s = self._clock() if self._paused_s is None else self._paused_s
                # From where the frames really are: a reader that could not follow would else be in a hurry at the new speed.
                played_s = (now_s - self._late_s - self._origin_s) * self._speed
                self._origin_s, self._late_s = now_s - played_s / factor, 0.0
            self._speed = factor
            self._changed.notify_all()

    def pause(self) -> None:
        """A file is read no further (at most the one frame already captured still comes); a live source goes on unseen."""
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
        """Pauses, and lets one more frame come."""
        with self._changed:
            if self._paused_s is None:
                self._paused_s = self._clock()
            self._steps += 1
            self._changed.notify_all()

    def jump(self) -> None:
        """The source is to go elsewhere: a frame that waits does so no longer and is refused, as all are until `arrive`."""
        with self._changed:
            self._jumped, self._steps = True, 0
            self._changed.notify_all()

    def arrive(self) -> None:
        """The source goes there now: its next frame passes at once, also while paused, and the schedule begins with it."""
        with self._changed:
            self._jumped, self._arriving, self._origin_s = False, True, None

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_for(self, time_s: float) -> bool:
        """Returns when the frame of this time may go on; False once stopped, or when it is refused after a jump."""
        with self._changed:
            while not (self._stopped or self._jumped):
                wait_s = self._wait_s(time_s)
                if wait_s == 0:
                    self._arriving = False
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
            if not (self._arriving or self._take_step()):
                return None
            self._begin(time_s, now_s)  # it plays on from the frame that was let through
            self._paused_s = now_s
            return 0
        if not self._realtime:
            return 0
        if self._origin_s is None:
            self._begin(time_s, now_s)
        assert self._origin_s is not None
        ahead_s = self._origin_s + time_s / self._speed - now_s
        if ahead_s <= 0:
            self._late_s = -ahead_s
        return max(0.0, ahead_s)

    def _begin(self, time_s: float, now_s: float) -> None:
        self._origin_s, self._late_s = now_s - time_s / self._speed, 0.0

    def _take_step(self) -> bool:
        self._steps -= 1 if (stepped := self._steps > 0) else 0
        return stepped
