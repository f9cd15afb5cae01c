"""The class legend: a swatch, the name and the share of the current frame's pixels for every class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from drive_seg.contracts import Labels
from drive_seg.ui import theme

ROW_PX, TEXT_PX, SWATCH_PX, SHARE_PX = 26, 21, 14, 46


class Legend(QWidget):
    """Painted in one go: a grid of labels would be laid out anew at every number."""

    def __init__(self, classes: Sequence[str], palette: Sequence[tuple[int, int, int]]) -> None:
        """`palette`: RGB 0..255, one per class."""
        super().__init__()
        self.classes = tuple(classes)
        self.shares: NDArray[np.float64] = np.zeros(len(self.classes))  # 0..1, of the frame that was shown last
        self._colours = [QColor(*rgb) for rgb in palette]
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(200, ROW_PX * len(self.classes))

    def count(self, labels: Labels) -> None:
        """uint8 HxW ids; ids that are not in the legend count for nobody, but in the whole."""
        self.shares = np.bincount(labels.ravel(), minlength=256)[: len(self.classes)] / labels.size
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        for row, (name, colour, share) in enumerate(zip(self.classes, self._colours, self.shares, strict=True)):
            top, width = row * ROW_PX, self.width()
            track = QRectF(SWATCH_PX + 10, top + TEXT_PX, width - SWATCH_PX - 10, 2)
            painter.setPen(QColor(theme.LINE))
            painter.setBrush(colour)
            painter.drawRoundedRect(QRectF(0.5, top + 0.5 + (TEXT_PX - SWATCH_PX) / 2, SWATCH_PX, SWATCH_PX), 3, 3)
            painter.fillRect(track, QColor(theme.LINE))
            painter.fillRect(QRectF(track.x(), track.y(), track.width() * share, track.height()), colour)
            painter.setPen(QColor(theme.TEXT if share >= 0.0005 else theme.DIM))
            painter.drawText(QRectF(track.x(), top, track.width() - SHARE_PX, TEXT_PX), left, name)
            painter.drawText(QRectF(width - SHARE_PX, top, SHARE_PX, TEXT_PX), right, f"{share:.1%}" if share >= 0.0005 else "–")
        painter.end()
