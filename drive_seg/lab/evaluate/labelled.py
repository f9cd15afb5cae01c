"""What `drive-seg batch` has labelled as pairs: the frames of the videos themselves, and the masks of their numbers."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drive_seg.classes import ClassName
from drive_seg.contracts import Image
from drive_seg.errors import DataError, SourceError, UsageError
from drive_seg.files import masks_in
from drive_seg.lab.evaluate.pairs import SKIP, VOID, Pair, id_coding
from drive_seg.reading import parse_json
from drive_seg.sources.file import FileSource

KIND = "batch"  # in KIND:FOLDER[:N]
RECORD, MASKS = "record.json", "masks"  # of a drive, as fleet.records has them
NEAR = 100  # frames: so far it is read on to, farther it is sought


class Reel:
    """The frames of videos, one video open at a time; quickest where they are asked for in order."""

    def __init__(self) -> None:
        self._path, self._next = Path(), 0
        self._source: FileSource | None = None

    def frame(self, path: Path, index: int) -> Image:
        """Raises SourceError."""
        source = self._at(path, index)
        while found := source.read():
            self._next = found.index + 1
            if found.index >= index:
                break
        if found is None or found.index != index:
            raise SourceError(f"{path}: frame {index} cannot be decoded")
        return found.image

    def _at(self, path: Path, index: int) -> FileSource:
        """The source, before this frame."""
        source = self._source
        if source is None or path != self._path:
            if source:
                source.close()
            source = self._source = FileSource(path)
            self._path, self._next = path, 0
        if not self._next <= index <= self._next + NEAR:
            source.seek(index)
        return source


@dataclass(frozen=True, slots=True)
class Shot(Pair):
    """Frame `index` of the video `image`."""

    drive: str = ""
    index: int = 0
    reel: Reel = field(default_factory=Reel, compare=False)

    @property
    def stem(self) -> str:
        return f"{self.drive}_{self.index:06d}"

    def picture(self) -> Image:
        try:
            return self.reel.frame(self.image, self.index)
        except SourceError as error:
            raise DataError(f"{error}; {SKIP}") from error


def labelled_pairs(folder: Path, step: str, classes: Sequence[str]) -> list[Pair]:
    """Of all drives in the folder every `step`-th frame (every one for ""), in their order, with the labels of these classes by name.

    Raises UsageError for a step or classes that cannot be meant, DataError where nothing is labelled, or the video is not there or another.
    """
    if step and not (step.isdecimal() and int(step)):
        raise UsageError(f"{KIND}:{folder}:{step}: give {KIND}:FOLDER, or {KIND}:FOLDER:15 for every 15th frame")
    reel, found = Reel(), list[Pair]()
    for place, record in _records(folder):
        video, names = _video(place, record), list(record["areas"] or ())
        if names and (lacking := [name for name in classes if name not in names]):
            raise UsageError(f"{place}: was labelled without {', '.join(lacking)}, only with {', '.join(names)}")
        known = {at: classes.index(name) if name in classes and not ClassName(name).void else VOID for at, name in enumerate(names)}
        coding, drive = id_coding(known, unknown=VOID), place.relative_to(folder).as_posix()
        masks = [(path, int(path.stem)) for path in masks_in(place / MASKS)]
        found += [Shot(video, path, coding, drive, index, reel) for path, index in masks if index % int(step or 1) == 0]
    if not found:
        raise DataError(f"{folder}: holds no masks of a batch; give what --out was for `drive-seg batch --save masks`")
    return found


def videos(folder: Path) -> list[Path]:
    """Those that were labelled into the folder."""
    return [Path(record["path"]) for _, record in _records(folder)]


def _records(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folders of drives, and what is known of each."""
    for place, inner, files in os.walk(folder, onerror=_refuse):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if RECORD in files:
            inner.clear()
            yield Path(place), _record(Path(place) / RECORD)


def _record(path: Path) -> dict[str, Any]:
    try:
        record = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); label its drive again") from error
    if not (isinstance(record, dict) and isinstance(record.get("path"), str) and isinstance(record.get("areas"), dict | None)):
        raise DataError(f"{path}: is no record of a batch; move it elsewhere")
    return record


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read ({error.strerror}); check the path and its permissions") from error


def _video(place: Path, record: dict[str, Any]) -> Path:
    """Raises DataError where it cannot be what was labelled."""
    video, form = Path(record["path"]), record.get("masks")
    if form != "ids":
        said = f"its masks are {form}" if form else "no masks were saved"
        raise DataError(f"{place}: {said}; label it with --save masks and --save-masks-format ids")
    if not video.is_file() or video.stat().st_size != record.get("bytes"):
        said = "is another file than the one that was labelled" if video.is_file() else "is not there any more"
        raise DataError(f"{video}: {said}; put it back, or label it again")
    return video
