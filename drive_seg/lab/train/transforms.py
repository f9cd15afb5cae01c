"""Augmentation of one picture and its labels, by OpenCV on the CPU, fixed by the random generator that is passed in."""

import cv2
import numpy as np

from drive_seg.contracts import Image, Labels
from drive_seg.lab.evaluate.pairs import VOID
from drive_seg.lab.train.recipe import Recipe

MEAN_BGR = (104, 107, 105)  # fills what lies outside the picture


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
