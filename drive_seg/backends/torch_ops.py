"""ONNX's operators in torch: a literal table from an operator's name to the function that computes it.

Every function takes the node (its attributes) and the node's inputs; an input that was left out is None. Inputs listed in
`ON_HOST` are shapes, axes, sizes: they arrive as Python numbers or lists when they were known at load, else as tensors.
The numbers follow ONNX (opset 13 and later), not torch, where the two differ. What torch's own kernels do not compute so, such as other
ways to resize, is refused by name.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from drive_seg.errors import BackendError


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the graph."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: dict[str, Any]

    def get(self, key: str, default: Any = None) -> Any:
        return self.attrs.get(key, default)

    def refuse(self, what: str) -> BackendError:
        return BackendError(f"the torch backend cannot run {self.op} (node {self.name!r}) with {what}; use openvino or onnxruntime")


Op = Callable[..., Tensor | tuple[Tensor, ...]]

DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}

HEAVY = {"Conv": 3, "ConvTranspose": 3, "Gemm": 3, "MatMul": 2}  # how many inputs go to the low precision, when one is chosen

ON_HOST: dict[str, tuple[int, ...]] = {
    "Clip": (1, 2),
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1, 2, 3),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceSum": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
}


def host(value: Any) -> Any:
    """A tensor as Python numbers; what is already Python as it is."""
    return value.tolist() if isinstance(value, Tensor) else value


def _ints(value: Any) -> list[int]:
    value = host(value)
    return [int(v) for v in value] if isinstance(value, Sequence) else [int(value)]


# ---- convolutions and pools


def _pads(node: Node, n: int) -> tuple[list[int], list[int]]:
    """Pixels to add before and after each of `n` spatial axes."""
    if node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise node.refuse(f"auto_pad {node.get('auto_pad')}")
    pads = node.get("pads", [0] * 2 * n)
    return list(pads[:n]), list(pads[n:])


def _pad_list(begin: list[int], end: list[int]) -> list[int]:
    """In torch's order: last axis first."""
    return [p for pair in zip(reversed(begin), reversed(end), strict=True) for p in pair]


def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    n = weight.ndim - 2
    strides, dilations = node.get("strides", [1] * n), node.get("dilations", [1] * n)
    begin, end = _pads(node, n)
    if begin != end:
        x, begin = F.pad(x, _pad_list(begin, end)), [0] * n
    return torch.convolution(x, weight, bias, strides, begin, dilations, False, [0] * n, node.get("group", 1))


def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    n = weight.ndim - 2
    begin, end = _pads(node, n)
    if begin != end or node.get("output_shape"):
        raise node.refuse("uneven pads or output_shape")
    strides, dilations, extra = node.get("strides", [1] * n), node.get("dilations", [1] * n), node.get("output_padding", [0] * n)
    return torch.convolution(x, weight, bias, strides, begin, dilations, True, extra, node.get("group", 1))


def max_pool(node: Node, x: Tensor) -> Tensor:
    if len(node.outputs) > 1 or x.ndim != 4:
        raise node.refuse(f"{len(node.outputs)} outputs of a {x.ndim}-dimensional input")
    kernel, (begin, end) = node.attrs["kernel_shape"], _pads(node, 2)
    if begin != end or any(2 * p > k for p, k in zip(begin, kernel, strict=True)):  # torch takes no more than half a kernel
        lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        x, begin = F.pad(x, _pad_list(begin, end), value=lowest), [0, 0]
    return F.max_pool2d(x, kernel, node.get("strides", [1, 1]), begin, node.get("dilations", [1, 1]), bool(node.get("ceil_mode", 0)))


def average_pool(node: Node, x: Tensor) -> Tensor:
    kernel, (begin, end) = node.attrs["kernel_shape"], _pads(node, 2)
    if x.ndim != 4 or begin != end or any(d != 1 for d in node.get("dilations", [])):
        raise node.refuse(f"uneven pads, dilations or a {x.ndim}-dimensional input")
    return F.avg_pool2d(
        x, kernel, node.get("strides", [1, 1]), begin, bool(node.get("ceil_mode", 0)), bool(node.get("count_include_pad", 0))
    )


def global_average_pool(node: Node, x: Tensor) -> Tensor:
    return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)


def batch_normalization(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    return F.batch_norm(x, mean, var, scale, bias, training=False, eps=node.get("epsilon", 1e-5))


# ---- arithmetic


def div(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b) if a.is_floating_point() or b.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def clip(node: Node, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    low, high = host(low), host(high)
    return x if low is None and high is None else torch.clamp(x, low, high)


def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return torch.clamp(x * node.get("alpha", 0.2) + node.get("beta", 0.5), 0, 1)


def softmax(node: Node, x: Tensor) -> Tensor:
    return torch.softmax(x.float() if x.dtype in (torch.bfloat16, torch.float16) else x, node.get("axis", -1))


def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a, b = (a.T if node.get("transA", 0) else a), (b.T if node.get("transB", 0) else b)
    y = torch.matmul(a, b)
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    y = y if alpha == 1 else y * alpha
    return y if c is None else y + (c if beta == 1 else c * beta)


def _variadic(function: Callable[[Tensor, Tensor], Tensor]) -> Op:
    return lambda node, *inputs: reduce(function, inputs)


def _plain(function: Callable[..., Tensor]) -> Op:
    """An operator without attributes that torch computes as ONNX does."""
    return lambda node, *inputs: function(*inputs)


# ---- reductions


def _axes(node: Node, axes: Any, ndim: int) -> list[int]:
    chosen = _ints(axes) if axes is not None else list(node.get("axes", []))  # an input since opset 13 or 18, before an attribute
    if not chosen and not node.get("noop_with_empty_axes", 0):
        chosen = list(range(ndim))
    return chosen


def _reduce(function: Callable[..., Tensor]) -> Op:
    def run(node: Node, x: Tensor, axes: Any = None) -> Tensor:
        chosen = _axes(node, axes, x.ndim)
        return function(x, dim=chosen, keepdim=bool(node.get("keepdims", 1))).to(x.dtype) if chosen else x

    return run


def _mean(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    return torch.mean(x if x.is_floating_point() else x.double(), dim=dim, keepdim=keepdim)


def argmax(node: Node, x: Tensor) -> Tensor:
    if node.get("select_last_index", 0):
        raise node.refuse("select_last_index")
    # torch.max takes the first of equals, as torch.argmax does, in a fifth of the time
    return torch.max(x, dim=node.get("axis", 0), keepdim=bool(node.get("keepdims", 1))).indices


def top_k(node: Node, x: Tensor, k: Any) -> tuple[Tensor, ...]:
    axis, largest = node.get("axis", -1), bool(node.get("largest", 1))
    return tuple(torch.topk(x, _ints(k)[0], dim=axis, largest=largest, sorted=bool(node.get("sorted", 1))))


# ---- shapes


def concat(node: Node, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, dim=node.attrs["axis"])


def split(node: Node, x: Tensor, sizes: Any = None) -> tuple[Tensor, ...]:
    axis = node.get("axis", 0)
    if sizes is not None:
        return torch.split(x, _ints(sizes), dim=axis)
    return torch.split(x, math.ceil(x.shape[axis] / len(node.outputs)), dim=axis)


def slice_(node: Node, x: Tensor, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Tensor:
    first, last = _ints(starts), _ints(ends)
    along = _ints(axes) if axes is not None else list(range(len(first)))
    strides = _ints(steps) if steps is not None else [1] * len(first)
    for start, end, axis, step in zip(first, last, along, strides, strict=True):
        taken = range(*slice(start, end, step).indices(x.shape[axis]))
        if step == 1:
            x = x.narrow(axis, taken.start, len(taken))
        else:
            x = x.index_select(axis, torch.tensor(list(taken), dtype=torch.int64, device=x.device))
    return x


def transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.get("perm", list(range(x.ndim))[::-1]))


def reshape(node: Node, x: Tensor, shape: Any) -> Tensor:
    sizes = _ints(shape)
    if not node.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), -1) if x.numel() else x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    n, channels, height, width = x.shape
    size = node.attrs["blocksize"]
    if node.get("mode", "DCR") == "CRD":  # which of a pixel's place in its cell and its channel varies faster
        return F.pixel_shuffle(x, size)
    x = x.reshape(n, size, size, channels // size**2, height, width)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(n, channels // size**2, height * size, width * size)


def squeeze(node: Node, x: Tensor, axes: Any = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(tuple(_ints(axes)))


def unsqueeze(node: Node, x: Tensor, axes: Any) -> Tensor:
    chosen = _ints(axes)
    rank = x.ndim + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def shape_of(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[node.get("start", 0) : node.get("end")], dtype=torch.int64)


def gather(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    index = torch.where(index < 0, index + x.shape[axis], index).to(device=x.device, dtype=torch.int64)
    taken = x.index_select(axis, index.reshape(-1))
    return taken.reshape(x.shape[:axis] + index.shape + x.shape[axis + 1 :])


def constant(node: Node) -> Tensor:
    for key in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if key in node.attrs:
            value = node.attrs[key]
            return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.int64 if "int" in key else torch.float32)
    raise node.refuse(f"the attributes {list(node.attrs)}")


def constant_of_shape(node: Node, shape: Any) -> Tensor:
    value = node.get("value", torch.zeros(1))
    return torch.full(_ints(shape), value.item(), dtype=value.dtype)


def expand(node: Node, x: Tensor, shape: Any) -> Tensor:
    # a 1 keeps the input's own size: it is broadcast both ways
    return x.expand(torch.broadcast_shapes(x.shape, _ints(shape)))  # type: ignore[no-untyped-call]


def pad(node: Node, x: Tensor, pads: Any, value: Any = None, axes: Any = None) -> Tensor:
    amounts = _ints(pads)
    chosen = [axis % x.ndim for axis in _ints(axes)] if axes is not None else list(range(x.ndim))
    begin, end = [0] * x.ndim, [0] * x.ndim
    for i, axis in enumerate(chosen):
        begin[axis], end[axis] = amounts[i], amounts[i + len(chosen)]
    mode = node.get("mode", "constant")
    if mode == "constant":
        fill = host(value)
        fill = fill[0] if isinstance(fill, list) else fill
        return F.pad(x, _pad_list(begin, end), value=fill or 0)
    if mode not in ("reflect", "edge") or x.ndim != 4 or any(begin[:2] + end[:2]):
        raise node.refuse(f"mode {mode!r} on these axes")
    return F.pad(x, _pad_list(begin[2:], end[2:]), mode="replicate" if mode == "edge" else "reflect")


def cast(node: Node, x: Tensor) -> Tensor:
    if node.attrs["to"] not in DTYPES:
        raise node.refuse(f"the ONNX type {node.attrs['to']}")
    return x.to(DTYPES[node.attrs["to"]])


# ---- quantisation


def _along(x: Tensor, axis: int, value: Tensor) -> Tensor:
    """A scale or zero point, one for the tensor or one for each index of the axis, in a shape that broadcasts."""
    return value.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)]) if value.numel() > 1 else value.reshape(())


def quantize_linear(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    if node.get("block_size", 0):
        raise node.refuse("blocks")
    zero = torch.zeros((), dtype=torch.uint8, device=x.device) if zero is None else zero
    if zero.dtype not in (torch.int8, torch.uint8):
        raise node.refuse(f"{zero.dtype}")
    axis, limits = node.get("axis", 1), torch.iinfo(zero.dtype)
    steps = torch.round(x.float() / _along(x, axis, scale).float()) + _along(x, axis, zero).float()  # halves go to even, as in ONNX
    return steps.clamp(limits.min, limits.max).to(zero.dtype)


def dequantize_linear(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    if node.get("block_size", 0):
        raise node.refuse("blocks")
    axis = node.get("axis", 1)
    steps = x.float() if zero is None else x.float() - _along(x, axis, zero).float()
    return steps * _along(x, axis, scale)


# ---- resize


def resize(node: Node, x: Tensor, roi: Any = None, scales: Any = None, sizes: Any = None) -> Tensor:
    mode, coords = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "half_pixel")
    rounding, corners = node.get("nearest_mode", "round_prefer_floor"), coords == "align_corners"
    if mode == "linear":
        same = coords in ("half_pixel", "pytorch_half_pixel", "align_corners")
    else:
        same = (mode, coords, rounding) == ("nearest", "asymmetric", "floor")
    if not same or x.ndim != 4 or node.get("antialias", 0) or node.get("axes"):
        raise node.refuse(f"mode {mode!r}, coordinates {coords!r}, {rounding!r} on {x.ndim} dimensions")
    how: dict[str, Any] = {"mode": "bilinear", "align_corners": corners} if mode == "linear" else {"mode": mode}
    if (given := host(sizes)) and list(given[:2]) == list(x.shape[:2]):
        y = F.interpolate(x, size=_ints(given[2:]), **how)
    elif not given and host(scales)[:2] == [1, 1]:
        y = F.interpolate(x, scale_factor=host(scales)[2:], recompute_scale_factor=False, **how)
    else:
        raise node.refuse("a resize of other axes than height and width")
    if coords == "pytorch_half_pixel" and 1 in y.shape[2:]:  # torch has changed since that was called by its name
        raise node.refuse(f"coordinates {coords!r} to one row or column")
    return y


OPS: dict[str, Op] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "ArgMax": argmax,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "Ceil": _plain(torch.ceil),
    "Clip": clip,
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "DepthToSpace": depth_to_space,
    "DequantizeLinear": dequantize_linear,
    "Div": div,
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Expand": expand,
    "Flatten": flatten,
    "Floor": _plain(torch.floor),
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "Greater": _plain(torch.gt),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": _plain(F.hardswish),
    "Identity": _plain(lambda x: x),
    "LeakyRelu": lambda node, x: F.leaky_relu(x, node.get("alpha", 0.01)),
    "Less": _plain(torch.lt),
    "MatMul": _plain(torch.matmul),
    "Max": _variadic(torch.maximum),
    "MaxPool": max_pool,
    "Min": _variadic(torch.minimum),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "PRelu": _plain(lambda x, slope: torch.where(x >= 0, x, slope * x)),
    "Pad": pad,
    "Pow": _plain(lambda a, b: torch.pow(a, b).to(a.dtype)),
    "QuantizeLinear": quantize_linear,
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(_mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _plain(torch.relu),
    "Reshape": reshape,
    "Resize": resize,
    "Shape": shape_of,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": slice_,
    "Softmax": softmax,
    "Split": split,
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": squeeze,
    "Sub": _plain(torch.sub),
    "Tanh": _plain(torch.tanh),
    "TopK": top_k,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Where": _plain(torch.where),
}
