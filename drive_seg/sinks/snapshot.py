"""Saves one result for people: its picture, overlay and mask, and a JSON with what is known of it."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from drive_seg.contracts import Array, Result
from drive_seg.errors import SinkError
from drive_seg.files import as_sink_error
from drive_seg.overlay import Look, Painter
from drive_seg.sinks.masks import FASTEST
from drive_seg.sinks.tracer import line


def save_snapshot(folder: Path, result: Result, look: Look, runs: Mapping[str, str], classes: Sequence[str]) -> Path:
    """Writes NAME.png, NAME-overlay.png, NAME-mask.png and NAME.json, NAME made of the frame's index, and returns the JSON's path.

    The picture; the labels over it with this `look`; the ids, 8-bit grey at the picture's size, enlarged by nearest neighbour; and
    what `described` gives. The folder is made; no file that exists is overwritten: NAME counts on. `runs` says what made the
    labels; `classes` has a name for each colour of the look. Raises SinkError, and leaves no half snapshot then.
    """
    height, width = result.frame.size_hw
    pictures = {
        "-overlay.png": Painter(look).paint(result.frame.image, result.labels),
        "-mask.png": cv2.resize(result.labels, (width, height), interpolation=cv2.INTER_NEAREST),
        ".png": result.frame.image,
    }
    text = json.dumps(described(result, look, runs, classes), indent=2, ensure_ascii=False) + "\n"
    files = {ending: _png(folder, picture) for ending, picture in pictures.items()} | {".json": text.encode()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"{result.frame.index:06d}"
        for name in (stem if number == 1 else f"{stem}-{number}" for number in count(1)):
            if not any(os.path.lexists(f"{name}{ending}") for ending in files):
                with suppress(FileExistsError):  # somebody else took the name just now
                    _write_new({Path(f"{name}{ending}"): data for ending, data in files.items()})
                    break
    except OSError as error:
        raise as_sink_error(folder, error) from error
    return Path(f"{name}.json")


def described(result: Result, look: Look, runs: Mapping[str, str], classes: Sequence[str]) -> dict[str, Any]:
    """The frame's line of a trace, what ran, and each class with its id, its colour and its share of all label pixels."""
    shares = np.bincount(result.labels.ravel(), minlength=256) / result.labels.size
    named = zip(classes, look.palette, strict=True)
    return {
        **line(result),
        "runs": dict(runs),
        "classes": [
            {"id": number, "name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour), "share": round(float(shares[number]), 6)}
            for number, (name, colour) in enumerate(named)
        ],
    }


def _png(folder: Path, picture: Array) -> bytes:
    ok, data = cv2.imencode(".png", picture, FASTEST)
    if not ok:
        raise SinkError(f"{folder}: OpenCV could not encode the snapshot; save another frame")
    return data.tobytes()


def _write_new(files: Mapping[Path, bytes]) -> None:
    """All of them or none. Raises OSError, also for a file that has come into being meanwhile."""
    made: list[Path] = []
    try:
        for path, data in files.items():
            with path.open("xb") as file:
                made.append(path)
                file.write(data)
    except OSError:
        for path in made:
            path.unlink(missing_ok=True)
        raise
