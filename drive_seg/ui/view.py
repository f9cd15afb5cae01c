"""The picture area: one picture, its aspect ratio kept, scaled to the widget, and while comparing a divider that can be dragged."""

import cv2
import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from drive_seg.contracts import Image
from drive_seg.ui.compose import scaled
from drive_seg.ui.meter import Meter
from drive_seg.ui.theme import DARK, Theme

TAG_PX, GRIP_PX = 22, 9


def letterbox(image_hw: tuple[int, int], into_hw: tuple[int, int]) -> tuple[int, int]:
    """The largest height and width of the image's shape that fit; at least 1x1."""
    scale = min(into_hw[0] / image_hw[0], into_hw[1] / image_hw[1])
    return max(1, round(image_hw[0] * scale)), max(1, round(image_hw[1] * scale))


class VideoView(QWidget):
    """Shows the last picture given to `show_image`, or a line of text until there is one."""

    dragged = pyqtSignal(float)  # the divider, 0..1 from the picture's left edge
    double_clicked = pyqtSignal()
    resized = pyqtSignal()

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self.image: Image | None = None  # as given, for who wants to look
        self.waiting = ""
        self.theme: Theme = DARK
        self.divider: float | None = None  # None: nothing is split
        self.tags = ("", "")  # what stands left and right of it
        self._meter, self._captured_s = meter, 0.0
        self._canvas = QImage()  # the picture at the screen's size; kept, because fresh pages cost more than the scaling
        self._stale = self._new = False
        self.setMinimumSize(160, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # where the keys are the window's own

    def show_image(self, image: Image, captured_s: float | None = None) -> None:
        """BGR uint8 HxWx3 of any size; the view keeps it and does not write it. `captured_s`: a frame not shown before, of that moment."""
        self.image, self._stale = image, True
        if captured_s is not None:
            self._new, self._captured_s = True, captured_s
        self.update()

    def forget(self) -> None:
        """No picture until the next one."""
        self.image = None
        self.update()

    def room(self, image: Image) -> tuple[int, int]:
        """Height and width of the picture on the screen, in its pixels."""
        ratio = self.devicePixelRatioF()
        return letterbox((image.shape[0], image.shape[1]), (int(self.height() * ratio), int(self.width() * ratio)))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self.resized.emit()

    def picture_rect(self) -> QRectF:
        """Where in the widget the picture is, in its own pixels."""
        if self.image is None:
            return QRectF(self.rect())
        ratio = self.devicePixelRatioF()
        into_hw = int(self.height() * ratio), int(self.width() * ratio)
        height, width = self.room(self.image)
        return QRectF((into_hw[1] - width) // 2 / ratio, (into_hw[0] - height) // 2 / ratio, width / ratio, height / ratio)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        with self._meter.time():
            painter = QPainter(self)
            painter.fillRect(self.rect(), QColor(self.theme.ground))
            if self.image is None:
                painter.setPen(QColor(self.theme.dim))
                painter.drawText(self.rect().adjusted(24, 0, -24, 0), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.waiting)
            else:
                self._paint_picture(painter, self.image)
            painter.end()
        if self._new:
            self._new = False
            self._meter.shown(self._captured_s)

    def _paint_picture(self, painter: QPainter, image: Image) -> None:
        ratio, where = self.devicePixelRatioF(), self.picture_rect()
        height, width = round(where.height() * ratio), round(where.width() * ratio)
        if (self._canvas.height(), self._canvas.width()) != (height, width):
            self._canvas, self._stale = QImage(width, height, QImage.Format.Format_RGB32), True
        if self._stale:
            fill(self._canvas, image)
            self._stale = False
        self._canvas.setDevicePixelRatio(ratio)
        painter.drawImage(where.topLeft(), self._canvas)
        if self.divider is not None:
            self._paint_divider(painter, where, where.x() + self.divider * where.width())
        elif self.tags[0]:
            self._tag(painter, where.topLeft() + QPointF(8, 8), self.tags[0], where.width() - 16)

    def _paint_divider(self, painter: QPainter, where: QRectF, x: float) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(0, 0, 0, 150), 4))
        painter.drawLine(QPointF(x, where.top()), QPointF(x, where.bottom()))
        painter.setPen(QPen(QColor("white"), 2))
        painter.drawLine(QPointF(x, where.top()), QPointF(x, where.bottom()))
        grip = QPointF(x, where.center().y())
        painter.setBrush(QColor(20, 24, 30, 230))
        painter.drawEllipse(grip, GRIP_PX + 3, GRIP_PX + 3)
        for side in (-1, 1):
            painter.drawPolyline(QPolygonF([grip + QPointF(side * 3, -4), grip + QPointF(side * 7, 0), grip + QPointF(side * 3, 4)]))
        self._tag(painter, where.topLeft() + QPointF(8, 8), self.tags[0], max(0.0, x - where.left() - 16))
        room = max(0.0, where.right() - x - 16)
        width = min(room, painter.fontMetrics().horizontalAdvance(self.tags[1]) + 16.0)
        self._tag(painter, QPointF(where.right() - 8 - width, where.top() + 8), self.tags[1], room)

    @staticmethod
    def _tag(painter: QPainter, at: QPointF, text: str, room: float) -> None:
        """A label that no picture makes unreadable."""
        metrics = painter.fontMetrics()
        width = min(room, metrics.horizontalAdvance(text) + 16.0)
        if width < 30:
            return
        box = QRectF(at.x(), at.y(), width, TAG_PX)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(16, 19, 24, 215))
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(QColor("white"))
        elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, round(width - 14))
        painter.drawText(box.adjusted(8, 0, -6, 0), Qt.AlignmentFlag.AlignVCenter, elided)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        self._drag(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        if self.divider is None:
            self.double_clicked.emit()

    def _drag(self, event: QMouseEvent | None) -> None:
        if event and self.divider is not None and event.buttons() & Qt.MouseButton.LeftButton:
            where = self.picture_rect()
            self.dragged.emit(min(max((event.position().x() - where.x()) / where.width(), 0.0), 1.0))


def fill(canvas: QImage, image: Image) -> None:
    """Fills an RGB32 canvas with the picture."""
    height, width = canvas.height(), canvas.width()
    bits = canvas.bits()
    assert bits is not None  # only of an image without pixels
    bits.setsize(canvas.sizeInBytes())
    target = np.frombuffer(bits, np.uint8).reshape(height, width, 4)  # type: ignore[call-overload]  # voidptr is a buffer
    cv2.cvtColor(scaled(image, (height, width)), cv2.COLOR_BGR2BGRA, dst=target)
