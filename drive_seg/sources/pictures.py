"""Reads picture files, for playing, training and scoring alike: which files are pictures, how large they are, whether they are whole."""

import math
import re
from pathlib import Path

import cv2
import numpy as np

from drive_seg.contracts import Array, Image
from drive_seg.sources.opencv import bgr8

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
KINDS = "PNG, JPEG, WebP or BMP"
MOST_PIXELS = 1 << 28  # 16384 squared: 0.8 GB in memory
PALETTE = 3  # PNG's colour type
_PNG = b"\x89PNG\r\n\x1a\n"
_SIZED = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]...(..)(..)", re.DOTALL)  # the JPEG markers with a size


class BadPicture(Exception):
    """What is wrong with a file, without its name: `is empty`, `is cut short` …"""


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def is_shown(path: Path) -> bool:
    """Not the hidden ones: macOS puts a file ._NAME beside each on foreign disks."""
    return is_picture(path) and not path.name.startswith(".")


def pictures_in(folder: Path) -> list[Path]:
    """Its pictures in natural order. Raises OSError."""
    return sorted((path for path in folder.iterdir() if is_shown(path) and path.is_file()), key=natural_key)


def natural_key(path: Path) -> list[tuple[list[int | str], str]]:
    """Sorts 2.png before 10.png, and folders so; every second part is a number, so that only like parts meet. The name breaks ties."""
    return [(_parts(name), name) for name in path.parts]


def _parts(name: str) -> list[int | str]:
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]+)", name.lower()))]


def read_bgr(path: Path) -> Image:
    """HxWx3 BGR uint8, turned as its EXIF says; grey, 4-channel and 16-bit pictures are converted. Raises BadPicture."""
    return decode_bgr(_data(path))


def decode_bgr(data: bytes) -> Image:
    """As `read_bgr`, of a file's content."""
    _check(data)
    try:
        return bgr8(_decoded(data, cv2.IMREAD_COLOR))
    except ValueError as error:
        raise BadPicture(f"has {error}") from error


def read_stored(path: Path, ids: bool) -> Array:
    """As it is stored: HxW or HxWxC, uint8 or uint16, BGR. Of a PNG with a palette the colours, or with `ids` the indexes.

    Raises BadPicture.
    """
    data = _data(path)
    _check(data)
    return _indexes(data) if ids and data[:8] == _PNG and data[25] == PALETTE else _decoded(data, cv2.IMREAD_UNCHANGED)


def _data(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadPicture(f"cannot be read ({error.strerror})") from error


def _check(data: bytes) -> None:
    """Raises BadPicture unless it is whole and the picture of a size that can be meant."""
    if not data:
        raise BadPicture("is empty")
    # OpenCV fills what is missing of a JPEG with grey, and libpng prints its complaint past OpenCV's log: both are recognised before.
    if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda") if data[:2] == b"\xff\xd8" else data[:8] == _PNG and b"IEND" not in data:
        raise BadPicture("is cut short")
    if (size_hw := _size_hw(data)) is None:
        raise BadPicture("cannot be decoded: not a picture, or cut short")
    height, width = size_hw
    if height * width > MOST_PIXELS:
        raise BadPicture(f"has {width}x{height} pixels, which would take {3 * height * width / 1e9:.1f} GB")


def _decoded(data: bytes, flags: int) -> Array:
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise BadPicture("cannot be decoded: not a picture, or cut short")
    return np.asarray(picture)


def _indexes(data: bytes) -> Array:
    """HxW uint8 of a PNG with a palette, which OpenCV only knows as colours."""
    import av  # which machines that only train and measure need not have

    decoder = av.CodecContext.create("png", "r")
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    except (av.error.FFmpegError, EOFError) as error:
        raise BadPicture("cannot be decoded: cut short") from error
    if not frames or frames[0].format.name != "pal8":
        raise BadPicture("cannot be decoded: its palette cannot be read")
    indexes, _palette = frames[0].to_ndarray()
    return np.ascontiguousarray(indexes)


def _size_hw(data: bytes) -> tuple[int, int] | None:
    """Height and width by the header alone; None for what is none of KINDS, whatever its name says."""
    if data[:8] == _PNG:
        return _number(data[20:24]), _number(data[16:20])
    if data[:2] == b"BM" and data[14:18] == b"\x0c\0\0\0":  # OS/2's
        return int.from_bytes(data[20:22], "little"), int.from_bytes(data[18:20], "little")
    if data[:2] == b"BM":
        return abs(int.from_bytes(data[22:26], "little", signed=True)), abs(int.from_bytes(data[18:22], "little", signed=True))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_hw(data)
    return _jpeg_hw(data) if data[:2] == b"\xff\xd8" else None


def _webp_hw(data: bytes) -> tuple[int, int] | None:
    kind, little = data[12:16], int.from_bytes(data[20:30], "little")
    if kind == b"VP8X":
        return (little >> 56 & 0xFFFFFF) + 1, (little >> 32 & 0xFFFFFF) + 1
    if kind == b"VP8L":
        return (little >> 22 & 0x3FFF) + 1, (little >> 8 & 0x3FFF) + 1
    return (little >> 64 & 0x3FFF, little >> 48 & 0x3FFF) if kind == b"VP8 " else None


def _jpeg_hw(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # a fill byte
            at += 1
        elif sized := _SIZED.match(data, at):
            return _number(sized[1]), _number(sized[2])
        else:
            at += 2 + _number(data[at + 2 : at + 4])
    sizes = [(_number(height), _number(width)) for height, width in _SIZED.findall(data)]  # decoders go over what lies between markers
    return max(sizes, key=math.prod, default=None)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
