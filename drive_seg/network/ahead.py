"""What the labels say of the road in front of the car: how much of it is free, what ends it, and who is on it. Pure functions."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.classes import people, roads, void_ids
from drive_seg.contracts import Ahead, Array, Corridor, Labels
from drive_seg.errors import UsageError

USUAL: Corridor = ((0.2, 0.95), (0.8, 0.95), (0.5, 0.5))  # of a camera in the middle that looks straight on, above most bonnets
LEAST = 0.02  # of the picture's width between the feet, and of its height from them up to the apex
ROUNDED = 1e-6
# of the corridor's width in a row: where so much is no road, the row is not free. The corridor is as wide in metres in every row
TAKEN = 0.1
NARROWEST = 1 / 60  # of the picture's width: where the corridor is no wider, nothing is looked at
SEEN = 1 / 4000  # of the picture's pixels: fewer of people's are no person
# frames: somebody is there from the third of the last five in which one is seen, until one is seen in none of them
OF_LAST, BEGINS_AT = 5, 3
SMOOTH_PX = 1.0  # label pixels that the polygon may lie beside what it surrounds

_VOID, _ROAD, _OTHER, _PERSON = range(4)


def role_table(classes: Sequence[str]) -> Labels:
    """(256,) what an id means here, by its class's name (classes.roads, classes.people). Raises UsageError where none is the road."""
    if not (road := roads(classes)):
        raise UsageError("no class of this network is the road, so nothing is known of the road ahead; take a network that has one")
    table = np.full(256, _VOID, np.uint8)
    table[: len(classes)] = _OTHER
    table[sorted(road)], table[sorted(people(classes))], table[void_ids(classes)] = _ROAD, _PERSON, _VOID
    return table


def checked(points: Sequence[float]) -> Corridor:
    """Of six shares of the picture's width and height: left foot, right foot, apex. Raises ValueError for what is no corridor."""
    if len(points) != 6 or not all(math.isfinite(value) and 0 <= value <= 1 for value in points):
        raise ValueError("Give x,y of the left foot, the right foot and the apex as shares of the picture, such as 0.2,1,0.8,1,0.5,0.5")
    left, right, apex = corridor = (points[0], points[1]), (points[2], points[3]), (points[4], points[5])
    if right[0] - left[0] < LEAST - ROUNDED or min(left[1], right[1]) - apex[1] < LEAST - ROUNDED:
        raise ValueError("Give the left foot left of the right one, and the apex above both, such as 0.2,1,0.8,1,0.5,0.5")
    return corridor


def moved(corridor: Corridor, which: int, x: float, y: float) -> Corridor:
    """With one of its points (0 the left foot, 1 the right one, 2 the apex) there, or as near as keeps it a corridor."""
    left, right, apex = corridor
    low, high = (apex[1] + LEAST, 1.0) if which < 2 else (0.0, min(left[1], right[1]) - LEAST)
    first, last = (0.0, right[0] - LEAST) if which == 0 else (left[0] + LEAST, 1.0) if which == 1 else (0.0, 1.0)
    points = [left, right, apex]
    points[which] = round(min(max(x, first), last), 4), round(min(max(y, low), high), 4)
    return points[0], points[1], points[2]


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The corridor at one size of labels. Its arrays are not to be written to."""

    inside: Labels  # (h, w) 1 in it, 0 elsewhere
    widths: NDArray[np.int64]  # (h,) of its rows, 0 where nothing is looked at
    top: int  # its first and last row
    bottom: int


@lru_cache(maxsize=8)
def mask_of(corridor: Corridor, size_hw: tuple[int, int]) -> Mask:
    """The pixels whose middle is in the triangle, where it is wider than NARROWEST. Raises UsageError where nothing is left."""
    height, width = size_hw
    y, x = np.mgrid[0:height, 0:width] + 0.5
    inside = np.full(size_hw, True)
    left, apex, right = ((px * width, py * height) for px, py in (corridor[0], corridor[2], corridor[1]))
    for (ax, ay), (bx, by) in ((left, apex), (apex, right), (right, left)):
        inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
    widths = inside.sum(1)
    wide = widths > max(1, NARROWEST * width)
    inside[~wide] = False
    rows = np.flatnonzero(wide)
    if not rows.size:
        raise UsageError(f"the corridor has no row that is wide enough in labels of {width}x{height}; make it larger")
    return Mask(inside.astype(np.uint8), np.where(wide, widths, 0), int(rows[0]), int(rows[-1]))


def look_ahead(labels: Labels, corridor: Corridor, roles: Labels) -> Ahead:
    """What (h, w) uint8 class ids say, in their own pixels; `roles`: of `role_table`.

    Single pixels that stand alone are gone over (a median of 3x3). The rows of the corridor are free, from the lowest one up to the
    first of which TAKEN is neither road nor void, or in which people are. The polygon is bounded by the first pixel above the corridor's
    lowest row that is not road, column by column, in the columns that hang together with most of that row. Raises UsageError for labels
    that are too small.
    """
    mask = mask_of(corridor, (labels.shape[0], labels.shape[1]))
    kinds = np.asarray(cv2.LUT(labels, roles))
    road, person = (kinds == _ROAD).view(np.uint8), (kinds == _PERSON).view(np.uint8) & mask.inside
    known = cv2.countNonZero((kinds > _VOID).view(np.uint8) & mask.inside)
    taken, persons = np.asarray(cv2.medianBlur((kinds > _ROAD).view(np.uint8), 3), np.uint8) & mask.inside, cv2.countNonZero(person)
    ends = _counts(taken) >= np.maximum(1, np.ceil(TAKEN * mask.widths))
    if seen := persons >= max(1, SEEN * labels.size):
        ends, taken = ends | (_counts(person) > 0), taken | person
    row = _lowest(ends)
    near = slice(0, 0) if row is None else slice(max(0, row - 2), row + 1)
    return Ahead(
        size_hw=(labels.shape[0], labels.shape[1]),
        corridor=corridor,
        polygon=_free(cv2.medianBlur(road, 3), mask),
        share=cv2.countNonZero(road & mask.inside) / known if known else None,
        row=row,
        obstacle=None if row is None else int(np.bincount(labels[near][taken[near] > 0]).argmax()),
        persons=persons,
        person_row=_lowest(_counts(person)),
        seen=seen,
    )


def _counts(mask: Array) -> Array:
    return np.asarray(cv2.reduce(mask, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0])


def _lowest(rows: Array) -> int | None:
    found = np.flatnonzero(rows)
    return int(found[-1]) if found.size else None


def _free(road: Array, mask: Mask) -> tuple[tuple[float, float], ...]:
    """The polygon that `look_ahead` tells of."""
    base = mask.bottom
    upwards = road[base::-1] == 0
    heights = np.where(upwards.any(0), upwards.argmax(0), base + 1)  # free pixels in each column
    edges = np.flatnonzero(np.diff(np.concatenate(([0], heights > 0, [0]))))
    runs = edges.reshape(-1, 2)  # of columns: the first, and the one behind the last
    if not runs.size:
        return ()
    feet = np.concatenate(([0], np.cumsum(mask.inside[base] > 0)))
    first, end = map(int, runs[(feet[runs[:, 1]] - feet[runs[:, 0]]).argmax()])
    tops, below = base + 1 - heights[first:end], float(base + 1)
    columns = [(x + 0.5, float(top)) for x, top in zip(range(first, end), tops, strict=True)]
    outline = [(first, below), (first, tops[0]), *columns, (end, tops[-1]), (end, below)]
    smooth = cv2.approxPolyDP(np.asarray(outline, np.float32)[:, None], SMOOTH_PX, closed=True)[:, 0]
    return tuple((float(x), float(y)) for x, y in smooth)


def at_size(ahead: Ahead, size_hw: tuple[int, int]) -> Ahead:
    """The same in the pixels of the frame that the labels belong to; a row is the lowest of those that it stands for. `persons` stays."""
    down, across = size_hw[0] / ahead.size_hw[0], size_hw[1] / ahead.size_hw[1]

    def row_of(row: int | None) -> int | None:
        return None if row is None else min(math.ceil((row + 1) * down) - 1, size_hw[0] - 1)

    polygon = tuple((round(x * across, 2), round(y * down, 2)) for x, y in ahead.polygon)
    return replace(ahead, size_hw=size_hw, polygon=polygon, row=row_of(ahead.row), person_row=row_of(ahead.person_row))


class Presence:
    """Whether somebody is in the corridor: from BEGINS_AT of the last OF_LAST frames on in which one is seen, until it is none of them."""

    def __init__(self) -> None:
        self.there = False
        self._last: deque[bool] = deque(maxlen=OF_LAST)

    def add(self, seen: bool) -> bool:
        """The next frame."""
        self._last.append(seen)
        count = sum(self._last)
        self.there = count > 0 if self.there else count >= BEGINS_AT
        return self.there

    def forget(self) -> None:
        """What comes is of another segment."""
        self.there = False
        self._last.clear()
