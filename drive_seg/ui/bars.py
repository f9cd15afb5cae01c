"""The bars over and under the picture: what went wrong or was done; and play and step, a seek bar, speed, loop, snapshot and recording."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QObject, QRectF, QSize, Qt, QTimer, QUrl, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QDesktopServices, QImage, QKeyEvent, QKeySequence, QMouseEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QToolTip, QVBoxLayout, QWidget

from drive_seg.contracts import SourceInfo
from drive_seg.redaction import redacted
from drive_seg.session.history import Moment
from drive_seg.session.status import Status
from drive_seg.ui.cockpit import SPEEDS, Cockpit
from drive_seg.ui.theme import DARK, Theme
from drive_seg.ui.widgets import Choice, icon_button, label, row

BUTTONS_LEFT, BUTTONS_RIGHT = ("back", "pause", "step"), ("loop", "refresh", "snapshot", "record")
NOTICE_MS = 6000  # what went well goes by itself


class SeekBar(QWidget):
    """Where in the source the frame is; the key frames that were seen stand under it as marks."""

    seeked = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.keys: NDArray[np.bool_] = np.zeros(0, np.bool_)  # by frame
        self.position, self.seekable = 0, False
        self.part: tuple[int, int | None] | None = None  # from A to B
        self._of, self._fps = "", 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(60)
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        return QSize(200, 26)

    def show_place(self, source: SourceInfo, position: int | None, seekable: bool) -> None:
        count = source.frame_count  # None where it has no end
        if self._of != source.name or len(self.keys) != (count or 0):
            self._of, self._fps = source.name, source.fps
            self.keys = np.zeros(count or 0, np.bool_)
        self.position, self.seekable = position or 0, seekable and len(self.keys) > 1  # what has no end has no place to go to
        self.setEnabled(self.seekable)
        self.update()

    def mark(self, moments: Iterable[Moment]) -> None:
        """What became of frames; a later pass counts."""
        for moment in moments:
            if moment.index < len(self.keys):
                self.keys[moment.index] = moment.is_key

    def index_at(self, x: float) -> int:
        count = len(self.keys)
        return min(max(round((x - 6) / max(1.0, self.width() - 12.0) * (count - 1)), 0), max(0, count - 1))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width, count = self.width() - 12.0, len(self.keys)
        track = QRectF(6, 8, width, 5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.theme.line))
        painter.drawRoundedRect(track, 2.5, 2.5)
        if self.seekable:
            done = width * self.position / (count - 1)
            painter.setBrush(QColor(self.theme.accent))
            painter.drawRoundedRect(QRectF(6, 8, done, 5), 2.5, 2.5)
            marks = key_marks(self.keys, int(width) + 1, QColor(self.theme.second))
            painter.drawImage(QRectF(6, 17, marks.width(), 5), marks)
            if self.part:
                begin, end = self.part
                a, b = (6 + width * index / (count - 1) for index in (begin, self.position if end is None else end))
                painter.fillRect(QRectF(min(a, b), 3, max(2.0, abs(b - a)), 3), QColor(self.theme.good))
            painter.setBrush(QColor(self.theme.text))
            painter.drawEllipse(QRectF(done, 4.5, 12, 12))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event and self.seekable and event.buttons() & Qt.MouseButton.LeftButton:
            self.seeked.emit(self.index_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        self.mousePressEvent(event)
        if event and self.seekable:
            index = self.index_at(event.position().x())
            time = clock(index / self._fps, exact=True) if self._fps else ""
            where = self.tr("{0}  frame {1}  —  click or drag to go there; the marks are key frames").format(time, index)
            self.setToolTip(where)
            QToolTip.showText(event.globalPosition().toPoint(), where, self)


def key_marks(keys: NDArray[np.bool_], width: int, colour: QColor) -> QImage:
    """One row of pixels for all the frames, of this colour where a key frame is, else clear."""
    row = np.zeros(width, np.uint32)
    row[np.flatnonzero(keys) * (width - 1) // max(1, len(keys) - 1)] = colour.rgba()
    return QImage(row.tobytes(), width, 1, QImage.Format.Format_ARGB32).copy()


class Transport(QWidget):
    def __init__(self, cockpit: Cockpit, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        self._cockpit = cockpit
        self.setObjectName("bar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.bar = SeekBar()
        self.place = label("", "dim")
        self.speed = Choice(self.tr("Playback speed"))
        self.speed.setFixedWidth(66)
        left, right = ([icon_button(actions[name]) for name in names] for names in (BUTTONS_LEFT, BUTTONS_RIGHT))
        line = QVBoxLayout(self)
        line.setContentsMargins(8, 0, 8, 3)
        line.setSpacing(0)
        line.addWidget(self.bar)  # all the width: in a small window the buttons would leave it none
        line.addWidget(row(*left, self.place, QWidget(), self.speed, *right, stretch=len(left) + 1, spacing=3))
        self.bar.seeked.connect(cockpit.seek)
        self.speed.chosen.connect(lambda factor: cockpit.set_speed(float(factor)))

    def show_state(self, status: Status) -> None:
        source = status.source
        self.bar.part = self._cockpit.part
        self.bar.show_place(source, status.position, status.seekable)
        self.speed.offer([(f"{one:g}", f"{one:g}×") for one in SPEEDS], f"{status.speed:g}")
        self.speed.setEnabled(not source.live)
        at = 0 if status.position is None else status.position
        if source.live or not source.fps:
            self.place.setText(self.tr("live · #{0}").format(at) if source.live else f"#{at}")
            return
        whole = f" / {clock(source.frame_count / source.fps)}" if source.frame_count else ""
        shown = self._cockpit.shown
        time_s = shown.result.frame.time_s if shown and shown.result.frame.index == at else at / source.fps
        self.place.setText(f"{clock(time_s, exact=True)}{whole} · #{at}")
        self.place.setToolTip(self.tr("frame {0} of {1}").format(at, source.frame_count or "∞"))


def clock(seconds: float, exact: bool = False) -> str:
    """1:05, and with hours 1:02:05; `exact`: 1:05.250."""
    whole, ms = divmod(round(seconds * 1e3) if exact else int(seconds) * 1000, 1000)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    said = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{said}.{ms:03}" if exact else said


class Message(QLabel):
    """What is selected of it is what Ctrl+C copies, and not the picture."""

    def event(self, event: QEvent | None) -> bool:
        copy = isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Copy)
        if event and copy and event.type() == QEvent.Type.ShortcutOverride and self.hasSelectedText():
            event.accept()
            return True
        return super().event(event)


class TroubleBar(QWidget):
    """Says in words what went wrong or was done, until it is dismissed. Lies over the picture: what is dragged there does not move."""

    def __init__(self, over: QWidget, dismiss: QAction) -> None:
        """`over`: along whose upper edge it lies. `dismiss`: what its cross does; its tooltip names the key."""
        super().__init__(over)
        self.setObjectName("trouble")
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_NoMousePropagation)  # under it the picture is not meant
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.text = Message()
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.folder = QToolButton()
        self.folder.setText(self.tr("Show folder"))
        self.folder.setProperty("framed", True)
        self.folder.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.folder.clicked.connect(lambda: QDesktopServices.openUrl(self._url))
        self._url = QUrl()
        self.cross = QToolButton()
        self.cross.setDefaultAction(dismiss)
        self.cross.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 6, 8, 6)
        line.addWidget(self.text, 1)
        line.addWidget(self.folder, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.cross, 0, Qt.AlignmentFlag.AlignTop)
        self._fade = QTimer(self)
        self._fade.setSingleShot(True)
        self._fade.timeout.connect(self.hide)
        dismiss.triggered.connect(self.hide)
        over.installEventFilter(self)
        self.hide()

    def tell(self, text: str, failure: bool, folder: Path | None = None) -> None:
        """A failure stays until it is dismissed or another comes; a notice never takes its place. `folder`: can be shown."""
        if not failure and self.isVisible() and self.property("kind") == "failure":
            return
        self.text.setText(redacted(f"⚠  {text}" if failure else text))
        self._url = QUrl.fromLocalFile(str(folder)) if folder else QUrl()
        self.folder.setVisible(folder is not None)
        self.setProperty("kind", "failure" if failure else "notice")
        style = self.style()
        assert style is not None
        style.unpolish(self)  # the style sheet knows the property only so
        style.polish(self)
        self._fade.stop() if failure else self._fade.start(NOTICE_MS)
        self.show()
        self._place()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event and event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        over = self.parentWidget()
        assert over is not None
        needs = max(self.heightForWidth(over.width()), self.minimumSizeHint().height())
        self.setGeometry(0, 0, over.width(), min(needs, over.height()))
        self.raise_()
