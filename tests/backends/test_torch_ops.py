"""The torch backend computes every operator as ONNX Runtime does, folds what depends on no pixel, and names what it lacks."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_seg.backends import open_backend
from drive_seg.errors import BackendError

from .graphs import save, segmentation_net

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402  (after the skip)

RNG = np.random.default_rng(0)
F32 = np.float32


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(F32)


def positive(*shape: int) -> Any:
    return RNG.random(shape).astype(F32) + F32(0.1)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


X = floats(1, 6, 13, 10)
CASES: list[
    tuple[str, list[Any], dict[str, Any]]
] = [  # operator, inputs (the first is fed, the rest are constants; None is left out), attributes
    ("Conv", [X, floats(4, 6, 3, 3), floats(4)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("Conv", [X, floats(4, 6, 3, 3)], {"pads": [0, 1, 2, 0]}),
    ("Conv", [X, floats(4, 6, 3, 3)], {"dilations": [2, 3], "pads": [2, 3, 2, 3]}),
    ("Conv", [X, floats(4, 6, 1, 5)], {"auto_pad": "VALID"}),
    ("Conv", [floats(1, 3, 9), floats(2, 3, 3)], {"pads": [1, 1]}),
    ("ConvTranspose", [X, floats(6, 4, 3, 3), floats(4)], {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    ("ConvTranspose", [X, floats(6, 2, 4, 4)], {"strides": [2, 2], "group": 2}),
    ("Conv", [X, floats(6, 2, 4, 4)], {"group": 3}),
    *((op, [X], {}) for op in ("Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Exp", "Erf", "Tanh", "Abs", "Neg")),
    *((op, [X], {}) for op in ("Floor", "Ceil", "Identity", "GlobalAveragePool", "Softmax")),
    ("LeakyRelu", [X], {"alpha": 0.3}),
    ("HardSigmoid", [X], {"alpha": 0.3, "beta": 0.4}),
    ("PRelu", [X, floats(6, 1, 1)], {}),
    ("Clip", [X, F32(-0.5), F32(0.7)], {}),
    ("Clip", [X, None, F32(0.7)], {}),
    ("Clip", [RNG.integers(0, 255, (3, 4), dtype=np.uint8), np.uint8(7), np.uint8(99)], {}),
    *((op, [X, floats(6, 1, 10)], {}) for op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Greater", "Less")),
    ("Max", [X, floats(10), floats(13, 1)], {}),
    ("Div", [ints(7, -7, 9), ints(2, 2, -4)], {}),
    ("Equal", [ints(1, 2, 3), ints(1, 0, 3)], {}),
    ("Pow", [positive(3, 4), floats(4)], {}),
    ("Pow", [ints(2, 3), np.float32(2)], {}),
    ("Sqrt", [positive(3, 4)], {}),
    ("MatMul", [floats(2, 3, 4), floats(4, 5)], {}),
    ("Gemm", [floats(3, 4), floats(5, 4), floats(5)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", [floats(4, 3), floats(4, 5)], {"transA": 1}),
    ("Softmax", [X], {"axis": 1}),
    ("BatchNormalization", [X, floats(6), floats(6), floats(6), positive(6)], {"epsilon": 1e-3}),
    ("Concat", [X, floats(1, 2, 13, 10)], {"axis": 1}),
    ("Slice", [X, ints(1, -4), ints(2**62, -1), ints(2, -1)], {}),
    ("Slice", [X, ints(-1, 8), ints(-(2**62), 1), ints(2, 3), ints(-1, -3)], {}),
    ("Slice", [X, ints(0, 0, 1, 0), ints(1, 6, 12, 9), None, ints(1, 2, 3, 1)], {}),
    ("MaxPool", [X], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("MaxPool", [X], {"kernel_shape": [2, 3], "strides": [2, 2], "pads": [0, 1, 1, 2], "dilations": [2, 1]}),
    ("MaxPool", [X], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", [X], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("AveragePool", [X], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    *((op, [X, ints(-1, 2)], {"keepdims": keep}) for op, keep in itertools.product(("ReduceMean", "ReduceMax"), (0, 1))),
    ("ReduceMean", [X], {}),
    ("ReduceSum", [X, ints(1)], {"keepdims": 0}),
    ("ReduceSum", [ints(3, 4)], {"noop_with_empty_axes": 1}),
    ("ArgMax", [X], {"axis": 1, "keepdims": 0}),
    ("ArgMax", [np.zeros((2, 5), F32)], {"axis": 1}),
    ("ArgMax", [X], {}),
    *(
        ("Cast", [floats(3, 4) * 50 + 120], {"to": to})
        for to in (TensorProto.UINT8, TensorProto.INT64, TensorProto.FLOAT16, TensorProto.BOOL)
    ),
    ("Transpose", [X], {"perm": [0, 2, 3, 1]}),
    ("Transpose", [floats(2, 3, 4)], {}),
    ("Reshape", [X, ints(0, 2, -1, 10)], {}),
    *(("DepthToSpace", [floats(2, 12, 3, 5)], {"blocksize": 2, "mode": mode}) for mode in ("CRD", "DCR")),
    ("DepthToSpace", [floats(1, 18, 2, 3)], {"blocksize": 3}),
    ("Flatten", [X], {"axis": 2}),
    ("Flatten", [X], {"axis": -1}),
    ("Squeeze", [floats(1, 3, 1, 2), ints(0, -2)], {}),
    ("Squeeze", [floats(1, 3, 1, 2)], {}),
    ("Unsqueeze", [floats(3, 2), ints(-1, 0)], {}),
    ("Gather", [X, ints(0, -1, 2)], {"axis": 1}),
    ("Gather", [X, np.int64(-2)], {"axis": 2}),
    ("Gather", [floats(5, 3), np.array([[0, 1], [4, -1]], np.int64)], {}),
    ("QuantizeLinear", [X * 4, F32(0.05), np.uint8(0)], {}),
    ("QuantizeLinear", [X, F32(0.02), np.int8(-3)], {}),
    ("QuantizeLinear", [X, positive(6)], {}),
    ("QuantizeLinear", [X, positive(13), np.zeros(13, np.int8)], {"axis": 2}),
    ("QuantizeLinear", [np.array([0.5, 1.5, 2.5, -0.5], F32), F32(1), np.int8(0)], {}),
    ("DequantizeLinear", [RNG.integers(-128, 128, (2, 3, 4), np.int8), F32(0.1), np.int8(5)], {}),
    ("DequantizeLinear", [RNG.integers(0, 256, (2, 3, 4), np.uint8), positive(2), RNG.integers(0, 9, 2, np.uint8)], {"axis": 0}),
    ("DequantizeLinear", [RNG.integers(-128, 128, (2, 3, 4), np.int8), positive(3)], {}),
    ("Pad", [X, ints(0, 0, 1, 2, 0, 1, 0, 3), F32(1.5)], {}),
    ("Pad", [X, ints(1, 2, 3, 0), None, ints(-1, 2)], {}),
    ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 4)], {"mode": "reflect"}),
    ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 4)], {"mode": "edge"}),
    ("Expand", [floats(3, 1), ints(2, 1, 4)], {}),
    ("Expand", [floats(2, 3, 4), ints(3, 1)], {}),
    ("Where", [np.array([[True], [False]]), floats(2, 3), floats(3)], {}),
]

RESIZES = [
    (attrs, how)
    for attrs in (
        *({"mode": "linear", "coordinate_transformation_mode": coords} for coords in ("half_pixel", "pytorch_half_pixel", "align_corners")),
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    )
    for how in ("sizes_up", "sizes_down", "one", "scales_up", "scales_down")
    # where corners are aligned, runtimes differ on what scales that do not divide mean
    if not (attrs["coordinate_transformation_mode"] == "align_corners" and how.startswith("scales"))
    and (attrs["coordinate_transformation_mode"], how) != ("pytorch_half_pixel", "one")  # which torch itself does otherwise by now
]
HOW = {
    "sizes_up": (None, ints(1, 6, 31, 23)),
    "sizes_down": (None, ints(1, 6, 6, 7)),
    "one": (None, ints(1, 6, 1, 1)),
    "scales_up": (np.array([1, 1, 2, 2.5], F32), None),
    "scales_down": (np.array([1, 1, 0.5, 0.5], F32), None),
}


def both(
    tmp_path: Path, op: str, inputs: list[Any], attrs: dict[str, Any], outputs: int = 1, opset: int = 18
) -> tuple[list[Any], list[Any]]:
    """What ONNX Runtime and the torch backend give for a graph of one node."""
    names = ["" if value is None else f"i{i}" for i, value in enumerate(inputs)]
    constants = {name: value for name, value in list(zip(names, inputs, strict=True))[1:] if name}
    outs = [f"o{i}" for i in range(outputs)]
    kind = helper.np_dtype_to_tensor_dtype(inputs[0].dtype)
    fed = {"i0": (kind, list(inputs[0].shape))}
    path = save(tmp_path / "op.onnx", [helper.make_node(op, names, outs, **attrs)], fed, dict.fromkeys(outs, 0), constants, opset)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"i0": inputs[0]})
    typed = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in zip(outs, expected, strict=True)}
    path = save(tmp_path / "op.onnx", [helper.make_node(op, names, outs, **attrs)], fed, typed, constants, opset)
    stage = open_backend("torch", device="cpu", precision="fp32", threads=1).load(path, {"i0": inputs[0].shape})
    got = stage({"i0": inputs[0]})
    return [got[name] for name in outs], expected


def same(got: list[Any], expected: list[Any]) -> None:
    for mine, theirs in zip(got, expected, strict=True):
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("op", "inputs", "attrs"), CASES, ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)])
def test_operator_agrees_with_onnxruntime(tmp_path: Path, op: str, inputs: list[Any], attrs: dict[str, Any]) -> None:
    same(*both(tmp_path, op, inputs, attrs))


@pytest.mark.parametrize(("attrs", "how"), RESIZES)
def test_resize_agrees_with_onnxruntime(tmp_path: Path, attrs: dict[str, Any], how: str) -> None:
    scales, sizes = HOW[how]
    same(*both(tmp_path, "Resize", [X, None, scales, sizes], attrs))


@pytest.mark.parametrize(("count", "attrs"), [(3, {"axis": 1}), (2, {"largest": 0})])
def test_top_k_gives_values_and_places(tmp_path: Path, count: int, attrs: dict[str, Any]) -> None:
    same(*both(tmp_path, "TopK", [X, ints(count)], attrs, outputs=2))


@pytest.mark.parametrize(("inputs", "attrs"), [([X, ints(1, 2, 3)], {"axis": 1}), ([X], {"axis": -1, "num_outputs": 3})])
def test_split_agrees_with_onnxruntime(tmp_path: Path, inputs: list[Any], attrs: dict[str, Any]) -> None:
    same(*both(tmp_path, "Split", inputs, attrs, outputs=3))


def test_axes_as_attributes_of_older_opsets(tmp_path: Path) -> None:
    same(*both(tmp_path, "ReduceMean", [X], {"axes": [2, 3]}, opset=13))
    same(*both(tmp_path, "ReduceMax", [X], {"axes": [-1], "keepdims": 0}, opset=13))


def test_shapes_and_weights_are_folded_and_nothing_is_kept_alive(tmp_path: Path) -> None:
    stage = open_backend("torch", device="cpu", precision="fp32", threads=1).load(
        segmentation_net(tmp_path / "n.onnx"), {"image": (1, 48, 64, 3)}
    )
    steps = stage._steps  # type: ignore[attr-defined]
    assert {step.node.op for step in steps}.isdisjoint({"Shape", "Constant"})
    casts = [step.node.outputs[0] for step in steps if step.node.op == "Cast"]
    assert len(casts) == 2  # of the image and of the labels; those of the weights are gone
    values = {"image": torch.zeros((1, 48, 64, 3), dtype=torch.uint8)}
    most = 0
    for step in steps:
        step.run(values)
        most = max(most, len(values))
    assert set(values) == {"labels", "features"}
    assert most <= 7


def test_constant_and_passed_through_outputs(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("ConstantOfShape", ["shape"], ["sevens"], value=numpy_helper.from_array(np.array([7], np.int64))),
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("Relu", ["x"], ["nobody_reads_this"]),
    ]
    outputs = {"shape": TensorProto.INT64, "half": TensorProto.FLOAT, "sevens": TensorProto.INT64, "same": TensorProto.FLOAT}
    path = save(tmp_path / "c.onnx", nodes, {"x": (TensorProto.FLOAT, ["n", 3])}, outputs, {})
    stage = open_backend("torch", device="cpu", precision="fp32", threads=1).load(path, {"x": (2, 3)})
    x = floats(2, 3)
    for _ in range(2):
        got = stage({"x": x})
        assert got["shape"].tolist() == [2, 3]
        assert got["half"] == 0.5
        assert got["sevens"].tolist() == [[7, 7, 7], [7, 7, 7]]
        np.testing.assert_array_equal(got["same"], x)
        assert not np.shares_memory(got["same"], x)


def load_node(tmp_path: Path, op: str, attrs: dict[str, Any], constants: dict[str, Any], opset: int = 18) -> None:
    node = helper.make_node(op, ["x", *constants], ["y"], name="the_node", **attrs)
    path = save(tmp_path / "m.onnx", [node], {"x": (TensorProto.FLOAT, [1, 2, 4, 4])}, {"y": TensorProto.FLOAT}, constants, opset)
    open_backend("torch", device="cpu", precision="fp32", threads=1).load(path, {"x": (1, 2, 4, 4)})


def test_an_operator_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"Asinh.*'the_node'.*m\.onnx"):
        load_node(tmp_path, "Asinh", {}, {})


SCALES = {"roi": floats(0), "scales": np.array([1, 1, 2, 2], F32)}


@pytest.mark.parametrize(
    ("op", "attrs", "constants", "told"),
    [
        ("Resize", {"mode": "cubic"}, SCALES, "'cubic'"),
        ("Resize", {"mode": "nearest"}, SCALES, "'round_prefer_floor'"),
        ("Resize", {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}, SCALES, "'asymmetric'"),
        ("Resize", {"mode": "linear"}, SCALES | {"scales": np.array([1, 2, 2, 2], F32)}, "other axes"),
        (
            "Resize",
            {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
            SCALES | {"scales": np.array([1, 1, 0.25, 0.5], F32)},
            "'pytorch_half_pixel'",
        ),
        ("Conv", {"auto_pad": "SAME_UPPER"}, {"w": floats(1, 2, 3, 3)}, "SAME_UPPER"),
        ("ConvTranspose", {"pads": [0, 1, 1, 0]}, {"w": floats(2, 1, 3, 3)}, "uneven"),
        ("AveragePool", {"kernel_shape": [2, 2], "pads": [0, 1, 1, 0]}, {}, "uneven"),
    ],
)
def test_a_variant_that_is_missing_is_named(tmp_path: Path, op: str, attrs: dict[str, Any], constants: dict[str, Any], told: str) -> None:
    with pytest.raises(BackendError, match=rf"{op}.*'the_node'.*{told}.*use openvino or onnxruntime"):
        load_node(tmp_path, op, attrs, constants)


def test_a_node_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"Add.*'the_node'.*must match"):
        load_node(tmp_path, "Add", {}, {"b": floats(3)})


def test_an_opset_that_is_too_old_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="opset 11"):
        load_node(tmp_path, "Relu", {}, {}, opset=11)
