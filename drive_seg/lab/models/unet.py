"""U-Net: an encoder that halves the map four times, and a decoder of the same shape that gets each of its maps again.

Ronneberger, Fischer, Brox 2015, https://arxiv.org/abs/1505.04597. Narrower than the paper (its width is 64), with batch norm, and with
padded convolutions, so that the labels cover the whole image. Shapes in the comments are for a 480x360 image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drive_seg.lab.models import staged
from drive_seg.lab.models.blocks import ConvBN, Normalise, cropped, halved


@dataclass(frozen=True)
class UNetConfig:
    """`width` at full size; it doubles with each halving."""

    classes: int = 11
    width: int = 12


def twice(cin: int, cout: int) -> nn.Sequential:
    return nn.Sequential(ConvBN(cin, cout), ConvBN(cout, cout))


class Low(nn.Module):
    """Every frame: the first two levels, whose maps the decoder sees again, and the pool after them.

    The cut is at 1/4 because a U-Net spends about as much on each level: with two of them on every frame's way down and up, its edges
    are this frame's own, and more than half of the arithmetic is left to `high`. There is little more to gain by a cache.
    """

    def __init__(self, c: UNetConfig) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.down1, self.down2 = twice(3, c.width), twice(c.width, 2 * c.width)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (N, 360, 480, 3) uint8 BGR
        full = self.down1(self.normalise(image))  # (N, 12, 360, 480)
        half = self.down2(halved(full))  # (N, 24, 180, 240)
        return full, half, halved(half)  # (N, 24, 90, 120)


class Up(nn.Module):
    """The 2x2 "up-convolution", and two convolutions over it and the encoder's map of that size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.convs = twice(2 * width, width)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        return self.convs(torch.cat([skip, cropped(self.enlarge(coarse), skip)], 1))


class High(nn.Module):
    """Key frames only: down to 1/16 and up again to 1/4."""

    def __init__(self, c: UNetConfig) -> None:
        super().__init__()
        w = c.width
        self.down3, self.down4, self.bottom = twice(2 * w, 4 * w), twice(4 * w, 8 * w), twice(8 * w, 16 * w)
        self.up4, self.up3 = Up(8 * w), Up(4 * w)

    def forward(self, quarter: Tensor) -> Tensor:
        third = self.down3(quarter)  # (N, 48, 90, 120)
        fourth = self.down4(halved(third))  # (N, 96, 45, 60)
        x = self.bottom(halved(fourth))  # (N, 192, 23, 30)
        x = self.up4(x, fourth)  # (N, 96, 45, 60)
        return self.up3(x, third)  # (N, 48, 90, 120)


class Head(staged.Head):
    """Every frame: the context up to full size, with this frame's own maps."""

    def __init__(self, c: UNetConfig) -> None:
        super().__init__()
        self.up2, self.up1 = Up(2 * c.width), Up(c.width)
        self.classify = nn.Conv2d(c.width, c.classes, 1)

    def forward(self, full: Tensor, half: Tensor, context: Tensor) -> Tensor:
        x = self.up2(context, half)  # (N, 24, 180, 240)
        return self.classify(self.up1(x, full))  # (N, 11, 360, 480)


class UNet(staged.Staged):
    wiring = staged.Wiring(
        low=("full", "half", "quarter"),
        high_takes=("quarter",),
        high=("context",),
        head_takes=("full", "half", "context"),
        change="quarter",
    )
    made_of = UNetConfig, Low, High, Head
