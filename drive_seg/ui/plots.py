"""Plots in the window's colours: bare axes and curves of pyqtgraph, without its menus and mouse handling."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QFont, QPainter, QPainterPath, QPaintEvent, QPen
from PyQt6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QVBoxLayout, QWidget

from drive_seg.ui.meter import Meter
from drive_seg.ui.theme import DARK, Theme

TICK_PT = 8
AXIS_PX = 50


class Curve(QGraphicsItem):
    """A line through points, with a gap where one is not finite. pyqtgraph's own also reckons bounds, for five times as long."""

    def __init__(self, pen: QPen) -> None:
        super().__init__()
        self._pen, self._path = pen, QPainterPath()
        self._x = self._y = np.zeros(0)

    def setData(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:  # type: ignore[override]  # as pyqtgraph has it
        self._x, self._y = x, y
        self._path = pg.functions.arrayToQPath(x, y, connect="finite") if len(x) else QPainterPath()
        self.update()

    def getData(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._x, self._y

    def setPen(self, pen: QPen) -> None:
        self._pen = pen
        self.update()

    def boundingRect(self) -> QRectF:
        return QRectF(-1e6, -1e6, 2e6, 2e6)  # all of its field, whatever the scale

    def paint(self, painter: QPainter | None, option: QStyleOptionGraphicsItem | None, widget: QWidget | None = None) -> None:
        assert painter is not None
        painter.setPen(self._pen)
        painter.drawPath(self._path)


class Area:
    """One field of a plot with its scale at the left."""

    def __init__(self, layout: Any, row: int, axis_px: int) -> None:
        self.axis: Any = pg.AxisItem("left")
        self.box: Any = pg.ViewBox(enableMenu=False, enableMouse=False)
        self.box.setMouseEnabled(False, False)
        self.axis.linkToView(self.box)
        self.axis.setWidth(axis_px)
        self.axis.setTicks([[]])  # until there is a scale; pyqtgraph's own marks lie over one another here
        self._scaled: tuple[object, ...] = ()
        self.axis.setStyle(tickFont=QFont(QFont().family(), TICK_PT), tickLength=0, tickTextOffset=4)
        self._level: Any = pg.InfiniteLine(angle=0, movable=False)  # the value that is named, across
        self._level.setZValue(-10)
        self._level.setVisible(False)
        self.box.addItem(self._level, ignoreBounds=True)
        layout.addItem(self.axis, row, 0)
        layout.addItem(self.box, row, 1)

    def line(self, colour: str, width: float = 1.0, dash: bool = False) -> Curve:
        curve = Curve(pen(colour, width, dash))
        self.box.addItem(curve, ignoreBounds=True)
        return curve

    def add(self, item: Any) -> Any:
        self.box.addItem(item)
        return item

    def scale(self, low: float, high: float, marks: Sequence[tuple[float, str]]) -> None:
        """The y axis, and what stands at it."""
        if self._scaled == (low, high, marks):  # an axis that is told again is laid out again
            return
        self._scaled = low, high, marks
        self.box.setYRange(low, high, padding=0)
        self.axis.setTicks([list(marks)])

    def scale_to(self, top: float, form: str) -> None:
        """From 0 to about `top`, with one round value named and drawn across."""
        top = float(f"{top:.1e}")  # so that it does not change with every frame
        mark = round_down(top * 0.8)
        self._level.setVisible(True)
        self._level.setValue(mark)
        self.scale(-0.04 * top, top, [(mark, form.format(mark))])

    def paint(self, line: QPen, text: QPen) -> None:
        self.axis.setPen(line)
        self.axis.setTextPen(text)
        self._level.setPen(line)


class Plot(QWidget):
    """Fields above one another over one x axis. Told its numbers a few times a second, and only while it is visible."""

    def __init__(self, heights: Sequence[int], bottom: bool = False, axis_px: int = AXIS_PX, meter: Meter | None = None) -> None:
        """`heights`: shares of the height, one a field; negative: so many pixels. `bottom`: there is a scale for x.

        `meter`: what its painting takes is counted there.
        """
        super().__init__()
        self.theme: Theme = DARK
        self.view: Any = _View(meter or Meter())
        self.view.setFrameShape(self.view.Shape.NoFrame)
        for part in (self.view, self.view.viewport()):
            part.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = self.view.ci
        layout.setContentsMargins(0, 3, 6, 3)
        layout.setSpacing(2)
        self._heights = heights
        self.areas = [Area(layout, at, axis_px) for at in range(len(heights))]
        for at, height in enumerate(heights):
            if height < 0:
                layout.layout.setRowFixedHeight(at, -height)
            else:
                layout.layout.setRowPreferredHeight(at, 0)
                layout.layout.setRowStretchFactor(at, height)
        for area in self.areas[1:]:
            area.box.setXLink(self.areas[0].box)
        self.bottom: Any = pg.AxisItem("bottom") if bottom else None
        if self.bottom:
            self.bottom.linkToView(self.areas[-1].box)
            self.bottom.setStyle(tickFont=QFont(QFont().family(), TICK_PT), tickLength=-3, tickTextOffset=2)
            layout.addItem(self.bottom, len(heights), 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.view)

    def paint(self, theme: Theme, ground: str) -> None:
        """In this theme's colours; the curves' are their owner's."""
        self.theme = theme
        self.view.setBackground(ground)
        for area in self.areas:
            area.paint(pen(theme.line), pen(theme.dim))
        if self.bottom:
            self.bottom.setPen(pen(theme.line))
            self.bottom.setTextPen(pen(theme.dim))

    def show_area(self, at: int, shown: bool) -> None:
        """One that is not shown makes room for the others."""
        area = self.areas[at]
        if area.box.isVisible() != shown:
            self.view.ci.layout.setRowStretchFactor(at, self._heights[at] if shown else 0)
            for item in (area.axis, area.box):  # by these two an axis changes its width as well
                item.show() if shown else item.hide()

    def x_range(self, low: float, high: float) -> None:
        self.areas[0].box.setXRange(low, high, padding=0)

    def close_plot(self) -> None:
        """Before the widget goes; pyqtgraph's scene would outlive it otherwise."""
        self.view.close()


class _View(pg.GraphicsLayoutWidget):  # type: ignore[misc]  # pyqtgraph has no types
    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def paintEvent(self, event: QPaintEvent | None) -> None:
        with self._meter.time():
            super().paintEvent(event)


def pen(colour: str, width: float = 1.0, dash: bool = False) -> Any:
    return pg.mkPen(colour, width=width, style=Qt.PenStyle.DashLine if dash else Qt.PenStyle.SolidLine)


def top_of(values: NDArray[np.float64], least: float) -> float:
    """The end of a scale: a little over what is usual, so that one slow start does not flatten all the rest."""
    finite = values[np.isfinite(values)]
    usual = finite.size * 99 // 100 - 1 if finite.size > 1 else 0
    return max(least, float(np.partition(finite, usual)[usual]) * 1.25) if finite.size else least


def round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-9)))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))


def round_down(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-9)))
    return float(next(step * power for step in (5, 2, 1) if step * power <= value * (1 + 1e-9)))
