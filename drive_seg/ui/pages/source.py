"""Page: what comes in, at which pace, and what was lost on the way."""

import numpy as np

from drive_seg.session.history import Moment
from drive_seg.ui.pages.page import Page, column_of, percentiles
from drive_seg.ui.plots import pen, top_of
from drive_seg.ui.theme import Theme
from drive_seg.ui.widgets import NONE, Facts


class SourcePage(Page):
    def build(self) -> None:
        self.facts = Facts()
        self.add(self.facts)
        self.plot = self.add_plot(self.tr("Ms between frames shown, and frames dropped · last frames"), (1, 1), height_px=190)
        self.gaps, self.drops = self.plot.areas
        self._gap, self._drop = self.gaps.line("#fff"), self.drops.line("#fff", 1.5)

    def paint(self, theme: Theme) -> None:
        super().paint(theme)
        self._gap.setPen(pen(theme.accent))
        self._drop.setPen(pen(theme.bad, 1.5))

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        status, source, known = self.cockpit.status, self.cockpit.status.source, len(moments) >= 2
        decode = self.tr("{0:.1f} / {1:.1f} ms").format(*percentiles(column_of(moments, "decode")))
        self.facts.tell(
            {
                self.tr("Source"): source.name,
                self.tr("Picture"): f"{source.size_hw[1]} × {source.size_hw[0]}",
                self.tr("Frame rate"): self.tr("{0:g} nominal · {1:.1f} shown").format(round(source.fps, 2), status.numbers.fps),
                self.tr("Kind"): self.tr("live: late frames are dropped") if source.live else self.tr("recorded"),
                self.tr("Frame"): f"{NONE if status.position is None else status.position} / {source.frame_count or '∞'}",
                self.tr("Decoding"): decode if known else None,
                self.tr("Dropped so far"): str(status.dropped),
                self.tr("Jumps, reconnects"): str(moments[-1].segment) if known else None,
                self.tr("Note"): status.note,
            }
        )
        if not known:
            return
        times = np.array([moment.time_s for moment in moments])
        same = np.diff([moment.segment for moment in moments]) == 0
        gaps = np.where(same, np.diff(times) * 1e3, np.nan)
        x = np.arange(len(gaps), dtype=np.float64)
        self._gap.setData(x, gaps)
        self.gaps.scale_to(top_of(gaps, 1.0), self.tr("{0:g} ms"))
        lost = np.array([moment.dropped for moment in moments[1:]], np.float64)
        self._drop.setData(x, lost)
        low, high = float(lost.min()), float(lost.max())
        marks = [(value, f"{value:.0f}") for value in sorted({low, high})]
        self.drops.scale(low - 0.5, high + max(1.0, (high - low) * 0.1), marks)
        self.plot.x_range(0, max(10.0, len(x)))
