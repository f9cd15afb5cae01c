"""How the window's parts lie: the picture with its transport and strip, the inspector and the controls beside it, bars above and below."""

from collections.abc import Callable, Mapping
from functools import partial

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QMainWindow, QMenu, QSplitter, QWidget

from drive_seg.redaction import redacted
from drive_seg.session.film import told_apart
from drive_seg.session.status import Status
from drive_seg.ui.actions import ACTIONS, MENUS
from drive_seg.ui.bars import Transport, TroubleBar, clock
from drive_seg.ui.choices import translate
from drive_seg.ui.cockpit import Cockpit
from drive_seg.ui.keeping import Memory
from drive_seg.ui.keys import KeyList
from drive_seg.ui.meter import Meter
from drive_seg.ui.pages.inspector import Inspector
from drive_seg.ui.panel import WIDTH_PX, Panel
from drive_seg.ui.strip import Strip
from drive_seg.ui.theme import Theme, state_colour
from drive_seg.ui.view import VideoView
from drive_seg.ui.widgets import Elided, column, icon_button, label, row

WITH_TEXT = ("compare", "audit", "inspect")
CORNER = (*WITH_TEXT, "panel", "theme", "keys")  # in the menu bar's corner
CONTEXT = ("copy", "copy-command", "snapshot", "actual", "fit", "view", "pause", "refresh", "full")  # the picture's menu
STRIP_PX, INSPECTOR_PX = 150, 320


class Layout:
    """Makes the parts and puts them into the window."""

    def __init__(self, window: QMainWindow, cockpit: Cockpit, keys: Mapping[str, QAction], meter: Meter) -> None:
        self._window, self.is_alone = window, False
        self._before: dict[str, bool] = {}
        self.video = VideoView(meter)
        self.video.addActions([keys[name] for name in CONTEXT])
        self.transport = Transport(cockpit, keys)
        self.strip = Strip(meter)
        self.inspector = Inspector(cockpit, keys)
        self.panel = Panel(cockpit, keys)
        self.trouble = TroubleBar(self.video, keys["dismiss"])
        watched = column(self.video, self.transport, spacing=0)
        self.upright = _split(Qt.Orientation.Vertical, {watched: 2000, self.strip: STRIP_PX})
        self.across = _split(Qt.Orientation.Horizontal, {self.upright: 2000, self.inspector: INSPECTOR_PX, self.panel: WIDTH_PX})
        window.setCentralWidget(self.across)
        self.named: dict[str, QWidget] = {"panel": self.panel, "strip": self.strip, "inspector": self.inspector}
        bar = window.menuBar()
        assert bar is not None  # Qt makes menu and status bar on demand; only its stubs allow None
        buttons = {name: icon_button(keys[name], text=name in WITH_TEXT) for name in CORNER}
        self._worded = [buttons[name] for name in WITH_TEXT]
        self._corner = row(*buttons.values(), spacing=2, margins=(0, 1, 6, 1))
        bar.setCornerWidget(self._corner)
        self.keys = KeyList(window)
        status = window.statusBar()
        assert status is not None
        status.setSizeGripEnabled(False)
        self.state, self.about = label(""), Elided("dim")
        self._state_colour = ""
        hint = label(translate("ui", "?  all keys"), "dim")
        status.addWidget(row(self.state, self.about, hint, stretch=1, spacing=12, margins=(8, 2, 8, 2)), 1)

    def shows(self, part: str) -> bool:
        """`panel`, `strip` or `inspector`; also before the window itself is shown."""
        return self.named[part].isVisibleTo(self._window)

    def show_part(self, part: str, shown: bool, narrow: bool) -> None:
        """Where it is narrow, one column makes room for the other."""
        self.named[part].setVisible(shown)
        other = {"panel": "inspector", "inspector": "panel"}.get(part)
        if other and narrow:
            self.named[other].setVisible(not shown and other == "panel")

    def alone(self, on: bool) -> None:
        """Everything around the picture goes, and comes back as it was."""
        around = {**self.named, "transport": self.transport, "menu": self._window.menuBar(), "status": self._window.statusBar()}
        if on:
            self._before = {name: part.isVisible() for name, part in around.items() if part}
        for name, part in around.items():
            if part:
                part.setVisible(self._before[name] and not on)
        self.is_alone = on

    def show_state(self, status: Status, theme: Theme, behind: tuple[float, float] | None, recording_s: float | None) -> None:
        """`behind`: frames a second shown and due, where the machine is too slow; `recording_s`: for how long."""
        words, colour, away = state_name(status.state), state_colour(theme, status.state), status.away
        if status.state.startswith("loading"):
            words, colour = translate("ui", "loading {0} …").format(status.state.removeprefix("loading ")), theme.accent
        if away and status.state in ("connecting", "reconnecting"):
            words = translate("ui", "{0} since {1}, try {2}").format(words, away.since, away.tries)
        if status.unlike is not None:
            words, colour = translate("ui", "unlike what the network learned: {0:.0%} sure").format(status.unlike), theme.warn
        if behind:
            words, colour = translate("ui", "falling behind: {0:.0f} of {1:.0f} frames / s").format(*behind), theme.warn
        self.state.setText(f"● {words}")
        if self._state_colour != colour:  # a style sheet that is told again is worked out again
            self._state_colour = colour
            self.state.setStyleSheet(f"color: {colour}")
        parts = [status.source.name, status.headline]
        if status.recording:
            parts.insert(0, translate("ui", "recording {0} {1}").format(status.recording.name, clock(recording_s or 0.0)))
        if away and away.name != status.source.name:
            parts.insert(0, translate("ui", "connecting to {0} since {1}, try {2}").format(away.name, away.since, away.tries))
        self.about.setText("   ·   ".join(part for part in parts if part))
        self.transport.show_state(status)
        self.video.waiting = translate("ui", "Waiting for {0} …").format(status.source.name)
        if status.state == "failed":
            self.video.waiting = translate("ui", "Nothing to show. Drop a video or a folder of pictures here, or press Ctrl+O.")
        if self.video.image is None:
            self.video.update()

    def make_narrow(self, narrow: bool, panel: bool) -> None:
        """In a narrow window one column goes, and the corner's buttons lose their words, or the last menus would be hidden.

        `panel`: whether the controls are wanted where there is room.
        """
        if not self.is_alone and self.shows("inspector"):
            self.panel.setVisible(not narrow and panel)
        style = Qt.ToolButtonStyle.ToolButtonIconOnly if narrow else Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        if self._worded[0].toolButtonStyle() == style:
            return
        self._corner.hide()  # the menu bar makes room for what is shown to it, and for nothing that changes afterwards
        for button in self._worded:
            button.setToolButtonStyle(style)
        self._corner.adjustSize()
        self._corner.show()

    def paint(self, theme: Theme) -> None:
        self.video.theme = self.transport.bar.theme = self.panel.legend.theme = theme
        self.strip.paint(theme)
        self.inspector.paint(theme)

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


def _split(direction: Qt.Orientation, parts: Mapping[QWidget, int]) -> QSplitter:
    """The first part takes the room that is left."""
    made = QSplitter(direction)
    for at, part in enumerate(parts):
        made.addWidget(part)
        made.setStretchFactor(at, 1 if at == 0 else 0)
    made.setChildrenCollapsible(False)
    made.setHandleWidth(1)
    made.setSizes(list(parts.values()))
    return made


def state_name(state: str) -> str:
    """For people."""
    return {
        "opening": translate("ui", "opening"),
        "connecting": translate("ui", "connecting"),
        "playing": translate("ui", "playing"),
        "paused": translate("ui", "paused"),
        "reconnecting": translate("ui", "reconnecting"),
        "ended": translate("ui", "ended"),
        "failed": translate("ui", "failed"),
    }.get(state, state)


def tags(runs: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, str]:
    """What stands left and right of the divider: what the two do not share."""
    a, b = told_apart(runs, other, between=" · ")
    return f"A  {a}", f"B  {b}"


def fill_menus(window: QMainWindow, keys: Mapping[str, QAction], recent: Callable[[], list[str]], open: Callable[[str], None]) -> None:
    """From the table, in its order; what was opened last stands in the first menu."""
    bar = window.menuBar()
    assert bar is not None
    for name, title in MENUS.items():
        menu = bar.addMenu(translate("actions", title))
        assert menu is not None
        menu.setToolTipsVisible(True)
        for entry in (entry for entry in ACTIONS if entry.menu == name):
            if entry.gap:
                menu.addSeparator()
            menu.addAction(keys[entry.name])
        if name == "source":
            lately = menu.addMenu(translate("ui", "Opened lately"))
            assert lately is not None
            lately.aboutToShow.connect(partial(_fill_lately, lately, recent, open))


def _fill_lately(menu: QMenu, recent: Callable[[], list[str]], open: Callable[[str], None]) -> None:
    menu.clear()
    for source in recent() or [translate("ui", "nothing yet")]:
        action = menu.addAction(redacted(source))
        assert action is not None
        action.setEnabled(bool(recent()))
        action.triggered.connect(lambda _=False, source=source: open(source))
