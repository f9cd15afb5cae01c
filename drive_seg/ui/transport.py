"""Under the picture: play and step, a seek bar with the key frames marked, speed, loop, snapshot and recording."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QMouseEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QWidget

from drive_seg.contracts import SourceInfo
from drive_seg.session.history import Moment
from drive_seg.session.status import Status
from drive_seg.ui.cockpit import SPEEDS, Cockpit
from drive_seg.ui.theme import DARK, Theme
from drive_seg.ui.widgets import Choice, label

BUTTONS_LEFT, BUTTONS_RIGHT = ("back", "pause", "step"), ("loop", "refresh", "snapshot", "record")


class SeekBar(QWidget):
    """Where in the source the frame is; the key frames that were seen stand under it as marks."""

    seeked = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.keys: NDArray[np.bool_] = np.zeros(0, np.bool_)  # by frame
        self.position, self.seekable = 0, False
        self._of = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(60)
        self.setToolTip(self.tr("Click or drag to go there; the marks are key frames"))

    def sizeHint(self) -> QSize:
        return QSize(200, 26)

    def show_place(self, source: SourceInfo, position: int | None, seekable: bool) -> None:
        count = source.frame_count  # None where it has no end
        if self._of != source.name or len(self.keys) != (count or 0):
            self._of = source.name
            self.keys = np.zeros(count or 0, np.bool_)
        self.position, self.seekable = position or 0, seekable
        self.setEnabled(seekable)
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
        if count > 1 and self.seekable:
            done = width * self.position / (count - 1)
            painter.setBrush(QColor(self.theme.accent))
            painter.drawRoundedRect(QRectF(6, 8, done, 5), 2.5, 2.5)
            columns = np.unique((np.flatnonzero(self.keys) * (width / (count - 1))).astype(int))
            for x in columns:
                painter.fillRect(QRectF(6 + int(x), 17, 1, 5), QColor(self.theme.second))
            painter.setBrush(QColor(self.theme.text))
            painter.drawEllipse(QRectF(done, 4.5, 12, 12))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event and self.seekable and event.buttons() & Qt.MouseButton.LeftButton:
            self.seeked.emit(self.index_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        self.mousePressEvent(event)


class Transport(QWidget):
    def __init__(self, cockpit: Cockpit, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.bar = SeekBar()
        self.place = label("", "dim")
        self.speed = Choice(self.tr("Playback speed"))
        self.speed.setFixedWidth(66)
        line = QHBoxLayout(self)
        line.setContentsMargins(8, 3, 8, 3)
        line.setSpacing(3)
        for name in BUTTONS_LEFT:
            line.addWidget(icon_button(actions[name]))
        line.addWidget(self.bar, 1)
        line.addWidget(self.place)
        line.addWidget(self.speed)
        for name in BUTTONS_RIGHT:
            line.addWidget(icon_button(actions[name]))
        self.bar.seeked.connect(cockpit.seek)
        self.speed.chosen.connect(lambda factor: cockpit.set_speed(float(factor)))

    def show_state(self, status: Status) -> None:
        source = status.source
        self.bar.show_place(source, status.position, status.seekable)
        self.speed.offer([(f"{one:g}", f"{one:g}×") for one in SPEEDS], f"{status.speed:g}")
        self.speed.setEnabled(not source.live)
        at = 0 if status.position is None else status.position
        if source.live or not source.fps:
            self.place.setText(self.tr("live · #{0}").format(at) if source.live else f"#{at}")
            return
        whole = f" / {clock(source.frame_count / source.fps)}" if source.frame_count else ""
        self.place.setText(f"{clock(at / source.fps)}{whole}")
        self.place.setToolTip(self.tr("frame {0} of {1}").format(at, source.frame_count or "∞"))


def clock(seconds: float) -> str:
    """1:05, and with hours 1:02:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def icon_button(action: QAction, text: bool = False) -> QToolButton:
    """Of the action's icon alone unless `text`; its tooltip says what it does."""
    made = QToolButton()
    made.setDefaultAction(action)
    made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon if text else Qt.ToolButtonStyle.ToolButtonIconOnly)
    made.setIconSize(QSize(18, 18))
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return made
