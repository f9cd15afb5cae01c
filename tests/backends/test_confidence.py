"""An ONNX file that ends in labels tells how sure it is of them, on every backend alike; one that cannot says why."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_seg.backends import open_backend
from drive_seg.backends.confidence import with_confidence
from drive_seg.contracts import STEPS, Array
from drive_seg.errors import BackendError

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402  (after the skip)

from .graphs import save  # noqa: E402
from .tensorrt.networks import BUNDLES, bundle, run  # noqa: E402

CLASSES, HEIGHT, WIDTH = 5, 6, 9
SCORES = (np.random.default_rng(4).standard_normal((1, 4 * CLASSES, HEIGHT, WIDTH)) * 3).astype(np.float32)
PLAIN = SCORES[:, :CLASSES]
HEAD_SHAPES = {"fine": (1, 32, 24, 32), "detail": (1, 64, 12, 16), "context": (1, 128, 6, 8)}  # of BUNDLES[0]


def plain(path: Path, opset: int = 18, keepdims: int = 0, kind: int = TensorProto.INT64) -> str:
    """Scores to whole numbers, by nothing but the ArgMax; or with the classes' axis kept."""
    node = helper.make_node("ArgMax", ["scores"], ["labels"], axis=1, keepdims=keepdims)
    return save(path, [node], {"scores": (TensorProto.FLOAT, list(PLAIN.shape))}, {"labels": kind}, {}, opset)


def subpixel(path: Path) -> str:
    """As the bundles' heads end: four places of each cell, compared before they are put in order."""
    nodes = [
        helper.make_node("Reshape", ["scores", "apart"], ["cells"]),
        helper.make_node("ArgMax", ["cells"], ["best"], axis=1, keepdims=0),
        helper.make_node("Transpose", ["best"], ["turned"], perm=[0, 3, 1, 4, 2]),
        helper.make_node("Reshape", ["turned", "together"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["labels"], to=TensorProto.UINT8),
    ]
    constants: dict[str, Any] = {"apart": [1, CLASSES, 2, 2, HEIGHT, WIDTH], "together": [1, 2 * HEIGHT, 2 * WIDTH]}
    return save(path, nodes, {"scores": (TensorProto.FLOAT, list(SCORES.shape))}, {"labels": TensorProto.UINT8}, constants)


def in_order(scores: Array) -> Array:
    """(classes, 2h, 2w)"""
    return scores.reshape(CLASSES, 2, 2, HEIGHT, WIDTH).transpose(0, 3, 1, 4, 2).reshape(CLASSES, 2 * HEIGHT, 2 * WIDTH)


def assert_told(made: Any, scores: Array) -> None:
    """`scores` (classes, h, w): what was put out is what numpy says of them."""
    shares = np.exp(scores.astype(np.float64))
    shares /= shares.sum(0)
    order = np.argsort(-shares, axis=0)
    assert np.array_equal(made["labels"].reshape(order.shape[1:]), order[0])
    assert np.array_equal(made["runner_up"].reshape(order.shape[1:]), order[1])
    steps = made["confidence"].reshape(order.shape[1:]).astype(int)
    assert np.abs(steps - np.floor(shares.max(0) * STEPS)).max() <= 1  # a share on the edge of a step
    assert len(np.unique(steps)) > 30
    for name in ("confidence", "runner_up"):
        assert (made[name].shape, made[name].dtype) == (made["labels"].shape, made["labels"].dtype)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime", "torch"])
def test_every_backend_tells_what_numpy_says(tmp_path: Path, backend: str) -> None:
    opened = open_backend(backend, device="cpu", precision="fp32", threads=1)
    given = (plain(tmp_path / "a.onnx"), PLAIN, PLAIN[0]), (subpixel(tmp_path / "b.onnx"), SCORES, in_order(SCORES))
    for path, fed, scores in (*given, (plain(tmp_path / "c.onnx", keepdims=1), PLAIN, PLAIN[0])):
        before = Path(path).read_bytes()
        with with_confidence(path, "labels") as told:
            stage = opened.load(told, {"scores": fed.shape})
        assert not Path(told).exists()
        assert Path(path).read_bytes() == before
        assert_told(stage({"scores": np.array(fed)}), scores)


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
def test_every_head_of_every_bundle_can_tell_and_is_the_same_file_each_time(folder: Path) -> None:
    one = bundle(folder)
    paths = {one.onnx("head", int8, propagation) for int8 in (False, True) for propagation in one.card.propagations}
    for path in paths:
        with with_confidence(path, one.card.labels) as first, with_confidence(path, one.card.labels) as second:
            assert Path(first).read_bytes() == Path(second).read_bytes()
            assert Path(first).parent.name == folder.name  # by which engines are kept
            assert Path(first).name != Path(path).name  # beside those of the plain head
            outputs = [value.name for value in onnx.load(first).graph.output]
        assert {"confidence", "runner_up"} < set(outputs)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_typed_for_tensorrt_it_tells_the_same(precision: str) -> None:
    from drive_seg.backends.tensorrt.typed import typed_network

    one = bundle(BUNDLES[0])
    fed = {name: np.random.default_rng(0).random(shape, np.float32) for name, shape in HEAD_SHAPES.items()}
    with with_confidence(one.onnx("head", precision == "int8"), one.card.labels) as path:
        exact, made = (run(typed_network(path, HEAD_SHAPES, one_of).model, fed) for one_of in ("fp32", precision))
    assert np.mean(made["labels"] == exact["labels"]) > 0.97
    assert np.mean(made["runner_up"] == exact["runner_up"]) > 0.9
    assert np.abs(made["confidence"].astype(int) - exact["confidence"]).mean() < 5
    assert made["confidence"].dtype == np.uint8


@pytest.mark.tensorrt
def test_tensorrt_compiles_it(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    from drive_seg.backends.tensorrt.ahead import AheadOfTime, local_provider
    from drive_seg.backends.tensorrt.store import Store

    one, backend = bundle(BUNDLES[0]), AheadOfTime("int8", lambda _: None, provider=local_provider(Store(tmp_path)))
    with with_confidence(one.onnx("head", int8=True), one.card.labels) as path:
        head = backend.load(path, HEAD_SHAPES)
    made = {spec.name: (spec.dtype, spec.shape) for spec in head.outputs}
    assert made == dict.fromkeys(("labels", "confidence", "runner_up"), ("uint8", (1, 48, 64)))


def test_what_cannot_tell_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = save(
        tmp_path / "floor.onnx",
        [helper.make_node("Floor", ["scores"], ["labels"])],
        {"scores": (TensorProto.FLOAT, [1, 4, 4])},
        {"labels": TensorProto.FLOAT},
        {},
    )
    (tmp_path / "none.onnx").write_bytes(b"no network")
    for path, why in (
        (other, "floor.onnx: its labels are not the largest"),
        (plain(tmp_path / "old.onnx", opset=12), "old.onnx: is ONNX opset 12"),
        (str(tmp_path / "none.onnx"), "none.onnx cannot be made to tell"),
    ):
        with pytest.raises(BackendError, match=f"^{why}.*; leave --confidence out$"), with_confidence(path, "labels"):
            pass
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BackendError, match=r"needs the package onnx.*pip install"), with_confidence(other, "labels"):
        pass
