"""What a run is told to do: the command line over a TOML file over the defaults, checked before anything is opened."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from drive_seg.errors import UsageError
from drive_seg.files import expanded

DEFAULT_MODEL = "camvid"
DEFAULT_SOURCE = "demo:"
FOREIGN = ("class_names", "mean", "std", "channels")  # what only a network without a card has to be told


def _three(value: object) -> object:
    try:
        one, two, three = (float(part) for part in (value.split(",") if isinstance(value, str) else value))  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise ValueError("Give three numbers, such as 0.485,0.456,0.406") from error
    return one, two, three


def _width_and_height(value: object) -> object:
    try:
        width, height = (int(part) for part in (value if isinstance(value, tuple) else str(value).split("x")))
    except ValueError as error:
        raise ValueError("Give width and height, such as 1024x512") from error
    if min(width, height) < 1:
        raise ValueError("Give a width and a height above 0, such as 1024x512")
    return width, height


def _mode(value: object) -> object:
    if not re.fullmatch(r"sync|async(:[1-9]\d*)?", str(value)):
        raise ValueError("Give sync, async, or async:K, a virtual clock on which the deep stage takes K frames")
    return value


def _deadline(value: object) -> object:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(fps|ms)", str(value))
    number = float(match[1]) if match else 0.0
    if not match or not number:
        raise ValueError("Give a rate or a time, such as 30fps or 33ms")
    return 1e3 / number if match[2] == "fps" else number


def _place(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("Give a path without a NUL byte")
    return expanded(path)


def _name_or_place(text: str) -> str:
    return str(_place(Path(text))) if text.startswith("~") or "\0" in text else text


Three = Annotated[tuple[float, float, float], BeforeValidator(_three)]
Place = Annotated[Path, AfterValidator(_place)]  # here alone ~ is expanded: what is checked is what is opened
NameOrPlace = Annotated[str, AfterValidator(_name_or_place)]


class Settings(BaseModel):
    """One field a flag; a TOML file has the same names, with - or _."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: NameOrPlace = DEFAULT_SOURCE
    model: NameOrPlace = DEFAULT_MODEL
    class_names: Place | tuple[str, ...] | None = None  # a file with one a line, or the lines
    mean: Three | None = None
    std: Three | None = None
    channels: Literal["rgb", "bgr"] | None = None
    input_size: Annotated[tuple[int, int], BeforeValidator(_width_and_height)] | None = (
        None  # width, height; a bundle takes it for a number of pixels
    )
    backend: str | None = None
    device: str | None = None
    precision: str | None = None
    threads: int | None = Field(None, ge=1)
    schedule: str = "every-frame"
    mode: Annotated[str, BeforeValidator(_mode)] = "sync"
    propagation: str = "hold"
    refine: bool = False
    opacity: float = Field(0.5, ge=0, le=1)
    output: Place | None = None
    save_masks: Place | None = None
    trace: Place | None = None
    overwrite: bool = False
    replay: Place | None = None
    loop: bool = False
    max_frames: int | None = Field(None, ge=1)
    realtime: bool = False
    audit: bool = False
    headless: bool = False
    benchmark: bool = False
    warmup: int | None = Field(None, ge=0)  # frames; None: until stable
    min_frames: int = Field(1000, ge=1)
    min_time: float = Field(10.0, ge=0)  # s
    deadline: Annotated[float | None, BeforeValidator(_deadline)] = None  # ms
    json_file: Place | None = Field(None, alias="json")
    config: Place | None = Field(None, exclude=True)  # where the rest was read

    @classmethod
    def load(cls, config: Path | None, flags: Mapping[str, object]) -> Self:
        """`flags` that are None were not given. Raises UsageError that names the key or flag and what is wrong with it."""
        given = {name: value for name, value in flags.items() if value is not None}
        config = config and expanded(config)
        try:
            return cls(**({**_read(config), **given, "config": config} if config else given))  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            where = f"--{key.replace('_', '-')}" if key in given or not config else f"{config}: {key}"
            if first["type"] == "extra_forbidden":
                known = ", ".join(sorted(field.alias or name for name, field in cls.model_fields.items()))
                raise UsageError(f"{where}: no such key; known are {known}") from error
            message = first["msg"].removeprefix("Value error, ")
            raise UsageError(f"{where}: {message[0].lower()}{message[1:]}, not {first['input']!r}") from error

    @classmethod
    def checked(cls, changes: Mapping[str, object]) -> dict[str, object]:
        """Some fields for `model_copy(update=…)`, None for a default. Raises UsageError as `load` does."""
        checked = cls.load(None, changes)
        if unknown := changes.keys() - cls.model_fields.keys():
            raise UsageError(f"{', '.join(sorted(unknown))}: no such setting; known are {', '.join(sorted(cls.model_fields))}")
        return {name: getattr(checked, name) for name in changes}


def _read(config: Path) -> dict[str, object]:
    try:
        told = {key.replace("-", "_"): value for key, value in tomllib.loads(config.read_text()).items()}
    except OSError as error:
        raise UsageError(f"{config}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{config}: not valid TOML: {error}") from error
    if "config" in told:
        raise UsageError(f"{config}: config: one file cannot name another; write its keys into this one")
    return told
