"""ERFNet: residual blocks whose 3x3 convolutions are 3x1 and 1x3 ones, and a decoder without skips.

Romera, Alvarez, Bergasa, Arroyo 2018, https://doi.org/10.1109/TITS.2017.2750080; as wide and as deep as there, without its dropout: a
training that is resumed repeats to the bit, and drawing numbers in the network would end that. Shapes are for a 480x360 image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.lab.models import staged
from drive_seg.lab.models.blocks import ConvBN, Normalise


@dataclass(frozen=True)
class ERFNetConfig:
    classes: int = 11
    half: int = 16
    quarter: int = 64
    eighth: int = 128
    blocks: int = 5  # at 1/4
    rounds: int = 2  # of four blocks at 1/8
    decoder_blocks: int = 2  # at 1/4, and as many at 1/2


class Down(nn.Module):
    """Half the size: a strided convolution and a pool side by side (ENet's way)."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv = ConvBN(cin, cout - cin, stride=2, relu=False)
        self.norm = nn.BatchNorm2d(cin)  # the two batch norms are one over both, in two parts, so that the first folds

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.cat([self.conv(x), self.norm(F.max_pool2d(x, 2))], 1))


class NonBottleneck1D(nn.Module):
    """3x1, 1x3, and both once more at an atrous rate, beside the identity (figure 2c of the paper)."""

    def __init__(self, channels: int, rate: int = 1) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(channels, channels, (3, 1), padding=(1, 0)),
            nn.ReLU(inplace=True),
            ConvBN(channels, channels, kernel=(1, 3)),
            nn.Conv2d(channels, channels, (3, 1), padding=(rate, 0), dilation=(rate, 1)),
            nn.ReLU(inplace=True),
            ConvBN(channels, channels, kernel=(1, 3), rate=rate, relu=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.convs(x))


class Low(nn.Module):
    """Every frame: the two first downsamplers.

    The cut is as early as can be: ERFNet has no skips, so of what a frame computes here only the context is used. Between key frames
    it shows the key frame's labels.
    """

    def __init__(self, c: ERFNetConfig) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.down1, self.down2 = Down(3, c.half), Down(c.half, c.quarter)

    def forward(self, image: Tensor) -> Tensor:  # (N, 360, 480, 3) uint8 BGR
        half = self.down1(self.normalise(image))  # (N, 16, 180, 240)
        return self.down2(half)  # (N, 64, 90, 120)


class High(nn.Module):
    """Key frames only: the rest of the encoder, to 1/8."""

    def __init__(self, c: ERFNetConfig) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(NonBottleneck1D(c.quarter) for _ in range(c.blocks)))
        self.down3 = Down(c.quarter, c.eighth)
        self.atrous = nn.Sequential(*(NonBottleneck1D(c.eighth, rate) for _ in range(c.rounds) for rate in (2, 4, 8, 16)))

    def forward(self, quarter: Tensor) -> Tensor:
        return self.atrous(self.down3(self.blocks(quarter)))  # (N, 128, 45, 60)


def up(cin: int, cout: int) -> nn.Sequential:
    """Twice the size, by a strided transposed convolution."""
    conv = nn.ConvTranspose2d(cin, cout, 3, 2, padding=1, output_padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class Head(staged.Head):
    """Every frame: the decoder, from the context to scores at full size."""

    def __init__(self, c: ERFNetConfig) -> None:
        super().__init__()
        self.up2 = nn.Sequential(up(c.eighth, c.quarter), *(NonBottleneck1D(c.quarter) for _ in range(c.decoder_blocks)))
        self.up1 = nn.Sequential(up(c.quarter, c.half), *(NonBottleneck1D(c.half) for _ in range(c.decoder_blocks)))
        self.classify = nn.ConvTranspose2d(c.half, c.classes, 2, 2)

    def forward(self, context: Tensor) -> Tensor:
        x = self.up2(context)  # (N, 64, 90, 120)
        return self.classify(self.up1(x))  # (N, 16, 180, 240) to (N, 11, 360, 480)


class ERFNet(staged.Staged):
    wiring = staged.Wiring(low=("quarter",), high_takes=("quarter",), high=("context",), head_takes=("context",), change="quarter")
    made_of = ERFNetConfig, Low, High, Head
