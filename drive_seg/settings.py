"""What a run is told to do: the command line over a TOML file over the defaults, checked before anything is opened.

A setting is written once, as a field of Settings; its flag, its line in --help and its key in TOML are made from that.
"""

import math
import re
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from drive_seg import backends, sources
from drive_seg.contracts import Corridor
from drive_seg.errors import UsageError
from drive_seg.files import expanded
from drive_seg.network import ahead, postprocess, propagate, schedule
from drive_seg.reading import read_toml
from drive_seg.redaction import hide
from drive_seg.sinks.formats import FORMATS
from drive_seg.sinks.tracer import PERFETTO

DEFAULT_MODEL = "city"
DEFAULT_SOURCE = "demo:"
SAVED = "saved"  # the corridor that the window has kept for the source
LOOPBACK = "127.0.0.1"
TOKEN_LETTERS = 16
MOST_PX = 16384  # of an input's side
MOST_CAMERAS = 8
PRODUCT = ("model", "backend", "precision", "schedule", "mode", "propagation")  # of which a benchmark takes several values
FOREIGN = ("class_names", "mean", "std", "channels", "scale")  # what only a network without a card has to be told


def _three(value: object) -> object:
    try:
        one, two, three = (float(part) for part in (value.split(",") if isinstance(value, str) else value))  # type: ignore[attr-defined]
        if not all(map(math.isfinite, (one, two, three))):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("Give three numbers, such as 0.485,0.456,0.406") from error
    return one, two, three


def _width_and_height(value: object) -> object:
    try:
        width, height = (int(part) for part in (value if isinstance(value, tuple) else str(value).split("x")))
    except (TypeError, ValueError) as error:
        raise ValueError("Give width and height, such as 1024x512") from error
    if not 1 <= min(width, height) <= max(width, height) <= MOST_PX:
        raise ValueError(f"Give a width and a height from 1 to {MOST_PX}, such as 1024x512")
    return width, height


def _mode(value: object) -> object:
    if not re.fullmatch(r"sync|async(:[1-9]\d{0,5})?", str(value)):
        raise ValueError("Give sync, async, or async:K, a virtual clock on which the deep stage takes K frames")
    return value


def _deadline(value: object) -> object:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(fps|ms)", str(value))
    number = float(match[1]) if match else 0.0
    if not match or not number or not math.isfinite(number):
        raise ValueError("Give a rate or a time, such as 30fps or 33ms")
    return 1e3 / number if match[2] == "fps" else number


def _host_and_port(value: object) -> object:
    match = re.fullmatch(r"(?:(?:\[([^\s\[\]]+)\]|([^\s:/\[\]]+)):)?(\d{1,5})", str(value))
    if not match or int(match[3]) >= 1 << 16:
        raise ValueError(f"Give an address and a port, such as {LOOPBACK}:8080")
    return match[1] or match[2] or LOOPBACK, int(match[3])


def _token(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(rf"[!-~]{{{TOKEN_LETTERS},}}", value):
        raise ValueError(f"Give at least {TOKEN_LETTERS} letters, digits or signs without a space, such as `openssl rand -hex 16` makes")
    hide(value)
    return value


def _seconds(value: object) -> object:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min)?", str(value))
    if not match:
        raise ValueError("Give a time, such as 30s or 5min")
    return float(match[1]) * (60 if match[2] == "min" else 1)


def _corridor(value: Any) -> object:
    if value == SAVED:
        return value
    try:
        parts = value.split(",") if isinstance(value, str) else value
        points = [float(number) for part in parts for number in (part if isinstance(part, (list, tuple)) else (part,))]
    except (TypeError, ValueError, OverflowError):
        points = []
    return ahead.checked(points)


def _borders(value: object) -> object:
    named = {True: next(iter(postprocess.KINDS)), False: None, "none": None}.get(value, value) if isinstance(value, bool | str) else value
    if named is not None and named not in tuple(postprocess.KINDS):  # as a list has it, which TOML may give, too
        raise ValueError(f"Give {', '.join(postprocess.KINDS)} or none")
    return named


def _mask_format(value: object) -> object:
    if value not in tuple(FORMATS):
        raise ValueError(f"Give {', '.join(FORMATS)}")
    return value


def _place(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("Give a path without a NUL byte")
    return expanded(path)


def _name_or_place(text: str) -> str:
    return str(_place(Path(text))) if text.startswith("~") or "\0" in text else text


Three = Annotated[tuple[float, float, float], BeforeValidator(_three)]
Place = Annotated[Path, AfterValidator(_place)]  # here alone ~ is expanded: what is checked is what is opened
NameOrPlace = Annotated[str, AfterValidator(_name_or_place)]


@dataclass(frozen=True, slots=True)
class Flag:
    """How a field of Settings is given on the command line, and what --help says of it."""

    group: str
    metavar: str  # empty for what is on or off
    help: str
    default: str = ""  # what --help says, where it is not the field's own
    names: tuple[str, ...] = ()  # beside the field's
    choices: tuple[tuple[str, str], ...] = ()  # as they are written, and what each means
    alone: str = ""  # which of them the flag means without a value, where it can be given so


SOURCE, NETWORK, TIME, OUTPUT, BENCHMARK = "Source", "Network", "Key frames, and the frames between", "Output", "Benchmark"
SOURCES = tuple((kind.form, kind.help) for kind in sources.KINDS)
BACKENDS = tuple((name, entry.help) for name, entry in backends.BACKENDS.items())
PRECISIONS = tuple((name, precision.help) for name, precision in backends.PRECISIONS.items())
SCHEDULES = (
    *((kind.form, kind.help) for kind in schedule.KINDS.values()),
    ("auto, auto:25fps", "what is most accurate of all that this machine does in a frame's time; timed first, with --model or without"),
)
MODES = (
    ("sync", "a key frame waits for it"),
    ("async", "no frame waits: it runs beside them"),
    ("async:K", "the same on a virtual clock, on which it takes K frames"),
)
BORDERS = (*((name, kind.help) for name, kind in postprocess.KINDS.items()), ("none", "they are the edges of the network's cells"))
PROPAGATIONS = tuple((name, f"{kind.help}{'; where the bundle has it' * kind.learned}") for name, kind in propagate.KINDS.items())
MASK_FORMATS = tuple((name, kind.help) for name, kind in FORMATS.items())
CORRIDORS = (("0.2,1,0.8,1,0.5,0.5", "these points"), (SAVED, "those that were set in the window for this source, else the usual ones"))


class Settings(BaseModel):
    """One field a flag; a TOML file has the same names, with - or _."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    source: Annotated[NameOrPlace, Flag(SOURCE, "SOURCE", "what is played", choices=SOURCES)] = DEFAULT_SOURCE
    beside: tuple[NameOrPlace, ...] = ()  # more cameras: the sources after the first, where `source` is given as several
    loop: Annotated[bool, Flag(SOURCE, "", "begin again at the end")] = False
    max_frames: Annotated[
        int | None, Field(ge=1), Flag(SOURCE, "N", "stop after N frames; a benchmark counts so many, after its warm-up")
    ] = None
    realtime: Annotated[bool, Flag(SOURCE, "", "keep the file's pace without a window too")] = False
    give_up: Annotated[  # s
        float | None, BeforeValidator(_seconds), Flag(SOURCE, "TIME", "end when a stream is away for so long: 30s, 5min", "never")
    ] = None

    model: Annotated[NameOrPlace, Flag(NETWORK, "BUNDLE", "bundle, by name or folder, or net.onnx with its --class-names")] = DEFAULT_MODEL
    class_names: Annotated[  # a file, or its lines
        Place | tuple[str, ...] | None,
        Flag(NETWORK, "FILE", "net.onnx: one class a line, in the order of its ids: `name` or `name #rrggbb`", names=("--labels",)),
    ] = None
    mean: Annotated[Three | None, Flag(NETWORK, "R,G,B", "net.onnx: subtracted from pixels of 0 to 1", "its metadata, or 0")] = None
    std: Annotated[Three | None, Flag(NETWORK, "R,G,B", "net.onnx: divides them", "its metadata, or 1")] = None
    scale: Annotated[
        float | None, Field(gt=0), Flag(NETWORK, "MAX", "net.onnx: its brightest pixel, 1 or 255", "255 with a mean or std above 1, else 1")
    ] = None
    channels: Annotated[Literal["rgb", "bgr"] | None, Flag(NETWORK, "ORDER", "net.onnx: rgb, bgr", "its metadata, or rgb")] = None
    input_size: Annotated[  # width, height
        tuple[int, int] | None,
        BeforeValidator(_width_and_height),
        Flag(NETWORK, "WxH", "the network's input; a bundle keeps the frame's shape, at about as many pixels", "the card's"),
    ] = None
    backend: Annotated[str | None, Flag(NETWORK, "NAME", "what executes it", "the first that works here", choices=BACKENDS)] = None
    device: Annotated[str | None, Flag(NETWORK, "NAME", "the backend's name for it: cpu, cuda, GPU …")] = None
    precision: Annotated[
        str | None,
        Flag(NETWORK, "NAME", "of its arithmetic", "int8 where the bundle prefers it, else the fastest", choices=PRECISIONS),
    ] = None
    threads: Annotated[int | None, Field(ge=1, le=1024), Flag(NETWORK, "N", "CPU threads of the network", "all cores")] = None
    refine: Annotated[
        str | None,
        BeforeValidator(_borders),
        Flag(NETWORK, "[NAME]", "borders between labels at the picture's full size", "none", choices=BORDERS, alone=BORDERS[0][0]),
    ] = None
    confidence: Annotated[
        bool, Flag(NETWORK, "", "how sure the network is of each label, and which class came second; takes the package onnx")
    ] = False

    schedule: Annotated[
        str, Flag(TIME, "SCHEDULE", "which frames are key frames: those on which the deep stage runs", choices=SCHEDULES)
    ] = "every-frame"
    mode: Annotated[str, BeforeValidator(_mode), Flag(TIME, "MODE", "who waits for the deep stage", choices=MODES)] = "sync"
    propagation: Annotated[str, Flag(TIME, "NAME", "how what the deep stage found gets to a later frame", choices=PROPAGATIONS)] = (
        propagate.HOLD
    )
    replay: Annotated[Place | None, Flag(TIME, "FILE", "take the key frames from the JSON lines of an earlier run")] = None
    audit: Annotated[bool, Flag(TIME, "", "in spare time the full network on some frames: how far the labels agree, by their age")] = False
    corridor: Annotated[
        Corridor | Literal["saved"] | None,
        BeforeValidator(_corridor),
        Flag(
            OUTPUT,
            "X,Y,X,Y,X,Y",
            "look at the road ahead between left foot, right foot and apex, as shares of the picture",
            choices=CORRIDORS,
        ),
    ] = None
    opacity: Annotated[float, Field(ge=0, le=1), Flag(OUTPUT, "SHARE", "of the mask, 0 to 1")] = 0.5
    output: Annotated[
        Place | None,
        Flag(
            OUTPUT,
            "FILE",
            "record the overlay: .mp4, .mkv, .mov, .mcap (a ROS 2 bag); FILE.part until it is whole",
            names=("-o",),
        ),
    ] = None
    captions: Annotated[bool, Flag(OUTPUT, "", "draw classes, latency and age of the features into what is recorded")] = False
    draw_ahead: Annotated[bool, Flag(OUTPUT, "", "draw the road ahead of --corridor into what is recorded")] = False
    save_masks: Annotated[Place | None, Flag(OUTPUT, "PLACE", "write each frame's labels, into a folder or a file")] = None
    save_masks_format: Annotated[
        str, BeforeValidator(_mask_format), Flag(OUTPUT, "FORMAT", "which of them the masks are", choices=MASK_FORMATS)
    ] = next(iter(FORMATS))
    trace: Annotated[Place | None, Flag(OUTPUT, "FILE", "write a JSON line a frame, or what ui.perfetto.dev shows: x.perfetto.json")] = None
    json_file: Annotated[Place | None, Field(alias="json"), Flag(OUTPUT, "FILE", "write the figures as JSON")] = None
    serve: Annotated[  # host, port
        tuple[str, int] | None,
        BeforeValidator(_host_and_port),
        Flag(OUTPUT, "HOST:PORT", f"no window: a page that shows the run and steers it, to browsers; a port alone is {LOOPBACK}'s"),
    ] = None
    token: Annotated[
        SecretStr | None,
        BeforeValidator(_token),
        Field(exclude=True),
        Flag(OUTPUT, "TOKEN", "what a browser has to know for --serve, on any other host than this one; rather in a --config file"),
    ] = None
    overwrite: Annotated[bool, Flag(OUTPUT, "", "replace files that are there; never what is read", names=("-y",))] = False

    benchmark: Annotated[bool, Flag(BENCHMARK, "", "no window; print where the time goes")] = False
    warmup: Annotated[int | None, Field(ge=0), Flag(BENCHMARK, "N", "frames that a benchmark does not count", "until stable")] = None
    min_frames: Annotated[int, Field(ge=1), Flag(BENCHMARK, "N", "that a benchmark counts at least")] = 1000
    min_time: Annotated[float, Field(ge=0), Flag(BENCHMARK, "S", "for which a benchmark counts at least")] = 10.0
    deadline: Annotated[  # ms
        float | None, BeforeValidator(_deadline), Flag(BENCHMARK, "RATE", "count the frames that miss it: 30fps, 33ms")
    ] = None

    headless: Annotated[bool, Flag("", "", "no window")] = False
    config: Annotated[Place | None, Field(exclude=True), Flag("", "FILE", "TOML with the same names; the command line wins")] = None

    @classmethod
    def load(cls, config: Path | None, flags: Mapping[str, object]) -> Self:
        """`flags` that are None were not given. Raises UsageError that names the key or flag and what is wrong with it."""
        given = {name: value for name, value in flags.items() if value is not None}
        config = config and expanded(config)
        try:
            return cls(**_several({**_read(config), **given, "config": config} if config else given))  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            key = str(first["loc"][0])  # what follows are pydantic's names for the types that it tried
            key = "source" if key == "beside" else key
            where = f"--{key.replace('_', '-')}" if key in given or not config else f"{config}: {key}"
            if first["type"] == "extra_forbidden":
                known = ", ".join(sorted(FLAGS))
                raise UsageError(f"{where}: no such key; known are {known}") from error
            message = first["msg"].removeprefix("Value error, ")
            told = "" if key == "token" else f", not {reprlib.repr(first['input'])}"
            raise UsageError(f"{where}: {message[0].lower()}{message[1:]}{told}") from (None if key == "token" else error)

    @property
    def cameras(self) -> "tuple[Self, ...]":
        """Settings of one source each, in the order in which they were given: of several, every file has its camera's number."""
        if not self.beside:
            return (self,)
        sources = (self.source, *self.beside)
        return tuple(self.model_copy(update={"source": source, "beside": (), **self._numbered(at)}) for at, source in enumerate(sources))

    @property
    def written(self) -> dict[str, Path]:
        """What is written of one source's frames, by the flags."""
        given = {"--output": self.output, "--save-masks": self.save_masks, "--trace": self.trace}
        return {flag: path for flag, path in given.items() if path}

    def _numbered(self, at: int) -> dict[str, Path]:
        given = {name: getattr(self, name) for name in ("output", "save_masks", "trace", "replay")}
        return {name: numbered(path, at) for name, path in given.items() if path}

    def arguments(self) -> list[str]:
        """What gives these settings on the command line: source and model, and whatever else is not its default, but for the token.

        Raises UsageError for what no flag can say.
        """
        given: list[str] = []
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if field.exclude or name == "beside" or (value == field.default and name not in ("source", "model")):
                continue
            if name == "class_names" and isinstance(value, tuple):
                raise UsageError("class names given as lines have no flag; write them into a file, one a line, for --class-names")
            given.append(f"--{(field.alias or name).replace('_', '-')}")
            if value is not True:
                given.append(_typed(name, value))
            for more in self.beside if name == "source" else ():
                given += ["--source", more]
        return given

    @classmethod
    def checked(cls, changes: Mapping[str, object]) -> dict[str, object]:
        """Some fields for `model_copy(update=…)`, None for a default. Raises UsageError as `load` does."""
        checked = cls.load(None, changes)
        if unknown := changes.keys() - cls.model_fields.keys():
            raise UsageError(f"{', '.join(sorted(unknown))}: no such setting; known are {', '.join(sorted(cls.model_fields))}")
        return {name: getattr(checked, name) for name in changes}


def numbered(path: Path, at: int) -> Path:
    """out.mp4 of camera 1 is out-1.mp4."""
    suffix = PERFETTO if path.name.endswith(PERFETTO) else path.suffix
    return path.with_name(f"{path.name.removesuffix(suffix)}-{at}{suffix}")


def _several(given: dict[str, object]) -> dict[str, object]:
    """With the first source as `source` and the others beside it. Raises UsageError."""
    sources = given.get("source")
    if "beside" in given:
        raise UsageError("beside: no such key; give `source` a list")
    if not isinstance(sources, (list, tuple)):
        return given
    if not 1 <= len(sources) <= MOST_CAMERAS:
        raise UsageError(f"--source: {len(sources)} were given; give 1 to {MOST_CAMERAS}")
    return {**given, "source": sources[0], "beside": tuple(sources[1:])}


def _typed(name: str, value: object) -> str:
    """As a person types it."""
    if name == "corridor" and isinstance(value, tuple):
        return ",".join(f"{part:g}" for point in value for part in point)
    if name == "serve" and isinstance(value, tuple):
        return f"[{value[0]}]:{value[1]}" if ":" in value[0] else f"{value[0]}:{value[1]}"
    if isinstance(value, tuple):
        return ("x" if name == "input_size" else ",").join(map(str, value))
    return f"{value}" + {"deadline": "ms", "give_up": "s"}.get(name, "")


def _flags() -> Iterator[tuple[str, Flag]]:
    for name, field in Settings.model_fields.items():
        flag = next((one for one in field.metadata if isinstance(one, Flag)), None)
        if flag is None:
            continue
        own = "" if field.default in (None, False) else str(field.default).removesuffix(".0")
        yield field.alias or name, replace(flag, default=flag.default or own)


FLAGS = dict(_flags())  # by what Settings.load takes


def _read(config: Path) -> dict[str, object]:
    told = {key.replace("-", "_"): value for key, value in read_toml(config).items()}
    if "config" in told:
        raise UsageError(f"{config}: config: one file cannot name another; write its keys into this one")
    return told
