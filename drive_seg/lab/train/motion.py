"""A few frames of a drive made of one labelled picture: the camera moves through it, near things faster than far ones, and things pass."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Image, Labels
from drive_seg.lab.evaluate.pairs import VOID
from drive_seg.lab.train.paste import Cutout, put

GROUND = ("road", "pavement")
HZ = 30.0  # time is counted in frames of this rate
FORWARD = 0.09  # of the distance to the ground at the picture's lower edge, in a frame: some 10 m/s
YAW = 4.0  # pixels in a frame, at 480 across: a turn of 15 degrees in a second
PITCH, ROLL_DEG = 1.0, 0.15  # and how much the road shakes the camera, standard deviations
PASSING = 4.0  # pixels in a frame, standard deviation


@dataclass(frozen=True, slots=True)
class _Course:
    """How the camera moves, by the frame of 30 Hz."""

    forward: float
    yaw: float
    pitch: float
    roll_deg: float
    focus: tuple[float, float]  # x and y of the vanishing point


def nearness(labels: Labels, ground: tuple[int, ...], sky: int | None) -> NDArray[np.float32]:
    """1 over the distance, (H, W): 1 for the ground at the lower edge, 0 at the horizon and for the sky; what stands, stands on the ground
    below it in its column."""
    height = labels.shape[0]
    horizon = 0.45 * height
    row = np.clip((np.arange(height, dtype=np.float32) - horizon) / (height - horizon), 0.02, 1)[:, None]
    near = np.where(np.isin(labels, ground), row, np.nan).astype(np.float32)
    near[-1] = np.where(np.isnan(near[-1]), 0.5, near[-1])  # what hides the ground all the way down is neither here nor far
    for y in range(height - 2, -1, -1):
        near[y] = np.where(np.isnan(near[y]), near[y + 1], near[y])
    if sky is not None:
        near[labels == sky] = 0
    return np.asarray(cv2.blur(near, (9, 9)), np.float32)


def moved(
    image: Image, labels: Labels, times: NDArray[np.float64], classes: tuple[str, ...], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The picture as seen at each time, in frames from when it was taken: (T, H, W, 3), and (T, H, W) ids, VOID where nothing is known."""
    height, width = labels.shape
    still = rng.random() < 0.1
    course = _Course(
        0.0 if still else rng.uniform(0.1, 1) * FORWARD,
        0.0 if still else rng.normal(0, YAW / 2) * width / 480,
        PITCH,
        ROLL_DEG,
        (rng.uniform(0.4, 0.6) * width, rng.uniform(0.42, 0.5) * height),
    )
    ground = tuple(classes.index(name) for name in GROUND if name in classes)
    near = nearness(labels, ground, classes.index("sky") if "sky" in classes else None)
    shots = [_seen(image, labels, near, course, float(time), rng) for time in times]
    return np.stack([shot for shot, _ in shots]), np.stack([truth for _, truth in shots])


def _seen(
    image: Image, labels: Labels, near: NDArray[np.float32], course: _Course, time: float, rng: np.random.Generator
) -> tuple[Image, Labels]:
    height, width = labels.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    if time:
        angle = np.deg2rad(rng.normal(0, course.roll_deg))
        shift_x, shift_y = course.yaw * time, rng.normal(0, course.pitch)
        centre_x, centre_y = course.focus
        away_x, away_y = x - centre_x - shift_x, y - centre_y - shift_y
        away_x, away_y = away_x + np.float32(angle) * away_y, away_y - np.float32(angle) * away_x
        x, y = x - np.float32(shift_x), y - np.float32(shift_y)
        for _ in range(2):  # where in the picture a thing was depends on how near it is there
            there = cv2.remap(near, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            zoom = np.maximum(0.3, 1 - there * np.float32(course.forward * time))
            x, y = np.float32(centre_x) + away_x * zoom, np.float32(centre_y) + away_y * zoom
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    shot = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    truth = cv2.remap(labels, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(VOID,))
    return np.asarray(shot, np.uint8), np.asarray(truth, np.uint8)


def pass_by(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], times: NDArray[np.float64], pieces: list[Cutout], rng: np.random.Generator
) -> None:
    """Puts one to three things into all the frames, in place, each going its own way and growing or shrinking."""
    for _ in range(rng.integers(1, 4)):
        piece = pieces[rng.integers(len(pieces))]
        speed = rng.normal(0, PASSING, 2) * (1, 0.15)
        growth = rng.normal(0, 0.01)
        left = rng.integers(0, max(1, images.shape[2] - piece.mask.shape[1]))
        for image, truth, time in zip(images, labels, times, strict=True):
            put(image, truth, piece, round(piece.top + speed[1] * time), round(left + speed[0] * time), float(np.exp(growth * time)))
