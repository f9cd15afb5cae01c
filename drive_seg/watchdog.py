"""Notices what hangs: one thread looks at every step that was begun, and tells its owner of one that is not over within its limit."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from types import MethodType, TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakMethod

from drive_seg.errors import DriveSegError
from drive_seg.workers import Mailbox, Overflow, Worker

T = TypeVar("T")

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
        """`hung` is called once for a step that hangs, in a thread of its own, with "NAME did not end within N s"; LIMIT_S by default.

        A method's object is not held: it holds this, and would be a circle that only the collector ends.
        """
        self._hung: Callable[[], Callable[[str], None] | None] = WeakMethod(hung) if isinstance(hung, MethodType) else lambda: hung
        self._limit_s = limit_s
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
            if (text := self.hangs) and (hung := self._hung()):
                Worker(f"hung {step.name}", partial(hung, text)).start()

    def watch(self) -> None:
        _watchdog.add(self)

    def leave(self) -> None:
        _watchdog.remove(self)

    def __enter__(self) -> Self:
        self.watch()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()


class Aside:
    """Does one work after the other in a thread of its own, for a caller who must not hang with it: that one gets an error then, now and
    whenever it asks again, and the thread is left alone.
    """

    def __init__(self, name: str, hung: Callable[[str], Exception], limit_s: float | None = None) -> None:
        """`hung` makes an error of what Watched tells."""
        self.watched = Watched(self._tell, limit_s)  # for the work's own steps; the last one ends with the work
        self._hung = hung
        self._error: Exception | None = None
        self._works: Mailbox[tuple[Callable[[], Any], Future[Any]]] = Mailbox(1, Overflow.WAIT)
        self._under_way: Future[Any] | None = None
        self._worker = Worker(name, self._run)

    def __call__(self, work: Callable[[], T], step: str = "") -> T:
        """Raises what the work raises. `step`: what it is called where it is one."""
        if self._error:
            raise self._error
        if self._worker.new:
            self._worker.start()
        done: Future[T] = Future()
        self._works.put(((lambda: self._as_step(step, work)) if step else work, done))
        return done.result()

    @property
    def hangs(self) -> bool:
        return self._error is not None

    def close(self) -> None:
        """Waits until what is under way has ended, or hangs. Idempotent."""
        self.leave()
        while not (self._worker.wait(TICK_S) or self._error):
            pass

    def leave(self) -> None:
        """The same without waiting."""
        self._works.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _as_step(self, step: str, work: Callable[[], T]) -> T:
        self.watched.begin(step)
        return work()

    def _run(self) -> None:
        with self.watched:
            while True:
                self._do(*self._works.get())  # in a call of its own, so that no result is held beyond it

    def _do(self, work: Callable[[], Any], done: "Future[Any]") -> None:
        self._under_way = done
        with suppress(InvalidStateError):  # it was told to hang, and came back
            try:
                made = work()
            except BaseException as error:
                self.watched.end()
                done.set_exception(error)
            else:
                self.watched.end()
                done.set_result(made)
        self._under_way = None

    def _tell(self, text: str) -> None:
        under_way = self._under_way
        self._error = error = self._hung(text)
        self._works.discard()
        if under_way:
            with suppress(InvalidStateError):
                under_way.set_exception(error)


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
last_resort: Callable[[DriveSegError], object] | None = None  # told where a thread hangs that nobody lives on without: ends the process
hanging = _watchdog.hanging  # whether a thread hangs that the process cannot be ended with in an orderly way
