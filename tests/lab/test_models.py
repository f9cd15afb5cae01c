"""Every architecture learns, exports to a bundle that the backends run alike, and is what its paper says where that can be told."""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from drive_seg import cli
from drive_seg.backends import open_backend
from drive_seg.contracts import Frame, Labels
from drive_seg.errors import UsageError
from drive_seg.lab.build import export
from drive_seg.lab.build.compare import compare
from drive_seg.lab.build.quantize import quantize_bundle
from drive_seg.lab.evaluate.accuracy import Scored, evaluate
from drive_seg.lab.evaluate.pairs import VOID
from drive_seg.lab.models import ARCHITECTURES, make_network
from drive_seg.lab.models.blocks import Doubling
from drive_seg.lab.models.staged import Staged, enlarged
from drive_seg.lab.models.stored import fold_batch_norms
from drive_seg.lab.models.unpool import pool, unpool
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.losses import truths
from drive_seg.lab.train.recipe import Recipe
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.preprocess import to_input
from drive_seg.network.schedule import EveryFrame, parse_schedule
from drive_seg.network.score import Confusion
from tests.lab.conftest import TINY, draw

FCN = {"conv1": 8, "conv2": 8, "conv3": 16, "conv4": 16, "conv5": 16, "fc": 32}
PYRAMID = {"context": 16, "rate": 1}
DECODER = PYRAMID | {"reduced": 8, "decoder": 16}
THIN = {name: TINY[name] for name in ("stem", "fine", "fine_blocks", "detail", "context", "sharpen_blocks")} | {"pyramid": 16}
SMALL: dict[str, dict[str, int | float]] = {  # every architecture, as small as it still works
    "deeplab": TINY,
    "efficientnet_lite": THIN | {"stride": 32, "enlarge": 1.5},
    "efficientnet_lite_single": THIN,
    "fcn32s": FCN,
    "fcn16s": FCN,
    "fcn8s": FCN,
    "unet": {"width": 4},
    "segnet": {"conv1": 8, "conv2": 8, "conv3": 16, "conv4": 16, "conv5": 16},
    "deeplabv3": PYRAMID,
    "deeplabv3plus": DECODER,
    "ksac": DECODER,
    "gcn": {"kernel": 5},
    "erfnet": {"half": 8, "quarter": 16, "eighth": 32, "blocks": 1, "rounds": 1, "decoder_blocks": 1},
    "enet": {"half": 8, "quarter": 16, "eighth": 32, "blocks": 1, "rounds": 1},
}
CLASSES = ("sky", "road", "car")
SIZES_HW = ((72, 96), (56, 128))  # neither is a multiple of 16 high: the maps below 1/8 reach beyond the image


def small(architecture: str, **more: int) -> Staged:
    torch.manual_seed(0)
    return make_network(architecture, len(CLASSES), SMALL[architecture] | more)


def pictures(count: int, size_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(N, H, W, 3) pictures and (N, H, W) labels, VOID among them, of the tiny street, enlarged."""
    drawn = [draw(index) for index in range(count)]
    images = [cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_NEAREST) for image, _ in drawn]
    labels = [cv2.resize(truth, size_hw[::-1], interpolation=cv2.INTER_NEAREST) for _, truth in drawn]
    known = np.stack(labels)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.where(known < len(CLASSES), known, VOID).astype(np.uint8))


def learn(network: Staged, images: Tensor, labels: Tensor, steps: int, rate: float = 1e-2) -> None:
    """Plain training on one batch, which leaves the network in inference mode."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
        loss = torch.zeros(())
        for scores in network.train().training_scores(images):
            for truth in truths(labels, (scores.shape[2], scores.shape[3])):
                loss = loss + F.cross_entropy(scores, truth, ignore_index=VOID)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for module in network.modules():  # so few steps leave the running statistics behind the weights: they are taken afresh
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        network(images)
    network.eval()


@cache
def learned(architecture: str) -> Staged:
    """A small one that has learned a little, in inference mode; nobody changes it."""
    network = small(architecture)
    learn(network, *pictures(4, SIZES_HW[0]), steps=12)
    return network


def miou(network: Staged, images: Tensor, labels: Tensor) -> float:
    confusion = Confusion(CLASSES)
    with torch.inference_mode():
        found = network.labels(images).numpy()
    for mine, truth in zip(found, labels.numpy(), strict=True):
        confusion.add(truth, np.asarray(cv2.resize(mine, truth.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8))
    return confusion.miou


def as_stored(network: Staged) -> Staged:
    """What a bundle holds of it: batch norms folded, weights rounded to fp16. The rest is up to the backend."""
    folded = fold_batch_norms(network)
    with torch.no_grad():
        for weight in folded.parameters():
            if weight.numel() >= 16:
                weight.copy_(weight.half())
    return folded


def exported(network: Staged, recipe: Recipe, architecture: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setattr(export, "TRAINED_HW", SIZES_HW[0])
    recipe = recipe.model_copy(update={"architecture": architecture, "network": SMALL[architecture], "classes": CLASSES})
    optimizer = torch.optim.AdamW(network.parameters())
    folder.mkdir()
    checkpoint.save(folder / "checkpoint.safetensors", 0, recipe.model_dump_json(), network, network, optimizer)
    export.export_bundle(folder / "checkpoint.safetensors", folder / "bundle")
    return load_bundle(str(folder / "bundle"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_backend_gives_the_networks_own_labels(
    architecture: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = learned(architecture)
    bundle = exported(network, recipe, architecture, tmp_path / "run", monkeypatch)
    assert bundle.card.network["architecture"] == architecture
    assert bundle.card.parameters == network.parameter_count()
    stored, rng = as_stored(network), np.random.default_rng(0)
    for size_hw in SIZES_HW:
        image = pictures(6, size_hw)[0][5].numpy()
        image = np.asarray(np.clip(image + rng.normal(0, 12, image.shape), 0, 255), np.uint8)
        with torch.inference_mode():
            expected = stored.labels(torch.from_numpy(to_input(image, size_hw)))[0].numpy()
        assert len(np.unique(expected)) > 1
        assert expected.shape in (size_hw, (size_hw[0] // 2, size_hw[1] // 2))
        for name in ("openvino", "onnxruntime", "torch"):
            with Engine(bundle, open_backend(name, device=None, precision="fp32", threads=1)) as engine:
                labels = Pipeline(engine, EveryFrame()).step(Frame(image, 0, 0.0)).labels
                assert engine.input_hw == size_hw
            assert labels.shape == expected.shape, name
            assert (labels == expected).mean() >= 0.999, name


@pytest.fixture
def two_rates(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A small FCN-8s, whose scores of pool4 have a rate of their own; nothing taught it anything, but no score is zero."""
    network = small("fcn8s")
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return exported(network, recipe, "fcn8s", tmp_path / "run", monkeypatch)


def drive(bundle: Bundle, schedule: str) -> dict[str, Any]:
    """Frames of a scene that moves, labelled by nobody: the scores of `evaluate`, and `seen`, its labels."""
    seen: list[Labels] = []

    class Keep:
        def add(self, frame: Scored) -> None:
            seen.append(frame.predicted)

        def figures(self) -> dict[str, Any]:
            return {}

    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 256, (9, 20, 3), np.uint8), (160, 72))
    samples = [(np.ascontiguousarray(wide[:, 4 * i : 4 * i + 96]), np.zeros((72, 96), np.uint8)) for i in range(9)]
    with Engine(bundle, open_backend("openvino", device=None, precision="fp32", threads=1)) as engine:
        return evaluate(Pipeline(engine, parse_schedule(schedule)), samples, [Keep()]) | {"seen": np.stack(seen)}


def test_two_cached_stages_run_at_their_rates(two_rates: Bundle) -> None:
    every, ones, clocks, both = (drive(two_rates, text) for text in ("every-frame", "clockwork:1,1,1", "clockwork:1,2,4", "clockwork:4"))
    gflop = {name: stage.gflop for name, stage in two_rates.card.stages.items()}
    assert list(gflop) == ["low", "mid", "high", "head"]
    assert gflop["mid"] > 0 < gflop["high"]
    assert np.array_equal(every["seen"], ones["seen"])
    assert every["gflop_per_frame"] == pytest.approx(sum(gflop.values()))
    assert clocks["key_frame_rate"] == both["key_frame_rate"] == pytest.approx(3 / 9)
    assert clocks["gflop_per_frame"] == pytest.approx(gflop["low"] + gflop["head"] + gflop["mid"] * 5 / 9 + gflop["high"] * 3 / 9)
    assert both["gflop_per_frame"] == pytest.approx(gflop["low"] + gflop["head"] + (gflop["mid"] + gflop["high"]) * 3 / 9)
    same = [bool((clocks["seen"][i] == every["seen"][i]).all()) for i in range(9)]
    assert [i for i in range(9) if same[i]] == [0, 4, 8]
    fresher = [i for i in range(9) if (clocks["seen"][i] != both["seen"][i]).any()]
    assert fresher == [2, 3, 6, 7]  # mid ran on 2 and 6, and is held on 3 and 7


def test_a_bundle_with_two_cached_stages_is_quantised_whole(two_rates: Bundle, street: Path) -> None:
    quantize_bundle(two_rates.folder, street / "images", 3)
    made = load_bundle(str(two_rates.folder))
    assert [name for name, stage in made.card.stages.items() if stage.int8] == ["low", "mid", "high", "head"]
    pairs = ((image, None) for image, _ in (draw(index) for index in range(2)))
    found = compare(made, "onnxruntime", pairs, runs=2)
    assert list(found["int8"]["p50_ms"]) == ["low", "mid", "high", "head", "total"]
    assert found["int8"]["precision"] == "int8"


@pytest.mark.parametrize("architecture", ["fcn16s", "fcn8s"])
def test_weights_have_the_names_that_they_had_before_there_was_a_mid(architecture: str) -> None:
    names = set(small(architecture).state_dict())
    assert {name.partition(".")[0] for name in names} == {"low", "high", "head"}
    assert {"high.conv4.0.0.weight", "high.conv5.1.1.weight", "high.fc.0.0.weight", "high.score.bias", "high.score_pool4.weight"} <= names


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_multiple_of_eight_goes_through(architecture: str) -> None:
    network = learned(architecture)
    for height, width in ((8, 8), (40, 56), (96, 64)):
        with torch.inference_mode():
            scores = network(torch.zeros((2, height, width, 3), dtype=torch.uint8))
        assert scores.shape[:2] == (2, len(CLASSES))
        assert tuple(scores.shape[2:]) in ((height, width), (height // 2, width // 2))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_held_context_meets_this_frames_own_features(architecture: str) -> None:
    """Which networks see the new frame between key frames, and which show the key frame's labels until the next one."""
    network, images = learned(architecture), pictures(4, SIZES_HW[0])[0]
    with torch.inference_mode():
        key, now = network.features(images[:1]), network.features(images[2:3])
        held = {name: key[name] if name in network.wiring.cached else value for name, value in now.items()}
        shown, old = network.head(*network.head_inputs(held)), network(images[:1])
    assert torch.equal(shown, old) == (architecture in {"fcn32s", "fcn16s", "deeplabv3", "erfnet"})


def test_a_tiny_network_learns_four_pictures_by_heart() -> None:
    network, (images, labels) = small("deeplab"), pictures(4, (96, 128))
    learn(network, images, labels, steps=60)
    assert miou(network, images, labels) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_learns_four_pictures_by_heart(architecture: str) -> None:
    torch.manual_seed(0)
    network, (images, labels) = make_network(architecture, len(CLASSES), {}), pictures(4, (96, 128))
    learn(network, images, labels, steps=80)
    coarse = {"fcn32s": 0.85, "fcn16s": 0.92}  # what cells of 32 and 16 pixels cannot draw, they do not learn so soon
    assert miou(network, images, labels) > coarse.get(architecture, 0.95)


@pytest.mark.parametrize("size_hw", [(12, 16), (11, 15), (1, 1), (2, 3)])
@pytest.mark.parametrize("relu", [False, True])
def test_unpooling_is_torchs_own(size_hw: tuple[int, int], relu: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, *size_hw)
    x = torch.relu(x) if relu else x  # after ReLU whole cells are zero, and the first of equals is the maximum's place
    pooled, places = pool(x, odd=size_hw[0] % 2 == 1 or size_hw[1] % 2 == 1)
    maxima, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    assert torch.equal(pooled, maxima)
    other = torch.randn_like(maxima)
    expected = F.max_unpool2d(other, indices, 2, output_size=size_hw)
    assert torch.equal(unpool(other, places)[:, :, : size_hw[0], : size_hw[1]], expected)


def test_ksac_has_one_kernel_where_aspp_has_three() -> None:
    ksac, aspp = small("ksac").high.end, small("deeplabv3plus").high.end  # type: ignore[union-attr]
    kernels = [[p for p in end.parameters() if p.shape[2:] == (3, 3)] for end in (ksac, aspp)]  # type: ignore[union-attr]
    assert [len(found) for found in kernels] == [1, 3]
    x = torch.randn(1, 320, 9, 12)
    ksac.eval()  # type: ignore[union-attr]
    with torch.inference_mode():
        before = ksac(x)  # type: ignore[operator]
        kernels[0][0].zero_()
        after = ksac(x)  # type: ignore[operator]
        alone = torch.relu(ksac.point(x) + ksac.whole(x.mean((2, 3), keepdim=True)))  # type: ignore[operator,union-attr]
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, alone)  # without it no rate sees anything


def test_each_fcn_begins_as_the_coarser_one() -> None:
    coarse, middle, fine = (small(name).eval() for name in ("fcn32s", "fcn16s", "fcn8s"))
    middle.load_state_dict(middle.state_dict() | coarse.state_dict())
    fine.load_state_dict(fine.state_dict() | middle.state_dict())
    image = torch.randint(0, 256, (1, 72, 96, 3), dtype=torch.uint8)
    with torch.inference_mode():
        features, double = fine.features(image), Doubling(len(CLASSES))
        fc7 = features["score_fc7"]
        assert torch.equal(coarse.features(image)["score_fc7"], fc7)
        sixteenth = double(fc7)[:, :, :5]  # 72 / 16, rounded up
        torch.testing.assert_close(middle(image), enlarged(sixteenth, 8)[:, :, :36])
        torch.testing.assert_close(fine(image), enlarged(double(sixteenth)[:, :, :9], 4))


def test_doubling_begins_bilinear() -> None:
    x = torch.randn(1, 3, 6, 7)
    with torch.inference_mode():
        doubled = Doubling(3)(x)
    inside = (..., slice(1, -1), slice(1, -1))  # beyond the border the one sees zeros, the other the border again
    torch.testing.assert_close(doubled[inside], enlarged(x, 2)[inside])


def test_output_stride_eight_has_the_same_weights_on_a_finer_map() -> None:
    coarse, fine = small("deeplabv3").eval(), small("deeplabv3", output_stride=8).eval()
    fine.load_state_dict(coarse.state_dict())
    image = torch.randint(0, 256, (1, 72, 96, 3), dtype=torch.uint8)
    with torch.inference_mode():
        assert coarse.features(image)["context"].shape[2:] == (5, 6)
        assert fine.features(image)["context"].shape[2:] == (9, 12)
        assert fine(image).shape == coarse(image).shape


@pytest.mark.parametrize(
    ("architecture", "numbers", "named"),
    [
        ("efficientnet_lite", {"fine": 1.5, "enlarge": 1.5}, "efficientnet_lite: fine: has to be a whole number"),
        ("vgg", {}, "vgg: no such architecture; there are deeplab, .*fcn32s, .*enet"),
        ("unet", {"deep": 3}, "unet: got an unexpected keyword argument 'deep'.*unet.py"),
        ("fcn8s", {"widht": 3}, "fcn8s: got an unexpected keyword argument 'widht'.*fcn.py"),
        ("ksac", {"output_stride": 7}, "output_stride 7"),
        ("gcn", {"kernel": 4}, "kernel 4"),
    ],
)
def test_what_cannot_be_made_is_named(architecture: str, numbers: dict[str, int], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        make_network(architecture, 11, numbers)


def test_the_command_line_chooses_the_architecture(street: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'images = "{street / "images"}"\nlabels = "{street / "labels"}"\nclasses = ["sky", "road", "car"]\n'
        "epochs = 1\nbatch = 4\ncrops = [[0.0, 48, 64]]\n[network]\nwidth = 4\n"
    )
    with pytest.raises(SystemExit) as end:
        cli.main(["train", str(recipe), "--out", str(tmp_path / "run"), "--architecture", "unet"])
    assert not end.value.code
    learned = Recipe.model_validate_json(checkpoint.read_recipe(tmp_path / "run" / "checkpoint.safetensors"))
    assert (learned.architecture, learned.network) == ("unet", {"width": 4})


def test_an_unknown_architecture_is_told_all_there_are() -> None:
    with pytest.raises(UsageError) as error:
        make_network("vgg", 11, {})
    assert all(name in str(error.value) for name in ARCHITECTURES)
