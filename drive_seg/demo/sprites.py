"""Paints what is seen face on: trees, people at every phase of their walk, cyclists at every phase of their pedalling."""

import cv2
import numpy as np

from drive_seg.contracts import Image
from drive_seg.demo.canvas import Color, Mask, Sprite
from drive_seg.demo.textures import lit

PHASES = 8  # of a walk or a turn of the pedals
_COATS: tuple[Color, ...] = ((50, 40, 150), (140, 70, 30), (40, 40, 46), (90, 120, 60), (120, 150, 190), (150, 60, 120), (60, 130, 200))
_JACKETS: tuple[Color, ...] = ((60, 245, 225), (40, 150, 250), (80, 235, 190), (60, 60, 235))
_TROUSERS: tuple[Color, ...] = ((70, 50, 40), (40, 38, 38), (110, 84, 60), (80, 96, 110))
_SKIN: tuple[Color, ...] = ((130, 160, 205), (90, 120, 170), (60, 80, 120))


class _Pen:
    """Draws in colour and in the silhouette at once."""

    def __init__(self, height: int, width: int, ground: Color) -> None:
        self.image: Image = np.full((height, width, 3), ground, np.uint8)
        self.mask: Mask = np.zeros((height, width), np.uint8)

    def line(self, a: tuple[float, float], b: tuple[float, float], color: Color, thick: int) -> None:
        ends = (int(a[0]), int(a[1])), (int(b[0]), int(b[1]))
        cv2.line(self.image, *ends, color, thick)
        cv2.line(self.mask, *ends, 255, thick)

    def ellipse(self, center: tuple[float, float], axes: tuple[float, float], color: Color, thick: int = -1) -> None:
        box = (int(center[0]), int(center[1])), (max(1, int(axes[0])), max(1, int(axes[1])))
        cv2.ellipse(self.image, *box, 0, 0, 360, color, thick)
        cv2.ellipse(self.mask, *box, 0, 0, 360, 255, thick)

    def polygon(self, points: list[tuple[float, float]], color: Color) -> None:
        array = np.array(points, np.int32)
        cv2.fillPoly(self.image, [array], color)
        cv2.fillPoly(self.mask, [array], 255)


def paint_person(rng: np.random.Generator) -> list[Sprite]:
    """A walker, one sprite for each of PHASES; 72x176 is 0.74 by 1.8 m."""
    coat, trousers, skin = (colors[rng.integers(len(colors))] for colors in (_COATS, _TROUSERS, _SKIN))
    hair: Color = (30, 40, 50) if rng.random() < 0.7 else (90, 140, 170)
    bag, long_coat, bulk = bool(rng.random() < 0.4), bool(rng.random() < 0.4), float(rng.uniform(0.9, 1.15))
    sprites = []
    for phase in range(PHASES):
        swing = float(np.sin(2 * np.pi * phase / PHASES))
        pen = _Pen(176, 72, coat)
        for side in (-1, 1):
            knee, foot = (36 + side * 4 + side * swing * 9, 132), (36 + side * 5 + side * swing * 17, 171)
            pen.line((36 + side * 5, 96), knee, lit(trousers, 1 - 0.15 * side), 13)
            pen.line(knee, foot, lit(trousers, 0.9 - 0.15 * side), 10)
            pen.line(foot, (foot[0] + 5, 173), (25, 25, 28), 6)
        hem = 112 if long_coat else 100
        half = 15 * bulk
        pen.polygon([(36 - half, 36), (36 + half, 36), (36 + half + 2, hem), (36 - half - 2, hem)], coat)
        pen.polygon([(36 + half * 0.3, 38), (36 + half, 38), (36 + half + 2, hem), (36 + half * 0.3, hem)], lit(coat, 0.75))
        pen.ellipse((36, 38), (half, 7), coat)
        for side in (-1, 1):
            hand = (36 + side * (half + 4) - side * swing * 5, 92)
            pen.line((36 + side * half, 40), (36 + side * (half + 4), 66), lit(coat, 0.85), 9)
            pen.line((36 + side * (half + 4), 66), hand, lit(coat, 0.8), 8)
            pen.ellipse(hand, (4, 5), skin)
        if bag:
            pen.ellipse((36 + half + 4, 96), (7, 11), (40, 60, 90))
        pen.line((36, 26), (36, 34), skin, 9)
        pen.ellipse((36, 18), (10, 13), skin)
        pen.ellipse((36, 12), (11, 9), hair)
        sprites.append(Sprite.of(pen.image, pen.mask))
    return sprites


def paint_cyclist(rng: np.random.Generator) -> list[Sprite]:
    """Rider and bicycle seen a little from the side, one sprite for each of PHASES; 104x184 is 1.05 by 1.85 m."""
    jacket, trousers, skin = (colors[rng.integers(len(colors))] for colors in (_JACKETS, _TROUSERS, _SKIN))
    helmet: Color = (235, 235, 235) if rng.random() < 0.5 else (40, 40, 200)
    tyre, frame = (28, 28, 30), _JACKETS[rng.integers(len(_JACKETS))]
    sprites = []
    for phase in range(PHASES):
        turn = 2 * np.pi * phase / PHASES
        pen = _Pen(184, 104, jacket)
        pen.ellipse((64, 142), (19, 34), (60, 62, 64))
        pen.ellipse((64, 142), (19, 34), tyre, 7)
        pen.ellipse((42, 148), (20, 33), (70, 72, 74))
        pen.ellipse((42, 148), (20, 33), tyre, 8)
        pen.line((42, 148), (52, 96), frame, 6)
        pen.line((52, 128), (66, 96), frame, 6)
        for side in (-1, 1):
            pedal = (52 + side * 9, 138 + side * 13 * float(np.sin(turn)))
            knee = (52 + side * 13, 112 + side * 8 * float(np.sin(turn)))
            pen.line((52 + side * 6, 92), knee, lit(trousers, 1 - 0.15 * side), 13)
            pen.line(knee, pedal, lit(trousers, 0.9), 10)
            pen.line(pedal, (pedal[0] + 4, pedal[1] + 2), (25, 25, 28), 7)
        pen.line((30, 84), (78, 84), (50, 50, 52), 5)
        pen.polygon([(35, 34), (69, 34), (66, 98), (40, 98)], jacket)
        pen.polygon([(56, 36), (69, 36), (66, 98), (54, 98)], lit(jacket, 0.78))
        pen.line((37, 70), (67, 70), (225, 230, 230), 4)
        pen.ellipse((52, 35), (17, 8), jacket)
        for side in (-1, 1):
            pen.line((52 + side * 16, 40), (52 + side * 22, 62), lit(jacket, 0.88), 9)
            pen.line((52 + side * 22, 62), (52 + side * 21, 83), lit(jacket, 0.8), 8)
        pen.ellipse((52, 20), (9, 12), skin)
        pen.ellipse((52, 14), (12, 10), helmet)
        sprites.append(Sprite.of(pen.image, pen.mask))
    return sprites


def paint_tree(rng: np.random.Generator) -> Sprite:
    """A broad-leaved tree with its trunk, 224x288."""
    leaf: Color = [(46, 92, 70), (40, 110, 84), (58, 120, 104), (50, 88, 62), (52, 104, 120)][rng.integers(5)]
    bark: Color = (52, 66, 82)
    pen = _Pen(288, 224, lit(leaf, 0.8))
    pen.polygon([(103, 150), (121, 150), (126, 287), (98, 287)], bark)
    pen.polygon([(114, 150), (121, 150), (126, 287), (115, 287)], lit(bark, 0.7))
    for _ in range(5):
        pen.line((112, 210), (112 + rng.uniform(-60, 60), rng.uniform(90, 140)), bark, 7)
    spread, middle = rng.uniform(62, 84), rng.uniform(98, 112)
    for ring, shade in ((1.0, 0.62), (0.92, 0.82), (0.8, 1.0), (0.62, 1.22)):
        for _ in range(46):
            angle, radius = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 1)) * ring
            x = 112 + radius * spread * np.cos(angle) - (1 - ring) * 26
            y = middle + radius * 82 * np.sin(angle) - (1 - ring) * 40
            size = rng.uniform(9, 20) if ring > 0.9 else rng.uniform(5, 12)
            pen.ellipse((x, y), (size, size * rng.uniform(0.7, 1.0)), lit(leaf, shade * rng.uniform(0.86, 1.14)))
    return Sprite.of(pen.image, pen.mask)
