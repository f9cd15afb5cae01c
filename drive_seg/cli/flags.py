"""What the commands share: the flags, the two consoles, and how figures are written to a file."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from drive_seg.errors import UsageError
from drive_seg.files import Beside, Use, expanded, require_apart, require_writable
from drive_seg.settings import DEFAULT_MODEL, Settings
from drive_seg.sources.images import SUFFIXES

out, err = Console(highlight=False), Console(stderr=True, highlight=False)

Model = Annotated[
    str | None, typer.Option(metavar="BUNDLE", help=f"bundle, by name or folder, or net.onnx with its --class-names  [{DEFAULT_MODEL}]")
]
Mean = Annotated[str | None, typer.Option(metavar="R,G,B", help="net.onnx: subtracted from pixels of 0 to 1  [its metadata, or 0]")]
Std = Annotated[str | None, typer.Option(metavar="R,G,B", help="net.onnx: divides them  [its metadata, or 1]")]
Channels = Annotated[str | None, typer.Option(help="net.onnx: rgb, bgr  [its metadata, or rgb]")]
InputSize = Annotated[
    str | None,
    typer.Option(metavar="WxH", help="the network's input; a bundle keeps the frame's shape, at about as many pixels  [the card's]"),
]
Backend = Annotated[str | None, typer.Option(help="tensorrt, openvino, onnxruntime, torch  [the best there is]")]
Device = Annotated[str | None, typer.Option(help="the backend's name for it: cpu, cuda, GPU …")]
Precision = Annotated[str | None, typer.Option(help="fp32, bf16, fp16, int8, fp8  [int8 where the bundle prefers it, else the fastest]")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="CPU threads of the network  [all cores]")]
Schedule = Annotated[
    str | None,
    typer.Option(help="every-frame, clockwork:N, clockwork:adaptive=0.1, clockwork:pipelined, keyframe:0.08, budget:30ms  [every-frame]"),
]
Mode = Annotated[
    str | None,
    typer.Option(help="a key frame waits for its own deep stage: sync; never: async; on a virtual clock: async:K frames  [sync]"),
]
Propagation = Annotated[str | None, typer.Option(help="how the cache is brought to a frame: hold, flow, or one of the bundle's  [hold]")]
Refine = Annotated[bool | None, typer.Option("--refine", help="draw the labels' borders along the picture's edges, at its full size")]
MaxFrames = Annotated[int | None, typer.Option(metavar="N", help="stop after N frames; a benchmark counts so many, after its warm-up")]
Realtime = Annotated[bool | None, typer.Option("--realtime", help="keep the file's pace without a window too")]
Warmup = Annotated[int | None, typer.Option(metavar="N", help="frames that a benchmark does not count  [until stable]")]
MinFrames = Annotated[int | None, typer.Option(metavar="N", help="that a benchmark counts at least  [1000]")]
MinTime = Annotated[float | None, typer.Option(metavar="S", help="for which a benchmark counts at least  [10]")]
Deadline = Annotated[str | None, typer.Option(metavar="RATE", help="count the frames that miss it: 30fps, 33ms")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="write the figures as JSON")]
Overwrite = Annotated[bool, typer.Option("--overwrite", "-y", help="replace files that are there; never what is read")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="leave out the pairs that cannot be used, and say how many and which")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]  # read by `main`


def require_lab(*packages: str) -> None:
    for package in packages or ("torch", "onnx", "safetensors", "matplotlib"):
        try:
            __import__(package)
        except ImportError as error:
            raise UsageError(f"this command is the workshop's and needs {package}; pip install 'drive-seg[lab]'") from error


@contextmanager
def reserved(path: Path | None, overwrite: bool) -> Iterator[Callable[[str], None]]:
    """What writes a text into this file, at the end: its name is nobody else's from now on. Without a path it does nothing.

    Raises UsageError, SinkError.
    """
    if path is None:
        yield lambda _: None
        return
    with Beside(expanded(path), overwrite) as beside:
        yield beside.fill


@contextmanager
def json_of(path: Path | None, overwrite: bool) -> Iterator[Callable[[object], None]]:
    """The same for figures."""
    with reserved(path, overwrite) as write:
        yield lambda value: write(as_json(value) + "\n")


@contextmanager
def figures_of(settings: Settings) -> Iterator[Callable[[object], None]]:
    """Those of a run, whose paths are checked first."""
    from drive_seg.session.paths import check_paths

    check_paths(settings)
    with json_of(settings.json_file, settings.overwrite) as keep:
        yield keep


def check_outputs(reads: Iterable[Use], writes: Mapping[str, Iterable[Path | None]], overwrite: bool) -> None:
    """The files that a command writes, by their flags, before its work: as session.paths.check_paths. Raises UsageError, SinkError."""
    made = [Use(flag, expanded(path), "write") for flag, paths in writes.items() for path in paths if path]
    if made:
        require_apart([*reads, *made])
        require_writable(made, overwrite)


def read_by(flag: str, *paths: Path | None) -> Iterator[Use]:
    """Files, and the pictures in folders."""
    for path in paths:
        if path and path.is_dir():
            yield from (Use(flag, one, "read") for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
        elif path:
            yield Use(flag, path, "read")


def as_json(value: Any, indent: int = 0) -> str:
    """Indented, but for lists of plain values, which stay on one line: frame by frame they would fill thousands."""
    inner, outer = " " * (indent + 2), " " * indent
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(str(key))}: {as_json(item, indent + 2)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list, tuple)) for item in value):
        return "[\n" + ",\n".join(inner + as_json(item, indent + 2) for item in value) + f"\n{outer}]"
    return json.dumps(value)
