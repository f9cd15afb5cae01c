"""Executes stages with OpenVINO: the default on a CPU, also for Intel's GPUs and NPUs."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import openvino

from drive_seg.backends.validation import (
    BackendInfo,
    Inputs,
    check_file,
    check_names,
    check_options,
    cpu_label,
    one_line,
    thread_count,
    wants_int8,
)
from drive_seg.contracts import Array, Backend, Tensors, TensorSpec
from drive_seg.errors import BackendError

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_RUNS = {hint: precision for precision, hint in _HINTS.items()}


@cache
def the_core() -> openvino.Core:
    """One core for the process, never freed.

    OpenVINO's CPU plugin gives the thread an alternate signal stack and unmaps it with the last core; the next signal that Python
    handles, a Ctrl-C, then ends the process with a segmentation fault (seen with OpenVINO 2026.4).
    """
    return openvino.Core()


class OpenVinoStage:
    """One compiled model with one infer request; call it from one thread at a time.

    The outputs are views of the request's own memory: the next call overwrites them. C-contiguous, writable inputs are read in
    place, so they must not change while the call runs; others are copied first.
    """

    def __init__(self, name: str, compiled: Any, output_names: tuple[str, ...], input_names: tuple[str, ...]) -> None:
        self.inputs = _specs(name, compiled.inputs, input_names)
        self.outputs = _specs(name, compiled.outputs, output_names)
        self._name = name
        self._check = Inputs(name, self.inputs)
        self._request: Any = compiled.create_infer_request()
        self._own = [self._request.get_input_tensor(i) for i in range(len(self.inputs))]
        self._bound: list[Array | None] = [None] * len(self.inputs)
        self._results = {spec.name: self._request.get_output_tensor(i).data for i, spec in enumerate(self.outputs)}

    def __call__(self, tensors: Tensors) -> Tensors:
        if self._request is None:
            raise BackendError(f"{self._name} is closed")
        for i, array in enumerate(self._check.take(tensors)):
            self._bind(i, array)
        try:
            self._request.infer(share_outputs=True)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO failed in {self._name}: {one_line(error)}") from error
        return self._results

    def _bind(self, i: int, array: Array) -> None:
        if array.flags.c_contiguous and array.flags.writeable:  # OpenVINO refuses to share anything else
            if self._bound[i] is not array:
                self._request.set_input_tensor(i, openvino.Tensor(array, shared_memory=True))
                self._bound[i] = array  # keeps the memory alive, and spares binding it again
            return
        own = self._own[i]
        np.copyto(own.data, array)
        if self._bound[i] is not None:
            self._request.set_input_tensor(i, own)
            self._bound[i] = None

    def close(self) -> None:
        self._request, self._results = None, {}
        self._own, self._bound = [], []


class OpenVinoBackend:
    """OpenVINO on one device. `precision` is what was asked for until a stage is loaded, then what runs: int8 if any stage is."""

    name = "openvino"

    def __init__(self, device: str | None, precision: str | None, threads: int | None) -> None:
        """`device` is "CPU" (default), "GPU", "GPU.1", "NPU" or "AUTO", in any case. Raises BackendError, UsageError."""
        self._core = the_core()
        self._where = _check_device(self._core, (device or "CPU").upper())
        can = _precisions(self._core, self._where)
        check_options(self.name, precision, threads, can, self._where)
        fastest = next(p for p in ("bf16", "fp16", "fp32") if p in can)
        self._float = fastest if precision in (None, "int8") else str(precision)
        self._threads = thread_count(threads)
        self.precision = precision or fastest
        self._quantised = False
        on_cpu = self._where == "CPU"
        self.int8 = wants_int8(precision, pays=on_cpu)
        self.device = cpu_label(self._threads) if on_cpu else f"{self._where} ({_full_name(self._core, self._where)})"

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> OpenVinoStage:
        """Compiles the stage for exactly these input shapes. Raises BackendError."""
        name = check_file(onnx_path)
        try:
            model = self._core.read_model(onnx_path)
            inputs = tuple(parameter.get_friendly_name() for parameter in model.get_parameters())
            check_names(name, list(inputs), input_shapes)
            outputs = tuple(result_name(result) for result in model.get_results())
            quantised = any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())
            model.reshape({port: list(input_shapes[own]) for port, own in zip(model.inputs, inputs, strict=True)})
            compiled = self._core.compile_model(model, self._where, self._properties())
            self._quantised = self._quantised or quantised
            self.precision = "int8" if self._quantised else _read_precision(compiled, self._float)
            return OpenVinoStage(name, compiled, outputs, inputs)
        except RuntimeError as error:
            shapes = {own: list(shape) for own, shape in input_shapes.items()}
            raise BackendError(
                f"OpenVINO cannot load {name} at {shapes} on {self._where}: {one_line(error)}; choose another backend, or export it again"
            ) from error

    def _properties(self) -> dict[str, str]:
        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINTS[self._float],  # OpenVINO's own default is bf16 where the CPU has it, silently
        }
        if self._where == "CPU":
            properties["NUM_STREAMS"] = "1"
            properties["INFERENCE_NUM_THREADS"] = str(self._threads)
            # pinned, two one-thread stages land on the same core and each takes twice as long; `high` must run beside `low`
            properties["ENABLE_CPU_PINNING"] = "NO"
        return properties


def make(device: str | None, precision: str | None, threads: int | None, urgent: bool) -> Backend:
    return OpenVinoBackend(device, precision, threads)


def describe() -> BackendInfo:
    """Version, devices and the CPU's precisions."""
    core = the_core()
    devices = tuple(core.available_devices)
    return BackendInfo("openvino", openvino.__version__.split("-")[0], devices, _precisions(core, devices[0]) if devices else ())


def _check_device(core: Any, device: str) -> str:
    available = list(core.available_devices)
    families = {known.split(".")[0] for known in available}  # "GPU" means the first of GPU.0, GPU.1
    if device.split(":")[0] == "AUTO" or device in available or device in families:
        return device
    raise BackendError(f"OpenVINO has no device {device!r} here; it has {', '.join(available) or 'none'}")


def _precisions(core: Any, device: str) -> tuple[str, ...]:
    try:
        capable = set(core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
    except RuntimeError:  # "AUTO:GPU,CPU" has no properties of its own
        capable = {"FP32", "INT8"}
    return tuple(precision for precision in ("fp32", "bf16", "fp16", "int8") if precision.upper() in capable)


def _full_name(core: Any, device: str) -> str:
    try:
        return str(core.get_property(device, "FULL_DEVICE_NAME"))
    except RuntimeError:
        return "chosen by OpenVINO"


def _read_precision(compiled: Any, asked: str) -> str:
    try:
        return _RUNS[compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()]
    except (RuntimeError, KeyError):  # AUTO does not tell
        return asked


def result_name(result: Any) -> str:
    # a port carries every name that its tensor has had; the result's own is the graph's, with OpenVINO's port behind a slash
    return str(result.get_friendly_name()).removesuffix("/sink_port_0")


def _specs(stage: str, ports: Any, names: tuple[str, ...]) -> tuple[TensorSpec, ...]:
    specs = []
    for port, name in zip(ports, names, strict=True):
        if port.get_partial_shape().is_dynamic:
            raise BackendError(f"{stage}: the shape of {name!r} is still open ({port.get_partial_shape()}) with every input fixed")
        specs.append(TensorSpec(name, np.dtype(port.get_element_type().to_dtype()).name, tuple(port.get_shape())))
    return tuple(specs)
