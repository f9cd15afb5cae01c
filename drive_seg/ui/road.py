"""The road ahead, drawn over the picture: the free space, the ego corridor with its three points, and where its free part ends."""

from dataclasses import dataclass

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from drive_seg.contracts import Ahead, Corridor

GRIP_PX, REACH_PX = 6.0, 14.0  # of a point that can be dragged: its radius, and from how far away it is taken
FREE, CORRIDOR, PERSON = "#009E73", "#FFFFFF", "#FF1744"  # the last is none of the strip's colours (Okabe, Ito 2008)


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
    ahead = road.ahead
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if ahead and ahead.polygon:
        height, width = ahead.size_hw
        _shape(painter, QPolygonF([_at(where, x / width, y / height) for x, y in ahead.polygon]), FREE, 60)
    person = ahead is not None and (ahead.person or ahead.seen)
    colour = PERSON if person else CORRIDOR
    left, right, apex = (_at(where, *point) for point in road.corridor)
    _shape(painter, QPolygonF([left, apex, right]), colour, 50 if person else 0)
    if ahead and ahead.row is not None:
        y = where.y() + (ahead.row + 1) / ahead.size_hw[0] * where.height()
        _line(painter, _on(left, apex, y), _on(right, apex, y), colour)
    for number, point in enumerate((left, right, apex)):
        painter.setPen(QPen(QColor(20, 24, 30), 2))
        painter.setBrush(QColor(FREE if number == chosen else CORRIDOR))
        size = GRIP_PX + 3 if number == chosen else GRIP_PX
        painter.drawEllipse(point, size, size)
    painter.restore()


def _at(where: QRectF, x: float, y: float) -> QPointF:
    return QPointF(where.x() + x * where.width(), where.y() + y * where.height())


def _on(foot: QPointF, apex: QPointF, y: float) -> QPointF:
    """Of a side of the corridor, in this row or the nearest one that it has."""
    share = min(max((foot.y() - y) / (foot.y() - apex.y()), 0.0), 1.0)
    return foot + (apex - foot) * share


def _shape(painter: QPainter, shape: QPolygonF, colour: str, alpha: int) -> None:
    inside = QColor(colour)
    inside.setAlpha(alpha)
    painter.setPen(QPen(QColor(0, 0, 0, 110), 4))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolygon(shape)
    painter.setPen(QPen(QColor(colour), 2))
    painter.setBrush(inside)
    painter.drawPolygon(shape)


def _line(painter: QPainter, begin: QPointF, end: QPointF, colour: str) -> None:
    painter.setPen(QPen(QColor(0, 0, 0, 110), 6))
    painter.drawLine(begin, end)
    painter.setPen(QPen(QColor(colour), 4))
    painter.drawLine(begin, end)
