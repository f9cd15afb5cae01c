"""A schedule as controls: its kind, and a slider for its number."""

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from drive_seg.network.card import Card
from drive_seg.network.schedule import KINDS, find_kind, lacks, parse_schedule, read_schedule
from drive_seg.ui.choices import explained, translate
from drive_seg.ui.widgets import Choice, Slider, label, named


class ScheduleBox(QWidget):
    """Tells the schedule as drive_seg.network.schedule writes it."""

    chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.kind = Choice(explained(self.tr("What decides on which frames the deep stage runs"), KINDS))
        self.slider = Slider(1, self.tr("The schedule's threshold, clock or budget; it acts at once"))
        self.says = label("", "unit")
        self._text = ""
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addWidget(named(self.tr("Schedule"), self.kind))
        column.addWidget(self.slider)
        column.addWidget(self.says)
        self.kind.chosen.connect(self._choose)
        self.slider.slid.connect(self._slide)

    def show_schedule(self, text: str, model: str, card: Card | None) -> None:
        """As it is in force, with what the model cannot be run by greyed; none of the kinds that can be chosen stands as it is written."""
        self._text, found, read = text, find_kind(text), read_schedule(text)
        scored, cached = bool(card and card.score), len(card.cached) if card else 1
        barred = {name: why for name, kind in KINDS.items() if (why := lacks(parse_schedule(kind.start), model, scored, cached))}
        chosen = found[0].name if found and (read or text == found[0].start) else text
        self.kind.offer([(kind.name, translate("ui", kind.title)) for kind in KINDS.values()], chosen, barred)
        self.slider.setVisible(read is not None)
        self.says.setVisible(read is not None)
        if read:
            slider, value, _ = read
            self.slider.setRange(0, slider.ticks) if self.slider.maximum() != slider.ticks else None
            self.slider.put(slider.tick(value))
            self.says.setText(translate("ui", slider.says).format(value))

    def _choose(self, kind: str) -> None:
        if kind in KINDS:
            self.chosen.emit(KINDS[kind].start)

    def _slide(self, tick: int) -> None:
        if read := read_schedule(self._text):
            slider, _, rest = read
            self.says.setText(translate("ui", slider.says).format(slider.value(tick)))
            self.chosen.emit(slider.form.format(slider.value(tick)) + rest)
