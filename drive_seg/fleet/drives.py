"""Which files are labelled, under which names, and where a long one may be cut so that nobody can tell."""

import glob
import itertools
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from drive_seg.errors import SourceError, UsageError
from drive_seg.files import expanded
from drive_seg.network.schedule import Clockwork, EveryFrame, parse_schedule
from drive_seg.settings import Settings
from drive_seg.sources.images import VIDEOS
from drive_seg.sources.pictures import natural_key

OWN = ".batch"  # in the output folder: what is not done yet
MANIFEST, BY_SECOND = "manifest.parquet", "seconds.parquet"
GIVE = "give video files, folders of them, or a quoted glob such as 'drives/**/*.mp4'"


@dataclass(frozen=True, slots=True)
class Drive:
    """A video file, and the name of its folder among the results."""

    path: str
    name: str  # with slashes, on every system
    bytes: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames of a drive that one worker labels: from `start` up to `stop`, without it, or to the end.

    Reading begins with `key`, the key frame that a run of the whole file has cached when it comes to `start`: what is computed from there
    on is what that run computes, its scene cuts and the ages of its context included.
    """

    start: int = 0
    stop: int | None = None
    key: int = 0

    @property
    def name(self) -> str:
        return f"{self.start:07d}-{'end' if self.stop is None else self.stop}-{self.key}"


def find_drives(given: Sequence[str], out: Path) -> list[Drive]:
    """The files that these words name, in natural order and each once, but for what lies in `out`.

    A file's name is its path below the folder that was given, or in which the glob or all the files begin, without the suffix. Raises
    UsageError, also where two files would share a folder, and SourceError for a folder that cannot be read.
    """
    plain = [path for word in given if os.path.isfile(path := expanded(word))]  # noqa: PTH113 (pathlib's raises where a folder is shut)
    above = _above(plain) if plain else Path()
    found, beside = dict[Path, Drive](), ""
    for word in given:
        root, paths = _named(expanded(word), above)
        for path in sorted(paths, key=natural_key):
            real = path.resolve()
            if real.is_relative_to(out.resolve()):
                beside = f" but what lies in --out {out}, where results are; give another --out, or"
            elif real not in found:
                name = PurePosixPath(_straight(path).relative_to(_straight(root)).with_suffix("")).as_posix()
                found[real] = Drive(str(path.absolute()), name, path.stat().st_size)
    if not found:
        raise UsageError(f"{' '.join(given)}: no video in there{beside or ';'} {GIVE}")
    _check_names(list(found.values()))
    return list(found.values())


def _named(path: Path, above: Path) -> tuple[Path, list[Path]]:
    """The folder that names are counted from, and the files. Raises UsageError, SourceError."""
    text = str(path)
    if os.path.isfile(path):  # noqa: PTH113
        return above, [path]
    if os.path.isdir(path):  # noqa: PTH112
        return path, list(_videos(path))
    fixed = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    for folder in reversed(fixed.parents):
        _check_readable(folder, os.X_OK)
    if fixed == path:
        raise UsageError(f"{path}: no such file or folder; {GIVE}")
    _check_readable(fixed)
    found = [one for name in glob.glob(text, recursive=True) if (one := Path(name)).is_file()]  # noqa: PTH207 (pathlib's takes no absolute one)
    if not found:
        raise UsageError(f"{path}: no file has such a name; {GIVE}")
    return _above([fixed / "*", *found]), found


def _straight(path: Path) -> Path:
    """Without `..`, by which a result would lie outside the output folder. For names alone: behind a link it is another file."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (pathlib's keeps the ..)


def _above(paths: Sequence[Path]) -> Path:
    """The folder in which they all lie."""
    return Path(os.path.commonpath([_straight(path).parent for path in paths]))


def _videos(folder: Path) -> Iterable[Path]:
    def refuse(error: OSError) -> None:
        raise SourceError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions") from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names if name.lower().endswith(VIDEOS) and not name.startswith("."))


def _check_readable(folder: Path, how: int = os.R_OK | os.X_OK) -> None:
    if os.path.isdir(folder) and not os.access(folder, how):  # noqa: PTH112
        raise SourceError(f"{folder}: cannot be read (Permission denied); check its permissions")


def _check_names(drives: Sequence[Drive]) -> None:
    """Raises UsageError where a folder of results would be another one's, or lie in it; names that differ in case alone are one."""
    named = dict[tuple[str, ...], Drive]()
    for drive in sorted(drives, key=lambda one: one.name.count("/")):
        parts = tuple(unicodedata.normalize("NFC", part).casefold() for part in drive.name.split("/"))
        if parts[0] in (OWN, MANIFEST, BY_SECOND):
            raise UsageError(f"{drive.path}: its results would lie in {parts[0]}, which is the batch's own; rename it")
        for length in range(1, len(parts) + 1):
            if other := named.get(parts[:length]):
                where = f"would go to {other.name}/" if length == len(parts) else f"would lie in {other.name}/, which is the other's"
                raise UsageError(f"{drive.path} and {other.path}: the first one's results {where}; rename one, or give them an --out each")
        named[parts] = drive


def period(settings: Settings) -> int | None:
    """Frames between two key frames, by which a piece's `key` is foretold; None where that depends on what is seen, or how fast."""
    schedule = parse_schedule(settings.schedule)
    if settings.mode != "sync":
        return None
    if isinstance(schedule, EveryFrame):
        return 1
    return schedule.rates[-1] if isinstance(schedule, Clockwork) else None


def cut(frames: int | None, period: int | None, length: int) -> list[Piece]:
    """A drive of so many frames in pieces of about `length`, each of which begins where the clock is due if there was no scene cut."""
    if frames is None or period is None or (count := round(frames / length)) < 2:
        return [Piece()]
    step = max(1, round(frames / count / period)) * period
    starts = range(0, frames, step)
    return [Piece(start, start + step if start + step < frames else None, max(0, start - period)) for start in starts]
