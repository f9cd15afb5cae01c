"""Page: the A/B comparison: who is compared with, both ways' numbers, and how much of the picture they label otherwise."""

from collections import deque
from collections.abc import Mapping

import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QLabel, QWidget

from drive_seg.session.figures import Numbers
from drive_seg.session.history import Moment
from drive_seg.ui.cockpit import PLAIN
from drive_seg.ui.pages.page import Page
from drive_seg.ui.plots import pen, round_up
from drive_seg.ui.schedulebox import ScheduleBox
from drive_seg.ui.theme import Theme
from drive_seg.ui.widgets import NONE, Choice, action_button, label, named, row

KEPT = 300  # values of the share that differs
SCHEDULE = "clockwork:4"  # the other schedule to begin with


class Compare(Page):
    def build(self) -> None:
        self.against = Choice(self.tr("Who is compared with, on the same frames"))
        self.schedule = ScheduleBox()
        self.bundle = Choice(self.tr("The other bundle"))
        self._bundle_row = named(self.tr("Bundle"), self.bundle)
        self.schedule.hide()
        self._bundle_row.hide()
        self.table = _Table()
        self.differing = label(NONE, "big")
        buttons = row(*(action_button(self.actions_by_name[name]) for name in ("compare", "difference")), QWidget(), stretch=2)
        self.add(named(self.tr("Against"), self.against), self.schedule, self._bundle_row, buttons, self.table)
        self.plot = self.add_plot(self.tr("Labels that differ · running mean of 300 frames"), height_px=120, above=self.differing)
        self._line = self.plot.areas[0].line("#fff", 1.5)
        self._shares: deque[float] = deque(maxlen=KEPT)
        self.against.chosen.connect(self._choose)
        self.schedule.chosen.connect(lambda text: self.cockpit.set_comparison({"schedule": text}))
        self.bundle.chosen.connect(lambda name: self.cockpit.set_comparison({"model": name}))

    def paint(self, theme: Theme) -> None:
        super().paint(theme)
        self._line.setPen(pen(theme.second, 1.5))

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        status = self.cockpit.status
        self._show_choice(self.cockpit.comparison)
        self.table.show_both(status.runs, status.numbers, status.comparison, status.comparison_numbers)
        if status.differing is None:
            self.differing.setText(NONE)
            self._shares.clear()
        else:
            self.differing.setText(f"{status.differing:.2%}")
            self._shares.append(status.differing)
        values = np.array(self._shares, np.float64)
        self._line.setData(np.arange(len(values), dtype=np.float64), values)
        top = round_up(max(0.001, float(values.max()) if len(values) else 0.0))
        self.plot.areas[0].scale(0, top * 1.05, [(0, "0"), (top, f"{top:.1%}")])
        self.plot.x_range(0, max(20.0, len(values)))

    def _show_choice(self, other: Mapping[str, object]) -> None:
        kind = "bundle" if "model" in other else "plain" if other == PLAIN else "schedule"
        options = [
            ("plain", self.tr("every frame, sync")),
            ("schedule", self.tr("another schedule")),
            ("bundle", self.tr("another bundle")),
        ]
        self.against.offer(options, kind)
        self.schedule.setVisible(kind == "schedule")
        self._bundle_row.setVisible(kind == "bundle")
        if kind == "schedule":
            self.schedule.show_schedule(str(other["schedule"]), self.cockpit.wanted("model"), self.cockpit.card())
        if kind == "bundle":
            self.bundle.offer([(name, name) for name in self.cockpit.models()], str(other["model"]))

    def _choose(self, kind: str) -> None:
        others = [name for name in self.cockpit.models() if name != self.cockpit.status.settings.model]
        chosen: dict[str, Mapping[str, object]] = {"plain": PLAIN, "schedule": {"schedule": SCHEDULE}}
        self.cockpit.set_comparison(chosen.get(kind, {"model": (others or self.cockpit.models())[0]}))
        self._show_choice(self.cockpit.comparison)


class _Table(QWidget):
    """Both ways side by side; `cells` by row and column."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        names = {
            "model": self.tr("Bundle"), "schedule": self.tr("Schedule"), "mode": self.tr("Mode"), "p50": self.tr("ms p50"),
            "p95": self.tr("ms p95"), "keys": self.tr("Key frames"), "age": self.tr("Mean age"), "high": self.tr("Deep stage"),
        }  # fmt: skip
        self.cells: dict[tuple[str, int], QLabel] = {}
        for at, head in enumerate((self.tr("A, this"), self.tr("B, the other")), 1):
            grid.addWidget(label(head, "heading"), 0, at, Qt.AlignmentFlag.AlignRight)
        for line, (key, name) in enumerate(names.items(), 1):
            grid.addWidget(label(name, "dim"), line, 0)
            for at in (0, 1):
                cell = self.cells[key, at] = label(NONE)
                cell.setAlignment(Qt.AlignmentFlag.AlignRight)
                cell.setWordWrap(True)
                grid.addWidget(cell, line, at + 1)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(2, 1)

    def show_both(self, runs: Mapping[str, str], numbers: Numbers, other: Mapping[str, str] | None, other_numbers: Numbers | None) -> None:
        for at, (what, figures) in enumerate(((runs, numbers), (other or {}, other_numbers))):
            known = figures is not None and figures.count > 0
            texts = {key: what.get(key, NONE).replace(":", ":\u200b") for key in ("model", "schedule", "mode")}
            texts["p50"] = f"{figures.p50_ms:.1f}" if known and figures else NONE
            texts["p95"] = f"{figures.p95_ms:.1f}" if known and figures else NONE
            texts["keys"] = f"{figures.key_share:.0%}" if known and figures else NONE
            texts["age"] = f"{figures.age_mean:.1f}" if known and figures else NONE
            texts["high"] = f"{figures.high_ms:.1f} ms" if figures and figures.high_ms is not None else NONE
            for key, text in texts.items():
                self.cells[key, at].setText(text)
