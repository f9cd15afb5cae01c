"""The real window over a real run: the shipped bundle, the demo drive, keys as a person presses them."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from drive_seg.assemble import WindowPlayer, assembled
from drive_seg.settings import Settings
from drive_seg.ui.app import run_window
from drive_seg.ui.window import MainWindow, View


def test_a_person_watches_pauses_steps_looks_at_the_mask_and_quits(qtbot: QtBot, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    seen: dict[str, object] = {}
    with assembled(Settings.load(None, {"source": "demo:?size=320x240&seed=5", "threads": 1}), window=True) as run:
        player = WindowPlayer(run)

        def window() -> MainWindow:
            return next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow) and widget.isVisible())

        def later(check: Callable[[], bool], then: Callable[[], None]) -> None:
            """Calls `then` once `check` holds, from within the window's own loop."""
            QTimer.singleShot(30, lambda: then() if check() else later(check, then))

        def playing() -> None:
            seen["miou"] = window().panel.values["mIoU"].text()
            qtbot.keyClick(window(), Qt.Key.Key_Space)
            later(lambda: window().state.text().strip("● ") == "paused", paused)

        def paused() -> None:
            seen["overlay"] = np.array(window().video.image)
            qtbot.keyClick(window(), "m")
            seen["mask"] = np.array(window().video.image)
            seen["view"] = window().view
            window().snapshot(tmp_path / "window.png")
            qtbot.keyClick(window(), "q")

        later(lambda: window().panel.values["mIoU"].text() not in ("", "–"), playing)
        assert run_window(player) == 0
        assert run.summary()["frames"] > 0  # type: ignore[operator]
    assert player.finished
    assert player.error is None
    assert str(seen["miou"]).endswith("%")
    assert seen["view"] is View.MASK
    assert not np.array_equal(seen["overlay"], seen["mask"])  # type: ignore[arg-type]
    assert (tmp_path / "window.png").stat().st_size > 10_000
    assert set(threading.enumerate()) <= before
