"""Was a video file cut short? Its container states its own length: ISO boxes (mp4, mov), RIFF (avi), EBML (mkv, webm).

The frame count alone does not tell: a trimmed phone video has an edit list and plays fewer frames than it holds, and a
Matroska file's count is its duration times a guessed rate.
"""

import os
from pathlib import Path
from typing import BinaryIO

SLACK_FRAMES = 2  # containers are off by one or two
SLACK_SHARE = 0.05  # where only an estimate of the length is known
SLACK_S = 0.5


def ended_early(cut: bool | None, got: int, expected: int | None, missing_s: float) -> bool:
    """Whether an end after `got` frames is a truncation: `cut` is `is_cut`'s answer, `missing_s` what the stated duration lacks."""
    if cut is False or expected is None or expected - got <= SLACK_FRAMES:
        return False
    if cut:
        return True
    return expected - got > SLACK_SHARE * expected and missing_s > SLACK_S


def is_cut(path: Path) -> bool | None:
    """True: the container says that it goes on after the file's last byte. None: it does not say. Raises OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        file.seek(0)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _boxes_cut(file, size)
        if head[:4] == b"RIFF":
            return _riff_cut(file, size)
        if head[:4] == b"\x1aE\xdf\xa3":
            return _ebml_cut(file, size)
    return None


def _boxes_cut(file: BinaryIO, size: int) -> bool:
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return True
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: the last box reaches to the file's end; less than a head: padding behind the last box
            return False
        at += length
    return at > size


def _riff_cut(file: BinaryIO, size: int) -> bool | None:
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(8)
        if head[:4] != b"RIFF":
            return False
        length = int.from_bytes(head[4:8], "little")
        if length in (0, 0xFFFFFFFF):  # never filled in
            return None
        at += 8 + length + length % 2
    return at > size + 1  # the last pad byte is often left out


def _ebml_cut(file: BinaryIO, size: int) -> bool | None:
    file.seek(4)
    header = _ebml_size(file)
    if header is None:
        return None
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != b"\x18S\x80g":  # Segment
        return None
    segment = _ebml_size(file)
    return None if segment is None else file.tell() + segment > size


def _ebml_size(file: BinaryIO) -> int | None:
    """A variable-length integer: as many bytes as the first has leading zeros, plus one; all ones mean unknown."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    value = int.from_bytes(bytes([first[0] ^ (0x80 >> more)]) + rest, "big")
    return None if len(rest) < more or value == (1 << 7 * (more + 1)) - 1 else value
