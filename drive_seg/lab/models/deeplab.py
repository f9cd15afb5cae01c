"""The project's own network: a thin every-frame path around a DeepLab-like deep stage, cut into low, high and head.

After DeepLabV3+ (Chen et al. 2018, https://arxiv.org/abs/1802.02611) for the decoder and the parallel atrous rates, with
dense 3x3 convolutions because int8 and bf16 units eat them. Shapes in the comments are for a 480x360 image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.lab.models import staged
from drive_seg.lab.models.blocks import BasicBlock, ConvBN, Normalising, resize_to


@dataclass(frozen=True)
class DeepLabConfig:
    """Widths and depths; the defaults are the default bundle's."""

    classes: int = 11
    stem: int = 24
    fine: int = 32
    fine_blocks: int = 1
    detail: int = 64
    deep: int = 160
    deep_blocks: int = 3
    deeper: int = 256
    deeper_blocks: int = 2
    context: int = 128
    sharpen_blocks: int = 1
    atrous: int = 0  # 1: `high` keeps 1/8 and its convolutions spread out instead of its maps shrinking


class Low(Normalising):
    """Every frame: the image, normalised, to fine (1/4) and detailed (1/8) features."""

    def __init__(self, c: DeepLabConfig) -> None:
        super().__init__()
        blocks = (BasicBlock(c.fine) for _ in range(c.fine_blocks))
        self.fine = nn.Sequential(ConvBN(3, c.stem, stride=2), ConvBN(c.stem, c.fine, stride=2), ConvBN(c.fine, c.fine), *blocks)
        self.detail = nn.Sequential(ConvBN(c.fine, c.detail, stride=2), BasicBlock(c.detail))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:  # (N, 360, 480, 3) uint8 BGR
        fine = self.fine(self.normalised(image))  # (N, 32, 90, 120)
        return fine, self.detail(fine)  # (N, 64, 45, 60)


class Pyramid(nn.Module):
    """Atrous convolutions at three rates and the whole map's mean (ASPP, Chen et al. 2017, https://arxiv.org/abs/1706.05587)."""

    def __init__(self, cin: int, cout: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        width = cout // 2
        self.squeeze = ConvBN(cin, cout, kernel=1)
        self.branches = nn.ModuleList(ConvBN(cout, width, rate=r) for r in rates)
        self.whole = nn.Sequential(nn.Conv2d(cout, width, 1), nn.ReLU(inplace=True))
        self.project = ConvBN(cout + (len(rates) + 1) * width, cout, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        whole = self.whole(x.mean((2, 3), keepdim=True)).expand(-1, -1, x.shape[2], x.shape[3])
        return self.project(torch.cat([x, *(branch(x) for branch in self.branches), whole], 1))


class High(nn.Module):
    """Key frames only: detailed features to the context that is cached, always 1/16 and `context` channels.

    With `atrous` every map stays at 1/8 and each stride becomes a rate of all that follows it (Chen et al. 2017, section 3.1): the
    same weights see the same surroundings, four and sixteen times as densely.
    """

    def __init__(self, c: DeepLabConfig) -> None:
        super().__init__()
        stride = 1 if c.atrous else 2
        rate, far = (2, 4) if c.atrous else (1, 1)
        self.deep = nn.Sequential(ConvBN(c.detail, c.deep, stride=stride), *(BasicBlock(c.deep, rate) for _ in range(c.deep_blocks)))
        self.deeper = nn.Sequential(
            ConvBN(c.deep, c.deeper, stride=stride, rate=rate), *(BasicBlock(c.deeper, far) for _ in range(c.deeper_blocks))
        )
        self.pyramid = Pyramid(c.deeper, c.context, (far, 2 * far, 4 * far))
        self.lateral = ConvBN(c.deep, c.context, kernel=1, relu=False)
        self.fuse = ConvBN(c.context, c.context, stride=2 if c.atrous else 1, rate=rate)

    def forward(self, detail: Tensor) -> Tensor:
        deep = self.deep(detail)  # (N, 160, 23, 30)                        atrous: (N, 160, 45, 60)
        pyramid = self.pyramid(self.deeper(deep))  # (N, 128, 12, 15)               (N, 128, 45, 60)
        return self.fuse(torch.relu(self.lateral(deep) + resize_to(pyramid, deep)))  # (N, 128, 23, 30)


class Head(staged.Head):
    """Every frame: the context, this frame's own features, and out of both the class scores at 1/2.

    The last step to 1/2 is a sub-pixel convolution (Shi et al. 2016, https://arxiv.org/abs/1609.05158): poles and signs are thinner
    than a cell of 1/4, and a learned step can draw them where a bilinear one blurs.
    """

    def __init__(self, c: DeepLabConfig) -> None:
        super().__init__()
        self.enter = ConvBN(c.context, c.detail, kernel=1)
        self.refine = ConvBN(2 * c.detail, c.detail)
        self.narrow = ConvBN(c.detail, c.fine, kernel=1)
        self.sharpen = nn.Sequential(ConvBN(2 * c.fine, c.fine), *(BasicBlock(c.fine) for _ in range(c.sharpen_blocks)))
        self.classify = nn.Conv2d(c.fine, 4 * c.classes, 3, padding=1)  # channel 4 c + 2 i + j: class c at row i, column j of the cell

    def cells(self, fine: Tensor, detail: Tensor, context: Tensor) -> Tensor:
        """The scores of the four half-size pixels in each cell of 1/4."""
        x = self.refine(torch.cat([resize_to(self.enter(context), detail), detail], 1))  # (N, 64, 45, 60)
        x = self.sharpen(torch.cat([resize_to(self.narrow(x), fine), fine], 1))  # (N, 32, 90, 120)
        return self.classify(x)  # (N, 44, 90, 120)

    def forward(self, fine: Tensor, detail: Tensor, context: Tensor) -> Tensor:
        return F.pixel_shuffle(self.cells(fine, detail, context), 2)  # (N, 11, 180, 240)

    def labels(self, *features: Tensor) -> Tensor:
        """uint8 class ids (N, 2h, 2w): the best class first and the rearranging after it, on one plane instead of eleven (0.7 ms less)."""
        cells = self.cells(*features)
        n, channels, h, w = cells.shape
        best = cells.view(n, channels // 4, 4, h, w).argmax(1)
        return best.view(n, 2, 2, h, w).permute(0, 3, 1, 4, 2).reshape(n, 2 * h, 2 * w).to(torch.uint8)


class DeepLab(staged.Staged):
    """The three stages in a row; the auxiliary scores, at 1/16, teach the cached context itself."""

    wiring = staged.Wiring(
        low=("fine", "detail"), high_takes=("detail",), high=("context",), head_takes=("fine", "detail", "context"), change="detail"
    )
    made_of = DeepLabConfig, Low, High, Head

    def __init__(self, config: DeepLabConfig | None = None) -> None:
        super().__init__(config)
        self.auxiliary = nn.Conv2d(self.config.context, self.config.classes, 1)

    def training_scores(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.features(image)
        return self.head(*self.head_inputs(features)), self.auxiliary(features["context"])
