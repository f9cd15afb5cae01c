"""Saves one frame for people: its picture, the overlay and mask of each way that labelled it, and a JSON with what is known of it."""

import json
import os
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from drive_seg.contracts import Array, Labels, Result
from drive_seg.errors import SinkError
from drive_seg.files import as_sink_error
from drive_seg.overlay import Look, Painter
from drive_seg.sinks.masks import FASTEST
from drive_seg.sinks.tracer import line


@dataclass(frozen=True, slots=True)
class Labelled:
    """A frame as one pipeline labelled it, and how that is drawn."""

    result: Result
    look: Look  # a colour by class
    runs: Mapping[str, str]  # what made the labels
    classes: Sequence[str]


def save_snapshot(folder: Path, source: str, main: Labelled, comparison: Labelled | None = None) -> tuple[Path, ...]:
    """Writes NAME.png, NAME-overlay.png, NAME-mask.png and NAME.json, NAME made of source and frame index; returns their paths, JSON last.

    The picture; the labels over it; the ids at the picture's size, enlarged by nearest neighbour, 8 bits with the classes' colours as
    palette (it is read back as ids, and looks like the mask); and what `described` gives, with `source`. Of a `comparison` too: its
    files end in -b, and what is known of it stands in the JSON under that name. The folder is made; no file that exists is
    overwritten: NAME counts on. Raises SinkError, and leaves no half snapshot then.
    """
    said: dict[str, Any] = {"source": source, **described(main)}
    files = {".png": _png(folder, main.result.frame.image)}
    for ending, labelled in (("", main), ("-b", comparison)):
        if labelled:
            files |= _pictures(folder, ending, labelled, main.result.frame.image)
    if comparison:
        said["comparison"] = described(comparison)
    files[".json"] = (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"{short_name(source)}-{main.result.frame.index:06d}"
        for name in (stem if number == 1 else f"{stem}-{number}" for number in count(1)):
            paths = {Path(f"{name}{ending}"): data for ending, data in files.items()}
            if not any(map(os.path.lexists, paths)):
                with suppress(FileExistsError):  # somebody else took the name just now
                    _write_new(paths)
                    return tuple(paths)
    except OSError as error:
        raise as_sink_error(folder, error) from error
    raise AssertionError("count() ends never")


def short_name(source: str) -> str:
    """A source's name as a part of a file's: `drive` of /data/drive.mp4, `camera-0` of camera 0, `demo` of demo:?seed=5."""
    plain = re.sub(r"^\w+://([^@/]*@)?", "", source.partition("?")[0])  # without a scheme and who signs in there
    if plain != source.partition("?")[0]:
        return _word(plain)
    return _word(Path(plain).stem)


def _word(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text).strip("-.")[:60] or "frame"


def described(labelled: Labelled) -> dict[str, Any]:
    """The frame's line of a trace, what ran, and each class with its id, its colour and its share of all label pixels."""
    result = labelled.result
    shares = np.bincount(result.labels.ravel(), minlength=256) / result.labels.size
    named = zip(labelled.classes, labelled.look.palette, strict=True)
    return {
        **line(result),
        "runs": dict(labelled.runs),
        "classes": [
            {"id": number, "name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour), "share": round(float(shares[number]), 6)}
            for number, (name, colour) in enumerate(named)
        ],
    }


def indexed_png(ids: Labels, palette: Sequence[tuple[int, int, int]]) -> bytes:
    """uint8 HxW ids as an 8-bit PNG with the classes' RGB colours as its palette, black beyond: https://www.w3.org/TR/png-3/"""
    height, width = ids.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = ids
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits a pixel, by palette
    chunks = ((b"IHDR", header), (b"PLTE", table.tobytes()), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    packed = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _pictures(folder: Path, ending: str, labelled: Labelled, image: Array) -> dict[str, bytes]:
    look, labels = labelled.look, labelled.result.labels
    mask = cv2.resize(labels, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
    return {
        f"-overlay{ending}.png": _png(folder, Painter(look).paint(image, labels)),
        f"-mask{ending}.png": indexed_png(np.asarray(mask, np.uint8), look.palette),
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
