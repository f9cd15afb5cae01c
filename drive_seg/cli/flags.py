"""What the commands share: two flags, the two consoles, and how figures are written to a file."""

import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from drive_seg.errors import SinkError, UsageError
from drive_seg.files import Beside, Held, Use, expanded, require_apart, require_writable
from drive_seg.redaction import redacted
from drive_seg.settings import Settings
from drive_seg.sources.pictures import is_picture


class Discreet(Console):
    """Tells no password, whatever is printed: lines, tables' cells, what is under way."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(redacted(text), **how)


# without markup: a class, a file or an error may be called [/x]
out, err = Discreet(markup=False, highlight=False), Discreet(stderr=True, markup=False, highlight=False)

SkipBad = Annotated[bool, typer.Option("--skip-bad", help="leave out the pairs that cannot be used, and say how many and which")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]  # read by `main`


def typed(context: typer.Context) -> str:
    """The command as a person would type it again, but for passwords."""
    return shlex.join(("drive-seg", *map(redacted, context.obj)))


def made_folder(path: Path, flag: str = "--out") -> Path:
    """What the flag names, as a folder in which files can be made. Raises UsageError, SinkError."""
    try:
        (folder := expanded(path)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{path}: cannot be made ({error.strerror}); give another {flag}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"{path}: nothing can be written there; give another {flag}")
    return folder


@contextmanager
def alone_in(path: Path) -> Iterator[Path]:
    """What --out of a training names: nobody else trains there meanwhile. Raises UsageError, SinkError."""
    folder = made_folder(path)
    held = Held(folder / "training.lock", folder)
    try:
        yield folder
    finally:
        held.release()


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
    """Files, and the pictures in folders; those in folders that cannot be read are not read later either."""
    for path in paths:
        if path and path.is_dir():
            found = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
            yield from (Use(flag, one, "read") for one in found if is_picture(one))
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
