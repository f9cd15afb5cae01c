"""Runs that are served on a free port of 127.0.0.1, on stand-ins for source and network."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from drive_seg.contracts import Frame
from drive_seg.session.player import Player
from drive_seg.settings import Settings
from tests.fakes import FakeBackend, FakeSource, make_bundle
from tests.waiting import PATIENCE_S, until

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from drive_seg.serve.server import Server

FPS = 100.0
TOKEN = "correct-horse-battery-staple"


class Drive(FakeSource):
    """Frames of 100 a second, alike enough to be one scene; `size_hw` as wanted."""

    def __init__(self, count: int = 100_000, hang: bool = False, size_hw: tuple[int, int] = (48, 64)) -> None:
        super().__init__(count, FPS, hang=hang)
        self.picture = np.random.default_rng(0).integers(90, 100, (*size_hw, 3), np.uint8)

    def read(self) -> Frame | None:
        frame = super().read()
        return frame and Frame(self.picture + np.uint8(frame.index % 40), frame.index, frame.index / FPS)


@dataclass
class Answer:
    """Read whole, its connection closed."""

    status: int
    headers: Message
    body: bytes

    def read(self) -> bytes:
        return self.body

    def getheader(self, name: str) -> str | None:
        return self.headers[name]


@dataclass
class Served:
    player: Player
    server: "Server"
    host: str
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> "Answer":
        """Headers by their names, with _ for -; those of the fixture unless others are given."""
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_S)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(connection):
            connection.request("GET", path, headers={"Connection": "close"} | self.headers | given)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def text(self, path: str) -> str:
        return self.get(path).read().decode()

    @contextmanager
    def page(self, **how: Any) -> Iterator["Page"]:
        from websockets.sync.client import connect

        how = {"additional_headers": self.headers, **how}
        with connect(f"ws://127.0.0.1:{self.server.port}/live", open_timeout=PATIENCE_S, compression=None, **how) as socket:
            yield Page(socket)


@dataclass
class Page:
    """What the page does, without a browser."""

    socket: "ClientConnection"
    shown: bytes = b""  # the last JPEG

    def take(self, answer: bool = True) -> tuple[dict[str, Any], bytes]:
        """The next message: its JSON, and its JPEG or nothing."""
        data = self.socket.recv(PATIENCE_S)
        assert isinstance(data, bytes)
        end = 4 + int.from_bytes(data[:4], "big")
        if answer:
            self.ask(got=True)
        self.shown = data[end:] or self.shown
        return json.loads(data[4:end]), data[end:]

    def ask(self, **what: object) -> None:
        self.socket.send(json.dumps(what))

    def told(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first JSON that is as wanted."""
        found: list[dict[str, Any]] = []
        until(lambda: found.append(told) or True if wanted(told := self.take()[0]) else False)
        return found[0]

    def status(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The run's first status that is as wanted."""
        return dict(self.told(lambda told: "status" in told and wanted(told["status"]))["status"])


class Serving:
    """Makes them; they end with the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, stack: ExitStack) -> None:
        self.model = str(make_bundle(folder / "net").folder)
        self._patch, self._stack = monkeypatch, stack
        self.said: list[str] = []  # of what went wrong in the server
        monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda name, **how: FakeBackend())

    def __call__(self, source: Callable[[], FakeSource] = Drive, token: str | None = None, play: bool = True, **values: object) -> Served:
        from drive_seg.serve.address import listen
        from drive_seg.serve.server import Server

        self._patch.setattr("drive_seg.session.steered.open_source", lambda name, **how: source())
        player = Player(Settings.load(None, {"source": "drive", "model": self.model, **values}))
        self._stack.callback(player.close)
        server = self._stack.enter_context(Server(player, listen("127.0.0.1", 0, token is not None), "127.0.0.1", token, self.said.append))
        served = Served(player, server, f"127.0.0.1:{server.port}", {"Authorization": f"Bearer {token}"} if token else {})
        if play:
            player.open()
            until(lambda: player.history())
        return served


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serving]:
    for package in ("starlette", "uvicorn", "websockets", "prometheus_client"):
        pytest.importorskip(package, reason="pip install 'drive-seg[serve]'")
    before = set(threading.enumerate())
    with ExitStack() as stack:
        serving = Serving(monkeypatch, tmp_path, stack)
        yield serving
    assert set(threading.enumerate()) <= before
    assert serving.said == []
