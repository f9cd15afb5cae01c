"""What the commands share: the flags, the two consoles, and how figures are written to a file."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from drive_seg.errors import SinkError, UsageError
from drive_seg.settings import DEFAULT_MODEL

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
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="leave out the pairs that cannot be used, and say how many and which")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]  # read by `main`


def require_lab(*packages: str) -> None:
    for package in packages or ("torch", "onnx", "safetensors", "matplotlib"):
        try:
            __import__(package)
        except ImportError as error:
            raise UsageError(f"this command is the workshop's and needs {package}; pip install 'drive-seg[lab]'") from error


def write_json(path: Path, value: object) -> None:
    write_text(path, as_json(value) + "\n")


def write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written ({error.strerror})") from error


def as_json(value: Any, indent: int = 0) -> str:
    """Indented, but for lists of plain values, which stay on one line: frame by frame they would fill thousands."""
    inner, outer = " " * (indent + 2), " " * indent
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(str(key))}: {as_json(item, indent + 2)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list, tuple)) for item in value):
        return "[\n" + ",\n".join(inner + as_json(item, indent + 2) for item in value) + f"\n{outer}]"
    return json.dumps(value)
