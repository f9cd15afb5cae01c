"""Small ONNX files for the backends' tests: a segmentation network with open height and width, and single operators."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from drive_seg.backends import open_backend

OPSET = 18


def save(
    path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, int], constants: dict[str, Any], opset: int = OPSET
) -> str:
    """Writes a model; `inputs` maps a name to (type, shape), `outputs` a name to its type (0: left open). Returns the path."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) if kind else onnx.ValueInfoProto(name=name) for name, kind in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), path)
    return str(path)


class _Net:
    """Collects nodes; weights are stored in fp16 behind a Cast, as the bundles store them."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self._rng = np.random.default_rng(seed)

    def node(self, op: str, inputs: list[str], out: str | None = None, **attrs: Any) -> str:
        out = out or f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=out, **attrs))
        return out

    def const(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def weight(self, *shape: int, scale: float | None = None) -> str:
        scale = (2 / np.prod(shape[1:])) ** 0.5 if scale is None else scale
        stored = self.const((self._rng.standard_normal(shape) * scale).astype(np.float16))
        return self.node("Cast", [stored], to=TensorProto.FLOAT)

    def conv(
        self, x: str, c_in: int, c_out: int, k: int = 3, stride: int = 1, rate: int = 1, relu: bool = True, out: str | None = None
    ) -> str:
        pad = rate * (k // 2)
        weight, bias = self.weight(c_out, c_in, k, k), self.weight(c_out, scale=0.1)
        y = self.node("Conv", [x, weight, bias], strides=[stride] * 2, dilations=[rate] * 2, pads=[pad] * 4, kernel_shape=[k, k])
        return self.node("Relu", [y], out) if relu else y

    def size_of(self, x: str) -> str:
        return self.node("Shape", [x], start=2)

    def resize_to(self, x: str, size: str, channels: int, mode: str = "linear") -> str:
        sizes = self.node("Concat", [self.const(np.array([1, channels], np.int64)), size], axis=0)
        coords = {"linear": {"coordinate_transformation_mode": "half_pixel"}}.get(
            mode, {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        )
        return self.node("Resize", [x, "", "", sizes], mode=mode, **coords)


def segmentation_net(path: Path, seed: int = 0, classes: int = 6, cast_first: bool = False) -> str:
    """uint8 BGR `image` [1,H,W,3] to uint8 `labels` [1,H/2,W/2] and float32 `features` [1,16,H/8,W/8], H and W open.

    `cast_first`: what comes in is cast before it is turned around, as TensorRT wants it and the bundles have it.
    """
    net, x = _Net(seed), "image"
    for op in ("Cast", "Transpose") if cast_first else ("Transpose", "Cast"):
        x = net.node(op, [x], **({"to": TensorProto.FLOAT} if op == "Cast" else {"perm": [0, 3, 1, 2]}))
    x = net.node("Sub", [x, net.const(np.array([103, 116, 123], np.float32).reshape(1, 3, 1, 1))])
    x = net.node("Div", [x, net.const(np.float32(58))])
    for c_in, c_out in ((3, 8), (8, 8), (8, 16)):
        x = net.conv(x, c_in, c_out, stride=2)
    inner = net.conv(net.conv(x, 16, 16), 16, 16, relu=False)
    features = net.node("Relu", [net.node("Add", [x, inner])], "features")
    deep = net.conv(features, 16, 24, stride=2)
    branches = [net.conv(deep, 24, 8, rate=rate) for rate in (1, 2, 4)]
    pooled = net.conv(net.node("GlobalAveragePool", [deep]), 24, 8, k=1)
    branches.append(net.resize_to(pooled, net.size_of(deep), 8, mode="nearest"))
    context = net.conv(net.node("Concat", branches, axis=1), 32, 16, k=1)
    up = net.resize_to(context, net.size_of(features), 16)
    logits = net.conv(net.node("Add", [up, features]), 16, classes, k=1, relu=False)
    whole = net.node("Shape", ["image"], start=1, end=3)
    half = net.node("Div", [whole, net.const(np.array([2, 2], np.int64))])
    full = net.resize_to(logits, half, classes)
    net.node("Cast", [net.node("ArgMax", [full], axis=1, keepdims=0)], "labels", to=TensorProto.UINT8)
    image = {"image": (TensorProto.UINT8, [1, "height", "width", 3])}
    return save(path, net.nodes, image, {"labels": TensorProto.UINT8, "features": TensorProto.FLOAT}, net.constants)


def noise_image(height: int, width: int, seed: int = 0) -> Any:
    """A uint8 picture [1,H,W,3] of coarse random patches, so that labels differ from place to place."""
    coarse = np.random.default_rng(seed).integers(0, 256, (1, -(-height // 12), -(-width // 12), 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(12, 1).repeat(12, 2)[:, :height, :width])


@cache
def sums_int8_exactly(backend: str) -> bool:
    """Whether it does on this CPU: one without VNNI adds products in pairs that stop at 32767, and a few labels come out differently."""

    def fake(x: str, scale: float, zero: Any) -> list[Any]:
        constants[x + "_scale"], constants[x + "_zero"] = np.float32(scale), zero
        ends = [x + "_scale", x + "_zero"]
        return [
            helper.make_node("QuantizeLinear", [x, *ends], [x + "_q"]),
            helper.make_node("DequantizeLinear", [x + "_q", *ends], [x + "_dq"]),
        ]

    constants: dict[str, Any] = {"w": np.full((16, 16, 3, 3), 1.27, np.float32)}
    nodes = [
        *fake("x", 0.01, np.uint8(0)),
        *fake("w", 0.01, np.int8(0)),
        helper.make_node("Conv", ["x_dq", "w_dq"], ["sum"]),
        *fake("sum", 2.0, np.uint8(0)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "net.onnx", nodes, {"x": (TensorProto.FLOAT, [1, 16, 8, 8])}, {"sum_dq": TensorProto.FLOAT}, constants)
        stage = open_backend(backend, device="cpu", precision="int8", threads=1).load(path, {"x": (1, 16, 8, 8)})
        found = stage({"x": np.full((1, 16, 8, 8), 2.55, np.float32)})["sum_dq"]
        return bool(np.allclose(found, 16 * 9 * 2.55 * 1.27, atol=2))
