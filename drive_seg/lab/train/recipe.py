"""The recipe of a training: everything that its result depends on, as one TOML file."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, field_validator, model_validator

from drive_seg.errors import UsageError
from drive_seg.lab.evaluate.datasets import Place
from drive_seg.lab.models import make_network
from drive_seg.lab.models.staged import Staged
from drive_seg.lab.train.losses import LOSSES
from drive_seg.reading import read_toml


def one_of(known: Collection[str], what: str) -> AfterValidator:
    """A name that has to be among these."""

    def checked(name: str) -> str:
        if name not in known:
            raise ValueError(f"{name} is no {what}; known are {', '.join(known)}")
        return name

    return AfterValidator(checked)


class TomlRecipe(BaseModel):
    """Relative paths are meant from the working folder. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: ClassVar[str]  # of recipe, for people
    learning_rate: float  # the highest
    weight_decay: float
    warm_up: float  # share of the training
    cool_down: float = Field(1.0, ge=0, le=1)  # share of the training, at its end, over which the learning rate falls to zero
    ema: float  # share of the averaged weights that a step keeps

    @classmethod
    def load(cls, path: Path, **overrides: object) -> Self:
        """`base = "other.toml"`, beside the file, gives what the file itself does not say.

        Raises UsageError that names the file, the key and what is wrong with it.
        """
        values = cls._read(path)
        try:
            return cls(**(values | {key: value for key, value in overrides.items() if value is not None}))
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    @classmethod
    def _read(cls, path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
        if path.resolve() in above:
            raise UsageError(f"{path}: is its own base; take base out of one of {', '.join(one.name for one in above)}")
        values = read_toml(path, f"give a {cls.kind} recipe in TOML")
        if (base := values.pop("base", None)) is None:
            return values
        if not isinstance(base, str):
            raise UsageError(f"{path}: base: give the name of a recipe beside it, not {base!r}")
        return cls._read(path.parent / base, (*above, path.resolve())) | values


class Recipe(TomlRecipe):
    """Of a network."""

    kind = "training"

    data: str | None = None  # KIND:FOLDER[:SPLIT] of drive_seg.lab.evaluate.datasets
    images: Path | None = None  # or a plain folder of pictures
    labels: Path | None = None  # and one of label maps
    classes: tuple[str, ...]
    hold_out: tuple[str, ...] = ()  # drives (stem prefixes) kept from training and validated on
    validate_data: str | None = None  # looked at while training; nothing is chosen by it
    validate_images: Path | None = None  # or these
    validate_labels: Path | None = None
    validate_every: int = Field(10, ge=1)  # epochs

    # folders with images/ and labels/ whose labels a teacher gave: id + 16 x doubt, what is doubtful is void; or batch:FOLDER[:N]
    pseudo: tuple[Path, ...] = ()
    pseudo_share: tuple[tuple[float, float], ...] = ((0.0, 0.5),)  # (from this share of the training on, share of the samples)

    pretrained: bool = False  # the backbone begins with ImageNet's weights, where the architecture has one
    backbone_rate: float = Field(1.0, gt=0)  # of the learning rate, for a pretrained backbone
    start: Path | None = None  # a checkpoint whose averaged weights the training begins with, or a bundle
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
    degrade: float = Field(0.0, ge=0, le=1)  # share of samples with motion blur, JPEG, haze, night, glare or rain
    windscreen: float = Field(0.0, ge=0, le=1)  # share of samples seen by night, through drops, reflections, a wiper, over a bonnet
    paste: float = Field(0.0, ge=0, le=1)  # share of the real samples that get cut-outs of rare classes
    paste_classes: tuple[str, ...] = ()

    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up: float = 0.03
    ema: float = 0.999
    auxiliary: float = 0.4
    # by their names in drive_seg.lab.train.losses, and their factors
    losses: dict[Annotated[str, one_of(LOSSES, "loss")], PositiveFloat] = Field({"weighted_cross_entropy": 1.0}, min_length=1)
    weight_floor: float = 1.1  # class weight = 1 / log(floor + share of pixels), ENet's rule (arXiv 1606.02147)
    architecture: str = "deeplab"  # of drive_seg.lab.models
    network: dict[str, int | float] = {}  # overrides of its configuration

    licence: str = "that of the pictures and weights that it was learned from"  # of what is learned, for the bundle's card
    limits: str = "Known only on what it was learned from. Not a safety device."  # where it must not be trusted, for the card

    @field_validator("pseudo_share")
    @classmethod
    def _shares(cls, shares: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        starts = [start for start, _ in shares]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)) or any(not 0 <= share <= 1 for _, share in shares):
            raise ValueError("give [from, share] pairs, the first from 0.0 and the others after it, each share within 0 and 1")
        return shares

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for key in ("", "validate_"):
            data, images, labels = (getattr(self, key + name) for name in ("data", "images", "labels"))
            if (images is None) != (labels is None):
                raise ValueError(f"{key}images and {key}labels go together")
            if data and images:
                raise ValueError(f"{key}data and {key}images name the same thing; give one of them")
        if not self.data and not self.images:
            raise ValueError("give data, or images and labels")
        if unknown := [name for name in self.paste_classes if name not in self.classes]:
            raise ValueError(f"paste_classes: {', '.join(unknown)} is not among the classes")
        if self.paste and not self.paste_classes:
            raise ValueError("paste needs paste_classes, the classes whose pictures are cut out")
        if self.demo_share + max(share for _, share in self.pseudo_share) * bool(self.pseudo) >= 1:
            raise ValueError("demo_share and pseudo_share leave nothing for the labelled pictures")
        return self

    @property
    def place(self) -> Place:
        """Where the pairs lie that are learned from."""
        if self.data:
            return self.data
        assert self.images is not None
        assert self.labels is not None
        return self.images, self.labels

    @property
    def validation_place(self) -> Place | None:
        if self.validate_images and self.validate_labels:
            return self.validate_images, self.validate_labels
        return self.validate_data

    def pseudo_share_at(self, done: float) -> float:
        """Of the samples, when the share `done` of the training is over."""
        return next(share for start, share in reversed(self.pseudo_share) if done >= start) if self.pseudo else 0.0

    def make_network(self) -> Staged:
        """The network that this recipe trains, with random weights. Raises UsageError."""
        return make_network(self.architecture, len(self.classes), self.network)
