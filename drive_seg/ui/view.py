"""The picture area: one picture, its aspect ratio kept, fitted or enlarged, and while comparing a divider that can be dragged."""

import math

import cv2
import numpy as np
from PyQt6.QtCore import QEvent, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF, QRegion, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from drive_seg.contracts import Image
from drive_seg.network.ahead import moved
from drive_seg.session.compose import scaled
from drive_seg.ui import road
from drive_seg.ui.meter import Meter
from drive_seg.ui.theme import DARK, Theme

TAG_PX, GRIP_PX = 22, 9
ZOOM, MOST_ZOOM = 1.25, 40.0  # of a notch of the wheel; and at most
STEP, WIDE_STEP = 0.002, 0.02  # of the picture's width or height, by which an arrow key moves a point of the corridor; with shift
ARROWS = {
    Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1),
}  # fmt: skip
CRISP = 2.0  # times enlarged, from which on a frame's pixels are shown as squares


def letterbox(image_hw: tuple[int, int], into_hw: tuple[int, int], zoom: float = 1.0) -> tuple[int, int]:
    """The largest height and width of the image's shape that fit, times `zoom`; at least 1x1."""
    scale = min(into_hw[0] / image_hw[0], into_hw[1] / image_hw[1]) * zoom
    return max(1, round(image_hw[0] * scale)), max(1, round(image_hw[1] * scale))


class VideoView(QWidget):
    """Shows the last picture given to `show_image`, or a line of text until there is one."""

    dragged = pyqtSignal(float)  # the divider, 0..1 from the picture's left edge
    double_clicked = pyqtSignal()
    resized = pyqtSignal()  # or enlarged: there is other room for the picture
    corridor_moved = pyqtSignal(object, bool)  # where it is now, a Corridor; whether it is let go
    pointed = pyqtSignal()  # the pointer has moved, or left

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self.image: Image | None = None  # as given, for who wants to look
        self.waiting = ""
        self.theme: Theme = DARK
        self.divider: float | None = None  # None: nothing is split
        self.tags = ("", "")  # what stands left and right of it
        self.says = ""  # of what is under the pointer
        self.road: road.Road | None = None  # None: nothing is drawn of it
        self.chosen: int | None = None  # the point of the corridor that the arrow keys move
        self._held: int | None = None  # the one that is dragged
        self.zoom = 1.0  # 1 fits
        self._centre = 0.5, 0.5  # shares of the picture's width and height that stand in the widget's middle
        self._pointer: QPointF | None = None
        self._grabbed: QPointF | None = None  # where the picture is held to be moved
        self._meter, self._captured_s = meter, 0.0
        self._canvas = QImage()  # the picture at the screen's size; kept, because fresh pages cost more than the scaling
        self._stale = self._new = False
        self._drawn: tuple[int, ...] = ()  # the part of the image that is on the canvas
        self.setMinimumSize(160, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # where the keys are the window's own
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.setMouseTracking(True)

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
        """Height and width of the whole picture on the screen, in its pixels; more than the widget's where it is enlarged."""
        return letterbox((image.shape[0], image.shape[1]), self._into_hw, self.zoom)

    @property
    def _into_hw(self) -> tuple[int, int]:
        ratio = self.devicePixelRatioF()
        return int(self.height() * ratio), int(self.width() * ratio)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self.resized.emit()

    def picture_rect(self) -> QRectF:
        """Where the whole picture is, in the widget's own pixels; a part of it is outside where it is enlarged."""
        if self.image is None:
            return QRectF(self.rect())
        ratio, (height, width), (rows, columns) = self.devicePixelRatioF(), self.room(self.image), self._into_hw
        left, top = _begin(width, columns, self._centre[0]), _begin(height, rows, self._centre[1])
        return QRectF(left / ratio, top / ratio, width / ratio, height / ratio)

    # -- a closer look

    def fit(self) -> None:
        """All of the picture, as large as there is room."""
        self._look(1.0, (0.5, 0.5))

    def actual(self, frame_hw: tuple[int, int]) -> None:
        """A pixel of the frame on one of the screen's."""
        self._look(1.0 / min(self._into_hw[0] / frame_hw[0], self._into_hw[1] / frame_hw[1]), self._centre)

    def zoom_at(self, at: QPointF | None, factor: float) -> None:
        """What is at this place of the widget stays there; None for its middle. Never smaller than it fits, unless it is already."""
        at = QRectF(self.rect()).center() if at is None else at
        where, zoom = self.picture_rect(), min(max(self.zoom * factor, min(1.0, self.zoom)), MOST_ZOOM)
        grown, middle = zoom / self.zoom, QRectF(self.rect()).center()
        x, y = self.share_at(at)
        away = (middle - at) / grown
        self._look(zoom, (x + away.x() / where.width(), y + away.y() / where.height()))

    def share_at(self, at: QPointF) -> tuple[float, float]:
        """Where in the picture a place of the widget is, from 0 to 1 of its width and height; outside of it less or more."""
        where = self.picture_rect()
        return (at.x() - where.x()) / where.width(), (at.y() - where.y()) / where.height()

    @property
    def under_pointer(self) -> tuple[float, float] | None:
        """As `share_at`; None where the pointer is on no picture."""
        if self.image is None or self._pointer is None:
            return None
        x, y = self.share_at(self._pointer)
        return (x, y) if 0 <= x < 1 and 0 <= y < 1 else None

    def _look(self, zoom: float, centre: tuple[float, float]) -> None:
        before, self.zoom = self.zoom, zoom
        if self.image is not None:  # the picture's edges are not drawn into the widget
            sizes = zip(self.room(self.image), self._into_hw, centre[::-1], strict=True)
            y, x = ((room / 2 - _begin(size, room, share)) / size for size, room, share in sizes)
            self._centre = x, y
        if zoom != before:
            self.resized.emit()
        self.pointed.emit()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        with self._meter.time():
            painter = QPainter(self)
            if self.image is None:
                painter.fillRect(self.rect(), QColor(self.theme.ground))
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
        seen = where.intersected(QRectF(self.rect()))
        across, down = where.width() / image.shape[1], where.height() / image.shape[0]  # of one pixel of the image
        left, right = _span(seen.left() - where.left(), seen.right() - where.left(), across, image.shape[1])
        top, bottom = _span(seen.top() - where.top(), seen.bottom() - where.top(), down, image.shape[0])
        size = max(1, round((right - left) * across * ratio)), max(1, round((bottom - top) * down * ratio))
        drawn = left, right, top, bottom, *size
        if drawn != self._drawn:
            self._drawn, self._stale = drawn, True
        if (self._canvas.width(), self._canvas.height()) != size:
            self._canvas = QImage(*size, QImage.Format.Format_RGB32)
        if self._stale:
            fill(self._canvas, image[top:bottom, left:right], crisp=self.zoom > 1 and across * ratio >= CRISP)
            self._stale = False
        self._canvas.setDevicePixelRatio(ratio)
        corner = where.topLeft() + QPointF(left * across, top * down)
        covered = QRectF(corner, self._canvas.deviceIndependentSize()).toAlignedRect().adjusted(1, 1, -1, -1)
        painter.setClipRegion(QRegion(self.rect()).subtracted(QRegion(covered)))
        painter.fillRect(self.rect(), QColor(self.theme.ground))
        painter.setClipping(False)
        painter.drawImage(corner, self._canvas)
        if self.road:
            road.paint(painter, self.road, where, self.chosen)
        if self.divider is not None:
            self._paint_divider(painter, seen, where.x() + self.divider * where.width())
        elif self.tags[0]:
            self._tag(painter, seen.topLeft() + QPointF(8, 8), self.tags[0], seen.width() - 16)
        if self.says:
            self._tag(painter, seen.bottomLeft() + QPointF(8, -8 - TAG_PX), self.says, seen.width() - 16)

    def _paint_divider(self, painter: QPainter, seen: QRectF, x: float) -> None:
        """`seen`: the part of the picture that is in the widget."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(0, 0, 0, 150), 4))
        painter.drawLine(QPointF(x, seen.top()), QPointF(x, seen.bottom()))
        painter.setPen(QPen(QColor("white"), 2))
        painter.drawLine(QPointF(x, seen.top()), QPointF(x, seen.bottom()))
        grip = QPointF(x, seen.center().y())
        painter.setBrush(QColor(20, 24, 30, 230))
        painter.drawEllipse(grip, GRIP_PX + 3, GRIP_PX + 3)
        for side in (-1, 1):
            painter.drawPolyline(QPolygonF([grip + QPointF(side * 3, -4), grip + QPointF(side * 7, 0), grip + QPointF(side * 3, 4)]))
        self._tag(painter, seen.topLeft() + QPointF(8, 8), self.tags[0], max(0.0, x - seen.left() - 16))
        room = max(0.0, seen.right() - x - 16)
        width = min(room, painter.fontMetrics().horizontalAdvance(self.tags[1]) + 16.0)
        self._tag(painter, QPointF(seen.right() - 8 - width, seen.top() + 8), self.tags[1], room)

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
        self._held = self._handle_at(event.position()) if event and event.button() == Qt.MouseButton.LeftButton else None
        if event and self._held is None and event.buttons() & (Qt.MouseButton.LeftButton | Qt.MouseButton.MiddleButton):
            self._grabbed = event.position()
            self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event:
            if self._held is None:
                self._drag(event)
            else:
                self._move(self._held, *self.share_at(event.position()), done=False)
            self._pointer = event.position()
            near = self._held is not None or self._handle_at(event.position()) is not None
            self.setCursor(Qt.CursorShape.SizeAllCursor) if near else self.unsetCursor()
            self.pointed.emit()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._grabbed = None
        if self._held is not None and event:
            self._move(self._held, *self.share_at(event.position()), done=True)
        self._held = None

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        near = event and self._handle_at(event.position()) is not None
        if self.divider is None and event and event.button() == Qt.MouseButton.LeftButton and not near:
            self.double_clicked.emit()

    def leaveEvent(self, event: QEvent | None) -> None:
        self._pointer = None
        self.pointed.emit()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event and self.image is not None:
            self.zoom_at(event.position(), ZOOM ** (event.angleDelta().y() / 120))

    def event(self, event: QEvent | None) -> bool:
        """The arrows are a point's while one is chosen, and no shortcuts."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and self.chosen is not None
            and event.key() in ARROWS
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event and self.chosen is not None and self.road and event.key() in ARROWS:
            across, down = ARROWS[Qt.Key(event.key())]
            step = WIDE_STEP if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else STEP
            x, y = self.road.corridor[self.chosen]
            self._move(self.chosen, x + across * step, y + down * step, done=False)
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        if event and self.chosen is not None and self.road and event.key() in ARROWS and not event.isAutoRepeat():
            self.corridor_moved.emit(self.road.corridor, True)
            return
        super().keyReleaseEvent(event)

    def choose_next_point(self) -> None:
        """Left foot, right foot, apex, none, in turn."""
        self.chosen = None if self.chosen == 2 or self.road is None else 0 if self.chosen is None else self.chosen + 1
        self.setFocus()
        self.update()

    def _handle_at(self, at: QPointF) -> int | None:
        return road.handle_at(self.road.corridor, self.picture_rect(), at) if self.road and self.image is not None else None

    def _move(self, which: int, x: float, y: float, done: bool) -> None:
        if self.road:
            self.corridor_moved.emit(moved(self.road.corridor, which, x, y), done)

    def _drag(self, event: QMouseEvent) -> None:
        """The divider with the left button, where there is one; else the picture."""
        if self.divider is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self.dragged.emit(min(max(self.share_at(event.position())[0], 0.0), 1.0))
        elif self._grabbed is not None and self.image is not None:
            where, moved = self.picture_rect(), event.position() - self._grabbed
            self._grabbed = event.position()
            self._look(self.zoom, (self._centre[0] - moved.x() / where.width(), self._centre[1] - moved.y() / where.height()))


def _begin(size: int, room: int, share: float) -> int:
    """Where something of `size` begins so that this share of it is in the middle of `room`; nothing of the room stays empty in vain."""
    return (room - size) // 2 if size <= room else min(max(round(room / 2 - share * size), room - size), 0)


def _span(begin: float, end: float, pixel: float, count: int) -> tuple[int, int]:
    """Of `count` pixels of this width those between begin and end, also in part; at least one."""
    first = min(max(int(begin / pixel + 1e-6), 0), count - 1)
    return first, min(max(math.ceil(end / pixel - 1e-6), first + 1), count)


def fill(canvas: QImage, image: Image, crisp: bool = False) -> None:
    """Fills an RGB32 canvas with the picture; `crisp`: its pixels as squares."""
    height, width = canvas.height(), canvas.width()
    bits = canvas.bits()
    assert bits is not None  # only of an image without pixels
    bits.setsize(canvas.sizeInBytes())
    target = np.frombuffer(bits, np.uint8).reshape(height, width, 4)  # type: ignore[call-overload]  # voidptr is a buffer
    if crisp:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[assignment]
    cv2.cvtColor(scaled(image, (height, width)), cv2.COLOR_BGR2BGRA, dst=target)
