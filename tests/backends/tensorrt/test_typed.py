"""Typed networks have the types that were asked for, keep their borders, and give the labels of the fp32 ones."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from drive_seg.backends.tensorrt.typed import typed_network  # noqa: E402
from drive_seg.errors import BackendError  # noqa: E402

from ..graphs import noise_image, save, segmentation_net  # noqa: E402
from .networks import BUNDLES, SIZE, bundle, labels, run  # noqa: E402

FLOAT = TensorProto.FLOAT


def kinds(model: bytes) -> dict[str, int]:
    """Every tensor's type."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model), strict_mode=True, data_prop=True).graph
    found = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}
    return {**found, **{tensor.name: tensor.data_type for tensor in graph.initializer}}


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """A drive that the bundles have learned to read."""
    from drive_seg.network.preprocess import to_input
    from drive_seg.sources import open_source

    with open_source("demo:?seed=3&frames=40", loop=False) as source:
        for _ in range(30):
            read = source.read()
    assert read is not None
    return to_input(read.image, SIZE)


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
@pytest.mark.parametrize(("precision", "share"), [("fp16", 0.995), ("int8", 0.985)])
def test_labels_are_those_of_fp32(folder: Path, precision: str, share: float, frame: np.ndarray) -> None:
    one = bundle(folder)
    expected = labels(one, "fp32", frame)
    assert len(np.unique(expected)) >= 4
    assert np.mean(labels(one, precision, frame) == expected) >= share


def test_fp16_is_fp16_between_float_borders(tmp_path: Path) -> None:
    path = segmentation_net(tmp_path / "net.onnx")
    typed = typed_network(path, {"image": (1, 90, 118, 3)}, "fp16")
    types = kinds(typed.model)
    assert typed.precision == "fp16"
    assert (types["image"], types["labels"], types["features"]) == (TensorProto.UINT8, TensorProto.UINT8, FLOAT)
    assert {name for name, kind in types.items() if kind == FLOAT} == {"features"}
    image = noise_image(90, 118)
    reference, answer = (run(typed_network(path, {"image": image.shape}, p).model, {"image": image}) for p in ("fp32", "fp16"))
    assert answer["features"].dtype == np.float32
    assert 0 < np.abs(answer["features"] - reference["features"]).max() < 0.02
    assert np.mean(answer["labels"] == reference["labels"]) >= 0.99


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = segmentation_net(tmp_path / "net.onnx")
    assert len({typed_network(path, {"image": (1, 90, 118, 3)}, "fp16").model for _ in range(2)}) == 1


def test_sizes_that_are_computed_in_floats_stay_exact(tmp_path: Path) -> None:
    """2049 * 2 by way of floats, as old exporters write it: fp16 has no 2049."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["floats"], to=FLOAT),
        helper.make_node("Mul", ["floats", "factors"], ["wanted"]),
        helper.make_node("Cast", ["wanted"], ["sizes"], to=TensorProto.INT64),
        helper.make_node("Relu", ["x"], ["positive"]),
        helper.make_node("Resize", ["positive", "", "", "sizes"], ["large"], mode="nearest"),
        helper.make_node("ReduceMax", ["floats"], ["widest"], keepdims=0),
        helper.make_node("Add", ["large", "widest"], ["y"]),
    ]
    path = save(tmp_path / "net.onnx", nodes, {"x": (FLOAT, [1, 1, 1, "w"])}, {"y": FLOAT}, {"factors": np.array([1, 1, 1, 2], np.float32)})
    answer = run(typed_network(path, {"x": (1, 1, 1, 2049)}, "fp16").model, {"x": np.ones((1, 1, 1, 2049), np.float32)})
    assert answer["y"].shape == (1, 1, 1, 4098)
    np.testing.assert_array_equal(answer["y"], 2050)


def test_constants_beyond_fp16_become_its_greatest_and_scales_of_a_resize_stay(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["mask"], value=numpy_helper.from_array(np.array([0, -1e9], np.float32), "v")),
        helper.make_node("Constant", [], ["scales"], value_floats=[1.0, 1.0, 1.0, 1.5]),
        helper.make_node("Add", ["x", "mask"], ["masked"]),
        helper.make_node("Resize", ["masked", "", "scales"], ["y"], mode="nearest"),
    ]
    path = save(tmp_path / "net.onnx", nodes, {"x": (FLOAT, [1, 1, 1, 2])}, {"y": FLOAT}, {})
    typed = typed_network(path, {"x": (1, 1, 1, 2)}, "fp16")
    answer = run(typed.model, {"x": np.zeros((1, 1, 1, 2), np.float32)})["y"]
    assert answer.shape == (1, 1, 1, 3)
    np.testing.assert_array_equal(answer.ravel()[[0, 2]], [0, -65504])


def quantised(path: Path, low: float, high: float, zero_type: type = np.uint8) -> str:
    """A convolution between Q/DQ as `drive-seg quantize` writes them: uint8 with a zero point, int8 weights by channel."""
    limits = np.iinfo(zero_type)
    scale = np.float32((high - low) / (limits.max - limits.min))
    weights = np.random.default_rng(0).standard_normal((4, 3, 1, 1)).astype(np.float32) * np.array([1, 0.1, 1e-4, 0])[:, None, None, None]
    steps = np.maximum(np.abs(weights).max((1, 2, 3)) / 127, 1e-9).astype(np.float32)
    constants = {
        "s": scale,
        "z": zero_type(np.rint(limits.min - low / scale)),
        "w": np.rint(weights / steps[:, None, None, None]).astype(np.int8),
        "ws": steps,
        "wz": np.zeros(4, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="d"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], name="wd", axis=0),
        helper.make_node("Conv", ["d", "wd"], ["y"], name="conv"),
    ]
    return save(path, nodes, {"x": (FLOAT, [1, 3, "h", "w"])}, {"y": FLOAT}, constants)


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-2.0, 1.0), (-1.0, 3.0)])
def test_zero_points_become_0_over_the_same_range(tmp_path: Path, low: float, high: float) -> None:
    path = quantised(tmp_path / "q.onnx", low, high)
    typed = typed_network(path, {"x": (1, 3, 8, 8)}, "int8")
    model = onnx.load_from_string(typed.model)
    onnx.checker.check_model(model, full_check=True)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert typed.precision == "int8"
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = constants[node.input[1]], constants[node.input[2]]
            assert (scale.dtype, zero.dtype) == (np.float16, np.int8)
            assert np.all(scale > 0)
            assert not zero.any()
    q = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    reach = float(constants[q.input[1]]) * 127
    assert max(-low, high) <= reach * 1.001 <= max(-low, high) * 1.02
    x = np.random.default_rng(1).uniform(low, high, (1, 3, 8, 8)).astype(np.float32)
    expected = run(typed_network(path, {"x": x.shape}, "int8").model, {"x": x})["y"]
    reference = run(Path(path).read_bytes(), {"x": x})["y"]
    for channel in range(3):  # each by its own size: small weights are not lost to fp16 scales
        error = np.abs(expected[0, channel] - reference[0, channel]).max() / np.abs(reference[0, channel]).max()
        assert error < 0.03, channel
    assert not expected[0, 3].any()


def test_fp8_takes_the_same_ranges(tmp_path: Path) -> None:
    typed = typed_network(quantised(tmp_path / "q.onnx", -1.0, 3.0), {"x": (1, 3, 8, 8)}, "fp8")
    model = onnx.load_from_string(typed.model)
    onnx.checker.check_model(model)
    assert typed.precision == "fp8"
    assert TensorProto.FLOAT8E4M3FN in {tensor.data_type for tensor in model.graph.initializer}
    assert TensorProto.INT8 not in {tensor.data_type for tensor in model.graph.initializer}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    q = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    assert float(constants[q.input[1]]) * 448 == pytest.approx(3.0, rel=0.01)


def test_a_quantised_network_is_int8_whatever_floats_are_asked_for(tmp_path: Path) -> None:
    path = quantised(tmp_path / "q.onnx", 0.0, 1.0)
    assert typed_network(path, {"x": (1, 3, 8, 8)}, "fp16").precision == "int8"
    assert typed_network(segmentation_net(tmp_path / "f.onnx"), {"image": (1, 64, 64, 3)}, "int8").precision == "fp16"


def test_what_cannot_be_typed_is_said_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is no protobuf" * 10)
    net = segmentation_net(tmp_path / "net.onnx")
    scaled = [helper.make_node("Abs", ["x"], ["s"]), helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], name="nobody")]
    odd = save(tmp_path / "odd.onnx", scaled, {"x": (FLOAT, [1])}, {"y": TensorProto.UINT8}, {"z": np.uint8(3)})
    for path, shapes, says in (
        (str(tmp_path / "absent.onnx"), {"image": (1, 8, 8, 3)}, "no such file"),
        (str(broken), {"image": (1, 8, 8, 3)}, "broken.onnx"),
        (net, {"picture": (1, 8, 8, 3)}, "picture"),
        (net, {"image": (1, 8, 8, 4)}, "image"),
        (odd, {"x": (1,)}, "'?nobody'?.*no constants"),
    ):
        with pytest.raises(BackendError, match=says) as caught:
            typed_network(path, shapes, "fp16")
        assert "\n" not in str(caught.value)
