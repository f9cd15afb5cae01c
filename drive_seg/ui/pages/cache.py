"""Page: what the cache holds, how old it is shown, and for which reasons it was refreshed."""

from collections import Counter

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel

from drive_seg.session.history import Moment
from drive_seg.ui.choices import said
from drive_seg.ui.pages.page import Page
from drive_seg.ui.plots import pen
from drive_seg.ui.strip import GROUP_OF, GROUPS, group_name
from drive_seg.ui.theme import Theme
from drive_seg.ui.widgets import NONE, Facts, heading


class CachePage(Page):
    def build(self) -> None:
        self.facts = Facts()
        self.reasons = QLabel()
        self.reasons.setTextFormat(Qt.TextFormat.RichText)
        self.add(self.facts, heading(self.tr("Refreshed for")), self.reasons)
        self.plot = self.add_plot(self.tr("Age of the features shown · frames, how often"), height_px=150)
        self._bars = self.plot.areas[0].add(pg.BarGraphItem(x=[0.0], height=[0.0], width=0.9))

    def paint(self, theme: Theme) -> None:
        super().paint(theme)
        self._bars.setOpts(brush=theme.good, pen=pen(theme.panel))

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        runs, keys = self.cockpit.status.runs, [moment for moment in moments if moment.is_key]
        ages = np.array([moment.age_frames for moment in moments])
        last = moments[-1] if moments else None
        share = self.tr("{0} of {1} · {2:.0%}").format(len(keys), len(moments), len(keys) / max(1, len(moments)))
        self.facts.tell(
            {
                self.tr("Schedule"): runs.get("schedule"),
                self.tr("Mode"): runs.get("mode"),
                self.tr("Propagation"): runs.get("propagation"),
                self.tr("Last decision"): said(last.text) if last else None,
                self.tr("Score / threshold"): f"{last.score:.3f} / {last.threshold or 0:.3f}" if last and last.score is not None else None,
                self.tr("Key frames"): share if moments else None,
                self.tr("Feature age"): self.tr("{0:.1f} mean · {1} max").format(ages.mean(), ages.max()) if moments else None,
                self.tr("Waited, cache invalid"): str(sum(moment.cold for moment in moments)),
            }
        )
        if not moments:
            return
        counts = Counter(GROUP_OF.get(moment.reason, "") for moment in keys)
        rows = [
            f"<tr><td><span style='color:{colour}'>■</span>&nbsp; {group_name(group)}</td>"
            f"<td align='right' width='60'>{counts[group]}</td></tr>"
            for group, (_, colour) in GROUPS.items()
            if counts[group]
        ]
        self.reasons.setText(f"<table>{''.join(rows)}</table>" if rows else NONE)
        often = np.bincount(np.maximum(ages, 0))
        self._bars.setOpts(x=np.arange(len(often)), height=often)
        most = float(often.max())
        self.plot.areas[0].scale(0, most * 1.1, [(0, "0"), (most, f"{most:.0f}")])
        self.plot.x_range(-0.6, max(4.0, len(often)) - 0.4)
