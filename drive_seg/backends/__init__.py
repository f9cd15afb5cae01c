"""What executes stages: a literal table of lazy loaders, so that a vendor's package is imported only when it is asked for."""

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from drive_seg.backends.validation import PRECISIONS, BackendInfo, one_line
from drive_seg.contracts import Backend, OnnxFile
from drive_seg.errors import BackendError, UsageError

# OpenVINO tells its makers of every import, over the network and in a thread of its own. Its own stub takes over when the
# package for that is absent, so that nothing leaves a car or a laboratory that its owner did not send.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["BACKENDS", "PRECISIONS", "BackendInfo", "describe_backend", "external_files", "open_backend", "read_onnx"]


class Module(Protocol):
    """What each file here has."""

    def describe(self) -> BackendInfo:
        """Raises BackendError where it cannot run."""

    def make(self, device: str | None, precision: str | None, threads: int | None, urgent: bool) -> Backend:
        """See `open_backend`."""


@dataclass(frozen=True, slots=True)
class Entry:
    help: str
    module: str  # here
    packages: tuple[str, ...]  # imported before it, so that absence has one message
    install: str

    def load(self, name: str) -> Module:
        """Raises BackendError for a package that is absent."""
        for package in self.packages:
            try:
                import_module(package)
            except (ImportError, OSError) as error:  # OSError: a shared library that the package needs is missing
                raise BackendError(f"backend {name!r} needs the package {package!r}: {one_line(error)}; {self.install}") from error
        return cast(Module, import_module(f"{__name__}.{self.module}"))


BACKENDS: dict[str, Entry] = {  # best first
    # its own packages are looked for behind the driver: without a GPU they are not what is missing
    "tensorrt": Entry("NVIDIA GPUs", "tensorrt.backend", (), "pip install 'drive-seg[tensorrt]'"),
    "openvino": Entry("any CPU, and Intel's GPUs", "openvino", ("openvino",), "pip install openvino"),
    "onnxruntime": Entry("CPUs, and GPUs by CUDA", "onnxruntime", ("onnxruntime",), "pip install onnxruntime"),
    "torch": Entry("CPUs, and GPUs by CUDA; for comparison", "torch", ("torch", "onnx"), "pip install 'drive-seg[lab]'"),
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
        return _entry(name).load(name).make(device, precision, threads, urgent)
    reasons = []
    for known, entry in BACKENDS.items():
        try:
            return entry.load(known).make(device, precision, threads, urgent)
        except (BackendError, UsageError) as error:
            reasons.append(f"{known} ({error})")
    raise BackendError(f"no backend works here; tried {'; '.join(reasons)}")


def describe_backend(name: str) -> BackendInfo:
    """What the backend called `name` could run here. Raises UsageError for an unknown name, BackendError when it is absent."""
    return _entry(name).load(name).describe()


def read_onnx(onnx_path: str) -> OnnxFile:
    """What an ONNX file says about itself. Raises BackendError for one that is absent or no ONNX network."""
    BACKENDS["openvino"].load("openvino")
    from drive_seg.backends.onnx_file import read_onnx

    return read_onnx(onnx_path)


def external_files(onnx_path: str) -> list[Path]:
    """The files beside an ONNX network that hold its weights."""
    from drive_seg.backends.onnx_file import external_files

    return external_files(onnx_path)


def _entry(name: str) -> Entry:
    if name not in BACKENDS:
        raise UsageError(f"unknown backend {name!r}; known are {', '.join(BACKENDS)}")
    return BACKENDS[name]
