"""DeepLabV3+: DeepLabV3 with a decoder that sees the features at 1/4 again.

Chen, Zhu, Papandreou, Schroff, Adam 2018, https://arxiv.org/abs/1802.02611. Narrower than the paper: EfficientNet-Lite0, 96 channels after
the pyramid, 32 of the fine features and 64 in the decoder instead of ResNet-101, 256, 48 and 256. Shapes are for a 480x360 image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drive_seg.lab.models import staged
from drive_seg.lab.models.blocks import ConvBN, cropped
from drive_seg.lab.models.deeplabv3 import DeepLabV3Config, High, Pyramid
from drive_seg.lab.models.encoder import Encoded, Low


@dataclass(frozen=True)
class DeepLabV3PlusConfig(DeepLabV3Config):
    reduced: int = 32
    decoder: int = 64


class Head(staged.Head):
    """Every frame: the context enlarged to 1/4, this frame's features beside it, two convolutions (figure 2 of the paper)."""

    def __init__(self, c: DeepLabV3PlusConfig) -> None:
        super().__init__()
        self.times = c.output_stride // 4
        self.reduce = ConvBN(c.quarter, c.reduced, kernel=1)
        self.decode = nn.Sequential(ConvBN(c.reduced + c.context, c.decoder), ConvBN(c.decoder, c.decoder))
        self.classify = nn.Conv2d(c.decoder, c.classes, 1)

    def forward(self, quarter: Tensor, context: Tensor) -> Tensor:
        coarse = cropped(staged.enlarged(context, self.times), quarter)  # (N, 96, 90, 120)
        x = self.decode(torch.cat([self.reduce(quarter), coarse], 1))  # (N, 64, 90, 120)
        return staged.enlarged(self.classify(x), 2)  # (N, 11, 180, 240); the paper goes to 1/1


class DeepLabV3Plus(Encoded):
    """The cut is where the decoder's skip leaves the encoder: `low` is what it needs of this frame."""

    made_of = DeepLabV3PlusConfig, Low, lambda c: High(c, Pyramid(c.last, c.context, c.rates)), Head
