"""One lane of a player, as it is wished and as it is: changed between two frames, and built meanwhile where that takes minutes."""

from collections.abc import Callable
from dataclasses import dataclass

from drive_seg import assemble
from drive_seg.assemble import Lane
from drive_seg.settings import Settings
from drive_seg.workers import Worker

SCHEDULED = {"schedule", "replay"}  # the settings that a lane can change and stay the same
FIELDS = SCHEDULED | {
    "model", "class_names", "mean", "std", "channels", "input_size", "backend", "device", "precision", "threads", "mode", "propagation",
    "refine",
}  # fmt: skip


def differing_fields(one: Settings, other: Settings) -> set[str]:
    """Of those that make a lane."""
    return {name for name in FIELDS if getattr(one, name) != getattr(other, name)}


def with_lane(settings: Settings, lane: Settings) -> Settings:
    """The settings with a lane's taken from another."""
    return settings.model_copy(update={name: getattr(lane, name) for name in FIELDS})


def standby(settings: Settings) -> Settings:
    """What plays while the wished lane is built: the CPU's best."""
    return settings.model_copy(update={"backend": "openvino", "device": None, "precision": None})


@dataclass(frozen=True, slots=True)
class Building:
    settings: Settings
    frame_hw: tuple[int, int]
    worker: Worker


class Slot:
    """Where a lane plays. Belongs to the player's thread, like its lane; `loading` and what a lane says of itself may be read by any."""

    def __init__(self, standby: bool, check: Callable[[], None]) -> None:
        """`standby`: the CPU plays what is being built; else what was there plays on. `check` raises Closed once nobody waits any more."""
        self.lane: Lane | None = None
        self.wished: Settings | None = None  # what is in force, or will be once it is built
        self.broken = False  # the lane has failed: only another one can play
        self.loading = ""  # what is being opened or built, for people
        self._standby, self._check = standby, check
        self._frame_hw = (0, 0)
        self._building: Building | None = None

    def wish(self, settings: Settings, frame_hw: tuple[int, int]) -> bool:
        """Another lane, at once or when it is built. Returns whether one plays now that did not; where this raises, nothing has changed."""
        before, before_hw = self.wished, self._frame_hw
        try:
            return self._strive(settings, frame_hw, built=False)
        except BaseException:
            self.wished, self._frame_hw = before, before_hw
            raise

    def tick(self) -> bool:
        """Takes over what has been built meanwhile; returns and raises as `wish` does."""
        done, wished = self._building, self.wished
        if done is None or wished is None or not self.built:
            return False
        self._check()
        self._building, self.loading = None, ""
        built = done.frame_hw == self._frame_hw and differing_fields(done.settings, wished) <= SCHEDULED
        try:
            if built and done.worker.error:
                raise done.worker.error
            return self._strive(wished, self._frame_hw, built)
        except BaseException:
            self.wished = self.lane.settings if self.lane else None
            raise

    def clear(self) -> None:
        """Nothing plays here any more; a building goes on in vain."""
        self.close()
        self.lane = self.wished = None

    def close(self) -> None:
        """What the lane says of itself can still be read. Idempotent."""
        if self.lane:
            self.lane.close()

    @property
    def built(self) -> bool:
        """Something that can be taken over, or has failed."""
        return self._building is not None and self._building.worker.ended

    def building(self) -> Worker | None:
        return self._building.worker if self._building else None

    def _strive(self, settings: Settings, frame_hw: tuple[int, int], built: bool) -> bool:
        before, before_hw, self.wished, self._frame_hw = self.lane, self._frame_hw, settings, frame_hw
        name = f"{settings.model} on {settings.backend}" if settings.backend else settings.model
        self.loading = self.loading or name
        try:
            if built or self._fits(settings, before_hw) or assemble.ready(settings, frame_hw):
                self._play(settings)
            else:
                self._build(settings)
                if self._standby:
                    self._play(standby(settings))
        finally:
            self.loading = self.loading if self._building else ""
        return self.lane is not before and (before is None or self.lane is None or self.lane.engine is not before.engine)

    def _fits(self, settings: Settings, frame_hw: tuple[int, int]) -> bool:
        """Another schedule at most, which a slider may ask for many times a second."""
        same = self.lane and not self.broken and frame_hw == self._frame_hw
        return bool(same and self.lane and differing_fields(self.lane.settings, settings) <= SCHEDULED)

    def _play(self, settings: Settings) -> None:
        lane, frame_hw = self.lane, self._frame_hw
        if lane and not self.broken and (differs := differing_fields(lane.settings, settings)) <= SCHEDULED:
            if not differs:
                lane.pipeline.fit(frame_hw)
                return
            if rescheduled := assemble.rescheduled(lane, settings):
                self.lane = rescheduled
                return
        self.lane = assemble.open_lane(assemble.make_plan(settings), frame_hw)
        self.broken = False
        if lane:
            lane.close()

    def _build(self, settings: Settings) -> None:
        if self._building:  # one at a time: `tick` looks at what is wished then
            return
        frame_hw = self._frame_hw

        def tell(line: str) -> None:
            self._check()
            self.loading = line

        worker = Worker("build", lambda: assemble.prepare(settings, frame_hw, tell)).start()
        self._building = Building(settings, frame_hw, worker)
