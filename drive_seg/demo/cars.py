"""Cars as small solids: faces that look towards the camera are drawn, body first, then glass, lamps and wheels.

A car's own axes: x to its right, y up, z forward, metres, origin on the ground under its middle.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from drive_seg.demo.canvas import Canvas, Color, corners
from drive_seg.demo.labels import CAR
from drive_seg.demo.route import CAMERA_HEIGHT_M, Floats, View
from drive_seg.demo.textures import lit


class Paint(IntEnum):
    BODY = 0
    GLASS = 1
    BLACK = 2
    RIM = 3
    HEAD_LAMP = 4
    TAIL_LAMP = 5
    PLATE_FRONT = 6
    PLATE_REAR = 7


_FIXED: dict[Paint, Color] = {
    Paint.GLASS: (74, 66, 56),
    Paint.BLACK: (30, 30, 32),
    Paint.RIM: (150, 152, 155),
    Paint.PLATE_FRONT: (235, 235, 235),
    Paint.PLATE_REAR: (50, 200, 235),
}
BODIES: tuple[Color, ...] = (
    (196, 198, 200),  # silver
    (60, 40, 36),  # dark blue
    (38, 38, 160),  # red
    (236, 236, 236),  # white
    (42, 42, 44),  # black
    (130, 72, 32),  # blue
    (112, 114, 118),  # grey
    (70, 96, 52),  # green
)


@dataclass(frozen=True, slots=True)
class Face:
    first: int  # index of its first corner in the model's points
    last: int
    paint: Paint
    shade: float
    detail: bool  # left out when the car is small


@dataclass(frozen=True, slots=True)
class Model:
    points: Floats  # (P, 3)
    faces: tuple[Face, ...]
    centers: Floats  # (F, 3)
    normals: Floats  # (F, 3), outward
    height_m: float
    length_m: float
    width_m: float


class _Builder:
    def __init__(self) -> None:
        self.points: list[tuple[float, float, float]] = []
        self.faces: list[Face] = []

    def face(self, points: Iterable[tuple[float, float, float]], paint: Paint, shade: float = 1.0, detail: bool = False) -> None:
        first = len(self.points)
        self.points.extend(points)
        self.faces.append(Face(first, len(self.points), paint, shade, detail))

    def pane(self, points: list[tuple[float, float, float]], shade: float) -> None:
        """A piece of the cabin: body colour with a window let into it."""
        self.face(points, Paint.BODY, shade)
        middle = np.mean(points, axis=0)
        inset = [tuple(float(v) for v in middle + (np.array(point) - middle) * 0.84) for point in points]
        self.face(((x, y, z) for x, y, z in inset), Paint.GLASS, 0.8 + 0.3 * shade)

    def lamps_and_plate(self, z: float, half: float, top: float, lamp: Paint, plate: Paint) -> None:
        """What the front or the back carries: bumper, two lamps below `top`, number plate."""
        self._upright(z, -half, half, 0.22, 0.36, Paint.BLACK)
        for side in (-1, 1):
            middle = side * (half - 0.19)
            self._upright(z, middle - 0.16, middle + 0.16, top - 0.24, top - 0.06, lamp)
        self._upright(z, -0.26, 0.26, 0.42, 0.53, plate)

    def _upright(self, z: float, x0: float, x1: float, y0: float, y1: float, paint: Paint) -> None:
        self.face([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], paint, 1.0, True)

    def wheels(self, z: float, half: float) -> None:
        angles = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        for x in (-half, half):
            for radius, paint in ((0.33, Paint.BLACK), (0.19, Paint.RIM)):
                ring = [(x, 0.32 + radius * float(np.sin(a)), z + radius * float(np.cos(a))) for a in angles]
                self.face(ring, paint, 1.0, paint is Paint.RIM)

    def done(self, size: tuple[float, float, float]) -> Model:
        points = np.array(self.points)
        centers = np.array([points[face.first : face.last].mean(axis=0) for face in self.faces])
        normals = np.array([np.cross(points[f.first + 1] - points[f.first], points[f.first + 2] - points[f.first]) for f in self.faces])
        outward = np.sign(np.sum(normals * (centers - (0, 0.7, 0)), axis=1, keepdims=True))
        length, width, height = size
        return Model(points, tuple(self.faces), centers, normals * outward, height, length, width)


def _across(half0: float, y0: float, z0: float, half1: float, y1: float, z1: float) -> list[tuple[float, float, float]]:
    """A face from side to side, between two heights and depths."""
    return [(-half0, y0, z0), (half0, y0, z0), (half1, y1, z1), (-half1, y1, z1)]


def _model(length: float, width: float, height: float, deck: float, slope: float, nose: float) -> Model:
    """`deck`: length of the boot lid; `slope`: how far the rear screen leans; `nose`: length of the bonnet."""
    build, w, end = _Builder(), width / 2, length / 2
    belt, bonnet, low, roof_w = 0.60 * height, 0.53 * height, 0.22, 0.80 * width / 2
    back, front = -end + deck, end - nose
    roof_back, roof_front = back + slope, front - 0.75
    for x in (-w, w):
        build.face([(x, low, -end), (x, belt, -end), (x, belt, front), (x, bonnet, end), (x, low, end)], Paint.BODY, 0.80)
        build.face([(x, low, -end), (x, low + 0.12, -end), (x, low + 0.12, end), (x, low, end)], Paint.BLACK, 1.0, True)
    for z, top in ((-end, belt), (end, bonnet)):
        build.face(_across(w, low, z, w, top, z), Paint.BODY, 0.92)
    build.face(_across(w, belt, front, w, bonnet, end), Paint.BODY, 1.15)
    build.face(_across(w, belt, -end, w, belt, back), Paint.BODY, 1.15)
    build.face(_across(roof_w, height, roof_back, roof_w, height, roof_front), Paint.BODY, 1.1)
    for x, top_x in ((-w, -roof_w), (w, roof_w)):
        build.pane([(x, belt, back), (x, belt, front), (top_x, height, roof_front), (top_x, height, roof_back)], 0.8)
    build.pane(_across(w, belt, back, roof_w, height, roof_back), 0.95)
    build.pane(_across(w, belt, front, roof_w, height, roof_front), 1.0)
    build.lamps_and_plate(-end - 0.01, w, belt, Paint.TAIL_LAMP, Paint.PLATE_REAR)
    build.lamps_and_plate(end + 0.01, w, bonnet, Paint.HEAD_LAMP, Paint.PLATE_FRONT)
    for z in (-end + 0.75, end - 0.78):
        build.wheels(z, w + 0.02)
    return build.done((length, width, height))


MODELS: tuple[Model, ...] = (
    _model(3.9, 1.70, 1.46, 0.08, 0.42, 0.95),  # hatchback
    _model(4.5, 1.78, 1.43, 0.75, 0.70, 1.15),  # saloon
    _model(4.4, 1.84, 1.70, 0.05, 0.30, 1.05),  # estate, off-roader
    _model(4.9, 1.92, 2.10, 0.04, 0.10, 0.70),  # van
)


def draw_car(canvas: Canvas, view: View, place: tuple[float, float, float, float], look: int, lamps: bool, braking: bool) -> None:
    """`place`: camera metres right and forward of the car's middle, sine and cosine of its direction. `look` picks model and colour."""
    right, forward, sin, cos = place
    model = MODELS[(look >> 3) % 8 % len(MODELS)]
    body = BODIES[look % len(BODIES)]
    x, y, z = model.points.T
    pixels = corners(view.pixels(right + x * cos + z * sin, forward - x * sin + z * cos, y))
    eye = np.array([-right * cos + forward * sin, CAMERA_HEIGHT_M, -right * sin - forward * cos])
    seen = np.einsum("ij,ij->i", eye - model.centers, model.normals) > 0
    small = model.height_m * view.focal / max(forward, 1.0) < 15
    for face, is_seen in zip(model.faces, seen.tolist(), strict=True):
        if is_seen and not (small and face.detail):
            canvas.polygon(pixels[face.first : face.last], _color(face, body, lamps, braking), CAR)


def _color(face: Face, body: Color, lamps: bool, braking: bool) -> Color:
    if face.paint is Paint.BODY:
        return lit(body, face.shade)
    if face.paint is Paint.HEAD_LAMP:
        return (250, 255, 255) if lamps else (215, 220, 222)
    if face.paint is Paint.TAIL_LAMP:
        return (70, 70, 255) if lamps or braking else (30, 30, 190)
    return lit(_FIXED[face.paint], face.shade)
