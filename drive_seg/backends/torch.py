"""Executes stages in torch, straight from their ONNX files: the reference in the workshop, and CUDA without TensorRT."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from drive_seg.backends.torch_gpu import GpuRun
from drive_seg.backends.torch_ops import DTYPES, HEAVY, ON_HOST, OPS, Node, host
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

COMPILE_MODE = "max-autotune-no-cudagraphs"  # the graph is GpuRun's own, copies included
_LOW = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": None}


@dataclass(frozen=True, slots=True)
class _Graph:
    """An ONNX file as torch sees it."""

    nodes: list[Node]  # in an order in which they can run
    constants: dict[str, Tensor]
    inputs: dict[str, torch.dtype]
    dims: dict[str, list[int | str | None]]  # of the inputs; an open dimension is its name
    outputs: dict[str, torch.dtype]


@dataclass(slots=True)
class _Step:
    """A node that depends on the inputs, with everything else bound."""

    node: Node
    args: list[Any]  # constants in their places
    slots: list[tuple[int, str]]  # the places that are filled from the frame's values
    low: torch.dtype | None  # which floating inputs are cast to; None leaves them
    drop: list[str]  # values that nobody reads after this step

    def run(self, values: dict[str, Tensor]) -> None:
        args = self.args.copy()
        for i, name in self.slots:
            value = values[name]
            args[i] = value.to(self.low) if self.low and value.is_floating_point() and i < HEAVY[self.node.op] else value
        result = OPS[self.node.op](self.node, *args)
        results = (result,) if isinstance(result, Tensor) else result
        values.update(zip(self.node.outputs, results, strict=False))
        for name in self.drop:
            del values[name]


@dataclass(frozen=True, slots=True)
class _How:
    """How a backend's stages run."""

    device: torch.device
    low: torch.dtype | None  # which convolutions and products are computed in; None leaves them
    threads: int
    graphs: bool | None  # as TorchBackend says, and the following two
    urgent: bool
    compiled: bool


class TorchStage:
    """A folded graph, node by node in torch; call it from one thread at a time.

    The outputs are the stage's own C-contiguous arrays: the next call overwrites them.
    """

    def __init__(self, name: str, graph: _Graph, input_shapes: Mapping[str, tuple[int, ...]], how: _How) -> None:
        self._name, self._threads, device = name, how.threads, how.device
        shapes = {key: tuple(input_shapes[key]) for key in graph.inputs}
        blank = {key: torch.zeros(shapes[key], dtype=dtype) for key, dtype in graph.inputs.items()}
        self.inputs = tuple(TensorSpec(key, _numpy_name(dtype), shapes[key]) for key, dtype in graph.inputs.items())
        self._check = Inputs(name, self.inputs)
        with torch.inference_mode():
            self._steps, self._fixed, dry = _plan(name, graph, blank, device, how.low)
            on_gpu = device.type == "cuda"
            self._buffers = {key: torch.zeros(dry[key].shape, dtype=dt, pin_memory=on_gpu) for key, dt in graph.outputs.items()}
            self._gpu: GpuRun | None = None
            if on_gpu:
                given = {key: tensor.pin_memory() for key, tensor in blank.items()}
                steps = compile_steps(self._run) if how.compiled else self._run
                self._gpu = GpuRun(name, steps, given, self._buffers, device, how.graphs, how.urgent)
        self._results: dict[str, Array] = {key: buffer.numpy() for key, buffer in self._buffers.items()}
        self.outputs = tuple(TensorSpec(key, array.dtype.name, array.shape) for key, array in self._results.items())
        self._closed = False

    def __call__(self, tensors: Tensors) -> Tensors:
        if self._closed:
            raise BackendError(f"{self._name} is closed")
        arrays = self._check.take(tensors)
        if torch.get_num_threads() != self._threads:  # torch counts them for each thread that calls it
            torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                if self._gpu:
                    self._gpu(arrays)
                else:
                    values = self._run({spec.name: _tensor(array) for spec, array in zip(self.inputs, arrays, strict=True)})
                    for name, buffer in self._buffers.items():
                        buffer.copy_(values[name])
        except RuntimeError as error:
            raise BackendError(f"torch failed in {self._name}: {one_line(error)}") from error
        return self._results

    def _run(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Every output, and what else nobody dropped, from inputs on the device."""
        values = {**self._fixed, **inputs}
        for step in self._steps:
            step.run(values)
        return values

    def close(self) -> None:
        self._closed = True
        if self._gpu:
            self._gpu.close()
        self._steps, self._fixed, self._buffers, self._results, self._gpu = [], {}, {}, {}, None


class TorchBackend:
    """torch on the CPU or a CUDA GPU. Convolutions and products run in `precision`, the rest in what reaches it.

    int8 is the reference for the other backends, not fast: values are rounded as a quantised stage says, and multiplied in fp32.

    Sets torch's thread count in the threads that call its stages and, on CUDA, cuDNN's search and TF32 for the whole process.
    """

    name = "torch"

    def __init__(
        self,
        device: str | None,
        precision: str | None,
        threads: int | None,
        *,
        graphs: bool | None = None,
        urgent: bool = True,
        compiled: bool = False,
    ) -> None:
        """`device` is "cpu", "cuda" or "cuda:0"; None is CUDA where there is one.

        For CUDA: `graphs` runs each stage as a CUDA graph, where that can be by default, always or never; `urgent`: before stages that are
        not; `compiled`: the steps by torch.compile (COMPILE_MODE), minutes a stage. Raises BackendError, UsageError.
        """
        where = (device or ("cuda" if torch.cuda.is_available() else "cpu")).lower()
        if where != "cpu" and not (_gpus() and where in {"cuda", *_gpus()}):
            raise BackendError(f"torch has no device {where!r} here; it has {', '.join(('cpu', *_gpus()))}")
        on = torch.device(where)
        check_options(self.name, precision, threads, _precisions(on), where)
        self._floats = precision or ("fp16" if on.type == "cuda" else "fp32")
        self.precision = self._floats
        self._quantised = False
        self.int8 = wants_int8(precision, pays=False)
        self._how = _How(on, _LOW[self._floats], thread_count(threads), graphs, urgent, compiled)
        self.device = cpu_label(self._how.threads) if where == "cpu" else f"{where} ({torch.cuda.get_device_name(on)})"
        if on.type == "cuda":
            torch.backends.cudnn.benchmark = True  # shapes are fixed
            torch.backends.cudnn.allow_tf32 = False  # else "fp32" would silently be TF32

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> TorchStage:
        """Folds the graph for exactly these input shapes by a dry run. Raises BackendError."""
        name = check_file(onnx_path)
        try:
            graph = _read(name, onnx_path)
            fix_dimensions(name, graph.dims, input_shapes)
            stage = TorchStage(name, graph, input_shapes, self._how)
            self._quantised = self._quantised or any(node.op == "QuantizeLinear" for node in graph.nodes)
            self.precision = "int8" if self._quantised else "fp32" if self._floats == "int8" else self._floats
            return stage
        except BackendError:
            raise
        except Exception as error:  # protobuf's, onnx's and torch's share no base
            shapes = {key: list(shape) for key, shape in input_shapes.items()}
            raise BackendError(
                f"torch cannot load {name} at {shapes}: {one_line(error)}; choose another backend, or export it again"
            ) from error


def compile_steps(steps: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]) -> Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]:
    """The steps as one compiled graph; compiled when they are first called, and an error then if they are not one graph."""
    import torch._dynamo

    # torch counts what it compiled by code, and all stages share theirs: after eight it would give up
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 256)
    return torch.compile(steps, fullgraph=True, dynamic=False, mode=COMPILE_MODE)


def make(device: str | None, precision: str | None, threads: int | None, urgent: bool) -> Backend:
    return TorchBackend(device, precision, threads, urgent=urgent)


def describe() -> BackendInfo:
    """Version, devices and the first device's precisions."""
    devices = (*_gpus(), "cpu")
    return BackendInfo("torch", torch.__version__, devices, _precisions(torch.device(devices[0])))


def _gpus() -> tuple[str, ...]:
    return tuple(f"cuda:{i}" for i in range(torch.cuda.device_count())) if torch.cuda.is_available() else ()


def _precisions(device: torch.device) -> tuple[str, ...]:
    return ("fp32", "bf16", "fp16", "int8") if device.type == "cuda" else ("fp32", "bf16", "int8")


def _read(stage: str, onnx_path: str) -> _Graph:
    model = onnx.load(onnx_path)
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset < 13:
        raise BackendError(f"{stage} is ONNX opset {opset}; the torch backend reads 13 and later: export it again")
    if model.functions:
        from onnx.inliner import inline_local_functions

        model = inline_local_functions(model)
    nodes = []
    for i, proto in enumerate(model.graph.node):
        op = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}::{proto.op_type}"
        attrs = {attr.name: _attribute(onnx.helper.get_attribute_value(attr)) for attr in proto.attribute}
        nodes.append(Node(op, proto.name or f"#{i}", tuple(proto.input), tuple(proto.output), attrs))
        if op not in OPS:
            raise BackendError(f"the torch backend does not know the operator {op} (node {nodes[-1].name!r} of {stage})")
    constants = {proto.name: _tensor(numpy_helper.to_array(proto)) for proto in model.graph.initializer}
    types = {info.name: info.type.tensor_type for info in model.graph.input if info.name not in constants}
    return _Graph(
        nodes,
        constants,
        {name: DTYPES[kind.elem_type] for name, kind in types.items()},
        {name: [_dimension(dim) for dim in kind.shape.dim] for name, kind in types.items()},
        {info.name: DTYPES[info.type.tensor_type.elem_type] for info in model.graph.output},
    )


def _dimension(dim: Any) -> int | str | None:
    return int(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or None


def _plan(
    stage: str, graph: _Graph, blank: dict[str, Tensor], device: torch.device, low: torch.dtype | None
) -> tuple[list[_Step], dict[str, Tensor], dict[str, Tensor]]:
    """Runs the graph once on zeros: what depends on no pixel is folded, the rest becomes steps.

    Returns the steps, the outputs that are constants, and every output of the dry run.
    """
    known = dict(graph.constants)
    values = {name: tensor.to(device) for name, tensor in blank.items()}
    steps: list[_Step] = []
    for node in graph.nodes:
        try:
            if node.op == "Shape" and node.inputs[0] in values:  # fixed, once the inputs' shapes are
                known[node.outputs[0]] = OPS["Shape"](node, values[node.inputs[0]])  # type: ignore[assignment]
            elif all(name in known or not name for name in node.inputs):
                result = OPS[node.op](node, *(known[name] if name else None for name in node.inputs))
                known.update(zip(node.outputs, (result,) if isinstance(result, Tensor) else result, strict=False))
            else:
                steps.append(_bind(node, known, device, low))
                steps[-1].run(values)
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError) as error:
            raise BackendError(
                f"torch cannot run {node.op} (node {node.name!r} of {stage}): {one_line(error)}; choose another backend"
            ) from error
    fixed = {name: known[name].to(device) for name in graph.outputs if name in known}
    last = {name: step for step in steps for _, name in step.slots}
    last = {name: step for step in steps for name in _unread(step, last)} | last  # what nobody reads goes at once
    for name, step in last.items():
        if name not in graph.outputs:
            step.drop.append(name)
    return steps, fixed, values | fixed


def _unread(step: _Step, read: Mapping[str, Any]) -> list[str]:
    return [name for name in step.node.outputs if name and name not in read]


def _bind(node: Node, known: Mapping[str, Tensor], device: torch.device, low: torch.dtype | None) -> _Step:
    low = low if node.op in HEAVY else None
    args: list[Any] = [None] * len(node.inputs)
    slots = []
    for i, name in enumerate(node.inputs):
        if not name:
            continue
        if name not in known:
            slots.append((i, name))
        elif i in ON_HOST.get(node.op, ()):
            args[i] = host(known[name])
        else:
            args[i] = _place(known[name], device, low if low and i < HEAVY[node.op] else None)
    return _Step(node, args, slots, low, [])


def _place(value: Tensor, device: torch.device, low: torch.dtype | None) -> Tensor:
    value = value.to(device, low if low and value.is_floating_point() else value.dtype)
    # convolutions follow the layout of their weights, and NHWC frames arrive in this one
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value.contiguous()


def _attribute(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return _tensor(numpy_helper.to_array(value)) if isinstance(value, onnx.TensorProto) else value


def _tensor(array: Array) -> Tensor:
    if array.dtype.name == "bfloat16":  # numpy has none of its own, and torch does not take ml_dtypes'
        return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
    array = np.ascontiguousarray(array) if array.ndim else array
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _numpy_name(dtype: torch.dtype) -> str:
    return torch.zeros(0, dtype=dtype).numpy().dtype.name
