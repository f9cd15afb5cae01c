"""A bundle's network is read back from its ONNX files: the same one, of every architecture, or the bundle is refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from drive_seg.backends import open_backend
from drive_seg.contracts import Frame
from drive_seg.demo import DemoDrive
from drive_seg.errors import BundleError, UsageError
from drive_seg.lab.build import export
from drive_seg.lab.models import ARCHITECTURES, make_network
from drive_seg.lab.models.staged import Staged
from drive_seg.lab.models.stored import fold_batch_norms, read_network, unfold
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.recipe import Recipe
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import EveryFrame
from tests.lab.conftest import TINY
from tests.lab.test_models import CLASSES, SMALL

SIZE_HW = (48, 64)


def random_network(architecture: str) -> Staged:
    """With weights as they are before any training, some of them equal, and statistics of its own in every batch norm."""
    torch.manual_seed(0)
    network = make_network(architecture, len(CLASSES), SMALL[architecture])
    with torch.no_grad():
        network.train()(torch.randint(0, 256, (2, *SIZE_HW, 3), dtype=torch.uint8))
    return network.eval()


def bundled(network: Staged, architecture: str, recipe: Recipe, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setattr(export, "TRAINED_HW", SIZE_HW)
    recipe = recipe.model_copy(update={"architecture": architecture, "network": SMALL[architecture], "classes": CLASSES})
    checkpoint.save(folder / "c.safetensors", 0, recipe.model_dump_json(), network, network, torch.optim.AdamW(network.parameters()))
    export.export_bundle(folder / "c.safetensors", folder / "bundle")
    return load_bundle(str(folder / "bundle"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_is_read_back_as_it_was(architecture: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(architecture)
    again = read_network(bundled(network, architecture, recipe, tmp_path, monkeypatch))
    assert not again.training
    image = torch.randint(0, 256, (1, *SIZE_HW, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected, folded, found = network(image), fold_batch_norms(network)(image), again(image)
    spread = expected.std()
    assert (folded - expected).abs().max() < 1e-4 * spread
    assert (found - expected).abs().max() < 2e-2 * spread  # fp16's rounding


def test_the_shipped_networks_labels_are_the_torch_backends() -> None:
    bundle, image = load_bundle("camvid"), DemoDrive(7).frame(100)[0][:360, :480]
    with Engine(bundle, open_backend("torch", device="cpu", precision="fp32", threads=1)) as engine:
        labels = Pipeline(engine, EveryFrame()).step(Frame(image, 0, 0.0)).labels
        assert engine.input_hw == (360, 480)
    with torch.inference_mode():
        own = read_network(bundle).labels(torch.from_numpy(np.ascontiguousarray(image))[None])[0].numpy()
    assert len(np.unique(own)) > 4
    assert (own == labels).mean() > 0.9999


@pytest.mark.parametrize("architecture", ["deeplab", "efficientnet_lite", "fcn8s"])
def test_a_bundle_can_be_learned_on(architecture: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundled(random_network(architecture), architecture, recipe, tmp_path, monkeypatch)
    folded, network = read_network(bundle), make_network(architecture, len(CLASSES), SMALL[architecture])
    images = torch.randint(0, 256, (6, *SIZE_HW, 3), dtype=torch.uint8)
    unfold(network, bundle, images)
    with torch.inference_mode():
        expected, found = folded(images), network(images)
        assert (found - expected).abs().max() < 1e-3 * expected.std()
        other = torch.randint(0, 256, (2, *SIZE_HW, 3), dtype=torch.uint8)
        assert (network(other) - folded(other)).abs().max() < 1e-3 * expected.std()  # not for those images alone
        learning = network.train()(images)  # by the statistics of the batch, which are those that were taken
    assert (learning - expected).abs().mean() < 0.1 * expected.std()


@pytest.mark.parametrize("architecture", ["erfnet", "enet", "ksac"])
def test_a_network_whose_batch_norms_stand_apart_is_not_learned_on(
    architecture: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundled(random_network(architecture), architecture, recipe, tmp_path, monkeypatch)
    network = make_network(architecture, len(CLASSES), SMALL[architecture])
    with pytest.raises(UsageError, match=r"cannot be learned on from a bundle.*begin with its checkpoint"):
        unfold(network, bundle, torch.zeros((1, *SIZE_HW, 3), dtype=torch.uint8))


def test_a_bundle_of_another_network_is_not_learned_on(tiny: Bundle) -> None:
    with pytest.raises(BundleError, match="give the recipe the same network"):
        unfold(make_network("deeplab", len(CLASSES), TINY | {"deep": 24}), tiny, torch.zeros((1, *SIZE_HW, 3), dtype=torch.uint8))


@pytest.fixture
def tiny(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    return bundled(random_network("deeplab"), "deeplab", recipe, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({}, "no such architecture"),
        ({"architecture": "deeplab", "depth": 3}, "depth"),
        ({"architecture": "deeplab"} | TINY | {"deep": 24}, "hold no high.deep"),
        ({"architecture": "unet", "width": 4}, "hold no low"),
    ],
)
def test_a_card_that_names_another_network_is_refused(tiny: Bundle, network: dict[str, object], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        read_network(Bundle(tiny.folder, tiny.card.model_copy(update={"network": network})))


def test_a_stage_that_wraps_the_networks_own_is_read_too(tiny: Bundle) -> None:
    model = onnx.load(tiny.onnx("low"))
    before = read_network(tiny).low.state_dict()
    for tensor in model.graph.initializer:
        old, tensor.name = tensor.name, f"low.{tensor.name}"
        for node in model.graph.node:
            node.input[:] = [tensor.name if name == old else name for name in node.input]
    onnx.save(model, tiny.onnx("low"))
    after = read_network(tiny).low.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
