"""ESPNet: convolutions split into a narrow 1x1 one and a pyramid of atrous ones, whose results are summed up from rate to rate.

Mehta, Rastegari, Caspi, Shapiro, Hajishirzi 2018, https://arxiv.org/abs/1803.06815; as wide as there, with the two blocks at 1/4 and eight
at 1/8 of the network that the authors publish. A plain network (rivals.py). Shapes are for a 480x360 image.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.lab.models.blocks import ConvBN


def norm_prelu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))


def double(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, 2, bias=False)


class Pyramid(nn.Module):
    """Reduce, then five atrous rates side by side; from the second on each is added to those before it (figure 1b).

    With a stride of 2 it reduces by a 3x3 convolution.
    """

    def __init__(self, cin: int, cout: int, stride: int = 1) -> None:
        super().__init__()
        narrow = cout // 5
        first = cout - 4 * narrow
        self.reduce = nn.Conv2d(cin, narrow, 3 if stride > 1 else 1, stride, padding=1 if stride > 1 else 0, bias=False)
        self.near = nn.Conv2d(narrow, first, 3, padding=1, bias=False)
        self.far = nn.ModuleList(nn.Conv2d(narrow, narrow, 3, padding=rate, dilation=rate, bias=False) for rate in (2, 4, 8, 16))

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        summed = [self.far[0](x)]
        for conv in list(self.far)[1:]:
            summed.append(summed[-1] + conv(x))
        return torch.cat([self.near(x), *summed], 1)


class Block(nn.Module):
    """The pyramid beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pyramid, self.activate = Pyramid(channels, channels), norm_prelu(channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activate(x + self.pyramid(x))
        return out


class ESPNet(nn.Module):
    """Float (N, 3, H, W), heights and widths multiples of 8, to scores (N, classes, H, W); five classes at least, by its last pyramid."""

    def __init__(self, classes: int, quarter_blocks: int = 2, eighth_blocks: int = 8) -> None:
        super().__init__()
        self.first = nn.Sequential(ConvBN(3, 16, stride=2, relu=False), nn.PReLU(16))
        self.norm_half = norm_prelu(16 + 3)
        self.down4 = nn.Sequential(Pyramid(16 + 3, 64, 2), norm_prelu(64))
        self.quarter = nn.Sequential(*(Block(64) for _ in range(quarter_blocks)))
        self.norm_quarter = norm_prelu(128 + 3)
        self.down8 = nn.Sequential(Pyramid(128 + 3, 128, 2), norm_prelu(128))
        self.eighth = nn.Sequential(*(Block(128) for _ in range(eighth_blocks)))
        self.up8 = nn.Sequential(norm_prelu(256), nn.Conv2d(256, classes, 1, bias=False), nn.BatchNorm2d(classes), double(classes))
        self.from_quarter = nn.Conv2d(128 + 3, classes, 1, bias=False)
        self.up4 = nn.Sequential(norm_prelu(2 * classes), Pyramid(2 * classes, classes), norm_prelu(classes), double(classes))
        self.norm_up = norm_prelu(classes)
        self.both = nn.Sequential(ConvBN(16 + 3 + classes, classes, relu=False), nn.PReLU(classes))
        self.up2 = double(classes)

    def forward(self, image: Tensor) -> Tensor:  # (N, 3, 360, 480)
        image2 = F.avg_pool2d(image, 3, 2, 1)  # the picture is shown again at 1/2 and at 1/4
        image4 = F.avg_pool2d(image2, 3, 2, 1)
        half = self.norm_half(torch.cat([self.first(image), image2], 1))  # (N, 19, 180, 240)
        x = self.down4(half)  # (N, 64, 90, 120)
        quarter = self.norm_quarter(torch.cat([self.quarter(x), x, image4], 1))  # (N, 131, 90, 120)
        x = self.down8(quarter)  # (N, 128, 45, 60)
        x = self.up8(torch.cat([x, self.eighth(x)], 1))  # (N, 256, 45, 60) to (N, 11, 90, 120)
        x = self.norm_up(self.up4(torch.cat([self.from_quarter(quarter), x], 1)))  # (N, 22, 90, 120) to (N, 11, 180, 240)
        scores: Tensor = self.up2(self.both(torch.cat([x, half], 1)))  # (N, 30, 180, 240) to (N, 11, 360, 480)
        return scores
