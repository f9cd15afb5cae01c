"""The road ahead, drawn over the picture: the free space, the ego corridor with its three points, and where its free part ends."""

from dataclasses import dataclass

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from drive_seg.contracts import Ahead, Corridor
from drive_seg.session.road import CORRIDOR, FREE, shapes

GRIP_PX, REACH_PX = 6.0, 14.0  # of a point that can be dragged: its radius, and from how far away it is taken
LINE_PX = 2


@dataclass(frozen=True, slots=True)
class Road:
    """`ahead`: of the frame that is shown; None where nothing is known of it. `corridor`: as it is set now."""

    corridor: Corridor
    ahead: Ahead | None


def handle_at(corridor: Corridor, where: QRectF, at: QPointF) -> int | None:
    """The corridor's point that is nearest to this place, if it is within reach; `where`: the whole picture."""
    away = [(_at(where, *point) - at).manhattanLength() for point in corridor]
    nearest = min(range(3), key=lambda number: away[number])
    return nearest if away[nearest] <= REACH_PX else None


def paint(painter: QPainter, road: Road, where: QRectF, chosen: int | None) -> None:
    """`where`: the whole picture, in the painter's pixels. `chosen`: the point that the arrow keys move."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for shape in shapes(road.corridor, road.ahead):
        line, colour, inside = QPolygonF([_at(where, *point) for point in shape.points]), QColor(*shape.rgb), QColor(*shape.rgb)
        inside.setAlphaF(shape.inside)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(0, 0, 0, 110), LINE_PX * shape.wide + 2), QPen(colour, LINE_PX * shape.wide)):
            painter.setPen(pen)
            painter.drawPolygon(line) if shape.closed else painter.drawPolyline(line)
            painter.setBrush(inside)
    for number, point in enumerate(road.corridor):
        painter.setPen(QPen(QColor(20, 24, 30), 2))
        painter.setBrush(QColor(*(FREE if number == chosen else CORRIDOR)))
        size = GRIP_PX + 3 if number == chosen else GRIP_PX
        painter.drawEllipse(_at(where, *point), size, size)
    painter.restore()


def _at(where: QRectF, x: float, y: float) -> QPointF:
    return QPointF(where.x() + x * where.width(), where.y() + y * where.height())
