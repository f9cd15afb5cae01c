"""Short clips to learn propagation from, of every kind that there is without labelled video: pictures that are moved through, rendered
drives, unlabelled videos, and pictures taken a second apart."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Image, Labels
from drive_seg.demo import CLASSES as DEMO_CLASSES
from drive_seg.demo import DemoDrive
from drive_seg.errors import DataError
from drive_seg.lab.evaluate.pairs import VOID, Pair, Sample, ids_by_name
from drive_seg.lab.train.motion import HZ, moved, pass_by
from drive_seg.lab.train.paste import Cutout, cut_out
from drive_seg.lab.train.transforms import degrade, reduced
from drive_seg.session.opening import open_capture
from drive_seg.sources import open_source

FIRST_DEMO_SEED = 5000  # none that is tested, shown, or learned by the network itself
GAPS = (1, 2, 2, 3, 4, 6)  # frames of 30 Hz between two of a clip
PASSING = ("car", "pedestrian", "bicyclist", "sign", "pole")  # whose cut-outs pass by
SCALES = (0.9, 1.3)
PASS, DEGRADE = 0.5, 0.2  # shares of the clips of pictures with such, and of all through a bad camera or bad weather


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """T frames of one drive, the oldest first."""

    images: NDArray[np.uint8]  # (T, H, W, 3) BGR
    labels: NDArray[np.uint8]  # (T, H, W) class ids, VOID where none is known


class Clips:
    """Clip n is a pure function of the seed and n."""

    def __init__(
        self, shares: dict[str, float], pairs: list[Pair], samples: list[Sample], videos: list[Path], classes: tuple[str, ...],
        frames: int, size_hw: tuple[int, int], seed: int, pseudo: Sequence[Sample] = (),
    ) -> None:  # fmt: skip
        """`samples` are what the pairs hold, `pseudo` pictures with a teacher's labels. `shares` are of KINDS; what there is nothing for is
        left out. Raises DataError for a video."""
        self.classes, self.frames, self.size_hw, self.seed = classes, frames, size_hw, seed
        self.samples = [reduced(image, labels, size_hw) for image, labels in samples]
        self.pseudo = [_middle(image, labels, size_hw) for image, labels in pseudo]
        self.neighbours = list(neighbours(pairs))
        self.videos = [_read(path, size_hw) for path in videos] if shares.get("video") else []
        passing = cut_out(self.samples, tuple(classes.index(name) for name in PASSING if name in classes))
        self.pieces: list[Cutout] = [piece for found in passing.values() for piece in found]
        there = {"still": self.samples, "neighbours": self.neighbours, "video": self.videos, "demo": [True], "pseudo": self.pseudo}
        usable = {kind: share for kind, share in shares.items() if share and there[kind]}
        if not usable:
            raise DataError("there is nothing to make clips of; give pictures or videos, or a share of demo drives")
        self.kinds = tuple(usable)
        self.odds = np.array(list(usable.values())) / sum(usable.values())

    def __call__(self, n: int) -> Clip:
        rng = np.random.default_rng((self.seed, n))
        kind = self.kinds[rng.choice(len(self.kinds), p=self.odds)]
        times = np.cumsum([0, *rng.choice(GAPS, self.frames - 1)]).astype(np.float64)
        made: Callable[[NDArray[np.float64], np.random.Generator], Clip] = getattr(self, f"_{kind}")
        clip = made(times, rng)
        if rng.random() < 0.5:
            clip = Clip(np.ascontiguousarray(clip.images[:, :, ::-1]), np.ascontiguousarray(clip.labels[:, :, ::-1]))
        clip = _nearer(clip, rng)
        return Clip(_through_a_camera(clip.images, rng), clip.labels)

    def _still(self, times: NDArray[np.float64], rng: np.random.Generator) -> Clip:
        return self._moved(self.samples, times, rng)

    def _pseudo(self, times: NDArray[np.float64], rng: np.random.Generator) -> Clip:
        return self._moved(self.pseudo, times, rng)

    def _moved(self, samples: Sequence[Sample], times: NDArray[np.float64], rng: np.random.Generator) -> Clip:
        image, labels = samples[int(rng.integers(len(samples)))]
        since = times - times[rng.integers(len(times))]  # any of the frames may be the picture itself
        images, truths = moved(image, labels, since, self.classes, rng)
        if self.pieces and rng.random() < PASS:
            pass_by(images, truths, times, self.pieces, rng)
        return Clip(images, truths)

    def _neighbours(self, times: NDArray[np.float64], rng: np.random.Generator) -> Clip:
        """A picture, and the next one a while later with what came after it."""
        before, after = (self.samples[i] for i in self.neighbours[rng.integers(len(self.neighbours))])
        images, labels = moved(*after, times[1:] - times[1], self.classes, rng)
        return Clip(np.concatenate([before[0][None], images]), np.concatenate([before[1][None], labels]))

    def _video(self, times: NDArray[np.float64], rng: np.random.Generator) -> Clip:
        fps, frames = self.videos[rng.integers(len(self.videos))]
        steps = np.unique(np.round(times * fps / HZ).astype(int))
        steps = np.concatenate([steps, steps[-1] + 1 + np.arange(self.frames - len(steps))])
        first = rng.integers(max(1, len(frames) - steps[-1]))
        images = np.stack([frames[min(first + step, len(frames) - 1)] for step in steps])
        return Clip(images, np.full(images.shape[:3], VOID, np.uint8))

    def _demo(self, times: NDArray[np.float64], rng: np.random.Generator) -> Clip:
        table = ids_by_name(DEMO_CLASSES, self.classes)
        drive, first = DemoDrive(FIRST_DEMO_SEED + int(rng.integers(1000))), int(rng.integers(900))
        shots = [drive.frame(first + int(time)) for time in times]
        fitted = [reduced(image, table[labels], self.size_hw) for image, labels in shots]
        return Clip(np.stack([image for image, _ in fitted]), np.stack([labels for _, labels in fitted]))


KINDS = ("still", "demo", "video", "neighbours", "pseudo")


def neighbours(pairs: list[Pair]) -> Iterator[tuple[int, int]]:
    """Places of pairs that follow one another: names alike up to the number at their end, and not more than 30 apart."""
    named = [re.fullmatch(r"(.*?)(\d+)", pair.stem) for pair in pairs]
    for place, (one, two) in enumerate(pairwise(named)):
        if one and two and one[1] == two[1] and 0 < int(two[2]) - int(one[2]) <= HZ:
            yield place, place + 1


def _read(path: Path, size_hw: tuple[int, int]) -> tuple[float, list[Image]]:
    """Frame rate and frames, the middle of each cut to the size's shape."""
    frames: list[Image] = []
    with open_capture(open_source(str(path)), paced=False, loop=False) as capture:
        for frame in capture:
            cut = frame.image[:, _middle_columns(frame.size_hw, size_hw)]
            frames.append(np.asarray(cv2.resize(cut, size_hw[::-1], interpolation=cv2.INTER_AREA), np.uint8))
        return capture.source.info.fps, frames


def _middle(image: Image, labels: Labels, size_hw: tuple[int, int]) -> Sample:
    """The middle of both cut to the size's shape."""
    columns = _middle_columns(labels.shape, size_hw)
    return reduced(image[:, columns], labels[:, columns], size_hw)


def _middle_columns(its_hw: tuple[int, ...], size_hw: tuple[int, int]) -> slice:
    height, width = its_hw
    wide = min(width, round(height * size_hw[1] / size_hw[0]))
    left = (width - wide) // 2
    return slice(left, left + wide)


def _nearer(clip: Clip, rng: np.random.Generator) -> Clip:
    """All of its frames enlarged or reduced alike, and cut to their size."""
    _, height, width = clip.labels.shape
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    room = np.abs(np.array([width, height]) * (scale - 1)) / 2
    offset = np.array([width, height]) * (1 - scale) / 2 + rng.uniform(-room, room)
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    size_wh, outside = (width, height), cv2.BORDER_REFLECT_101
    images = [cv2.warpAffine(image, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=outside) for image in clip.images]
    labels = [cv2.warpAffine(truth, matrix, size_wh, flags=cv2.INTER_NEAREST, borderValue=(VOID,)) for truth in clip.labels]
    return Clip(np.asarray(np.stack(images), np.uint8), np.asarray(np.stack(labels), np.uint8))


def _through_a_camera(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """One exposure, white balance and saturation for all frames; haze, rain and the like where it strikes the clip."""
    gain = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.05, 3))
    gamma, saturation = np.exp(rng.normal(0, 0.15)), np.exp(rng.normal(0, 0.15))
    ramp = np.arange(256)[:, None] / 255
    table = np.clip(ramp**gamma * gain * 255, 0, 255).astype(np.uint8).reshape(256, 1, 3)
    matrix = saturation * np.eye(3) + (1 - saturation) * np.tile([0.114, 0.587, 0.299], (3, 1))
    shots = [np.asarray(cv2.transform(cv2.LUT(image, table), matrix), np.uint8) for image in images]
    if rng.random() < DEGRADE:
        kind = int(rng.integers(1 << 31))
        shots = [degrade(shot, np.random.default_rng(kind)) for shot in shots]
    return np.stack(shots)
