"""The window of several cameras: the real one over the real run, driven as a person does."""

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot

from drive_seg.errors import SourceError
from drive_seg.session.figures import Numbers
from drive_seg.session.rack import CameraStatus, Rack
from drive_seg.settings import Settings
from drive_seg.ui.app import run_window
from drive_seg.ui.cameras import CamerasWindow, Tile
from drive_seg.ui.keeping import Memory
from drive_seg.ui.meter import Meter
from tests.waiting import PATIENCE_MS

DRIVES = [f"demo:?size=128x96&seed={seed}" for seed in range(3)]


@pytest.fixture
def started(qtbot: QtBot, memory: Memory) -> Iterator[CamerasWindow]:
    threads = set(threading.enumerate())
    rack = Rack(Settings.load(None, {"source": DRIVES, "model": "camvid", "precision": "fp32", "threads": 1, "schedule": "clockwork:4"}))
    rack.open()
    window = CamerasWindow(rack, memory=memory)
    window.show()
    until(qtbot, lambda: all(tile.image is not None for tile in window.tiles))
    yield window
    window.close()
    window.deleteLater()
    assert set(threading.enumerate()) <= threads


def until(qtbot: QtBot, check: Callable[[], object]) -> None:
    qtbot.waitUntil(lambda: bool(check()), timeout=PATIENCE_MS)


def seen(window: CamerasWindow) -> list[int]:
    return [at for at, tile in enumerate(window.tiles) if tile.isVisible()]


def test_a_click_or_a_key_enlarges_a_camera_and_brings_back_the_others(qtbot: QtBot, started: CamerasWindow) -> None:
    assert seen(started) == [0, 1, 2]
    small = started.tiles[2].width()
    QTest.mouseClick(started.tiles[2], Qt.MouseButton.LeftButton)
    assert seen(started) == [2]
    until(qtbot, lambda: started.tiles[2].width() > small)
    until(qtbot, lambda: started.line.text().startswith("3: demo:?seed=2&size=128x96 · camvid"))
    until(qtbot, lambda: started.strip.moments)
    assert {moment.index for moment in started.strip.moments} <= {moment.index for moment in started.rack.history(2)}
    QTest.mouseClick(started.tiles[2], Qt.MouseButton.LeftButton)
    assert seen(started) == [0, 1, 2]
    QTest.keyClick(started, Qt.Key.Key_2)
    assert seen(started) == [1]
    QTest.keyClick(started, Qt.Key.Key_Escape)
    assert seen(started) == [0, 1, 2]
    started.tiles[1].setFocus()
    QTest.keyClick(started.tiles[1], Qt.Key.Key_Return)
    assert seen(started) == [1]
    for is_full in (True, False):
        QTest.keyClick(started, Qt.Key.Key_F)
        assert started.isFullScreen() is is_full
    QTest.keyClick(started, Qt.Key.Key_Q)
    assert not started.isVisible()


def test_each_tile_says_its_cameras_state_rate_and_name_and_shows_its_own_picture(qtbot: QtBot, started: CamerasWindow) -> None:
    for at, tile in enumerate(started.tiles):

        def told(at: int = at, tile: Tile = tile) -> bool:
            said = tile.tags[0]
            return said.startswith(f"{at + 1} · playing · ") and " fps · " in said and said.endswith(f" · {started.rack.cameras.names[at]}")

        until(qtbot, told)
        assert tile.shown is not None
        assert tile.shown.result.frame.image.shape[:2] == (96, 128)
    pictures = [tile.shown.result.frame.image for tile in started.tiles if tile.shown]
    assert not any((one == other).all() for one, other in pairwise(pictures))


@pytest.mark.parametrize(
    ("status", "says", "waiting"),
    [
        (CameraStatus("a.mp4", "ended", Numbers(), 0, ""), "4 · ended · a.mp4", "4 · ended · a.mp4"),
        (
            CameraStatus("camera 1", "reconnecting", Numbers(), 7, ""),
            "4 · reconnecting · 7 dropped · camera 1",
            "4 · reconnecting · 7 dropped · camera 1",
        ),
        (CameraStatus("b.mp4", "failed", Numbers(), 0, "broken"), "4 · failed · b.mp4", "4 · failed · b.mp4\nbroken"),
        (
            CameraStatus("c", "playing", Numbers(9, 14.96, 8.04), 0, ""),
            "4 · playing · 15.0 fps · 8.0 ms · c",
            "4 · playing · 15.0 fps · 8.0 ms · c",
        ),
    ],
)
def test_what_a_tile_says(qapp: object, status: CameraStatus, says: str, waiting: str) -> None:
    tile = Tile(Meter(), 4)
    tile.tell(status)
    assert (tile.tags[0], tile.waiting, tile.toolTip(), tile.accessibleName()) == (says, waiting, waiting, says)
    tile.deleteLater()


def test_a_rack_is_run_in_its_own_window_and_closed_with_it(qapp: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.ui.app.WARMUP_S", 0.0)
    threads = set(threading.enumerate())
    rack = Rack(Settings.load(None, {"source": DRIVES[:2], "model": "camvid", "precision": "fp32", "threads": 1}))
    run_window(rack, seconds=0.2)
    assert set(threading.enumerate()) <= threads
    summary = rack.summary()
    assert isinstance(summary["cameras"], list)
    assert [one["source"] for one in summary["cameras"]] == ["demo:?size=128x96", "demo:?seed=1&size=128x96"]
    assert not rack.errors


def test_a_camera_that_cannot_be_opened_is_told_before_there_is_a_window() -> None:
    rack = Rack(Settings.load(None, {"source": ["demo:?size=128x96", "nowhere.mp4"], "model": "camvid"}))
    with pytest.raises(SourceError, match="nowhere"):
        rack.open()
    rack.close()
