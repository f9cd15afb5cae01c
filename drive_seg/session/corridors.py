"""Where the car drives in a camera's picture: the corridor that somebody has set for a source, kept from run to run."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from drive_seg.contracts import Corridor
from drive_seg.files import as_sink_error, expanded, write
from drive_seg.network.ahead import USUAL, checked
from drive_seg.reading import parse_json
from drive_seg.redaction import redacted

MOST = 200  # sources; those that were set first go


def kept_in() -> Path:
    """For its user alone: addresses of cameras and names of drives stand in it."""
    return user_config_path("drive-seg", appauthor=False) / "corridors.json"


def identity(source: str) -> str:
    """By which a source is known again: a path from wherever it is named, an address without its secrets."""
    with suppress(OSError, ValueError):
        if (path := expanded(source)).exists():
            return str(path.resolve())
    return redacted(source.strip())


def corridor_of(source: str) -> Corridor:
    """What was set for it; the usual one where nothing was, or nothing that can be meant."""
    try:
        left, right, apex = _read()[identity(source)]
        return checked([float(part) for point in (left, right, apex) for part in point])
    except (KeyError, TypeError, ValueError, OverflowError):
        return USUAL


def keep(source: str, corridor: Corridor) -> None:
    """Raises SinkError, UsageError."""
    file, known = kept_in(), _read()
    known.pop(identity(source), None)
    known[identity(source)] = corridor
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
        file.chmod(0o600)
    except OSError as error:
        raise as_sink_error(file, error) from error
    write(file, json.dumps(dict(list(known.items())[-MOST:]), indent=2) + "\n", overwrite=True)


def _read() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = parse_json(kept_in().read_bytes())
        if isinstance(found, dict):
            return found
    return {}
