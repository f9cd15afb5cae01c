"""Notices what hangs: one thread looks at every step that was begun, and tells its owner of one that is not over within its limit."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from drive_seg.workers import Worker

LIMIT_S = 10.0  # of a single step: a stage's run, a read, a write. Loading and building are no steps
TICK_S = 0.25


class Step:
    """A step that was begun. Told apart by identity: each is another one."""

    __slots__ = ("counted_s", "name", "told")

    def __init__(self, name: str) -> None:
        self.name, self.counted_s, self.told = name, 0.0, False


class Watched:
    """What is done step by step in one thread, to which a step costs two writes of an attribute. Looked at from `watch` to `leave`."""

    def __init__(self, hung: Callable[[str], None], limit_s: float | None = None) -> None:
        """`hung` is called once for a step that hangs, in a thread of its own, with "NAME did not end within N s"; LIMIT_S by default."""
        self._hung, self._limit_s = hung, limit_s
        self._step: Step | None = None

    @property
    def limit_s(self) -> float:
        return LIMIT_S if self._limit_s is None else self._limit_s

    @property
    def hangs(self) -> str:
        """What was told of the step that is under way still; mostly nothing."""
        return f"{step.name} did not end within {self.limit_s:g} s" if (step := self._step) and step.told else ""

    def begin(self, name: str) -> None:
        """The step before is over, if there was one."""
        self._step = Step(name)

    def end(self) -> None:
        self._step = None

    def count(self, tick_s: float) -> None:
        """Called by the watchdog, whose own ticks are counted: while the process stands still, or gets no CPU, they do not come either."""
        if (step := self._step) is None or step.told:
            return
        step.counted_s += tick_s
        if step.counted_s >= self.limit_s:
            step.told = True
            if text := self.hangs:
                Worker(f"hung {step.name}", lambda: self._hung(text)).start()

    def watch(self) -> None:
        _watchdog.add(self)

    def leave(self) -> None:
        _watchdog.remove(self)

    def __enter__(self) -> Self:
        self.watch()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()


class _Watchdog:
    """The thread, which is there while anything is watched."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set[Watched] = set()
        self._worker: Worker | None = None

    def add(self, watched: Watched) -> None:
        with self._changed:
            self._watched.add(watched)
            self._changed.notify_all()
            if self._worker is None:
                self._worker = Worker("watchdog", self._run).start()

    def remove(self, watched: Watched) -> None:
        with self._changed:
            self._watched.discard(watched)
            self._changed.notify_all()
            if (worker := self._worker) is None:
                return
            self._changed.wait_for(lambda: self._watched or self._worker is not worker)
            over = self._worker is not worker
        if over:
            worker.wait(TICK_S)  # it is as good as gone

    def hanging(self) -> bool:
        with self._changed:
            return any(bool(watched.hangs) for watched in self._watched)

    def _run(self) -> None:
        with self._changed:
            while self._watched:
                tick_s = min(TICK_S, *(watched.limit_s / 4 for watched in self._watched))
                if self._changed.wait(tick_s):
                    continue
                for watched in self._watched:
                    watched.count(tick_s)
            self._worker = None
            self._changed.notify_all()


_watchdog = _Watchdog()
hanging = _watchdog.hanging  # whether a thread hangs that the process cannot be ended with in an orderly way
