"""A schedule as controls: its kind, and a slider for its number."""

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from drive_seg.ui.choices import KINDS, kind_name, kind_says, read_schedule
from drive_seg.ui.widgets import Choice, Slider, label, named


class ScheduleBox(QWidget):
    """Tells the schedule as drive_seg.network.schedule writes it."""

    chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.kind = Choice(self.tr("What decides on which frames the deep stage runs"))
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

    def show_schedule(self, text: str) -> None:
        """As it is in force; one that has no slider stands in the box as it is written."""
        if text == self._text:
            return
        self._text, read = text, read_schedule(text)
        self.kind.offer([(kind, kind_name(kind)) for kind in KINDS], read[0] if read else text)
        kind = KINDS[read[0]] if read else None
        slides = kind is not None and kind.ticks > 0
        self.slider.setVisible(slides)
        self.says.setVisible(slides)
        if read and kind and slides:
            self.slider.setRange(0, kind.ticks) if self.slider.maximum() != kind.ticks else None
            self.slider.put(kind.tick(read[1]))
            self.says.setText(kind_says(read[0], read[1]))

    def _choose(self, kind: str) -> None:
        if kind in KINDS:
            self.chosen.emit(KINDS[kind].text(KINDS[kind].default))

    def _slide(self, tick: int) -> None:
        read = read_schedule(self._text)
        if read:
            kind = KINDS[read[0]]
            self.says.setText(kind_says(read[0], kind.value(tick)))
            self.chosen.emit(kind.text(kind.value(tick), read[2]))
