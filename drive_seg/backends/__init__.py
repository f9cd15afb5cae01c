"""What executes stages: a literal table of lazy loaders, so that a vendor's package is imported only when it is asked for."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from drive_seg.backends.validation import PRECISIONS, BackendInfo, one_line
from drive_seg.contracts import Backend, OnnxFile
from drive_seg.errors import BackendError, UsageError

# OpenVINO tells its makers of every import, over the network and in a thread of its own. Its own stub takes over when the
# package for that is absent, so that nothing leaves a car or a laboratory that its owner did not send.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

__all__ = ["BACKENDS", "BackendInfo", "describe_backend", "external_files", "open_backend", "read_onnx"]


@dataclass(frozen=True, slots=True)
class _Entry:
    packages: tuple[str, ...]  # imported before the loader, so that absence has one message
    install: str
    open: Callable[[str | None, str | None, int | None, bool], Backend]
    describe: Callable[[], BackendInfo]


def _open_openvino(device: str | None, precision: str | None, threads: int | None, urgent: bool) -> Backend:
    from drive_seg.backends.openvino import OpenVinoBackend

    return OpenVinoBackend(device, precision, threads)


def _describe_openvino() -> BackendInfo:
    from drive_seg.backends.openvino import describe

    return describe()


def _open_onnxruntime(device: str | None, precision: str | None, threads: int | None, urgent: bool) -> Backend:
    from drive_seg.backends.onnxruntime import OnnxRuntimeBackend

    return OnnxRuntimeBackend(device, precision, threads)


def _describe_onnxruntime() -> BackendInfo:
    from drive_seg.backends.onnxruntime import describe

    return describe()


def _open_torch(device: str | None, precision: str | None, threads: int | None, urgent: bool) -> Backend:
    from drive_seg.backends.torch import TorchBackend

    return TorchBackend(device, precision, threads, urgent=urgent)


def _describe_torch() -> BackendInfo:
    from drive_seg.backends.torch import describe

    return describe()


def _open_tensorrt(device: str | None, precision: str | None, threads: int | None, urgent: bool) -> Backend:
    from drive_seg.backends.tensorrt.backend import TensorRtBackend

    return TensorRtBackend(device, precision, threads, urgent=urgent)


def _describe_tensorrt() -> BackendInfo:
    from drive_seg.backends.tensorrt.backend import describe

    return describe()


BACKENDS: dict[str, _Entry] = {  # best first
    # its own packages are looked for behind the driver: without a GPU they are not what is missing
    "tensorrt": _Entry((), "pip install 'drive-seg[tensorrt]'", _open_tensorrt, _describe_tensorrt),
    "openvino": _Entry(("openvino",), "pip install openvino", _open_openvino, _describe_openvino),
    "onnxruntime": _Entry(("onnxruntime",), "pip install onnxruntime", _open_onnxruntime, _describe_onnxruntime),
    "torch": _Entry(("torch", "onnx"), "pip install 'drive-seg[lab]'", _open_torch, _describe_torch),
}


def open_backend(name: str | None, *, device: str | None, precision: str | None, threads: int | None, urgent: bool = True) -> Backend:
    """The backend called `name`, or the best that works here.

    `device` is the backend's own name for it ("cpu", "cuda:0", "GPU"), None its default. `precision` is "fp32", "bf16", "fp16",
    "int8", "fp8" (what a quantised model asks for; the rest of it runs in the default) or None for the backend's default.
    `threads` is for the CPU; None means every physical core. `urgent`: on a GPU its stages go before those of a backend that is not.

    Raises UsageError for a name, precision or thread count that cannot be meant here, BackendError when a package or device is
    absent; with `name` None the error lists every backend tried and why it was not taken.
    """
    if precision is not None and precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}; known are {', '.join(PRECISIONS)}")
    if name is not None:
        entry = _entry(name)
        _require(name, entry)
        return entry.open(device, precision, threads, urgent)
    reasons = []
    for known, entry in BACKENDS.items():
        try:
            _require(known, entry)
            return entry.open(device, precision, threads, urgent)
        except (BackendError, UsageError) as error:
            reasons.append(f"{known} ({error})")
    raise BackendError(f"no backend works here; tried {'; '.join(reasons)}")


def describe_backend(name: str) -> BackendInfo:
    """What the backend called `name` could run here. Raises UsageError for an unknown name, BackendError when it is absent."""
    entry = _entry(name)
    _require(name, entry)
    return entry.describe()


def read_onnx(onnx_path: str) -> OnnxFile:
    """What an ONNX file says about itself. Raises BackendError for one that is absent or no ONNX network."""
    _require("openvino", BACKENDS["openvino"])
    from drive_seg.backends.onnx_file import read_onnx

    return read_onnx(onnx_path)


def external_files(onnx_path: str) -> list[Path]:
    """The files beside an ONNX network that hold its weights."""
    from drive_seg.backends.onnx_file import external_files

    return external_files(onnx_path)


def _entry(name: str) -> _Entry:
    if name not in BACKENDS:
        raise UsageError(f"unknown backend {name!r}; known are {', '.join(BACKENDS)}")
    return BACKENDS[name]


def _require(name: str, entry: _Entry) -> None:
    for package in entry.packages:
        try:
            import_module(package)
        except (ImportError, OSError) as error:  # OSError: a shared library that the package needs is missing
            raise BackendError(f"backend {name!r} needs the package {package!r}: {one_line(error)}; {entry.install}") from error
