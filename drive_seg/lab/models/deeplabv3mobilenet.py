"""DeepLabV3 on MobileNetV3-Large: inverted residuals that stop shrinking at 1/16, and a wide pyramid of atrous rates at their end.

Howard et al. 2019, https://arxiv.org/abs/1905.02244 (table 1), and Chen et al. 2017, https://arxiv.org/abs/1706.05587, put together as in
torchvision's deeplabv3_mobilenet_v3_large, without its auxiliary head and dropout, which only training uses. deeplabv3.py is the narrower
network of the zoo. A plain network (rivals.py). Shapes are for a 480x360 image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drive_seg.lab.models.blocks import ConvBN, resize_to

RATES = (12, 24, 36)
WIDTH = 256  # of each of the pyramid's branches


@dataclass(frozen=True, slots=True)
class Row:
    """One inverted residual of table 1."""

    kernel: int
    expanded: int
    out: int
    squeezed: int  # channels within squeeze-and-excitation, 0 for none: a quarter of the expanded, in eights
    hard_swish: bool  # ReLU else
    stride: int = 1
    rate: int = 1


ROWS = (
    Row(3, 16, 16, 0, False),  # 1/2
    Row(3, 64, 24, 0, False, stride=2),  # 1/4
    Row(3, 72, 24, 0, False),
    Row(5, 72, 40, 24, False, stride=2),  # 1/8
    Row(5, 120, 40, 32, False),
    Row(5, 120, 40, 32, False),
    Row(3, 240, 80, 0, True, stride=2),  # 1/16
    Row(3, 200, 80, 0, True),
    Row(3, 184, 80, 0, True),
    Row(3, 184, 80, 0, True),
    Row(3, 480, 112, 120, True),
    Row(3, 672, 112, 168, True),
    Row(5, 672, 160, 168, True, rate=2),  # 1/32 in a classifier
    Row(5, 960, 160, 240, True, rate=2),
    Row(5, 960, 160, 240, True, rate=2),
)


def conv(cin: int, cout: int, kernel: int, hard_swish: bool, stride: int = 1, rate: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        ConvBN(cin, cout, kernel, stride, rate, relu=False, groups=groups), nn.Hardswish() if hard_swish else nn.ReLU(inplace=True)
    )


class SqueezeExcite(nn.Module):
    """Every channel scaled by what the channels' means say."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, squeezed, 1), nn.ReLU(), nn.Conv2d(squeezed, channels, 1), nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * self.scale(x)
        return out


class InvertedResidual(nn.Module):
    """Expand, filter each channel by itself, squeeze-and-excite, project; beside the identity where the shapes allow it."""

    def __init__(self, cin: int, row: Row) -> None:
        super().__init__()
        self.same = row.stride == 1 and cin == row.out
        self.branch = nn.Sequential(
            *([conv(cin, row.expanded, 1, row.hard_swish)] if row.expanded != cin else []),
            conv(row.expanded, row.expanded, row.kernel, row.hard_swish, row.stride, row.rate, groups=row.expanded),
            *([SqueezeExcite(row.expanded, row.squeezed)] if row.squeezed else []),
            ConvBN(row.expanded, row.out, 1, relu=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x)
        return x + out if self.same else out


class Pyramid(nn.Module):
    """ASPP: a 1x1 convolution, three atrous ones, and the whole map's mean, side by side."""

    def __init__(self, cin: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([ConvBN(cin, WIDTH, 1), *(ConvBN(cin, WIDTH, rate=rate) for rate in RATES)])
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvBN(cin, WIDTH, 1))
        self.project = ConvBN((len(RATES) + 2) * WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        both: Tensor = self.project(torch.cat([*(branch(x) for branch in self.branches), resize_to(self.whole(x), x)], 1))
        return both


class DeepLabV3MobileNet(nn.Module):
    """Float (N, 3, H, W) of any size to scores (N, classes, H, W)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (16, *(row.out for row in ROWS))
        self.first = conv(3, 16, 3, True, stride=2)
        self.rows = nn.Sequential(*(InvertedResidual(cin, row) for cin, row in zip(widths, ROWS, strict=False)))
        self.last = conv(160, 960, 1, True)
        self.pyramid = Pyramid(960)
        self.head = nn.Sequential(ConvBN(WIDTH, WIDTH), nn.Conv2d(WIDTH, classes, 1))

    def forward(self, image: Tensor) -> Tensor:  # (N, 3, 360, 480)
        x = self.last(self.rows(self.first(image)))  # (N, 16, 180, 240) to (N, 960, 23, 30)
        scores = self.head(self.pyramid(x))  # (N, 256, 23, 30) to (N, 11, 23, 30)
        return resize_to(scores, image)  # (N, 11, 360, 480)
