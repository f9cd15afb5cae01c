"""Draws every shape into the picture and the label map alike, so that the labels are exact by construction.

Nothing is anti-aliased: both maps are filled from the same integer corners. What is drawn later covers what was drawn earlier
(painter's algorithm), so the caller draws from far to near.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Array, Image, Labels

Color = tuple[int, int, int]  # BGR
Mask = NDArray[np.uint8]  # HxW, 255 where the thing is

_FAR_AWAY = 30000  # corners beyond this many pixels overflow OpenCV's fixed-point rasteriser


@dataclass(frozen=True, slots=True)
class Texture:
    """A flat picture for a quad, with halved copies so that far surfaces do not shimmer."""

    levels: tuple[Image, ...]
    color: Color

    @classmethod
    def of(cls, image: Image, count: int = 4) -> "Texture":
        blue, green, red, _ = cv2.mean(image)
        return cls(tuple(_halved(image, count)), (int(blue), int(green), int(red)))


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture with a silhouette, seen face on, with halved copies."""

    images: tuple[Image, ...]
    masks: tuple[Mask, ...]

    @classmethod
    def of(cls, image: Image, mask: Mask, count: int = 4) -> "Sprite":
        masks = [np.where(level > 127, 255, 0).astype(np.uint8) for level in _halved(mask, count)]
        return cls(tuple(_halved(image, count)), tuple(masks))

    @property
    def aspect(self) -> float:
        """Width over height."""
        height, width = self.masks[0].shape
        return float(width / height)


def _halved(image: Array, count: int) -> list[NDArray[np.uint8]]:
    levels = [np.ascontiguousarray(image)]
    while len(levels) < count and min(levels[-1].shape[:2]) >= 8:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(np.uint8))
    return levels


def _level(texels: int, pixels: float, count: int) -> int:
    """The smallest copy that still has about a texel for every pixel."""
    level = 0
    while level + 1 < count and texels >= 1.6 * pixels:
        texels, level = texels // 2, level + 1
    return level


def corners(points: Array) -> NDArray[np.int32]:
    """Float pixel positions of shape (..., 2), rounded and kept inside what the rasteriser can hold."""
    rounded: NDArray[np.int32] = np.rint(np.clip(points, -_FAR_AWAY, _FAR_AWAY)).astype(np.int32)
    return rounded


class Canvas:
    """A picture and its label map, both fresh."""

    def __init__(self, size_hw: tuple[int, int], planes: tuple[Labels, ...]) -> None:
        """`planes` are constant label maps by id, HxW, read only: what masked label copies are copied from."""
        self.height, self.width = size_hw
        self.image: Image = np.empty((*size_hw, 3), np.uint8)
        self.labels: Labels = np.empty(size_hw, np.uint8)
        self._planes = planes

    def polygon(self, points: NDArray[np.int32], color: Color, label: int) -> None:
        """Fills a convex polygon of shape (N, 2)."""
        cv2.fillConvexPoly(self.image, points, color)
        cv2.fillConvexPoly(self.labels, points, label)

    def outline(self, points: NDArray[np.int32], color: Color, label: int) -> None:
        """Fills any simple polygon of shape (N, 2)."""
        cv2.fillPoly(self.image, [points], color)
        cv2.fillPoly(self.labels, [points], label)

    def textured(self, texture: Texture, quad: Array, label: int, part: tuple[float, float] = (0.0, 1.0)) -> None:
        """Maps the texture's columns from part[0] to part[1] of its width onto a quad: top left, top right, bottom right, bottom left."""
        points = corners(quad)
        left, top = points.min(axis=0)
        right, bottom = points.max(axis=0) + 1
        left, right, top, bottom = max(left, 0), min(right, self.width), max(top, 0), min(bottom, self.height)
        if right <= left or bottom <= top:
            return
        self.polygon(points, texture.color, label)
        tall = max(points[3, 1] - points[0, 1], points[2, 1] - points[1, 1])
        if tall < 6 or right - left < 2:
            return
        image = texture.levels[_level(texture.levels[0].shape[0], float(tall), len(texture.levels))]
        rows, columns = image.shape[0] - 1, image.shape[1] - 1
        u0, u1 = part[0] * columns, part[1] * columns
        source = np.array([[u0, 0], [u1, 0], [u1, rows], [u0, rows]], np.float32)
        matrix = cv2.getPerspectiveTransform(source, (points - (left, top)).astype(np.float32))
        region = self.image[top:bottom, left:right]
        size = (int(right - left), int(bottom - top))
        cv2.warpPerspective(image, matrix, size, dst=region, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)

    def sprite(self, sprite: Sprite, x: float, foot_y: float, height: float, label: int, mirrored: bool = False) -> None:
        """Stands a sprite on the point (x, foot_y), `height` pixels tall."""
        wide, tall = max(1, round(height * sprite.aspect)), max(1, round(height))
        left, top = round(x - wide / 2), round(foot_y) - tall
        x0, x1, y0, y1 = max(left, 0), min(left + wide, self.width), max(top, 0), min(top + tall, self.height)
        if x1 <= x0 or y1 <= y0:
            return
        level = _level(sprite.masks[0].shape[0], height, len(sprite.masks))
        image, mask = sprite.images[level], sprite.masks[level]
        rows, columns = mask.shape
        scale_x, scale_y = wide / columns, tall / rows
        shift_x = left - x0 + (wide - 1 if mirrored else 0)
        matrix = np.array([[-scale_x if mirrored else scale_x, 0, shift_x], [0, scale_y, top - y0]], np.float32)
        size = (x1 - x0, y1 - y0)
        colors = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        shape = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST)
        cv2.copyTo(colors, shape, self.image[y0:y1, x0:x1])
        cv2.copyTo(self._planes[label][y0:y1, x0:x1], shape, self.labels[y0:y1, x0:x1])
