"""The moods that a scene can be lit in, and what the camera makes of them: exposure, colour cast, sensor noise."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Image
from drive_seg.demo.canvas import Color

NOISE_MEAN = 10  # the noise tile is added, never subtracted: the tone curve is lowered by its mean
_TILE_MARGIN = 64


@dataclass(frozen=True, slots=True)
class Mood:
    name: str
    zenith: Color
    horizon: Color
    clouds: float  # share of the sky
    gain: float
    gamma: float  # above 1 darkens the middle and leaves lamps bright
    cast: tuple[float, float, float]  # BGR
    shadow: float  # what is left of the light in a cast shadow; 1 casts none
    sunlit: float  # facades on the sun's side
    shaded: float  # facades on the other side
    lamps: bool  # head lamps and windows are lit


MOODS: tuple[Mood, ...] = (
    Mood("sun", (225, 165, 105), (245, 225, 200), 0.25, 1.10, 1.00, (0.98, 1.0, 1.02), 0.50, 1.15, 0.72, False),
    Mood("overcast", (205, 200, 195), (240, 238, 235), 0.85, 1.00, 1.05, (1.02, 1.0, 0.98), 1.0, 0.95, 0.92, False),
    Mood("shade", (250, 240, 228), (255, 252, 246), 0.30, 0.92, 1.30, (1.04, 1.0, 0.97), 0.62, 1.10, 0.66, False),
    Mood("dusk", (170, 130, 110), (190, 205, 235), 0.60, 0.85, 1.55, (1.05, 0.98, 0.98), 1.0, 0.92, 0.85, True),
    Mood("late sun", (215, 175, 130), (205, 225, 248), 0.45, 1.00, 1.10, (0.92, 0.99, 1.07), 0.52, 1.20, 0.68, False),
)


def tone_curve(mood: Mood, exposure: float) -> NDArray[np.uint8]:
    """The camera's answer to light as a table for cv2.LUT, shape (256, 1, 3): gamma, gain, cast, a shoulder towards white."""
    light = np.linspace(0.0, 1.0, 256)[:, None] ** mood.gamma * mood.gain * exposure * np.array(mood.cast)
    shoulder = np.where(light > 0.85, 0.85 + 0.15 * np.tanh((light - 0.85) / 0.15), light)
    curve: NDArray[np.uint8] = np.clip(shoulder * 255 + 4 - NOISE_MEAN, 0, 255).astype(np.uint8)[:, None, :]
    return curve


def noise_tile(rng: np.random.Generator, size_hw: tuple[int, int]) -> Image:
    """Sensor noise around NOISE_MEAN, a margin larger than the picture so that every frame can take another corner of it."""
    height, width = size_hw[0] + _TILE_MARGIN, size_hw[1] + _TILE_MARGIN
    grain = 2.6 * rng.standard_normal((height, width, 1), np.float32) + 1.6 * rng.standard_normal((height, width, 3), np.float32)
    tile: Image = np.clip(grain + NOISE_MEAN, 0, 2 * NOISE_MEAN).astype(np.uint8)
    return tile


def noise_corner(index: int) -> tuple[int, int]:
    """Row and column of this frame's corner of the tile: far from its neighbours' and without a visible rhythm."""
    return (index * 37 + index // 7 * 11) % _TILE_MARGIN, (index * 23 + index // 5 * 17) % _TILE_MARGIN


def through_camera(image: Image, curve: NDArray[np.uint8], noise: Image, corner: tuple[int, int], yaw_px: float, rush_px: float) -> Image:
    """What the sensor saw of a sharp picture: lens softness, motion blur (pixels: sideways, and along the near road), tone, noise."""
    height, width = image.shape[:2]
    cv2.GaussianBlur(image, (3, 3), 0.6, dst=image)
    sideways = min(int(abs(yaw_px)) | 1, 9)
    if sideways > 1:
        cv2.blur(image, (sideways, 1), dst=image)
    along = min(int(rush_px) | 1, 9)
    if along > 1:
        near = image[height * 4 // 5 :]
        cv2.blur(near, (1, along), dst=near)
    cv2.LUT(image, curve, dst=image)
    row, column = corner
    return cv2.add(image, noise[row : row + height, column : column + width], dst=image).astype(np.uint8, copy=False)
