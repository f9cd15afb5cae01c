"""The column of pages: a box to choose one, arrows to turn them, and the page that is open."""

from collections.abc import Mapping

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QStackedWidget, QToolButton, QVBoxLayout, QWidget

from drive_seg.session.history import Moment
from drive_seg.ui.choices import translate
from drive_seg.ui.cockpit import Cockpit
from drive_seg.ui.pages.accuracy import AccuracyPage
from drive_seg.ui.pages.areas import Areas
from drive_seg.ui.pages.audit import AuditPage
from drive_seg.ui.pages.cache import CachePage
from drive_seg.ui.pages.compare import Compare
from drive_seg.ui.pages.engine import EnginePage
from drive_seg.ui.pages.page import Page
from drive_seg.ui.pages.source import SourcePage
from drive_seg.ui.pages.timings import Timings
from drive_seg.ui.theme import Theme, icon
from drive_seg.ui.widgets import Choice, row, scrolled

PAGES: dict[str, tuple[str, type[Page]]] = {  # by name: title for people, before translation; in the order of the keys 1, 2 …
    "timings": ("Timings", Timings),
    "cache": ("Cache", CachePage),
    "source": ("Source", SourcePage),
    "engine": ("Engine", EnginePage),
    "areas": ("Class areas", Areas),
    "audit": ("Audit by age", AuditPage),
    "compare": ("A/B numbers", Compare),
    "accuracy": ("Accuracy", AccuracyPage),
}
NAMES = tuple(PAGES)


class Inspector(QWidget):
    """Only the page that is open is told anything."""

    closed = pyqtSignal()
    turned = pyqtSignal(str)

    def __init__(self, cockpit: Cockpit, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        self.setObjectName("column")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(320)  # its widest page, in the longest language
        self.pages = {name: page(cockpit, actions) for name, (_, page) in PAGES.items()}
        self.choice = Choice(self.tr("The page that is shown"))
        self._stack = QStackedWidget()
        for page in self.pages.values():
            self._stack.addWidget(scrolled(page))
        self.arrows: dict[str, QToolButton] = {}
        for name, tip, do in (
            ("previous", self.tr("The page before"), lambda: self.turn(-1)),
            ("next", self.tr("The next page"), lambda: self.turn(1)),
            ("close", self.tr("Close"), self.closed.emit),
        ):
            self.arrows[name] = QToolButton()
            self.arrows[name].setToolTip(tip)
            self.arrows[name].setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self.arrows[name].clicked.connect(lambda _, do=do: do())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(row(self.choice, *self.arrows.values(), stretch=0, spacing=2, margins=(10, 8, 6, 4)))
        column.addWidget(self._stack, 1)
        self.choice.chosen.connect(self.open)
        self.open(NAMES[0])

    @property
    def name(self) -> str:
        """Of the page that is open."""
        return NAMES[self._stack.currentIndex()]

    def open(self, name: str) -> None:
        self._stack.setCurrentIndex(NAMES.index(name) if name in NAMES else 0)
        titles = [(key, f"{at}  {translate('actions', title)}") for at, (key, (title, _)) in enumerate(PAGES.items(), 1)]
        self.choice.offer(titles, self.name)
        self.turned.emit(self.name)

    def turn(self, by: int) -> None:
        self.open(NAMES[(self._stack.currentIndex() + by) % len(NAMES)])

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        self.pages[self.name].refresh(moments)

    def paint(self, theme: Theme) -> None:
        for page in self.pages.values():
            page.paint(theme)
        for name, arrow in self.arrows.items():
            arrow.setIcon(icon(name, theme))

    def close_plots(self) -> None:
        for page in self.pages.values():
            for plot in page.plots:
                plot.close_plot()
