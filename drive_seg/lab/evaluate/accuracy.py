"""Scores a bundle against true labels through the engine that plays live."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from drive_seg.card import Bundle, Card
from drive_seg.contracts import Backend, Frame, Image, Labels
from drive_seg.engine import Engine
from drive_seg.errors import DataError
from drive_seg.lab.evaluate.pairs import VOID, find_pairs
from drive_seg.pipeline import Pipeline
from drive_seg.schedule import EveryFrame
from drive_seg.score import Confusion
from drive_seg.sources import open_source

Sample = tuple[Image, Labels]


def from_pairs(images: Path, labels: Path, card: Card) -> Iterator[Sample]:
    """Pictures and label maps paired by stem. Raises DataError."""
    for pair in find_pairs(images, labels):
        yield pair.read(len(card.classes))


def from_source(uri: str, card: Card) -> Iterator[Sample]:
    """The frames of a labelled source, its ids turned into the card's by name. Raises DataError for one without labels."""
    with open_source(uri) as source:
        table = np.full(256, VOID, np.uint8)
        for theirs, name in enumerate(source.info.classes or card.classes):
            if name in card.classes:
                table[theirs] = card.classes.index(name)
        while frame := source.read():
            if frame.labels is None:
                raise DataError(f"{uri}: frame {frame.index} has no labels; give a labelled source, or --images and --labels")
            yield frame.image, table[frame.labels]


def evaluate(bundle: Bundle, backend: Backend, samples: Iterable[Sample]) -> dict[str, Any]:
    """miou, pixel_accuracy, iou by class name, frames, and what ran. Labels are enlarged to the truth's size by nearest neighbour."""
    confusion, frames = Confusion(bundle.card.classes), 0
    with Engine(bundle, backend) as engine:
        pipeline = Pipeline(engine, EveryFrame())
        for frames, (image, truth) in enumerate(samples, 1):
            labels = pipeline.step(Frame(image, frames - 1, (frames - 1) / 30)).labels
            confusion.add(truth, np.asarray(cv2.resize(labels, truth.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8))
    if not frames:
        raise DataError("there is nothing to score: the source has no frames")
    return {
        "miou": confusion.miou,
        "pixel_accuracy": confusion.pixel_accuracy,
        "iou": confusion.iou(),
        "frames": frames,
        "model": bundle.card.name,
        "backend": backend.name,
        "precision": backend.precision,
        "device": backend.device,
        "schedule": "every-frame",
        "mode": "sync",
    }
