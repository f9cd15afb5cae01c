"""Small videos and pictures that the tests of sources and sinks make for themselves."""

import struct
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from drive_seg.contracts import Image, Labels

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real clips are not here ({DATA})")


def picture(seed: int = 0, size_hw: tuple[int, int] = (64, 96)) -> Image:
    """Coloured patches: a few kilobytes when compressed, so that half a file is something."""
    small = np.random.default_rng(seed).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, size_hw[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


Draw = Callable[[int, tuple[int, int]], Image]


def write_video(
    path: Path, times_s: Sequence[float], size_hw: tuple[int, int] = (64, 96), movflags: str = "faststart", draw: Draw = picture
) -> Path:
    """H.264 with B-frames, at these very presentation times."""
    options = {"movflags": movflags} if movflags and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90_000)
        for number, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(draw(number, size_hw), format="bgr24")
            frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_palette_png(path: Path, indexes: Labels) -> Path:
    """An 8-bit PNG with a palette of many colours."""
    height, width = indexes.shape
    rows = b"".join(b"\0" + row.tobytes() for row in indexes)  # no filter
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": bytes((number * part) % 256 for number in range(256) for part in (3, 5, 7)),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    """The same file without its end."""
    short = path.with_stem(path.stem + "_cut")
    data = path.read_bytes()
    short.write_bytes(data[: int(len(data) * share)])
    return short
