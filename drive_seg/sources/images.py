"""Folders or a glob of pictures as a source, in natural order, with its labels where the folder beside it has them."""

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from drive_seg.contracts import Closing, Frame, Image, Labels, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sources.opencv import NOMINAL_FPS
from drive_seg.sources.pictures import KINDS, BadPicture, is_shown, natural_key, pictures_in, read_bgr, read_stored

VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp")


class ImagesSource(Closing):
    """Plays pictures at a nominal 30 fps: `time_s` is index / 30.

    `pattern` is a folder, a glob or one picture; pictures of several folders are played folder by folder, each a segment of its own.
    Pictures under `images/` with a sibling folder `labels/` (CamVid's layout; their parent may be named instead) carry the 8-bit PNG of
    class ids with the same stem, with or without a palette; what the ids mean is not known. Labels of another form are left out, which
    `note` tells. Grey, 4-channel and 16-bit pictures become BGR uint8. A picture of another size is a frame of another size.
    Raises SourceError when there is no picture, and names the one that cannot be read.
    """

    def __init__(self, pattern: str | Path) -> None:
        self._paths = _find(Path(pattern))
        begins = [index for index, (one, another) in enumerate(pairwise(self._paths), 1) if one.parent != another.parent]
        self._segments = np.searchsorted(begins, np.arange(len(self._paths)), side="right").tolist()
        self._labels = _labels_of(self._paths)
        self._left_out: dict[Path, str] = {}  # labels, and what is wrong with them
        first = _read(self._paths[0])
        size_hw, labelled = (first.shape[0], first.shape[1]), False
        if self._labels:
            path = next(iter(self._labels))
            labelled = self._truth(path, first if path == self._paths[0] else _read(path)) is not None
        self.info = SourceInfo(str(pattern), size_hw, NOMINAL_FPS, live=False, frame_count=len(self._paths), labelled=labelled)
        self._index = 0

    @property
    def note(self) -> str:
        """Which labels were left out so far, in one line; empty for none."""
        if not self._left_out:
            return ""
        path, why = next(iter(self._left_out.items()))
        more = f", and {len(self._left_out) - 1} more" if len(self._left_out) > 1 else ""
        return f"{path}: labels left out{more}: {why}; grey 8-bit PNGs of class ids are read here, other forms by evaluate --data"

    def read(self) -> Frame | None:
        if self._index >= len(self._paths):
            return None
        path, index = self._paths[self._index], self._index
        self._index += 1
        start = time.perf_counter()
        image = _read(path)
        decode_ms = (time.perf_counter() - start) * 1000
        return Frame(image, index, index / NOMINAL_FPS, decode_ms, self._truth(path, image), self._segments[index])

    def seek(self, index: int) -> None:
        self._index = min(max(index, 0), len(self._paths) - 1)

    def close(self) -> None:
        self._index = len(self._paths)

    def _truth(self, picture: Path, image: Image) -> Labels | None:
        """Its labels, where there are some that can be read."""
        if (path := self._labels.get(picture)) is None:
            return None
        try:
            labels = read_stored(path, ids=True)
        except BadPicture as error:
            self._left_out[path] = f"the file {error}"
            return None
        if labels.ndim != 2 or labels.dtype != np.uint8:
            self._left_out[path] = f"{'a picture in colours' if labels.ndim > 2 else f'{labels.dtype} values'}"
        elif labels.shape != image.shape[:2]:
            self._left_out[path] = f"{labels.shape[1]}x{labels.shape[0]} for a picture of {image.shape[1]}x{image.shape[0]}"
        else:
            return np.asarray(labels, np.uint8)
        return None


def _read(path: Path) -> Image:
    try:
        return read_bgr(path)
    except BadPicture as error:
        raise SourceError(f"{path}: the picture {error}; copy it again or remove it ({KINDS} are read)") from error


def pictures_of(pattern: Path) -> list[Path]:
    """Every file that is played, with its labels, and the folders that they lie in. Raises SourceError when there is none."""
    paths = _find(pattern)
    labels = _labels_of(paths).values()
    return [*paths, *labels, *{path.parent for path in (*paths, *labels)}]


def _find(root: Path) -> list[Path]:
    if root.is_dir():
        found = _pictures(root) or _pictures(root / "images")
        _check_meant(root, len(found))
    elif root.exists():
        found = [root]
    else:
        found = _matching(root)
    if not found:
        where = "no picture in it" if root.is_dir() else "no picture has such a name"
        raise SourceError(f"{root}: {where}; give a folder or a quoted glob of {KINDS} files")
    return found


def _matching(pattern: Path) -> list[Path]:
    anchor = Path(pattern.anchor)
    try:
        found = [path for path in anchor.glob(str(pattern.relative_to(anchor))) if is_shown(path) and path.is_file()]
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or f"{error}"
        raise SourceError(f"{pattern}: cannot be looked for: {said}; give a folder or a quoted glob such as 'DIR/*.png'") from error
    return sorted(found, key=natural_key)


def _check_meant(folder: Path, pictures: int) -> None:
    """Raises SourceError for a folder of videos, in which a picture is a thumbnail."""
    videos = sorted((path for path in folder.iterdir() if path.suffix.lower() in VIDEOS and not path.name.startswith(".")), key=natural_key)
    if videos and len(videos) >= pictures:
        raise SourceError(f"{folder}: a folder of videos; give one of them, such as {videos[0]}, or a quoted glob of pictures")


def _pictures(folder: Path) -> list[Path]:
    try:
        return pictures_in(folder) if folder.is_dir() else []
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}; check its permissions") from error


def _labels_of(pictures: Sequence[Path]) -> dict[Path, Path]:
    """By picture: the PNG of the same stem in the folder labels/ beside its folder images/."""
    stems: dict[Path, dict[str, Path]] = {}
    found: dict[Path, Path] = {}
    for picture in pictures:
        folder = picture.parent
        if folder not in stems:
            beside = folder.absolute().with_name("labels") if folder.absolute().name == "images" else None
            stems[folder] = {path.stem: path for path in _pictures(beside) if path.suffix.lower() == ".png"} if beside else {}
        if truth := stems[folder].get(picture.stem):
            found[picture] = truth
    return found
