"""The video area: one picture, its aspect ratio kept, scaled to the widget and nothing more."""

import cv2
import numpy as np
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from drive_seg.contracts import Image
from drive_seg.ui import theme


def letterbox(image_hw: tuple[int, int], into_hw: tuple[int, int]) -> tuple[int, int]:
    """The largest height and width of the image's shape that fit; at least 1x1."""
    scale = min(into_hw[0] / image_hw[0], into_hw[1] / image_hw[1])
    return max(1, round(image_hw[0] * scale)), max(1, round(image_hw[1] * scale))


class VideoView(QWidget):
    """Shows the last picture given to `show_image`, or a line of text until there is one."""

    def __init__(self, waiting: str) -> None:
        super().__init__()
        self.image: Image | None = None  # as given, for who wants to look
        self._waiting = waiting
        self._canvas = QImage()  # the picture at the screen's size; kept, because fresh pages cost more than the scaling
        self._stale = True
        self.setMinimumSize(320, 240)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def show_image(self, image: Image) -> None:
        """BGR uint8 HxWx3 of any size; the view keeps it and does not write it."""
        self.image, self._stale = image, True
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.BACKGROUND))
        if self.image is None:
            painter.setPen(QColor(theme.DIM))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._waiting)
        else:
            ratio = self.devicePixelRatioF()
            into_hw = int(self.height() * ratio), int(self.width() * ratio)
            height, width = letterbox((self.image.shape[0], self.image.shape[1]), into_hw)
            if (self._canvas.height(), self._canvas.width()) != (height, width):
                self._canvas, self._stale = QImage(width, height, QImage.Format.Format_RGB32), True
            if self._stale:
                scale_into(self._canvas, self.image)
                self._stale = False
            self._canvas.setDevicePixelRatio(ratio)
            painter.drawImage(QPointF((into_hw[1] - width) // 2 / ratio, (into_hw[0] - height) // 2 / ratio), self._canvas)
        painter.end()


def scale_into(canvas: QImage, image: Image) -> None:
    """Fills an RGB32 canvas with the picture, by OpenCV: it lets other threads run, where Qt would hold Python's lock all the while."""
    height, width = canvas.height(), canvas.width()
    while image.shape[0] >= 2 * height:  # bilinear skips pixels below a half, and INTER_AREA is fast at a half alone
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if image.shape[:2] != (height, width):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    bits = canvas.bits()
    assert bits is not None  # only of an image without pixels
    bits.setsize(canvas.sizeInBytes())
    cv2.cvtColor(image, cv2.COLOR_BGR2BGRA, dst=np.frombuffer(bits, np.uint8).reshape(height, width, 4))  # type: ignore[call-overload]
