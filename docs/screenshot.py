"""Makes docs/images: the real window, offscreen, on the demo drive. Run from the project's root: `python docs/screenshot.py`."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
from PIL import Image
from PyQt6.QtCore import QPoint, QSettings, QTimer
from PyQt6.QtWidgets import QApplication

from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.ui.app import run_window
from drive_seg.ui.window import MainWindow

IMAGES = Path("docs/images")
SOURCE, SECONDS = "demo:?seed=7&size=960x540", 25
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


def cockpit() -> None:
    the_window().show_page("timings")


def light() -> None:
    save("cockpit.png")
    the_window().toggle_theme()
    the_window().show_page("areas")


def compare() -> None:
    save("cockpit-light.png")
    window = the_window()
    window.toggle_theme()
    window.cockpit.set_comparison({"schedule": "every-frame", "mode": "sync"})
    window.toggle_compare()


def close() -> None:
    save("compare.png")
    the_window().close()


with tempfile.TemporaryDirectory() as folder:
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
    IMAGES.mkdir(parents=True, exist_ok=True)
    app = QApplication(["drive-seg"])
    steps: list[tuple[float, Callable[[], None]]] = [
        (0.5, lambda: the_window().resize(1420, 820)),
        (SECONDS, cockpit),
        (SECONDS + 2, light),
        (SECONDS + 4, compare),
        (2 * SECONDS, close),
    ]

    class Watched(Player):
        def open(self) -> None:
            super().open()
            for after_s, step in steps:
                QTimer.singleShot(round(after_s * 1000), step)

    settings = {"source": SOURCE, "schedule": "keyframe:0.1", "propagation": "flow"}
    run_window(Watched(Settings.load(None, settings)))
