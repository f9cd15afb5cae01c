"""A pipeline that is exchanged while it runs: as it is wanted and as it is, built meanwhile where that takes minutes."""

from collections.abc import Callable
from dataclasses import dataclass

from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import Pipelined, check_fits
from drive_seg.session import opening
from drive_seg.settings import Settings
from drive_seg.workers import Worker, give_back

SCHEDULED = {"schedule", "replay"}  # the settings that a pipeline can change and stay the same
FIELDS = SCHEDULED | {
    "model", "class_names", "mean", "std", "scale", "channels", "input_size", "backend", "device", "precision", "threads", "mode",
    "propagation", "refine",
}  # fmt: skip


def differing_fields(one: Settings, other: Settings) -> set[str]:
    """Of those that make a pipeline."""
    return {name for name in FIELDS if getattr(one, name) != getattr(other, name)}


def with_pipeline(settings: Settings, pipeline: Settings) -> Settings:
    """The settings with a pipeline's taken from another."""
    return settings.model_copy(update={name: getattr(pipeline, name) for name in FIELDS})


def standby(settings: Settings) -> Settings:
    """What runs while the wanted pipeline is built: the CPU's best."""
    return settings.model_copy(update={"backend": "openvino", "device": None, "precision": None})


@dataclass(frozen=True, slots=True)
class Building:
    settings: Settings
    frame_hw: tuple[int, int]
    worker: Worker


class LivePipeline:
    """Belongs to the session's thread, like its pipeline; `loading` and what the pipeline says of itself may be read by any."""

    def __init__(self, standby: bool, check: Callable[[], None]) -> None:
        """`standby`: the CPU runs what is being built; else what was there runs on. `check` raises Closed once nobody waits any more."""
        self.pipeline: Pipeline | None = None
        self.settings: Settings | None = None  # those that it runs by
        self.wanted: Settings | None = None  # those that will be in force once it is built
        self.broken = False  # it has failed: only another one can run
        self.loading = ""  # what is being opened or built, for people
        self._standby, self._check = standby, check
        self._frame_hw = (0, 0)
        self._building: Building | None = None

    def want(self, settings: Settings, frame_hw: tuple[int, int]) -> bool:
        """Another pipeline, at once or when it is built. Returns whether one runs now that did not.

        Where this raises, nothing has changed.
        """
        before, before_hw = self.wanted, self._frame_hw
        try:
            return self._strive(settings, frame_hw, built=False)
        except BaseException:
            self.wanted, self._frame_hw = before, before_hw
            raise

    def tick(self) -> bool:
        """Takes over what has been built meanwhile; returns and raises as `want` does."""
        done, wanted = self._building, self.wanted
        if done is None or wanted is None or not self.built:
            return False
        self._check()
        self._building, self.loading = None, ""
        built = done.frame_hw == self._frame_hw and differing_fields(done.settings, wanted) <= SCHEDULED
        try:
            if built and done.worker.error:
                raise done.worker.error
            return self._strive(wanted, self._frame_hw, built)
        except BaseException:
            self.wanted = self.settings
            raise

    def clear(self) -> None:
        """Nothing runs here any more; a building goes on in vain."""
        self.close()
        self.pipeline = self.settings = self.wanted = None

    def abandon(self) -> None:
        """Leaves the pipeline to the thread that it is stuck in. Only another one can run here."""
        self.pipeline, self.broken = None, True

    def close(self) -> None:
        """What the pipeline says of itself can still be read. Idempotent."""
        if self.pipeline:
            self.pipeline.close()

    @property
    def built(self) -> bool:
        """Something that can be taken over, or has failed."""
        return self._building is not None and self._building.worker.ended

    def wait(self, timeout_s: float) -> None:
        """For what is being built, which ends where it next tells something: that may take minutes."""
        if self._building:
            self._building.worker.wait(timeout_s)

    def _strive(self, settings: Settings, frame_hw: tuple[int, int], built: bool) -> bool:
        before, before_hw, self.wanted, self._frame_hw = self.pipeline, self._frame_hw, settings, frame_hw
        name = f"{settings.model} on {settings.backend}" if settings.backend else settings.model
        self.loading = self.loading or name
        try:
            if built or self._fits(settings, before_hw) or opening.ready(settings, frame_hw):
                self._run(settings)
            else:
                self._build(settings)
                if self._standby:
                    self._run(standby(settings))
        finally:
            self.loading = self.loading if self._building else ""
        return self.pipeline is not before

    def _fits(self, settings: Settings, frame_hw: tuple[int, int]) -> bool:
        """Another schedule at most, which a slider may ask for many times a second."""
        same = self.settings and not self.broken and frame_hw == self._frame_hw
        return bool(same and self.settings and differing_fields(self.settings, settings) <= SCHEDULED)

    def _run(self, settings: Settings) -> None:
        before, frame_hw = self.pipeline, self._frame_hw
        if before and self.settings and not self.broken and (differs := differing_fields(self.settings, settings)) <= SCHEDULED:
            if not differs:
                before.fit(frame_hw)
                return
            if rescheduled(before, settings):
                self.settings = settings
                return
        self.pipeline = opening.open_pipeline(opening.find_model(settings), settings, frame_hw)
        self.settings, self.broken = settings, False
        if before:
            before.close()
            give_back()

    def _build(self, settings: Settings) -> None:
        if self._building:  # one at a time: `tick` looks at what is wanted then
            return
        frame_hw = self._frame_hw

        def tell(line: str) -> None:
            self._check()
            self.loading = line

        worker = Worker("build", lambda: opening.prepare(settings, frame_hw, tell)).start()
        self._building = Building(settings, frame_hw, worker)


def rescheduled(pipeline: Pipeline, settings: Settings) -> bool:
    """Gives it another schedule, its cache staying valid; False where that takes another pipeline. Where it raises, nothing has changed."""
    schedule = opening.open_schedule(settings)
    if isinstance(schedule, Pipelined) or isinstance(pipeline.schedule, Pipelined):
        return False
    opening.check_mode(schedule, settings)
    check_fits(schedule, pipeline.engine)
    pipeline.schedule = schedule
    return True
