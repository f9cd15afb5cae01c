"""The real window over the real player: the shipped bundle, the demo drive and a small file, controls as a person uses them."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.ui.window import MainWindow
from tests.sources.clips import write_video
from tests.ui.fakes import Opened
from tests.waiting import PATIENCE_MS, PATIENCE_S

XCB = """
import cv2, sys
from PyQt6.QtCore import QSettings, QTimer
QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, sys.argv[1])
from PyQt6.QtWidgets import QApplication
from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.ui import app
from drive_seg.ui.window import MainWindow

def look():
    window = next((one for one in QApplication.topLevelWidgets() if isinstance(one, MainWindow)), None)
    if window and window.meter.glass_ms:
        print(QApplication.platformName(), window.isVisible(), flush=True)
        window.close()
    else:
        QTimer.singleShot(50, look)

class Watched(Player):
    def open(self):
        super().open()
        QTimer.singleShot(50, look)

print(len(app.run_window(Watched(Settings.load(None, {"source": "demo:?size=320x240", "threads": 1}))).glass_ms) > 0)
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "drive.mp4", [index / 30 for index in range(60)])


@pytest.fixture
def started(qtbot: QtBot, opened: Opened, clip: Path) -> Iterator[MainWindow]:
    """Over a file of two seconds that plays in a loop."""
    threads = set(threading.enumerate())
    # camvid takes fewer of this clip's flickering frames for scene cuts
    player = Player(Settings.load(None, {"source": str(clip), "model": "camvid", "threads": 1, "loop": True, "schedule": "clockwork:4"}))
    player.open()
    window = opened(player)
    window.resize(1420, 820)
    window.show()
    until(qtbot, lambda: window.video.image is not None)
    yield window
    window.close()
    assert set(threading.enumerate()) <= threads


def until(qtbot: QtBot, check: Callable[[], object]) -> None:
    qtbot.waitUntil(lambda: bool(check()), timeout=PATIENCE_MS)


def last(window: MainWindow) -> str:
    """The schedule's words for the newest frame."""
    return window.player.history(1)[0].text


def test_schedule_and_slider_act_on_the_next_frames(qtbot: QtBot, started: MainWindow) -> None:
    until(qtbot, lambda: "of 4" in last(started))
    started.panel.schedule.slider.setValue(8)
    until(qtbot, lambda: "of 10" in last(started))
    started.panel.schedule.kind.choose("every-frame")
    until(qtbot, lambda: all(moment.reason in ("every", "jump") for moment in started.player.history(3)))
    qtbot.keyClicks(started, "s")
    until(qtbot, lambda: started.cockpit.status.settings.schedule == "clockwork:4")


def test_bundle_propagation_and_mode_change_while_it_plays(qtbot: QtBot, started: MainWindow) -> None:
    started.panel.propagation.choose("flow")
    until(qtbot, lambda: started.cockpit.update().runs.get("propagation") == "flow")
    started.panel.mode.choose("async")
    until(qtbot, lambda: started.cockpit.update().runs.get("mode") == "async")
    index = started.player.history(1)[0].segment, started.player.history(1)[0].index
    until(qtbot, lambda: (started.player.history(1)[0].segment, started.player.history(1)[0].index) > index)
    assert started.cockpit.status.trouble is None


def test_what_cannot_be_had_is_said_and_it_plays_on(qtbot: QtBot, started: MainWindow, tmp_path: Path) -> None:
    started.cockpit.open(str(tmp_path / "absent.mp4"))
    until(qtbot, lambda: started.bar.isVisible())
    assert "absent.mp4" in started.bar.text.text()
    count = len(started.meter.glass_ms)
    until(qtbot, lambda: len(started.meter.glass_ms) > count + 2)


def test_pausing_stepping_and_seeking(qtbot: QtBot, started: MainWindow) -> None:
    qtbot.keyClicks(started, " ")
    until(qtbot, lambda: started.cockpit.update().state == "paused")
    bar, segment = started.transport.bar, started.player.history(1)[0].segment
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.rect().center())
    until(qtbot, lambda: started.player.history(1)[0].segment > segment)  # it may have been paused there
    assert started.cockpit.update().position == pytest.approx(30, abs=2)
    here = started.cockpit.status.position or 0
    qtbot.keyClicks(started, ".")
    until(qtbot, lambda: started.cockpit.update().position == here + 1)
    qtbot.keyClicks(started, ",")
    until(qtbot, lambda: started.cockpit.update().position == here)
    assert started.player.history(1)[0].reason == "jump"


def test_comparing_and_auditing(qtbot: QtBot, started: MainWindow) -> None:
    qtbot.keyClicks(started, "x")
    until(qtbot, lambda: started.video.divider is not None)
    until(qtbot, lambda: started.cockpit.update().differing is not None)
    qtbot.keyClicks(started, "d")
    until(qtbot, lambda: "pink" in started.video.tags[0])
    qtbot.keyClicks(started, "xu")
    until(qtbot, lambda: started.player.agreement())
    until(qtbot, lambda: started.cockpit.update().comparison is None)


def test_a_manual_refresh_and_a_recording(qtbot: QtBot, started: MainWindow, tmp_path: Path) -> None:
    import cv2

    def refreshed() -> bool:
        # again: a frame that has to refresh anyway, after a gap on a slow machine, does so for its own reason
        qtbot.keyClick(started, Qt.Key.Key_K, Qt.KeyboardModifier.ShiftModifier)
        return any(moment.reason == "manual" for moment in started.player.history())

    until(qtbot, refreshed)
    qtbot.keyClicks(started, "r")
    until(qtbot, lambda: started.cockpit.update().recording)
    path = started.cockpit.status.recording
    count = len(started.player.history())
    until(qtbot, lambda: len(started.player.history()) > count + 5)
    qtbot.keyClicks(started, "r")
    until(qtbot, lambda: started.cockpit.update().recording is None)
    started.close()
    reader = cv2.VideoCapture(str(path))
    assert reader.read()[0]
    reader.release()


def test_the_end_leaves_the_window_and_there_is_a_way_back(qtbot: QtBot, started: MainWindow) -> None:
    qtbot.keyClick(started, Qt.Key.Key_L, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(started, "]]]]")
    until(qtbot, lambda: started.cockpit.update().state == "ended")
    assert started.isVisible()
    qtbot.keyClick(started, Qt.Key.Key_Home)
    until(qtbot, lambda: started.cockpit.update().state != "ended" or (started.cockpit.status.position or 99) < 59)
    until(qtbot, lambda: started.cockpit.update().state == "ended")
    qtbot.keyClicks(started, " ")
    until(qtbot, lambda: started.cockpit.update().state == "playing")
    until(qtbot, lambda: started.cockpit.update().state == "ended")  # all of it once more


def test_a_part_is_played_again_and_again(qtbot: QtBot, started: MainWindow) -> None:
    started.cockpit.change(loop=False)
    until(qtbot, lambda: not started.cockpit.update().settings.loop)
    started.cockpit.stop_at(20)
    until(qtbot, lambda: started.cockpit.shown and started.cockpit.shown.result.frame.index == 20 and started.cockpit.update().paused)
    started.keys["ab"].trigger()
    started.cockpit.stop_at(35)
    until(qtbot, lambda: started.cockpit.update().position == 35)
    started.keys["ab"].trigger()
    assert started.cockpit.part == (20, 35)
    started.keys["pause"].trigger()
    segment = started.player.history(1)[0].segment
    until(qtbot, lambda: started.player.history(1)[0].segment >= segment + 3)  # gone back three times
    last = [moment.index for moment in started.player.history() if moment.segment in (segment + 1, segment + 2)]
    assert 20 <= min(last) < max(last)  # some may be dropped where the machine is busy


def test_the_strip_forgets_the_source_before(qtbot: QtBot, started: MainWindow, tmp_path: Path) -> None:
    until(qtbot, lambda: len(started.strip.moments) > 20)
    short = write_video(tmp_path / "short.mp4", [index / 30 for index in range(8)])
    started.cockpit.change(source=str(short), loop=False)
    until(qtbot, lambda: started.cockpit.update().source.name.endswith("short.mp4") and started.cockpit.status.state == "ended")
    until(qtbot, lambda: started.strip.moments and started.strip.moments[-1].index == 7)
    assert len({moment.segment for moment in started.strip.moments}) == 1  # some may be dropped where the machine is busy
    assert len(started.strip.moments) <= 8
    assert np.flatnonzero(started.transport.bar.keys).tolist() == [moment.index for moment in started.strip.moments if moment.is_key]


def test_the_demo_is_labelled(qtbot: QtBot, opened: Opened, tmp_path: Path) -> None:
    player = Player(Settings.load(None, {"source": "demo:?size=320x240&seed=5", "threads": 1}))
    player.open()
    window = opened(player)
    window.show()
    until(qtbot, lambda: "mIoU, live" in window.panel.facts.values)
    overlay = np.array(window.video.image)
    window.keys["pause"].trigger()
    window.keys["view"].trigger()
    assert not np.array_equal(overlay, np.asarray(window.video.image))
    window.snapshot(tmp_path / "window.png")
    assert (tmp_path / "window.png").stat().st_size > 10_000
    window.close()
    assert QApplication.instance() is not None


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="needs xvfb-run")
def test_a_real_window_on_x11_with_opencv_first(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key not in ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY")}
    command = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", sys.executable, "-W", "error", "-c", XCB, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=env, cwd=Path(__file__).parents[2])
    assert done.stdout.splitlines() == ["xcb True", "True"], done.stderr
