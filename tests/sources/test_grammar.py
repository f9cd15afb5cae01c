"""One grammar for every source: what each spelling opens, and what it says when it cannot be meant."""

from pathlib import Path

import cv2
import pytest

from drive_seg.errors import SourceError, UsageError
from drive_seg.sources import camera, files_of, open_source, stream
from drive_seg.sources.file import FileSource
from drive_seg.sources.looping import Looping
from tests.fakes import FakeSource
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
        *(
            "http://",
            "rtsp:///x",
            "http://[x",
            "http://me:secret@[x/",
            "http://host:99999999/x",
            "~nosuchuser/a",
            "a**b.png",
            "/nowhere/a**b.png",
        ),
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


def test_what_can_be_sought_is_left_to_its_capture_to_loop(tmp_path: Path) -> None:
    with open_source(str(write_video(tmp_path / "drive.mp4", [0, 0.1, 0.2])), loop=True) as source:
        assert isinstance(source, FileSource)


def test_what_cannot_be_sought_is_opened_anew_at_its_end_and_counts_as_it_did() -> None:
    opened = [FakeSource(3) for _ in range(3)]
    later = iter(opened[1:])
    with Looping(opened[0], lambda: next(later)) as source:
        frames = [source.read() for _ in range(8)]
        assert source.info.frame_count == 3
    found = [(frame.segment, frame.index, frame.time_s) for frame in frames if frame]
    assert found == [(i // 3, i % 3, i % 3 / 30) for i in range(8)]
    assert all(one.closed for one in opened)
