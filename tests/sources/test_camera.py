"""Cameras, on a fake OpenCV: what they deliver, and what is said when one is not there, busy or pulled out."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg.errors import SourceError
from drive_seg.sources import camera
from drive_seg.sources.camera import CameraSource
from tests.fakes import FakeVideoCapture
from tests.sources.clips import picture


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty /dev, a Linux, and cameras that follow FakeVideoCapture.script."""
    monkeypatch.setattr(camera, "DEVICES", tmp_path)
    monkeypatch.setattr(camera.sys, "platform", "linux")
    monkeypatch.setattr(cv2, "VideoCapture", FakeVideoCapture)
    monkeypatch.setattr(FakeVideoCapture, "script", [])
    monkeypatch.setattr(FakeVideoCapture, "opened", [])
    return tmp_path


def test_an_absent_camera_names_those_that_exist(devices: Path) -> None:
    for name in ("video2", "video10", "video-new"):
        (devices / name).touch()
    with pytest.raises(SourceError) as caught:
        CameraSource(0)
    assert str(caught.value) == f"camera 0: there is none; there is {devices / 'video2'}, {devices / 'video10'}"
    assert FakeVideoCapture.opened == []


def test_no_camera_at_all_points_at_the_demo(devices: Path) -> None:
    with pytest.raises(SourceError, match=r"camera 3: .*no camera was found: plug one in, or try --source demo:"):
        CameraSource(3)


def test_a_busy_camera(devices: Path) -> None:
    (devices / "video0").touch()
    FakeVideoCapture.script[:] = [None]
    with pytest.raises(SourceError, match=r"camera 0: cannot be opened; close the program that uses it"):
        CameraSource(0)


def test_frames_and_a_pulled_cable(devices: Path) -> None:
    (devices / "video0").touch()
    FakeVideoCapture.script[:] = [[picture(0), picture(1)[..., 0], np.dstack([picture(2), picture(2)[..., :1]])]]
    with CameraSource(0) as source:
        assert source.info.live
        assert source.info.frame_count is None
        frames = [source.read() for _ in range(3)]
        with pytest.raises(SourceError, match="camera 0: it delivers no more frames after 3; check its cable"):
            source.read()
    assert [frame.index for frame in frames if frame] == [0, 1, 2]
    assert {frame.image.shape for frame in frames if frame} == {(64, 96, 3)}
    times = [frame.time_s for frame in frames if frame]
    assert 0 <= times[0] <= times[1] <= times[2] < 1
    assert source.read() is None


def test_the_camera_is_asked_for_fresh_frames(devices: Path) -> None:
    (devices / "video0").touch()
    FakeVideoCapture.script[:] = [[picture()]]
    with CameraSource(0) as source:
        properties = source._capture.properties  # type: ignore[attr-defined]
    assert properties[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert properties[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
