"""The per-frame networks that a user would pick instead of a bundle, as others ship them: plain, in one piece, nothing cached.

A plain network is any module that takes a float picture (N, 3, H, W), RGB, normalised by ImageNet's mean and standard deviation, and gives
class scores (N, classes, H, W). A staged network becomes one without its own normalisation.
"""

from dataclasses import dataclass
from importlib import import_module

from torch import nn

from drive_seg.errors import UsageError
from drive_seg.lab.models import make_network

MULTIPLE = 8  # of heights and widths, which every one of them takes


@dataclass(frozen=True, slots=True)
class Rival:
    title: str
    paper: str
    module: str  # of drive_seg.lab.models
    network: str | None = None  # its class, made with the number of classes; None: an architecture of the zoo


RIVALS = {
    "deeplabv3mobilenet": Rival(
        "DeepLabV3, MobileNetV3-Large", "https://arxiv.org/abs/1706.05587", "deeplabv3mobilenet", "DeepLabV3MobileNet"
    ),
    "bisenetv2": Rival("BiSeNetV2", "https://arxiv.org/abs/2004.02147", "bisenetv2", "BiSeNetV2"),
    "ddrnet23slim": Rival("DDRNet-23-slim", "https://arxiv.org/abs/2101.06085", "ddrnet", "DDRNet23Slim"),
    "espnet": Rival("ESPNet", "https://arxiv.org/abs/1803.06815", "espnet", "ESPNet"),
    "enet": Rival("ENet", "https://arxiv.org/abs/1606.02147", "enet"),
}


def make_rival(name: str, classes: int) -> nn.Module:
    """The named plain network with random weights. Raises UsageError for a name that is not known."""
    if name not in RIVALS:
        raise UsageError(f"{name}: no such network; there are {', '.join(RIVALS)}")
    rival = RIVALS[name]
    if rival.network is None:
        staged = make_network(rival.module, classes, {})
        staged.low.normalise = nn.Identity()
        return staged
    made: nn.Module = getattr(import_module(f"drive_seg.lab.models.{rival.module}"), rival.network)(classes)
    return made
