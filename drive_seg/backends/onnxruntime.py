"""Executes stages with ONNX Runtime in fp32: runs wherever its wheel installs, and with CUDA where its GPU wheel is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from drive_seg.backends.border import (
    BackendInfo,
    Inputs,
    check_file,
    check_options,
    cpu_label,
    fix_dimensions,
    one_line,
    thread_count,
    wants_int8,
)
from drive_seg.contracts import Array, Tensors, TensorSpec
from drive_seg.errors import BackendError

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_PRECISIONS = ("fp32", "int8")
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class OnnxRuntimeStage:
    """One session whose inputs and outputs are bound to memory; call it from one thread at a time.

    The outputs are the stage's own arrays: the next call overwrites them. C-contiguous inputs are read in place.
    """

    def __init__(self, name: str, session: Any, input_shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._name = name
        self._session: Any = session
        self.inputs = tuple(TensorSpec(arg.name, _dtype(name, arg), tuple(input_shapes[arg.name])) for arg in session.get_inputs())
        self._check = Inputs(name, self.inputs)
        names = [arg.name for arg in session.get_outputs()]
        blank = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.inputs}
        self._results: dict[str, Array] = dict(zip(names, session.run(None, blank), strict=True))  # a dry run: the shapes are its
        self.outputs = tuple(TensorSpec(key, array.dtype.name, array.shape) for key, array in self._results.items())
        self._binding: Any = session.io_binding()
        self._bound: list[Array | None] = [None] * len(self.inputs)
        for key, array in self._results.items():
            self._binding.bind_output(key, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def __call__(self, tensors: Tensors) -> Tensors:
        if self._session is None:
            raise BackendError(f"{self._name} is closed")
        for i, array in enumerate(self._check.take(tensors)):
            if self._bound[i] is not array:
                array = np.ascontiguousarray(array)
                self._binding.bind_input(self.inputs[i].name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
                self._bound[i] = array  # keeps the memory alive, and spares binding it again
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # its exceptions share no base of their own
            raise BackendError(f"ONNX Runtime failed in {self._name}: {one_line(error)}") from error
        return self._results

    def close(self) -> None:
        self._session, self._binding, self._results = None, None, {}
        self._bound = []


class OnnxRuntimeBackend:
    """ONNX Runtime on the CPU or a CUDA GPU. `precision` is "int8" once a quantised stage is loaded, else "fp32"."""

    name = "onnxruntime"

    def __init__(self, device: str | None, precision: str | None, threads: int | None) -> None:
        """`device` is "cpu" (default) or "cuda". Raises BackendError when its provider is absent, UsageError for a precision."""
        where = (device or "cpu").lower()
        self._provider = _PROVIDERS.get(where, where)
        if self._provider not in onnxruntime.get_available_providers():
            raise BackendError(
                f"ONNX Runtime has no device {where!r} here; it has {', '.join(_devices())}"
                + ("; pip install onnxruntime-gpu" if where == "cuda" else "")
            )
        check_options(self.name, precision, threads, _PRECISIONS, where)
        self._threads = thread_count(threads)
        self.precision = precision or "fp32"
        self._quantised = False
        self.int8 = wants_int8(precision, pays=where == "cpu")
        self.device = cpu_label(self._threads) if where == "cpu" else "CUDA GPU 0"

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> OnnxRuntimeStage:
        """Makes a session for exactly these input shapes. Raises BackendError."""
        name = check_file(onnx_path)
        try:
            raw = self._session(onnx_path, {}, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
            # named open dimensions are fixed before optimisation, so that shape arithmetic is folded
            dims = fix_dimensions(name, {arg.name: arg.shape for arg in raw.get_inputs()}, input_shapes)
            session = self._session(onnx_path, dims, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
            stage = OnnxRuntimeStage(name, session, input_shapes)
        except BackendError:
            raise
        except Exception as error:  # its exceptions share no base of their own
            shapes = {key: list(shape) for key, shape in input_shapes.items()}
            raise BackendError(f"ONNX Runtime cannot load {name} at {shapes}: {one_line(error)}") from error
        self._quantised = self._quantised or _is_quantised(onnx_path)
        self.precision = "int8" if self._quantised else "fp32"
        return stage

    def _session(self, onnx_path: str, dims: Mapping[str, int], level: Any) -> Any:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # its warnings are about the exporter's graph; errors come as exceptions
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        # spinning threads of one stage take the core from the stage beside it: half the speed with one busy neighbour
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.graph_optimization_level = level
        for symbol, size in dims.items():
            options.add_free_dimension_override_by_name(symbol, size)
        return onnxruntime.InferenceSession(onnx_path, options, providers=[self._provider])


def describe() -> BackendInfo:
    """Version, devices and precisions."""
    return BackendInfo("onnxruntime", onnxruntime.__version__, _devices(), _PRECISIONS)


def _devices() -> tuple[str, ...]:
    present = onnxruntime.get_available_providers()
    return tuple(device for device, provider in _PROVIDERS.items() if provider in present)


def _is_quantised(onnx_path: str) -> bool:
    # the package cannot list a graph's nodes; an ONNX file is protobuf, and its operators' names stand in it as plain text
    return b"QuantizeLinear" in Path(onnx_path).read_bytes()


def _dtype(stage: str, arg: Any) -> str:
    if arg.type not in _DTYPES:
        raise BackendError(f"{stage}: {arg.name!r} is a {arg.type}; known are {', '.join(_DTYPES)}")
    return _DTYPES[arg.type]
