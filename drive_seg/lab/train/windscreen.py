"""What a camera behind a windscreen sees and CamVid's did not: night and headlights, drops, reflections, a wiper, the own bonnet.

All is drawn on the augmented picture. Labels stay what they are, since the street behind a drop or a wiper is still there; but the own
bonnet or dashboard is no class: it is void, neither taught nor scored, as the ego vehicle is in Cityscapes.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Image, Labels
from drive_seg.lab.evaluate.pairs import VOID

Floats = NDArray[np.float32]


def behind_windscreen(image: Image, labels: Labels, other: Image, rng: np.random.Generator) -> tuple[Image, Labels]:
    """Copies, with one or two of the things above. `other`: a picture of any size, whose reflection may be seen."""
    image, labels = image.copy(), labels.copy()
    seen: dict[str, Callable[[], Image]] = {
        "night": lambda: night(image, rng),
        "drops": lambda: drops(image, rng),
        "reflection": lambda: reflection(image, other, rng),
        "wiper": lambda: wiper(image, rng),
        "bonnet": lambda: bonnet(image, labels, rng),
    }
    for name in rng.choice(list(seen), rng.integers(1, 3), replace=False):
        image = seen[str(name)]()
    return image, labels


def night(image: Image, rng: np.random.Generator) -> Image:
    """A tone curve that crushes the shadows, a cast of lamps, the cone of the own headlights, lamps with halos, and the sensor's noise."""
    height, width = image.shape[:2]
    light = (image / 255.0).astype(np.float32) ** rng.uniform(1.2, 2.2)
    light *= rng.uniform(0.06, 0.2) / max(0.02, float(light.mean()))  # also of a picture that was dark before
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) / height
    middle, horizon = width / height / 2 * rng.uniform(0.85, 1.15), rng.uniform(0.45, 0.55)
    depth = np.clip((rows - horizon) / (1 - horizon), 0, 1)
    cone = np.exp(-(((columns - middle) / (0.12 + 0.5 * depth)) ** 2)) * np.minimum(1, 4 * depth)
    light *= 1 + rng.uniform(0.5, 2.5) * cone[..., None]
    halo = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(0, 7)):
        centre = int(rng.uniform(0, width)), int(rng.uniform(0.1, 0.55) * height)
        cv2.circle(halo, centre, int(rng.integers(1, 4)), 1.0, -1)
    halo = np.asarray(np.maximum(halo, 12 * cv2.GaussianBlur(halo, (0, 0), rng.uniform(3, 9))), np.float32)
    light = np.maximum(light, np.minimum(1, halo)[..., None])
    cast = np.array([rng.uniform(0.6, 1.1), rng.uniform(0.85, 1.0), 1.0], np.float32)  # BGR, between sodium lamps and the moon
    return _bytes(255 * light * cast + rng.normal(0, rng.uniform(2, 9), image.shape))


def drops(image: Image, rng: np.random.Generator) -> Image:
    """Each is a lens out of focus: the picture upside down, smeared."""
    height, width = image.shape[:2]
    through = np.ascontiguousarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(3, 8))[::-1, ::-1])
    there = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(8, 70)):
        radius = rng.gamma(2.0, height / 130) + 1
        centre = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        cv2.ellipse(there, centre, (max(1, int(radius)), max(1, int(radius * rng.uniform(1, 1.6)))), rng.uniform(-20, 20), 0, 360, 1.0, -1)
    share = _blurred(there, rng.uniform(0.6, 2.0))[..., None] * rng.uniform(0.6, 0.95)
    return _bytes(image * (1 - share) + through * rng.uniform(0.8, 1.15) * share)


def reflection(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """Another picture in the glass, mirrored and soft, stronger at the bottom, as of what lies on a dashboard."""
    height, width = image.shape[:2]
    mirrored = cv2.GaussianBlur(cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA)[::-1], (0, 0), rng.uniform(1.5, 6))
    share = rng.uniform(0.1, 0.45) * np.linspace(rng.uniform(0, 0.8), 1, height, dtype=np.float32)[:, None, None]
    return _bytes(255 - (255 - image.astype(np.float32)) * (1 - share * mirrored / 255))


def wiper(image: Image, rng: np.random.Generator) -> Image:
    """A dark blade, a little out of focus, from somewhere below the picture."""
    height, width = image.shape[:2]
    foot = int(rng.uniform(0, 1) * width), int(rng.uniform(1.0, 1.3) * height)
    angle, length = np.deg2rad(rng.uniform(15, 165)), rng.uniform(0.5, 1.2) * height
    tip = int(foot[0] + length * np.cos(angle)), int(foot[1] - length * np.sin(angle))
    blade = np.zeros((height, width), np.float32)
    cv2.line(blade, foot, tip, 1.0, int(rng.uniform(0.008, 0.03) * height) + 1, cv2.LINE_AA)
    share = _blurred(blade, rng.uniform(0.5, 3))[..., None]
    return _bytes(image * (1 - share) + rng.uniform(5, 50) * share)


def bonnet(image: Image, labels: Labels, rng: np.random.Generator) -> Image:
    """The bottom is the own car: one colour with the sky's shine on it, or a dull dashboard. Its labels become VOID, in place."""
    height, width = image.shape[:2]
    top, bend = rng.uniform(0.78, 0.95) * height, rng.uniform(-0.02, 0.1) * height
    x = np.linspace(-1, 1, width) - rng.uniform(-0.3, 0.3)
    edge = top + bend * x**2
    inside = np.arange(height)[:, None] >= edge[None]
    depth = np.clip((np.arange(height)[:, None] - edge[None]) / max(1.0, height - top), 0, 1).astype(np.float32)[..., None]
    paint = np.asarray(rng.uniform(5, 235, 3) if rng.random() < 0.4 else np.full(3, rng.uniform(5, 235)), np.float32)
    if rng.random() < 0.7:  # a bonnet shines, most where it meets the street
        shine = cv2.GaussianBlur(np.ascontiguousarray(image[::-1]), (0, 0), rng.uniform(4, 15)).astype(np.float32)
        car = paint * (0.4 + 0.6 * depth) + rng.uniform(0.1, 0.5) * (1 - depth) * shine
    else:
        car = np.full((height, width, 3), paint * 0.3, np.float32) + rng.normal(0, rng.uniform(1, 6), (height, width, 1)).astype(np.float32)
    share = _blurred(inside.astype(np.float32), rng.uniform(0.5, 2.5))[..., None]
    labels[inside] = VOID
    return _bytes(image * (1 - share) + car * share)


def _blurred(mask: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32)


def _bytes(values: NDArray[np.floating]) -> Image:
    return np.asarray(np.clip(values, 0, 255), np.uint8)
