"""A CUDA layer without a GPU that works as late as a real one may, and fails on every misuse that a real one would punish."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from drive_seg.contracts import Array, TensorSpec
from drive_seg.errors import BackendError

Work = Callable[[], None]


class Misuse(AssertionError):
    """What a real GPU would answer with a wrong picture, a leak or a crash."""


@dataclass
class _Stream:
    urgent: bool
    pending: list[Work] = field(default_factory=list)  # given, and not done before somebody waits
    capture: list[Work] | None = None
    capturing: threading.Thread | None = None


class FakeCuda:
    """Cuda (cuda.py). `fail_at` is the number of the call that fails, from 0."""

    name = "fake"

    def __init__(self, captures: bool = True, fail_at: int | None = None, capacity: int = 1 << 40) -> None:
        self.captures = captures
        self.closed = False
        self.calls: list[str] = []
        self.urgent: list[bool] = []
        self._fail_at, self._capacity = fail_at, capacity
        self._threads: set[int] = set()  # in which the context is current
        self._memory: dict[int, Array] = {}
        self._pinned: dict[int, Array] = {}
        self._streams: dict[int, _Stream] = {}
        self._events: dict[int, int | None] = {}  # the stream that each was recorded on and not waited for
        self._graphs: dict[int, list[Work]] = {}
        self._next = 1000

    @property
    def alive(self) -> list[int]:
        return [*self._memory, *self._pinned, *self._streams, *self._events, *self._graphs]

    # ---- rules

    def _call(self, name: str) -> None:
        if self.closed:
            raise Misuse(f"{name} after close")
        if threading.get_ident() not in self._threads:
            raise Misuse(f"{name} in a thread in which the context is not current")
        self.calls.append(name)
        if len(self.calls) - 1 == self._fail_at:
            raise BackendError(f"CUDA: {name} fails")

    def _quiet(self, name: str) -> None:
        """Some calls break a capture that is under way in their thread."""
        if any(stream.capturing is threading.current_thread() for stream in self._streams.values()):
            raise Misuse(f"{name} during a capture")

    def _idle(self, name: str) -> None:
        if any(stream.pending for stream in self._streams.values()):
            raise Misuse(f"{name} while the GPU is at work")

    @staticmethod
    def _of(table: dict[int, object], handle: int, name: str) -> object:
        if handle not in table:
            raise Misuse(f"{name}: {handle} was never made, or is freed")
        return table[handle]

    def _new(self) -> int:
        self._next += 8
        return self._next

    @contextmanager
    def current(self) -> Iterator[None]:
        me = threading.get_ident()
        if self.closed:
            raise Misuse("current after close")
        if me in self._threads:
            raise Misuse("the context is current already")
        self._threads.add(me)
        try:
            yield
        finally:
            self._threads.remove(me)

    # ---- memory

    def allocate(self, size: int) -> int:
        self._call("allocate")
        self._quiet("allocate")
        if size > self._capacity - sum(block.nbytes for block in self._memory.values()):
            raise BackendError("CUDA: the GPU's memory is full")
        pointer = self._new()
        self._memory[pointer] = np.full(size, 0xA5, np.uint8)  # not zeros: nobody may count on them
        return pointer

    def free(self, pointer: int) -> None:
        self._call("free")
        self._idle("free")
        self._of(self._memory, pointer, "free")
        del self._memory[pointer]

    def pinned(self, shape: tuple[int, ...], dtype: str) -> Array:
        self._call("pinned")
        self._quiet("pinned")
        array = np.zeros(shape, dtype)
        array.view(np.uint8).fill(0xA5)
        self._pinned[array.ctypes.data] = array
        return array

    def unpin(self, array: Array) -> None:
        self._call("unpin")
        self._idle("unpin")
        self._of(self._pinned, array.ctypes.data, "unpin")
        del self._pinned[array.ctypes.data]

    # ---- streams and events

    def stream(self, urgent: bool) -> int:
        self._call("stream")
        handle = self._new()
        self._streams[handle] = _Stream(urgent)
        self.urgent.append(urgent)
        return handle

    def destroy_stream(self, stream: int) -> None:
        self._call("destroy_stream")
        if self._stream(stream).capture is not None:
            raise Misuse("destroy_stream of one that still captures")
        self._idle("destroy_stream")
        del self._streams[stream]

    def _stream(self, handle: int) -> _Stream:
        found = self._of(self._streams, handle, "stream")
        assert isinstance(found, _Stream)
        return found

    def synchronize(self, stream: int) -> None:
        self._call("synchronize")
        self._quiet("synchronize")
        self._run(stream)

    def _run(self, stream: int) -> None:
        pending, self._stream(stream).pending = self._stream(stream).pending, []
        self._events = {event: None if recorded == stream else recorded for event, recorded in self._events.items()}
        for work in pending:
            work()

    def event(self) -> int:
        self._call("event")
        handle = self._new()
        self._events[handle] = None
        return handle

    def destroy_event(self, event: int) -> None:
        self._call("destroy_event")
        if self._of(self._events, event, "destroy_event") is not None:
            raise Misuse("destroy_event of one that nobody waited for")
        del self._events[event]

    def record(self, event: int, stream: int) -> None:
        self._call("record")
        self._of(self._events, event, "record")
        if self._stream(stream).capture is not None:
            raise Misuse("record of an event that is waited for, in a capture")
        self._events[event] = stream

    def wait(self, event: int) -> None:
        self._call("wait")
        self._quiet("wait")
        stream = self._of(self._events, event, "wait")
        if stream is None:
            raise Misuse("wait for an event that was not recorded")
        assert isinstance(stream, int)
        self._run(stream)

    # ---- work

    def give(self, stream: int, work: Work) -> None:
        """What an engine does on a stream; also how the fake's own copies get there."""
        found = self._stream(stream)
        if found.capture is None:
            found.pending.append(work)
        elif found.capturing is threading.current_thread():
            found.capture.append(work)
        else:
            raise Misuse("another thread's capture is given work")

    def block(self, pointer: int) -> Array:
        found = self._of(self._memory, pointer, "an address")
        assert isinstance(found, np.ndarray)
        return found

    def upload(self, pointer: int, array: Array, stream: int) -> None:
        self._call("upload")
        self._of(self._pinned, array.ctypes.data, "upload from memory that is not page-locked")

        def work() -> None:
            self._of(self._pinned, array.ctypes.data, "upload")
            self.block(pointer)[: array.nbytes] = array.reshape(-1).view(np.uint8)

        self.give(stream, work)

    def download(self, array: Array, pointer: int, stream: int) -> None:
        self._call("download")
        self._of(self._pinned, array.ctypes.data, "download to memory that is not page-locked")

        def work() -> None:
            self._of(self._pinned, array.ctypes.data, "download")
            array.reshape(-1).view(np.uint8)[:] = self.block(pointer)[: array.nbytes]

        self.give(stream, work)

    # ---- graphs

    def begin_capture(self, stream: int) -> None:
        self._call("begin_capture")
        if not self.captures:
            raise Misuse("begin_capture by a layer that cannot")
        found = self._stream(stream)
        if found.pending or any(recorded == stream for recorded in self._events.values()):
            raise Misuse("begin_capture while the stream is waited for")
        found.capture, found.capturing = [], threading.current_thread()

    def end_capture(self, stream: int) -> int:
        found = self._stream(stream)
        if found.capturing is not threading.current_thread():
            raise Misuse("end_capture in another thread than begin_capture")
        captured, found.capture, found.capturing = found.capture or [], None, None
        self._call("end_capture")
        handle = self._new()
        self._graphs[handle] = captured
        return handle

    def launch(self, graph: int, stream: int) -> None:
        self._call("launch")
        work = self._of(self._graphs, graph, "launch")
        assert isinstance(work, list)
        for piece in work:
            self.give(stream, piece)

    def destroy_graph(self, graph: int) -> None:
        self._call("destroy_graph")
        self._idle("destroy_graph")
        self._of(self._graphs, graph, "destroy_graph")
        del self._graphs[graph]

    def close(self) -> None:
        if self.alive:
            raise Misuse(f"close with {len(self.alive)} things not freed")
        self.closed = True


class FakeProgram:
    """Program (runtime.py): applies `function` to the inputs' arrays, in the stream's time."""

    def __init__(
        self,
        cuda: FakeCuda,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        function: Callable[..., dict[str, Array]],
        can_be_captured: bool = True,
    ) -> None:
        self._cuda, self._function, self._can = cuda, function, can_be_captured
        self._inputs, self._outputs = inputs, outputs
        self._bound: dict[str, int] = {}
        self._ran = False
        self.closed = False
        self.enqueued = 0

    def bind(self, tensor: str, pointer: int) -> None:
        if tensor in self._bound:
            raise Misuse(f"{tensor} is given a second address")
        self._cuda.block(pointer)
        self._bound[tensor] = pointer

    def enqueue(self, stream: int) -> None:
        if self.closed or len(self._bound) != len(self._inputs) + len(self._outputs):
            raise Misuse("enqueue of a program that is closed, or whose addresses are not all set")
        if self._cuda._stream(stream).capture is not None and not self._ran:
            raise Misuse("a capture sees the first run, which compiles kernels")
        self.enqueued += 1

        def work() -> None:
            self._ran = True
            taken = {spec.name: self._view(spec) for spec in self._inputs}
            for name, value in self._function(**taken).items():
                spec = next(spec for spec in self._outputs if spec.name == name)
                self._view(spec)[...] = value

        self._cuda.give(stream, work)

    def _view(self, spec: TensorSpec) -> Array:
        size = int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize
        return self._cuda.block(self._bound[spec.name])[:size].view(spec.dtype).reshape(spec.shape)

    def capturable(self, stream: int) -> bool:
        self._cuda._stream(stream)
        return self._can

    def close(self) -> None:
        self.closed = True
