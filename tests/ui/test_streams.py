"""The window over network streams that come, go and come back, from servers on this machine."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.sources import stream
from drive_seg.ui.window import MainWindow
from tests.fakes import FakeBackend, make_bundle
from tests.sources.test_stream import Camera
from tests.ui.fakes import Opened
from tests.waiting import PATIENCE_MS


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RECONNECT_DELAYS_S", (0.05,))


@pytest.fixture
def camera() -> Iterator[Camera]:
    with Camera() as camera:
        yield camera


@pytest.fixture
def start(qtbot: QtBot, opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., MainWindow]]:
    """Opens a window with a network that computes nothing."""
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda name, **how: FakeBackend())
    make_bundle(tmp_path / "small")
    windows = []

    def starts(**values: object) -> MainWindow:
        player = Player(Settings.load(None, {"model": str(tmp_path / "small"), **values}))
        player.open()
        windows.append(opened(player))
        windows[-1].show()
        return windows[-1]

    yield starts
    for window in windows:
        window.close()
    ours = {"capture", "pipeline", "await source", "stop waiting", "close source", "watchdog"}
    until(qtbot, lambda: not ours & {thread.name for thread in threading.enumerate()})


def until(qtbot: QtBot, check: Callable[[], object]) -> None:
    qtbot.waitUntil(lambda: bool(check()), timeout=PATIENCE_MS)


def test_a_camera_that_is_not_there_yet_and_goes_once_more(
    qtbot: QtBot, camera: Camera, start: Callable[..., MainWindow], tmp_path: Path
) -> None:
    window = start(source=camera.address, output=str(tmp_path / "drive.mp4"))
    says, name = window.parts.state.text, camera.address
    until(qtbot, lambda: "● connecting since " in says() and not says().endswith("try 1"))
    assert window.video.image is None
    assert (window.windowTitle(), window.video.waiting) == (f"{name} – drive-seg", f"Waiting for {name} …")
    for page in ("1", "2", "3", "4", "5", "r", "u", "x", "x", "r"):  # nothing is there to be shown, compared or recorded
        qtbot.keyClicks(window, page)
    window.panel.schedule.kind.choose("clockwork")
    until(qtbot, lambda: window.cockpit.update().settings.schedule.startswith("clockwork"))
    camera.begin()
    until(qtbot, lambda: window.video.image is not None)
    until(qtbot, lambda: says() == "● playing")
    assert window.cockpit.update().runs["schedule"].startswith("clockwork")
    assert window.cockpit.status.recording == tmp_path / "drive.mp4"
    camera.end()
    until(qtbot, lambda: "● reconnecting since " in says() and not says().endswith("try 0"))
    assert window.isVisible()
    camera.begin()
    segment = window.player.history(1)[0].segment
    until(qtbot, lambda: says() == "● playing" and window.player.history(1)[0].segment > segment)
    assert "connection lost " in window.cockpit.update().note
    window.close()
    assert (tmp_path / "drive.mp4").stat().st_size > 1000


def test_another_source_is_chosen_instead_of_one_that_does_not_come(qtbot: QtBot, camera: Camera, start: Callable[..., MainWindow]) -> None:
    window = start(source=camera.address, give_up="1000s")
    until(qtbot, lambda: "● connecting since " in window.parts.state.text())
    window.cockpit.open("demo:?size=320x240")
    until(qtbot, lambda: window.parts.state.text() == "● playing")
    window.cockpit.open(camera.address)  # this time something plays meanwhile
    until(
        qtbot, lambda: "no video stream there" in window.bar.text.text() and "it will be played once it is there" in window.bar.text.text()
    )
    until(qtbot, lambda: f"connecting to {camera.address} since " in window.parts.about.text())
    assert window.parts.state.text() == "● playing"
    camera.begin()
    until(qtbot, lambda: window.cockpit.update().source.name == camera.address and window.parts.state.text() == "● playing")
    until(qtbot, lambda: "connecting" not in window.parts.about.text())


def test_a_wait_that_is_given_up(qtbot: QtBot, camera: Camera, start: Callable[..., MainWindow]) -> None:
    window = start(source=camera.address, give_up="0.2s")
    until(qtbot, lambda: window.parts.state.text() == "● failed")
    assert "no video stream there; check the address" in window.bar.text.text()
    camera.begin()
    window.cockpit.open(camera.address)
    until(qtbot, lambda: window.parts.state.text() == "● playing")


def test_credentials_that_are_refused_meanwhile(qtbot: QtBot, camera: Camera, start: Callable[..., MainWindow]) -> None:
    window = start(source=camera.address.replace("//", "//me:hunter2@"))
    camera.begin(refuses=True)
    until(qtbot, lambda: window.parts.state.text() == "● failed")
    assert "the server refuses user name and password" in window.bar.text.text()
    assert "hunter2" not in window.bar.text.text() + window.parts.about.text() + window.windowTitle()


def test_closing_while_it_waits(qtbot: QtBot, camera: Camera, start: Callable[..., MainWindow]) -> None:
    window = start(source=camera.address)
    until(qtbot, lambda: "● connecting since " in window.parts.state.text())
    window.close()  # the fixture waits for its threads
