"""ENet: thin bottlenecks, most of them at 1/8, and a small decoder that unpools to where each maximum stood.

Paszke, Chaurasia, Kim, Culurciello 2016, https://arxiv.org/abs/1606.02147; as wide and as deep as there (table 1), without its dropout: a
training that is resumed repeats to the bit, and drawing numbers in the network would end that. Shapes are for a 480x360 image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.lab.models import staged
from drive_seg.lab.models.blocks import ConvBN, Normalise
from drive_seg.lab.models.unpool import pool, unpool


@dataclass(frozen=True)
class ENetConfig:
    classes: int = 11
    half: int = 16
    quarter: int = 64
    eighth: int = 128
    blocks: int = 4  # at 1/4
    rounds: int = 2  # of eight blocks at 1/8: the paper's sections 2 and 3


def conv_prelu(cin: int, cout: int, kernel: int | tuple[int, int] = 1, rate: int = 1) -> nn.Sequential:
    return nn.Sequential(ConvBN(cin, cout, kernel, rate=rate, relu=False), nn.PReLU(cout))


class Bottleneck(nn.Module):
    """A quarter of the channels between two 1x1 convolutions, beside the identity (figure 2b).

    As in the authors' code, the encoder has PReLU and the decoder ReLU.
    """

    def __init__(self, channels: int, rate: int = 1, asymmetric: bool = False, decoder: bool = False) -> None:
        super().__init__()
        width = channels // 4
        narrow: nn.Module
        middle: nn.Module
        if decoder:
            narrow, middle = ConvBN(channels, width, 1), ConvBN(width, width)
        elif asymmetric:  # 5x1 and 1x5
            narrow = conv_prelu(channels, width)
            middle = nn.Sequential(nn.Conv2d(width, width, (5, 1), padding=(2, 0), bias=False), conv_prelu(width, width, (1, 5)))
        else:
            narrow, middle = conv_prelu(channels, width), conv_prelu(width, width, 3, rate)
        self.branch = nn.Sequential(narrow, middle, ConvBN(width, channels, 1, relu=False))
        self.activate = nn.ReLU() if decoder else nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(x + self.branch(x))


class Down(nn.Module):
    """Half the size: the branch begins with a strided 2x2 convolution; beside it the maxima, with empty channels after them."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        width = cin // 4
        self.more = cout - cin
        self.branch = nn.Sequential(
            nn.Conv2d(cin, width, 2, 2, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            conv_prelu(width, width, 3),
            ConvBN(width, cout, 1, relu=False),
        )
        self.activate = nn.PReLU(cout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maxima, places = pool(x)
        return self.activate(F.pad(maxima, (0, 0, 0, 0, 0, self.more)) + self.branch(x)), places


class Up(nn.Module):
    """Twice the size: the branch's middle is a transposed convolution; beside it the features unpooled to their places."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        width = cin // 4
        self.fewer = ConvBN(cin, cout, 1, relu=False)
        self.branch = nn.Sequential(
            ConvBN(cin, width, 1),
            nn.ConvTranspose2d(width, width, 3, 2, padding=1, output_padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            ConvBN(width, cout, 1, relu=False),
        )

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        return torch.relu(unpool(self.fewer(x), places) + self.branch(x))


class Low(nn.Module):
    """Every frame: the initial block, section 1, and the step to 1/8, with the places of both poolings.

    The cut is there because the places are all that ENet's decoder has of the encoder but its end: each frame gets its own.
    """

    def __init__(self, c: ENetConfig) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.initial = ConvBN(3, c.half - 3, stride=2, relu=False)
        self.norm, self.activate = nn.BatchNorm2d(3), nn.PReLU(c.half)
        self.down1, self.down2 = Down(c.half, c.quarter), Down(c.quarter, c.eighth)
        self.section1 = nn.Sequential(*(Bottleneck(c.quarter) for _ in range(c.blocks)))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (N, 360, 480, 3) uint8 BGR
        x = self.normalise(image)
        x = self.activate(torch.cat([self.initial(x), self.norm(F.max_pool2d(x, 2))], 1))  # (N, 16, 180, 240)
        x, places1 = self.down1(x)  # (N, 64, 90, 120); places (N, 16, 90, 120)
        x, places2 = self.down2(self.section1(x))  # (N, 128, 45, 60); places (N, 64, 45, 60)
        return x, places1, places2


class High(nn.Module):
    """Key frames only: sections 2 and 3, sixteen bottlenecks."""

    def __init__(self, c: ENetConfig) -> None:
        super().__init__()
        n = c.eighth
        self.sections = nn.Sequential(
            *(
                block
                for _ in range(c.rounds)
                for near, far in ((2, 4), (8, 16))
                for block in (Bottleneck(n), Bottleneck(n, near), Bottleneck(n, asymmetric=True), Bottleneck(n, far))
            )
        )

    def forward(self, eighth: Tensor) -> Tensor:
        return self.sections(eighth)  # (N, 128, 45, 60)


class Head(staged.Head):
    """Every frame: sections 4 and 5 and the last transposed convolution, to scores at full size."""

    def __init__(self, c: ENetConfig) -> None:
        super().__init__()
        self.up2, self.up1 = Up(c.eighth, c.quarter), Up(c.quarter, c.half)
        self.section4 = nn.Sequential(Bottleneck(c.quarter, decoder=True), Bottleneck(c.quarter, decoder=True))
        self.section5 = Bottleneck(c.half, decoder=True)
        self.classify = nn.ConvTranspose2d(c.half, c.classes, 2, 2)

    def forward(self, places1: Tensor, places2: Tensor, context: Tensor) -> Tensor:
        x = self.section4(self.up2(context, places2))  # (N, 64, 90, 120)
        x = self.section5(self.up1(x, places1))  # (N, 16, 180, 240)
        return self.classify(x)  # (N, 11, 360, 480)


class ENet(staged.Staged):
    wiring = staged.Wiring(
        low=("eighth", "places1", "places2"),
        high_takes=("eighth",),
        high=("context",),
        head_takes=("places1", "places2", "context"),
        change="eighth",
    )
    made_of = ENetConfig, Low, High, Head
