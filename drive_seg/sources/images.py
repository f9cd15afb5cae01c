"""A folder or glob of pictures as a source, in natural order, with its labels where the folder beside it has them."""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from drive_seg.contracts import Frame, Image, Labels, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sources.opencv import NOMINAL_FPS, bgr8

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
KINDS = "PNG, JPEG, WebP or BMP"
_PNG_END = b"IEND"


class ImagesSource:
    """Plays pictures at a nominal 30 fps: `time_s` is index / 30.

    `pattern` is a folder, a glob or one picture. Pictures under `images/` with a sibling folder `labels/` (CamVid's layout;
    their parent may be named instead) carry the 8-bit PNG of class ids with the same stem; what the ids mean is not known.
    Grey, 4-channel and 16-bit pictures become BGR uint8. A picture of another size is a frame of another size.
    Raises SourceError when there is no picture, and names the one that cannot be read.
    """

    def __init__(self, pattern: str | Path) -> None:
        self._paths = _find(Path(pattern))
        self._labels = _find_labels(self._paths[0].parent)
        size_hw = read_picture(self._paths[0]).shape[:2]
        self.info = SourceInfo(
            str(pattern), (size_hw[0], size_hw[1]), NOMINAL_FPS, live=False, frame_count=len(self._paths), labelled=bool(self._labels)
        )
        self._index = 0

    def read(self) -> Frame | None:
        if self._index >= len(self._paths):
            return None
        path, index = self._paths[self._index], self._index
        self._index += 1
        start = time.perf_counter()
        image = read_picture(path)
        decode_ms = (time.perf_counter() - start) * 1000
        labels = _read_labels(self._labels[path.stem], image, path) if path.stem in self._labels else None
        return Frame(image, index, index / NOMINAL_FPS, decode_ms, labels)

    def seek(self, index: int) -> None:
        self._index = min(max(index, 0), len(self._paths) - 1)

    def close(self) -> None:
        self._index = len(self._paths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def natural_key(path: Path) -> tuple[list[int | str], str]:
    """Sorts 2.png before 10.png; every second part is a number, so that only like parts meet. The name breaks ties."""
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], str(path)


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def read_picture(path: Path) -> Image:
    """HxWx3 BGR uint8, turned as its EXIF says. Raises SourceError that names the file."""
    try:
        return bgr8(_decode(path, cv2.IMREAD_COLOR))
    except ValueError as error:
        raise SourceError(f"{path}: {error}; convert it to an 8-bit picture") from error


def _decode(path: Path, flags: int) -> Image:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; check the path and its permissions") from error
    # libpng prints its complaint past OpenCV's log, so a cut PNG is recognised before it sees it.
    cut = path.suffix.lower() == ".png" and _PNG_END not in data[-64:] and _PNG_END not in data
    picture = None
    if data and not cut:
        try:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            picture = None
    if picture is None:
        state = "is empty" if not data else "is cut short" if cut else "cannot be decoded: not a picture, or cut short"
        raise SourceError(f"{path}: the picture {state}; copy it again or remove it ({KINDS} are read)")
    return np.asarray(picture)


def _read_labels(path: Path, image: Image, image_path: Path) -> Labels:
    labels = _decode(path, cv2.IMREAD_UNCHANGED)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise SourceError(
            f"{path}: labels are grey 8-bit PNGs of class ids, this is {labels.dtype} {labels.shape}; move labels/ away or convert it"
        )
    if labels.shape != image.shape[:2]:
        raise SourceError(
            f"{path}: labels of {labels.shape[:2]} for a picture of {image.shape[:2]} ({image_path.name}); give both one size"
        )
    return labels


def pictures_of(pattern: Path) -> list[Path]:
    """Every file that is played, with its labels, and the folders that they lie in. Raises SourceError when there is none."""
    found = list(_find(pattern))
    for folder in {path.parent for path in found}:
        labels = _find_labels(folder).values()
        found += [folder, *labels, *{path.parent for path in labels}]
    return found


def _find(root: Path) -> Sequence[Path]:
    if root.is_dir():
        found = _pictures(root) or _pictures(root / "images")
    elif root.exists():
        found = [root]
    else:
        anchor = Path(root.anchor)
        found = [path for path in anchor.glob(str(root.relative_to(anchor))) if path.is_file() and is_picture(path)]
    if not found:
        where = "no picture in it" if root.is_dir() else "no picture has such a name"
        raise SourceError(f"{root}: {where}; give a folder or a quoted glob of {KINDS} files")
    return sorted(found, key=natural_key)


def _pictures(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if is_picture(path) and path.is_file()] if folder.is_dir() else []
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}; check its permissions") from error


def _find_labels(folder: Path) -> Mapping[str, Path]:
    folder = folder.absolute()
    if folder.name != "images":
        return {}
    return {path.stem: path for path in _pictures(folder.parent / "labels") if path.suffix.lower() == ".png"}
