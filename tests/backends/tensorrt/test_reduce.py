"""A picture that the stage reduces itself gives the labels of one that was reduced on the CPU, and compiles."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from drive_seg.backends.tensorrt.typed import typed_network  # noqa: E402
from drive_seg.network.preprocess import input_size, to_input  # noqa: E402
from drive_seg.sources import open_source  # noqa: E402

from ..graphs import save  # noqa: E402
from .networks import BUNDLES, SIZE, bundle, labels, low_shapes, run  # noqa: E402


@pytest.fixture(scope="module")
def drive() -> np.ndarray:
    with open_source("demo:?seed=3&frames=40", loop=False) as source:
        for _ in range(30):
            read = source.read()
    assert read is not None
    return read.image


@pytest.mark.parametrize(
    ("frame_hw", "to_hw"),
    [((48, 64), (24, 32)), ((48, 64), (32, 40)), ((97, 131), (24, 32)), ((100, 128), (24, 40)), ((20, 30), (24, 32))],
    ids=["a whole factor", "less than two", "with a rest", "both", "larger"],
)
def test_the_picture_is_that_of_to_input(tmp_path: Path, drive: np.ndarray, frame_hw: tuple[int, int], to_hw: tuple[int, int]) -> None:
    nodes = [helper.make_node("Cast", ["image"], ["y"], to=TensorProto.FLOAT)]
    path = save(tmp_path / "net.onnx", nodes, {"image": (TensorProto.UINT8, [1, "h", "w", 3])}, {"y": TensorProto.FLOAT}, {})
    frame = np.asarray(cv2.resize(drive, frame_hw[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    model = typed_network(path, {"image": (1, *to_hw, 3)}, "fp32", {"image": frame_hw}).model
    answer = run(model, {"image": frame[None]})["y"]
    wanted = to_input(frame, to_hw).astype(np.float32)
    assert answer.shape == wanted.shape
    apart = np.abs(answer - wanted)
    factor = max(1, min(frame_hw[0] // to_hw[0], frame_hw[1] // to_hw[1]))
    assert apart.mean() < 1
    if not (frame_hw[0] % factor or frame_hw[1] % factor):
        assert apart.max() <= 1.01  # to_input rounds twice


@pytest.mark.parametrize("frame_hw", [(720, 1280), (1024, 2048), (375, 1242)], ids=str)
def test_labels_are_those_of_a_picture_reduced_on_the_cpu(drive: np.ndarray, frame_hw: tuple[int, int]) -> None:
    one = bundle(BUNDLES[0])
    size_hw = input_size(frame_hw, SIZE, one.card.input.multiple)
    frame = np.asarray(cv2.resize(drive, frame_hw[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    expected = labels(one, "fp32", to_input(frame, size_hw))
    assert len(np.unique(expected)) >= 4
    assert np.mean(labels(one, "fp16", frame[None], size_hw) == expected) >= 0.995


@pytest.mark.tensorrt
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_frames_of_any_size_compile(tmp_path: Path, precision: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    from drive_seg.backends.tensorrt.ahead import AheadOfTime, local_provider
    from drive_seg.backends.tensorrt.store import Store

    one, said = bundle(BUNDLES[0]), list[str]()
    made = AheadOfTime(precision, said.append, provider=local_provider(Store(tmp_path)))
    for frame_hw in ((720, 1280), (1080, 1920), (1024, 2048), SIZE):
        stage = made.load_reducing(one.onnx("low", int8=precision == "int8"), low_shapes(one), "image", frame_hw)
        assert (stage.inputs[0].dtype, stage.inputs[0].shape) == ("uint8", (1, *frame_hw, 3))
    assert len(made.entries) == 4
    assert {entry.about.precision for entry in made.entries} == {precision}
    assert len({stage.outputs, *(entry.about.outputs for entry in made.entries)}) == 1
    assert not [line for line in said if "again" in line]  # no other size's engine is called stale
