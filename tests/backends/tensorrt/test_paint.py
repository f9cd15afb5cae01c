"""What is painted on the GPU is what overlay.Painter paints; it compiles, and takes the frame from where it is."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from drive_seg.backends.tensorrt.paint import INPUTS, TensorRtPainter, paint_network
from drive_seg.backends.tensorrt.runtime import EngineRunner, TensorRtStage
from drive_seg.backends.tensorrt.typed import typed_network
from drive_seg.contracts import Array, TensorSpec
from drive_seg.errors import BackendError
from drive_seg.overlay import Look, Painter

from .fake_cuda import FakeCuda, FakeGpu, FakeProgram
from .networks import run

PALETTE = tuple((17 * i % 256, 255 - 9 * i, 40 * i % 256) for i in range(11))


def shapes(frame_hw: tuple[int, int], labels_hw: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    return dict(zip(INPUTS, [(1, *frame_hw, 3), (1, *labels_hw), (256, 3), (256, 1)], strict=True))


@pytest.mark.parametrize(("frame_hw", "labels_hw"), [((72, 128), (32, 56)), ((97, 131), (45, 60)), ((24, 40), (24, 40))], ids=str)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(
    "look", [Look(PALETTE), Look(PALETTE, 0.37, frozenset({2, 5})), Look(PALETTE, 1.0)], ids=["half", "hidden", "mask"]
)
def test_it_is_what_the_painter_paints(
    tmp_path: Path, frame_hw: tuple[int, int], labels_hw: tuple[int, int], precision: str, look: Look
) -> None:
    rng, painter = np.random.default_rng(0), Painter(look)
    image = rng.integers(0, 256, (*frame_hw, 3), dtype=np.uint8)
    labels = rng.choice(np.array([*range(11), 255], np.uint8), labels_hw)
    assert painter.tables is not None
    given = dict(zip(INPUTS, [image[None], labels[None], *painter.tables], strict=True))
    model = typed_network(paint_network(tmp_path, frame_hw, labels_hw), shapes(frame_hw, labels_hw), precision).model
    painted = run(model, given)["overlay"]
    assert painted.dtype == np.uint8
    assert np.abs(painted[0].astype(int) - painter.paint(image, labels)).max() <= 2


def test_contours_are_for_the_painter_alone() -> None:
    assert Painter(Look(PALETTE, contours=True)).tables is None


def test_its_network_is_written_once(tmp_path: Path) -> None:
    path = Path(paint_network(tmp_path / "new", (72, 128), (32, 56)))
    made = path.read_bytes()
    path.write_bytes(b"what a machine without the package onnx was given")
    assert paint_network(tmp_path / "new", (72, 128), (32, 56)) == str(path)
    assert path.read_bytes() != made
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="cannot be written"):
        paint_network(tmp_path / "file" / "new", (72, 128), (32, 56))


@pytest.mark.tensorrt
@pytest.mark.parametrize("precision", ["fp16", "fp32", "int8"])
def test_it_compiles(tmp_path: Path, precision: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    from drive_seg.backends.tensorrt.ahead import AheadOfTime, BuiltStage, local_provider
    from drive_seg.backends.tensorrt.store import Store

    made = AheadOfTime(precision, lambda line: None, provider=local_provider(Store(tmp_path)))

    class Low(BuiltStage):
        def __init__(self) -> None:
            self.inputs, self.outputs = (TensorSpec("image", "uint8", (1, 720, 1280, 3)),), ()

    made.load_painter(Low(), "image", (156, 276))
    (entry,) = made.entries
    assert [(spec.name, spec.dtype, spec.shape) for spec in entry.about.outputs] == [("overlay", "uint8", (1, 720, 1280, 3))]
    assert [spec.name for spec in entry.about.inputs] == list(INPUTS)


def test_the_frame_is_taken_from_where_it_is_and_one_copy_leaves() -> None:
    gpu = FakeGpu()
    cudas = FakeCuda(gpu=gpu), FakeCuda(gpu=gpu)
    picture, mean = (TensorSpec("image", "uint8", (1, 4, 6, 3)),), (TensorSpec("mean", "float32", (1,)),)
    program = FakeProgram(cudas[0], picture, mean, lambda image: {"mean": np.float32(image.mean(dtype=np.float64))})
    low = TensorRtStage(EngineRunner("low", picture, mean, program, cudas[0], True, {}))
    kinds = zip(INPUTS, ["uint8", "uint8", "float32", "float32"], shapes((4, 6), (2, 3)).values(), strict=True)
    inputs, overlay = tuple(TensorSpec(*kind) for kind in kinds), (TensorSpec("overlay", "uint8", (1, 4, 6, 3)),)

    def compute(image: Array, labels: Array, colours: Array, shares: Array) -> dict[str, Array]:
        return {"overlay": image + labels[0, 0, 0]}

    runner = EngineRunner("paint", inputs, overlay, FakeProgram(cudas[1], inputs, overlay, compute), cudas[1], True, {})
    paint = TensorRtPainter(runner, low.runner, "image")
    tables, shown = (np.zeros((256, 3), np.float32), np.zeros((256, 1), np.float32)), []
    for value in (10, 20, 30):
        low({"image": np.full((1, 4, 6, 3), value, np.uint8)})
        before = len(cudas[1].calls)
        shown.append(paint(np.full((2, 3), 1, np.uint8), *tables))
    assert [int(one[0, 0, 0]) for one in shown] == [11, 21, 31]  # each its own
    assert cudas[1].calls[before:] == ["launch", "record", "wait"]
    assert cudas[1].calls.count("copy") == 1  # in the graph, beside three small uploads
    low.close()
    with pytest.raises(BackendError, match="low, whose frames are painted, is closed"):
        paint(np.zeros((2, 3), np.uint8), *tables)
    paint.close()
    assert not any(cuda.alive for cuda in cudas)
