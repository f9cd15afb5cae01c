"""Runs the window: Qt's application around one player, or the rack of several cameras, from the first frame to the closed window."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from drive_seg.session.player import Player
from drive_seg.session.rack import Rack
from drive_seg.ui.display import require_display
from drive_seg.workers import ended_by_signals

if TYPE_CHECKING:
    from drive_seg.ui.meter import Meter

SALVAGE_S = 5.0  # what is still to be written may take so long where a second signal ends the process
WARMUP_S = 3.0  # of a window that is measured


def run_window(player: Player | Rack, *, title: str = "drive-seg", seconds: float | None = None) -> "Meter":
    """Opens the player, shows it until the window is closed, by a person, by SIGINT or SIGTERM, and closes the player.

    The window stays through the end of the source and through failures. Call from the main thread. Returns what the window itself cost;
    with `seconds` it closes by itself after so many, and what it cost in the WARMUP_S before them is forgotten.
    Raises DisplayError before the player is opened when no window can be opened here, and what the player's `open` raises.
    """
    require_display()
    from PyQt6.QtCore import QCoreApplication, QEventLoop, QLocale, QTimer
    from PyQt6.QtWidgets import QApplication

    from drive_seg.ui.cameras import CamerasWindow
    from drive_seg.ui.catalogue import catalogue_for
    from drive_seg.ui.window import MainWindow

    app = QApplication.instance() or QApplication([sys.argv[0] or title])
    app.setApplicationName(title)
    if isinstance(app, QApplication):
        app.setStyle("Fusion")  # the one style that takes every colour of a palette, and is the same everywhere
    if words := catalogue_for(QLocale.system().uiLanguages()):
        QCoreApplication.installTranslator(words)
    loop = QEventLoop()  # its own: Qt's ends with the last window of all, a moment after ours
    try:
        # In the loop, even if that has not begun yet.
        with ended_by_signals(lambda _: QTimer.singleShot(0, loop.quit), lambda: player.salvage(SALVAGE_S)):
            player.open()
            window = CamerasWindow(player, title) if isinstance(player, Rack) else MainWindow(player, title)
            window.closed.connect(loop.quit)
            for after_s, what in () if seconds is None else ((WARMUP_S, window.meter.restart), (WARMUP_S + seconds, loop.quit)):
                timer = QTimer(loop)
                timer.setSingleShot(True)
                timer.timeout.connect(what)
                timer.start(round(after_s * 1e3))
            with caught(window.failed):
                window.show()
                loop.exec()
            window.close()
            window.deleteLater()
    finally:
        player.close()
        if words:
            QCoreApplication.removeTranslator(words)
    return window.meter


@contextmanager
def caught(tell: Callable[..., Any]) -> Iterator[None]:
    """Exceptions that leave Qt's calls go to `tell`; without a hook they would abort the process."""
    before, sys.excepthook = sys.excepthook, tell
    try:
        yield
    finally:
        sys.excepthook = before
