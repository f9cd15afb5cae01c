"""Draws the ground: pavement, kerbs, the road with its texture and marks, and the shadows that lie on it."""

import cv2
import numpy as np

from drive_seg.contracts import Image
from drive_seg.demo.canvas import Canvas, Color, Mask, corners
from drive_seg.demo.labels import PAVEMENT, ROAD
from drive_seg.demo.route import CAMERA_HEIGHT_M, FAR_M, NEAR_M, Floats, View
from drive_seg.demo.scene import Scene, Street

ASPHALT_PX_PER_M = 16
ASPHALT_WIDTH_M = 14
ASPHALT_PERIOD_M = 24
_TEXTURED_M = 22.0  # beyond, the grain is finer than a pixel
_AHEAD: Floats = np.concatenate(
    ([0.3, 0.8, 1.4, 2.0, 2.8], np.arange(4.0, 24.0, 1.5), np.arange(24.0, 60.0, 4.0), np.arange(60.0, FAR_M + 1, 10.0))
)
_WHITE: Color = (222, 226, 228)
_YELLOW: Color = (70, 175, 205)
_PAVING: Color = (150, 158, 168)


def strip(view: View, u0: float, u1: float) -> Floats:
    """The outline of a band along the whole road, pixels of shape (N, 2)."""
    return np.concatenate((view.ground(_AHEAD, u0), view.ground(_AHEAD[::-1], u1)))


def _bars(view: View, s0: Floats, s1: Floats, u0: Floats | float, u1: Floats | float) -> list[Floats]:
    """Rectangles lying on the ground, each pixels of shape (4, 2)."""
    a, b = s0 - view.s, s1 - view.s
    quads = np.stack([view.ground(a, u0), view.ground(b, u0), view.ground(b, u1), view.ground(a, u1)], axis=1)
    return list(quads)


def _dashes(view: View, period: float, length: float, u: float, width: float, reach: float) -> list[Floats]:
    first = np.floor(view.s / period) * period + period * np.arange(int(reach / period))
    start, end = np.maximum(first, view.s + NEAR_M), first + length
    keep = end > view.s + 1.2
    return _bars(view, start[keep], end[keep], u - width / 2, u + width / 2)


def _asphalt(canvas: Canvas, view: View, texture: Image, color: Color, street: Street) -> None:
    canvas.outline(corners(strip(view, -street.kerbs[0], street.kerbs[1])), color, ROAD)
    depth = np.array([2.0, _TEXTURED_M])
    edges = np.array([-street.kerbs[0], street.kerbs[1]])
    phase = view.s % ASPHALT_PERIOD_M
    rows = texture.shape[0] - (phase + depth) * ASPHALT_PX_PER_M
    columns = (ASPHALT_WIDTH_M / 2 + edges) * ASPHALT_PX_PER_M
    source = np.array([(columns[0], rows[1]), (columns[1], rows[1]), (columns[1], rows[0]), (columns[0], rows[0])], np.float32)
    far, near = view.ground(depth[[1, 1]], edges), view.ground(depth[[0, 0]], edges[::-1])
    target = np.concatenate((far, near)).astype(np.float32)
    top = max(0, int(target[:, 1].min()))
    if top >= canvas.height:
        return
    matrix = cv2.getPerspectiveTransform(source, target - np.array([0, top], np.float32))
    region = canvas.image[top:]
    cv2.warpPerspective(texture, matrix, (canvas.width, canvas.height - top), dst=region, borderMode=cv2.BORDER_TRANSPARENT)


def draw_ground(canvas: Canvas, view: View, scene: Scene, asphalt: Image, road_color: Color) -> int:
    """Everything below the horizon; returns the first row of it."""
    street = scene.street
    top = min(max(int(view.horizon_y + view.focal * CAMERA_HEIGHT_M / FAR_M), 0), canvas.height)
    whole = np.array([(0, top), (canvas.width, top), (canvas.width, canvas.height), (0, canvas.height)], np.int32)
    canvas.polygon(whole, _PAVING, PAVEMENT)
    _asphalt(canvas, view, asphalt, road_color, street)
    for side in (-1, 1):
        inner, outer = side * street.kerb(side), side * (street.front(side) + 3.0)
        canvas.outline(corners(strip(view, inner, outer)), _PAVING, PAVEMENT)
        for bar in _joints(view, inner, outer):
            canvas.polygon(corners(bar), (118, 126, 136), PAVEMENT)
        canvas.outline(corners(strip(view, inner - side * 0.2, inner)), (84, 86, 88), ROAD)
        canvas.outline(corners(strip(view, inner, inner + side * 0.22)), (178, 184, 190), PAVEMENT)
        if street.yellow_lines:
            for offset in (0.45, 0.75):
                canvas.outline(corners(strip(view, inner - side * offset, inner - side * (offset + 0.11))), _YELLOW, ROAD)
        if street.has_bay(side):
            for bar in _dashes(view, 4.0, 2.2, side * street.lane, 0.13, 60.0):
                canvas.polygon(corners(bar), _WHITE, ROAD)
    for bar in _dashes(view, 6.0, 3.4, 0.0, 0.16, 90.0):
        canvas.polygon(corners(bar), _WHITE, ROAD)
    for bar in _zebra(view, scene):
        canvas.polygon(corners(bar), _WHITE, ROAD)
    return top


def _zebra(view: View, scene: Scene) -> list[Floats]:
    """The bars of the crossings ahead, as wide as the gaps between them."""
    bars: list[Floats] = []
    for s in scene.crossings(view):
        u = np.arange(-scene.street.kerbs[0] + 0.4, scene.street.kerbs[1] - 0.4, 1.1)
        start = np.full_like(u, max(s, view.s + 1.0))
        if s + 2.8 > view.s + 1.2:
            bars += _bars(view, start, np.full_like(u, s + 2.8), u, u + 0.55)
    return bars


def _joints(view: View, inner: float, outer: float) -> list[Floats]:
    first = np.floor(view.s / 1.8) * 1.8 + 1.8 * np.arange(3, 16)
    return _bars(view, first, first + 0.06, inner, outer)


def draw_shadows(canvas: Canvas, top: int, outlines: list[Floats], strength: float) -> None:
    """Darkens the ground below row `top` inside the outlines (pixels, shape (N, 2) each); `strength` is the light that is left."""
    if not outlines or top >= canvas.height:
        return
    mask: Mask = np.zeros((canvas.height - top, canvas.width), np.uint8)
    offset = np.array([0, top])
    for outline in outlines:
        cv2.fillConvexPoly(mask, corners(outline - offset), 255)
    region = canvas.image[top:]
    cv2.copyTo(cv2.convertScaleAbs(region, alpha=strength), mask, region)
