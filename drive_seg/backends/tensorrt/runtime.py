"""One engine on a GPU: its stream, its buffers and its CUDA graph; and the same as a Stage (contracts.py)."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Protocol

import numpy as np

from drive_seg.backends.tensorrt.build import explain_log
from drive_seg.backends.tensorrt.cuda import Cuda
from drive_seg.backends.tensorrt.flavour import Flavour
from drive_seg.backends.validation import Inputs
from drive_seg.contracts import Array, Tensors, TensorSpec
from drive_seg.errors import BackendError


class Program(Protocol):
    """What an engine's execution context does. Called with the CUDA context current."""

    def bind(self, tensor: str, pointer: int) -> None:
        """Sets the tensor's device address. Raises BackendError."""

    def enqueue(self, stream: int) -> None:
        """Queues one inference on the stream. Raises BackendError."""

    def capturable(self, stream: int) -> bool:
        """Whether the work can be captured as a CUDA graph."""

    def inspect(self) -> str:
        """What is known of every layer, as JSON."""

    def close(self) -> None:
        """Frees the engine; with the context current."""


Shared = dict[int, int]  # of the stages of one backend: by the address of what one has put out, where the same is on the GPU
Route = tuple[int | None, ...]  # for each array that goes in, where it is on the GPU already


class EngineRunner:
    """One engine with one non-blocking stream and fixed buffers, for one thread at a time.

    `results` are views of page-locked memory: the next `launch` overwrites them, and they must not be touched after `close`. Copy in,
    network and copy out are one CUDA graph for each route that inputs take, where the CUDA layer and the engine can.
    """

    def __init__(
        self,
        name: str,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        program: Program,
        cuda: Cuda,
        urgent: bool,
        shared: Shared,
        timed: bool = False,
    ) -> None:
        """Takes `program` and `cuda` over and closes them, also when this fails. `urgent`: goes before stages that are not.

        `timed`: the event `done` is.
        """
        self.name, self.inputs, self.outputs = name, inputs, outputs
        self.cuda, self.program, self._shared = cuda, program, shared
        self._busy = threading.Lock()
        self.closed = False
        self._graphs: dict[Route, int] = {}
        with ExitStack() as release, ExitStack() as held:
            release.callback(cuda.close)
            with cuda.current():
                try:
                    held.callback(program.close)
                    self._prepare(held, urgent, timed)
                except BaseException:
                    held.close()  # here, where the context is current
                    raise
            self._held = held.pop_all()
            release.pop_all()

    def _prepare(self, held: ExitStack, urgent: bool, timed: bool) -> None:
        cuda = self.cuda
        self.stream = cuda.stream(urgent)
        held.callback(cuda.destroy_stream, self.stream)
        self.done = cuda.event(timed)
        held.callback(cuda.destroy_event, self.done)
        taken = {spec.name: self._buffer(spec, held) for spec in self.inputs}
        made = {spec.name: self._buffer(spec, held) for spec in self.outputs}
        self._taken, self._made = list(taken.values()), list(made.values())
        self.results = {name: array for name, (_, array) in made.items()}
        self.addresses = {name: pointer for name, (pointer, _) in (taken | made).items()}
        held.callback(self._settle)
        for _, array in self._taken:
            array.fill(0)
        self._give((None,) * len(self.inputs))  # the first time an engine runs it loads and compiles kernels, which no capture may see
        cuda.record(self.done, self.stream)
        cuda.wait(self.done)
        self._capturable = cuda.captures and self.program.capturable(self.stream)
        held.callback(self._forget_graphs)
        for pointer, array in self._made:
            self._shared[array.ctypes.data] = pointer
            held.callback(self._shared.pop, array.ctypes.data)

    def _buffer(self, spec: TensorSpec, held: ExitStack) -> tuple[int, Array]:
        """On the GPU and beside it; the tensor's address is set here, once."""
        array = self.cuda.pinned(spec.shape, spec.dtype)
        held.callback(self.cuda.unpin, array)
        pointer = self.cuda.allocate(max(1, array.nbytes))
        held.callback(self.cuda.free, pointer)
        self.program.bind(spec.name, pointer)
        return pointer, array

    def capture(self, route: Route) -> None:
        """Captures the CUDA graph of a route, if the engine can be captured and there is none yet. The stream has to be idle."""
        if not self._capturable or route in self._graphs:
            return
        self.cuda.begin_capture(self.stream)
        try:
            self._give(route)
        except BaseException:
            self.cuda.destroy_graph(self.cuda.end_capture(self.stream))  # or the stream stays unusable, and cannot be freed
            raise
        self._graphs[route] = self.cuda.end_capture(self.stream)

    def _give(self, route: Route) -> None:
        for there, (pointer, array) in zip(route, self._taken, strict=False):
            if there is None:
                self.cuda.upload(pointer, array, self.stream)
            else:
                self.cuda.copy(pointer, there, array.nbytes, self.stream)
        self.program.enqueue(self.stream)
        for pointer, array in self._made:
            self.cuda.download(array, pointer, self.stream)

    def _forget_graphs(self) -> None:
        for graph in self._graphs.values():
            self.cuda.destroy_graph(graph)

    def _settle(self) -> None:
        """Before anything is freed: the GPU may still be at work on it."""
        with suppress(BackendError):  # what failed has been said already
            self.cuda.synchronize(self.stream)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Makes the CUDA context current; needed around every other call. Raises BackendError when closed, or for a second thread."""
        self._enter()
        try:
            if self.closed:
                raise BackendError(f"{self.name} is closed")
            with self.cuda.current():
                yield
        finally:
            self._busy.release()

    def launch(self, given: Sequence[Array | int] = ()) -> None:
        """Queues one inference on the inputs, in their order, and records the event `done` behind it.

        An input is an array, or an address on the GPU. What another stage of the backend has put out last is taken from where it is on the
        GPU. Inputs beyond `given` are what others have written to their `addresses`.
        """
        route = tuple(self._where(one) for one in given)
        for there, (_, own), one in zip(route, self._taken, given, strict=False):
            if there is None:
                np.copyto(own, one)
        self.capture(route)
        if route in self._graphs:
            self.cuda.launch(self._graphs[route], self.stream)
        else:
            self._give(route)
        self.cuda.record(self.done, self.stream)

    def _where(self, given: Array | int) -> int | None:
        """On the GPU; None for what is not there."""
        if isinstance(given, int):
            return given
        return self._shared.get(given.ctypes.data) if given.flags.c_contiguous else None

    def _enter(self) -> None:
        if not self._busy.acquire(blocking=False):
            raise BackendError(f"{self.name} runs in another thread already; give each thread a stage of its own")

    def close(self, free: Callable[[], None] = lambda: None) -> None:
        """Callable from any thread while no other call runs; idempotent. `free` is called once the GPU is idle."""
        self._enter()
        try:
            if self.closed:
                return
            self.closed, self.results = True, {}
            with ExitStack() as release:
                release.callback(self.cuda.close)
                with self.cuda.current():
                    self._settle()
                    free()
                    self._held.close()
        finally:
            self._busy.release()


class TensorRtStage:
    """An engine as a Stage (contracts.py): call it from one thread at a time.

    Inputs are copied into page-locked memory, so any array will do; but what another stage of the backend has just put out, and is given
    as it came, is copied on the GPU. A call is one launch and one wait.
    """

    def __init__(self, runner: EngineRunner) -> None:
        """Takes it over and closes it."""
        self.runner, self.inputs, self.outputs = runner, runner.inputs, runner.outputs
        self._check = Inputs(runner.name, runner.inputs)

    def __call__(self, tensors: Tensors) -> Tensors:
        arrays, runner = self._check.take(tensors), self.runner
        with runner.active():
            runner.launch(arrays)
            runner.cuda.wait(runner.done)
            return runner.results

    def layers(self) -> int:
        """Number of the engine's layers, by its inspector; each is one kernel or a few."""
        with self.runner.active():
            return len(json.loads(self.runner.program.inspect())["Layers"])

    def close(self) -> None:
        """From any thread, when no call is under way; idempotent."""
        self.runner.close()


class Engine:
    """A Program of TensorRT's: an engine and its one context."""

    def __init__(self, name: str, flavour: Flavour, plan: bytes, gpu: str) -> None:
        """With the CUDA context current. `gpu` is for messages. Raises BackendError when the engine cannot be run on it."""
        self._name, self._api, self._title = name, flavour.api, flavour.title
        self._log = flavour.listener()
        self._runtime: Any = flavour.api.Runtime(self._log)
        self._engine: Any = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            why = _diagnosis(flavour.api, self._runtime, plan) or explain_log(self._log.lines)
            raise BackendError(f"{self._title} refuses the engine of {name} on {gpu}: {why}")
        self._context: Any = self._engine.create_execution_context()
        if self._context is None:
            raise BackendError(f"{self._title} cannot make room for {name} on {gpu}: {explain_log(self._log.lines)}")

    def bind(self, tensor: str, pointer: int) -> None:
        if not self._context.set_tensor_address(tensor, pointer):
            raise BackendError(f"the engine of {self._name} has no tensor {tensor!r}; run `drive-seg engines clear`")

    def enqueue(self, stream: int) -> None:
        if not self._context.execute_async_v3(stream):
            raise BackendError(f"{self._title} failed in {self._name}: {explain_log(self._log.lines)}")

    def capturable(self, stream: int) -> bool:
        asked = getattr(self._context, "is_stream_capturable", None)  # TensorRT for RTX compiles some kernels as late as when they run
        return asked is None or bool(asked(stream))

    def inspect(self) -> str:
        return str(self._engine.create_engine_inspector().get_engine_information(self._api.LayerInformationFormat.JSON))

    def close(self) -> None:
        self._context = None  # in this order: each needs the next
        self._engine = None
        self._runtime = None


_DIAGNOSES = {
    "UNSUPPORTED_CC": "it is not made for this GPU's compute capability; see docs/gpu.md for the package that is",
    "VERSION_MISMATCH": "another version built it; run `drive-seg engines clear`",
    "OLD_CUDA_DRIVER": "the NVIDIA driver is too old; install a newer one",
    "OLD_CUDA_RUNTIME": "the NVIDIA driver is too old; install a newer one",
    "INSUFFICIENT_GPU_MEMORY": "the GPU's memory is full; close what else uses it, or give a smaller --input-size",
    "MALFORMED_ENGINE": "it is damaged; run `drive-seg engines clear`",
    "CUDA_ERROR": "CUDA failed; check nvidia-smi",
}


def _diagnosis(api: Any, runtime: Any, plan: bytes) -> str:
    """What is wrong with the engine, by TensorRT for RTX, which answers in bits; "" where nothing is found, or by the others."""
    if not hasattr(runtime, "get_engine_validity"):
        return ""
    _, bits = runtime.get_engine_validity(plan)
    return next((text for name, text in _DIAGNOSES.items() if int(getattr(api.EngineInvalidityDiagnostics, name, 0)) & bits), "")
