"""BiSeNetV2: a shallow, wide branch for detail, a thin, deep one for meaning, and a layer in which each gates the other.

Yu, Gao, Wang, Yu, Shen, Sang 2021, https://arxiv.org/abs/2004.02147; as wide and as deep as there, without the heads that only training
uses. Where the paper leaves a choice, ReLU after the depthwise convolutions and 1024 channels before the scores, it is what is published as
BiSeNetV2 (CoinCheung/BiSeNet, MMSegmentation). A plain network (rivals.py). Shapes are for a 480x360 image.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.lab.models.blocks import ConvBN, resize_to


def depthwise(cin: int, cout: int, stride: int = 1, relu: bool = False) -> ConvBN:
    return ConvBN(cin, cout, stride=stride, relu=relu, groups=cin)


class Stem(nn.Module):
    """To 1/4 by convolutions and by a pool, side by side (figure 4a)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBN(3, channels, stride=2)
        self.conv = nn.Sequential(ConvBN(channels, channels // 2, 1), ConvBN(channels // 2, channels, stride=2))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.both = ConvBN(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        out: Tensor = self.both(torch.cat([self.conv(x), self.pool(x)], 1))
        return out


class GatherExpand(nn.Module):
    """A 3x3 convolution, a depthwise one to six times the channels, and back (figure 5b); with a stride of 2 as in figure 5c."""

    def __init__(self, cin: int, cout: int, stride: int = 1) -> None:
        super().__init__()
        wide = 6 * cin
        down = [depthwise(cin, wide, 2), depthwise(wide, wide, relu=True)] if stride == 2 else [depthwise(cin, wide, relu=True)]
        self.branch = nn.Sequential(ConvBN(cin, cin), *down, ConvBN(wide, cout, 1, relu=False))
        self.beside = nn.Sequential(depthwise(cin, cin, 2), ConvBN(cin, cout, 1, relu=False)) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.beside(x))


class ContextEmbedding(nn.Module):
    """The whole map's mean, added to every cell (figure 4b)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.whole = nn.Sequential(nn.BatchNorm2d(channels), ConvBN(channels, channels, 1))
        self.conv = ConvBN(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x + self.whole(x.mean((2, 3), keepdim=True)))
        return out


class Aggregation(nn.Module):
    """Detail gated by meaning at 1/8, and meaning by detail at 1/32; their sum (figure 6)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.detail = nn.Sequential(depthwise(c, c), nn.Conv2d(c, c, 1, bias=False))
        self.detail_down = nn.Sequential(ConvBN(c, c, stride=2, relu=False), nn.AvgPool2d(3, 2, 1))
        self.meaning_up = ConvBN(c, c, relu=False)
        self.meaning = nn.Sequential(depthwise(c, c), nn.Conv2d(c, c, 1, bias=False))
        self.sum = ConvBN(c, c)

    def forward(self, detail: Tensor, meaning: Tensor) -> Tensor:
        fine = self.detail(detail) * torch.sigmoid(resize_to(self.meaning_up(meaning), detail))
        coarse = self.detail_down(detail) * torch.sigmoid(self.meaning(meaning))
        out: Tensor = self.sum(fine + resize_to(coarse, detail))
        return out


class BiSeNetV2(nn.Module):
    """Float (N, 3, H, W), heights and widths multiples of 8, to scores (N, classes, H, W)."""

    def __init__(self, classes: int, before_scores: int = 1024) -> None:
        super().__init__()
        self.detail = nn.Sequential(
            ConvBN(3, 64, stride=2), ConvBN(64, 64),
            ConvBN(64, 64, stride=2), ConvBN(64, 64), ConvBN(64, 64),
            ConvBN(64, 128, stride=2), ConvBN(128, 128), ConvBN(128, 128),
        )  # fmt: skip
        self.meaning = nn.Sequential(
            Stem(16),
            GatherExpand(16, 32, 2), GatherExpand(32, 32),
            GatherExpand(32, 64, 2), GatherExpand(64, 64),
            GatherExpand(64, 128, 2), GatherExpand(128, 128), GatherExpand(128, 128), GatherExpand(128, 128),
            ContextEmbedding(128),
        )  # fmt: skip
        self.aggregate = Aggregation(128)
        self.head = nn.Sequential(ConvBN(128, before_scores), nn.Conv2d(before_scores, classes, 1))

    def forward(self, image: Tensor) -> Tensor:  # (N, 3, 360, 480)
        detail = self.detail(image)  # (N, 128, 45, 60)
        meaning = self.meaning(image)  # (N, 128, 12, 15)
        scores = self.head(self.aggregate(detail, meaning))  # (N, 11, 45, 60)
        return F.interpolate(scores, scale_factor=8, mode="bilinear", align_corners=False)  # (N, 11, 360, 480)
