"""What every network of the workshop is: three modules or four, the named tensors between them, and class scores at the end."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.errors import UsageError
from drive_seg.network.cache import CUT

IMAGE = "image"  # the name of the picture among the tensors


@dataclass(frozen=True, slots=True)
class Wiring:
    """The names of the tensors that stages hand on; the order is that of the modules' arguments and results."""

    low: tuple[str, ...]  # what low makes of the image
    high_takes: tuple[str, ...]  # out of low's and mid's, and the picture itself, IMAGE
    high: tuple[str, ...]  # the context, which is cached
    head_takes: tuple[str, ...]  # out of all
    change: str  # of low's, the one that tells a scene cut
    cut: float = CUT  # and what change of it is one
    multiple: int = 8  # heights and widths of images have to be whole multiples of this
    mid_takes: tuple[str, ...] = ()  # out of low's
    mid: tuple[str, ...] = ()  # the part of the context that can be refreshed more often

    @property
    def cached(self) -> tuple[str, ...]:
        """What may be of an earlier frame when the head takes it."""
        return (*self.mid, *self.high)


class Head(nn.Module):
    """The last stage: `forward` gives class scores (N, C, h, w), `labels` the ids that the program shows."""

    def labels(self, *features: Tensor) -> Tensor:
        """uint8 class ids (N, h, w) of the scores as they are; a head with coarser ones enlarges them first."""
        return torch.argmax(self(*features), 1).to(torch.uint8)


class Staged(nn.Module):
    """A network cut into `low` (every frame), `high` (key frames) and `head` (every frame). Images are uint8 BGR (N, H, W, 3).

    Where something can be refreshed more often than the rest, `mid` is between low and high.
    """

    wiring: ClassVar[Wiring]
    made_of: ClassVar[tuple[Callable[..., Any], ...]]  # its configuration, and what makes low, high and head of one, in this order
    low: nn.Module
    high: nn.Module
    head: Head

    def __init__(self, config: Any = None) -> None:
        """`config`: a dataclass of numbers, which the recipe's [network] can override; by default that of the architecture."""
        super().__init__()
        make_config, make_low, make_high, make_head = self.made_of
        self.config = make_config() if config is None else config
        self.low, self.high, self.head = make_low(self.config), make_high(self.config), make_head(self.config)

    @property
    def mid(self) -> nn.Module | None:
        """A view of modules that are high's, and its parameters high's own: weights have the same names with and without it."""
        return None

    def context(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """The picture's and low's tensors by name, and mid's and high's added."""
        wiring = self.wiring
        for stage, takes, names in ((self.mid, wiring.mid_takes, wiring.mid), (self.high, wiring.high_takes, wiring.high)):
            if stage is not None:
                made = as_tuple(stage(*(features[name] for name in takes)))
                features = features | dict(zip(names, made, strict=True))
        return features

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """Everything that the stages before the head put out, by name."""
        return self.context({IMAGE: image, **dict(zip(self.wiring.low, as_tuple(self.low(image)), strict=True))})

    def head_inputs(self, features: dict[str, Tensor]) -> list[Tensor]:
        return [features[name] for name in self.wiring.head_takes]

    def forward(self, image: Tensor) -> Tensor:
        """Class scores (N, C, h, w), at the size that the head gives."""
        return self.head(*self.head_inputs(self.features(image)))

    def training_scores(self, image: Tensor) -> tuple[Tensor, ...]:
        """The scores, and after them those of auxiliary heads, which are not exported."""
        return (self(image),)

    def labels(self, image: Tensor) -> Tensor:
        """uint8 class ids (N, h, w)."""
        return self.head.labels(*self.head_inputs(self.features(image)))

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Those that can begin with what was learned elsewhere; none unless the architecture says so."""
        return []

    def load_pretrained(self) -> None:
        """Fills the backbone with weights learned elsewhere. Raises UsageError where there are none, DataError for a missing package."""
        raise UsageError(f"pretrained: there are no weights for {type(self).__name__}; efficientnet_lite has some")

    def parameter_count(self) -> int:
        """Of the three stages; auxiliary heads do not count."""
        return sum(p.numel() for stage in (self.low, self.high, self.head) for p in stage.parameters())

    def describe(self) -> dict[str, Any]:
        return asdict(self.config)


def as_tuple(value: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def enlarged(scores: Tensor, times: int) -> Tensor:
    """Bilinear, by a whole factor: what heads with coarse scores put before their labels."""
    return F.interpolate(scores, scale_factor=times, mode="bilinear", align_corners=False)
