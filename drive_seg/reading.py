"""TOML, JSON and ONNX that anybody may have written: whatever the parsers say of it, it is one error, and where it may lead is told."""

import errno
import json
import re
import tomllib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from drive_seg.errors import UsageError


def text_of(path: Path, most: int = 1 << 24) -> str:
    """UTF-8, with a byte order mark or without. Raises OSError, also for one of over `most` bytes, such as a video named by mistake, and
    UnicodeDecodeError."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"over {most >> 20} MB, more than any such file has", str(path))
    return content.decode("utf-8-sig")


def read_toml(path: Path, give: str = "give a TOML file") -> dict[str, Any]:
    """Raises UsageError that names the file and what is wrong with it; `give`: the remedy."""
    try:
        return tomllib.loads(text_of(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); {give}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no UTF-8 text, at byte {error.start}; {give}") from error
    except (ValueError, RecursionError) as error:  # of Python's own too: numbers of thousands of digits
        raise UsageError(f"{path}: not valid TOML: {_why(error)}; {give}") from error


def parse_json(text: str | bytes) -> Any:
    """Raises ValueError for what is no JSON, and for what nobody would write."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(_why(error)) from error


def external_data(onnx: bytes) -> list[str]:
    """The names by which an ONNX network names files with its weights; "" for one that cannot be told.

    Each is a protobuf entry of the key "location" (ONNX's external_data). It is searched for rather than parsed: it costs no package, and a
    network that is damaged cannot hide one.
    """
    found: dict[str, None] = {}
    for match in re.finditer(rb"\x0a\x08location(?:\x12([\x01-\x7f]|[\x80-\xff]\x01))?", onnx):
        size = match[1][0] & 127 | (match[1][1] << 7 if len(match[1]) > 1 else 0) if match[1] else 0
        found[onnx[match.end() : match.end() + size].decode(errors="replace")] = None
    return list(found)


def leads_elsewhere(name: str) -> bool:
    """Whether a file named so may lie elsewhere than in the folder of the one that names it, or below, on any system."""
    kinds = PurePosixPath(name), PureWindowsPath(name)
    return name in ("", ".") or "\0" in name or any(path.anchor or ".." in path.parts for path in kinds)


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error).partition("; use sys.")[0]
