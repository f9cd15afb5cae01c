"""Inputs that failed once, where they lie beside the checkout: each ends with frames, and with what is said of it."""

from pathlib import Path

import pytest

from drive_seg.contracts import Frame
from drive_seg.sources import open_source

CASES = Path(__file__).parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not here ({CASES})")

Size = tuple[int, int]
SD: Size = (360, 480)

# name: frames, size of the first and of the last, segments, part of the note
VIDEOS: dict[str, tuple[int, Size, Size, int, str]] = {
    "inter.mp4": (15, SD, SD, 1, ""),
    "z256.mp4": (59, SD, SD, 1, ": 1 frame damaged"),
    "ff8.mp4": (59, SD, SD, 1, ": 1 frame damaged"),
    "hdr10.mp4": (30, SD, SD, 1, ""),
    "sar.mp4": (15, SD, SD, 1, ""),
    "thumbfirst.mov": (30, SD, SD, 1, ""),
    "resize.ts": (30, SD, (400, 960), 2, ""),
    "resize_down.ts": (30, (400, 960), SD, 2, ""),
    "longaudio.ts": (30, SD, SD, 1, ""),
    "longaudio.flv": (30, SD, SD, 1, ""),
    "jump.ts": (30, SD, SD, 2, ""),
    "mirror.mp4": (30, SD, SD, 1, ""),
    "hd709.mp4": (5, (720, 1280), (720, 1280), 1, ""),
    "apple": (2, (120, 160), (120, 160), 1, ""),
    "apple_png": (2, (120, 160), (120, 160), 1, ""),
    "labels_beside": (1, (120, 160), (120, 160), 1, "labels left out: a picture in colours"),
    "labels_beside_palette": (1, (120, 160), (120, 160), 1, ""),
    "drives/*/data/*.png": (9, (48, 64), (48, 64), 3, ""),
}


def play(uri: str) -> tuple[list[Frame], str]:
    with open_source(uri) as source:
        return list(iter(source.read, None)), getattr(source, "note", "")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", VIDEOS)
def test_it_plays(name: str) -> None:
    count, first, last, segments, note = VIDEOS[name]
    frames, said = play(str(CASES / name))
    assert len(frames) == count
    assert (frames[0].size_hw, frames[-1].size_hw) == (first, last)
    assert frames[-1].segment == segments - 1
    assert note in said
    assert bool(said) == bool(note)
    assert all(frame.image.mean() > 1 for frame in frames)  # not black
    assert frames[-1].time_s < 3


def test_the_colour_of_hd_is_right() -> None:
    frames, _ = play(str(CASES / "hd709.mp4"))
    blue, green, red = frames[2].image.reshape(-1, 3).mean(0)
    assert abs(red - 200) < 6
    assert abs(green - 50) < 6
    assert abs(blue - 20) < 6


def test_the_mirror_is_undone() -> None:
    """The clock of the test picture stands at the left in the file."""
    frames, _ = play(str(CASES / "mirror.mp4"))
    assert frames[0].image[:20, -90:].mean() < 60 < frames[0].image[:20, :90].mean()


def test_drives_come_in_their_order() -> None:
    frames, _ = play(str(CASES / "drives/*/data/*.png"))
    drives = [frame.segment for frame in frames]
    assert drives == [0, 0, 0, 1, 1, 1, 2, 2, 2]
