"""Paints the flat pictures that are mapped onto quads and the sky: facades, shop boards, fences, asphalt, panorama."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Array, Image, Labels
from drive_seg.demo.canvas import Color, Texture
from drive_seg.demo.labels import BUILDING, SKY, TREE
from drive_seg.demo.light import Mood

_PX_PER_M = 24
_WALLS: tuple[Color, ...] = (
    (62, 78, 132),  # red brick
    (118, 166, 194),  # yellow stock brick
    (80, 100, 128),  # brown brick
    (205, 214, 220),  # white render
    (150, 168, 180),  # limestone
    (176, 204, 218),  # cream render
    (128, 134, 138),  # concrete
)
_BRICKS = 3  # the first so many are laid in courses
_BOARDS: tuple[tuple[Color, Color], ...] = (  # paper, ink
    ((160, 70, 20), (255, 255, 255)),
    ((40, 30, 190), (250, 250, 250)),
    ((70, 125, 25), (245, 250, 250)),
    ((40, 200, 245), (30, 30, 40)),
    ((245, 245, 245), (40, 30, 160)),
)
_SHOP_NAMES = ("BAKERY", "GALLOWAY & SONS", "FISH BAR", "BOOKSHOP", "HARDWARE", "CAFE", "NEWSAGENT", "PHARMACY", "FLORIST")
_TOWNS = ("CENTRE", "STATION", "MARKET", "ELY", "RING ROAD", "HOSPITAL", "PARKING", "LONDON")
_SHOPS: tuple[Color, ...] = ((150, 60, 30), (40, 40, 170), (60, 110, 30), (30, 150, 220), (130, 40, 110), (20, 20, 30))


@dataclass(frozen=True, slots=True)
class Facade:
    width_m: float
    height_m: float
    front: dict[int, Texture]  # by side of the road: -1 left, 1 right
    gable: dict[int, Color]
    roof: Color
    ridge_m: float  # above the eaves; 0 is a flat roof
    has_shop: bool


def lit(color: Color, factor: float) -> Color:
    blue, green, red = (min(255, int(channel * factor)) for channel in color)
    return blue, green, red


def _speckled(rng: np.random.Generator, height: int, width: int, color: Color, spread: float) -> Image:
    grain = spread * rng.standard_normal((height, width, 1), np.float32)
    coarse = cv2.resize(
        spread * rng.standard_normal((max(2, height // 24), max(2, width // 24)), np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    return np.clip(np.array(color, np.float32) + grain + coarse[:, :, None], 0, 255).astype(np.uint8)


def _window(image: Image, rng: np.random.Generator, box: tuple[int, int, int, int], frame: Color, lamps: bool) -> None:
    x, y, width, height = box
    glass: Color = (78, 66, 56) if rng.random() < 0.7 else (120, 104, 88)
    if lamps and rng.random() < 0.4:
        glass = (150, 215, 250)
    cv2.rectangle(image, (x - 3, y - 3), (x + width + 2, y + height + 2), frame, -1)
    cv2.rectangle(image, (x, y), (x + width - 1, y + height - 1), glass, -1)
    cv2.rectangle(image, (x, y), (x + width - 1, y + height // 3), lit(glass, 1.25), -1)
    cv2.line(image, (x + width // 2, y), (x + width // 2, y + height), frame, 2)
    cv2.line(image, (x, y + height // 2), (x + width, y + height // 2), frame, 2)
    cv2.rectangle(image, (x - 5, y + height + 3), (x + width + 4, y + height + 6), lit(frame, 0.8), -1)


def _storeys(image: Image, rng: np.random.Generator, top_floors: int, ground_px: int, frame: Color, lamps: bool) -> None:
    height, width = image.shape[:2]
    columns = max(2, round(width / _PX_PER_M / rng.uniform(2.1, 3.0)))
    rise = (height - ground_px - 14) / top_floors
    wide, tall = int(width / columns * rng.uniform(0.38, 0.55)), int(rise * rng.uniform(0.52, 0.64))
    for floor in range(top_floors):
        for column in range(columns):
            x = int((column + 0.5) * width / columns - wide / 2)
            _window(image, rng, (x, int(16 + floor * rise + (rise - tall) / 2), wide, tall), frame, lamps)


def _ground_floor(image: Image, rng: np.random.Generator, ground_px: int, shop: bool, lamps: bool) -> None:
    height, width = image.shape[:2]
    top = height - ground_px
    if shop:
        color = _SHOPS[rng.integers(len(_SHOPS))]
        cv2.rectangle(image, (0, top), (width, height), lit(color, 0.8), -1)
        panes = max(2, width // 70)
        for pane in range(panes):
            x0, x1 = int(pane * width / panes) + 6, int((pane + 1) * width / panes) - 6
            glass: Color = (170, 220, 245) if lamps else (84, 76, 66)
            cv2.rectangle(image, (x0, top + 22), (x1, height - 12), glass, -1)
            cv2.rectangle(image, (x0, top + 22), (x1, top + 40), lit(glass, 1.3), -1)
            for _ in range(3):
                x = int(rng.integers(x0, x1))
                cv2.rectangle(image, (x, height - 40), (min(x + 9, x1), height - 13), lit(color, rng.uniform(0.6, 1.8)), -1)
        return
    cv2.line(image, (0, top), (width, top), (190, 196, 200), 4)
    door = int(rng.uniform(0.1, 0.7) * width)
    cv2.rectangle(image, (door, height - 54), (door + 24, height), _SHOPS[rng.integers(len(_SHOPS))], -1)
    for x in range(12, width - 40, 66):
        if abs(x - door) > 34:
            _window(image, rng, (x, top + 16, 30, int(ground_px * 0.5)), (205, 208, 210), lamps)


def paint_facade(rng: np.random.Generator, mood: Mood, sun_side: int) -> Facade:
    """One house front with windows, lit as it would be on either side of the road."""
    width_m, floors = float(rng.uniform(7, 14)), int(rng.integers(2, 5))
    shop = bool(rng.random() < 0.45)
    ground_m = 3.9 if shop else 3.1
    height_m = ground_m + (floors - 1) * float(rng.uniform(2.7, 3.1)) + 0.4
    kind = int(rng.integers(len(_WALLS)))
    wall = _WALLS[kind]
    height, width = int(height_m * _PX_PER_M), int(width_m * _PX_PER_M)
    image = _speckled(rng, height, width, wall, 5.0 if kind < _BRICKS else 3.0)
    if kind < _BRICKS:
        image[::4] = (image[::4] * 0.88).astype(np.uint8)
    frame: Color = (215, 220, 224) if rng.random() < 0.75 else (60, 62, 64)
    _storeys(image, rng, floors - 1, int(ground_m * _PX_PER_M), frame, mood.lamps)
    _ground_floor(image, rng, int(ground_m * _PX_PER_M), shop, mood.lamps)
    cv2.rectangle(image, (0, 0), (width, 7), lit(wall, 0.7), -1)
    cv2.rectangle(image, (width - 4, 0), (width, height), lit(wall, 0.75), -1)  # drain pipe: tells houses apart
    sides = {side: mood.sunlit if side != sun_side else mood.shaded for side in (-1, 1)}
    front = {side: Texture.of(cv2.convertScaleAbs(image, alpha=factor).astype(np.uint8)) for side, factor in sides.items()}
    roof: Color = (74, 70, 70) if rng.random() < 0.6 else (70, 84, 118)
    ridge = float(rng.uniform(2.8, 4.2)) if rng.random() < 0.7 else 0.0
    return Facade(width_m, height_m, front, {side: lit(wall, 0.5 + 0.3 * sides[side]) for side in sides}, roof, ridge, shop)


def paint_board(rng: np.random.Generator, wide: bool) -> Texture:
    """A board with lettering: a shop's name, or a direction sign."""
    width, height = (320, 52) if wide else (150, 100)
    paper, ink = _BOARDS[rng.integers(len(_BOARDS))]
    image = np.full((height, width, 3), paper, np.uint8)
    cv2.rectangle(image, (3, 3), (width - 4, height - 4), ink, 3)
    words = rng.choice(_SHOP_NAMES if wide else _TOWNS, 1 if wide else 2, replace=False)
    for line, word in enumerate(words.tolist()):
        cell = height / len(words)
        scale = min(0.036 * cell * 0.6, (width - 30) / cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)[0][0])
        wide_px, tall_px = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, 2)[0]
        corner = (width - wide_px) // 2, int((line + 0.5) * cell + tall_px / 2)
        cv2.putText(image, word, corner, cv2.FONT_HERSHEY_DUPLEX, scale, ink, 3)
    return Texture.of(image, 4)


def paint_fence(rng: np.random.Generator, kind: int) -> Texture:
    """Four metres of fence: wooden planks, or steel railings in front of a dark hedge."""
    if kind == 0:
        image = _speckled(rng, 48, 128, (66, 104, 150), 4)
        image[:, ::8] = (30, 52, 84)
        image[[6, 7, 40, 41]] = (50, 84, 124)
        return Texture.of(image, 3)
    image = _speckled(rng, 48, 128, (78, 92, 84), 5)
    image[:, ::8] = image[:, 1::8] = image[:, 2::8] = (176, 182, 178)
    image[[0, 1, 2, 3, 43, 44, 45]] = (196, 200, 196)
    return Texture.of(image, 3)


def paint_asphalt(rng: np.random.Generator, color: Color, px_per_m: int, width_m: int, period_m: int) -> Image:
    """Two periods of road surface along the rows, so that any phase can be cut out: grain, patches, cracks, worn wheel tracks."""
    height, width = period_m * px_per_m, width_m * px_per_m
    image = _speckled(rng, height, width, color, 4.0)
    for _ in range(width_m * period_m // 18):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        size = (int(rng.uniform(0.5, 2.0) * px_per_m), int(rng.uniform(0.8, 4.0) * px_per_m))
        patch = image[y : y + size[1], x : x + size[0]]
        cv2.convertScaleAbs(patch, dst=patch, alpha=float(rng.uniform(0.86, 1.10)))
    for _ in range(period_m // 4):
        walk = np.cumsum(rng.normal(0, 5, (14, 2)), axis=0) + rng.uniform(0, 1, 2) * (width, height)
        cv2.polylines(image, [walk.astype(np.int32)], False, lit(color, 0.72), 1)
    return np.vstack((image, image))


@dataclass(frozen=True, slots=True)
class Panorama:
    """The sky and what stands on the horizon, by heading; the bottom row is the horizon."""

    image: Image
    labels: Labels

    def cut(self, column: int, size_hw: tuple[int, int]) -> tuple[Image, Labels]:
        """The lowest rows from `column` on, moved inside where they would leave the panorama; views, not copies."""
        height, width = size_hw
        left = min(max(column, 0), self.image.shape[1] - width)
        window = (slice(self.image.shape[0] - height, None), slice(left, left + width))
        return self.image[window], self.labels[window]


def _clouds(rng: np.random.Generator, height: int, width: int, share: float) -> NDArray[np.float32]:
    total: Array = np.zeros((height, width), np.float32)
    for octave, weight in ((5, 1.0), (11, 0.55), (25, 0.3), (60, 0.14)):
        grid = rng.normal(0, 1, (max(2, octave // 2), octave * 2)).astype(np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    edge = np.quantile(total, 1 - share)
    cover: NDArray[np.float32] = np.clip((total - edge) / (total.std() * 0.9), 0, 1).astype(np.float32)
    return cover


def paint_panorama(rng: np.random.Generator, mood: Mood, size_hw: tuple[int, int], unit_px: float) -> Panorama:
    """`size_hw` in pixels; `unit_px` is one degree or so: the height of a far tree."""
    height, width = size_hw
    zenith, horizon = np.array(mood.zenith, np.float32), np.array(mood.horizon, np.float32)
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** 1.4
    sky = zenith * (1 - ramp) + horizon * ramp
    cover = _clouds(rng, height, width, mood.clouds)[:, :, None] * 0.8
    cloud = horizon * (0.93 + 0.07 * ramp) if mood.clouds < 0.8 else horizon * 0.86
    image = np.clip(sky * (1 - cover) + cloud * cover, 0, 255).astype(np.uint8)
    labels = np.full((height, width), SKY, np.uint8)
    x = 0
    while x < width:
        wide, tall = int(rng.uniform(2, 6) * unit_px), int(rng.uniform(0.8, 2.2) * unit_px)
        if rng.random() < 0.35:
            color, label = lit((140, 142, 146), rng.uniform(0.7, 1.1)), BUILDING
            cv2.rectangle(image, (x, height - tall), (x + wide, height), color, -1)
            cv2.rectangle(labels, (x, height - tall), (x + wide, height), label, -1)
        else:
            color, label = lit((82, 104, 92), rng.uniform(0.8, 1.1)), TREE
            for _ in range(6):
                center = (x + int(rng.uniform(0, wide)), height - int(rng.uniform(0, 0.6) * tall))
                radius = max(2, int(rng.uniform(0.35, 0.6) * tall))
                shade = lit(color, rng.uniform(0.85, 1.15))
                cv2.circle(image, center, radius, shade, -1)
                cv2.circle(labels, center, radius, label, -1)
            cv2.rectangle(image, (x, height - tall // 2), (x + wide, height), color, -1)
            cv2.rectangle(labels, (x, height - tall // 2), (x + wide, height), label, -1)
        x += wide
    return Panorama(image, labels)
