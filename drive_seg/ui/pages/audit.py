"""Page: how far the labels are from the full network's, by the age of the features they were made with."""

import numpy as np
import pyqtgraph as pg

from drive_seg.session.history import Moment
from drive_seg.ui.pages.page import Page
from drive_seg.ui.plots import pen
from drive_seg.ui.theme import Theme
from drive_seg.ui.widgets import Facts, action_button, label


class AuditPage(Page):
    def build(self) -> None:
        says = label(
            self.tr("In spare time the full network labels some of the frames again. Where the two agree less, features have aged."), "dim"
        )
        says.setWordWrap(True)
        self.facts = Facts()
        self.add(says, action_button(self.actions_by_name["audit"]), self.facts)
        self.plot = self.add_plot(self.tr("Agreement · age in frames"), height_px=220)
        self.area = self.plot.areas[0]
        self._line = self.area.line("#fff", 2)
        self._dots = self.area.add(pg.ScatterPlotItem(size=7))

    def paint(self, theme: Theme) -> None:
        super().paint(theme)
        self._line.setPen(pen(theme.accent, 2))
        self._dots.setBrush(theme.accent)
        self._dots.setPen(pen(theme.panel))

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        known = self.cockpit.player.agreement()
        frames = sum(one.frames for one in known)
        self.facts.tell(
            {
                self.tr("Frames audited"): str(frames) if known else None,
                self.tr("Agreement"): f"{sum(one.share * one.frames for one in known) / frames:.2%}" if known else None,
                self.tr("at age 0"): f"{known[0].share:.2%}" if known and known[0].age == 0 else None,
                self.tr("at the oldest age"): self.tr("{0:.2%} at {1}").format(known[-1].share, known[-1].age) if known else None,
            }
        )
        x = np.array([one.age for one in known], np.float64)
        y = np.array([one.share for one in known], np.float64)
        self._line.setData(x, y)
        self._dots.setData(x, y)
        if not known:
            self.area.scale(0, 1, [(0, "0 %"), (0.97, "100 %")])
            self.plot.x_range(-0.5, 10)
            return
        low = max(0.0, np.floor((float(y.min()) - 0.005) * 100) / 100)
        self.area.scale(low, 1 + (1 - low) * 0.06, [(low, f"{low:.0%}"), ((1 + low) / 2, f"{(1 + low) / 2:.1%}"), (1, "100 %")])
        self.plot.x_range(-0.5, max(4.0, float(x.max()) + 0.5))
