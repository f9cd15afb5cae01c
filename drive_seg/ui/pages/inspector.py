"""The column of pages: a box to choose one, arrows to turn them, and the page that is open."""

from collections.abc import Mapping

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QHBoxLayout, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from drive_seg.session.history import Moment
from drive_seg.ui.actions import PAGES
from drive_seg.ui.choices import translate
from drive_seg.ui.cockpit import Cockpit
from drive_seg.ui.icons import icon
from drive_seg.ui.pages.areas import Areas
from drive_seg.ui.pages.audit import AuditPage
from drive_seg.ui.pages.cache import CachePage
from drive_seg.ui.pages.compare import Compare
from drive_seg.ui.pages.engine import EnginePage
from drive_seg.ui.pages.page import Page
from drive_seg.ui.pages.source import SourcePage
from drive_seg.ui.pages.timings import Timings
from drive_seg.ui.theme import Theme
from drive_seg.ui.widgets import Choice, action_button, scrolled, when_clicked

NAMES = tuple(PAGES)


class Inspector(QWidget):
    """Only the page that is open is told anything."""

    closed = pyqtSignal()
    turned = pyqtSignal(str)

    def __init__(self, cockpit: Cockpit, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        self.setObjectName("column")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(250)
        self.pages: dict[str, Page] = {
            "timings": Timings(cockpit),
            "cache": CachePage(cockpit),
            "source": SourcePage(cockpit),
            "engine": EnginePage(cockpit),
            "areas": Areas(cockpit, action_button(actions["csv"])),
            "audit": AuditPage(cockpit, action_button(actions["audit"])),
            "compare": Compare(cockpit, action_button(actions["compare"]), action_button(actions["difference"])),
        }
        self.choice = Choice(self.tr("The page that is shown"))
        self.arrows = {name: QToolButton() for name in ("previous", "next", "close")}
        for name, tip in (("previous", self.tr("The page before")), ("next", self.tr("The next page")), ("close", self.tr("Close"))):
            self.arrows[name].setToolTip(tip)
        when_clicked(self.arrows["previous"], lambda: self.turn(-1))
        when_clicked(self.arrows["next"], lambda: self.turn(1))
        when_clicked(self.arrows["close"], self.closed.emit)
        self._stack = QStackedWidget()
        for page in self.pages.values():
            self._stack.addWidget(scrolled(page))
        head = QHBoxLayout()
        head.setContentsMargins(10, 8, 6, 4)
        head.setSpacing(2)
        head.addWidget(self.choice, 1)
        for arrow in self.arrows.values():
            head.addWidget(arrow)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self._stack, 1)
        self.choice.chosen.connect(self.open)
        self.open(NAMES[0])

    @property
    def name(self) -> str:
        """Of the page that is open."""
        return NAMES[self._stack.currentIndex()]

    def open(self, name: str) -> None:
        self._stack.setCurrentIndex(NAMES.index(name) if name in NAMES else 0)
        self.choice.offer([(key, f"{at}  {translate('actions', title)}") for at, (key, title) in enumerate(PAGES.items(), 1)], self.name)
        self.turned.emit(self.name)

    def turn(self, by: int) -> None:
        self.open(NAMES[(self._stack.currentIndex() + by) % len(NAMES)])

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        self.pages[self.name].refresh(moments)

    def paint(self, theme: Theme) -> None:
        for page in self.pages.values():
            page.paint(theme)

    def show_icons(self, theme: Theme) -> None:
        for name, arrow in self.arrows.items():
            arrow.setIcon(icon(name, theme.text, theme.line))

    def close_plots(self) -> None:
        for page in self.pages.values():
            for plot in page.plots:
                plot.close_plot()
