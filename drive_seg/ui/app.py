"""Runs the window: Qt's application around one player, from the first frame to the closed window."""

import sys
from typing import TYPE_CHECKING

from drive_seg.ui.display import require_display
from drive_seg.workers import ended_by_signals

if TYPE_CHECKING:  # Qt is imported once it is known to work
    from drive_seg.ui.window import Player


def run_window(player: "Player", *, title: str = "drive-seg") -> int:
    """Starts the player and shows it until the window is closed, by a person, by SIGINT or SIGTERM, or by the player's error.

    At the end of the source the window stays, on the last frame. Call from the main thread. Returns the exit code, 0.
    Raises DisplayError before the player is started when no window can be opened here, and the error that ended the player.
    """
    require_display()
    from PyQt6.QtCore import QEventLoop, QTimer
    from PyQt6.QtWidgets import QApplication

    from drive_seg.ui.window import MainWindow

    app = QApplication.instance() or QApplication([sys.argv[0] or title])
    app.setApplicationName(title)
    window = MainWindow(player, title)
    loop = QEventLoop()  # its own: Qt's ends with the last window of all, a moment after ours
    window.closed.connect(loop.quit)
    try:
        with ended_by_signals(lambda: QTimer.singleShot(0, window.close)):  # in the loop, even if it has not begun yet
            window.show()
            player.start(window.notify)
            if window.isVisible():  # a failure in the first moment may have closed it already
                loop.exec()
    finally:
        player.stop()
        window.deleteLater()
    if window.error is not None:
        raise window.error
    return 0
