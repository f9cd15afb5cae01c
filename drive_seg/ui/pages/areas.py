"""Page: how much of the picture each class takes, over time, to be saved as CSV."""

from html import escape
from typing import Any

import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QLabel

from drive_seg.session.history import Moment
from drive_seg.ui.pages.page import Page
from drive_seg.ui.plots import pen, round_up
from drive_seg.ui.theme import DARK, Theme
from drive_seg.ui.widgets import action_button

SPAN = 1800  # frames: a minute at 30 fps
POINTS = 300  # a screen shows no more


class Areas(Page):
    def build(self) -> None:
        self.plot = self.add_plot(self.tr("Share of the picture · seconds ago"), height_px=240)
        self.area = self.plot.areas[0]
        self.curves: list[Any] = []
        self._drawn: tuple[object, ...] = ()
        self._theme = DARK
        self.names = QLabel()
        self.names.setTextFormat(Qt.TextFormat.RichText)
        self.names.setWordWrap(True)
        self.add(self.names, action_button(self.actions_by_name["csv"]))

    def paint(self, theme: Theme) -> None:
        super().paint(theme)
        self._theme = theme

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        look, count = self.cockpit.look, len(self.cockpit.status.classes)
        self._restyle(look.palette[:count], look.hidden)
        fitting = [moment for moment in self.cockpit.player.history(SPAN) if len(moment.shares) == count]
        if not fitting:
            return
        fitting = fitting[:: max(1, len(fitting) // POINTS)]
        shares = np.stack([moment.shares for moment in fitting])
        times = np.array([moment.time_s for moment in fitting])
        steps = np.diff(times, prepend=times[0])
        usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1 / 30
        ago = np.cumsum(np.where((steps < 0) | (steps > 5), usual, steps))  # a jump in the source is none in what was shown
        for number, curve in enumerate(self.curves):
            curve.setData(ago - ago[-1], shares[:, number])
        shown = [number for number in range(count) if number not in look.hidden]
        top = round_up(max(0.01, float(shares[:, shown].max()) if shown else 0.01))
        self.area.scale(0, top, [(0, "0"), (top / 2, f"{50 * top:g}%"), (top * 0.97, f"{100 * top:g}%")])
        self.plot.x_range(min(-1.0, float(-ago[-1])), 0)

    def _restyle(self, palette: tuple[tuple[int, int, int], ...], hidden: frozenset[int]) -> None:
        drawn = palette, hidden, self._theme.name
        if drawn == self._drawn:
            return
        self._drawn = drawn
        for curve in self.curves[len(palette) :]:
            self.area.box.removeItem(curve)
        del self.curves[len(palette) :]
        while len(self.curves) < len(palette):
            self.curves.append(self.area.line("#fff", 1.5))
        names = []
        for number, (curve, rgb) in enumerate(zip(self.curves, palette, strict=True)):
            colour = readable(QColor(*rgb), self._theme)
            curve.setPen(pen(colour, 1.8))
            curve.setVisible(number not in hidden)
            if number not in hidden:
                name = escape(self.cockpit.status.classes[number]).replace(" ", "&nbsp;")
                names.append(f"<span style='color:{colour}'>■</span>&nbsp;{name}")
        self.names.setText("&nbsp;&nbsp; ".join(names))


def readable(colour: QColor, theme: Theme) -> str:
    """The same hue, light enough for a dark ground and dark enough for a light one."""
    hue, saturation, lightness, _ = colour.getHsl()
    light = max(lightness or 0, 80) if theme is DARK else min(lightness or 0, 170)
    return QColor.fromHsl(max(hue or 0, 0), saturation or 0, light).name()
