"""A CUDA layer without a GPU that works as late as a real one may, and fails on every misuse that a real one would punish."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from drive_seg.contracts import Array, TensorSpec
from drive_seg.errors import BackendError

Clock = dict[int, int]  # by stream: how many of its pieces of work are known to be done


class Misuse(AssertionError):
    """What a real GPU would answer with a wrong picture, a leak or a crash."""


@dataclass(frozen=True)
class Piece:
    """Something for a stream to do, and the addresses on the GPU that it reads and writes."""

    work: Callable[[], None]
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()


@dataclass
class _Block:
    data: Array
    written: Clock = field(default_factory=dict)  # by the last piece of work that did, as a clock
    read: Clock = field(default_factory=dict)  # since


@dataclass
class _Stream:
    given: int = 0
    clock: Clock = field(default_factory=dict)  # what is done before anything that it is given now begins
    pending: list[tuple[int, Piece]] = field(default_factory=list)  # given, and not done before somebody waits
    capture: list[Piece] | None = None
    capturing: threading.Thread | None = None


@dataclass
class _Event:
    timed: bool
    stream: int = 0
    upto: int = 0
    clock: Clock = field(default_factory=dict)
    recorded: bool = False
    waited: bool = True  # for what was recorded last


class FakeGpu:
    """What the adapters of one process share. It does nothing before somebody waits, or `finish` lets it."""

    def __init__(self) -> None:
        self.memory: dict[int, _Block] = {}
        self.pinned: dict[int, Array] = {}
        self.streams: dict[int, _Stream] = {}
        self.events: dict[int, _Event] = {}
        self.graphs: dict[int, list[Piece]] = {}
        self.host: Clock = {}  # what the host knows to be done
        self._next = 1000

    def new(self) -> int:
        self._next += 8
        return self._next

    def finish(self) -> None:
        """Everything that was given is done, unknown to the host."""
        for handle, stream in list(self.streams.items()):
            self.run(handle, stream.given)

    def run(self, handle: int, upto: int) -> None:
        stream = self.streams.get(handle)
        while stream and stream.pending and stream.pending[0][0] <= upto:
            stream.pending.pop(0)[1].work()

    def give(self, handle: int, piece: Piece) -> None:
        stream = self.streams[handle]
        stream.given += 1
        _merge(stream.clock, self.host)
        for pointer in (*piece.reads, *piece.writes):
            if pointer in self.memory:  # or it fails when it is its turn
                self._meet(stream.clock, self.memory[pointer], pointer in piece.writes)
        stream.clock[handle] = stream.given
        for pointer in piece.reads:
            if pointer in self.memory:
                self.memory[pointer].read[handle] = stream.given
        for pointer in piece.writes:
            if pointer in self.memory:
                self.memory[pointer].written, self.memory[pointer].read = {handle: stream.given}, {}
        stream.pending.append((stream.given, piece))

    @staticmethod
    def _meet(clock: Clock, block: _Block, writes: bool) -> None:
        if not _within(block.written, clock) or (writes and not _within(block.read, clock)):
            raise Misuse("a stream meets memory that another one is at work on, and did not wait for its event")

    def at_work_on(self, block: _Block) -> bool:
        return not _within({**block.written, **block.read}, self.host)


def _merge(clock: Clock, other: Clock) -> None:
    for stream, count in other.items():
        clock[stream] = max(count, clock.get(stream, 0))


def _within(part: Clock, clock: Clock) -> bool:
    return all(clock.get(stream, 0) >= count for stream, count in part.items())


class FakeCuda:
    """Cuda (cuda.py). `fail_at` is the number of the call that fails, from 0; adapters of one process share their `gpu`."""

    name = "fake"

    def __init__(self, captures: bool = True, fail_at: int | None = None, capacity: int = 1 << 40, gpu: FakeGpu | None = None) -> None:
        self.captures, self.gpu = captures, gpu or FakeGpu()
        self.closed = False
        self.calls: list[str] = []
        self.urgent: list[bool] = []
        self._fail_at, self._capacity = fail_at, capacity
        self._threads: set[int] = set()  # in which the context is current
        self._mine: set[int] = set()

    @property
    def alive(self) -> list[int]:
        return sorted(self._mine)

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
        if any(stream.capturing is threading.current_thread() for stream in self.gpu.streams.values()):
            raise Misuse(f"{name} during a capture")

    def _idle(self, name: str) -> None:
        if any(self.gpu.streams[handle].pending for handle in self._mine if handle in self.gpu.streams):
            raise Misuse(f"{name} while the GPU is at work")

    def _make(self, table: dict[int, object], thing: object, handle: int | None = None) -> int:
        handle = self.gpu.new() if handle is None else handle
        table[handle] = thing
        self._mine.add(handle)
        return handle

    def _drop(self, table: dict[int, object], handle: int, name: str) -> None:
        self._of(table, handle, name)
        if handle not in self._mine:
            raise Misuse(f"{name}: {handle} was made by another adapter")
        self._mine.remove(handle)
        del table[handle]

    @staticmethod
    def _of(table: dict[int, object], handle: int, name: str) -> object:
        if handle not in table:
            raise Misuse(f"{name}: {handle} was never made, or is freed")
        return table[handle]

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
        if size > self._capacity - sum(block.data.nbytes for block in self.gpu.memory.values()):
            raise BackendError("CUDA: the GPU's memory is full")
        return self._make(self.gpu.memory, _Block(np.full(size, 0xA5, np.uint8)))  # not zeros: nobody may count on them

    def free(self, pointer: int) -> None:
        self._call("free")
        self._idle("free")
        block = self._of(self.gpu.memory, pointer, "free")
        assert isinstance(block, _Block)
        if self.gpu.at_work_on(block):
            raise Misuse("free while the GPU is at work on it")
        self._drop(self.gpu.memory, pointer, "free")

    def pinned(self, shape: tuple[int, ...], dtype: str) -> Array:
        self._call("pinned")
        self._quiet("pinned")
        array = np.zeros(shape, dtype)
        array.view(np.uint8).fill(0xA5)
        self._make(self.gpu.pinned, array, array.ctypes.data)
        return array

    def unpin(self, array: Array) -> None:
        self._call("unpin")
        self._idle("unpin")
        self._drop(self.gpu.pinned, array.ctypes.data, "unpin")

    # ---- streams and events

    def stream(self, urgent: bool) -> int:
        self._call("stream")
        self.urgent.append(urgent)
        return self._make(self.gpu.streams, _Stream())

    def destroy_stream(self, stream: int) -> None:
        self._call("destroy_stream")
        if self._stream(stream).capture is not None:
            raise Misuse("destroy_stream of one that still captures")
        self._idle("destroy_stream")
        self._drop(self.gpu.streams, stream, "destroy_stream")

    def _stream(self, handle: int) -> _Stream:
        found = self._of(self.gpu.streams, handle, "stream")
        assert isinstance(found, _Stream)
        return found

    def _event(self, handle: int, name: str, recorded: bool = True) -> _Event:
        found = self._of(self.gpu.events, handle, name)
        assert isinstance(found, _Event)
        if recorded and not found.recorded:
            raise Misuse(f"{name} for an event that was not recorded")
        return found

    def _unknown(self, event: _Event) -> bool:
        """Nobody has waited for it, and the host cannot know by another way that it is over."""
        return not event.waited and self.gpu.host.get(event.stream, 0) < event.upto

    def synchronize(self, stream: int) -> None:
        self._call("synchronize")
        self._quiet("synchronize")
        self.gpu.run(stream, self._stream(stream).given)
        _merge(self.gpu.host, self._stream(stream).clock)

    def event(self, timed: bool = False) -> int:
        self._call("event")
        return self._make(self.gpu.events, _Event(timed))

    def destroy_event(self, event: int) -> None:
        self._call("destroy_event")
        if self._unknown(self._event(event, "destroy_event", recorded=False)):
            raise Misuse("destroy_event of one that nobody waited for")
        self._drop(self.gpu.events, event, "destroy_event")

    def record(self, event: int, stream: int) -> None:
        self._call("record")
        found, of = self._event(event, "record", recorded=False), self._stream(stream)
        if of.capture is not None:
            raise Misuse("record of an event that is waited for, in a capture")
        if self._unknown(found):
            raise Misuse("record of an event again that nobody has waited for")
        found.stream, found.upto, found.clock = stream, of.given, {**of.clock, **({stream: of.given} if of.given else {})}
        found.recorded, found.waited = True, False

    def wait(self, event: int) -> None:
        self._call("wait")
        self._quiet("wait")
        found = self._event(event, "wait")
        self.gpu.run(found.stream, found.upto)
        self._learn(found)

    def _learn(self, event: _Event) -> None:
        event.waited = True
        _merge(self.gpu.host, event.clock)

    def wait_for(self, stream: int, event: int) -> None:
        self._call("wait_for")
        found, of = self._event(event, "wait_for"), self._stream(stream)
        if of.capture is not None:
            raise Misuse("wait_for in a capture, of an event that is not in it")
        before, upto = found.stream, found.upto
        found.waited = True
        _merge(of.clock, found.clock)
        self.gpu.give(stream, Piece(lambda: self.gpu.run(before, upto)))

    def done(self, event: int) -> bool:
        self._call("done")
        self._quiet("done")
        found = self._event(event, "done")
        of = self.gpu.streams.get(found.stream)
        if of is not None and of.pending and of.pending[0][0] <= found.upto:
            return False
        self._learn(found)
        return True

    def elapsed_ms(self, begun: int, ended: int) -> float:
        self._call("elapsed_ms")
        events = [self._event(handle, "elapsed_ms") for handle in (begun, ended)]
        if any(self._unknown(one) or not one.timed for one in events):
            raise Misuse("elapsed_ms of events that are not timed, or not known to be done")
        return float(events[1].upto - events[0].upto)

    # ---- work

    def give(self, stream: int, work: Callable[[], None], reads: Iterable[int] = (), writes: Iterable[int] = ()) -> None:
        """What an engine does on a stream; also how the fake's own copies get there."""
        piece, found = Piece(work, tuple(reads), tuple(writes)), self._stream(stream)
        if found.capture is None:
            self.gpu.give(stream, piece)
        elif found.capturing is threading.current_thread():
            found.capture.append(piece)
        else:
            raise Misuse("another thread's capture is given work")

    def block(self, pointer: int) -> Array:
        found = self._of(self.gpu.memory, pointer, "an address")
        assert isinstance(found, _Block)
        return found.data

    def upload(self, pointer: int, array: Array, stream: int) -> None:
        self._call("upload")
        self._of(self.gpu.pinned, array.ctypes.data, "upload from memory that is not page-locked")

        def work() -> None:
            self._of(self.gpu.pinned, array.ctypes.data, "upload")
            self.block(pointer)[: array.nbytes] = array.reshape(-1).view(np.uint8)

        self.give(stream, work, writes=[pointer])

    def download(self, array: Array, pointer: int, stream: int) -> None:
        self._call("download")
        self._of(self.gpu.pinned, array.ctypes.data, "download to memory that is not page-locked")

        def work() -> None:
            self._of(self.gpu.pinned, array.ctypes.data, "download")
            array.reshape(-1).view(np.uint8)[:] = self.block(pointer)[: array.nbytes]

        self.give(stream, work, reads=[pointer])

    def copy(self, to: int, pointer: int, size: int, stream: int) -> None:
        self._call("copy")

        def work() -> None:
            self.block(to)[:size] = self.block(pointer)[:size]

        self.give(stream, work, reads=[pointer], writes=[to])

    # ---- graphs

    def begin_capture(self, stream: int) -> None:
        self._call("begin_capture")
        if not self.captures:
            raise Misuse("begin_capture by a layer that cannot")
        found = self._stream(stream)
        if found.pending or any(event.stream == stream and self._unknown(event) for event in self.gpu.events.values()):
            raise Misuse("begin_capture while the stream is waited for")
        found.capture, found.capturing = [], threading.current_thread()

    def end_capture(self, stream: int) -> int:
        found = self._stream(stream)
        if found.capturing is not threading.current_thread():
            raise Misuse("end_capture in another thread than begin_capture")
        captured, found.capture, found.capturing = found.capture or [], None, None
        self._call("end_capture")
        return self._make(self.gpu.graphs, captured)

    def launch(self, graph: int, stream: int) -> None:
        self._call("launch")
        pieces = self._of(self.gpu.graphs, graph, "launch")
        assert isinstance(pieces, list)
        for piece in pieces:
            self.give(stream, piece.work, piece.reads, piece.writes)

    def destroy_graph(self, graph: int) -> None:
        self._call("destroy_graph")
        self._idle("destroy_graph")
        self._drop(self.gpu.graphs, graph, "destroy_graph")

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

    def inspect(self) -> str:
        return '{"Layers": [{}, {}]}'

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

        reads, writes = ([self._bound[spec.name] for spec in specs] for specs in (self._inputs, self._outputs))
        self._cuda.give(stream, work, reads, writes)

    def _view(self, spec: TensorSpec) -> Array:
        size = int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize
        return self._cuda.block(self._bound[spec.name])[:size].view(spec.dtype).reshape(spec.shape)

    def capturable(self, stream: int) -> bool:
        self._cuda._stream(stream)
        return self._can

    def close(self) -> None:
        self.closed = True
