"""Picture files: their size by the header alone, and what is said of those that cannot be read."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg.errors import DataError
from drive_seg.lab.evaluate import pairs
from drive_seg.sources.images import ImagesSource
from drive_seg.sources.pictures import MOST_PIXELS, BadPicture, _size_hw, read_bgr, read_stored
from tests.sources.clips import picture, write_palette_png


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        (".png", []), (".bmp", []), (".jpg", []), (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]), (".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80]), (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    ],
)  # fmt: skip
def test_the_size_by_the_header_is_that_of_the_picture(suffix: str, how: list[int]) -> None:
    for size_hw in ((40, 70), (301, 17), (1, 1)):
        data = cv2.imencode(suffix, picture(1, size_hw), how)[1].tobytes()
        assert _size_hw(data) == size_hw
    with_alpha = np.dstack([picture(), np.full((64, 96), 9, np.uint8)])
    if suffix in (".png", ".webp"):
        assert _size_hw(cv2.imencode(suffix, with_alpha, how)[1].tobytes()) == (64, 96)


def write_huge_png(path: Path, side: int) -> Path:
    """All black, and small when compressed."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side * 3)) for _ in range(side)) + packer.flush()
    chunks = {b"IHDR": struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0), b"IDAT": rows, b"IEND": b""}
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks.items()]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def test_a_picture_too_large_to_be_meant_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_huge_png(tmp_path / "huge.png", 600)
    assert read_bgr(path).shape == (600, 600, 3)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 40_000, 50_000)
    path.write_bytes(data)
    assert MOST_PIXELS < 40_000 * 50_000

    def never(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    with pytest.raises(BadPicture, match=r"has 40000x50000 pixels, which would take 6\.0 GB"):
        read_bgr(path)
    with pytest.raises(BadPicture, match="40000x50000"):
        read_stored(path, ids=True)
    with pytest.raises(DataError, match=r"huge\.png: has 40000x50000 pixels.*; "):
        pairs.read_picture(path)
    with pytest.raises(Exception, match=r"huge\.png: the picture has 40000x50000 pixels.*; copy it again or remove it"):
        ImagesSource(tmp_path)


@pytest.mark.parametrize("at", [2, 20], ids=["before all", "between"])
def test_nor_one_that_hides_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Decoders go over what lies between a JPEG's markers."""
    data = cv2.imencode(".jpg", picture())[1].tobytes()
    data = data[:at] + b"\0" * 5 + data[at:]
    assert _size_hw(data) == (64, 96)
    place = data.index(struct.pack(">HH", 64, 96))
    (tmp_path / "1.jpg").write_bytes(data[:place] + struct.pack(">HH", 60_000, 60_000) + data[place + 4 :])
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(BadPicture, match="has 60000x60000 pixels"):
        read_bgr(tmp_path / "1.jpg")


@pytest.mark.parametrize("header", [b"P6 60000 60000 255\n", b"II*\0", b"#?RADIANCE\n"], ids=["PPM", "TIFF", "HDR"])
def test_nor_what_is_called_a_picture_and_is_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: bytes) -> None:
    (tmp_path / "1.png").write_bytes(header + bytes(100))
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(BadPicture, match="not a picture"):
        read_bgr(tmp_path / "1.png")


def test_the_size_of_an_os2_bitmap() -> None:
    header = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 70, 40, 1, 24)
    assert _size_hw(header + bytes(40)) == (40, 70)


def test_a_palette_is_read_as_colours_or_as_ids(tmp_path: Path) -> None:
    ids = np.arange(64 * 96, dtype=np.uint8).reshape(64, 96)
    path = write_palette_png(tmp_path / "ids.png", ids)
    assert np.array_equal(read_stored(path, ids=True), ids)
    assert read_stored(path, ids=False).shape == (64, 96, 3)
    assert np.array_equal(read_stored(path, ids=False)[..., 2], ids * np.uint8(3))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BadPicture, match="cut short"):
        read_stored(path, ids=True)


def test_labels_with_a_palette_are_scored_by_their_ids(tmp_path: Path) -> None:
    ids = np.arange(64 * 96, dtype=np.uint8).reshape(64, 96) % 3
    write_palette_png(tmp_path / "labels" / "a.png", ids)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), picture())
    (pair,) = pairs.plain_pairs(tmp_path / "images", tmp_path / "labels", 3)
    assert np.array_equal(pair.read()[1], ids)
