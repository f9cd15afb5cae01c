"""Augmentation of one picture and its labels, by OpenCV on the CPU, fixed by the random generator that is passed in."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Image, Labels
from drive_seg.lab.evaluate.pairs import VOID
from drive_seg.lab.train.recipe import Recipe

MEAN_BGR = (104, 107, 105)  # fills what lies outside the picture


def reduced(image: Image, labels: Labels, size_hw: tuple[int, int]) -> tuple[Image, Labels]:
    """Both at this size: the picture by area, the labels by the nearest pixel. What has it already is given back as it is."""
    if image.shape[:2] == size_hw:
        return image, labels
    small = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.asarray(cv2.resize(labels, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def warp(image: Image, labels: Labels, crop_hw: tuple[int, int], recipe: Recipe, rng: np.random.Generator) -> tuple[Image, Labels]:
    """Scale, stretch, rotation, flip and crop as one affine map, so that the picture is interpolated once."""
    (height, width), (rows, columns) = image.shape[:2], crop_hw
    scale = np.exp(rng.uniform(*np.log(recipe.scale)))
    stretch = np.exp(rng.uniform(-recipe.stretch, recipe.stretch))
    sx, sy = scale * stretch, scale / stretch
    angle = np.deg2rad(rng.uniform(-recipe.rotate_deg, recipe.rotate_deg)) * (rng.random() < 0.5)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([flip * sx, sy])
    # The crop's centre falls where the crop still lies inside the scaled picture, or in its middle where it is larger.
    room = np.maximum(0.0, np.array([width * sx - columns, height * sy - rows])) / 2
    centre = rng.uniform(-room, room)
    offset = np.array([columns, rows]) / 2 - centre - linear @ (np.array([width, height]) / 2)
    matrix = np.column_stack([linear, offset])
    if scale < 0.75:  # bilinear sampling alone would alias
        image = np.asarray(cv2.blur(image, (2, 2)), np.uint8)
    warped = cv2.warpAffine(image, matrix, (columns, rows), flags=cv2.INTER_LINEAR, borderValue=MEAN_BGR)
    truth = cv2.warpAffine(labels, matrix, (columns, rows), flags=cv2.INTER_NEAREST, borderValue=(VOID,))
    return np.asarray(warped, np.uint8), np.asarray(truth, np.uint8)


def recolour(image: Image, recipe: Recipe, rng: np.random.Generator) -> Image:
    """Brightness, contrast and gamma (one table), saturation and white balance (one matrix), blur, sensor noise."""
    c = recipe.colour
    contrast, brightness, gamma = np.exp(rng.uniform(-c, c)), rng.uniform(-c, c) * 64, np.exp(rng.uniform(-c, c))
    ramp = np.arange(256) / 255.0
    table = np.clip((ramp**gamma * 255 - 107) * contrast + 107 + brightness, 0, 255).astype(np.uint8)
    saturation, balance = np.exp(rng.uniform(-1.5 * c, c)), np.exp(rng.uniform(-c / 4, c / 4, 3))
    grey = np.tile([0.114, 0.587, 0.299], (3, 1))
    matrix = np.diag(balance) @ (saturation * np.eye(3) + (1 - saturation) * grey)
    image = np.asarray(cv2.transform(cv2.LUT(image, table), matrix), np.uint8)
    if rng.random() < recipe.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6)), np.uint8)
    if rng.random() < recipe.noise:
        grain = rng.normal(0, rng.uniform(2, 12), (*image.shape[:2], 1)).astype(np.int16)
        image = np.clip(image.astype(np.int16) + grain, 0, 255).astype(np.uint8)
    return image


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """One thing that happens to real cameras and not to CamVid's: motion blur, JPEG, haze, night, glare or rain, at a random strength."""
    height, width = image.shape[:2]
    strength, kind = rng.uniform(0.2, 1.0), rng.integers(6)
    if kind == 0:
        return _smear(image, 3 + 14 * strength, rng.uniform(0, 180))
    if kind == 1:
        quality = int(60 - 50 * strength)
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    if kind == 2:  # thicker towards the horizon and the sky, as with distance
        thickness = 0.75 * strength * np.interp(np.arange(height), [0, 0.45 * height, height], [0.9, 1.0, 0.3])[:, None, None]
        return np.asarray(image * (1 - thickness) + rng.uniform(150, 235) * thickness, np.uint8)
    if kind == 3:  # what is left of the light, and the noise that the sensor's gain brings with it
        dark = image * (1 - 0.85 * strength) + rng.normal(0, 2 + 10 * strength, image.shape)
        return np.asarray(np.clip(dark, 0, 255), np.uint8)
    if kind == 4:
        rows, columns = np.mgrid[0:height, 0:width]
        y, x, size = rng.uniform(0, 0.7) * height, rng.uniform(0, 1) * width, rng.uniform(0.1, 0.5) * width
        light = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * size**2))[..., None]
        return np.asarray(np.clip(image + 255 * strength * light, 0, 255), np.uint8)
    drops = (rng.random((height, width)) < 0.012 * strength).astype(np.float32) * 255
    streaks = _smear(drops, 8 + 14 * strength, rng.uniform(75, 105))[..., None] * 4
    return np.asarray(np.clip(image * (1 - 0.25 * strength) + np.minimum(streaks, 140) * 0.7, 0, 255), np.uint8)


def _smear(image: NDArray[Any], length: float, angle_deg: float) -> NDArray[Any]:
    """Averaged along a straight line."""
    side = int(length) | 1
    line = np.zeros((side, side), np.float32)
    line[side // 2] = 1 / side
    turn = cv2.getRotationMatrix2D((side // 2, side // 2), angle_deg, 1.0)
    kernel = np.asarray(cv2.warpAffine(line, turn, (side, side)))
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), image.dtype)
