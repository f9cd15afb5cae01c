"""The CUDA layer by NVIDIA's cuda-bindings: the driver's API as it is, graphs included."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from drive_seg.backends.tensorrt.cuda import explain_cuda
from drive_seg.contracts import Array
from drive_seg.errors import BackendError


class CudaBindings:
    """Cuda (cuda.py). The primary context is retained, never made."""

    name, captures = "cuda-bindings", True

    def __init__(self, ordinal: int) -> None:
        """Raises ImportError without the package, BackendError without the GPU."""
        self._driver: Any = import_module("cuda.bindings.driver")
        try:
            self._do("cuInit", 0)
        except RuntimeError as error:  # the package's own, when there is no driver to load
            raise BackendError("CUDA: no NVIDIA driver; install it (nvidia.com/drivers)") from error
        self._device = self._do("cuDeviceGet", ordinal)
        self._context = self._do("cuDevicePrimaryCtxRetain", self._device)
        flags = self._driver.CUstream_flags
        self._non_blocking = int(flags.CU_STREAM_NON_BLOCKING)

    def _do(self, call: str, *arguments: Any) -> Any:
        status, *results = getattr(self._driver, call)(*arguments)
        if int(status):
            raise BackendError(explain_cuda(status.name, call))
        return results[0] if len(results) == 1 else tuple(results)

    @contextmanager
    def current(self) -> Iterator[None]:
        self._do("cuCtxPushCurrent", self._context)
        try:
            yield
        finally:
            self._do("cuCtxPopCurrent")

    def allocate(self, size: int) -> int:
        return int(self._do("cuMemAlloc", size))

    def free(self, pointer: int) -> None:
        self._do("cuMemFree", pointer)

    def pinned(self, shape: tuple[int, ...], dtype: str) -> Array:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = (ctypes.c_uint8 * size).from_address(int(self._do("cuMemHostAlloc", size, 0)))
        array: Array = np.ndarray(shape, np.dtype(dtype), memoryview(memory))
        return array

    def unpin(self, array: Array) -> None:
        self._do("cuMemFreeHost", array.ctypes.data)

    def stream(self, urgent: bool) -> int:
        least, greatest = self._do("cuCtxGetStreamPriorityRange")
        return int(self._do("cuStreamCreateWithPriority", self._non_blocking, greatest if urgent else least))

    def destroy_stream(self, stream: int) -> None:
        self._do("cuStreamDestroy", stream)

    def synchronize(self, stream: int) -> None:
        self._do("cuStreamSynchronize", stream)

    def event(self, timed: bool = False) -> int:
        flags = self._driver.CUevent_flags
        return int(self._do("cuEventCreate", int(flags.CU_EVENT_DEFAULT if timed else flags.CU_EVENT_DISABLE_TIMING)))

    def destroy_event(self, event: int) -> None:
        self._do("cuEventDestroy", event)

    def record(self, event: int, stream: int) -> None:
        self._do("cuEventRecord", event, stream)

    def wait(self, event: int) -> None:
        self._do("cuEventSynchronize", event)

    def wait_for(self, stream: int, event: int) -> None:
        self._do("cuStreamWaitEvent", stream, event, 0)

    def done(self, event: int) -> bool:
        status, *_ = self._driver.cuEventQuery(event)
        if status == self._driver.CUresult.CUDA_ERROR_NOT_READY:
            return False
        if int(status):
            raise BackendError(explain_cuda(status.name, "cuEventQuery"))
        return True

    def elapsed_ms(self, begun: int, ended: int) -> float:
        return float(self._do("cuEventElapsedTime", begun, ended))

    def upload(self, pointer: int, array: Array, stream: int) -> None:
        self._do("cuMemcpyHtoDAsync", pointer, array.ctypes.data, array.nbytes, stream)

    def download(self, array: Array, pointer: int, stream: int) -> None:
        self._do("cuMemcpyDtoHAsync", array.ctypes.data, pointer, array.nbytes, stream)

    def copy(self, to: int, pointer: int, size: int, stream: int) -> None:
        self._do("cuMemcpyDtoDAsync", to, pointer, size, stream)

    def begin_capture(self, stream: int) -> None:
        # other threads may allocate meanwhile; it is this one alone that must not
        self._do("cuStreamBeginCapture", stream, self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)

    def end_capture(self, stream: int) -> int:
        graph = self._do("cuStreamEndCapture", stream)
        try:
            return int(self._do("cuGraphInstantiate", graph, 0))
        finally:
            self._do("cuGraphDestroy", graph)

    def launch(self, graph: int, stream: int) -> None:
        self._do("cuGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        self._do("cuGraphExecDestroy", graph)

    def close(self) -> None:
        if self._context is not None:
            self._context = None
            self._do("cuDevicePrimaryCtxRelease", self._device)
