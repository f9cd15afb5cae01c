"""Streams: from a small server on this machine, and reconnecting on a fake OpenCV."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import cv2
import pytest

from drive_seg.errors import SourceError
from drive_seg.sources import stream
from drive_seg.sources.capture import Capture
from drive_seg.sources.stream import StreamSource, without_password
from drive_seg.workers import Overflow
from tests.fakes import FakeVideoCapture
from tests.sources.clips import cut, picture, write_video
from tests.waiting import PATIENCE_S, until

PICTURES_PER_CONNECTION = 8


class Handler(SimpleHTTPRequestHandler):
    """Files, and at /live an MJPEG camera that hangs up after a few pictures."""

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        if self.path != "/live":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(PICTURES_PER_CONNECTION):
            jpeg = cv2.imencode(".jpg", picture(number))[1].tobytes()
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg + b"\r\n")
            time.sleep(0.02)
        return None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as http:
        threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture
def fake_network(monkeypatch: pytest.MonkeyPatch) -> type[FakeVideoCapture]:
    monkeypatch.setattr(cv2, "VideoCapture", FakeVideoCapture)
    monkeypatch.setattr(FakeVideoCapture, "script", [])
    monkeypatch.setattr(FakeVideoCapture, "opened", [])
    monkeypatch.setattr(stream, "RECONNECT_DELAYS_S", (0.01, 0.02, 0.04))
    return FakeVideoCapture


def test_a_camera_that_hangs_up_is_connected_again(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RECONNECT_DELAYS_S", (0.05, 0.1, 0.2))
    with StreamSource(f"{server}/live") as source:
        assert source.info.live
        frames = [source.read() for _ in range(PICTURES_PER_CONNECTION + 4)]
    assert [frame.index for frame in frames if frame] == list(range(PICTURES_PER_CONNECTION + 4))
    segments = [frame.segment for frame in frames if frame]
    assert (segments[0], segments[-1]) == (0, 1)
    times = [frame.time_s for frame in frames if frame]
    assert all(a < b for a, b in pairwise(times))
    assert all(frame and frame.image.shape == (64, 96, 3) for frame in frames)


def test_a_video_file_behind_http_is_a_file(server: str, tmp_path: Path) -> None:
    write_video(tmp_path / "drive.mp4", [i / 20 for i in range(30)])
    with StreamSource(f"{server}/drive.mp4") as source:
        assert not source.info.live
        frames = list(iter(source.read, None))
    assert [frame.time_s for frame in frames if frame] == pytest.approx([i / 20 for i in range(30)], abs=0.001)


def test_a_download_that_breaks_off(server: str, tmp_path: Path) -> None:
    cut(write_video(tmp_path / "drive.mp4", [i / 30 for i in range(90)]))
    with StreamSource(f"{server}/drive_cut.mp4") as source, pytest.raises(SourceError, match=r"broke off: \d+ of 90 frames came"):
        list(iter(source.read, None))


def test_nothing_there(server: str, capfd: pytest.CaptureFixture[str]) -> None:
    for address in (f"{server}/none.mp4", "rtsp://me:secret@127.0.0.1:9/x"):
        with pytest.raises(SourceError, match="no video stream there; check the address") as caught:
            StreamSource(address)
        assert "secret" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_the_password_is_not_shown() -> None:
    assert without_password("rtsp://me:a@b@cam:554/live?x=1") == "rtsp://cam:554/live?x=1"
    assert without_password("http://cam/live") == "http://cam/live"


def test_reconnects_are_bounded(fake_network: type[FakeVideoCapture]) -> None:
    fake_network.script[:] = [[picture(), picture()], None, [picture()], None, None, None]
    with StreamSource("rtsp://cam") as source:
        states, segments = [source.state], []
        for _ in range(3):
            frame = source.read()
            assert frame
            segments.append(frame.segment)
            states.append(source.state)
        with pytest.raises(SourceError, match="rtsp://cam: lost after 3 frames, 3 reconnects failed; check the server"):
            source.read()
        assert source.state == "reconnecting"
    assert segments == [0, 0, 1]
    assert states == ["opening", "playing", "playing", "playing"]
    assert len(fake_network.opened) == 6


def test_a_server_that_answers_without_pictures_is_given_up(fake_network: type[FakeVideoCapture]) -> None:
    fake_network.script[:] = [[picture()], [], [], [], []]
    with StreamSource("rtsp://cam") as source:
        assert source.read()
        with pytest.raises(SourceError, match="3 reconnects failed"):
            source.read()


def test_time_outs_are_set_when_opening(fake_network: type[FakeVideoCapture]) -> None:
    fake_network.script[:] = [[picture()]]
    StreamSource("rtsp://cam").close()
    parameters = fake_network.opened[0][2]
    assert isinstance(parameters, list)
    assert {cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC} <= set(parameters)


def test_closing_while_it_waits_to_reconnect(fake_network: type[FakeVideoCapture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RECONNECT_DELAYS_S", (10 * PATIENCE_S,))
    fake_network.script[:] = [[picture()]]
    capture = Capture(StreamSource("rtsp://cam"), Overflow.DROP_OLDEST, realtime=False)
    frames = iter(capture)
    assert next(frames).index == 0
    until(lambda: capture.state == "reconnecting")
    capture.close()
    until(lambda: "capture" not in {thread.name for thread in threading.enumerate()})
    assert list(frames) == []
