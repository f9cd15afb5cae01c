"""The CUDA layer by pycuda: without graphs and stream priorities, which it does not have."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar, NoReturn

from drive_seg.backends.validation import one_line
from drive_seg.contracts import Array
from drive_seg.errors import BackendError

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING, for which pycuda has no name


class PyCuda:
    """Cuda (cuda.py). pycuda.autoinit is never imported: it makes a context of its own, which torch and TensorRT do not share."""

    name, captures = "pycuda", False
    # pycuda's objects by their handles, of all adapters: it frees what nobody holds, and a stream may wait for another adapter's event
    _things: ClassVar[dict[int, Any]] = {}

    def __init__(self, ordinal: int) -> None:
        """Raises ImportError without the package or the driver, BackendError without the GPU."""
        self._driver: Any = import_module("pycuda.driver")
        try:
            self._driver.init()
            self._context: Any = self._driver.Device(ordinal).retain_primary_context()
        except self._driver.Error as error:
            raise BackendError(f"CUDA: {one_line(error)}; check nvidia-smi") from error

    @contextmanager
    def current(self) -> Iterator[None]:
        self._context.push()  # one object for all threads: pycuda frees only under the context that it allocated under
        try:
            yield
        except self._driver.MemoryError as error:
            raise BackendError(
                f"CUDA: the GPU's memory is full ({one_line(error)}); close what else uses it (nvidia-smi lists it)"
            ) from error
        except self._driver.Error as error:
            raise BackendError(f"CUDA: it failed ({one_line(error)})") from error
        finally:
            self._driver.Context.pop()  # a thread that ends with one on its stack takes the process with it

    def _keep(self, handle: int, thing: Any) -> int:
        self._things[handle] = thing
        return handle

    def allocate(self, size: int) -> int:
        memory = self._driver.mem_alloc(size)
        return self._keep(int(memory), memory)

    def free(self, pointer: int) -> None:
        self._things.pop(pointer).free()

    def pinned(self, shape: tuple[int, ...], dtype: str) -> Array:
        array: Array = self._driver.pagelocked_empty(shape, dtype)
        self._keep(array.ctypes.data, array)
        return array

    def unpin(self, array: Array) -> None:
        self._things.pop(array.ctypes.data).base.free()

    def stream(self, urgent: bool) -> int:
        stream = self._driver.Stream(_NON_BLOCKING)
        return self._keep(int(stream.handle), stream)

    def destroy_stream(self, stream: int) -> None:
        del self._things[stream]

    def synchronize(self, stream: int) -> None:
        self._things[stream].synchronize()

    def event(self, timed: bool = False) -> int:
        flags = self._driver.event_flags
        event = self._driver.Event(flags.DEFAULT if timed else flags.DISABLE_TIMING)
        return self._keep(id(event), event)

    def destroy_event(self, event: int) -> None:
        del self._things[event]

    def record(self, event: int, stream: int) -> None:
        self._things[event].record(self._things[stream])

    def wait(self, event: int) -> None:
        self._things[event].synchronize()

    def wait_for(self, stream: int, event: int) -> None:
        self._things[stream].wait_for_event(self._things[event])

    def done(self, event: int) -> bool:
        return bool(self._things[event].query())

    def elapsed_ms(self, begun: int, ended: int) -> float:
        return float(self._things[ended].time_since(self._things[begun]))

    def upload(self, pointer: int, array: Array, stream: int) -> None:
        self._driver.memcpy_htod_async(pointer, array, self._things[stream])

    def download(self, array: Array, pointer: int, stream: int) -> None:
        self._driver.memcpy_dtoh_async(array, pointer, self._things[stream])

    def copy(self, to: int, pointer: int, size: int, stream: int) -> None:
        self._driver.memcpy_dtod_async(to, pointer, size, self._things[stream])

    def _no_graphs(self, *_: int) -> NoReturn:
        raise BackendError("pycuda has no CUDA graphs; pip install cuda-bindings")

    begin_capture = end_capture = launch = destroy_graph = _no_graphs

    def close(self) -> None:
        if self._context is not None:
            self._context.detach()
            self._context = None
