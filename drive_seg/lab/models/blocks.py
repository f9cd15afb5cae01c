"""The pieces that the networks share: convolution with batch norm, the residual block, resizing to another map's size."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBN(nn.Sequential):
    """Convolution, batch norm and, unless told otherwise, ReLU; the padding keeps ceil(size / stride)."""

    def __init__(self, cin: int, cout: int, kernel: int = 3, stride: int = 1, rate: int = 1, relu: bool = True) -> None:
        conv = nn.Conv2d(cin, cout, kernel, stride, padding=rate * (kernel // 2), dilation=rate, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(conv, nn.BatchNorm2d(cout), *([nn.ReLU(inplace=True)] if relu else []))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the identity (He et al. 2016, https://arxiv.org/abs/1512.03385)."""

    def __init__(self, channels: int, rate: int = 1) -> None:
        super().__init__()
        self.first = ConvBN(channels, channels, rate=rate)
        self.second = ConvBN(channels, channels, rate=rate, relu=False)
        # The block starts as the identity, which steadies the first epochs (Goyal et al. 2017, section 5.1).
        nn.init.zeros_(self.second[1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """`x` at the height and width of `like`, bilinear."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def normalise(image: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 BGR (N, H, W, 3) to float (N, 3, H, W); the cast comes first because TensorRT lets uint8 feed nothing else."""
    return (image.float().permute(0, 3, 1, 2) - mean) / std
