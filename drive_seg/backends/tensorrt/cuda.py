"""The CUDA layer: the driver's calls that the runtime needs, as a Protocol (adapters.py has what implements it), and which GPU there is.

Handles are numbers that belong to the GPU's primary context, which torch and TensorRT use too: what one adapter made, another may use.
A context is current in one thread at a time, and only inside `current()`: every other method is called there. Whoever makes something
frees it, before `close`.
"""

import ctypes
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from drive_seg.backends.validation import one_line
from drive_seg.contracts import Array
from drive_seg.errors import BackendError

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR


@dataclass(frozen=True, slots=True)
class Gpu:
    ordinal: int
    name: str  # "NVIDIA H200"
    compute_capability: str  # "9.0"
    driver: str  # the newest CUDA that the driver can: "13.0"


class Cuda(Protocol):
    name: str  # the package behind it
    captures: bool  # it can capture graphs

    def current(self) -> AbstractContextManager[None]:
        """Pushes the context on this thread's stack, and pops it at the end."""

    def allocate(self, size: int) -> int:
        """The device address of `size` new bytes."""

    def free(self, pointer: int) -> None: ...

    def pinned(self, shape: tuple[int, ...], dtype: str) -> Array:
        """A page-locked, C-contiguous host array, not zeroed: copies from other memory would block the caller."""

    def unpin(self, array: Array) -> None:
        """Frees what `pinned` gave; the array must not be touched again."""

    def stream(self, urgent: bool) -> int:
        """A non-blocking stream, with the highest priority if `urgent`, else the lowest."""

    def destroy_stream(self, stream: int) -> None: ...

    def synchronize(self, stream: int) -> None:
        """Blocks this thread until the stream is idle. Raises BackendError for what failed on the GPU."""

    def event(self, timed: bool = False) -> int: ...

    def destroy_event(self, event: int) -> None: ...

    def record(self, event: int, stream: int) -> None:
        """Records the event behind everything that the stream has been given so far."""

    def wait(self, event: int) -> None:
        """Blocks this thread until the event is reached. Raises BackendError for what failed on the GPU."""

    def wait_for(self, stream: int, event: int) -> None:
        """What the stream is given from now on starts when the event is reached; does not block."""

    def done(self, event: int) -> bool:
        """Whether the event is reached; does not block. Raises BackendError for what failed on the GPU."""

    def elapsed_ms(self, begun: int, ended: int) -> float:
        """Between two timed events that are reached."""

    def upload(self, pointer: int, array: Array, stream: int) -> None: ...

    def download(self, array: Array, pointer: int, stream: int) -> None: ...

    def copy(self, to: int, pointer: int, size: int, stream: int) -> None:
        """`size` bytes from the device address `pointer` to the device address `to`."""

    def begin_capture(self, stream: int) -> None:
        """From here on the stream records what it is given into a graph, and runs nothing."""

    def end_capture(self, stream: int) -> int:
        """The recorded graph, ready to be launched. Call it in the thread that began."""

    def launch(self, graph: int, stream: int) -> None: ...

    def destroy_graph(self, graph: int) -> None: ...

    def close(self) -> None:
        """Releases the primary context; idempotent."""


def find_gpu(ordinal: int = 0) -> Gpu:
    """Asks the driver itself, without any package. Raises BackendError saying what is missing and what to do."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError as error:
        raise BackendError(
            f"no NVIDIA driver: {one_line(error)}; install it (nvidia.com/drivers), in a container use --gpus all"
        ) from error
    version, count, device = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    status = driver.cuInit(0) or driver.cuDriverGetVersion(ctypes.byref(version)) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status or not count.value:
        raise BackendError(f"the NVIDIA driver is here and finds no GPU (CUDA status {status}); check nvidia-smi")
    if ordinal >= count.value:
        raise BackendError(f"there is no cuda:{ordinal} here; there {'is' if count.value == 1 else 'are'} cuda:0 to cuda:{count.value - 1}")
    name, major, minor = ctypes.create_string_buffer(128), ctypes.c_int(), ctypes.c_int()
    status = (
        driver.cuDeviceGet(ctypes.byref(device), ordinal)
        or driver.cuDeviceGetName(name, len(name), device)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
        or driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    )
    if status:
        raise BackendError(f"cuda:{ordinal} does not answer (CUDA status {status}); check nvidia-smi")
    newest = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Gpu(ordinal, name.value.decode(), f"{major.value}.{minor.value}", newest)


def gpu_here() -> Gpu | None:
    """The first GPU, None where there is none that answers."""
    try:
        return find_gpu()
    except BackendError:
        return None


_REMEDIES = {
    "OUT_OF_MEMORY": "the GPU's memory is full; close what else uses it (nvidia-smi lists it), or give a smaller --input-size",
    "NO_DEVICE": "the driver finds no GPU; check nvidia-smi",
    "INVALID_DEVICE": "there is no such GPU; check nvidia-smi",
    "SYSTEM_DRIVER_MISMATCH": "the kernel's driver and its library differ; restart the machine",
    "INSUFFICIENT_DRIVER": "the NVIDIA driver is too old; install a newer one",
    "NO_BINARY_FOR_GPU": "nothing in it was compiled for this GPU's compute capability; see docs/gpu.md for the package that does",
    "UNSUPPORTED_PTX_VERSION": "the NVIDIA driver is too old for this TensorRT; install a newer one",
    "ECC_UNCORRECTABLE": "the GPU's memory has failed; restart it",
    "DEVICE_UNAVAILABLE": "another program holds the GPU for itself; end it",
}


def explain_cuda(status: str, call: str) -> str:
    """One line for a CUresult's name, such as "CUDA_ERROR_OUT_OF_MEMORY"."""
    short = status.removeprefix("CUDA_ERROR_")
    return f"CUDA: {_REMEDIES.get(short, 'it failed')} ({call}: {short.lower().replace('_', ' ')})"
