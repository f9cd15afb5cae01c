"""A trained network becomes a bundle that every backend runs alike, at any size, without a pickle."""

from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from drive_seg.backends import open_backend
from drive_seg.contracts import Frame
from drive_seg.errors import DataError
from drive_seg.files import Beside
from drive_seg.lab.build import export
from drive_seg.lab.build.export import export_bundle
from drive_seg.lab.build.quantize import quantize_bundle
from drive_seg.lab.evaluate.accuracy import evaluate, from_pairs
from drive_seg.lab.models.deeplab import DeepLab, DeepLabConfig
from drive_seg.lab.train import checkpoint
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import EveryFrame
from tests.lab.conftest import SIZE_HW, TINY, Tiny


@pytest.fixture
def bundle(tiny: Tiny) -> Bundle:
    return tiny.bundle


def test_the_card_tells_what_is_there(bundle: Bundle) -> None:
    card = bundle.card
    assert (card.name, card.classes, card.training["steps"]) == ("tiny", ("sky", "road", "car"), 40)
    assert card.stages["low"].gflop > 0
    assert {path.name for path in bundle.folder.iterdir()} == {"card.json", "low.onnx", "high.onnx", "head.onnx"}


def test_an_export_or_a_quantisation_that_is_killed_leaves_the_bundle_that_was_there(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the last of its files, which a process that is killed does not tidy up after."""
    copy = tiny.copy(tmp_path / "tiny")
    before = {path.name: path.read_bytes() for path in copy.folder.iterdir()}
    monkeypatch.setattr(export, "TRAINED_HW", SIZE_HW)
    put = Beside.put

    def killed(self: Beside, content: str | bytes) -> None:
        put(self, content)
        if self.part.name == "card.json.part":
            raise KeyboardInterrupt

    monkeypatch.setattr(Beside, "put", killed)
    monkeypatch.setattr(Beside, "drop", Beside.leave)
    makings = partial(export_bundle, tiny.checkpoint, copy.folder), partial(quantize_bundle, copy.folder, tiny.street / "images", 1)
    for make in makings:
        with pytest.raises(KeyboardInterrupt):
            make()
        assert {name: (copy.folder / name).read_bytes() for name in before} == before
        assert (copy.folder / "low.onnx.part").stat().st_size > 1000
    monkeypatch.undo()
    assert load_bundle(copy.folder).card == copy.card


def test_weights_are_stored_as_fp16(bundle: Bundle) -> None:
    for stage in ("low", "high", "head"):
        stored = {w.name: w for w in onnx.load(bundle.onnx(stage)).graph.initializer}  # type: ignore[arg-type]
        large = [w for w in stored.values() if np.prod(w.dims) >= 16]
        assert large
        assert all(w.data_type == onnx.TensorProto.FLOAT16 for w in large)


@pytest.mark.parametrize("size_hw", [SIZE_HW, (48, 64), (90, 160)])
def test_every_backend_gives_the_networks_own_labels(tiny: Tiny, size_hw: tuple[int, int]) -> None:
    network = DeepLab(DeepLabConfig(**({"classes": 3} | TINY)))
    checkpoint.load_average(tiny.checkpoint, network)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size_hw, 3), np.uint8)
    labels = {}
    for name in ("openvino", "onnxruntime", "torch"):
        with Engine(tiny.bundle, open_backend(name, device=None, precision="fp32", threads=1)) as engine:
            labels[name] = Pipeline(engine, EveryFrame()).step(Frame(image, 0, 0.0)).labels
            fitted = engine.input_hw
    if fitted == size_hw:
        with torch.inference_mode():
            labels["network"] = network.eval().labels(torch.from_numpy(image)[None])[0].numpy()
    reference = labels.pop("openvino")
    assert len(np.unique(reference)) > 1
    for name, other in labels.items():
        assert (other == reference).mean() >= 0.995, name


def test_evaluate_scores_what_was_learned(bundle: Bundle, street: Path) -> None:
    backend = open_backend("openvino", device=None, precision="fp32", threads=1)
    with Engine(bundle, backend) as engine:
        scores = evaluate(Pipeline(engine, EveryFrame()), from_pairs((street / "images", street / "labels"), engine.classes))
    assert scores["frames"] == 8
    assert list(scores["iou"]) == ["sky", "road", "car"]
    assert scores["miou"] == pytest.approx(np.mean(list(scores["iou"].values())))
    assert 0 < scores["miou"] <= 1


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.safetensors"):
        export_bundle(tmp_path / "nothing.safetensors", tmp_path / "out")


def test_labels_are_the_best_scores() -> None:
    network = DeepLab(DeepLabConfig(**({"classes": 5} | TINY))).eval()
    with torch.inference_mode():
        fine, detail = network.low(torch.randint(0, 256, (2, 40, 56, 3), dtype=torch.uint8))
        context = network.high(detail)
        scores, labels = network.head(fine, detail, context), network.head.labels(fine, detail, context)
    assert scores.shape == (2, 5, 20, 28)
    assert torch.equal(scores.argmax(1), labels.long())
