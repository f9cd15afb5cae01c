"""Validation of what every backend is given, the names of what it runs on, and vendors' errors in one line."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import psutil

from drive_seg.contracts import Array, Tensors, TensorSpec
from drive_seg.errors import BackendError, UsageError


@dataclass(frozen=True, slots=True)
class Precision:
    help: str
    bytes: int  # of a weight
    quantised: bool = False


PRECISIONS = {
    "fp32": Precision("as it was trained; the slowest", 4),
    "bf16": Precision("shorter floats, on CPUs with AVX512-BF16 or AMX", 2),
    "fp16": Precision("shorter floats, on GPUs", 2),
    "int8": Precision("whole numbers, where the network has been quantised", 1, quantised=True),
    "fp8": Precision("the same in tiny floats, on NVIDIA GPUs from Ada on", 1, quantised=True),
}


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What a backend that is present could run here."""

    name: str
    version: str  # of the vendor's package
    devices: tuple[str, ...]
    precisions: tuple[str, ...]  # on the first device


class Inputs:
    """A stage's inputs, ready to be compared with what a caller hands over."""

    def __init__(self, stage: str, specs: tuple[TensorSpec, ...]) -> None:
        self._stage = stage
        self._expected = [(spec.name, spec.shape, np.dtype(spec.dtype)) for spec in specs]

    def take(self, tensors: Tensors) -> list[Array]:
        """The arrays in the order of the specs. Raises BackendError when a name, shape or dtype is not the stage's."""
        if len(tensors) != len(self._expected) or any(name not in tensors for name, _, _ in self._expected):
            names = [name for name, _, _ in self._expected]
            raise BackendError(f"{self._stage} takes the inputs {names} and was given {list(tensors)}")
        arrays = []
        for name, shape, dtype in self._expected:
            array = tensors[name]
            if array.shape != shape or array.dtype != dtype:
                raise BackendError(f"{self._stage} takes {name!r} as {dtype} {list(shape)} and was given {array.dtype} {list(array.shape)}")
            arrays.append(array)
        return arrays


def check_file(onnx_path: str) -> str:
    """The stage's name for messages. Raises BackendError when the file is absent."""
    path = Path(onnx_path)
    if not path.is_file():
        raise BackendError(f"{onnx_path}: no such file")
    return path.name


def check_names(stage: str, declared: list[str], given: Mapping[str, tuple[int, ...]]) -> None:
    """Raises BackendError unless a shape was given for exactly the inputs that the stage declares."""
    if set(given) != set(declared):
        raise BackendError(f"{stage} has the inputs {declared} and was given shapes for {list(given)}")


def fix_dimensions(stage: str, declared: Mapping[str, Sequence[int | str | None]], given: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The sizes of the open dimensions by their names (a str in `declared`; None is open and nameless).

    Raises BackendError when a name, rank or fixed size differs, or one open dimension would get two sizes.
    """
    check_names(stage, list(declared), given)
    sizes: dict[str, int] = {}
    for name, dims in declared.items():
        shape = given[name]
        if len(shape) != len(dims) or any(isinstance(d, int) and d != size for d, size in zip(dims, shape, strict=True)):
            raise BackendError(f"{stage} takes {name!r} as {list(dims)} and was given the shape {list(shape)}")
        for dim, size in zip(dims, shape, strict=True):
            if isinstance(dim, str) and sizes.setdefault(dim, size) != size:
                raise BackendError(f"{stage}: dimension {dim!r} cannot be {sizes[dim]} and {size} at once ({name!r})")
    return sizes


def check_options(backend: str, precision: str | None, threads: int | None, can: tuple[str, ...], device: str) -> None:
    """Raises UsageError when the precision is not one that `device` runs, or the thread count is below one."""
    if precision is not None and precision not in can:
        raise UsageError(f"{backend} on {device} cannot run {precision!r}; it can run {', '.join(can)}")
    if threads is not None and threads < 1:
        raise UsageError(f"a backend needs at least one thread, not {threads}")


def wants_int8(precision: str | None, pays: bool) -> bool | None:
    """Backend.int8, from the precision that was asked for and whether this device multiplies int8 faster than floats."""
    return precision == "int8" if precision or not pays else None


def thread_count(threads: int | None) -> int:
    """`threads`, or every physical core that this process may use."""
    if threads is not None:
        return threads
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(psutil.cpu_count(logical=False) or allowed, allowed)


@lru_cache(maxsize=1)
def cpu_name() -> str:
    """What people call this CPU: "AMD EPYC"."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def cpu_label(threads: int) -> str:
    return f"CPU ({cpu_name()}, {threads} {'thread' if threads == 1 else 'threads'})"


def one_line(error: BaseException) -> str:
    """A vendor's message without its source locations and line breaks."""
    lines = [line.strip() for line in str(error).splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith(("Exception from src/", "Check '")))
    return (text or type(error).__name__)[:300]
