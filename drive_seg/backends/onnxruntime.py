"""Executes stages with ONNX Runtime: on the CPU wherever its wheel installs, on a GPU by its CUDA or TensorRT provider."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from drive_seg.backends.validation import (
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
from drive_seg.contracts import Array, Backend, Tensors, TensorSpec
from drive_seg.errors import BackendError

_CPU: tuple[str, dict[str, str]] = ("CPUExecutionProvider", {})
_CUDA = ("CUDAExecutionProvider", {"use_tf32": "0"})  # else "fp32" would silently be TF32
# TensorRT 10 is told which types it may choose from, whatever is in the network
_TENSORRT = ("TensorrtExecutionProvider", {"trt_fp16_enable": "1", "trt_int8_enable": "1"})
_PROVIDERS = {"cpu": (_CPU,), "cuda": (_CUDA, _CPU), "tensorrt": (_TENSORRT, _CUDA, _CPU)}  # what the first cannot run, the next does
_PRECISIONS = {"cpu": ("fp32", "int8"), "cuda": ("fp32", "fp16"), "tensorrt": ("fp16", "int8")}  # the first unless told otherwise
_GPU_WHEEL = "pip uninstall onnxruntime, then pip install onnxruntime-gpu"  # both are the package onnxruntime
_INSTALL = {"cuda": _GPU_WHEEL, "tensorrt": f"{_GPU_WHEEL} and the tensorrt 10 that it was made for"}
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
    """ONNX Runtime on the CPU or a GPU. `precision` is "int8" once a quantised stage is loaded, else that of the floats.

    `device` says by which provider a stage runs; single nodes that it does not know (sizes, above all) run on the CPU beside it.
    """

    name = "onnxruntime"

    def __init__(self, device: str | None, precision: str | None, threads: int | None) -> None:
        """`device` is "cpu" (default), "cuda" or "tensorrt": whose provider.

        Raises BackendError when it is absent, UsageError for a precision.
        """
        where = (device or "cpu").lower()
        if where not in _devices():
            raise BackendError(f"ONNX Runtime has no device {where!r} here; it has {', '.join(_devices())}{_remedy(where)}")
        check_options(self.name, precision, threads, _PRECISIONS[where], where)
        self._where, self._threads = where, thread_count(threads)
        self.precision = precision or _PRECISIONS[where][0]
        self._floats = "fp32" if where == "cpu" else "fp16" if self.precision == "int8" else self.precision
        self._quantised = False
        self.int8 = wants_int8(precision, pays=where == "cpu")
        self.device = cpu_label(self._threads) if where == "cpu" else f"GPU 0 ({_PROVIDERS[where][0][0]})"
        if where != "cpu" and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA's libraries from where pip put them

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> OnnxRuntimeStage:
        """Makes a session for exactly these input shapes. Raises BackendError, also when another provider than the asked one would run."""
        name = check_file(onnx_path)
        try:
            session = self._typed(onnx_path, input_shapes) if self._floats == "fp16" else self._as_it_is(name, onnx_path, input_shapes)
            self._check_provider(name, session.get_providers())
            stage = OnnxRuntimeStage(name, session, input_shapes)
        except BackendError:
            raise
        except Exception as error:  # its exceptions share no base of their own
            shapes = {key: list(shape) for key, shape in input_shapes.items()}
            raise BackendError(
                f"ONNX Runtime cannot load {name} at {shapes}: {one_line(error)}; choose another backend, or export it again"
            ) from error
        self._quantised = self._quantised or _is_quantised(onnx_path)
        self.precision = "int8" if self._quantised else self._floats
        return stage

    def _as_it_is(self, name: str, onnx_path: str, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        raw = self._session(onnx_path, {}, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, (_CPU,))
        # named open dimensions are fixed before optimisation, so that shape arithmetic is folded
        dims = fix_dimensions(name, {arg.name: arg.shape for arg in raw.get_inputs()}, shapes)
        return self._session(onnx_path, dims, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL, _PROVIDERS[self._where])

    def _typed(self, onnx_path: str, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        """With the types written into the network, as for TensorRT itself."""
        try:
            from drive_seg.backends.tensorrt.typed import typed_network
        except ImportError as error:
            raise BackendError(
                f"onnxruntime in {self.precision} on a GPU needs the package onnx: {one_line(error)}; pip install onnx"
            ) from error
        levels = onnxruntime.GraphOptimizationLevel
        # its optimiser rounds int8 biases by way of fp16, where they overflow; TensorRT has an optimiser of its own
        level = levels.ORT_DISABLE_ALL if self._where == "tensorrt" else levels.ORT_ENABLE_ALL
        return self._session(typed_network(onnx_path, shapes, self.precision).model, {}, level, _PROVIDERS[self._where])

    def _check_provider(self, name: str, ran: Sequence[str]) -> None:
        """ONNX Runtime goes on without a provider that cannot be started, and says so in its log alone."""
        wanted = _PROVIDERS[self._where][0][0]
        if wanted not in ran:
            raise BackendError(
                f"ONNX Runtime would run {name} by {ran[0] if ran else 'nothing'}: {wanted} does not start here "
                f"(its CUDA, cuDNN or TensorRT libraries are missing or of another version){_remedy(self._where)}"
            )

    def _session(self, model: str | bytes, dims: Mapping[str, int], level: Any, providers: Sequence[tuple[str, dict[str, str]]]) -> Any:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # its warnings are about the exporter's graph; errors come as exceptions
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        # spinning threads of one stage take the core from the stage beside it: half the speed with one busy neighbour
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.graph_optimization_level = level
        for symbol, size in dims.items():
            options.add_free_dimension_override_by_name(symbol, size)
        return onnxruntime.InferenceSession(model, options, providers=list(providers))


def make(device: str | None, precision: str | None, threads: int | None, urgent: bool) -> Backend:
    return OnnxRuntimeBackend(device, precision, threads)


def describe() -> BackendInfo:
    """Version, devices and the first one's precisions."""
    devices = _devices()
    return BackendInfo("onnxruntime", onnxruntime.__version__, devices, _PRECISIONS[devices[0]])


def _devices() -> tuple[str, ...]:
    present = onnxruntime.get_available_providers()
    return tuple(device for device, (first, *_) in _PROVIDERS.items() if first[0] in present)


def _remedy(where: str) -> str:
    return f"; {_INSTALL[where]}" if where in _INSTALL else ""


def _is_quantised(onnx_path: str) -> bool:
    # the package cannot list a graph's nodes; an ONNX file is protobuf, and its operators' names stand in it as plain text
    return b"QuantizeLinear" in Path(onnx_path).read_bytes()


def _dtype(stage: str, arg: Any) -> str:
    if arg.type not in _DTYPES:
        raise BackendError(f"{stage}: {arg.name!r} is a {arg.type}; known are {', '.join(_DTYPES)}")
    return _DTYPES[arg.type]
