"""A model bundle's description, and the check that the bundle is whole before anything of it runs."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from drive_seg.contracts import STAGES, StageName
from drive_seg.errors import BundleError, UsageError
from drive_seg.files import LONGEST, expanded
from drive_seg.network.cache import CUT
from drive_seg.network.propagate import FOR_ALL
from drive_seg.reading import external_data

CARD = "card.json"
PACKAGE = Path(__file__).parents[1]
HERE = Path("engines")
MOST = 16384  # of sides, in pixels, and of channels


def _with_figures(measured: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(measured.get("miou", 0.0), (int, float)):
        raise ValueError("its miou is no number")
    return measured


Measured = Annotated[dict[str, Any], AfterValidator(_with_figures)]
Colour = tuple[Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _beside(name: str) -> str:
    if name in ("", ".", "..") or set(name) & set("/\\:\0") or len(os.fsencode(name)) > LONGEST:
        raise ValueError(f"{name!r} is no name of a file beside the card, and nothing else is read")
    return name


Count = Annotated[int, Field(ge=1, le=MOST)]


class FileCard(_Strict):
    file: Annotated[str, AfterValidator(_beside)]
    sha256: str


class StageCard(FileCard):
    inputs: tuple[str, ...]  # tensor names: the image, or what an earlier stage puts out under the same name
    outputs: tuple[str, ...]
    gflop: float  # at the card's input size
    int8: FileCard | None = None  # the same stage quantised


class KeyInputCard(_Strict):
    """An input of `low` or `head` that takes a tensor of `low` as the key frame put it out: key_embedding takes embedding.

    float32 (1, channels, height / stride, width / stride), rounded up; zeros while there is no key frame.
    """

    channels: Count
    stride: Count


class InputCard(_Strict):
    """The first stage's input: uint8 BGR (1, height, width, 3), normalised inside the graph."""

    name: str
    height: Count  # other sizes work too; this one was trained and measured
    width: Count
    multiple: Count  # heights and widths have to be whole multiples of this


class Card(_Strict):
    format: Literal[1]
    name: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]  # RGB by class
    input: InputCard
    labels: str  # the tensor of the last stage with uint8 class ids (1, h, w)
    change: str  # the tensor of the first stage that is compared from frame to frame to find a scene cut
    cut: float = Field(CUT, gt=0)  # and a larger `cache.change` of it is one
    sure: Annotated[float, Field(gt=0, lt=1)] | None = None  # less is the mean confidence of a drive unlike those learned; None: unknown
    score: str | None = None  # the first stage's tensor with the predicted share of labels that differ from the key frame's, one number
    key_inputs: dict[Annotated[str, Field(pattern="^key_")], KeyInputCard] = {}  # by the input's name
    propagations: tuple[str, ...] = FOR_ALL  # how the context may be propagated to a frame
    stages: dict[StageName, StageCard]
    # By propagation: the head that runs instead of the last stage on frames that are not the key frame itself. One with an input last_X
    # and an output next_X carries a state from frame to frame; it begins with the key's X.
    heads: dict[str, StageCard] = {}
    network: dict[str, Any]  # the architecture's name and its configuration
    parameters: int
    training: dict[str, Any]
    precision: Literal["int8"] | None = None  # int8: exact enough to run unasked, where it is the faster one; None: the backend's floats
    licence: str
    limits: str
    measured: dict[str, Measured]  # accuracy and speed, each with the command that gave it

    @field_validator("propagations")
    @classmethod
    def _with_those_for_all(cls, known: tuple[str, ...]) -> tuple[str, ...]:
        """A card may be older than what needs nothing of it."""
        return tuple(dict.fromkeys((*FOR_ALL, *known)))

    @model_validator(mode="after")
    def _whole(self) -> "Card":
        if len(self.palette) != len(self.classes):
            raise ValueError(f"{len(self.classes)} classes but {len(self.palette)} colours")
        if missing := {"low", "high", "head"} - self.stages.keys():
            raise ValueError(f"no stage {', '.join(sorted(missing))}")
        if self.precision and not self.quantised:
            raise ValueError("precision int8, but no stage has int8")
        fed_back = {name.removeprefix("key_") for name in self.key_inputs}
        if missing := ({self.change, *fed_back} | ({self.score} if self.score else set())) - set(self.stages["low"].outputs):
            raise ValueError(f"low puts out no {', '.join(sorted(missing))}")
        if missing := set(self.propagations) - {*FOR_ALL} - self.heads.keys():
            raise ValueError(f"no head for the propagation {', '.join(sorted(missing))}")
        return self

    @property
    def cached(self) -> tuple[StageName, ...]:
        """The stages whose outputs are kept from key frame to key frame, in their order."""
        return tuple(name for name in STAGES[1:-1] if name in self.stages)

    @property
    def quantised(self) -> bool:
        return any(stage.int8 for stage in self.stages.values())

    def stage(self, name: StageName, propagation: str | None = None) -> StageCard:
        """With a propagation, what runs on the frames that are not the key frame itself."""
        return self.heads.get(propagation or "", self.stages[name]) if name == "head" else self.stages[name]

    def files(self) -> Iterator[FileCard]:
        stages = (*self.stages.values(), *self.heads.values())
        yield from stages
        yield from (stage.int8 for stage in stages if stage.int8)


@dataclass(frozen=True, slots=True)
class Bundle:
    folder: Path
    card: Card
    hides: tuple[Path, ...] = ()  # others of the name by which this one was found, further down in `folders`

    @property
    def note(self) -> str:
        """Which of several bundles of one name this is; empty where there is one."""
        others = " or ".join(str(folder if folder.is_absolute() else f"./{folder}") for folder in self.hides)
        return f"{self.folder.name} means {self.folder}; --model {others} is another one" if others else ""

    def onnx(self, stage: StageName, int8: bool = False, propagation: str | None = None) -> str:
        """The path of its file; one that was not quantised has its file in floats alone."""
        card = self.card.stage(stage, propagation)
        return str(self.folder / (card.int8 or card if int8 else card).file)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shipped() -> Path:
    """The bundles that come with the program: within the installed package, in a source checkout beside it."""
    return inside if (inside := PACKAGE / "engines").is_dir() else PACKAGE.parent / "engines"


def folders() -> tuple[Path, ...]:
    """Where a bundle's name is looked up, in this order: among what comes with the program, in the user's data folder, here."""
    return shipped(), user_data_path("drive-seg", appauthor=False) / "engines", HERE


def everywhere() -> dict[str, tuple[Path, ...]]:
    """By name the folder that the name means, and after it those that it hides."""
    found: dict[str, dict[Path, Path]] = {}
    for folder in folders():
        with suppress(PermissionError):  # of a home that is not this user's
            for card in folder.glob(f"*/{CARD}"):
                found.setdefault(card.parent.name, {}).setdefault(card.parent.resolve(), card.parent)  # one folder may be in two places
    return {name: tuple(found[name].values()) for name in sorted(found)}


def names() -> list[str]:
    """The bundles that can be named without a path."""
    return list(everywhere())


def locate(model: str | Path) -> Path:
    """The folder of a bundle given by name, or by a path: text with a slash in it, as ./name, or a Path. Raises UsageError, BundleError."""
    return _find(model)[0]


def _find(model: str | Path) -> tuple[Path, ...]:
    folder, known = (model if isinstance(model, Path) else expanded(model)), everywhere()
    if isinstance(model, str) and folder.name == model:  # nothing but a name: what lies here must not pass for what comes with the program
        if model in known:
            return known[model]
        meant = f"the folder that is here is ./{model}" if model and folder.is_dir() else "or give a folder, as ./folder"
        raise UsageError(f"{model}: no such model; there {'is' if len(known) == 1 else 'are'} {', '.join(known) or 'none'} ({meant})")
    if (folder / CARD).is_file():
        return (folder,)
    if folder.is_dir():
        raise BundleError(f"{model}: is no bundle, it has no {CARD}; make one with `drive-seg export`")
    raise UsageError(f"{model}: no such folder; give one with a {CARD}, or a name: {', '.join(known) or 'there are none'}")


def load_bundle(model: str | Path) -> Bundle:
    """Reads the card and checks every file against its SHA-256. Raises BundleError naming the file that is missing or altered."""
    folder, *hidden = _find(model)
    try:
        card = Card.model_validate_json((folder / CARD).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the card"
        raise BundleError(
            f"{folder / CARD}: {where}: {first['msg'].removeprefix('Value error, ')}; restore the bundle or export it again"
        ) from error
    except OSError as error:
        raise BundleError(f"{folder / CARD}: cannot be read ({error.strerror}); check its permissions") from error
    for entry in card.files():
        path = folder / entry.file
        if not path.is_file():
            raise BundleError(f"{path}: is missing from the bundle; restore it or export the bundle again")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise BundleError(f"{path}: is not the file that the card describes (SHA-256 differs); restore it or export the bundle again")
        if external_data(content):
            raise BundleError(f"{path}: takes weights from another file, which the card does not describe; export the bundle again")
    return Bundle(folder, card, tuple(hidden))
