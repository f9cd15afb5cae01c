"""Page: where a frame's time goes, stage by stage, and how the whole is spread."""

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from drive_seg.contracts import TIMED
from drive_seg.session.history import Moment
from drive_seg.ui.choices import translate
from drive_seg.ui.pages.page import Page, column_of, percentiles
from drive_seg.ui.plots import pen, top_of
from drive_seg.ui.theme import DARK, Theme
from drive_seg.ui.widgets import heading, label

ROW_PX, NAME_PX, FIGURE_PX = 22, 82, 92


def stage_name(stage: str) -> str:
    """For people."""
    return {
        "decode": translate("ui", "decode"),
        "preprocess": translate("ui", "preprocess"),
        "low": translate("ui", "low"),
        "mid": translate("ui", "mid"),
        "high": translate("ui", "high (deep)"),
        "propagate": translate("ui", "propagate"),
        "head": translate("ui", "head"),
        "refine": translate("ui", "refine"),
        "overlay": translate("ui", "overlay"),
    }[stage]


def three_digits(ms: float) -> str:
    """There is no room for more."""
    return f"{ms:.2f}" if ms < 9.995 else f"{ms:.1f}" if ms < 99.95 else f"{ms:.0f}"


class Bars(QWidget):
    """A bar a stage: solid to its p50, pale to its p95, and both figures."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.rows: list[tuple[str, float, float]] = []  # name, p50, p95 in ms
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(240, ROW_PX * max(1, len(self.rows)))

    def show_rows(self, rows: list[tuple[str, float, float]]) -> None:
        if len(rows) != len(self.rows):
            self.updateGeometry()
        self.rows = rows
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        room = self.width() - NAME_PX - FIGURE_PX
        longest = max([p95 for _, _, p95 in self.rows], default=1.0) or 1.0
        for at, (name, p50, p95) in enumerate(self.rows):
            top, accent = at * ROW_PX, QColor(self.theme.accent)
            middle = Qt.AlignmentFlag.AlignVCenter
            painter.setPen(QColor(self.theme.dim))
            painter.drawText(QRectF(0, top, NAME_PX, ROW_PX), middle, name)
            painter.fillRect(QRectF(NAME_PX, top + 6, room, ROW_PX - 12), QColor(self.theme.raised))
            painter.fillRect(QRectF(NAME_PX, top + 6, room * p50 / longest, ROW_PX - 12), accent)
            accent.setAlphaF(0.35)
            painter.fillRect(QRectF(NAME_PX + room * p50 / longest, top + 6, room * (p95 - p50) / longest, ROW_PX - 12), accent)
            painter.setPen(QColor(self.theme.text))
            figures = QRectF(NAME_PX + room, top, FIGURE_PX, ROW_PX)
            painter.drawText(figures, middle | Qt.AlignmentFlag.AlignRight, f"{three_digits(p50)} / {three_digits(p95)}")
        painter.end()


class Timings(Page):
    def build(self) -> None:
        self.bars = Bars()
        self.add(heading(self.tr("Stages · ms, p50 / p95")), self.bars)
        self.plot = self.add_plot(self.tr("Frame to labels · ms, how often"), height_px=150)
        self.area = self.plot.areas[0]
        self._histogram = self.area.add(pg.BarGraphItem(x=[0.0], height=[0.0], width=1.0))
        self._lines = [self.area.add(pg.InfiniteLine(angle=90)) for _ in range(3)]
        self.spread = label("")
        self.spread.setWordWrap(True)
        self.add(self.spread)

    def paint(self, theme: Theme) -> None:
        super().paint(theme)
        self.bars.theme = theme
        self._histogram.setOpts(brush=theme.accent, pen=pen(theme.panel))
        for line, colour in zip(self._lines, (theme.good, theme.warn, theme.bad), strict=True):
            line.setPen(pen(colour, 1.5))

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        rows = []
        for stage in TIMED:
            values = column_of(moments, stage)
            if np.isfinite(values).any():
                rows.append((stage_name(stage), *percentiles(values)[:2]))
        self.bars.show_rows(rows)
        total = np.array([moment.total_ms for moment in moments], np.float64)
        if not total.size:
            return
        figures = percentiles(total)
        top = top_of(total, 1.0)
        counts, edges = np.histogram(np.minimum(total, top), bins=40, range=(0, top))
        self._histogram.setOpts(x=(edges[:-1] + edges[1:]) / 2, width=edges[1], height=counts)
        most = float(counts.max())
        self.area.scale(0, most * 1.1, [(0, "0"), (most, f"{most:.0f}")])
        self.plot.x_range(0, top)
        for line, figure in zip(self._lines, figures, strict=True):
            line.setValue(min(figure, top))
        text = self.tr("p50 {0:.1f} ms · p95 {1:.1f} ms · p99 {2:.1f} ms · of the last {3} frames")
        self.spread.setText(text.format(*figures, len(total)))
