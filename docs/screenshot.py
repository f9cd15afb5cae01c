"""Makes docs/window.png: the real window, offscreen, on the demo drive. Run from the project's root: `python docs/screenshot.py`."""

import os
import sys
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication

from drive_seg.assemble import WindowPlayer, assembled
from drive_seg.settings import Settings
from drive_seg.ui.app import run_window
from drive_seg.ui.window import MainWindow

SECONDS = 3


def the_window() -> MainWindow:
    return next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow))


def shoot() -> None:
    window = the_window()
    window.snapshot(Path("docs/window.png"))
    window.close()


source = sys.argv[1] if len(sys.argv) > 1 else "demo:?seed=7&size=960x720"
with assembled(Settings.load(None, {"source": source, "schedule": "clockwork:4"}), window=True) as run:
    app = QApplication(["drive-seg"])
    QTimer.singleShot(500, lambda: the_window().resize(1280, 760))
    QTimer.singleShot(SECONDS * 1000, shoot)
    run_window(WindowPlayer(run))
