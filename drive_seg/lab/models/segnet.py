"""SegNet: VGG-16's thirteen convolutions, and their mirror image, which unpools to where each maximum stood.

Badrinarayanan, Kendall, Cipolla 2017, https://arxiv.org/abs/1511.00561. Narrower than the paper, whose groups are 64, 128, 256, 512 and
512 wide. Shapes in the comments are for a 480x360 image.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from drive_seg.lab.models import staged
from drive_seg.lab.models.blocks import ConvBN, Normalise, cropped
from drive_seg.lab.models.unpool import pool, unpool


@dataclass(frozen=True)
class SegNetConfig:
    """The groups' widths."""

    classes: int = 11
    conv1: int = 16
    conv2: int = 32
    conv3: int = 64
    conv4: int = 96
    conv5: int = 96


def encode(cin: int, cout: int, convs: int) -> nn.Sequential:
    return nn.Sequential(*(ConvBN(cout if i else cin, cout) for i in range(convs)))


def decode(cin: int, cout: int, convs: int) -> nn.Sequential:
    return nn.Sequential(*(ConvBN(cin, cin) for _ in range(convs - 1)), ConvBN(cin, cout))


class Low(nn.Module):
    """Every frame: the first two groups, and the places of their maxima.

    The cut is at 1/4 because the places are all that SegNet hands across: those of the two finest pools, which `head` fills in, tell
    where this frame's edges are, and three of five groups on either side are left to `high`.
    """

    def __init__(self, c: SegNetConfig) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.encode1, self.encode2 = encode(3, c.conv1, 2), encode(c.conv1, c.conv2, 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (N, 360, 480, 3) uint8 BGR
        half, places1 = pool(self.encode1(self.normalise(image)))  # (N, 16, 180, 240) both
        quarter, places2 = pool(self.encode2(half))  # (N, 32, 90, 120) both
        return quarter, places1, places2


class High(nn.Module):
    """Key frames only: three groups down, and the same three up."""

    def __init__(self, c: SegNetConfig) -> None:
        super().__init__()
        self.encode3, self.encode4, self.encode5 = encode(c.conv2, c.conv3, 3), encode(c.conv3, c.conv4, 3), encode(c.conv4, c.conv5, 3)
        self.decode5, self.decode4, self.decode3 = decode(c.conv5, c.conv4, 3), decode(c.conv4, c.conv3, 3), decode(c.conv3, c.conv2, 3)

    def forward(self, quarter: Tensor) -> Tensor:
        x, places3 = pool(self.encode3(quarter))  # (N, 64, 45, 60) both
        x, places4 = pool(self.encode4(x), odd=True)  # (N, 96, 23, 30)
        x, places5 = pool(self.encode5(x), odd=True)  # (N, 96, 12, 15)
        x = self.decode5(cropped(unpool(x, places5), places4))  # (N, 96, 23, 30)
        x = self.decode4(cropped(unpool(x, places4), places3))  # (N, 64, 45, 60)
        return self.decode3(unpool(x, places3))  # (N, 32, 90, 120)


class Head(staged.Head):
    """Every frame: the context, unpooled to this frame's places."""

    def __init__(self, c: SegNetConfig) -> None:
        super().__init__()
        self.decode2, self.decode1 = decode(c.conv2, c.conv1, 2), decode(c.conv1, c.conv1, 1)
        self.classify = nn.Conv2d(c.conv1, c.classes, 3, padding=1)

    def forward(self, places1: Tensor, places2: Tensor, context: Tensor) -> Tensor:
        x = self.decode2(unpool(context, places2))  # (N, 16, 180, 240)
        return self.classify(self.decode1(unpool(x, places1)))  # (N, 11, 360, 480)


class SegNet(staged.Staged):
    wiring = staged.Wiring(
        low=("quarter", "places1", "places2"),
        high_takes=("quarter",),
        high=("context",),
        head_takes=("places1", "places2", "context"),
        change="quarter",
    )
    made_of = SegNetConfig, Low, High, Head
