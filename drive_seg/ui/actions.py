"""The one table of everything that can be done: menus, shortcuts, tooltips, buttons and the list of keys are made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PyQt6.QtCore import QT_TRANSLATE_NOOP
from PyQt6.QtGui import QAction, QKeySequence

from drive_seg.network.schedule import read_schedule
from drive_seg.ui.choices import translate

if TYPE_CHECKING:
    from drive_seg.ui.window import MainWindow


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    menu: str
    keys: tuple[str, ...]
    do: Callable[["MainWindow"], object]
    text: str
    tip: str
    icon: str = ""
    on: Callable[["MainWindow"], bool] | None = None  # whether it is ticked
    can: Callable[["MainWindow"], bool] = lambda _: True  # whether it makes sense now


MENUS = {
    "source": QT_TRANSLATE_NOOP("actions", "&Source"),
    "play": QT_TRANSLATE_NOOP("actions", "&Playback"),
    "picture": QT_TRANSLATE_NOOP("actions", "Pi&cture"),
    "network": QT_TRANSLATE_NOOP("actions", "&Network"),
    "compare": QT_TRANSLATE_NOOP("actions", "C&ompare"),
    "inspect": QT_TRANSLATE_NOOP("actions", "&Inspect"),
    "window": QT_TRANSLATE_NOOP("actions", "&Window"),
    "help": QT_TRANSLATE_NOOP("actions", "&Help"),
}
PAGES = {
    "timings": QT_TRANSLATE_NOOP("actions", "Timings"),
    "cache": QT_TRANSLATE_NOOP("actions", "Cache"),
    "source": QT_TRANSLATE_NOOP("actions", "Source"),
    "engine": QT_TRANSLATE_NOOP("actions", "Engine"),
    "areas": QT_TRANSLATE_NOOP("actions", "Class areas"),
    "audit": QT_TRANSLATE_NOOP("actions", "Audit by age"),
    "compare": QT_TRANSLATE_NOOP("actions", "A/B numbers"),
}


def _page(number: int, page: str) -> "Entry":
    tip = QT_TRANSLATE_NOOP("actions", "Open this page of the inspector")
    return Entry(f"page-{page}", "inspect", (str(number),), lambda w: w.show_page(page), PAGES[page], tip)


def _seekable(window: "MainWindow") -> bool:
    return window.cockpit.status.seekable


def _file(window: "MainWindow") -> bool:
    return not window.cockpit.live


def _slides(window: "MainWindow") -> bool:
    return read_schedule(window.cockpit.wanted("schedule")) is not None


# fmt: off
ACTIONS: tuple[Entry, ...] = (
    Entry("open", "source", ("Ctrl+O",), lambda w: w.opener.ask_file(),
          QT_TRANSLATE_NOOP("actions", "Open video file …"),
          QT_TRANSLATE_NOOP("actions", "Play a video file or a picture")),
    Entry("open-folder", "source", ("Ctrl+Shift+O",), lambda w: w.opener.ask_folder(),
          QT_TRANSLATE_NOOP("actions", "Open folder of pictures …"),
          QT_TRANSLATE_NOOP("actions", "Play the pictures of a folder, in the order of their names")),
    Entry("open-camera", "source", ("Ctrl+U",), lambda w: w.opener.ask_address(),
          QT_TRANSLATE_NOOP("actions", "Open camera or address …"),
          QT_TRANSLATE_NOOP("actions", "A camera by its number, a network stream by its address, or demo:")),
    Entry("snapshot", "source", ("P",), lambda w: w.cockpit.snapshot(),
          QT_TRANSLATE_NOOP("actions", "Take a snapshot"),
          QT_TRANSLATE_NOOP("actions", "Save this frame: picture, overlay, mask and its numbers as JSON"),
          icon="camera", can=lambda w: w.cockpit.shown is not None),
    Entry("record", "source", ("R",), lambda w: w.cockpit.toggle_record(),
          QT_TRANSLATE_NOOP("actions", "Record"),
          QT_TRANSLATE_NOOP("actions", "Record the overlay as a video until pressed again"),
          icon="record", on=lambda w: w.cockpit.status.recording is not None),
    Entry("folder", "source", (), lambda w: w.opener.ask_keep_folder(),
          QT_TRANSLATE_NOOP("actions", "Folder for snapshots and recordings …"),
          QT_TRANSLATE_NOOP("actions", "Where snapshots and recordings are written")),
    Entry("quit", "source", ("Q", "Ctrl+Q"), lambda w: w.close(),
          QT_TRANSLATE_NOOP("actions", "Quit"),
          QT_TRANSLATE_NOOP("actions", "Close the window and end the run")),
    Entry("pause", "play", ("Space",), lambda w: w.cockpit.toggle_pause(),
          QT_TRANSLATE_NOOP("actions", "Pause"),
          QT_TRANSLATE_NOOP("actions", "Pause, or play on"), icon="pause", on=lambda w: w.cockpit.status.paused),
    Entry("step", "play", (".",), lambda w: w.cockpit.step(),
          QT_TRANSLATE_NOOP("actions", "One frame on"),
          QT_TRANSLATE_NOOP("actions", "Pause and show the next frame"), icon="step"),
    Entry("back", "play", (",",), lambda w: w.cockpit.step_back(),
          QT_TRANSLATE_NOOP("actions", "One frame back"),
          QT_TRANSLATE_NOOP("actions", "Pause and show the frame before"), icon="back", can=_seekable),
    Entry("forward", "play", ("Right",), lambda w: w.cockpit.jump(5),
          QT_TRANSLATE_NOOP("actions", "5 seconds on"),
          QT_TRANSLATE_NOOP("actions", "Jump 5 seconds ahead"), can=_seekable),
    Entry("rewind", "play", ("Left",), lambda w: w.cockpit.jump(-5),
          QT_TRANSLATE_NOOP("actions", "5 seconds back"),
          QT_TRANSLATE_NOOP("actions", "Jump 5 seconds back"), can=_seekable),
    Entry("home", "play", ("Home",), lambda w: w.cockpit.seek(0),
          QT_TRANSLATE_NOOP("actions", "To the beginning"),
          QT_TRANSLATE_NOOP("actions", "Jump to the first frame"), can=_seekable),
    Entry("slower", "play", ("[",), lambda w: w.cockpit.faster(-1),
          QT_TRANSLATE_NOOP("actions", "Slower"),
          QT_TRANSLATE_NOOP("actions", "Play more slowly"), can=_file),
    Entry("faster", "play", ("]",), lambda w: w.cockpit.faster(1),
          QT_TRANSLATE_NOOP("actions", "Faster"),
          QT_TRANSLATE_NOOP("actions", "Play faster"), can=_file),
    Entry("normal", "play", ("Backspace",), lambda w: w.cockpit.set_speed(1.0),
          QT_TRANSLATE_NOOP("actions", "Normal speed"),
          QT_TRANSLATE_NOOP("actions", "Play at the file's own speed"), can=_file),
    Entry("loop", "play", ("L",), lambda w: w.cockpit.change(loop=not w.cockpit.wanted("loop")),
          QT_TRANSLATE_NOOP("actions", "Loop"),
          QT_TRANSLATE_NOOP("actions", "Begin again at the end"), icon="loop", on=lambda w: w.cockpit.wanted("loop"), can=_file),
    Entry("view", "picture", ("M",), lambda w: w.cockpit.next_view(),
          QT_TRANSLATE_NOOP("actions", "Overlay, mask or picture"),
          QT_TRANSLATE_NOOP("actions", "Show the overlay, the mask alone or the picture alone, in turn")),
    Entry("more", "picture", ("+", "="), lambda w: w.cockpit.set_opacity(w.cockpit.look.opacity + 0.1),
          QT_TRANSLATE_NOOP("actions", "More opacity"),
          QT_TRANSLATE_NOOP("actions", "Let the labels cover more of the picture")),
    Entry("less", "picture", ("-",), lambda w: w.cockpit.set_opacity(w.cockpit.look.opacity - 0.1),
          QT_TRANSLATE_NOOP("actions", "Less opacity"),
          QT_TRANSLATE_NOOP("actions", "Let more of the picture through")),
    Entry("contours", "picture", ("C",), lambda w: w.cockpit.toggle_contours(),
          QT_TRANSLATE_NOOP("actions", "Contours only"),
          QT_TRANSLATE_NOOP("actions", "Draw the borders of the areas instead of filling them"), on=lambda w: w.cockpit.look.contours),
    Entry("safe", "picture", ("V",), lambda w: w.cockpit.toggle_safe(),
          QT_TRANSLATE_NOOP("actions", "Colour-blind-safe"),
          QT_TRANSLATE_NOOP("actions", "Colours that every eye tells apart, instead of the network's own"), on=lambda w: w.cockpit.safe),
    Entry("all", "picture", ("A",), lambda w: w.cockpit.show_all(),
          QT_TRANSLATE_NOOP("actions", "Show all classes"),
          QT_TRANSLATE_NOOP("actions", "Bring back the classes that were hidden in the legend"), can=lambda w: bool(w.cockpit.look.hidden)),
    Entry("refresh", "network", ("K",), lambda w: w.cockpit.refresh_now(),
          QT_TRANSLATE_NOOP("actions", "Refresh now"),
          QT_TRANSLATE_NOOP("actions", "Make the next frame a key frame: run the deep stage on it"), icon="refresh"),
    Entry("model", "network", ("B",), lambda w: w.panel.model.next(),
          QT_TRANSLATE_NOOP("actions", "Next bundle"),
          QT_TRANSLATE_NOOP("actions", "Run the next model")),
    Entry("backend", "network", ("E",), lambda w: w.panel.backend.next(),
          QT_TRANSLATE_NOOP("actions", "Next backend"),
          QT_TRANSLATE_NOOP("actions", "Run the network on the next backend")),
    Entry("propagation", "network", ("N",), lambda w: w.panel.propagation.next(),
          QT_TRANSLATE_NOOP("actions", "Next propagation"),
          QT_TRANSLATE_NOOP("actions", "Bring old features to new frames in the next way that the bundle has")),
    Entry("schedule", "network", ("S",), lambda w: w.panel.schedule.kind.next(),
          QT_TRANSLATE_NOOP("actions", "Next schedule"),
          QT_TRANSLATE_NOOP("actions", "Decide on key frames by the next kind of schedule")),
    Entry("raise", "network", ("Up",), lambda w: w.cockpit.nudge(1),
          QT_TRANSLATE_NOOP("actions", "Raise the schedule's number"),
          QT_TRANSLATE_NOOP("actions", "A higher threshold, longer clock or larger budget"), can=_slides),
    Entry("lower", "network", ("Down",), lambda w: w.cockpit.nudge(-1),
          QT_TRANSLATE_NOOP("actions", "Lower the schedule's number"),
          QT_TRANSLATE_NOOP("actions", "A lower threshold, shorter clock or smaller budget"), can=_slides),
    Entry("mode", "network", ("Y",), lambda w: w.cockpit.toggle_mode(),
          QT_TRANSLATE_NOOP("actions", "Frames never wait (async)"),
          QT_TRANSLATE_NOOP("actions", "Run the deep stage beside the frames instead of letting key frames wait for it"),
          on=lambda w: w.cockpit.wanted("mode") != "sync"),
    Entry("compare", "compare", ("X",), lambda w: w.toggle_compare(),
          QT_TRANSLATE_NOOP("actions", "A/B"),
          QT_TRANSLATE_NOOP("actions", "Compare with another way to run, on the same frames; drag the divider"),
          icon="compare", on=lambda w: w.cockpit.comparing),
    Entry("difference", "compare", ("D",), lambda w: w.cockpit.toggle_difference(),
          QT_TRANSLATE_NOOP("actions", "Difference map"),
          QT_TRANSLATE_NOOP("actions", "Show where the two label differently, instead of the divider"),
          on=lambda w: w.cockpit.versus.value == "difference", can=lambda w: w.cockpit.comparing),
    Entry("audit", "compare", ("U",), lambda w: w.toggle_audit(),
          QT_TRANSLATE_NOOP("actions", "Audit"),
          QT_TRANSLATE_NOOP("actions", "In spare time, compare with the full network: agreement by age, without true labels"),
          icon="audit", on=lambda w: w.cockpit.status.auditing),
    Entry("inspect", "inspect", ("I",), lambda w: w.next_page(),
          QT_TRANSLATE_NOOP("actions", "Inspect"),
          QT_TRANSLATE_NOOP("actions", "Where the time goes and how old the mask is: the next page, then none"),
          icon="inspect", on=lambda w: w.parts.shows("inspector")),
    *(_page(number, page) for number, page in enumerate(PAGES, 1)),
    Entry("csv", "inspect", ("Ctrl+E",), lambda w: w.opener.ask_csv(),
          QT_TRANSLATE_NOOP("actions", "Save class areas as CSV …"),
          QT_TRANSLATE_NOOP("actions", "Each class's share of the last ten minutes' frames")),
    Entry("panel", "window", ("O",), lambda w: w.show_part("panel", not w.parts.shows("panel")),
          QT_TRANSLATE_NOOP("actions", "Controls"),
          QT_TRANSLATE_NOOP("actions", "Show or hide the controls at the right"),
          icon="panel", on=lambda w: w.parts.shows("panel")),
    Entry("strip", "window", ("G",), lambda w: w.show_part("strip", not w.parts.shows("strip")),
          QT_TRANSLATE_NOOP("actions", "Time line"),
          QT_TRANSLATE_NOOP("actions", "Show or hide the last 600 frames under the picture"),
          on=lambda w: w.parts.shows("strip")),
    Entry("full", "window", ("F", "F11"), lambda w: w.toggle_full_screen(),
          QT_TRANSLATE_NOOP("actions", "Full screen"),
          QT_TRANSLATE_NOOP("actions", "Fill the screen, or leave it")),
    Entry("alone", "window", ("H",), lambda w: w.toggle_alone(),
          QT_TRANSLATE_NOOP("actions", "Picture alone"),
          QT_TRANSLATE_NOOP("actions", "Hide everything around the picture, or bring it back")),
    Entry("theme", "window", ("T",), lambda w: w.toggle_theme(),
          QT_TRANSLATE_NOOP("actions", "Dark or light"),
          QT_TRANSLATE_NOOP("actions", "Change between the dark and the light window"), icon="theme"),
    Entry("keys", "help", ("?", "F1"), lambda w: w.toggle_help(),
          QT_TRANSLATE_NOOP("actions", "Keys"),
          QT_TRANSLATE_NOOP("actions", "List every key"), icon="help"),
    Entry("dismiss", "help", ("Ctrl+D",), lambda w: w.bar.hide(),
          QT_TRANSLATE_NOOP("actions", "Dismiss the message"),
          QT_TRANSLATE_NOOP("actions", "Close the message above the picture"), icon="close"),
    Entry("escape", "help", ("Esc",), lambda w: w.escape(),
          QT_TRANSLATE_NOOP("actions", "Close help, leave full screen"),
          QT_TRANSLATE_NOOP("actions", "Close what lies over the picture, then leave full screen")),
)
# fmt: on
REPEATED = {"step", "back", "forward", "rewind", "more", "less", "raise", "lower"}  # while the key is held down


def make_action(entry: Entry, window: "MainWindow") -> QAction:
    """With its tooltip, which names the keys."""
    text, tip = translate("actions", entry.text), translate("actions", entry.tip)
    action = QAction(text, window)
    action.setShortcuts([QKeySequence(key) for key in entry.keys])
    action.setAutoRepeat(entry.name in REPEATED)
    action.setToolTip(f"{tip}  ({keys_text(entry)})" if entry.keys else tip)
    action.setStatusTip("")
    action.setCheckable(entry.on is not None)
    action.triggered.connect(lambda: entry.do(window))
    return action


def keys_text(entry: Entry) -> str:
    """As the platform writes them."""
    return " / ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in entry.keys)


def reflect(window: "MainWindow") -> None:
    """Ticks and greys them as things are."""
    for entry in ACTIONS:
        action = window.keys[entry.name]
        action.setEnabled(entry.can(window))
        if entry.on:
            action.setChecked(entry.on(window))
