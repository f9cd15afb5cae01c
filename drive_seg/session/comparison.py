"""A second pipeline for the same frames: the first one's settings with some of them changed."""

from collections.abc import Callable, Mapping

from drive_seg.network.pipeline import Pipeline
from drive_seg.session.live import LivePipeline
from drive_seg.settings import Settings
from drive_seg.workers import Closed


class Comparison:
    """Belongs to the session's thread."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check`: as LivePipeline's."""
        self.live = LivePipeline(leads=False, check=check)
        self.changes: Mapping[str, object] | None = None  # what differs, as it is asked for; None: nothing is compared
        self._in_force: Mapping[str, object] | None = None

    @property
    def pipeline(self) -> Pipeline | None:
        """What another one is being opened for is compared with nothing meanwhile."""
        return None if self.live.outdated else self.live.pipeline

    def follow(self, main: Settings | None, frame_hw: tuple[int, int]) -> None:
        """Becomes what is asked for beside the pipeline of these settings. Raises what opening it raises."""
        if self.changes is None:
            self.live.clear()
        elif main:
            self.live.want(main.model_copy(update=self.changes), frame_hw)
        if not self.live.outdated:
            self._in_force = self.changes

    def tick(self) -> bool:
        """As LivePipeline's. Where this raises, what was compared with before is asked for, if that is something else."""
        try:
            return self.live.tick()
        except Closed:
            raise
        except Exception:
            self.changes = self._in_force if self._in_force != self.changes else None
            raise
