"""The main window: shows the newest result of a player, its numbers and a legend, and gives the player its keys."""

import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Protocol

from PyQt6.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QKeyEvent
from PyQt6.QtWidgets import QHBoxLayout, QMainWindow, QWidget

from drive_seg.contracts import Image, Result, SourceInfo
from drive_seg.errors import SinkError
from drive_seg.overlay import Painter
from drive_seg.stats import LiveScore, Numbers
from drive_seg.ui import theme
from drive_seg.ui.panel import Panel, label
from drive_seg.ui.view import VideoView

PICTURE_GAP_S = 1 / 60  # no screen shows more, and each picture takes time from the network
NUMBERS_GAP_MS = 200  # faster than that a number cannot be read; Python's signal handlers wait for it too
SIZE = QSize(1420, 720)  # with the panel, a 16:9 picture of 1120x630
HINTS = "space pause   ·   . step   ·   + − opacity   ·   m view   ·   f full screen   ·   q quit"


class Player(Protocol):
    """A run that the window watches and steers; all is called from the window's thread."""

    def start(self, on_new: Callable[[], None]) -> None:
        """`on_new` may come from any thread; once per result taken is enough."""

    def stop(self) -> None:
        """Ends the run and waits for its threads; idempotent, also without a start. `on_new` is not called afterwards."""

    def take(self) -> Result | None:
        """The newest result that was not taken yet."""

    def numbers(self) -> Numbers:
        """The last second, of all results."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def step(self) -> None:
        """One frame further; only while paused."""

    @property
    def paused(self) -> bool: ...

    @property
    def state(self) -> str:
        """For people: "playing", "paused", "connecting", "ended" …"""

    @property
    def error(self) -> BaseException | None:
        """What ended the run, if that was an error."""

    @property
    def finished(self) -> bool:
        """No further result will come."""

    @property
    def info(self) -> SourceInfo: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def palette(self) -> tuple[tuple[int, int, int], ...]:
        """RGB, one per class."""

    @property
    def headline(self) -> str:
        """Model, backend, precision, device and schedule in one line."""

    @property
    def dropped(self) -> int: ...

    @property
    def opacity(self) -> float:
        """Of the mask, 0..1, to begin with."""


class View(Enum):
    OVERLAY = "overlay"
    MASK = "mask"
    PICTURE = "picture"


class MainWindow(QMainWindow):
    """Owns nothing of the run but its end: closing the window stops the player."""

    closed = pyqtSignal()
    _arrived = pyqtSignal()  # carries no picture: a queue of signals must never be a queue of frames

    def __init__(self, player: Player, title: str = "drive-seg") -> None:
        super().__init__()
        self.error: BaseException | None = None  # what ended the run, the window's own failures included
        self.view, self.opacity = View.OVERLAY, player.opacity
        self._player, self._painter = player, Painter(player.palette)
        self._result: Result | None = None
        self._numbers = Numbers()
        self._shown_s = float("-inf")
        # ids are comparable only where source and model mean the same by them
        labelled = player.info.labelled and player.info.classes in ((), player.classes)
        self._score = LiveScore(player.classes) if labelled else None
        self._actions: dict[str, Callable[[], None]] = {
            " ": self._toggle_pause,
            ".": self._step,
            "+": lambda: self._fade(+0.1),
            "=": lambda: self._fade(+0.1),
            "-": lambda: self._fade(-0.1),
            "m": self._next_view,
            "f": self._toggle_full_screen,
            "q": self._quit,
            "\x1b": self._quit,
        }
        self.setWindowTitle(f"{player.info.name} – {title}")
        self._build()
        self._arrived.connect(self._guarded(self._show_newest))  # from another thread Qt queues it for this one
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._guarded(self._show_newest))
        self._tick = QTimer(self)
        self._tick.timeout.connect(self._guarded(self.refresh))
        self._tick.start(NUMBERS_GAP_MS)
        self.refresh()

    def _build(self) -> None:
        player = self._player
        self.setStyleSheet(theme.STYLE)
        self.video = VideoView(f"waiting for {player.info.name} …")
        self.panel = Panel(player.headline, player.classes, player.palette, labelled=self._score is not None)
        self.source, self.state = label(player.info.name), label("")
        body = QWidget()
        row = QHBoxLayout(body)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.video, stretch=1)
        row.addWidget(self.panel)
        self.setCentralWidget(body)
        bar = self.statusBar()
        assert bar is not None  # Qt makes it on demand; only its stubs allow None
        bar.setSizeGripEnabled(False)
        bar.addWidget(self.state)
        bar.addWidget(self.source)
        bar.addPermanentWidget(label(HINTS, "dim"))
        screen = self.screen()
        self.resize(SIZE if screen is None else SIZE.boundedTo(screen.availableSize() * 0.95))

    def notify(self) -> None:
        """A new result can be taken. May be called from any thread."""
        self._arrived.emit()

    def snapshot(self, path: Path) -> None:
        """Writes the window as it is to an image file. Raises SinkError."""
        self.refresh()
        if not self.grab().save(str(path)):
            raise SinkError(f"cannot write the window's picture to {path}; is the folder there and the ending one of .png .jpg?")

    def refresh(self) -> None:
        """Brings the numbers, the legend and the state up to date; closes the window after the player's error."""
        player = self._player
        if not (player.paused or player.finished):  # a person pauses to read them
            self._numbers = player.numbers()
        self.panel.show_numbers(self._numbers, player.dropped, self._score.miou if self._score else None)
        self.panel.show_view(self.view.value if self.view is not View.OVERLAY else f"overlay · {self.opacity:.0%}")
        if self._result:
            self.panel.show_frame(self._result)
        state = player.state
        self.state.setText(f"● {state}")
        self.state.setStyleSheet(f"color: {theme.STATE_COLOURS.get(state, theme.DIM)}")
        if player.error is not None:
            self._fail(player.error)

    def _show_newest(self) -> None:
        wait_s = self._shown_s + PICTURE_GAP_S - time.perf_counter()
        if wait_s > 0:
            if not self._later.isActive():
                self._later.start(max(1, round(wait_s * 1000)))
            return
        result = self._player.take()
        if result is None:
            return
        self._result, self._shown_s = result, time.perf_counter()
        if self._score and result.frame.labels is not None:
            self._score.add(result.frame.labels, result.labels)
        self._redraw()

    def _redraw(self) -> None:
        if self._result:
            self.video.show_image(self._compose(self._result))

    def _compose(self, result: Result) -> Image:
        image = result.frame.image
        if self.view is View.PICTURE:
            return image
        if self.view is View.MASK:
            return self._painter.colour(result.labels, (image.shape[0], image.shape[1]))
        return self._painter.paint(image, result.labels, self.opacity)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None
        action = self._actions.get(event.text().lower())
        if action is None:
            super().keyPressEvent(event)
        elif not event.isAutoRepeat() or event.text() in ".+=-":
            self._guarded(action)()

    def _toggle_pause(self) -> None:
        if self._player.paused:
            self._player.resume()
        elif not self._player.finished:
            self._player.pause()
        self.refresh()

    def _step(self) -> None:
        if self._player.finished:
            return
        if not self._player.paused:
            self._player.pause()
        self._player.step()
        self.refresh()

    def _fade(self, by: float) -> None:
        self.opacity = round(min(1.0, max(0.0, self.opacity + by)), 2)
        self._redraw()
        self.refresh()

    def _next_view(self) -> None:
        views = list(View)
        self.view = views[(views.index(self.view) + 1) % len(views)]
        self._redraw()
        self.refresh()

    def _toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _quit(self) -> None:
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._tick.stop()
        self._later.stop()
        try:
            self._player.stop()
        except BaseException as error:
            self.error = self.error or error
        super().closeEvent(event)
        self.closed.emit()

    def _guarded(self, action: Callable[[], None]) -> Callable[[], None]:
        """An exception that leaves a Qt slot aborts the process; here it closes the window and waits in `error`."""

        def run() -> None:
            try:
                action()
            except BaseException as error:
                self._fail(error)

        return run

    def _fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self.close()
