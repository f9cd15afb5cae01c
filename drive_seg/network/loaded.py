"""Compiled stages that several engines share: cameras that run one network have each stage once, and no picture's traces in common."""

import threading
from collections.abc import Callable, Hashable

from drive_seg.contracts import Stage


class Loaded:
    """Each stage is loaded for the first who wants it, and closed with the last. All of it is called from one thread, but for `turn`."""

    def __init__(self) -> None:
        self.turn = threading.Lock()  # held by who runs a deep stage beside the frames, until what it put out is copied
        self._stages: dict[Hashable, Stage] = {}
        self._uses: dict[int, list[Hashable]] = {}  # by the stage's id, its key once for each who has it

    def load(self, key: Hashable, make: Callable[[], Stage]) -> Stage:
        """`key`: all that the stage depends on. What it puts out is good until the next call, whosever that is. Raises what `make` does."""
        stage = self._stages.get(key)
        if stage is None:
            stage = self._stages[key] = make()
        self._uses.setdefault(id(stage), []).append(key)
        return stage

    def close(self, stage: Stage) -> None:
        """Once for each `load`."""
        uses = self._uses[id(stage)]
        key = uses.pop()
        if not uses:
            del self._uses[id(stage)], self._stages[key]
            stage.close()
