"""DDRNet-23-slim: two residual branches, one that stays at 1/8 and one that goes down to 1/64, and what they tell each other on the way.

Hong, Pan, Sun, Jia 2021, https://arxiv.org/abs/2101.06085; as wide and as deep as there. The authors' speed test enlarges the scores to the
picture's size within the network, and so does this. A plain network (rivals.py). Shapes are for a 480x360 image.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.lab.models.blocks import ConvBN, resize_to


class Block(nn.Module):
    """Two 3x3 convolutions beside the identity, or beside a 1x1 convolution where size or channels change."""

    def __init__(self, cin: int, cout: int, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.branch = nn.Sequential(ConvBN(cin, cout, stride=stride), ConvBN(cout, cout, relu=False))
        self.beside = ConvBN(cin, cout, 1, stride, relu=False) if stride > 1 or cin != cout else nn.Identity()
        self.activate = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activate(self.branch(x) + self.beside(x))
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions to twice the channels, beside a 1x1 one; no ReLU behind the sum."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            ConvBN(channels, channels, 1), ConvBN(channels, channels, stride=stride), ConvBN(channels, 2 * channels, 1, relu=False)
        )
        self.beside = ConvBN(channels, 2 * channels, 1, stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x) + self.beside(x)
        return out


def layer(cin: int, cout: int, stride: int = 1) -> nn.Sequential:
    """Two blocks without the last ReLU: what comes from the other branch is added first."""
    return nn.Sequential(Block(cin, cout, stride), Block(cout, cout, relu=False))


def norm_first(cin: int, cout: int, kernel: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU(), nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=False))


class DAPPM(nn.Module):
    """The map averaged in ever larger windows, each scale refined together with the one before (figure 5)."""

    def __init__(self, cin: int, width: int, cout: int) -> None:
        super().__init__()
        pools = [nn.AvgPool2d(5, 2, 2), nn.AvgPool2d(9, 4, 4), nn.AvgPool2d(17, 8, 8), nn.AdaptiveAvgPool2d(1)]
        self.finest = norm_first(cin, width)
        self.scales = nn.ModuleList(nn.Sequential(pool, norm_first(cin, width)) for pool in pools)
        self.refine = nn.ModuleList(norm_first(width, width, 3) for _ in pools)
        self.compress, self.beside = norm_first(width * 5, cout), norm_first(cin, cout)

    def forward(self, x: Tensor) -> Tensor:
        found = [self.finest(x)]
        for scale, refine in zip(self.scales, self.refine, strict=True):
            found.append(refine(resize_to(scale(x), x) + found[-1]))
        out: Tensor = self.compress(torch.cat(found, 1)) + self.beside(x)
        return out


class DDRNet23Slim(nn.Module):
    """Float (N, 3, H, W), heights and widths multiples of 8, to scores (N, classes, H, W)."""

    def __init__(self, classes: int, width: int = 32) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(ConvBN(3, w, stride=2), ConvBN(w, w, stride=2), layer(w, w), nn.ReLU())
        self.shared = nn.Sequential(layer(w, 2 * w, 2), nn.ReLU())
        self.deep3, self.fine3 = layer(2 * w, 4 * w, 2), layer(2 * w, 2 * w)
        self.to_fine3, self.to_deep3 = ConvBN(4 * w, 2 * w, 1, relu=False), ConvBN(2 * w, 4 * w, stride=2, relu=False)
        self.deep4, self.fine4 = layer(4 * w, 8 * w, 2), layer(2 * w, 2 * w)
        self.to_fine4 = ConvBN(8 * w, 2 * w, 1, relu=False)
        self.to_deep4 = nn.Sequential(ConvBN(2 * w, 4 * w, stride=2), ConvBN(4 * w, 8 * w, stride=2, relu=False))
        self.deep5, self.fine5 = Bottleneck(8 * w, 2), Bottleneck(2 * w)
        self.pyramid = DAPPM(16 * w, 128, 4 * w)
        self.head = nn.Sequential(norm_first(4 * w, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, classes, 1))

    def forward(self, image: Tensor) -> Tensor:  # (N, 3, 360, 480)
        x = self.shared(self.stem(image))  # (N, 32, 90, 120) to (N, 64, 45, 60)
        deep, fine = self.deep3(x), self.fine3(x)  # (N, 128, 23, 30) and (N, 64, 45, 60)
        told_fine = resize_to(self.to_fine3(torch.relu(deep)), fine)
        deep, fine = deep + self.to_deep3(torch.relu(fine)), fine + told_fine
        deep, fine = self.deep4(torch.relu(deep)), self.fine4(torch.relu(fine))  # (N, 256, 12, 15) and (N, 64, 45, 60)
        told_fine = resize_to(self.to_fine4(torch.relu(deep)), fine)
        deep, fine = deep + self.to_deep4(torch.relu(fine)), fine + told_fine
        fine = self.fine5(torch.relu(fine))  # (N, 128, 45, 60)
        deep = self.pyramid(self.deep5(torch.relu(deep)))  # (N, 512, 6, 8) to (N, 128, 6, 8)
        scores: Tensor = self.head(fine + resize_to(deep, fine))  # (N, 11, 45, 60)
        return F.interpolate(scores, scale_factor=8, mode="bilinear", align_corners=False)  # (N, 11, 360, 480)
