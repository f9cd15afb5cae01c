"""Pictures and their label maps on disk, paired by name and read into class ids: what training and evaluation learn from and score by."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.classes import VOID as VOID  # what is no class becomes this, here and nowhere else
from drive_seg.contracts import Array, Image, Labels
from drive_seg.errors import DataError
from drive_seg.sources.pictures import KINDS, BadPicture, pictures_in, read_bgr, read_stored
from drive_seg.watchdog import Aside

UNKNOWN = 254  # in a coding's table: neither a class nor void
NAMED = 3  # of the pairs that were left out
SKIP = "mend the file, or go on without such pairs by --skip-bad"

Sample = tuple[Image, Labels]


class Coding(Protocol):
    """What the values of a label map mean."""

    of_ids: ClassVar[bool]  # else of colours

    def decode(self, picture: Array) -> Labels:
        """HxW uint8 class ids, VOID among them, of a label map as it is stored. Raises ValueError that names the value it does not know."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class IdCoding:
    """8-bit ids. `table` holds the class of each of the 256, VOID or UNKNOWN."""

    of_ids: ClassVar[bool] = True
    table: NDArray[np.uint8]

    def decode(self, picture: Array) -> Labels:
        if picture.ndim != 2 or picture.dtype != np.uint8:
            raise ValueError(f"labels must be an 8-bit, one-channel picture of class ids, not {picture.dtype} {picture.shape}")
        labels = np.asarray(cv2.LUT(picture, self.table), np.uint8)
        if (labels == UNKNOWN).any():
            strange = ", ".join(map(str, np.unique(picture[labels == UNKNOWN])[:NAMED]))
            raise ValueError(f"holds the id {strange}, which is neither a class nor void; the ids are {self._known()}")
        return labels

    def _known(self) -> str:
        known = np.flatnonzero(self.table != UNKNOWN)
        runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
        return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


@dataclass(frozen=True, slots=True, eq=False)
class ColourCoding:
    """Colours. `table` holds the class of each of the 2^24, at blue + 256 green + 65536 red, VOID or UNKNOWN."""

    of_ids: ClassVar[bool] = False
    table: NDArray[np.uint8]

    def decode(self, picture: Array) -> Labels:
        if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype != np.uint8:
            raise ValueError(f"labels must be a picture of 8-bit colours, not {picture.dtype} {picture.shape}")
        # With a fourth channel a pixel is one 32-bit number, and a map of 960x720 takes 1 ms.
        wide = picture if picture.shape[2] == 4 else cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)
        packed = np.ascontiguousarray(wide).view("<u4")[..., 0]
        labels = self.table.take(packed & 0xFFFFFF)
        if (labels == UNKNOWN).any():
            blue, green, red, *_ = picture[labels == UNKNOWN][0]
            count = int((labels == UNKNOWN).sum())
            raise ValueError(f"holds {count} pixels of colours that are neither a class nor void, such as ({red}, {green}, {blue})")
        return labels


def ids_by_name(theirs: Sequence[str], classes: Sequence[str]) -> NDArray[np.uint8]:
    """For each of 256 ids of `theirs`, that of the class of the same name, or VOID."""
    table = np.full(256, VOID, np.uint8)
    for stored, name in enumerate(theirs):
        if name in classes:
            table[stored] = classes.index(name)
    return table


def id_coding(values: Mapping[int, int], unknown: int = UNKNOWN) -> IdCoding:
    """Of {stored id: class or VOID}; `unknown` for every other id."""
    table = np.full(256, unknown, np.uint8)
    for stored, label in values.items():
        table[stored] = label
    return IdCoding(table)


def colour_coding(values: Mapping[tuple[int, int, int], int], unknown: int = UNKNOWN) -> ColourCoding:
    """Of {(red, green, blue): class or VOID}; `unknown` for every other colour."""
    table = np.full(1 << 24, unknown, np.uint8)
    for (red, green, blue), label in values.items():
        table[blue | green << 8 | red << 16] = label
    return ColourCoding(table)


@dataclass(frozen=True, slots=True)
class Pair:
    image: Path
    labels: Path
    coding: Coding

    @property
    def stem(self) -> str:
        return self.image.stem

    def picture(self) -> Image:
        return read_picture(self.image, hint=SKIP)

    def read(self) -> Sample:
        """HxWx3 BGR uint8, and HxW uint8 class ids with VOID for what is no class. Raises DataError naming the file."""
        image = self.picture()
        try:
            labels = self.coding.decode(read_stored(self.labels, self.coding.of_ids))
        except (BadPicture, ValueError) as error:
            raise _bad(self.labels, str(error)) from error
        if labels.shape != image.shape[:2]:
            raise _bad(self.labels, f"{labels.shape[1]}x{labels.shape[0]}, but its picture is {image.shape[1]}x{image.shape[0]}")
        return image, labels


def read_all(pairs: Iterable[Pair], left_out: list[Path] | None = None) -> Iterator[Sample]:
    """What the pairs hold. One that cannot be used raises DataError, or, where a list is given, is noted there and left out.

    Raises DataError too where that leaves none.
    """
    before, used = len(left_out or ()), 0
    with Aside("read", lambda text: DataError(f"{text}; look at the disk that it is on")) as aside:
        for pair in pairs:
            try:
                sample = aside(pair.read, f"{pair.image}: reading it and its labels")
            except DataError:
                if left_out is None or aside.hangs:
                    raise
                left_out.append(pair.image)
            else:
                used += 1
                yield sample
    if left_out and len(left_out) > before and not used:
        raise DataError(f"no pair can be used: {how_many_left_out(left_out)}; mend them, or give others")


def how_many_left_out(left_out: Sequence[Path]) -> str:
    """The line for a person: the number and the first few names."""
    names = ", ".join(map(str, left_out[:NAMED])) + (f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else "")
    return f"left out {len(left_out)} that cannot be used: {names}"


def listed(folders: Iterable[Path], ending: str = "") -> dict[str, Path]:
    """The pictures in the folders whose stem has the ending, by stem without it. Raises DataError for a missing folder."""
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; check the path")
        try:
            pictures = pictures_in(folder)
        except OSError as error:
            raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from error
        found |= {path.stem.removesuffix(ending): path for path in pictures if path.stem.endswith(ending)}
    return found


def joined(pictures: Mapping[str, Path], truths: Mapping[str, Path], coding: Coding, left_out: list[Path] | None) -> list[Pair]:
    """The pairs of the same name, sorted by it. One without its partner raises DataError, or is noted and left out."""
    for name in sorted(pictures.keys() ^ truths.keys()):
        lone, others = (pictures[name], "label maps") if name in pictures else (truths[name], "pictures")
        if left_out is None:
            raise _bad(lone, f"has no partner of the same name among the {others}")
        left_out.append(lone)
    return [Pair(pictures[name], truths[name], coding) for name in sorted(pictures.keys() & truths.keys())]


def plain_pairs(images: Path, labels: Path, classes: int, left_out: list[Path] | None = None) -> list[Pair]:
    """Those of two folders of the same stems. The ids from 0 are the classes, the next one and 255 are void. Raises DataError."""
    pictures, truths = listed([images]), listed([labels])
    if not pictures:
        raise DataError(f"{images}: holds no picture ({KINDS}); check the path")
    values = {label: label for label in range(classes)} | {classes: VOID, VOID: VOID}
    return joined(pictures, truths, id_coding(values), left_out)


def in_drives(pairs: Sequence[Pair], drives: Sequence[str]) -> list[Pair]:
    """Those of the pairs whose stem begins with one of the drives' names."""
    return [pair for pair in pairs if pair.stem.startswith(tuple(drives))]


def read_picture(path: Path, hint: str = "mend the file, or take it away") -> Image:
    """HxWx3 BGR uint8. Raises DataError, which ends with the hint."""
    try:
        return read_bgr(path)
    except BadPicture as error:
        raise _bad(path, str(error), hint) from error


def _bad(path: Path, what: str, hint: str = SKIP) -> DataError:
    return DataError(f"{path}: {what}; {hint}")
