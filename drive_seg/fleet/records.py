"""What lies in the output folder: finished drives, what is known and done of the others, and by which settings they are made.

    OUT/NAME/      a finished drive: masks/ (or one file), overlay.mp4, areas.csv, trace.jsonl as asked for, seconds.csv and record.json
    OUT/.batch/    settings.json, and work/NAME/ with the survey and the finished pieces of a drive that is under way

A file or folder gets its name when it is whole, so that whatever has a name is done, whoever was killed meanwhile. The same work done twice
gives the same, and the first one to be done counts.
"""

import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from drive_seg.errors import SinkError, UsageError
from drive_seg.files import as_sink_error
from drive_seg.fleet.drives import BY_SECOND, MANIFEST, OWN, Drive, Piece
from drive_seg.reading import parse_json
from drive_seg.sources.video import Plan

RECORD = "record.json"
SECONDS = "seconds.csv"
OF_DRIVE = "drive", "bytes", "error", "frames", "areas", "pieces"  # what every record of a drive has, and few other files of its name
NO_RECORD = "is no record of a batch; move it elsewhere, or give another --out"
OTHERS = "is there already, and is no result of a batch; give another --out"
# what --save takes, and as which file or folder
SAVES = {"masks": "masks", "overlay": "overlay.mp4", "areas": "areas.csv", "trace": "trace.jsonl"}


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a drive before it is labelled."""

    bytes: int = 0
    mtime_ns: int = 0
    sha256: str = ""
    fps: float = 0.0
    size_hw: tuple[int, int] = (0, 0)
    frames: int | None = None  # where its packets tell
    pieces: tuple[Piece, ...] = ()
    error: str = ""  # why it cannot be labelled

    @classmethod
    def of(cls, kept: dict[str, Any]) -> "Survey":
        return cls(**kept | {"size_hw": tuple(kept["size_hw"]), "pieces": tuple(Piece(**piece) for piece in kept["pieces"])})


class Records:
    """The folders of one batch, for several processes at a time. Its methods raise SinkError for what cannot be written."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._own = out / OWN
        self._settings = self._own / "settings.json"
        self._new = False

    @property
    def lock(self) -> Path:
        """What only one batch has at a time."""
        return self._own / "lock"

    def make(self) -> None:
        self._new = not os.path.lexists(self.out)
        _made(self._own)

    def unmake(self) -> None:
        """What `make` has made, as long as nothing is in it."""
        with suppress(OSError):
            self._own.rmdir()
            if self._new:
                self.out.rmdir()

    def settings(self) -> dict[str, Any]:
        """Those that the batch was begun with; {} at its beginning. Raises UsageError where somebody else's file is in its way."""
        kept = read(self._settings, "asked", "pinned")
        if kept and not (isinstance(kept["asked"], dict) and isinstance(kept["pinned"], dict)):
            raise SinkError(f"{self._settings}: {NO_RECORD}")
        if not kept and (other := next((path for name in (MANIFEST, BY_SECOND) if os.path.lexists(path := self.out / name)), None)):
            raise UsageError(f"{other}: {OTHERS}")
        return kept or {}

    def keep_settings(self, settings: dict[str, Any]) -> None:
        keep(self._settings, settings)

    def done(self, drive: Drive) -> Path:
        return self.out / drive.name

    def record(self, drive: Drive) -> dict[str, Any] | None:
        """Of a finished drive. Raises UsageError where its folder is somebody else's."""
        folder = self.done(drive)
        if (record := read(folder / RECORD, *OF_DRIVE)) is None and os.path.lexists(folder):
            raise UsageError(f"{folder}: {OTHERS}")
        return record

    def forget(self, drive: Drive) -> None:
        """What was done of it, finished or not."""
        for folder in (self.done(drive), self._work(drive)):
            if folder.is_dir():
                with as_errors(folder):
                    aside = _made(self._own / "gone") / uuid.uuid4().hex
                    folder.rename(aside)  # at once, while removing it takes its time
                    shutil.rmtree(aside)

    def survey(self, drive: Drive) -> Survey | None:
        """What was found out before."""
        kept = read(path := self._work(drive) / "survey.json", *(field.name for field in fields(Survey)))
        try:
            return Survey.of(kept) if kept else None
        except (TypeError, ValueError) as error:
            raise SinkError(f"{path}: {NO_RECORD}") from error

    def keep_survey(self, drive: Drive, survey: Survey, plan: Plan | None = None) -> None:
        """`plan`: spares the pieces' readers reading the whole file for it."""
        work = _made(self._work(drive))
        if plan:
            with whole(work / "plan.npz") as part:
                np.savez(part, pts=np.array(plan.pts, np.int64), keys=np.array(plan.keys, np.int64))
        keep(work / "survey.json", asdict(survey))

    def plan(self, drive: Drive) -> Plan | None:
        try:
            with np.load(self._work(drive) / "plan.npz") as kept:
                return Plan(kept["pts"].tolist(), [(pts, dts) for pts, dts in kept["keys"].tolist()])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # absent or damaged: the file itself tells
            return None

    def piece(self, drive: Drive, piece: Piece) -> Path:
        """Where it lies once it is done."""
        return self._work(drive) / piece.name

    def attempt(self, drive: Drive, name: str) -> Path:
        """A new folder, to be filled and given to `settle`."""
        return _made(self._work(drive) / f"{name}.{uuid.uuid4().hex[:8]}")

    def settle(self, attempt: Path, folder: Path) -> None:
        """Gives a folder that is whole its name, if nobody else has done the same work meanwhile."""
        with as_errors(folder):
            _made(folder.parent)
            try:
                attempt.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
                shutil.rmtree(attempt)

    def clear(self, drive: Drive) -> None:
        """Once it is finished: what led to that."""
        folder = self._work(drive)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # until one has others in it
            while (folder := folder.parent) != self._own:
                folder.rmdir()

    def all(self) -> Iterator[Path]:
        """The folders of all finished drives, also of earlier batches into the same place, by their names."""
        return _finished(self.out)

    def _work(self, drive: Drive) -> Path:
        return self._own / "work" / drive.name


def _finished(folder: Path) -> Iterator[Path]:
    if (folder / RECORD).is_file():
        yield folder
        return
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and not inner.is_symlink() and inner.name != OWN:
            yield from _finished(inner)


def read(path: Path, *needed: str) -> dict[str, Any] | None:
    """None where there is nothing. Raises SinkError for what is no record with all that is `needed`."""
    try:
        kept = parse_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise SinkError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except ValueError as error:
        raise SinkError(f"{path}: is damaged ({error}); remove its folder, which is made again") from error
    if not isinstance(kept, dict) or not kept.keys() >= {*needed}:
        raise SinkError(f"{path}: {NO_RECORD}")
    return kept


def keep(path: Path, record: dict[str, Any]) -> None:
    """Whole or not at all."""
    with whole(path) as part:
        part.write_text(json.dumps(record) + "\n", encoding="utf-8")


@contextmanager
def as_errors(target: Path) -> Iterator[None]:
    """An OSError within is raised as SinkError."""
    try:
        yield
    except OSError as error:
        raise as_sink_error(target, error) from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside it, whose file gets its own at the end."""
    part = path.with_name(f"{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        with as_errors(path):
            yield part
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _made(folder: Path) -> Path:
    with as_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder
