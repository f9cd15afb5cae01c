"""The pieces that the networks share: convolution with batch norm, the residual block, and resizing a map to another one's size."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Of CamVid's train split, in grey levels, blue first; shaped for (N, 3, H, W).
MEAN = torch.tensor([104.0, 107.0, 105.0]).view(1, 3, 1, 1)
STD = torch.tensor([78.0, 78.0, 77.0]).view(1, 3, 1, 1)


class ConvBN(nn.Sequential):
    """Convolution, batch norm and, unless told otherwise, ReLU; the padding keeps ceil(size / stride)."""

    def __init__(self, cin: int, cout: int, kernel: int | tuple[int, int] = 3, stride: int = 1, rate: int = 1, relu: bool = True) -> None:
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (rate * (high // 2), rate * (wide // 2))
        conv = nn.Conv2d(cin, cout, (high, wide), stride, padding, dilation=rate, bias=False)
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


class Folding(nn.Module):
    """A module whose batch norms are not beside their convolutions in a row, so that it folds them itself."""

    def fold(self) -> None:
        """Changes this module, which is in inference mode, to a form without those batch norms."""
        raise NotImplementedError


class Doubling(nn.ConvTranspose2d):
    """Class scores at twice the size: a transposed convolution that begins as the bilinear one (Long et al. 2015, section 3.3)."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, classes, 4, 2, padding=1, bias=False)
        slope = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.weight.copy_(torch.eye(classes)[:, :, None, None] * torch.outer(slope, slope))


def halved(x: Tensor) -> Tensor:
    """The maxima of 2x2 cells, (N, C, ceil(H / 2), ceil(W / 2))."""
    return F.max_pool2d(x, 2, ceil_mode=True)


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """`x` at the height and width of `like`, bilinear."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def cropped(x: Tensor, like: Tensor, times: int = 1) -> Tensor:
    """`x` without the rows and columns beyond `times` the size of `like`.

    Maps are as large as ceil(size / stride): enlarged by the stride, they reach beyond the image by less than one of their cells.
    Cutting that off keeps every cell over its own pixels, where squeezing it in would shift them, the last ones by a whole cell.
    """
    return x[:, :, : times * like.shape[2], : times * like.shape[3]]


class Normalising(nn.Module):
    """Holds a mean and a deviation of each channel, in grey levels."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor = MEAN, std: Tensor = STD) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    def normalised(self, image: Tensor) -> Tensor:
        """uint8 BGR (N, H, W, 3) to float (N, 3, H, W)."""
        return (image.float().permute(0, 3, 1, 2) - self.mean) / self.std  # the cast first: TensorRT lets uint8 feed nothing else


class Normalise(Normalising):
    def forward(self, image: Tensor) -> Tensor:
        return self.normalised(image)
