"""The residual encoder that DeepLabV3, DeepLabV3+, KSAC and GCN share: ResNet-18's plan at half its width.

He et al. 2016, https://arxiv.org/abs/1512.03385. The papers use ResNet-101 or larger. Shapes are for a 480x360 image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.lab.models.blocks import ConvBN, Normalise


@dataclass(frozen=True)
class ResNetConfig:
    """The four layers' widths, and how many residual blocks each has; ResNet-18 has 64, 128, 256, 512 and 2."""

    classes: int = 11
    layer1: int = 32
    layer2: int = 64
    layer3: int = 128
    layer4: int = 256
    blocks: int = 2


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, or beside a 1x1 convolution where the size or the width changes."""

    def __init__(self, cin: int, cout: int, stride: int = 1, rate: int = 1) -> None:
        super().__init__()
        self.first = ConvBN(cin, cout, stride=stride, rate=rate)
        self.second = ConvBN(cout, cout, rate=rate, relu=False)
        nn.init.zeros_(self.second[1].weight)  # type: ignore[arg-type]  # begins as the shortcut alone (Goyal et al. 2017, section 5.1)
        same = stride == 1 and cin == cout
        self.shortcut = nn.Identity() if same else ConvBN(cin, cout, kernel=1, stride=stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.second(self.first(x)))


def layer(cin: int, cout: int, blocks: int, stride: int = 1, rate: int = 1, grid: int = 1) -> nn.Sequential:
    """`blocks` residual blocks, the first with the stride; each one's atrous rate is `grid` times that of the one before."""
    return nn.Sequential(
        *(Residual(cout if i else cin, cout, stride=1 if i else stride, rate=rate * grid**i) for i in range(blocks)),
    )


class Low(nn.Module):
    """Every frame: the image to layer 1's features, a fifth of the encoder's arithmetic; no decoder here wants a finer map."""

    def __init__(self, c: ResNetConfig) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.stem = ConvBN(3, c.layer1, kernel=7, stride=2)
        self.layer1 = layer(c.layer1, c.layer1, c.blocks)

    def forward(self, image: Tensor) -> Tensor:  # (N, 360, 480, 3) uint8 BGR
        x = self.stem(self.normalise(image))  # (N, 32, 180, 240)
        quarter: Tensor = self.layer1(F.max_pool2d(x, 3, 2, padding=1))  # (N, 32, 90, 120)
        return quarter
