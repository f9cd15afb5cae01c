"""The right-hand panel: the run's numbers above, the class legend below."""

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from drive_seg.contracts import Result
from drive_seg.stats import Numbers
from drive_seg.ui.legend import Legend

WIDTH_PX = 300
NONE = "–"


def label(text: str, name: str = "") -> QLabel:
    """A label that the style sheet knows by `name`."""
    made = QLabel(text)
    made.setObjectName(name)
    return made


def rule() -> QFrame:
    line = QFrame()
    line.setObjectName("rule")
    line.setFixedHeight(1)
    return line


class Panel(QWidget):
    """Numbers by name in `values`, so that a test or a script reads what a person reads."""

    def __init__(self, headline: str, classes: Sequence[str], palette: Sequence[tuple[int, int, int]], labelled: bool) -> None:
        """`labelled`: the mIoU row is shown."""
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(WIDTH_PX)
        self.values: dict[str, QLabel] = {}
        self.legend = Legend(classes, palette)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 12)
        column.setSpacing(10)
        column.addLayout(self._headlines())
        column.addLayout(self._rows(labelled))
        column.addWidget(rule())
        about = label(headline, "dim")
        about.setWordWrap(True)
        column.addWidget(about)
        column.addWidget(rule())
        column.addWidget(label("CLASSES · SHARE OF PIXELS", "heading"))
        column.addWidget(self._scrolled(self.legend), stretch=1)

    def _headlines(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for name, unit in (("FPS", "frames / s"), ("p50", "ms p50"), ("p95", "ms p95")):
            cell = QVBoxLayout()
            cell.setSpacing(0)
            self.values[name] = label(NONE, "big")
            cell.addWidget(self.values[name])
            cell.addWidget(label(unit, "unit"))
            row.addLayout(cell, stretch=1)
        return row

    def _rows(self, labelled: bool) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(5)
        names = ["this frame", "schedule", "key frames", "deep stage", "age", "dropped", *(["mIoU"] if labelled else []), "view"]
        for row, name in enumerate(names):
            self.values[name] = label(NONE)
            self.values[name].setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(label(name, "dim"), row, 0)
            grid.addWidget(self.values[name], row, 1)
        grid.setColumnStretch(1, 1)
        return grid

    @staticmethod
    def _scrolled(legend: Legend) -> QScrollArea:
        area = QScrollArea()
        area.setWidget(legend)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys are the window's
        return area

    def show_numbers(self, numbers: Numbers, dropped: int, miou: float | None) -> None:
        """The last second; a dash where nothing arrived in it."""
        known = numbers.count > 0
        self._set("FPS", f"{numbers.fps:.0f}" if known else NONE)
        self._set("p50", f"{numbers.p50_ms:.1f}" if known else NONE)
        self._set("p95", f"{numbers.p95_ms:.1f}" if known else NONE)
        self._set("key frames", f"{numbers.key_share:.0%}{f' · {numbers.cold} cold' if numbers.cold else ''}" if known else NONE)
        self._set("deep stage", NONE if numbers.high_ms is None else f"{numbers.high_ms:.1f} ms")
        self._set("age", f"{numbers.age_mean:.1f} mean · {numbers.age_max} max" if known else NONE)
        self._set("dropped", str(dropped))
        self._set("mIoU", NONE if miou is None else f"{miou:.1%}")

    def show_frame(self, result: Result) -> None:
        """What is true of the frame on the screen."""
        kind = "key" if result.age_frames == 0 else f"age {result.age_frames}"
        self._set("this frame", f"#{result.frame.index} · {result.total_ms:.1f} ms · {kind}")
        self._set("schedule", result.decision.text)
        self.legend.count(result.labels)

    def show_view(self, text: str) -> None:
        self._set("view", text)

    def _set(self, name: str, text: str) -> None:
        if name in self.values:
            self.values[name].setText(text)
