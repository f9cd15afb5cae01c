"""DeepLabV3: an encoder that stops shrinking at 1/16 or 1/8, and a pyramid of atrous rates at its end.

Chen, Papandreou, Schroff, Adam 2017, https://arxiv.org/abs/1706.05587. Narrower than the paper: EfficientNet-Lite0 instead of
ResNet-101, without the multi-grid, and 96 channels after the pyramid instead of 256. Shapes in the comments are for a 480x360 image and
output stride 16.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drive_seg.errors import UsageError
from drive_seg.lab.models import staged
from drive_seg.lab.models.blocks import ConvBN, cropped
from drive_seg.lab.models.encoder import Deeper, Encoded, EncoderConfig, Low


@dataclass(frozen=True)
class DeepLabV3Config(EncoderConfig):
    context: int = 96
    output_stride: int = 16  # or 8: twice as fine, with every atrous rate doubled (section 3.1)
    rate: int = 4  # the pyramid's are once, twice and three times this; 6 in the paper, whose images are 513x513

    def __post_init__(self) -> None:
        if self.output_stride not in (8, 16):
            raise UsageError(f"output_stride {self.output_stride}: the encoder can stop at 8 or 16")

    @property
    def rates(self) -> tuple[int, int, int]:
        rate = self.rate * 16 // self.output_stride
        return rate, 2 * rate, 3 * rate


class Pyramid(nn.Module):
    """ASPP: a 1x1 convolution, three atrous ones, and the whole map's mean, side by side (section 3.3)."""

    def __init__(self, cin: int, cout: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList([ConvBN(cin, cout, kernel=1), *(ConvBN(cin, cout, rate=rate) for rate in rates)])
        # No batch norm: a batch has one value per picture here, too few for statistics, and a batch of one has none at all.
        self.whole = nn.Sequential(nn.Conv2d(cin, cout, 1), nn.ReLU(inplace=True))
        self.project = ConvBN((len(rates) + 2) * cout, cout, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        whole = self.whole(x.mean((2, 3), keepdim=True)).expand(-1, -1, x.shape[2], x.shape[3])
        return self.project(torch.cat([*(branch(x) for branch in self.branches), whole], 1))


class High(Deeper):
    """Key frames only: the rest of the encoder and what stands at its end; its result is the context."""

    def __init__(self, c: DeepLabV3Config, end: nn.Module) -> None:
        super().__init__(c, c.output_stride)
        self.end = end

    def forward(self, quarter: Tensor) -> Tensor:
        *_, last = self.deeper(quarter)  # (N, 320, 23, 30)
        return self.end(last)  # (N, 96, 23, 30)


class Head(staged.Head):
    """Every frame: the context's scores, enlarged to 1/2. There is no skip: between key frames this shows the key frame's labels.

    `quarter` only tells the size; the paper enlarges to 1/1, by the same bilinear weights.
    """

    def __init__(self, c: DeepLabV3Config) -> None:
        super().__init__()
        self.times = c.output_stride // 2
        self.classify = nn.Conv2d(c.context, c.classes, 1)

    def forward(self, quarter: Tensor, context: Tensor) -> Tensor:
        return cropped(staged.enlarged(self.classify(context), self.times), quarter, 2)  # (N, 11, 180, 240)


class DeepLabV3(Encoded):
    """The cut is at 1/4, as early as the others': nothing after it is used but the context."""

    made_of = DeepLabV3Config, Low, lambda c: High(c, Pyramid(c.last, c.context, c.rates)), Head
