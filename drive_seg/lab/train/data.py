"""The training set in memory, and batches that depend on nothing but the recipe and the step."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from drive_seg.demo import CLASSES as DEMO_CLASSES
from drive_seg.demo import DemoDrive
from drive_seg.errors import DataError
from drive_seg.lab.evaluate import labelled
from drive_seg.lab.evaluate.datasets import find_pairs
from drive_seg.lab.evaluate.pairs import VOID, Pair, Sample, id_coding, ids_by_name, in_drives, joined, listed, read_all
from drive_seg.lab.train.paste import cut_out, paste
from drive_seg.lab.train.recipe import Recipe
from drive_seg.lab.train.transforms import degrade, recolour, reduced, warp
from drive_seg.lab.train.windscreen import behind_windscreen
from drive_seg.network.preprocess import input_size

Made = TypeVar("Made")

FIRST_DEMO_SEED = 1000  # what is tested and shown uses smaller ones, so that it is never one that was learned
FRAMES_PER_DEMO_SEED = 4
SIZE_HW = (360, 480)  # of the real pictures


def split(recipe: Recipe, left_out: list[Path] | None = None) -> tuple[list[Pair], list[Pair]]:
    """(train, validation) pairs; one without its partner is noted in the list, where there is one, and left out.

    Raises DataError when a drive that is held out does not exist, or nothing is left to learn.
    """
    pairs, where = find_pairs(recipe.place, recipe.classes, left_out), recipe.data or recipe.images
    for drive in recipe.hold_out:
        if not in_drives(pairs, [drive]):
            raise DataError(f"{where}: has no drive {drive!r} to hold out")
    held = in_drives(pairs, recipe.hold_out)
    train = [pair for pair in pairs if not pair.stem.startswith(recipe.hold_out)]
    if not train:
        raise DataError(f"{where}: nothing is left to train on after holding out {', '.join(recipe.hold_out) or 'nothing'}")
    if recipe.validation_place:
        held = held or find_pairs(recipe.validation_place, recipe.classes, left_out)
    return train, held


def demo_samples(recipe: Recipe) -> list[Sample]:
    """Demo frames of many seeds at any of their times, reduced to the real pictures' 480x360, in the recipe's classes."""
    table = ids_by_name(DEMO_CLASSES, recipe.classes)
    samples: list[Sample] = []
    rng = np.random.default_rng((recipe.seed, 7))
    for n in range(recipe.demo_frames):
        if n % FRAMES_PER_DEMO_SEED == 0:
            drive = DemoDrive(FIRST_DEMO_SEED + n // FRAMES_PER_DEMO_SEED)
        image, labels = drive.frame(int(rng.integers(0, 900)))
        samples.append(reduced(image, table[labels], SIZE_HW))
    return samples


def pseudo_samples(folders: Iterable[Path], classes: Sequence[str], left_out: list[Path] | None = None) -> list[Sample]:
    """Pictures with a teacher's labels, at the number of pixels that the program reduces frames to, VOID where the teacher is not sure.

    Raises DataError for what cannot be read.
    """
    sure = id_coding({label: label for label in range(len(classes))}, unknown=VOID)
    samples: list[Sample] = []
    for folder in folders:
        if str(folder).startswith(f"{labelled.KIND}:"):
            pairs = find_pairs(str(folder), classes, left_out)
        else:
            pairs = joined(listed([folder / "images"]), listed([folder / "labels"]), sure, left_out)
        if not pairs:
            raise DataError(f"{folder}: holds no pictures in images/ with labels of the same names in labels/; check the path")
        for image, labels in read_all(pairs, left_out):
            samples.append(reduced(image, labels, input_size((image.shape[0], image.shape[1]), SIZE_HW, 1)))
    return samples


class Batches:
    """Augmented batches by step. A step's batch is a pure function of (recipe, step): a resumed training sees the same ones."""

    def __init__(self, recipe: Recipe, real: list[Sample], demo: list[Sample], pseudo: list[Sample]) -> None:
        self.recipe, self.real, self.demo, self.pseudo = recipe, real, demo, pseudo
        self.cutouts = cut_out(real, tuple(recipe.classes.index(name) for name in recipe.paste_classes)) if recipe.paste else {}
        others = (recipe.demo_share if demo else 0) + (recipe.pseudo_share_at(0) if pseudo else 0)
        self.steps_per_epoch = max(1, round(len(real) / (1 - others) / recipe.batch))
        self.steps = recipe.epochs * self.steps_per_epoch

    def crop_at(self, step: int) -> tuple[int, int]:
        share = step / self.steps
        return next((h, w) for start, h, w in reversed(self.recipe.crops) if share >= start)

    def sample(self, step: int, slot: int) -> Sample:
        rng = np.random.default_rng((self.recipe.seed, step, slot))
        kind, demo_share = rng.random() if self.demo or self.pseudo else 1.0, self.recipe.demo_share if self.demo else 0.0
        if kind < demo_share:
            image, labels = self.demo[rng.integers(len(self.demo))]
        elif self.pseudo and kind < demo_share + self.recipe.pseudo_share_at(step / self.steps):
            image, labels = self.pseudo[rng.integers(len(self.pseudo))]
        else:
            # A walk through a fresh shuffle for each round, so that every picture comes equally often.
            position = step * self.recipe.batch + slot
            turn, place = divmod(position, len(self.real))
            order = np.random.default_rng((self.recipe.seed, zlib.crc32(b"order"), turn)).permutation(len(self.real))
            image, labels = self.real[order[place]]
            if self.cutouts and rng.random() < self.recipe.paste:
                image, labels = paste(image, labels, self.cutouts, rng)
        image, labels = warp(image, labels, self.crop_at(step), self.recipe, rng)
        image = recolour(image, self.recipe, rng)
        if rng.random() < self.recipe.degrade:
            image = degrade(image, rng)
        if self.recipe.windscreen and rng.random() < self.recipe.windscreen:
            image, labels = behind_windscreen(image, labels, self.real[rng.integers(len(self.real))][0], rng)
        return image, labels

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """uint8 (N, H, W, 3) BGR and uint8 (N, H, W) labels."""
        images, labels = zip(*(self.sample(step, slot) for slot in range(self.recipe.batch)), strict=True)
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))

    def __call__(self, first_step: int) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
        """(step, (images, labels)) from `first_step` to the end, the next one being made while this one is learned."""
        return prefetch(self.batch, first_step, self.steps)


def prefetch(make: Callable[[int], Made], first: int, end: int) -> Iterator[tuple[int, Made]]:
    """(n, make(n)) for each n, the next one being made in a thread while this one is used."""
    with ThreadPoolExecutor(1, "prefetch") as pool:
        coming = pool.submit(make, first) if first < end else None
        for n in range(first, end):
            assert coming is not None
            made = coming.result()
            coming = pool.submit(make, n + 1) if n + 1 < end else None
            yield n, made
