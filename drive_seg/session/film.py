"""The picture that is recorded of a frame: its overlay, or a comparison's divider or difference; with legend and figures if wanted."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

import cv2
import numpy as np

from drive_seg.classes import VOID
from drive_seg.contracts import Image, Labels, Result
from drive_seg.network.pipeline import Pipeline
from drive_seg.overlay import Look, Painter
from drive_seg.session import road

DIFFERENT = (255, 40, 200)  # RGB: in no palette of a data set
_DIFFERENCE = Painter(Look(palette=((0, 0, 0), DIFFERENT), opacity=0.85, hidden=frozenset({0})))
_FONT, _WHITE, _BESIDE = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), 0.3  # the share of the picture that shines through beside a text
LEGEND_SHARE = 0.6  # of the height, at most; what does not fit begins another column


class Versus(Enum):
    """How a frame and its other stand in one picture."""

    SPLIT = "split"
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Film:
    """What a recording shows beside the labels in their Look."""

    captions: bool = False  # classes with their colours; what ran, latency and age
    versus: Versus = Versus.SPLIT
    divider: float = 0.5
    road: bool = False  # the road ahead, where it is looked at


def filmed(result: Result, pipeline: Pipeline, comparison: Result | None, other: Pipeline | None, painter: Painter, film: Film) -> Result:
    """With the overlay that is to be recorded. `other` made the `comparison`; without one the overlay is the result's own.

    Takes 1 to 3 ms at 1280x720, in the session's thread, where there is anything to be drawn.
    """
    compared, frame = comparison is not None and other is not None, result.frame
    ahead = result.ahead if film.road else None
    if not compared and not film.captions and ahead is None:
        return result
    if comparison is None or other is None:
        picture = painter.paint(frame.image, result.labels) if result.overlay is None else result.overlay.copy()
    else:
        ids, labels = same_ids(pipeline.engine.classes, other.engine.classes), comparison.labels
        labels = labels if ids is None else np.asarray(cv2.LUT(labels, ids), np.uint8)
        if film.versus is Versus.DIFFERENCE:
            picture = difference(frame.image, result.labels, labels)
        else:
            picture = painter.paint(frame.image, split(result.labels, labels, frame.size_hw, film.divider))
            at = round(frame.size_hw[1] * film.divider)
            cv2.line(picture, (at, 0), (at, frame.size_hw[0]), _WHITE, 2)
    if ahead:
        road.draw(picture, ahead)
    if film.captions:
        if comparison is None or other is None:
            _write(picture, f"{', '.join(pipeline.runs[key] for key in ('model', 'schedule', 'mode'))}: {_figures(result)}", left=True)
        else:
            a, b = told_apart(pipeline.runs, other.runs)
            _write(picture, f"A  {a}: {_figures(result)}", left=True)
            _write(picture, f"B  {b}: {_figures(comparison)}", left=False)
        if not compared or film.versus is Versus.SPLIT:
            look = painter.look
            shown = [at for at in range(min(len(pipeline.engine.classes), len(look.palette))) if at not in look.hidden]
            _put_legend(picture, tuple((pipeline.engine.classes[at], look.palette[at]) for at in shown))
    return replace(result, overlay=picture)


def told_apart(runs: Mapping[str, str], other: Mapping[str, str], between: str = ", ") -> tuple[str, str]:
    """Of two ways to run what they do not share."""
    told = [key for key in ("model", "schedule", "mode", "propagation", "precision", "backend") if runs.get(key) != other.get(key)]
    a, b = (between.join(one.get(key, "") for key in told or ["schedule"]) for one in (runs, other))
    return a, b


# -- two ways in one picture


def same_ids(classes: Sequence[str], other: Sequence[str]) -> Labels | None:
    """(256,) the id among `classes` by the other's, void where there is none of that name; None where all are the same already."""
    if tuple(other) == tuple(classes):
        return None
    ids = np.full(256, VOID, np.uint8)
    for number, name in enumerate(other):
        if name in classes:
            ids[number] = classes.index(name)
    return ids


def split(left: Labels, right: Labels, size_hw: tuple[int, int], divider: float) -> Labels:
    """At the frame's size, so that the border is where the divider is."""
    column = round(size_hw[1] * min(max(divider, 0.0), 1.0))
    merged = enlarged(left, size_hw).copy()
    merged[:, column:] = enlarged(right, size_hw)[:, column:]
    return merged


def difference(image: Image, labels: Labels, other: Labels) -> Image:
    """The picture in dark grey, and on it the pixels that the two label otherwise."""
    other = enlarged(other, (labels.shape[0], labels.shape[1]))
    return _DIFFERENCE.paint(dark(image), (labels != other).astype(np.uint8))


def dark(image: Image) -> Image:
    grey = cv2.convertScaleAbs(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), alpha=0.55)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def enlarged(labels: Labels, size_hw: tuple[int, int]) -> Labels:
    if labels.shape == size_hw:
        return labels
    return cv2.resize(labels, size_hw[::-1], interpolation=cv2.INTER_NEAREST)  # type: ignore[return-value]


# -- what is written on it; OpenCV's letters are those of ASCII


def _figures(result: Result) -> str:
    return f"{result.total_ms:.1f} ms, age {result.age_frames}"


def _letters(height: int) -> tuple[float, int, int]:
    """OpenCV's scale, the strokes' thickness and the height of a line, in a picture of this height."""
    line = max(12, round(height / 30))
    return line / 36, 1 + line // 24, line


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _write(picture: Image, text: str, left: bool) -> None:
    """At the top, in the picture's left or right half; smaller where there is no room."""
    height, width = picture.shape[:2]
    scale, thickness, line = _letters(height)
    text, room = _ascii(text), width // 2 - line
    (needs, _), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    scale *= min(1.0, room / max(1, needs))
    (needs, _), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    x = line // 2 if left else width - needs - line // 2
    box = picture[: round(line * 1.6), max(0, x - line // 2) : x + needs + line // 2]
    box[:] = box * _BESIDE
    cv2.putText(picture, text, (x, round(line * 1.1)), _FONT, scale, _WHITE, thickness, cv2.LINE_AA)


def _put_legend(picture: Image, classes: tuple[tuple[str, tuple[int, int, int]], ...]) -> None:
    """At the bottom left, as much of it as there is room for."""
    made = _legend(classes, picture.shape[0])
    height, width = min(made.shape[0], picture.shape[0]), min(made.shape[1], picture.shape[1])
    corner = picture[picture.shape[0] - height :, :width]
    drawn = made[:height, :width]
    corner[:] = np.where(drawn.any(axis=2, keepdims=True), drawn, corner * _BESIDE)


@lru_cache(maxsize=2)
def _legend(classes: tuple[tuple[str, tuple[int, int, int]], ...], height: int) -> Image:
    """Swatches and names on black, for a picture of this height."""
    scale, thickness, line = _letters(height)
    rows = max(1, round(height * LEGEND_SHARE) // line)
    columns = [classes[at : at + rows] for at in range(0, len(classes), rows)]
    widths = [max(cv2.getTextSize(_ascii(name), _FONT, scale, thickness)[0][0] for name, _ in column) + 3 * line for column in columns]
    made, x = np.zeros((line * (min(rows, len(classes)) + 1), max(1, sum(widths)), 3), np.uint8), line // 2
    for column, width in zip(columns, widths, strict=True):
        for at, (name, rgb) in enumerate(column):
            top, bgr = line // 2 + at * line, rgb[::-1] if any(rgb) else (1, 1, 1)  # black is what shines through
            cv2.rectangle(made, (x, top + line // 5), (x + line * 3 // 5, top + line * 4 // 5), bgr, cv2.FILLED)
            cv2.putText(made, _ascii(name), (x + line, top + line * 4 // 5), _FONT, scale, _WHITE, thickness, cv2.LINE_AA)
        x += width
    return made
