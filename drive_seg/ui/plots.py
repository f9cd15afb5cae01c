"""Plots in the window's colours: bare axes and curves of pyqtgraph, without its menus and mouse handling."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QFont, QPaintEvent
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from drive_seg.ui.meter import Meter
from drive_seg.ui.theme import DARK, Theme

TICK_PT = 8
AXIS_PX = 50


class Area:
    """One field of a plot with its scale at the left."""

    def __init__(self, layout: Any, row: int, axis_px: int) -> None:
        self.axis: Any = pg.AxisItem("left")
        self.box: Any = pg.ViewBox(enableMenu=False, enableMouse=False)
        self.box.setMouseEnabled(False, False)
        self.axis.linkToView(self.box)
        self.axis.setWidth(axis_px)
        self.axis.setTicks([[]])  # until there is a scale; pyqtgraph's own marks lie over one another here
        self._level: Any = None
        self._scaled: tuple[object, ...] = ()
        self.axis.setStyle(tickFont=QFont(QFont().family(), TICK_PT), tickLength=0, tickTextOffset=4)
        layout.addItem(self.axis, row, 0)
        layout.addItem(self.box, row, 1)

    def line(self, colour: str, width: float = 1.0, dash: bool = False) -> Any:
        """A curve; `setData(x, y)`."""
        curve = pg.PlotCurveItem(pen=pen(colour, width, dash), connect="finite", skipFiniteCheck=False)
        self.box.addItem(curve)
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
        if self._level is None:
            self._level = self.add(pg.InfiniteLine(angle=0, movable=False))
            self._level.setZValue(-10)
        mark = round_down(top * 0.8)
        self._level.setPen(self.axis.pen())
        self._level.setValue(mark)
        self.scale(-0.04 * top, top, [(mark, form.format(mark))])


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
        for axis in (*(area.axis for area in self.areas), *([self.bottom] if self.bottom else [])):
            axis.setPen(pen(theme.line))
            axis.setTextPen(pen(theme.dim))

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
    return max(least, float(np.percentile(finite, 99)) * 1.25) if finite.size else least


def round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-9)))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))


def round_down(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-9)))
    return float(next(step * power for step in (5, 2, 1) if step * power <= value * (1 + 1e-9)))
