"""What the inspector wants of a page, and what several pages share."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from drive_seg.session.history import Moment
from drive_seg.ui.cockpit import Cockpit
from drive_seg.ui.plots import Plot
from drive_seg.ui.theme import Theme
from drive_seg.ui.widgets import heading


class Page(QWidget):
    """Shown by the inspector, and told the state of things a few times a second while it is visible."""

    def __init__(self, cockpit: Cockpit, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        self.cockpit, self.actions_by_name = cockpit, actions
        self.plots: list[Plot] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(14, 10, 14, 12)
        self._column.setSpacing(10)
        self.build()
        self._column.addStretch(1)

    def build(self) -> None:
        raise NotImplementedError

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        """`moments`: the last 600, the oldest first."""
        raise NotImplementedError

    def paint(self, theme: Theme) -> None:
        """In this theme's colours."""
        for plot in self.plots:
            plot.paint(theme, theme.panel)

    def add(self, *parts: QWidget) -> None:
        """Below one another."""
        for part in parts:
            self._column.addWidget(part)

    def add_plot(self, title: str, heights: Sequence[int] = (1,), height_px: int = 170, above: QWidget | None = None) -> Plot:
        plot = Plot(heights, bottom=True)
        plot.setFixedHeight(height_px)
        self.plots.append(plot)
        self.add(heading(title), *([above] if above else []), plot)
        return plot


def percentiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """p50, p95 and p99 of what is finite; zeros of nothing."""
    finite = values[np.isfinite(values)]
    p50, p95, p99 = np.percentile(finite, (50, 95, 99)) if finite.size else (0.0, 0.0, 0.0)
    return float(p50), float(p95), float(p99)


def column_of(moments: Sequence[Moment], stage: str) -> NDArray[np.float64]:
    """Milliseconds of one stage, nan where it did not run."""
    return np.array([moment.latency_ms.get(stage, np.nan) for moment in moments], np.float64)
