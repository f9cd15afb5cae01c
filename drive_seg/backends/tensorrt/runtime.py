"""One engine on a GPU: its stream, its buffers and its CUDA graph, as a Stage (contracts.py)."""

import threading
from contextlib import ExitStack, suppress
from typing import Any, Protocol

import numpy as np

from drive_seg.backends.border import Inputs
from drive_seg.backends.tensorrt.build import explain_log
from drive_seg.backends.tensorrt.cuda import Cuda
from drive_seg.backends.tensorrt.flavour import Flavour
from drive_seg.contracts import Array, Tensors, TensorSpec
from drive_seg.errors import BackendError


class Program(Protocol):
    """What an engine's context does. Called with the CUDA context current, except for `close`, which needs none."""

    def bind(self, tensor: str, pointer: int) -> None:
        """Where on the GPU the tensor lies, from now on. Raises BackendError."""

    def enqueue(self, stream: int) -> None:
        """Gives the stream the work. Raises BackendError."""

    def capturable(self, stream: int) -> bool:
        """The work can be captured as a CUDA graph."""

    def close(self) -> None:
        """Frees the engine; with the context current."""


class TensorRtStage:
    """One engine with one non-blocking stream; call it from one thread at a time.

    Inputs are copied into page-locked memory, so any array will do. The outputs are views of page-locked memory: the next call
    overwrites them, and they must not be touched after `close`. Copy in, network and copy out are one CUDA graph, launched once a call,
    where the CUDA layer and the engine can.
    """

    def __init__(
        self, name: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], program: Program, cuda: Cuda, urgent: bool
    ) -> None:
        """Takes `program` and `cuda` over and closes them, also when this fails. `urgent`: goes before stages that are not."""
        self.inputs, self.outputs = inputs, outputs
        self._name, self._program, self._cuda = name, program, cuda
        self._check = Inputs(name, inputs)
        self._busy = threading.Lock()
        self._closed = False
        self._graph: int | None = None
        with ExitStack() as release, ExitStack() as held:
            release.callback(cuda.close)
            with cuda.current():
                try:
                    held.callback(program.close)
                    self._prepare(held, urgent)
                except BaseException:
                    held.close()  # here, where the context is current
                    raise
            self._held = held.pop_all()
            release.pop_all()

    def _prepare(self, held: ExitStack, urgent: bool) -> None:
        cuda = self._cuda
        self._stream = cuda.stream(urgent)
        held.callback(cuda.destroy_stream, self._stream)
        self._done = cuda.event()
        held.callback(cuda.destroy_event, self._done)
        self._given = [self._buffer(spec, held) for spec in self.inputs]
        self._made = [self._buffer(spec, held) for spec in self.outputs]
        self._results = {spec.name: array for spec, (_, array) in zip(self.outputs, self._made, strict=True)}
        held.callback(self._settle)
        for _, array in self._given:
            array.fill(0)
        self._enqueue()  # the first time an engine runs it loads and compiles kernels, which no capture may see
        self._finish()
        if cuda.captures and self._program.capturable(self._stream):
            self._graph = self._capture()
            held.callback(cuda.destroy_graph, self._graph)

    def _buffer(self, spec: TensorSpec, held: ExitStack) -> tuple[int, Array]:
        """On the GPU and beside it; the tensor's address is set here, once."""
        array = self._cuda.pinned(spec.shape, spec.dtype)
        held.callback(self._cuda.unpin, array)
        pointer = self._cuda.allocate(max(1, array.nbytes))
        held.callback(self._cuda.free, pointer)
        self._program.bind(spec.name, pointer)
        return pointer, array

    def _capture(self) -> int:
        self._cuda.begin_capture(self._stream)
        try:
            self._enqueue()
        except BaseException:
            self._cuda.destroy_graph(self._cuda.end_capture(self._stream))  # or the stream stays unusable, and cannot be freed
            raise
        return self._cuda.end_capture(self._stream)

    def _enqueue(self) -> None:
        for pointer, array in self._given:
            self._cuda.upload(pointer, array, self._stream)
        self._program.enqueue(self._stream)
        for pointer, array in self._made:
            self._cuda.download(array, pointer, self._stream)

    def _finish(self) -> None:
        self._cuda.record(self._done, self._stream)
        self._cuda.wait(self._done)

    def _settle(self) -> None:
        """Before anything is freed: the GPU may still be at work on it."""
        with suppress(BackendError):  # what failed has been said already
            self._cuda.synchronize(self._stream)

    def __call__(self, tensors: Tensors) -> Tensors:
        arrays = self._check.take(tensors)
        self._enter()
        try:
            if self._closed:
                raise BackendError(f"{self._name} is closed")
            for (_, own), array in zip(self._given, arrays, strict=True):
                np.copyto(own, array)
            with self._cuda.current():
                if self._graph is None:
                    self._enqueue()
                else:
                    self._cuda.launch(self._graph, self._stream)
                self._finish()
        finally:
            self._busy.release()
        return self._results

    def _enter(self) -> None:
        if not self._busy.acquire(blocking=False):
            raise BackendError(f"{self._name} runs in another thread already; give each thread a stage of its own")

    def close(self) -> None:
        """From any thread, when no call is under way; idempotent."""
        self._enter()
        try:
            if self._closed:
                return
            self._closed, self._results = True, {}
            with ExitStack() as release:
                release.callback(self._cuda.close)
                with self._cuda.current():
                    self._settle()
                    self._held.close()
        finally:
            self._busy.release()


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
        """What the inspector says of every layer, as JSON."""
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
