"""Makes docs/images: the real window, offscreen, on the demo drive. Run from the project's root: `python docs/screenshot.py`."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
from PIL import Image
from PyQt6.QtCore import QPoint, QSettings, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.ui.app import run_window
from drive_seg.ui.window import MainWindow

IMAGES = Path("docs/images")
SOURCE = "demo:?seed=7&size=960x540"
FRAMES = 600  # in the time line
BITS = 3  # that the picture loses, so that a file stays below 400 KB; the controls around it keep all theirs


def the_window() -> MainWindow:
    return next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow))


def save(name: str) -> None:
    window, path = the_window(), IMAGES / name
    window.snapshot(path)
    with Image.open(path) as picture:
        pixels = np.array(picture.convert("RGB"))
    corner, video = window.video.mapTo(window, QPoint(0, 0)), window.video
    area = pixels[corner.y() : corner.y() + video.height(), corner.x() : corner.x() + video.width()]
    area[:] = (area >> BITS << BITS) + (1 << BITS - 1)
    Image.fromarray(pixels).save(path, optimize=True)


def small(window: MainWindow) -> None:
    window.toggle_compare()
    window.show_page("accuracy")
    window.cockpit.toggle_errors()
    window.resize(800, 600)


def point(window: MainWindow) -> None:
    QTest.mouseMove(window.video, window.video.picture_rect().center().toPoint())


def light(window: MainWindow) -> None:
    window.toggle_theme()
    window.show_page("areas")


def compare(window: MainWindow) -> None:
    window.toggle_theme()
    window.cockpit.set_comparison({"schedule": "every-frame", "mode": "sync"})
    window.toggle_compare()


def long_enough(window: MainWindow) -> bool:
    return len(window.player.history(FRAMES)) == FRAMES


def compared(window: MainWindow) -> bool:
    beside = window.cockpit.status.comparison_numbers
    return beside is not None and beside.count > 0 and window.video.divider is not None


def alone(window: MainWindow) -> bool:
    return window.cockpit.status.comparison is None and window.width() == 800


# What is done, what has to come of it, for how many seconds more it plays, and the picture that is made then.
STEPS: list[tuple[Callable[[MainWindow], object], Callable[[MainWindow], bool], float, str]] = [
    (lambda window: window.resize(1420, 820), long_enough, 0, ""),
    (lambda window: window.show_page("timings"), long_enough, 2, "cockpit.png"),
    (light, long_enough, 2, "cockpit-light.png"),
    (compare, compared, 15, "compare.png"),
    (small, alone, 2, ""),
    (point, alone, 2, "small.png"),
]


def go(at: int = 0) -> None:
    """One step after the other, as fast as the machine comes to it."""
    if at == len(STEPS):
        the_window().close()
        return
    do, ready, wait_s, name = STEPS[at]
    do(the_window())
    since: list[float] = []

    def look() -> None:
        if ready(the_window()) and not since:
            since.append(time.monotonic())
        if not since or time.monotonic() - since[0] < wait_s:
            QTimer.singleShot(100, look)
            return
        if name:
            save(name)
        go(at + 1)

    look()


with tempfile.TemporaryDirectory() as folder:
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
    IMAGES.mkdir(parents=True, exist_ok=True)
    app = QApplication(["drive-seg"])

    class Watched(Player):
        def open(self) -> None:
            super().open()
            QTimer.singleShot(500, go)

    settings = {"source": SOURCE, "schedule": "keyframe:0.1", "propagation": "flow"}
    run_window(Watched(Settings.load(None, settings)))
