"""What is drawn of the road ahead: the free space, the ego corridor and where its free part ends; as shapes, or into a picture."""

from dataclasses import dataclass

import cv2
import numpy as np

from drive_seg.contracts import Ahead, Corridor, Image

Point = tuple[float, float]
FREE, CORRIDOR, PERSON = (0, 158, 115), (255, 255, 255), (255, 23, 68)  # RGB; the last is none of the strip's colours (Okabe, Ito 2008)
_BESIDE = (30, 24, 20)  # BGR, of the darker line under each
_ROWS = 360  # of a picture, for which a line is a pixel wide


@dataclass(frozen=True, slots=True)
class Shape:
    """A line through these points, x and y from 0 to 1 of the picture's width and height."""

    points: tuple[Point, ...]
    rgb: tuple[int, int, int]
    inside: float = 0.0  # how much of what it encloses is covered by its colour; where it is closed
    closed: bool = True
    wide: int = 1  # times as wide as the others


def shapes(corridor: Corridor, ahead: Ahead | None) -> list[Shape]:
    """The lowest first. `ahead`: of the frame; None where nothing is known of it. `corridor`: as it is set now."""
    made: list[Shape] = []
    if ahead and ahead.polygon:
        height, width = ahead.size_hw
        made.append(Shape(tuple((x / width, y / height) for x, y in ahead.polygon), FREE, 0.24))
    person = ahead is not None and (ahead.person or ahead.seen)
    rgb, (left, right, apex) = PERSON if person else CORRIDOR, corridor
    made.append(Shape((left, apex, right), rgb, 0.2 if person else 0.0))
    if ahead and ahead.row is not None:
        y = (ahead.row + 1) / ahead.size_hw[0]
        made.append(Shape((_on(left, apex, y), _on(right, apex, y)), rgb, closed=False, wide=2))
    return made


def draw(picture: Image, ahead: Ahead) -> None:
    """Into the picture, BGR HxWx3 of any size."""
    height, width = picture.shape[:2]
    line = max(1, round(height / _ROWS))
    for shape in shapes(ahead.corridor, ahead):
        points = np.round(np.asarray(shape.points) * (width, height) - 0.5).astype(np.int32)
        bgr, wide = shape.rgb[::-1], line * shape.wide
        if shape.inside:
            left, top, across, down = cv2.boundingRect(points)
            seen = picture[max(0, top) : top + down, max(0, left) : left + across]
            filled = seen.copy()
            cv2.fillPoly(filled, [points], bgr, offset=(-max(0, left), -max(0, top)))
            seen[:] = cv2.addWeighted(filled, shape.inside, seen, 1 - shape.inside, 0)
        for colour, thickness in ((_BESIDE, 2 * wide), (bgr, wide)):
            cv2.polylines(picture, [points], shape.closed, colour, thickness, cv2.LINE_AA)


def _on(foot: Point, apex: Point, y: float) -> Point:
    """Of a side of the corridor, in this row or the nearest one that it has."""
    share = min(max((foot[1] - y) / (foot[1] - apex[1]), 0.0), 1.0)
    return foot[0] + (apex[0] - foot[0]) * share, foot[1] + (apex[1] - foot[1]) * share
