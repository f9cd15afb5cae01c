"""The window of several cameras: their pictures as tiles, one of which can be enlarged, and below it that camera's last frames."""

import math

from PyQt6.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QKeyEvent, QKeySequence, QMouseEvent, QShortcut
from PyQt6.QtWidgets import QApplication, QGridLayout, QMainWindow, QSplitter, QWidget

from drive_seg.redaction import redacted, tell_crash
from drive_seg.session.compose import View, compose
from drive_seg.session.film import Versus
from drive_seg.session.rack import CameraStatus, Rack
from drive_seg.session.status import Shown
from drive_seg.ui.choices import translate
from drive_seg.ui.keeping import Memory
from drive_seg.ui.layout import state_name
from drive_seg.ui.meter import Meter
from drive_seg.ui.strip import LENGTH, Strip
from drive_seg.ui.theme import DARK, LIGHT, THEMES, Theme, palette, style
from drive_seg.ui.view import VideoView
from drive_seg.ui.widgets import Elided

NUMBERS_GAP_MS = 200  # as in the window of one source
PICTURE_GAP_MS = 16  # no screen shows more
SIZE = QSize(1420, 820)
CLICK_PX = 4  # a press that moves further moves the picture


class Tile(VideoView):
    """One camera's picture, with its number, state, rate and name; a click, or Enter where it has the focus, enlarges it or goes back."""

    clicked = pyqtSignal()

    def __init__(self, meter: Meter, number: int) -> None:
        """`number`: the key that enlarges it, from 1."""
        super().__init__(meter)
        self._number = str(number)
        self.shown: Shown | None = None
        self._pressed: tuple[float, float] | None = None

    def tell(self, status: CameraStatus) -> None:
        said = [self._number, state_name(status.state)]
        if status.numbers.count:
            said += [f"{status.numbers.fps:.1f} fps", f"{status.numbers.p50_ms:.1f} ms"]
        if status.dropped:
            said.append(translate("ui", "{0} dropped").format(status.dropped))
        said.append(status.name)  # last: what there is no room for is left out, and the tip has all
        self.tags, self.waiting = (" · ".join(said), ""), "\n".join(filter(None, (" · ".join(said), status.error)))
        self.setAccessibleName(self.tags[0])
        self.setToolTip(self.waiting)
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        super().mousePressEvent(event)
        left = event and event.button() == Qt.MouseButton.LeftButton
        self._pressed = (event.position().x(), event.position().y()) if event and left else None

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        super().mouseReleaseEvent(event)
        before, self._pressed = self._pressed, None
        if event and before and math.dist(before, (event.position().x(), event.position().y())) <= CLICK_PX:
            self.clicked.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.clicked.emit()
        else:
            super().keyPressEvent(event)


class CamerasWindow(QMainWindow):
    """Owns nothing of the run but its end: closing the window closes the rack. No camera that fails closes the window."""

    closed = pyqtSignal()
    _arrived = pyqtSignal()  # carries no picture

    def __init__(self, rack: Rack, title: str = "drive-seg", memory: Memory | None = None) -> None:
        """`rack` is open. `memory`: where the theme is kept, the user's own unless given."""
        super().__init__()
        self.rack, self.meter, self.enlarged = rack, Meter(), None if len(rack.cameras.sessions) > 1 else 0
        self.tiles = [Tile(self.meter, at + 1) for at in range(len(rack.cameras.sessions))]
        self.strip, self.line = Strip(self.meter), Elided("dim")
        self._area = QWidget()
        self._grid = QGridLayout(self._area)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        columns = math.ceil(math.sqrt(len(self.tiles)))
        for at, tile in enumerate(self.tiles):
            self._grid.addWidget(tile, at // columns, at % columns)
            tile.clicked.connect(lambda at=at: self.enlarge(at if self.enlarged is None else None))
            tile.resized.connect(lambda at=at: self._draw(at, None))
            QShortcut(QKeySequence(str(at + 1)), self, lambda at=at: self.enlarge(at))
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self._area)
        split.addWidget(self.strip)
        split.setStretchFactor(0, 1)
        split.setChildrenCollapsible(False)
        split.setSizes([600, 190])
        self.setCentralWidget(split)
        bar = self.statusBar()
        assert bar is not None
        bar.addWidget(self.line, 1)
        for keys, what in (("Esc", lambda: self.enlarge(None)), ("F F11", self.toggle_full_screen), ("Q Ctrl+Q", self.close)):
            for key in keys.split():  # as in the window of one source
                QShortcut(QKeySequence(key), self, what)
        self.setWindowTitle(translate("ui", "{0} cameras – {1}").format(len(self.tiles), title))
        self.setMinimumSize(640, 420)
        self.resize(SIZE)
        self._wire()
        hints = QApplication.styleHints()
        light = hints is not None and hints.colorScheme() == Qt.ColorScheme.Light
        self.paint(THEMES.get((memory or Memory()).text("theme", ""), LIGHT if light else DARK))

    def _wire(self) -> None:
        self._tick, self._later = QTimer(self), QTimer(self)
        self._tick.timeout.connect(self.refresh)
        self._tick.start(NUMBERS_GAP_MS)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._show_newest)
        self._arrived.connect(lambda: self._later.isActive() or self._later.start(PICTURE_GAP_MS))
        self.rack.on_new = self._arrived.emit
        self._later.start(0)  # what came before anybody was told

    @property
    def focused(self) -> int:
        """The camera that the strip is of: the enlarged one, else the first."""
        return self.enlarged or 0

    def enlarge(self, at: int | None) -> None:
        """One camera's picture alone; None: all of them."""
        self.enlarged = at
        for number, tile in enumerate(self.tiles):
            tile.setVisible(at in (None, number))
            self._draw(number, None)  # what came while nobody saw it
        self.tiles[self.focused].setFocus()
        self.refresh()

    def toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def refresh(self) -> None:
        """Brings all but the pictures up to date."""
        with self.meter.time():
            for at, tile in enumerate(self.tiles):
                tile.tell(self.rack.status(at))
            self.strip.show_moments(self.rack.history(self.focused, LENGTH))
            self.line.setText(f"{self.focused + 1}: {self.rack.cameras.names[self.focused]} · {self.rack.headline}")

    def paint(self, theme: Theme) -> None:
        """The whole window in this theme's colours."""
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setPalette(palette(theme))
        self.setStyleSheet(style(theme))
        self.strip.paint(theme)
        for tile in self.tiles:
            tile.theme = theme
        self.refresh()

    def failed(self, kind: type[BaseException], error: BaseException, trace: object) -> None:
        """An exception that leaves one of Qt's calls would end the process; it is said here instead, and the window stays."""
        line = redacted(translate("ui", "the window itself failed: {0}: {1}; please report it").format(kind.__name__, error))
        bar = self.statusBar()
        if bar and bar.currentMessage() != line:  # a failure of every frame is told once
            tell_crash(error)
            bar.showMessage(line)

    def _show_newest(self) -> None:
        for at, shown in self.rack.take().items():
            with self.meter.time():
                self.tiles[at].shown = shown
                self._draw(at, shown.result.frame.captured_s)

    def _draw(self, at: int, captured_s: float | None) -> None:
        """What no one sees is not painted."""
        tile = self.tiles[at]
        if (shown := tile.shown) and tile.isVisible():
            room_hw = tile.room(shown.result.frame.image)
            tile.show_image(compose(shown, self.rack.painter(at), View.OVERLAY, Versus.SPLIT, 1.0, room_hw), captured_s)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._tick.stop()
        self._later.stop()
        self.rack.close()
        self.strip.plot.close_plot()
        super().closeEvent(event)
        self.closed.emit()
