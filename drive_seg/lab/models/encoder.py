"""The encoder that DeepLabV3, DeepLabV3+, KSAC and GCN share: EfficientNet-Lite with ImageNet's features, cut at 1/4.

Their papers have ResNet-101 and larger, learned from ImageNet too. Shapes are for a 480x360 image and Lite0.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from drive_seg.lab.models import staged
from drive_seg.lab.models.efficientnet_lite import Backbone, Picture, Pretrained, widths


@dataclass(frozen=True)
class EncoderConfig:
    classes: int = 11
    lite: int = 0  # 0, 1, 2

    @property
    def quarter(self) -> int:
        """Channels at 1/4; likewise the others."""
        return widths(self.lite)[1]

    @property
    def eighth(self) -> int:
        return widths(self.lite)[2]

    @property
    def sixteenth(self) -> int:
        return widths(self.lite)[4]

    @property
    def last(self) -> int:
        return widths(self.lite)[6]


class Low(nn.Module):
    """Every frame: the image to the features at 1/4; no decoder here wants a finer map."""

    def __init__(self, c: EncoderConfig) -> None:
        super().__init__()
        self.picture, self.backbone = Picture(), Backbone(c.lite, 32, 0, 2)

    def forward(self, image: Tensor) -> Tensor:  # (N, 360, 480, 3) uint8 BGR
        quarter: Tensor = self.backbone(self.picture(image))[1]
        return quarter  # (N, 24, 90, 120)


class Deeper(nn.Module):
    """What `high` begins with: the features at 1/4 to those at 1/8, 1/16 and, at the output stride, the last."""

    def __init__(self, c: EncoderConfig, stride: int) -> None:
        super().__init__()
        self.backbone = Backbone(c.lite, stride, 2)

    def deeper(self, quarter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        eighth, _, sixteenth, _, last = self.backbone(quarter)
        return eighth, sixteenth, last  # (N, 40, 45, 60), (N, 112, 23, 30), (N, 320, 12, 15) at stride 32


class Encoded(Pretrained):
    """A network of these two, cut at 1/4; its head sees those features again, or their size."""

    wiring = staged.Wiring(
        low=("quarter",), high_takes=("quarter",), high=("context",), head_takes=("quarter", "context"), change="quarter"
    )
    low: Low
    high: Deeper

    def groups(self) -> list[nn.Module]:
        return [*self.low.backbone, *self.high.backbone]
