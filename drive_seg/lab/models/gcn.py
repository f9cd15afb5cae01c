"""GCN: "large kernel matters": score maps by k x 1 and 1 x k convolutions on every level, added up from coarse to fine.

Peng, Zhang, Yu, Luo, Sun 2017, https://arxiv.org/abs/1703.02719. Narrower than the paper: EfficientNet-Lite0 instead of ResNet-152.
Shapes in the comments are for a 480x360 image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drive_seg.errors import UsageError
from drive_seg.lab.models import staged
from drive_seg.lab.models.blocks import Doubling, cropped
from drive_seg.lab.models.encoder import Deeper, Encoded, EncoderConfig, Low


@dataclass(frozen=True)
class GCNConfig(EncoderConfig):
    kernel: int = 15  # covers the map at 1/32, as in the paper

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise UsageError(f"kernel {self.kernel}: a kernel that keeps the map's size is odd")


def tall(cin: int, cout: int, k: int) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, (k, 1), padding=(k // 2, 0))


def wide(cin: int, cout: int, k: int) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, (1, k), padding=(0, k // 2))


class GlobalConv(nn.Module):
    """The reach of a dense k x k kernel by two separable pairs, without anything between (section 3.1, figure 2B)."""

    def __init__(self, cin: int, classes: int, k: int) -> None:
        super().__init__()
        self.left = nn.Sequential(tall(cin, classes, k), wide(classes, classes, k))
        self.right = nn.Sequential(wide(cin, classes, k), tall(classes, classes, k))

    def forward(self, x: Tensor) -> Tensor:
        return self.left(x) + self.right(x)


class Refine(nn.Module):
    """Boundary refinement: a residual of two 3x3 convolutions on the scores (section 3.2, figure 2C)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(classes, classes, 3, padding=1), nn.Conv2d(classes, classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(x)))


class Level(nn.Module):
    """One level's scores, refined; and added to the coarser levels' and refined again, where there are any."""

    def __init__(self, cin: int, c: GCNConfig) -> None:
        super().__init__()
        self.score = nn.Sequential(GlobalConv(cin, c.classes, c.kernel), Refine(c.classes))
        self.twice, self.refine = Doubling(c.classes), Refine(c.classes)

    def forward(self, x: Tensor, coarser: Tensor) -> Tensor:
        return self.refine(self.score(x) + cropped(self.twice(coarser), x))


class High(Deeper):
    """Key frames only: the rest of the encoder, and its scores added up to 1/8. They are what is cached: one plane a class."""

    def __init__(self, c: GCNConfig) -> None:
        super().__init__(c, 32)
        self.deepest = nn.Sequential(GlobalConv(c.last, c.classes, c.kernel), Refine(c.classes))
        self.level3, self.level2 = Level(c.sixteenth, c), Level(c.eighth, c)

    def forward(self, quarter: Tensor) -> Tensor:
        second, third, last = self.deeper(quarter)  # (N, 40, 45, 60), (N, 112, 23, 30), (N, 320, 12, 15)
        scores = self.deepest(last)  # (N, 11, 12, 15)
        return self.level2(second, self.level3(third, scores))  # (N, 11, 45, 60)


class Head(staged.Head):
    """Every frame: this frame's scores at 1/4, added to the cached ones, and up to 1/2; the paper goes on to 1/1 in the same way."""

    def __init__(self, c: GCNConfig) -> None:
        super().__init__()
        self.level1 = Level(c.quarter, c)
        self.enlarge = nn.Sequential(Doubling(c.classes), Refine(c.classes))

    def forward(self, quarter: Tensor, scores: Tensor) -> Tensor:
        return self.enlarge(self.level1(quarter, scores))  # (N, 11, 90, 120) to (N, 11, 180, 240)


class GCN(Encoded):
    """The cut is at 1/4, after the first layer that is scored: the finest scores come from this frame."""

    wiring = staged.Wiring(low=("quarter",), high_takes=("quarter",), high=("scores",), head_takes=("quarter", "scores"), change="quarter")
    made_of = GCNConfig, Low, High, Head
