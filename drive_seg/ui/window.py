"""The main window: the newest frame of a player with its labels, and around it everything that is known of it and can be done to it."""

import platform
import time
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, QTimer, pyqtSignal, qVersion
from PyQt6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QResizeEvent
from PyQt6.QtWidgets import QApplication, QMainWindow, QMessageBox, QWidget

from drive_seg import __version__
from drive_seg.contracts import Corridor
from drive_seg.errors import SinkError
from drive_seg.redaction import redacted, tell_crash
from drive_seg.session.compose import View
from drive_seg.session.figures import Numbers
from drive_seg.session.film import Versus
from drive_seg.session.player import Player
from drive_seg.ui.actions import ACTIONS, make_action
from drive_seg.ui.choices import translate
from drive_seg.ui.cockpit import Cockpit
from drive_seg.ui.keeping import Memory
from drive_seg.ui.layout import Layout, fill_menus, tags
from drive_seg.ui.meter import Meter
from drive_seg.ui.opening import Opener, dropped
from drive_seg.ui.pages.inspector import NAMES
from drive_seg.ui.road import Road
from drive_seg.ui.theme import DARK, LIGHT, THEMES, Theme, icon, palette, style

PICTURE_GAP_S = 1 / 60  # no screen shows more, and each picture takes time from the network
# what comes so much before its turn is shown: frames of 60 a second do not come in step, and none is to be lost
EARLY_S = PICTURE_GAP_S / 2
NUMBERS_GAP_MS = 200  # faster than that a number cannot be read; Python's signal handlers wait for it too
SIZE = QSize(1420, 820)
NARROW_PX = 1000  # of the window; there is room for one column beside the picture only


class MainWindow(QMainWindow):
    """Owns nothing of the run but its end: closing the window closes the player. Nothing that fails closes the window."""

    closed = pyqtSignal()
    _arrived = pyqtSignal()  # carries no picture: a queue of signals must never be a queue of frames

    def __init__(self, player: Player, title: str = "drive-seg", memory: Memory | None = None) -> None:
        """`player` is open. `memory`: where layout and choices are kept, the user's own unless given."""
        super().__init__()
        self.meter, self.memory, self.title = Meter(), memory or Memory(), title
        self.cockpit = Cockpit(player, self.memory)
        self.opener = Opener(self, self.cockpit)
        self.player, self._due_s, self._trouble = player, float("-inf"), 0
        self._numbers = Numbers()
        self._around, self._next = (self._told, self._show_strip, self._show_inspector, self._show_numbers, self.show_state), 0
        self.keys: dict[str, QAction] = {entry.name: make_action(entry, self, partial(entry.do, self)) for entry in ACTIONS}
        self.addActions(list(self.keys.values()))
        self.parts = Layout(self, self.cockpit, self.keys, self.meter)
        fill_menus(self, self.keys, lambda: self.memory.recent, self.opener.open)
        self.video, self.panel, self.inspector = self.parts.video, self.parts.panel, self.parts.inspector
        self.strip, self.transport, self.bar = self.parts.strip, self.parts.transport, self.parts.trouble
        self.setAcceptDrops(True)
        self.setMinimumSize(640, 420)
        self._wire()
        self._restore()
        self.refresh()

    def _wire(self) -> None:
        self._arrived.connect(self._show_newest)  # from another thread Qt queues it for this one
        self.player.on_new = self._arrived.emit
        self._later, self._tick = QTimer(self), QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._show_newest)
        self._later.setTimerType(Qt.TimerType.PreciseTimer)
        self._tick.timeout.connect(self._refresh_next)
        self._tick.start(NUMBERS_GAP_MS // len(self._around))
        self.cockpit.changed.connect(self.show_state)
        self.cockpit.redraw.connect(self._redraw)
        self.cockpit.told.connect(self.bar.tell)
        self.cockpit.kept.connect(lambda line, folder: self.bar.tell(line, False, folder))
        self.video.dragged.connect(self.cockpit.set_divider)
        self.video.resized.connect(self._redraw)
        self.video.pointed.connect(self._point)
        self.video.corridor_moved.connect(self._set_corridor)
        self.video.double_clicked.connect(self.toggle_full_screen)
        self.strip.seeked.connect(self.cockpit.stop_at)
        self.strip.wanted.connect(self.panel.choose)
        self.inspector.closed.connect(lambda: self.show_part("inspector", False))
        self.inspector.turned.connect(self._turned)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._focus_changed)
        self.video.setFocus()
        QTimer.singleShot(0, self._show_newest)  # what came before anybody was told

    def _restore(self) -> None:
        screen = self.screen()
        if not self.restoreGeometry(self.memory.blob("geometry") or b""):
            self.resize(SIZE if screen is None else SIZE.boundedTo(screen.availableSize() * 0.95))
        self.parts.restore(self.memory)
        self.inspector.open(self.memory.text("page", NAMES[0]))
        for part, shown in (("panel", True), ("strip", True), ("inspector", False)):
            self.parts.named[part].setVisible(self.memory.flag(f"open/{part}", shown))
        hints = QApplication.styleHints()
        light = hints is not None and hints.colorScheme() == Qt.ColorScheme.Light
        self.paint(THEMES.get(self.memory.text("theme", ""), LIGHT if light else DARK))

    # -- what is shown

    def _show_newest(self) -> None:
        now_s = time.perf_counter()
        if (wait_s := self._due_s - EARLY_S - now_s) > 0:
            if not self._later.isActive():
                self._later.start(max(1, round(wait_s * 1000)))
            return
        with self.meter.time():
            shown = self.player.take()
            if shown is None:
                return
            self._due_s = max(self._due_s, now_s) + PICTURE_GAP_S
            self.cockpit.show(shown)
            self._draw(shown.result.frame.captured_s)

    def _redraw(self) -> None:
        self._draw(None)

    def _draw(self, captured_s: float | None) -> None:
        if (image := self.cockpit.compose(self.video.room)) is None:
            return
        shown, status = self.cockpit.shown, self.cockpit.status
        split = shown is not None and shown.comparison is not None and status.comparison is not None
        difference = split and self.cockpit.versus is Versus.DIFFERENCE
        self.video.divider = self.cockpit.divider if split and not difference else None
        self.video.tags = tags(status.runs, status.comparison) if status.comparison and self.video.divider is not None else ("", "")
        if difference:
            self.video.tags = translate("ui", "pink: where A and B differ"), ""
        elif self.cockpit.view is View.ERRORS and not split:
            self.video.tags = translate("ui", "blue: right · orange: wrong · grey: void"), ""
        elif self.cockpit.view is View.DOUBT and not split:
            self.video.tags = translate("ui", "dark: sure · bright: half sure or less"), ""
        self._point()
        self._mark_road()
        self.video.show_image(image, captured_s)

    def _set_corridor(self, corridor: Corridor, done: bool) -> None:
        self.cockpit.set_corridor(corridor, done)
        self._mark_road()
        self.video.update()

    def _mark_road(self) -> None:
        corridor, shown = self.cockpit.corridor, self.cockpit.shown
        self.video.road = Road(corridor, shown.result.ahead if shown else None) if corridor else None
        self.video.chosen = self.video.chosen if corridor else None

    def _point(self) -> None:
        """Says what is under the pointer, also when the frame there is another one."""
        at = self.video.under_pointer
        if (says := self.cockpit.pixel(*at) if at else "") != self.video.says:
            self.video.says = says
            self.video.update()

    def refresh(self) -> None:
        """Brings all but the picture up to date."""
        for show in self._around:
            with self.meter.time():
                show()

    def _refresh_next(self) -> None:
        """One part after the other: a frame that comes meanwhile does not wait for all of them."""
        with self.meter.time():
            self._around[self._next]()
            self._next = (self._next + 1) % len(self._around)

    def _told(self) -> None:
        status = self.cockpit.update()
        if not (status.paused or status.state == "ended"):  # a person pauses to read them
            self._numbers = status.numbers
        if status.trouble and status.trouble.serial != self._trouble:
            self._trouble = status.trouble.serial
            self.bar.tell(status.trouble.text, True)

    def _show_strip(self) -> None:
        moments = self.player.history()
        self.transport.bar.mark(moments)
        if self.strip.isVisible():
            self.strip.seekable = self.cockpit.status.seekable
            self.strip.show_moments(moments)

    def _show_inspector(self) -> None:
        if self.inspector.isVisible():
            self.inspector.refresh(self.player.history())

    def _show_numbers(self) -> None:
        if moments := self.player.history(1):
            self.panel.legend.show_shares(moments[-1].shares)
        self.panel.show_numbers(self._numbers, self.cockpit.truth.miou)

    def show_state(self) -> None:
        """Ticks, boxes and texts as things are."""
        status = self.cockpit.status
        for entry in ACTIONS:
            self.keys[entry.name].setEnabled(entry.can(self))
            if entry.on:
                self.keys[entry.name].setChecked(entry.on(self))
            if entry.says:
                self.keys[entry.name].setText(translate("actions", entry.says(self)))
        self.parts.show_state(status, self.theme, self.cockpit.behind, self.cockpit.recording_s)
        self.panel.show_state()
        self.setWindowTitle(f"{status.source.name} – {self.title}")

    def snapshot(self, path: Path) -> None:
        """Writes the window as it is to an image file. Raises SinkError."""
        self.refresh()
        if not self.grab().save(str(path)):
            raise SinkError(f"cannot write the window's picture to {path}; is the folder there and the ending one of .png .jpg?")

    # -- what the table of actions calls

    def show_page(self, name: str) -> None:
        self.inspector.open(name)
        self.show_part("inspector", True)

    def toggle_compare(self) -> None:
        """With its page when it begins, where B is chosen."""
        if not self.cockpit.comparing:
            self.show_page("compare")
        self.cockpit.toggle_compare()

    def toggle_audit(self) -> None:
        if not self.cockpit.status.auditing:
            self.show_page("audit")
        self.cockpit.toggle_audit()

    def shows(self, part: str) -> bool:
        return self.parts.shows(part)

    def toggle_part(self, part: str) -> None:
        self.show_part(part, not self.shows(part))

    def show_part(self, part: str, shown: bool) -> None:
        """`panel`, `strip` or `inspector`; in a narrow window one column makes room for the other."""
        self.parts.show_part(part, shown, self.width() < NARROW_PX)
        self.memory.keep(**{f"open__{part}": shown})
        self.refresh()

    def actual_size(self) -> None:
        if shown := self.cockpit.shown:
            self.video.actual(shown.result.frame.size_hw)

    def toggle_full_screen(self) -> None:
        """The picture alone fills the screen."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
        if self.parts.is_alone != self.isFullScreen():
            self.toggle_alone()

    def toggle_alone(self) -> None:
        self.parts.alone(not self.parts.is_alone)

    def toggle_theme(self) -> None:
        self.paint(LIGHT if self.theme is DARK else DARK)
        self.memory.keep(theme=self.theme.name)

    def toggle_help(self) -> None:
        self.parts.keys.place(self.rect())
        self.parts.keys.setVisible(not self.parts.keys.isVisible())

    def show_about(self) -> None:
        lines = (
            f"<h3>drive_seg {__version__}</h3>",
            translate("ui", "Real-time semantic segmentation of driving video."),
            translate("ui", "The program: GPL 3.0 or later. The weights have licences of their own, which the page Engine shows."),
            f"Python {platform.python_version()} · Qt {qVersion()} · {self.cockpit.status.headline}",
        )
        box = QMessageBox(QMessageBox.Icon.NoIcon, translate("ui", "About drive_seg"), "<p>".join(lines), parent=self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def dismiss(self) -> None:
        self.bar.hide()

    def escape(self) -> None:
        """What lies over the picture first. The keys are the window's again."""
        self.video.setFocus()
        if self.video.chosen is not None:
            self.video.chosen = None
            self.video.update()
        elif self.parts.keys.isVisible():
            self.parts.keys.hide()
        elif self.isFullScreen():
            self.toggle_full_screen()
        elif self.parts.is_alone:
            self.toggle_alone()

    # -- Qt

    def paint(self, theme: Theme) -> None:
        """The whole window in this theme's colours."""
        self.theme = theme
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setPalette(palette(theme))
        self.setStyleSheet(style(theme))
        self.parts.paint(theme)
        for entry in ACTIONS:
            if entry.icon:
                self.keys[entry.name].setIcon(icon(entry.icon, theme))
        self.refresh()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.parts.make_narrow(self.width() < NARROW_PX, self.memory.flag("open/panel", True))
        if self.parts.keys.isVisible():
            self.parts.keys.place(self.rect())

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event and dropped(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        if event:
            event.acceptProposedAction()
            self.opener.open(dropped(event.mimeData()))

    def _focus_changed(self, before: QWidget | None, now: QWidget | None) -> None:
        """The picture has the focus where nothing else took it on purpose: a box that Qt chose would swallow shortcuts."""
        left = before is not None and before.window() is self and not (before.isVisible() and before.isEnabled())
        if self.isActiveWindow() and (now is None or left):
            self.video.setFocus()

    def _turned(self, page: str) -> None:
        self.memory.keep(page=page)
        if self.inspector.isVisible():
            self.inspector.refresh(self.player.history())

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._tick.stop()
        self._later.stop()
        self.memory.keep(geometry=self.saveGeometry())
        self.parts.keep(self.memory)
        self.player.close()
        self.cockpit.close()
        self.parts.close()
        super().closeEvent(event)
        self.closed.emit()

    def failed(self, kind: type[BaseException], error: BaseException, trace: object) -> None:
        """An exception that leaves one of Qt's calls would end the process; it is said here instead, and the window stays."""
        line = redacted(translate("ui", "the window itself failed: {0}: {1}; please report it").format(kind.__name__, error))
        if self.bar.text.text() != f"⚠  {line}":  # a failure of every frame is told once
            tell_crash(error)
            self.bar.tell(line, True)
