"""A pipeline that is exchanged while it runs: another one is opened beside it, and takes its place between two frames."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from drive_seg.errors import DriveSegError
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import Pipelined, check_fits
from drive_seg.session import opening
from drive_seg.settings import Settings
from drive_seg.workers import Closed, Worker, give_back, on_all_cpus

PATIENCE_S = 10.0  # what nobody wants any more ends where it next tells something; what does not is left alone
SCHEDULED = {"schedule", "replay"}  # the settings that a pipeline can change and stay the same
FIELDS = SCHEDULED | {
    "model", "class_names", "mean", "std", "scale", "channels", "input_size", "backend", "device", "precision", "threads", "mode",
    "propagation", "refine", "confidence",
}  # fmt: skip


def differing_fields(one: Settings, other: Settings) -> set[str]:
    """Of those that make a pipeline."""
    return {name for name in FIELDS if getattr(one, name) != getattr(other, name)}


def with_pipeline(settings: Settings, pipeline: Settings) -> Settings:
    """The settings with a pipeline's taken from another."""
    return settings.model_copy(update={name: getattr(pipeline, name) for name in FIELDS})


def standby(settings: Settings) -> Settings:
    """What runs while the wanted pipeline is built and nothing else does: the CPU's best."""
    return settings.model_copy(update={"backend": "openvino", "device": None, "precision": None})


class Opening:
    """A pipeline that is opened in a thread of its own, and built there first where that takes minutes. Whoever takes it closes it."""

    def __init__(self, settings: Settings, frame_hw: tuple[int, int], tell: Callable[[str], None]) -> None:
        """`tell` is given what is under way, a line at a time, in that thread; what it raises ends the opening."""
        self.settings, self.frame_hw = settings, frame_hw
        self._tell, self._lock = tell, threading.Lock()
        self._pipeline: Pipeline | None = None
        self._dropped_s: float | None = None
        self._worker = Worker("opening", self._work).start()

    def becomes(self, settings: Settings, frame_hw: tuple[int, int]) -> bool:
        """Whether a pipeline of these settings comes of it, or one that lacks their schedule alone."""
        return self._dropped_s is None and frame_hw == self.frame_hw and differing_fields(self.settings, settings) <= SCHEDULED

    @property
    def over(self) -> bool:
        return self._worker.ended or (self._dropped_s is not None and time.monotonic() > self._dropped_s + PATIENCE_S)

    def take(self) -> Pipeline | None:
        """Once it is over; None where it was dropped. Raises what opening it raised."""
        if self._worker.error and self._dropped_s is None:
            raise self._worker.error
        made, self._pipeline = self._pipeline, None
        return made

    def drop(self) -> None:
        """Nobody wants it any more: it is closed, by its own thread where it is not open yet. Idempotent."""
        with self._lock:
            self._dropped_s = self._dropped_s or time.monotonic()
            made, self._pipeline = self._pipeline, None
        if made:
            made.close()

    def wait(self, timeout_s: float) -> None:
        self._worker.wait(timeout_s)

    def _work(self) -> None:
        with on_all_cpus():  # what is opened starts threads
            opening.prepare(self.settings, self.frame_hw, self._say)
            made = opening.open_pipeline(opening.find_model(self.settings), self.settings, self.frame_hw)
        with self._lock:
            if self._dropped_s is None:
                self._pipeline = made
                return
        made.close()

    def _say(self, line: str) -> None:
        with self._lock:
            if self._dropped_s is not None:
                raise Closed
            self._tell(line)


class LivePipeline:
    """Belongs to the session's thread, like its pipeline; `loading` and what the pipeline says of itself may be read by any."""

    def __init__(self, leads: bool, check: Callable[[], None]) -> None:
        """`leads`: frames wait for it while there is none, and for what takes minutes the CPU stands in; else they go on without.

        `check` raises Closed once nobody waits any more.
        """
        self.pipeline: Pipeline | None = None
        self.settings: Settings | None = None  # those that it runs by
        self.wanted: Settings | None = None  # those that will be in force once it is open
        self.broken = False  # it has failed: only another one can run
        self.loading = ""  # what is being opened or built, for people
        self._leads, self._check = leads, check
        self._frame_hw = (0, 0)
        self._opening: Opening | None = None

    def want(self, settings: Settings, frame_hw: tuple[int, int]) -> bool:
        """Another pipeline: at once, or when it is open, and what runs goes on meanwhile. Returns whether one runs now that did not.

        What was wanted before and is not open yet is wanted no longer. Where this raises, nothing has changed.
        """
        before, before_hw = self.wanted, self._frame_hw
        self.wanted, self._frame_hw = settings, frame_hw
        try:
            return self._strive(settings, before)
        except BaseException:
            self.wanted, self._frame_hw = before, before_hw
            raise

    def tick(self) -> bool:
        """Takes over what has been opened meanwhile. Returns and raises as `want` does; where it raises, what runs is what is wanted."""
        done, wanted = self._opening, self.wanted
        if done is None or not done.over:
            return False
        self._check()
        self._opening, self.loading = None, ""
        if wanted is None:
            return False
        try:
            made = done.take()
            if made is None:
                return self._strive(wanted, None)
            self._take_over(made, done.settings, wanted)
        except BaseException:
            self.wanted = self.settings
            raise
        if self.outdated:  # in a schedule that takes a pipeline of its own
            self._open(wanted)
        return True

    def clear(self) -> None:
        """Nothing runs here any more, and nothing is wanted."""
        self.close()
        self.pipeline = self.settings = self.wanted = None

    def abandon(self) -> None:
        """Leaves the pipeline to the thread that it is stuck in. Only another one can run here."""
        self.pipeline, self.broken = None, True

    def close(self) -> None:
        """What the pipeline says of itself can still be read. Idempotent."""
        self._drop()
        if self.pipeline:
            self.pipeline.close()

    @property
    def opened(self) -> bool:
        """Something that can be taken over, or has failed, or ended because nobody wants it."""
        return self._opening is not None and self._opening.over

    @property
    def outdated(self) -> bool:
        """What runs is not what is wanted."""
        return self.wanted is not None and (self.settings is None or self.broken or bool(differing_fields(self.settings, self.wanted)))

    def wait(self, timeout_s: float) -> None:
        """For what is still being opened, once it is closed."""
        if self._opening:
            self._opening.wait(timeout_s)

    def _strive(self, settings: Settings, before: Settings | None) -> bool:
        """`before`: what was wanted until now."""
        running = self.settings if self.pipeline and not self.broken else None
        if running and differing_fields(running, settings) <= SCHEDULED and self._reschedule(settings):
            self._drop()
            return False
        if running is None and self._leads and not (self._opening and self._opening.becomes(settings, self._frame_hw)):
            self._open_now(settings)
            return True
        self._open(settings)
        if running and before and differing_fields(before, settings) <= SCHEDULED:  # a slider does not wait for what is being opened
            with suppress(DriveSegError):  # which will say so itself
                self._reschedule(running.model_copy(update={name: getattr(settings, name) for name in SCHEDULED}))
        return False

    def _reschedule(self, settings: Settings) -> bool:
        """Another schedule at most, which a slider may ask for many times a second. False where that takes another pipeline."""
        assert self.pipeline is not None
        assert self.settings is not None
        if not differing_fields(self.settings, settings):
            self.pipeline.fit(self._frame_hw)
        elif not rescheduled(self.pipeline, settings):
            return False
        self.settings = settings
        return True

    def _open(self, settings: Settings) -> None:
        """Beside what runs. One at a time: where another one is not over yet, `tick` looks at what is wanted then."""
        if self._opening and self._opening.becomes(settings, self._frame_hw):
            return
        self._drop()
        self.loading = _named(settings)
        if self._opening is None:
            self._opening = Opening(settings, self._frame_hw, self._tell)

    def _open_now(self, settings: Settings) -> None:
        """In this thread, because nothing runs that could go on."""
        self.loading = self.loading or _named(settings)
        try:
            ready = opening.ready(settings, self._frame_hw)
            now = settings if ready else standby(settings)
            self._take_over(opening.open_pipeline(opening.find_model(now), now, self._frame_hw), now, now)
        finally:
            self.loading = ""
        self._drop()
        if not ready:
            self._open(settings)

    def _take_over(self, made: Pipeline, settings: Settings, wanted: Settings) -> None:
        """`settings` made it, and it gets the schedule that is wanted now, if it can. Closes it where this raises."""
        try:
            settings = wanted if differing_fields(settings, wanted) and rescheduled(made, wanted) else settings
        except BaseException:
            made.close()
            raise
        before, self.pipeline, self.settings, self.broken = self.pipeline, made, settings, False
        if before:
            before.close()
            give_back()

    def _drop(self) -> None:
        if self._opening:
            self._opening.drop()
            self._opening, self.loading = None if self._opening.over else self._opening, ""

    def _tell(self, line: str) -> None:
        self._check()
        self.loading = line


def _named(settings: Settings) -> str:
    return f"{settings.model} on {settings.backend}" if settings.backend else settings.model


def rescheduled(pipeline: Pipeline, settings: Settings) -> bool:
    """Gives it another schedule, its cache staying valid; False where that takes another pipeline. Where it raises, nothing has changed."""
    schedule = opening.open_schedule(settings)
    if isinstance(schedule, Pipelined) or isinstance(pipeline.schedule, Pipelined):
        return False
    opening.check_mode(schedule, settings)
    check_fits(schedule, pipeline.engine)
    pipeline.schedule = schedule
    return True
