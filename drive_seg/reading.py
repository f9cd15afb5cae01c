"""TOML and JSON that anybody may have written: whatever the parsers say of it, it is one error."""

import json
import tomllib
from pathlib import Path
from typing import Any

from drive_seg.errors import UsageError


def read_toml(path: Path, give: str = "give a TOML file") -> dict[str, Any]:
    """Raises UsageError that names the file and what is wrong with it; `give`: the remedy."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
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


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error).partition("; use sys.")[0]
