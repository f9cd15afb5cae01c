"""Writes the types into a stage's ONNX, as TensorRT's strongly typed networks want them: fp16, or int8 and fp8 by Q/DQ nodes.

Borders stay as they are: a float input is cast after it has come in, a float output before it goes out. What computes sizes from
shapes stays in fp32 too: 2049 is no fp16 number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

from drive_seg.backends.tensorrt.reduce import accept_frames
from drive_seg.backends.validation import check_file, fix_dimensions, one_line
from drive_seg.contracts import Array
from drive_seg.errors import BackendError

OPSET = 19  # the first with QuantizeLinear of fp16
HALF_MAX = float(np.finfo(np.float16).max)
_KEPT = {("Resize", 1), ("Resize", 2), ("Upsample", 1)}  # float32 by the operator's definition, whatever it works on
_QUANTISED = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True, slots=True)
class Typed:
    """A network ready for the parser."""

    model: bytes
    precision: str  # of its arithmetic, by construction


def typed_network(
    onnx_path: str, shapes: Mapping[str, tuple[int, ...]], precision: str, frames: Mapping[str, tuple[int, int]] | None = None
) -> Typed:
    """The stage with its inputs fixed to `shapes`, in "fp32", "fp16", or, if it is quantised, "int8" or "fp8" with fp16 around it.

    A stage in floats is fp16 when int8 or fp8 was asked for, a quantised one int8 whatever floats were asked for. `frames`: the size of
    the frames that pictures among its inputs are reduced from. Raises BackendError for a file that is no ONNX network or does not take
    these shapes.
    """
    name = check_file(onnx_path)
    try:
        model = onnx.load(onnx_path)
    except Exception as error:  # protobuf's own
        raise BackendError(f"{name} cannot be read as an ONNX network: {one_line(error)}") from error
    _fix_shapes(name, model, shapes)
    _name_constants(model)
    quantised = any(node.op_type in _QUANTISED for node in model.graph.node)
    try:
        if quantised:
            model = _make_symmetric(model, "fp8" if precision == "fp8" else "int8")
        for picture, frame_hw in (frames or {}).items():
            accept_frames(model, picture, frame_hw)
        if quantised or precision != "fp32":
            model = _halve(model)
    except (onnx.shape_inference.InferenceError, version_converter.ConvertError, RuntimeError) as error:
        raise BackendError(f"{name}: its types cannot be told: {one_line(error)}") from error
    made = ("fp8" if precision == "fp8" else "int8") if quantised else "fp32" if precision == "fp32" else "fp16"
    return Typed(model.SerializeToString(deterministic=True), made)


def _fix_shapes(name: str, model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    declared = {value.name: [_dim(dim) for dim in value.type.tensor_type.shape.dim] for value in inputs}
    fix_dimensions(name, declared, shapes)
    for value in inputs:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True):
            dim.dim_value = size


def _dim(dim: Any) -> int | str | None:
    return int(dim.dim_value) if dim.HasField("dim_value") else str(dim.dim_param) or None


def _name_constants(model: onnx.ModelProto) -> None:
    """Constant nodes become initializers, so that there is one kind of constant."""
    graph = model.graph
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        (given,) = node.attribute
        if given.name == "value":
            tensor = TensorProto()
            tensor.CopyFrom(given.t)
            tensor.name = node.output[0]
        else:  # value_float, value_ints …
            value = helper.get_attribute_value(given)
            tensor = numpy_helper.from_array(np.asarray(value, np.int64 if "int" in given.name else np.float32), node.output[0])
        graph.initializer.append(tensor)
        graph.node.remove(node)


# ---- int8 and fp8


def _make_symmetric(model: onnx.ModelProto, grid: str) -> onnx.ModelProto:
    """Every zero point becomes 0, the only one that TensorRT knows, and every scale an fp16 that covers the same range.

    A uint8 range of low to high becomes -m to m with m the greater of the two, at 127 steps a side: half the resolution behind a ReLU.
    Weights are rounded again, to their new scales. fp8 (e4m3) takes the same ranges; its weights come from the int8 ones.
    """
    if model.opset_import[0].version < OPSET:
        model = version_converter.convert_version(model, OPSET)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    kept: dict[str, TensorProto] = {}
    for node in model.graph.node:
        if node.op_type not in _QUANTISED:
            continue
        if len(node.input) < 3 or any(name not in stored for name in node.input[1:3]):
            raise BackendError(f"{node.name}: its scale and zero point are no constants; quantise the network with `drive-seg quantize`")
        scale, zero = (numpy_helper.to_array(stored[name]) for name in node.input[1:3])
        weights = stored.get(node.input[0])
        if weights is None:
            step = _step(_reach(scale.astype(np.float64), zero), grid)
        else:
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
            step, again = _round_again(weights, scale.astype(np.float64), zero, axis, grid)
            kept[again.name] = again
            node.input[0] = again.name
        node.input[1:] = [f"{node.input[1]}.{grid}", f"{node.input[2]}.{grid}"]
        kept[node.input[1]] = numpy_helper.from_array(step, node.input[1])
        kept[node.input[2]] = _round(np.zeros(step.shape), grid, node.input[2])
    used = {name for node in model.graph.node for name in node.input}
    del model.graph.initializer[:], model.graph.value_info[:]  # uint8, some of them
    model.graph.initializer.extend(tensor for name, tensor in {**stored, **kept}.items() if name in used)
    return model


def _round_again(weights: TensorProto, scale: Array, zero: Array, axis: int, grid: str) -> tuple[Array, TensorProto]:
    """The weights on their new grid, and its scale: one, or one for each index of the axis."""
    rank = len(weights.dims)
    along = [-1 if i == axis % rank else 1 for i in range(rank)] if scale.ndim else []
    values = (numpy_helper.to_array(weights).astype(np.float64) - zero.reshape(along)) * scale.reshape(along)
    others = tuple(i for i in range(rank) if not scale.ndim or i != axis % rank)
    step = _step(np.abs(values).max(others).reshape(scale.shape), grid)
    return step, _round(values / step.astype(np.float64).reshape(along), grid, f"{weights.name}.{grid}")


def _reach(scale: Array, zero: Array) -> Array:
    """The greatest magnitude that the old grid has."""
    limits = np.iinfo(zero.dtype)
    lowest = limits.min + (limits.min < 0)  # -127 to 127, as symmetric grids are made
    zeros = zero.astype(np.float64)
    return np.maximum(limits.max - zeros, zeros - lowest) * scale


def _step(reach: Array, grid: str) -> Array:
    """A scale that is an fp16 number, rounded up so that the reach is still within it; float32 until all is halved."""
    exact = np.maximum(reach / (127 if grid == "int8" else 448), 2.0**-24)  # fp16's smallest number, for channels that are all 0
    step = exact.astype(np.float16)
    return np.where(step < exact, np.nextafter(step, np.float16(np.inf)), step).astype(np.float32)


def _round(steps: Array, grid: str, name: str) -> TensorProto:
    if grid == "int8":
        return numpy_helper.from_array(np.rint(steps).clip(-127, 127).astype(np.int8), name)
    return helper.make_tensor(name, TensorProto.FLOAT8E4M3FN, steps.shape, steps.astype(np.float32).ravel())


# ---- fp16


def _halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network in fp16 between its borders; integers, what is made of shapes and what an operator wants in fp32 stay."""
    graph = model.graph
    del graph.value_info[:]  # of other sizes
    known = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*known.input, *known.value_info, *known.output)}
    kinds |= {name: tensor.data_type for name, tensor in stored.items()}
    outputs = {value.name for value in graph.output}
    sizes = set(_sizes(graph, set(stored)))
    halves: dict[str, str] = {}  # a float32 tensor to its fp16
    nodes: list[onnx.NodeProto] = []

    def half(name: str) -> str:
        if name not in halves and name in stored:
            halves[name] = f"{name}.fp16"
            graph.initializer.append(numpy_helper.from_array(_to_half(numpy_helper.to_array(stored[name])), halves[name]))
        elif name not in halves:  # from outside, or made of sizes
            halves[name] = f"{name}.fp16"
            nodes.append(helper.make_node("Cast", [name], [halves[name]], name=halves[name], to=TensorProto.FLOAT16))
        return halves[name]

    for node in graph.node:
        weight = stored.get(node.input[0]) if node.op_type == "Cast" else None
        if weight is not None and weight.data_type == TensorProto.FLOAT16 and node.output[0] not in outputs:
            halves[node.output[0]] = node.input[0]  # how bundles store weights
            continue
        if node.output[0] in sizes:
            if node.op_type in ("Shape", "Size"):  # of what may be fp16 by now
                node.input[0] = halves.get(node.input[0], node.input[0])
            nodes.append(node)
            continue
        for i, name in enumerate(node.input):
            if kinds.get(name) == TensorProto.FLOAT and (node.op_type, i) not in _KEPT:
                node.input[i] = half(name)
        nodes.append(node)
        for i, name in enumerate(node.output):
            if kinds.get(name) == TensorProto.FLOAT:
                halves[name] = f"{name}.fp16"
                node.output[i] = halves[name]
                if name in outputs:
                    nodes.append(helper.make_node("Cast", [halves[name]], [name], name=f"{name}.fp32", to=TensorProto.FLOAT))
        _halve_attributes(node)
    used = {name for node in nodes for name in node.input} | outputs
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
    return model


def _sizes(graph: onnx.GraphProto, constants: set[str]) -> Iterator[str]:
    """The tensors that are made of shapes and constants alone."""
    made = set[str]()
    for node in graph.node:
        taken = {name for name in node.input if name} - constants
        if node.op_type in ("Shape", "Size") or (taken and taken <= made):
            made.update(node.output)
            yield from node.output


def _halve_attributes(node: onnx.NodeProto) -> None:
    if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT:
        node.attribute[0].i = TensorProto.FLOAT16
    if node.op_type == "ConstantOfShape":
        value = next((numpy_helper.to_array(attribute.t) for attribute in node.attribute), np.zeros(1, np.float32))
        if value.dtype == np.float32:
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(_to_half(value))))


def _to_half(values: Array) -> Array:
    """Numbers beyond fp16, such as a mask's -1e9, become its greatest; infinities stay."""
    return np.where(np.isfinite(values), values.clip(-HALF_MAX, HALF_MAX), values).astype(np.float16)
