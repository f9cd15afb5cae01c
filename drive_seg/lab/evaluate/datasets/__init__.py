"""Published data sets: where their pairs lie, what their ids or colours mean, and how their classes read as another set's.

The facts are the TOML files beside this one, one a set; its name is the KIND in KIND:FOLDER[:SPLIT].
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from drive_seg.errors import DataError, UsageError
from drive_seg.files import expanded
from drive_seg.lab.evaluate import labelled
from drive_seg.lab.evaluate.pairs import UNKNOWN, VOID, Coding, Pair, colour_coding, id_coding, joined, listed, plain_pairs

Place = str | tuple[Path, Path]  # KIND:FOLDER[:SPLIT], batch:FOLDER[:N], or a plain folder of pictures and one of label maps

_Byte = Annotated[int, Field(ge=0, le=255)]
_Colour = tuple[_Byte, _Byte, _Byte]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Layout(_Strict):
    """Folders, in which `{split}` and `*` may stand, and what the stems of the files in them end with."""

    images: str
    labels: str
    image_ending: str = ""
    label_ending: str = ""
    coding: str

    @property
    def by_split(self) -> bool:
        return "{split}" in self.images

    def listed(self, folder: Path, split: str) -> tuple[dict[str, Path], dict[str, Path]]:
        """(pictures, label maps) by stem without the ending; empty where the folder is laid out otherwise."""
        pictures, truths = (
            listed([found for found in sorted(folder.glob(pattern.format(split=split))) if found.is_dir()], ending)
            for pattern, ending in ((self.images, self.image_ending), (self.labels, self.label_ending))
        )
        return pictures, truths

    def searched(self, split: str) -> str:
        return f"{self.images}/*{self.image_ending} beside {self.labels}/*{self.label_ending}".format(split=split)


class Meanings(_Strict):
    """What is stored in a label map: ids, or colours as red, green, blue."""

    void: tuple[_Byte, ...] | tuple[_Colour, ...]
    classes: dict[str, _Byte] | dict[str, _Colour]
    flawed: frozenset[str] = frozenset()  # pictures whose published label map has values that mean nothing; they are void

    def coding(self, labels: Mapping[str, int], unknown: int = UNKNOWN) -> Coding:
        """By {class of the set: class id to read it as}; a class that is not there is void."""
        values = {stored: labels.get(name, VOID) for name, stored in self.classes.items()} | dict.fromkeys(self.void, VOID)
        ids = {stored: label for stored, label in values.items() if isinstance(stored, int)}
        colours = {stored: label for stored, label in values.items() if not isinstance(stored, int)}
        return colour_coding(colours, unknown) if colours else id_coding(ids, unknown)


class DataSet(_Strict):
    layouts: tuple[Layout, ...]
    splits: tuple[str, ...] = ()  # those that have folders of their own
    frames: dict[str, tuple[tuple[str, str], ...]] = {}  # the splits of a set whose folders know none: first and last names
    codings: dict[str, Meanings]
    readings: dict[str, dict[str, tuple[str, ...]]] = Field({}, alias="as")  # another set's classes, each made of some of these

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(next(iter(self.codings.values())).classes)

    def labels(self, classes: Sequence[str]) -> dict[str, int] | None:
        """{class of the set: id among `classes`} by the first reading that has all of them, the set's own before the others."""
        own: dict[str, tuple[str, ...]] = {name: (name,) for name in self.classes}
        for reading in (own, *self.readings.values()):
            if reading.keys() >= set(classes):
                return {part: label for label, name in enumerate(classes) for part in reading[name]}
        return None


@cache
def load(kind: str) -> DataSet:
    """The facts about a set, by its name."""
    facts = tomllib.loads(resources.files(__name__).joinpath(f"{kind}.toml").read_text("utf-8"))
    if alike := facts.pop("like", None):
        facts = load(alike).model_dump(by_alias=True) | facts
    return DataSet(**facts)


def kinds() -> list[str]:
    return sorted(file.name.removesuffix(".toml") for file in resources.files(__name__).iterdir() if file.name.endswith(".toml"))


def find_pairs(place: Place, classes: Sequence[str], left_out: list[Path] | None = None) -> list[Pair]:
    """All pairs of the place, sorted by name, that read as these classes, in this order; what is none of them is void.

    A picture or a label map without its partner raises DataError, or, where a list is given, is noted there and left out.
    Raises UsageError for a set, a split or classes that do not exist there, DataError for a folder that holds no pair.
    """
    if not isinstance(place, str):
        return plain_pairs(*place, len(classes), left_out)
    kind, _, rest = place.partition(":")
    if kind not in (*kinds(), labelled.KIND) or not rest:
        known = ", ".join((*kinds(), labelled.KIND))
        raise UsageError(f"{place}: name a data set as KIND:FOLDER or KIND:FOLDER:SPLIT, KIND being one of {known}")
    folder, split = _folder_and_split(rest)
    if kind == labelled.KIND:
        return labelled.labelled_pairs(folder, split, classes)
    return _pairs_of(kind, load(kind), folder, split, classes, left_out)


def folder_of(place: str) -> Path:
    """The folder in KIND:FOLDER or KIND:FOLDER:SPLIT."""
    return _folder_and_split(place.partition(":")[2])[0]


def _folder_and_split(rest: str) -> tuple[Path, str]:
    """At the last colon, unless a part of a path follows it."""
    folder, colon, split = rest.rpartition(":")
    return (expanded(folder), split) if colon and not set(split) & set("/\\") else (expanded(rest), "")


def _pairs_of(kind: str, data: DataSet, folder: Path, split: str, classes: Sequence[str], left_out: list[Path] | None) -> list[Pair]:
    splits = data.splits or tuple(data.frames)
    if split and split not in splits:
        has = f"the splits {', '.join(splits)}" if splits else "no splits; leave it out"
        raise UsageError(f"{kind}:{folder}:{split}: {kind} has {has}")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one that {kind} lies in")
    if (labels := data.labels(classes)) is None:
        readings = "; as ".join(f"{name}: {', '.join(reading)}" for name, reading in {kind: data.classes, **data.readings}.items())
        raise UsageError(f"{kind}:{folder}: has not all of the classes {', '.join(classes)}; it can be read as {readings}")
    for layout in data.layouts:
        meanings = data.codings[layout.coding]
        pairs = [
            pair
            for part in _parts_of(data, layout, split)
            for pair in joined(*_listed(data, layout, folder, part), meanings.coding(labels), left_out)
        ]
        if meanings.flawed & {pair.stem for pair in pairs}:
            forgiving = meanings.coding(labels, unknown=VOID)
            pairs = [replace(pair, coding=forgiving) if pair.stem in meanings.flawed else pair for pair in pairs]
        if pairs:
            return pairs
    searched = ", or ".join(layout.searched(split or "SPLIT") for layout in data.layouts if layout.by_split or not (split and data.splits))
    how = f"; name the split, as {kind}:{folder}:{splits[0]}" if data.splits and not split else ""
    raise DataError(f"{folder}: holds no pairs of {kind}; looked for {searched}{how}")


def _parts_of(data: DataSet, layout: Layout, split: str) -> Sequence[str]:
    """The splits that make up what is asked for, where they are folders; else that one, "" for all. None where it is not laid out so."""
    if layout.by_split:
        return [split] if split else list(data.frames)
    return [] if split and data.splits else [split]


def _listed(data: DataSet, layout: Layout, folder: Path, part: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """Both are empty where one of them is: then it is laid out otherwise."""
    pictures, truths = layout.listed(folder, part)
    if part in data.frames and not layout.by_split:
        pictures, truths = (_within(found, data.frames[part]) for found in (pictures, truths))
    return (pictures, truths) if pictures and truths else ({}, {})


def _within(found: Mapping[str, Path], stretches: Sequence[tuple[str, str]]) -> dict[str, Path]:
    return {name: path for name, path in found.items() if any(first <= name <= last for first, last in stretches)}
