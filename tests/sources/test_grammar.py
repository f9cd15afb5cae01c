"""One grammar for every source: what each spelling opens, and what it says when it cannot be meant."""

from itertools import pairwise
from pathlib import Path

import cv2
import pytest

from drive_seg.errors import SourceError, UsageError
from drive_seg.sources import camera, files_of, open_source, stream
from tests.sources.clips import picture, write_video


def opened(uri: str) -> str:
    with open_source(uri) as source:
        return type(source).__name__


def test_paths_are_told_apart(tmp_path: Path) -> None:
    video = write_video(tmp_path / "drive.mp4", [0, 0.1])
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "1.png"), picture())
    assert opened(str(video)) == "FileSource"
    assert opened(f" {video} ") == "FileSource"
    for uri in (pictures, pictures / "*.png", pictures / "[0-9].p?g", pictures / "1.png"):
        assert opened(str(uri)) == "ImagesSource"


@pytest.mark.parametrize(("uri", "index"), [("0", 0), ("7", 7), ("/dev/video3", 3)])
def test_cameras(uri: str, index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(number: int) -> None:
        raise SourceError(f"camera {number}")

    monkeypatch.setattr(camera, "CameraSource", fake)
    with pytest.raises(SourceError, match=f"camera {index}$"):
        open_source(uri)


@pytest.mark.parametrize("uri", ["rtsp://host/x", "RTSP://host/x", "rtsps://host/x", "http://host/x.mjpg", "https://host/x"])
def test_streams(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(address: str, give_up_s: float | None, tell: object) -> None:
        raise SourceError(f"stream {address}")

    monkeypatch.setattr(stream, "StreamSource", fake)
    with pytest.raises(SourceError, match=f"stream {uri}"):
        open_source(uri)


@pytest.mark.parametrize("uri", ["", "  ", "ftp://host/x.mp4", "-1", "file:///x.mp4"])
def test_what_cannot_be_meant_lists_what_can(uri: str) -> None:
    with pytest.raises(UsageError, match="a folder or quoted glob of pictures") as caught:
        open_source(uri)
    assert uri.strip() in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        *("http://[x", "http://me:secret@[x/", "http://host:99999999/x", "~nosuchuser/a", "a**b.png", "/nowhere/a**b.png"),
        *("x" * 300, f"/nowhere/{'y' * 300}/*.png", "a/" * 3000, "a\0b", "a\0b*.png", "\ud800.png", "[", "/nowhere/["),
    ],
    ids=lambda uri: ascii(uri)[:20],
)
def test_what_no_file_system_or_network_knows_is_one_line(uri: str) -> None:
    assert files_of(uri) == files_of(uri)
    with pytest.raises((UsageError, SourceError)) as caught:
        open_source(uri)
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_secret_in_an_unknown_address_is_not_told() -> None:
    with pytest.raises(UsageError, match=r"^ftp://host/x: ftp:// is no source"):
        open_source("ftp://me:secret@host/x")


def test_a_word_is_a_missing_file() -> None:
    with pytest.raises(SourceError, match=r"drvie\.mp4: no such file; give a video file"):
        open_source("drvie.mp4")


def test_loop_restarts_with_growing_index_time_and_segment(tmp_path: Path) -> None:
    video = write_video(tmp_path / "drive.mp4", [0, 0.1, 0.2])
    with open_source(str(video), loop=True) as source:
        frames = [source.read() for _ in range(8)]
        assert source.info.frame_count is None
    assert [frame.index for frame in frames if frame] == list(range(8))
    assert [frame.segment for frame in frames if frame] == [0, 0, 0, 1, 1, 1, 2, 2]
    times = [frame.time_s for frame in frames if frame]
    assert all(a < b for a, b in pairwise(times))
    assert frames[0] is not None
    assert frames[3] is not None
    assert (frames[0].image == frames[3].image).all()
