"""How the window's parts lie: the picture with its transport and strip, the inspector and the controls beside it, bars above and below."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QSplitter, QToolButton, QVBoxLayout, QWidget

from drive_seg.session.status import Status
from drive_seg.ui.actions import ACTIONS, MENUS
from drive_seg.ui.choices import translate
from drive_seg.ui.keys import KeyList
from drive_seg.ui.memory import Memory
from drive_seg.ui.pages.inspector import Inspector
from drive_seg.ui.panel import WIDTH_PX, Panel
from drive_seg.ui.strip import Strip
from drive_seg.ui.theme import Theme, state_colour
from drive_seg.ui.transport import Transport, icon_button
from drive_seg.ui.trouble import TroubleBar
from drive_seg.ui.view import VideoView
from drive_seg.ui.widgets import Elided, label

if TYPE_CHECKING:
    from drive_seg.ui.window import MainWindow

SEPARATED = {
    "snapshot",
    "quit",
    "forward",
    "slower",
    "loop",
    "contours",
    "all",
    "model",
    "schedule",
    "mode",
    "full",
    "theme",
    "csv",
    "page-timings",
}
WITH_TEXT = ("compare", "audit", "inspect")
CORNER = ("compare", "audit", "inspect", "panel", "theme", "keys")  # in the menu bar's corner
STRIP_PX, INSPECTOR_PX = 150, 320


class Layout:
    """Makes the parts and puts them into the window."""

    def __init__(self, window: "MainWindow") -> None:
        cockpit, keys = window.cockpit, window.keys
        self._window, self.is_alone = window, False
        self._before: dict[str, bool] = {}
        self.video = VideoView(window.meter)
        self.transport = Transport(cockpit, keys)
        self.strip = Strip(window.meter)
        self.inspector = Inspector(cockpit, keys)
        self.panel = Panel(cockpit, keys)
        self.trouble = TroubleBar(keys["dismiss"])
        self.upright, self.across = QSplitter(Qt.Orientation.Vertical), QSplitter(Qt.Orientation.Horizontal)
        self._put()
        self.worded = fill_menus(window)
        self.keys = KeyList(window)
        self._status_bar()

    def _put(self) -> None:
        watched = QWidget()
        column = QVBoxLayout(watched)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.video, 1)
        column.addWidget(self.transport)
        for splitter, parts in ((self.upright, (watched, self.strip)), (self.across, (self.upright, self.inspector, self.panel))):
            for at, part in enumerate(parts):
                splitter.addWidget(part)
                splitter.setStretchFactor(at, 1 if at == 0 else 0)
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(1)
        self.upright.setSizes([2000, STRIP_PX])
        self.across.setSizes([2000, INSPECTOR_PX, WIDTH_PX])
        body = QWidget()
        whole = QVBoxLayout(body)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.trouble)
        whole.addWidget(self.across, 1)
        self._window.setCentralWidget(body)

    def _status_bar(self) -> None:
        bar = self._window.statusBar()
        assert bar is not None  # Qt makes it on demand; only its stubs allow None
        bar.setSizeGripEnabled(False)
        self.state, self.about = label(""), Elided("dim")
        inside = QWidget()
        line = QHBoxLayout(inside)
        line.setContentsMargins(8, 2, 8, 2)
        line.setSpacing(12)
        line.addWidget(self.state)
        line.addWidget(self.about, 1)
        line.addWidget(label(translate("ui", "?  all keys"), "dim"))
        bar.addWidget(inside, 1)

    def part(self, name: str) -> QWidget:
        """`panel`, `strip` or `inspector`."""
        return {"panel": self.panel, "strip": self.strip, "inspector": self.inspector}[name]

    def show_part(self, part: str, shown: bool, narrow: bool) -> None:
        """Where it is narrow, one column makes room for the other."""
        self.part(part).setVisible(shown)
        other = {"panel": "inspector", "inspector": "panel"}.get(part)
        if other and narrow:
            self.part(other).setVisible(not shown and other == "panel")

    def alone(self, on: bool) -> None:
        """Everything around the picture goes, and comes back as it was."""
        around = {"panel": self.panel, "strip": self.strip, "inspector": self.inspector, "transport": self.transport,
                  "menu": self._window.menuBar(), "status": self._window.statusBar()}  # fmt: skip
        if on:
            self._before = {name: part.isVisible() for name, part in around.items() if part}
        for name, part in around.items():
            if part:
                part.setVisible(self._before[name] and not on)
        self.is_alone = on

    def show_state(self, status: Status, theme: Theme) -> None:
        loading = status.state.startswith("loading")
        self.state.setText(f"● {state_name(status.state)}" if not loading else f"● {status.state} …")
        self.state.setStyleSheet(f"color: {theme.accent if loading else state_colour(theme, status.state)}")
        parts = [status.source.name, status.headline]
        if status.recording:
            parts.insert(0, translate("ui", "recording {0}").format(status.recording.name))
        self.about.setText("   ·   ".join(part for part in parts if part))
        self.transport.show_state(status)
        self.video.waiting = translate("ui", "Waiting for {0} …").format(status.source.name)
        if status.state == "failed":
            self.video.waiting = translate("ui", "Nothing to show. Drop a video or a folder of pictures here, or press Ctrl+O.")
        if self.video.image is None:
            self.video.update()

    @staticmethod
    def tags(runs: Mapping[str, str], rival: Mapping[str, str] | None) -> tuple[str, str]:
        """What stands left and right of the divider: what the two do not share."""
        other = rival or {}
        told = [key for key in ("model", "schedule", "mode", "propagation", "precision", "backend") if runs.get(key) != other.get(key)]
        said = told or ["schedule"]
        return tuple(f"{name}  {' · '.join(lane.get(key, '') for key in said)}" for name, lane in (("A", runs), ("B", other)))  # type: ignore[return-value]

    def shows(self, name: str) -> bool:
        """Also before the window itself is shown."""
        return self.part(name).isVisibleTo(self._window)

    def make_narrow(self, narrow: bool, memory: Memory) -> None:
        """In a narrow window one column goes, and the corner's buttons lose their words, or the last menus would be hidden."""
        if not self.is_alone and self.shows("inspector"):
            self.panel.setVisible(not narrow and memory.flag("open/panel", True))
        style = Qt.ToolButtonStyle.ToolButtonIconOnly if narrow else Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        corner = self.worded[0].parentWidget()
        if corner is None or self.worded[0].toolButtonStyle() == style:
            return
        corner.hide()  # the menu bar makes room for what is shown to it, and for nothing that changes afterwards
        for button in self.worded:
            button.setToolButtonStyle(style)
        corner.adjustSize()
        corner.show()

    def paint(self, theme: Theme) -> None:
        self.video.theme = self.transport.bar.theme = self.panel.legend.theme = theme
        self.strip.paint(theme)
        self.inspector.paint(theme)
        self.inspector.show_icons(theme)

    def restore(self, memory: Memory) -> None:
        for name, splitter in (("upright", self.upright), ("across", self.across)):
            if state := memory.blob(name):
                splitter.restoreState(state)

    def keep(self, memory: Memory) -> None:
        memory.keep(upright=self.upright.saveState(), across=self.across.saveState())

    def close(self) -> None:
        """Before the window goes."""
        self.strip.plot.close_plot()
        self.inspector.close_plots()


def state_name(state: str) -> str:
    """For people."""
    return {
        "opening": translate("ui", "opening"),
        "playing": translate("ui", "playing"),
        "paused": translate("ui", "paused"),
        "reconnecting": translate("ui", "reconnecting"),
        "ended": translate("ui", "ended"),
        "failed": translate("ui", "failed"),
    }.get(state, state)


def fill_menus(window: "MainWindow") -> list[QToolButton]:
    """From the table, in its order; what was opened last stands in the first menu. Returns the corner's buttons that have words."""
    bar = window.menuBar()
    assert bar is not None
    for name, title in MENUS.items():
        menu = bar.addMenu(translate("actions", title))
        assert menu is not None
        menu.setToolTipsVisible(True)
        for entry in ACTIONS:
            if entry.menu == name:
                if entry.name in SEPARATED:
                    menu.addSeparator()
                menu.addAction(window.keys[entry.name])
        if name == "source":
            recent = menu.addMenu(translate("ui", "Opened lately"))
            assert recent is not None

            def fill(recent: object = recent) -> None:
                recent.clear()  # type: ignore[attr-defined]
                for source in window.memory.recent or [translate("ui", "nothing yet")]:
                    action = recent.addAction(source)  # type: ignore[attr-defined]
                    action.setEnabled(bool(window.memory.recent))
                    action.triggered.connect(lambda _=False, source=source: window.opener.open(source))

            recent.aboutToShow.connect(fill)
    corner = QWidget()
    line = QHBoxLayout(corner)
    line.setContentsMargins(0, 1, 6, 1)
    line.setSpacing(2)
    buttons = {name: icon_button(window.keys[name], text=name in WITH_TEXT) for name in CORNER}
    for button in buttons.values():
        line.addWidget(button)
    bar.setCornerWidget(corner)
    return [buttons[name] for name in WITH_TEXT]
