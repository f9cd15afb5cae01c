"""Draws each kind of thing beside and on the road, and knows what shadow it casts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drive_seg.demo.assets import Assets
from drive_seg.demo.canvas import Canvas, Color, corners
from drive_seg.demo.cars import MODELS, draw_car
from drive_seg.demo.labels import BICYCLIST, BUILDING, FENCE, PEDESTRIAN, POLE, SIGN, TREE
from drive_seg.demo.route import CAMERA_HEIGHT_M, Floats, View
from drive_seg.demo.scene import Kind, Scene, Thing
from drive_seg.demo.sprites import PHASES
from drive_seg.demo.textures import Facade, lit

_NEAR_WALL_M = 0.6  # walls are cut off here, before they pass the camera
_POLE_SHARE = 0.0075  # of the picture's height: no pole is drawn thinner
_POLE: Color = (104, 110, 106)


@dataclass(frozen=True, slots=True)
class Placed:
    """A thing and where it is seen: camera metres of its start, and of its end for long things."""

    thing: Thing
    right: float
    forward: float
    end_right: float
    end_forward: float
    sin: float  # of the road's direction there
    cos: float

    @property
    def depth(self) -> float:
        """What decides who covers whom: walls count from their far end, so that whatever stands before them is drawn later."""
        return max(self.forward, self.end_forward)


def place(things: list[Thing], view: View) -> list[Placed]:
    """Far to near; without what lies behind the camera."""
    ahead = np.array([thing.s for thing in things]) - view.s
    u = np.array([thing.u for thing in things])
    length = np.array([thing.length for thing in things])
    start, end, direction = view.along(ahead, u), view.along(ahead + length, u), view.direction(ahead)
    rows = zip(things, *(column.tolist() for column in (*start, *end, *direction)), strict=True)
    placed = [Placed(*row) for row in rows]
    return sorted((p for p in placed if p.depth > (-1.5 if p.thing.kind is Kind.CAR else 1.2)), key=lambda p: -p.depth)


class Painter:
    """Draws placed things of one scene onto one canvas."""

    def __init__(self, canvas: Canvas, view: View, scene: Scene, assets: Assets, braking: bool) -> None:
        self._canvas, self._view, self._scene, self._assets = canvas, view, scene, assets
        self._braking = braking
        self._thin = max(1.0, _POLE_SHARE * canvas.height)

    def draw(self, placed: Placed) -> None:
        _DRAWN_BY[placed.thing.kind](self, placed)

    def _quad(self, ends: Floats, low: float, high: float) -> Floats:
        """An upright wall over two ground points (2, 2: right, forward): top left, top right, bottom right, bottom left."""
        right, forward = ends[[0, 1, 1, 0], 0], ends[[0, 1, 1, 0], 1]
        return self._view.pixels(right, forward, np.array([high, high, low, low]))

    def _ends(self, placed: Placed) -> tuple[Floats, tuple[float, float]] | None:
        """A wall's visible ends, left to right, and which part of its width they are; None when it is behind the camera."""
        a, b = np.array([placed.right, placed.forward]), np.array([placed.end_right, placed.end_forward])
        part = [0.0, 1.0]
        if b[1] <= _NEAR_WALL_M:
            return None
        if a[1] < _NEAR_WALL_M:
            part[0] = float((_NEAR_WALL_M - a[1]) / (b[1] - a[1]))
            a = a + part[0] * (b - a)
        if placed.thing.u > 0:  # on the right the far end is seen left
            return np.stack((b, a)), (1 - part[1], 1 - part[0])
        return np.stack((a, b)), (part[0], part[1])

    def _fence(self, placed: Placed) -> None:
        seen = self._ends(placed)
        if seen:
            texture = self._assets.fences[placed.thing.look % len(self._assets.fences)]
            self._canvas.textured(texture, self._quad(seen[0], 0.0, placed.thing.height), FENCE, seen[1])

    def _building(self, placed: Placed) -> None:
        seen = self._ends(placed)
        if seen is None:
            return
        ends, part = seen
        thing, side = placed.thing, -1 if placed.thing.u < 0 else 1
        house = self._assets.facades[thing.look % len(self._assets.facades)]
        back = side * 9.0 * np.array([placed.cos, -placed.sin])
        near, far = (ends[1], ends[0]) if side > 0 else (ends[0], ends[1])
        if house.ridge_m:
            self._roof(near, far, back / 2, house, side)
        gable = np.stack((near, near + back))
        if placed.forward > _NEAR_WALL_M:
            self._canvas.polygon(corners(self._quad(gable, 0.0, house.height_m)), house.gable[side], BUILDING)
            if house.ridge_m:
                self._chimney(near + back / 2, back / 9.0, house, side)
        front = self._quad(ends, 0.0, house.height_m)
        self._canvas.textured(house.front[side], front, BUILDING, part)
        if house.has_shop and placed.forward < 45 and thing.look & 64:
            self._shop_board(placed, ends, part, thing.look >> 7)

    def _roof(self, near: Floats, far: Floats, up: Floats, house: Facade, side: int) -> None:
        ridge_m = house.height_m + house.ridge_m
        places = np.stack((near, far, far + up, near + up, near + 2 * up))
        heights = np.array([house.height_m, house.height_m, ridge_m, ridge_m, house.height_m])
        pixels = corners(self._view.pixels(places[:, 0], places[:, 1], heights))
        self._canvas.polygon(pixels[[0, 3, 4]], house.gable[side], BUILDING)
        edge, rise = pixels[1] - pixels[0], pixels[3] - pixels[0]
        if (int(edge[0]) * int(rise[1]) - int(edge[1]) * int(rise[0])) * side > 0:  # the slope shows above the eaves
            self._canvas.polygon(pixels[:4], house.roof, BUILDING)

    def _chimney(self, foot: Floats, across: Floats, house: Facade, side: int) -> None:
        ridge_m = house.height_m + house.ridge_m
        stack = np.stack((foot - across * 0.7, foot + across * 0.7))
        self._canvas.polygon(corners(self._quad(stack, ridge_m - 0.8, ridge_m + 1.1)), lit(house.gable[side], 0.85), BUILDING)
        self._canvas.polygon(corners(self._quad(stack, ridge_m + 1.1, ridge_m + 1.4)), (60, 80, 120), BUILDING)

    def _shop_board(self, placed: Placed, ends: Floats, part: tuple[float, float], look: int) -> None:
        texture = self._assets.shop_boards[look % len(self._assets.shop_boards)]
        left, right = max(0.06, part[0]), min(0.94, part[1])
        if right <= left:
            return
        span = part[1] - part[0]
        cut = np.stack([ends[0] + (ends[1] - ends[0]) * (at - part[0]) / span for at in (left, right)])
        columns = (left - 0.06) / 0.88, (right - 0.06) / 0.88
        self._canvas.textured(texture, self._quad(cut, 2.9, 3.85), SIGN, columns)

    def _foot(self, placed: Placed) -> tuple[float, float, float]:
        """Pixel of the point where it stands, and pixels per metre there."""
        scale = self._view.focal / placed.forward
        return self._view.center_x + placed.right * scale, self._view.horizon_y + CAMERA_HEIGHT_M * scale, scale

    def _tree(self, placed: Placed) -> None:
        x, y, scale = self._foot(placed)
        look = placed.thing.look
        trees = self._assets.trees
        self._canvas.sprite(trees[look % len(trees)], x, y, placed.thing.height * scale, TREE, bool(look & 32))

    def _person(self, placed: Placed) -> None:
        thing, (x, y, scale) = placed.thing, self._foot(placed)
        cyclist = thing.kind is Kind.CYCLIST
        sets = self._assets.cyclists if cyclist else self._assets.people
        sprite = sets[thing.look % len(sets)][int(thing.phase * PHASES) % PHASES]
        height = 1.85 if cyclist else 1.6 + 0.03 * (thing.look % 8)
        self._canvas.sprite(sprite, x, y, height * scale, BICYCLIST if cyclist else PEDESTRIAN, thing.towards)

    def _car(self, placed: Placed) -> None:
        thing, turn = placed.thing, -1 if placed.thing.towards else 1
        where = (placed.right, placed.forward, turn * placed.sin, turn * placed.cos)
        draw_car(self._canvas, self._view, where, thing.look, self._scene.mood.lamps, self._braking)

    def _bar(self, x0: float, y0: float, x1: float, y1: float, color: Color, label: int) -> None:
        self._canvas.polygon(corners(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])), color, label)

    def _post(self, x: float, y: float, scale: float, height: float, width: float, color: Color = _POLE) -> float:
        """Returns the pixel row of its top."""
        half, top = max(width * scale, self._thin) / 2, y - height * scale
        self._bar(x - half, top, x + half, y, color, POLE)
        self._bar(x, top, x + half, y, lit(color, 0.7), POLE)
        return top

    def _lamp_post(self, placed: Placed) -> None:
        x, y, scale = self._foot(placed)
        top = self._post(x, y, scale, placed.thing.height, 0.15)
        side = 1 if placed.thing.u < 0 else -1
        half = self._thin / 2
        self._bar(x, top, x + side * 1.3 * scale, top + 2 * half, _POLE, POLE)
        lamp: Color = (190, 235, 255) if self._scene.mood.lamps else (176, 180, 178)
        self._bar(x + side * 1.0 * scale, top - half, x + side * 1.8 * scale, top + 3 * half, lamp, POLE)

    def _sign(self, placed: Placed) -> None:
        x, y, scale = self._foot(placed)
        top = self._post(x, y, scale, placed.thing.height, 0.10)
        look, size = placed.thing.look, 0.46 * scale
        middle = top + size
        red: Color = (50, 40, 200)
        if look % 3 == 0:
            ring = np.linspace(0, 2 * np.pi, 12, endpoint=False)
            shape = np.stack((np.cos(ring), np.sin(ring)), axis=1)
            rim, inside = (red, (240, 240, 240)) if look & 8 else ((170, 90, 20), (180, 100, 30))
        elif look % 3 == 1:
            shape, rim, inside = np.array([(-1.0, 0.85), (0.0, -1.0), (1.0, 0.85)]), red, (240, 240, 240)
        else:
            shape, rim, inside = np.array([(-0.8, -1.0), (0.8, -1.0), (0.8, 1.0), (-0.8, 1.0)]), (240, 240, 240), (170, 80, 20)
        for share, color in ((1.0, rim), (0.7, inside)):
            self._canvas.polygon(corners(np.array([x, middle]) + shape * size * share), color, SIGN)
        self._bar(x - 0.12 * size, middle - 0.3 * size, x + 0.12 * size, middle + 0.4 * size, (40, 40, 40) if look % 3 < 2 else rim, SIGN)

    def _board(self, placed: Placed) -> None:
        x, y, scale = self._foot(placed)
        half, boards = 1.1 * scale, self._assets.boards
        for leg in (-0.7, 0.7):
            self._post(x + leg * half, y, scale, placed.thing.height - 0.1, 0.09)
        top, low = y - placed.thing.height * scale, y - (placed.thing.height - 1.45) * scale
        quad = np.array([(x - half, top), (x + half, top), (x + half, low), (x - half, low)])
        self._canvas.textured(boards[placed.thing.look % len(boards)], quad, SIGN)

    def _lights(self, placed: Placed) -> None:
        x, y, scale = self._foot(placed)
        top = self._post(x, y, scale, placed.thing.height, 0.12, (60, 62, 62))
        half, step = 0.24 * scale, 0.34 * scale
        self._bar(x - half, top, x + half, top + 3.2 * step, (26, 26, 28), SIGN)
        burning = int(self._view.time_s / 4 + placed.thing.look) % 3
        for n, color in enumerate(((40, 40, 250), (40, 180, 255), (120, 240, 60))):
            y0 = top + (n + 0.25) * step
            shade = color if n == burning else lit(color, 0.25)
            self._bar(x - 0.12 * scale, y0, x + 0.12 * scale, y0 + 0.7 * step, shade, SIGN)

    def _bollard(self, placed: Placed) -> None:
        x, y, scale = self._foot(placed)
        top = self._post(x, y, scale, placed.thing.height, 0.16, (48, 46, 44))
        half = max(0.16 * scale, self._thin) / 2
        self._bar(x - half, top + 0.1 * scale, x + half, top + 0.25 * scale, (215, 220, 222), POLE)


_DRAWN_BY: dict[Kind, Callable[[Painter, Placed], None]] = {
    Kind.BUILDING: Painter._building,
    Kind.FENCE: Painter._fence,
    Kind.TREE: Painter._tree,
    Kind.CAR: Painter._car,
    Kind.PEDESTRIAN: Painter._person,
    Kind.CYCLIST: Painter._person,
    Kind.LAMP_POST: Painter._lamp_post,
    Kind.SIGN: Painter._sign,
    Kind.BOARD: Painter._board,
    Kind.LIGHTS: Painter._lights,
    Kind.BOLLARD: Painter._bollard,
}


def shadows(placed: list[Placed], view: View, scene: Scene, assets: Assets) -> tuple[list[Floats], list[Floats]]:
    """Outlines on the ground, in pixels: what the sun casts, and the dark under cars that every light leaves."""
    cast: list[Floats] = []
    under: list[Floats] = []
    sunny = scene.mood.shadow < 1
    for one in placed:
        thing = one.thing
        across, along = np.array([one.cos, -one.sin]), np.array([one.sin, one.cos])
        foot = np.array([one.right, one.forward])
        if thing.kind is Kind.CAR and one.forward < 60:
            model = MODELS[(thing.look >> 3) % 8 % len(MODELS)]
            under.append(_flat(view, foot, across * (model.width_m / 2 + 0.08), along * (model.length_m / 2 + 0.1)))
            if sunny:
                cast.append(
                    _flat(view, foot - across * scene.sun_side * 0.8, across * (model.width_m / 2 + 0.4), along * model.length_m / 2)
                )
        elif sunny and thing.kind is Kind.BUILDING and thing.u * scene.sun_side > 0:
            house = assets.facades[thing.look % len(assets.facades)]
            reach = -scene.sun_side * 0.75 * house.height_m
            cast.append(view.ground(np.array([thing.s, thing.s + thing.length, thing.s + thing.length, thing.s]) - view.s,
                                    np.array([thing.u, thing.u, thing.u + reach, thing.u + reach])))  # fmt: skip
        elif sunny and thing.kind is Kind.TREE and one.forward < 60:
            middle = foot - across * scene.sun_side * 0.5 * thing.height
            cast.append(_flat(view, middle, across * thing.height * 0.36, along * thing.height * 0.26, 10))
        elif sunny and thing.kind in (Kind.PEDESTRIAN, Kind.CYCLIST, Kind.LAMP_POST, Kind.SIGN) and one.forward < 40:
            cast.append(_flat(view, foot - across * scene.sun_side * 0.8, across * 0.8, along * 0.14))
    return cast, under


def _flat(view: View, middle: Floats, across: Floats, along: Floats, corners_count: int = 4) -> Floats:
    """A parallelogram, or an ellipse of so many corners, lying on the ground."""
    angles = np.linspace(0, 2 * np.pi, corners_count, endpoint=False) + np.pi / 4
    stretch = np.sqrt(2) if corners_count == 4 else 1.0
    points = middle + stretch * (np.cos(angles)[:, None] * across + np.sin(angles)[:, None] * along)
    return view.pixels(points[:, 0], points[:, 1])
