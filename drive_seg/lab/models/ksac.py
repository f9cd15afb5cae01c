"""KSAC: DeepLabV3+ whose pyramid has one kernel, which looks at the map at every rate.

Huang, Wang, Jia, He 2019, "See More Than Once: Kernel-Sharing Atrous Convolution", https://arxiv.org/abs/1908.09443. What feeds it and
what follows it is deeplabv3plus.py's, so that the two differ in the pyramid alone. Shapes are for a 480x360 image.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from drive_seg.lab.models.blocks import ConvBN, Folding
from drive_seg.lab.models.deeplabv3 import High
from drive_seg.lab.models.deeplabv3plus import DeepLabV3PlusConfig, Head
from drive_seg.lab.models.encoder import Encoded, Low


class KernelSharing(Folding):
    """One 3x3 kernel at three rates, a 1x1 convolution and the whole map's mean, added up (section 3.2).

    Each rate has a batch norm of its own: the further the kernel reaches, the more of it falls on the padding.
    """

    def __init__(self, cin: int, cout: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.rates = rates
        self.kernel = nn.Parameter(torch.empty(cout, cin, 3, 3))
        nn.init.kaiming_normal_(self.kernel, mode="fan_out", nonlinearity="relu")
        self.norms = nn.ModuleList(nn.BatchNorm2d(cout) for _ in rates)
        self.point = ConvBN(cin, cout, kernel=1, relu=False)
        self.whole = nn.Conv2d(cin, cout, 1)
        self.folded = nn.ModuleList()  # in inference form: a convolution for each rate

    def fold(self) -> None:
        """The kernel is shared no longer: each rate's batch norm is in a copy of its own."""
        for rate, norm in zip(self.rates, self.norms, strict=True):
            conv = nn.Conv2d(self.kernel.shape[1], self.kernel.shape[0], 3, padding=rate, dilation=rate, bias=False).eval()
            conv.weight = self.kernel
            assert isinstance(norm, nn.BatchNorm2d)
            self.folded.append(fuse_conv_bn_eval(conv, norm))
        del self.kernel, self.norms

    def looks(self, x: Tensor) -> Iterator[Tensor]:
        """What each rate sees, normalised."""
        if self.folded:
            return (conv(x) for conv in self.folded)
        rates = zip(self.rates, self.norms, strict=True)
        return (norm(F.conv2d(x, self.kernel, padding=rate, dilation=rate)) for rate, norm in rates)

    def forward(self, x: Tensor) -> Tensor:  # (N, 320, 23, 30)
        total = self.point(x) + self.whole(x.mean((2, 3), keepdim=True))
        for look in self.looks(x):
            total = total + look
        return torch.relu(total)  # (N, 96, 23, 30)


class KSAC(Encoded):
    """Cut like DeepLabV3+, where the decoder's skip leaves the encoder."""

    made_of = DeepLabV3PlusConfig, Low, lambda c: High(c, KernelSharing(c.last, c.context, c.rates)), Head
