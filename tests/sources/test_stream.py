"""Streams: from a small server on this machine, and reconnecting to fake connections."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from pathlib import Path
from typing import ClassVar

import av
import cv2
import numpy as np
import pytest

from drive_seg.contracts import Away, Image
from drive_seg.errors import Absent, SourceError
from drive_seg.redaction import redacted
from drive_seg.sources import stream
from drive_seg.sources.capture import Capture
from drive_seg.sources.stream import StreamSource
from drive_seg.workers import Overflow
from tests.sources.clips import cut, picture, write_video
from tests.waiting import PATIENCE_S, until

PICTURES_PER_CONNECTION = 8


class Handler(SimpleHTTPRequestHandler):
    """Files, under /once without ranges, and at /live an MJPEG camera that hangs up after a few pictures."""

    says_how_long: ClassVar[bool] = True

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        if self.path.startswith("/once/"):
            data = Path(self.directory, self.path.removeprefix("/once/")).read_bytes()
            self.send_response(200)
            if self.says_how_long:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return None
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


class Camera:
    """An MJPEG camera at an address that nobody answers at until it begins; it ends at once, with the connections that there are."""

    def __init__(self) -> None:
        self._http: ThreadingHTTPServer | None = None
        self._place = socket.socket()  # keeps the port from others while nobody listens there
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port = self._place.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/live"

    def begin(self, refuses: bool = False) -> None:
        class Lens(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None: ...

            def do_GET(self) -> None:
                if refuses:
                    self.send_error(401)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with suppress(OSError):  # it hangs up on us
                    for number in count():
                        if camera is not shown._http:
                            return
                        jpeg = cv2.imencode(".jpg", picture(number % 40))[1].tobytes()
                        self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg + b"\r\n")
                        time.sleep(0.02)

        class Reusing(ThreadingHTTPServer):
            allow_reuse_port = True
            daemon_threads = True

        shown = self
        camera = self._http = Reusing(("127.0.0.1", self.port), Lens)
        threading.Thread(target=camera.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        if http := self._http:
            self._http = None
            http.shutdown()
            http.server_close()

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()
        self._place.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as http:
        threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


class FakeVideo:
    """A connection that gives the pictures of the next entry of `script`; None there refuses it, an exception is raised."""

    script: ClassVar[list[list[Image] | Exception | None]] = []
    opened: ClassVar[list[dict[str, object]]] = []
    rate, frame_count, bytes, endless = 30.0, None, None, False

    def __init__(self, address: str, **how: object) -> None:
        self.opened.append(how)
        entry = self.script.pop(0) if self.script else None
        if entry is None:
            raise av.error.ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        if isinstance(entry, Exception):
            raise entry
        self._frames = [av.VideoFrame.from_ndarray(image, format="bgr24") for image in entry]

    def next(self) -> tuple[list[int], av.VideoFrame | None]:
        return [], self._frames.pop(0) if self._frames else None

    def picture(self, frame: av.VideoFrame) -> Image:
        return np.asarray(frame.to_ndarray(), np.uint8)

    def close(self) -> None: ...


@pytest.fixture
def fake_network(monkeypatch: pytest.MonkeyPatch) -> type[FakeVideo]:
    monkeypatch.setattr(stream, "Video", FakeVideo)
    monkeypatch.setattr(FakeVideo, "script", [])
    monkeypatch.setattr(FakeVideo, "opened", [])
    monkeypatch.setattr(stream, "RECONNECT_DELAYS_S", (0.01, 0.02, 0.04))
    return FakeVideo


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


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:a@b@cam:554/live?x=1", "rtsp://cam:554/live?x=1"),
        ("http://cam/live", "http://cam/live"),
        ("https://cam/live?q=1&access_token=abc&Password=d%20e#f", "https://cam/live?q=1&access_token=…&Password=…#f"),
        ("http://me:pass@[x", "http://[x"),
        ("rtsp://cam/who@where", "rtsp://cam/who@where"),
    ],
)
def test_secrets_are_not_shown(address: str, shown: str) -> None:
    assert redacted(address) == shown


def test_it_is_tried_until_it_is_given_up(fake_network: type[FakeVideo]) -> None:
    fake_network.script[:] = [[picture(), picture()], None, [picture(1)], *[None] * 100]
    with StreamSource("rtsp://cam", give_up_s=0.3) as source:
        states, segments = [source.state], []
        for _ in range(3):
            frame = source.read()
            assert frame
            segments.append(frame.segment)
            states.append(source.state)
        with pytest.raises(SourceError, match=r"rtsp://cam: lost after 3 frames, \d+ reconnects failed; check the server"):
            source.read()
        assert source.state == "reconnecting"
    assert segments == [0, 0, 1]
    assert states == ["opening", "playing", "playing", "playing"]
    assert len(fake_network.opened) > 6  # the last wait is the longest, and comes again and again


def test_a_camera_that_was_away_for_long_comes_back(fake_network: type[FakeVideo]) -> None:
    fake_network.script[:] = [[picture()], *[None] * 30, [picture()]]
    with StreamSource("rtsp://cam") as source:
        frames = [source.read(), source.read()]
    assert [frame.segment for frame in frames if frame] == [0, 1]


def test_a_server_that_answers_without_pictures_is_given_up(fake_network: type[FakeVideo]) -> None:
    fake_network.script[:] = [[picture()], *[[] for _ in range(1000)]]
    with StreamSource("rtsp://cam", give_up_s=0.2) as source:
        assert source.read()
        with pytest.raises(SourceError, match="reconnects failed"):
            source.read()


def test_a_server_that_is_not_there_yet_is_waited_for_where_that_can_be_told(fake_network: type[FakeVideo]) -> None:
    script: list[list[Image] | Exception | None] = [None, None, None, [picture()]]
    fake_network.script[:] = script
    told: list[Away] = []
    with StreamSource("rtsp://me:secret@cam", tell=told.append) as source:
        assert source.read()
    assert {(away.name, away.tries) for away in told} == {("rtsp://cam", 1), ("rtsp://cam", 2), ("rtsp://cam", 3)}
    assert len({away.since_s for away in told}) == 1
    fake_network.script[:] = [*script]
    with pytest.raises(Absent, match="no video stream there"):
        StreamSource("rtsp://cam")
    fake_network.script[:] = []
    with pytest.raises(Absent, match="no video stream there"):
        StreamSource("rtsp://cam", give_up_s=0.1, tell=told.append)

    def stop(away: Away) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StreamSource("rtsp://cam", tell=stop)


def test_wrong_credentials_are_called_that(fake_network: type[FakeVideo]) -> None:
    refused = av.error.HTTPUnauthorizedError(1, "401")
    fake_network.script[:] = [refused]
    with pytest.raises(SourceError, match=r"^rtsp://cam: the server refuses .* give .* NAME:PASSWORD@host$"):
        StreamSource("rtsp://me:wrong@cam")
    fake_network.script[:] = [[picture()], refused]  # changed meanwhile
    with StreamSource("rtsp://me:wrong@cam") as source, pytest.raises(SourceError, match="refuses user name"):
        list(iter(source.read, None))


def test_time_outs_are_set_when_opening(fake_network: type[FakeVideo]) -> None:
    fake_network.script[:] = [[picture()]]
    StreamSource("rtsp://cam").close()
    assert fake_network.opened[0]["timeout_s"] == stream.TIMEOUTS_S


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
@pytest.mark.parametrize("says_how_long", [True, False])
def test_a_file_without_an_index_or_range_is_played_once(server: str, tmp_path: Path, suffix: str, says_how_long: bool) -> None:
    write_video(tmp_path / f"drive{suffix}", [i / 30 for i in range(40)])
    Handler.says_how_long = says_how_long
    with StreamSource(f"{server}/once/drive{suffix}") as source:
        assert [frame.index for frame in iter(source.read, None)] == list(range(40))


def test_closing_while_it_waits_to_reconnect(fake_network: type[FakeVideo], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RECONNECT_DELAYS_S", (10 * PATIENCE_S,))
    fake_network.script[:] = [[picture()]]
    capture = Capture(StreamSource("rtsp://cam"), Overflow.DROP_OLDEST, realtime=False)
    frames = iter(capture)
    assert next(frames).index == 0
    until(lambda: capture.state == "reconnecting")
    capture.close()
    until(lambda: "capture" not in {thread.name for thread in threading.enumerate()})
    assert list(frames) == []
