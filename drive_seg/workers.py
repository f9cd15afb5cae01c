"""Threads and the bounded mailboxes between them: nothing grows, nothing hangs, an error ends whoever waits for it."""

import ctypes
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")


class Overflow(Enum):
    WAIT = "wait"  # files, benchmarks: the sender waits, nothing is lost
    DROP_OLDEST = "drop-oldest"  # live: the newest is worth more than the waiting ones


class Closed(Exception):
    """The other side is gone."""


class Mailbox(Generic[T]):
    """A queue of `depth` items between one sender and one receiver."""

    def __init__(self, depth: int, overflow: Overflow, changed: threading.Condition | None = None) -> None:
        """`changed` is told of everything; who receives from several mailboxes gives them one together, and waits for it."""
        self._items: deque[T] = deque()
        self._depth, self._overflow = depth, overflow
        self._changed = changed or threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self.dropped = 0

    def put(self, item: T) -> None:
        """Raises Closed once the mailbox is closed."""
        with self._changed:
            while not self._closed and self._overflow is Overflow.WAIT and len(self._items) >= self._depth:
                self._changed.wait()
            if self._closed:
                raise Closed
            while len(self._items) >= self._depth:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout_s: float | None = None) -> T:
        """The oldest item. Raises TimeoutError, the sender's error, or Closed when all that was sent has been taken."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._closed, timeout_s):
                raise TimeoutError
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            raise self._error or Closed

    @property
    def ready(self) -> bool:
        """`get` would not wait."""
        return bool(self._items) or self._closed

    def take_newest(self) -> T | None:
        """The newest item at once, or None; older ones are thrown away uncounted (a display that shows what is newest)."""
        with self._changed:
            if not self._items:
                return None
            item = self._items.pop()
            self._items.clear()
            self._changed.notify_all()
            return item

    def close(self, error: BaseException | None = None) -> None:
        """What was sent can still be taken; then `error`, or Closed, is raised to the receiver. Idempotent: the first error counts."""
        with self._changed:
            self._closed = True
            self._error = self._error or error
            self._changed.notify_all()

    def discard(self) -> None:
        """The receiver leaves: what waits is thrown away, and a sender that waits is sent off with Closed."""
        with self._changed:
            self._items.clear()
        self.close()

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                yield self.get()
            except Closed:
                return


class Worker:
    """A named thread that runs `work` once and keeps the error it ended with; `join` raises it."""

    def __init__(self, name: str, work: Callable[[], None], on_error: Callable[[BaseException], None] | None = None) -> None:
        self.error: BaseException | None = None

        def run() -> None:
            try:
                work()
            except Closed:
                pass
            except BaseException as error:
                self.error = error
                if on_error:
                    on_error(error)

        self._thread = threading.Thread(target=run, name=name, daemon=True)

    def start(self) -> "Worker":
        self._thread.start()
        return self

    @property
    def new(self) -> bool:
        return self._thread.ident is None

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def ended(self) -> bool:
        """It was started and is over."""
        return not self.new and not self._thread.is_alive()

    def wait(self, timeout_s: float) -> bool:
        """Waits for the end, whatever it was; at once where it was never started. Returns whether the thread is gone."""
        if not self.new:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> None:
        """Waits for the end. Raises what ended the thread, or TimeoutError."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"thread {self._thread.name!r} did not end within {timeout_s} s")
        if self.error:
            raise self.error


def give_back() -> None:
    """Gives freed memory back to the system. glibc keeps what each thread has freed for other threads that may come in its place: 16 drives
    one after the other, and a process of 300 MiB has 550. Other libraries of C have their own ways, and nothing is done there.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(0)


_kept = threading.local()  # cpus: those that Apart keeps a thread on


class Apart:
    """Keeps two threads on a CPU each where a process has just two, and does nothing where it has more or cannot choose.

    Linux wakes a thread on the CPU of the one that woke it and may leave it waiting there for milliseconds with the other CPU idle: started
    without this beside `head`, `high` took it from 2.9 to 4.4 ms (two cores of a virtual machine, frames at 30 fps).
    """

    def __init__(self) -> None:
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
        self._cpus = cpus if len(cpus) == 2 else None
        self._first: int | None = None

    def first(self) -> None:
        """Called by the one thread, as often as it likes."""
        if self._cpus and self._first != threading.get_ident():
            self._first, _kept.cpus = threading.get_ident(), self._cpus[:1]
            os.sched_setaffinity(0, self._cpus[:1])

    def second(self) -> None:
        """Called by the other one."""
        if self._cpus:
            os.sched_setaffinity(0, self._cpus[1:])

    def release(self) -> None:
        """Called at the end by any thread: the first one, if this is it, may go where it likes again."""
        if self._cpus and self._first == threading.get_ident():
            self._first = _kept.cpus = None
            os.sched_setaffinity(0, self._cpus)


@contextmanager
def on_all_cpus() -> Iterator[None]:
    """Threads started within may run wherever the process may, though they inherit from the one that starts them, which Apart may keep."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    everywhere = os.sched_getaffinity(os.getpid())
    os.sched_setaffinity(0, everywhere)
    try:
        yield
    finally:
        os.sched_setaffinity(0, getattr(_kept, "cpus", None) or everywhere)


@contextmanager
def clocked(tell: Callable[[str], None], every_s: float = 1.0) -> Iterator[Callable[[str], None]]:
    """What is said in here is told with the seconds since the beginning, and again every second, from another thread then.

    When `tell` raises something there, the next that is said raises it.
    """
    start_s, over, last = time.perf_counter(), threading.Event(), [""]

    def repeat() -> None:
        while not over.wait(every_s):
            if last[0]:
                tell(f"{last[0]}, {time.perf_counter() - start_s:.0f} s")

    def say(text: str) -> None:
        if clock.ended:
            raise clock.error or Closed
        last[0] = text
        tell(f"{text}, {time.perf_counter() - start_s:.0f} s")

    clock = Worker("clock", repeat).start()
    try:
        yield say
    finally:
        over.set()
        clock.wait(every_s)


class Interrupted(BaseException):
    """The process was told to end, by this signal: raised in the main thread, wherever that is."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def interrupt(number: int) -> NoReturn:
    raise Interrupted(number)


class _Ending:
    """What the first signal does, and what is done before the second one ends the process."""

    def __init__(self, close: Callable[[int], object], salvage: Callable[[], object]) -> None:
        self.close, self.salvage = close, salvage
        self._closing = False

    def on_signal(self, number: int, _: object) -> None:
        if not self._closing:  # what comes in `close` is the listener's alone
            self._closing = True
            self.close(number)

    def listen(self, heard: socket.socket) -> None:
        """In a thread of its own: the main one, in which Python handles signals, may hang."""
        came = 0
        while number := heard.recv(1)[0]:
            came += number in _handled()
            if came == 2:
                self.salvage()
                os._exit(128 + number)


_ending: _Ending | None = None  # the process's


def _handled() -> list[int]:
    """Not a hang-up that is ignored, as `nohup` has it."""
    hung_up = [signal.SIGHUP] if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else []
    return [signal.SIGINT, signal.SIGTERM, *hung_up]


@contextmanager
def ended_by_signals(close: Callable[[int], object] = interrupt, salvage: Callable[[], object] = lambda: None) -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP calls `close` with its number instead of ending the process; the second one ends it at once,
    after `salvage`, wherever the main thread is. Within another such context the two take the place of its own.

    To be entered in the main thread, in which `close` is called.
    """
    global _ending
    if outer := _ending:
        before = outer.close, outer.salvage
        outer.close, outer.salvage = close, salvage
        try:
            yield
        finally:
            outer.close, outer.salvage = before
        return
    ending = _ending = _Ending(close, salvage)
    heard, told = socket.socketpair()
    told.setblocking(False)
    told_before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    listener = Worker("signals", lambda: ending.listen(heard)).start()
    handlers = {number: signal.signal(number, ending.on_signal) for number in _handled()}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        _ending = None
        signal.set_wakeup_fd(told_before)
        told.send(b"\0")
        listener.wait(1.0)
        heard.close()
        told.close()
