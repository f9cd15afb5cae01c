"""What bad light, bad weather and bad cameras do to the labels: the score on the same pictures, each spoiled in eight ways."""

import functools
import math
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from kornia.augmentation import RandomPlanckianJitter
from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb
from kornia.contrib import diamond_square
from kornia.filters import motion_blur as smear
from torch import Generator, Tensor

from drive_seg.contracts import Frame, Image, Network
from drive_seg.lab.evaluate.accuracy import Scored
from drive_seg.network.pipeline import Pipeline, Refine
from drive_seg.network.postprocess import at_size
from drive_seg.network.schedule import EveryFrame
from drive_seg.network.score import Confusion
from drive_seg.session.session import Session

STRENGTHS = (1, 2, 3)
GOAL = 0.85  # of the clean score, over all corruptions and strengths
HORIZON = 0.45  # of the height, from the top: where a car's camera sees it, more or less

# Each takes linear light (1, 3, H, W), RGB from 0 to 1, and the strength's place 0 to 2. Lengths are in pixels at a height of 360.


def dark(light: Tensor, step: int, random: Generator) -> Tensor:
    """One and a half, two and a half, and three and a half stops less light."""
    return light * math.exp2(-1.5 - step)


def glare(light: Tensor, step: int, random: Generator) -> Tensor:
    """A low sun in the picture's upper half: its disc and the veil of light that it scatters in the lens."""
    height, width = light.shape[2:]
    x, y = _draw(random, 0.2, 0.8) * width, _draw(random, 0.15, 0.4) * height
    rows, columns = torch.arange(height).view(-1, 1), torch.arange(width)
    distance = torch.hypot(rows - y, columns - x) / height
    halo = torch.exp(-distance / 0.2) + 4 * torch.exp(-((distance / 0.08) ** 2))
    return light + (0.25, 0.6, 1.2)[step] * (0.08 + halo) * torch.tensor([1.0, 0.93, 0.8]).view(3, 1, 1)


def motion_blur(light: Tensor, step: int, random: Generator) -> Tensor:
    """The camera turns or shakes while the shutter is open, mostly sideways."""
    return _smear(light, (5, 11, 19)[step], _draw(random, -30, 30))


def noise(light: Tensor, step: int, random: Generator) -> Tensor:
    """A high ISO: photons counted (variance as the light) and read with an error of their own."""
    shot, read = ((0.004, 0.01), (0.012, 0.02), (0.035, 0.035))[step]
    return light + (shot * light + read**2).sqrt() * torch.randn(light.shape, generator=random)


def rain(light: Tensor, step: int, random: Generator) -> Tensor:
    """Streaks of falling drops, far and near, before a scene that has lost light and contrast."""
    angle = 90 + _draw(random, -15, 15)
    drops = torch.rand((1, 1, *light.shape[2:]), generator=random)
    light = light * (0.85, 0.75, 0.65)[step] + (0.01, 0.025, 0.05)[step]
    for share, length in ((0.006, 9), (0.0012, 23)):  # far ones and near ones
        streaks = _smear((drops < share * (step + 1)).float(), length, angle) * (length / 4)
        drops = 1 - drops  # other places for the near ones
        light = light + 0.5 * streaks.clamp(max=1) * (0.7 - light).clamp(min=0)
    return light


def fog(light: Tensor, step: int, random: Generator) -> Tensor:
    """Koschmieder's law: light fades into the fog's own as exp(-depth), in banks (plasma).

    No depth is known. Below the horizon it is a flat road's, above it what stands at a few car lengths and farther.
    """
    height, width = light.shape[2:]
    rows = (torch.arange(height).view(-1, 1) / height - HORIZON) / (1 - HORIZON)
    depth = 1 / (0.08 + (rows + torch.hypot(rows, torch.tensor(0.1))) / 2)  # 1 at the bonnet, 12 above the horizon
    banks = diamond_square((1, 1, height, width), 0.6, random_fn=functools.partial(torch.rand, generator=random))
    passed = torch.exp(-(0.04, 0.09, 0.18)[step] * depth * (0.5 + banks))
    return light * passed + 0.62 * (1 - passed)


def jpeg(image: Image, step: int) -> Image:
    """What a bad link leaves: the camera's own codec, with little to spend."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, (30, 15, 8)[step]])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def white_balance(light: Tensor, step: int, random: Generator) -> Tensor:
    """Set for another lamp: as under 5000, 4500, 4000 K, or 8500, 10500, 15000 K (rows of kornia's table of black bodies)."""
    row = ((4, 3, 2), (11, 15, 24))[int(_draw(random, 0, 2))][step]
    return rgb_to_linear_rgb(RandomPlanckianJitter("blackbody", select_from=[row], p=1.0)(linear_rgb_to_rgb(light)))


IN_LIGHT: dict[str, Callable[[Tensor, int, Generator], Tensor]] = {
    "dark": dark,
    "glare": glare,
    "motion blur": motion_blur,
    "noise": noise,
    "rain": rain,
    "fog": fog,
    "white balance": white_balance,
}
CORRUPTIONS = (*IN_LIGHT, "jpeg")


def corrupt(image: Image, corruption: str, strength: int, index: int) -> Image:
    """A BGR picture spoiled, of the same shape; the same for the same frame index everywhere, and a new one for every index.

    A frame's three strengths differ in nothing else: drops, banks, sun and grain stay where they are.
    """
    if corruption == "jpeg":
        return jpeg(image, strength - 1)
    random = torch.Generator().manual_seed(zlib.crc32(f"{corruption} {index}".encode()))
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        spoiled = IN_LIGHT[corruption](rgb_to_linear_rgb(rgb), strength - 1, random)
        rgb = linear_rgb_to_rgb(spoiled.clamp(0, 1))
    return np.ascontiguousarray((rgb[0] * 255).round().byte().permute(1, 2, 0).numpy()[..., ::-1])


def _draw(random: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=random))


def _smear(light: Tensor, length: int, angle: float) -> Tensor:
    """Along a line of `length` pixels at a height of 360, at an angle in degrees."""
    side = max(3, round(length * light.shape[2] / 360) | 1)
    return smear(light, side, angle, 0.0, "replicate", "bilinear")


class Corruptions:
    """A meter (accuracy.py): every frame once more for each corruption and strength, every one of them a key frame."""

    def __init__(self, engine: Network, refine: Refine | None = None) -> None:
        """The engine stays the caller's, and is used between two frames of its own run."""
        self._pipeline = Pipeline(engine, EveryFrame(), refine=refine)
        self._clean = Confusion(engine.classes)
        self._spoiled = {(name, strength): Confusion(engine.classes) for name in CORRUPTIONS for strength in STRENGTHS}

    def add(self, frame: Scored) -> None:
        self._clean.add(frame.truth, frame.predicted)
        spoiled = (Frame(corrupt(frame.image, *how, frame.index), frame.index, 0.0) for how in self._spoiled)
        for confusion, (result, _) in zip(self._spoiled.values(), Session(self._pipeline, spoiled).results(), strict=True):
            confusion.add(frame.truth, at_size(result.labels, frame.truth.shape))

    def figures(self) -> dict[str, Any]:
        """corruptions: `clean`, `miou` by corruption for strengths 1 to 3, their `mean`, its `ratio` to clean and the `goal` for that."""
        miou = {name: [self._spoiled[name, strength].miou for strength in STRENGTHS] for name in CORRUPTIONS}
        clean = self._clean.miou
        scores = [score for row in miou.values() for score in row if score is not None]
        mean = math.fsum(scores) / len(scores) if scores else None
        ratio = mean / clean if mean is not None and clean else None
        return {"corruptions": {"clean": clean, "miou": miou, "mean": mean, "ratio": ratio, "goal": GOAL}}
