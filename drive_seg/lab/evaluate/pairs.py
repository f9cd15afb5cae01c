"""Pictures and their label maps on disk, paired by stem: what training and evaluation read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from drive_seg.contracts import Image, Labels
from drive_seg.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
VOID = 255  # what every id outside the classes becomes, here and nowhere else


@dataclass(frozen=True, slots=True)
class Pair:
    image: Path
    labels: Path

    @property
    def stem(self) -> str:
        return self.image.stem

    def read(self, classes: int) -> tuple[Image, Labels]:
        """HxWx3 BGR uint8, HxW uint8 with VOID for every id that is no class. Raises DataError naming the file."""
        image = cv2.imread(str(self.image), cv2.IMREAD_COLOR)
        labels = cv2.imread(str(self.labels), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise DataError(f"{self.image}: cannot be read as a picture; is the file whole?")
        if labels is None:
            raise DataError(f"{self.labels}: cannot be read as a picture; is the file whole?")
        if labels.ndim != 2 or labels.dtype != np.uint8:
            raise DataError(f"{self.labels}: labels must be an 8-bit, one-channel picture of class ids, not {labels.dtype} {labels.shape}")
        if labels.shape != image.shape[:2]:
            raise DataError(f"{self.labels}: {labels.shape[1]}x{labels.shape[0]}, but its picture is {image.shape[1]}x{image.shape[0]}")
        return np.asarray(image, np.uint8), np.where(labels < classes, labels, VOID).astype(np.uint8)


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}


def find_pairs(images: Path, labels: Path) -> list[Pair]:
    """All pairs, sorted by stem. Raises DataError for a missing folder, no picture at all, or a picture without its partner."""
    pictures, truths = _by_stem(images), _by_stem(labels)
    if not pictures:
        raise DataError(f"{images}: holds no picture ({', '.join(SUFFIXES)})")
    for stem in sorted(pictures.keys() ^ truths.keys()):
        lone, other = (pictures[stem], labels) if stem in pictures else (truths[stem], images)
        raise DataError(f"{lone}: has no partner of the same name in {other}")
    return [Pair(pictures[stem], truths[stem]) for stem in sorted(pictures)]


def in_drives(pairs: Sequence[Pair], drives: Sequence[str]) -> list[Pair]:
    """Those of the pairs whose stem begins with one of the drives' names."""
    return [pair for pair in pairs if pair.stem.startswith(tuple(drives))]
