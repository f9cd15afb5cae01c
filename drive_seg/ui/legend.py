"""The class legend: a swatch, the name and the share of the frame's pixels for every class; a click hides it, with shift all others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from drive_seg.ui.theme import DARK, Theme
from drive_seg.ui.widgets import NONE, OwnKeys

ROW_PX, TEXT_PX, SWATCH_PX, SHARE_PX = 22, 18, 12, 48
LEAST = 0.0005  # a smaller share is a dash


class Legend(QWidget):
    """Painted in one go: a grid of labels would be laid out anew at every number. With the keyboard: arrows, space, shift+space."""

    toggled = pyqtSignal(int)
    soloed = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.classes: tuple[str, ...] = ()
        self.shares: NDArray[np.float32] = np.zeros(0, np.float32)  # 0..1, of the frame that was shown last
        self.theme: Theme = DARK
        self._colours: list[QColor] = []
        self._hidden: frozenset[int] = frozenset()
        self._at = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        OwnKeys(self, (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Space))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip(self.tr("Click: hide or show a class. Shift and click: that class alone."))

    def sizeHint(self) -> QSize:
        return QSize(200, ROW_PX * max(1, len(self.classes)))

    def show_classes(self, classes: Sequence[str], palette: Sequence[tuple[int, int, int]], hidden: frozenset[int]) -> None:
        """`palette`: RGB 0..255, one per class."""
        colours = [QColor(*rgb) for rgb in palette]
        if (tuple(classes), colours, hidden) == (self.classes, self._colours, self._hidden):  # told again a few times a second
            return
        if len(classes) != len(self.classes):
            self.shares, self._at = np.zeros(len(classes), np.float32), 0
        self.classes, self._hidden = tuple(classes), hidden
        self._colours = colours
        self.updateGeometry()
        self.update()

    def show_shares(self, shares: NDArray[np.float32]) -> None:
        """(classes,) 0..1; those of other classes are left aside."""
        if len(shares) != len(self.classes):
            return
        before, self.shares = self._drawn(), shares
        for row, (one, other) in enumerate(zip(before, self._drawn(), strict=True)):
            if one != other:
                self.update(0, row * ROW_PX, self.width(), ROW_PX)

    def _drawn(self) -> list[tuple[str, int]]:
        """The figure of each row, and the pixels of its bar."""
        width = self.width() - SWATCH_PX - 18
        return [(f"{share:.1%}" if share >= LEAST else NONE, round(width * share)) for share in map(float, self.shares)]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, drawn in enumerate(self._drawn()):
            if event is None or event.region().intersects(QRect(0, row * ROW_PX, self.width(), ROW_PX)):
                self._paint_row(painter, row, *drawn)
        painter.end()

    def _paint_row(self, painter: QPainter, row: int, figure: str, bar_px: int) -> None:
        theme, top, width, shown = self.theme, row * ROW_PX, self.width(), row not in self._hidden
        colour, share = self._colours[row], float(self.shares[row])
        middle = Qt.AlignmentFlag.AlignVCenter
        if self.hasFocus() and row == self._at:
            painter.setPen(QPen(QColor(theme.accent), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(0.5, top + 0.5, width - 1, ROW_PX - 2), 3, 3)
        swatch = QRectF(4.5, top + 0.5 + (TEXT_PX - SWATCH_PX) / 2, SWATCH_PX, SWATCH_PX)
        painter.setPen(QColor(theme.dim))
        painter.setBrush(colour if shown else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(swatch, 3, 3)
        if not shown:
            painter.drawLine(swatch.bottomLeft(), swatch.topRight())
        track = QRectF(SWATCH_PX + 14, top + TEXT_PX, width - SWATCH_PX - 18, 2)
        painter.fillRect(track, QColor(theme.line))
        if shown:
            painter.fillRect(QRectF(track.x(), track.y(), bar_px, track.height()), colour)
        painter.setPen(QColor(theme.text if shown and share >= LEAST else theme.dim))
        if not shown:
            font = painter.font()
            font.setStrikeOut(True)
            painter.setFont(font)
        painter.drawText(QRectF(track.x(), top, track.width() - SHARE_PX, TEXT_PX), middle | Qt.AlignmentFlag.AlignLeft, self.classes[row])
        if not shown:
            painter.setFont(self.font())
        painter.drawText(QRectF(track.right() - SHARE_PX, top, SHARE_PX, TEXT_PX), middle | Qt.AlignmentFlag.AlignRight, figure)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event and event.button() == Qt.MouseButton.LeftButton:
            self._choose(int(event.position().y()) // ROW_PX, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None
        if event.key() == Qt.Key.Key_Space:
            self._choose(self._at, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            step = 1 if event.key() == Qt.Key.Key_Down else -1
            self._at = min(max(self._at + step, 0), max(0, len(self.classes) - 1))
            self.update()
        else:
            super().keyPressEvent(event)

    def _choose(self, row: int, alone: bool) -> None:
        if 0 <= row < len(self.classes):
            self._at = row
            (self.soloed if alone else self.toggled).emit(row)
