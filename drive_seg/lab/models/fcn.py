"""FCN-32s, FCN-16s and FCN-8s: a classifier made convolutional, whose coarse scores are refined by those of earlier pools.

Long, Shelhamer, Darrell 2015, https://arxiv.org/abs/1411.4038. Narrower than the paper's VGG-16 (138 M parameters): VGG's configuration
A (https://arxiv.org/abs/1409.1556) at a quarter of its width, with batch norm, because it learns from scratch. Shapes are for 480x360.

The cuts, after pool3 and pool4, are those of Clockwork Convnets (Shelhamer et al. 2016, https://arxiv.org/abs/1608.03609), and so is what
is cached: the scores of pool4 and fc7, a few planes, each of which can have a rate of its own (FCN-32s has fc7's alone). Of this frame's
own only FCN-8s sees anything, pool3's scores: FCN-16s and FCN-32s have no skip that early, and show the last refresh until the next one.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from drive_seg.lab.models import staged
from drive_seg.lab.models.blocks import ConvBN, Doubling, Normalise, cropped, halved


@dataclass(frozen=True)
class FCNConfig:
    """Widths of the five groups of convolutions and of fc6 and fc7; VGG's are 64, 128, 256, 512, 512 and 4096."""

    classes: int = 11
    conv1: int = 16
    conv2: int = 32
    conv3: int = 64
    conv4: int = 192
    conv5: int = 192
    fc: int = 256


class Low(nn.Module):
    """Every frame: the image to pool3."""

    def __init__(self, c: FCNConfig) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.conv1 = ConvBN(3, c.conv1)
        self.conv2 = ConvBN(c.conv1, c.conv2)
        self.conv3 = nn.Sequential(ConvBN(c.conv2, c.conv3), ConvBN(c.conv3, c.conv3))

    def forward(self, image: Tensor) -> Tensor:  # (N, 360, 480, 3) uint8 BGR
        pool1 = halved(self.conv1(self.normalise(image)))  # (N, 16, 180, 240)
        pool2 = halved(self.conv2(pool1))  # (N, 32, 90, 120)
        return halved(self.conv3(pool2))  # (N, 64, 45, 60)


class High32s(nn.Module):
    """Key frames only: pool3 to the scores of fc7, which is a 7x7 convolution here: each cell sees the whole picture's width."""

    def __init__(self, c: FCNConfig) -> None:
        super().__init__()
        self.conv4 = nn.Sequential(ConvBN(c.conv3, c.conv4), ConvBN(c.conv4, c.conv4))
        self.conv5 = nn.Sequential(ConvBN(c.conv4, c.conv5), ConvBN(c.conv5, c.conv5))
        self.fc = nn.Sequential(ConvBN(c.conv5, c.fc, kernel=7), ConvBN(c.fc, c.fc, kernel=1))
        self.score = nn.Conv2d(c.fc, c.classes, 1)

    def pool4(self, pool3: Tensor) -> Tensor:
        return halved(self.conv4(pool3))  # (N, 192, 23, 30)

    def deepest(self, pool4: Tensor) -> Tensor:
        return self.score(self.fc(halved(self.conv5(pool4))))  # (N, 11, 12, 15)

    def forward(self, pool3: Tensor) -> Tensor:
        return self.deepest(self.pool4(pool3))


class High(High32s):
    """From pool4 to the scores of fc7; what is before them is Mid's to run."""

    def __init__(self, c: FCNConfig) -> None:
        super().__init__(c)
        self.score_pool4 = zero_score(c.conv4, c.classes)

    def forward(self, pool4: Tensor) -> Tensor:
        return self.deepest(pool4)


class Mid(nn.Module):
    """Key frames, and those between for which it is due: pool3 to pool4 and its scores, by the modules of `high`."""

    def __init__(self, high: High) -> None:
        super().__init__()
        self.high = high

    def forward(self, pool3: Tensor) -> tuple[Tensor, Tensor]:
        pool4 = self.high.pool4(pool3)
        return pool4, self.high.score_pool4(pool4)  # (N, 192, 23, 30), (N, 11, 23, 30)


def zero_score(cin: int, classes: int) -> nn.Conv2d:
    """A skip that says nothing at first, so that each net begins as the coarser one (section 4.2)."""
    conv = nn.Conv2d(cin, classes, 1)
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


class Head32s(staged.Head):
    """Every frame: the cached scores enlarged to 1/2; pool3 only tells that size. The paper goes to 1/1, by the same bilinear weights."""

    def forward(self, pool3: Tensor, score_fc7: Tensor) -> Tensor:
        return cropped(staged.enlarged(score_fc7, 16), pool3, 4)  # (N, 11, 180, 240)


class Head16s(staged.Head):
    """Every frame: fc7's scores twice as large, pool4's added."""

    def __init__(self, c: FCNConfig) -> None:
        super().__init__()
        self.twice = Doubling(c.classes)

    def fuse(self, score_pool4: Tensor, score_fc7: Tensor) -> Tensor:
        return score_pool4 + cropped(self.twice(score_fc7), score_pool4)  # (N, 11, 23, 30)

    def forward(self, pool3: Tensor, score_pool4: Tensor, score_fc7: Tensor) -> Tensor:
        return cropped(staged.enlarged(self.fuse(score_pool4, score_fc7), 8), pool3, 4)


class Head8s(Head16s):
    """Every frame: and once more, with the scores of this frame's own pool3."""

    def __init__(self, c: FCNConfig) -> None:
        super().__init__(c)
        self.score_pool3 = zero_score(c.conv3, c.classes)
        self.twice_again = Doubling(c.classes)

    def forward(self, pool3: Tensor, score_pool4: Tensor, score_fc7: Tensor) -> Tensor:
        coarse = cropped(self.twice_again(self.fuse(score_pool4, score_fc7)), pool3)
        return staged.enlarged(self.score_pool3(pool3) + coarse, 4)  # (N, 11, 45, 60) to (N, 11, 180, 240)


class FCN32s(staged.Staged):
    wiring = staged.Wiring(low=("pool3",), high_takes=("pool3",), high=("score_fc7",), head_takes=("pool3", "score_fc7"), change="pool3")
    made_of = FCNConfig, Low, High32s, lambda c: Head32s()


class FCN16s(staged.Staged):
    wiring = staged.Wiring(
        low=("pool3",),
        mid_takes=("pool3",),
        mid=("pool4", "score_pool4"),
        high_takes=("pool4",),
        high=("score_fc7",),
        head_takes=("pool3", "score_pool4", "score_fc7"),
        change="pool3",
    )
    made_of = FCNConfig, Low, High, Head16s
    high: High

    @property
    def mid(self) -> Mid:
        return Mid(self.high)


class FCN8s(FCN16s):
    made_of = FCNConfig, Low, High, Head8s
