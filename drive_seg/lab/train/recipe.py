"""The recipe of a training: everything that its result depends on, as one TOML file."""

import tomllib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from drive_seg.errors import UsageError
from drive_seg.lab.models.deeplab import DeepLab, DeepLabConfig


class Recipe(BaseModel):
    """Relative paths are meant from the working folder. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: Path
    labels: Path
    classes: tuple[str, ...]
    hold_out: tuple[str, ...] = ()  # drives (stem prefixes) kept from training and validated on
    validate_images: Path | None = None  # looked at while training; nothing is chosen by it
    validate_labels: Path | None = None
    validate_every: int = Field(10, ge=1)  # epochs

    start: Path | None = None  # a checkpoint whose averaged weights the training begins with, instead of random ones
    epochs: int = Field(ge=1)
    batch: int = Field(8, ge=1)
    seed: int = 0
    demo_share: float = Field(0.0, ge=0, le=1)  # of the samples that are demo frames
    demo_frames: int = Field(400, ge=1)  # rendered once, at the start, from seeds 1000 and up

    crops: tuple[tuple[float, int, int], ...] = ((0.0, 360, 480),)  # (from this share of the training on, height, width)
    scale: tuple[float, float] = (0.5, 2.0)
    stretch: float = 0.1  # of the aspect ratio, either way
    rotate_deg: float = 5.0
    colour: float = 0.4
    blur: float = 0.2  # share of samples blurred
    noise: float = 0.2  # share of samples with sensor noise

    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up: float = 0.03  # share of the training
    ema: float = 0.999
    auxiliary: float = 0.4
    weight_floor: float = 1.1  # class weight = 1 / log(floor + share of pixels), ENet's rule (arXiv 1606.02147)
    network: dict[str, int] = {}  # overrides of DeepLabConfig

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.validate_images is None) != (self.validate_labels is None):
            raise ValueError("validate_images and validate_labels go together")
        return self

    def make_network(self) -> DeepLab:
        """The network that this recipe trains, with random weights."""
        return DeepLab(DeepLabConfig(**({"classes": len(self.classes)} | self.network)))

    @classmethod
    def load(cls, path: Path, **overrides: object) -> Self:
        """Raises UsageError that names the file, the key and what is wrong with it."""
        try:
            values = tomllib.loads(path.read_text())
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror}); give a training recipe in TOML") from error
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path}: not valid TOML: {error}") from error
        try:
            return cls(**(values | {key: value for key, value in overrides.items() if value is not None}))
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
