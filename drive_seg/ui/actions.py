"""The one table of everything that can be done: menus, shortcuts, tooltips, buttons and the list of keys are made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QWidget

from drive_seg.network.ahead import USUAL
from drive_seg.network.schedule import read_schedule
from drive_seg.session.compose import View
from drive_seg.ui.choices import translate
from drive_seg.ui.cockpit import Cockpit
from drive_seg.ui.opening import Opener
from drive_seg.ui.pages.inspector import PAGES
from drive_seg.ui.panel import Panel
from drive_seg.ui.view import ZOOM, VideoView


class Window(Protocol):
    """What the table does to the window."""

    cockpit: Cockpit
    opener: Opener
    panel: Panel
    video: VideoView

    def shows(self, part: str) -> bool:
        """`part`: panel, strip or inspector."""

    def toggle_part(self, part: str) -> None: ...

    def show_page(self, name: str) -> None: ...

    def toggle_compare(self) -> None: ...

    def toggle_audit(self) -> None: ...

    def actual_size(self) -> None: ...

    def toggle_full_screen(self) -> None: ...

    def toggle_alone(self) -> None: ...

    def toggle_theme(self) -> None: ...

    def toggle_help(self) -> None: ...

    def show_about(self) -> None: ...

    def dismiss(self) -> None: ...

    def escape(self) -> None: ...

    def close(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """`text` and `tip` are English; `translate("actions", …)` gives them in the person's language."""

    name: str
    menu: str
    shortcuts: str  # apart by spaces
    text: str
    tip: str
    do: Callable[[Window], object]
    icon: str = ""
    on: Callable[[Window], bool] | None = None  # whether it is ticked
    can: Callable[[Window], bool] = lambda _: True  # whether it makes sense now
    says: Callable[[Window], str] | None = None  # in the place of `text`, as things are
    gap: bool = False  # a line before it in the menu
    repeats: bool = False  # while the key is held down

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.shortcuts.split())


MENUS = {
    "source": "&Source", "play": "&Playback", "picture": "Pi&cture", "network": "&Network", "compare": "C&ompare",
    "inspect": "&Inspect", "window": "&Window", "help": "&Help",
}  # fmt: skip


def _picture(window: Window) -> bool:
    return window.cockpit.shown is not None


def _seekable(window: Window) -> bool:
    return window.cockpit.status.seekable


def _ending(window: Window) -> bool:
    return window.cockpit.status.seekable and window.cockpit.count > 1


def _part_says(window: Window) -> str:
    part = window.cockpit.part
    return "Loop from A to B" if part is None else "End of the part: B" if part[1] is None else "Forget the part from A to B"


def _stands(window: Window) -> bool:
    return window.cockpit.status.paused or window.cockpit.status.state == "ended"


def _pause_says(window: Window) -> str:
    return "Play again" if window.cockpit.status.state == "ended" else "Play" if window.cockpit.status.paused else "Pause"


def _file(window: Window) -> bool:
    return not window.cockpit.live


def _slides(window: Window) -> bool:
    return read_schedule(window.cockpit.wanted("schedule")) is not None


def _looks_ahead(window: Window) -> bool:
    return window.cockpit.corridor is not None


def _page(number: int, page: str, title: str) -> Entry:
    tip = "Open this page of the inspector"
    return Entry(f"page-{page}", "inspect", str(number), title, tip, lambda w: w.show_page(page), gap=number == 1)


# fmt: off
ACTIONS: tuple[Entry, ...] = (
    Entry("open", "source", "Ctrl+O", "Open video file …", "Play a video file or a picture", lambda w: w.opener.ask_file()),
    Entry("open-folder", "source", "Ctrl+Shift+O", "Open folder of pictures …",
          "Play the pictures of a folder, in the order of their names", lambda w: w.opener.ask_folder()),
    Entry("open-camera", "source", "Ctrl+U", "Open camera or address …",
          "A camera by its number, a network stream by its address, or demo:", lambda w: w.opener.ask_address()),
    Entry("snapshot", "source", "P", "Take a snapshot", "Save this frame: picture, overlay, mask and its numbers as JSON",
          lambda w: w.cockpit.snapshot(), icon="camera", can=_picture, gap=True),
    Entry("copy", "source", "Ctrl+C", "Copy the picture", "Copy the picture as it is shown, with its overlay, at the frame's size",
          lambda w: w.cockpit.copy_picture(), can=_picture),
    Entry("copy-command", "source", "Ctrl+Shift+C", "Copy as a command line",
          "Copy the command that starts this run again, with every choice made here", lambda w: w.cockpit.copy_command()),
    Entry("record", "source", "R", "Record", "Record the overlay, or A and B as they are shown, as a video until pressed again",
          lambda w: w.cockpit.toggle_record(), icon="record", on=lambda w: w.cockpit.status.recording is not None),
    Entry("captions", "source", "Ctrl+R", "Legend and latency in recordings",
          "Draw the classes, what runs, its latency and the age of its features into what is recorded",
          lambda w: w.cockpit.toggle_captions(), on=lambda w: w.cockpit.player.film.captions),
    Entry("road-in-film", "source", "Ctrl+Shift+R", "Road ahead in recordings and copies",
          "Draw what is shown of the road ahead into what is recorded or copied, too",
          lambda w: w.cockpit.toggle_road_in_film(), on=lambda w: w.cockpit.player.film.road),
    Entry("folder", "source", "", "Folder for snapshots and recordings …", "Where snapshots and recordings are written",
          lambda w: w.opener.ask_keep_folder()),
    Entry("quit", "source", "Q Ctrl+Q", "Quit", "Close the window and end the run", lambda w: w.close(), gap=True),
    Entry("pause", "play", "Space K", "Pause", "Pause, or play on; at the end: play again",
          lambda w: w.cockpit.toggle_pause(), icon="pause", on=_stands, says=_pause_says),
    Entry("step", "play", ".", "One frame on", "Pause and show the next frame", lambda w: w.cockpit.step(), icon="step", repeats=True),
    Entry("back", "play", ",", "One frame back", "Pause and show the frame before",
          lambda w: w.cockpit.step_back(), icon="back", can=_seekable, repeats=True),
    Entry("forward", "play", "Right", "5 seconds on", "Jump 5 seconds ahead",
          lambda w: w.cockpit.jump(5), can=_seekable, gap=True, repeats=True),
    Entry("rewind", "play", "Left", "5 seconds back", "Jump 5 seconds back", lambda w: w.cockpit.jump(-5), can=_seekable, repeats=True),
    Entry("forward-10", "play", "L", "10 seconds on", "Jump 10 seconds ahead", lambda w: w.cockpit.jump(10), can=_seekable, repeats=True),
    Entry("rewind-10", "play", "J", "10 seconds back", "Jump 10 seconds back", lambda w: w.cockpit.jump(-10), can=_seekable, repeats=True),
    Entry("home", "play", "Home", "To the beginning", "Jump to the first frame", lambda w: w.cockpit.seek(0), can=_seekable),
    Entry("end", "play", "End", "To the end", "Stop at the last frame", lambda w: w.cockpit.stop_at(w.cockpit.count - 1), can=_ending),
    Entry("goto", "play", "Ctrl+G", "Go to a frame …", "Stop at the frame of a number", lambda w: w.opener.ask_frame(), can=_ending),
    Entry("next-error", "play", "Shift+E", "Next frame with a large error",
          "Play on to the next frame with half as many wrong pixels again as all so far, and stand there",
          lambda w: w.cockpit.toggle_hunt(), on=lambda w: w.cockpit.hunt.what == "error", can=lambda w: w.cockpit.knows_truth),
    Entry("next-person", "play", "Shift+P", "Next person in the corridor",
          "Stand at the next frame with which somebody comes into the corridor; what was not played yet is played on to it",
          lambda w: w.cockpit.to_person(True), on=lambda w: w.cockpit.hunt.what == "person", can=_looks_ahead),
    Entry("last-person", "play", "Ctrl+Shift+P", "Person in the corridor before", "Stand at the frame before with which somebody came",
          lambda w: w.cockpit.to_person(False), can=_looks_ahead),
    Entry("slower", "play", "[", "Slower", "Play more slowly", lambda w: w.cockpit.faster(-1), can=_file, gap=True),
    Entry("faster", "play", "]", "Faster", "Play faster", lambda w: w.cockpit.faster(1), can=_file),
    Entry("normal", "play", "Backspace", "Normal speed", "Play at the file's own speed", lambda w: w.cockpit.set_speed(1.0), can=_file),
    Entry("loop", "play", "Shift+L", "Loop", "Begin again at the end",
          lambda w: w.cockpit.toggle_loop(), icon="loop", on=lambda w: w.cockpit.wanted("loop"), can=_file, gap=True),
    Entry("ab", "play", "Ctrl+L", "Loop from A to B", "Begin a part here, end it here and play it again and again, or forget it, in turn",
          lambda w: w.cockpit.mark_part(), on=lambda w: w.cockpit.part is not None, can=_ending, says=_part_says),
    Entry("view", "picture", "M", "Overlay, mask or picture",
          "Show the overlay, the mask alone, the picture alone, the errors or the doubt, in turn", lambda w: w.cockpit.next_view()),
    Entry("errors", "picture", "Z", "Error map", "Show what is right and what is wrong, where the source knows the true labels",
          lambda w: w.cockpit.toggle_errors(), on=lambda w: w.cockpit.view is View.ERRORS, can=lambda w: w.cockpit.knows_truth),
    Entry("doubt", "picture", "Shift+Z", "Doubt map", "Show how unsure the network is of each label; it is told to say so if it does not",
          lambda w: w.cockpit.toggle_doubt(), on=lambda w: w.cockpit.view is View.DOUBT),
    Entry("zoom-in", "picture", "Ctrl++ Ctrl+=", "Enlarge", "Enlarge the picture; the wheel does it under the pointer, dragging moves it",
          lambda w: w.video.zoom_at(None, ZOOM), can=_picture, gap=True, repeats=True),
    Entry("zoom-out", "picture", "Ctrl+-", "Reduce", "Reduce the picture until it fits",
          lambda w: w.video.zoom_at(None, 1 / ZOOM), can=_picture, repeats=True),
    Entry("actual", "picture", "Ctrl+1", "Actual size", "Show a pixel of the frame on one of the screen",
          lambda w: w.actual_size(), can=_picture),
    Entry("fit", "picture", "Ctrl+0", "Fit", "Show the whole picture, as large as there is room", lambda w: w.video.fit(), can=_picture),
    Entry("more", "picture", "+ =", "More opacity", "Let the labels cover more of the picture",
          lambda w: w.cockpit.set_opacity(w.cockpit.look.opacity + 0.1), gap=True, repeats=True),
    Entry("less", "picture", "-", "Less opacity", "Let more of the picture through",
          lambda w: w.cockpit.set_opacity(w.cockpit.look.opacity - 0.1), repeats=True),
    Entry("contours", "picture", "C", "Contours only", "Draw the borders of the areas instead of filling them",
          lambda w: w.cockpit.toggle_contours(), on=lambda w: w.cockpit.look.contours, gap=True),
    Entry("clear", "picture", "V", "Clear colours", "Colours that every eye tells apart over the picture, instead of the network's own",
          lambda w: w.cockpit.toggle_clear(), on=lambda w: w.cockpit.clear),
    Entry("ahead", "picture", "Shift+R", "Road ahead",
          "Show the free space in front, and what is in the ego corridor; drag the corridor's three points to where the car drives",
          lambda w: w.cockpit.toggle_ahead(), on=_looks_ahead, gap=True),
    Entry("corridor-point", "picture", "Shift+C", "Next point of the corridor",
          "Let the arrow keys move the left foot, the right foot or the apex of the corridor (with shift farther), or none, in turn",
          lambda w: w.video.choose_next_point(), can=_looks_ahead),
    Entry("corridor-usual", "picture", "", "Usual corridor", "Put the corridor back to where most cameras see it",
          lambda w: w.cockpit.set_corridor(USUAL), can=_looks_ahead),
    Entry("all", "picture", "A", "Show all classes", "Bring back the classes that were hidden in the legend",
          lambda w: w.cockpit.show_all(), can=lambda w: bool(w.cockpit.look.hidden), gap=True),
    Entry("refresh", "network", "Shift+K", "Refresh now", "Make the next frame a key frame: run the deep stage on it",
          lambda w: w.cockpit.refresh_now(), icon="refresh"),
    Entry("model", "network", "B", "Next bundle", "Run the next model", lambda w: w.panel.model.next(), gap=True),
    Entry("backend", "network", "E", "Next backend", "Run the network on the next backend", lambda w: w.panel.backend.next()),
    Entry("propagation", "network", "N", "Next propagation", "Propagate old features to new frames in the next way that the bundle has",
          lambda w: w.panel.propagation.next()),
    Entry("schedule", "network", "S", "Next schedule", "Decide on key frames by the next kind of schedule",
          lambda w: w.panel.schedule.kind.next(), gap=True),
    Entry("raise", "network", "Up", "Raise the schedule's number", "A higher threshold, longer clock or larger budget",
          lambda w: w.cockpit.nudge(1), can=_slides, repeats=True),
    Entry("lower", "network", "Down", "Lower the schedule's number", "A lower threshold, shorter clock or smaller budget",
          lambda w: w.cockpit.nudge(-1), can=_slides, repeats=True),
    Entry("mode", "network", "Y", "Frames never wait (async)",
          "Run the deep stage beside the frames instead of letting key frames wait for it",
          lambda w: w.cockpit.toggle_mode(), on=lambda w: w.cockpit.wanted("mode") != "sync", gap=True),
    Entry("refine", "network", "W", "Next borders", "Draw the borders between labels as the network's cells, along the picture's edges, or "
          "smooth (--refine), which costs some milliseconds", lambda w: w.panel.refine.next()),
    Entry("confidence", "network", "Shift+W", "Tell confidence", "Let the network say how sure it is of each label, and which class came "
          "second (--confidence), which costs some of its time", lambda w: w.cockpit.toggle_confidence(),
          on=lambda w: w.cockpit.wanted("confidence")),
    Entry("compare", "compare", "X", "A/B", "Compare with another way to run, on the same frames; drag the divider",
          lambda w: w.toggle_compare(), icon="compare", on=lambda w: w.cockpit.comparing),
    Entry("difference", "compare", "D", "Difference map", "Show where the two label differently, instead of the divider",
          lambda w: w.cockpit.toggle_difference(), on=lambda w: w.cockpit.versus.value == "difference", can=lambda w: w.cockpit.comparing),
    Entry("audit", "compare", "U", "Audit", "In spare time, compare with the full network: agreement by age, without true labels",
          lambda w: w.toggle_audit(), icon="audit", on=lambda w: w.cockpit.status.auditing),
    Entry("inspect", "inspect", "I", "Inspect", "Where the time goes and how old the mask is",
          lambda w: w.toggle_part("inspector"), icon="inspect", on=lambda w: w.shows("inspector")),
    *(_page(number, page, title) for number, (page, (title, _)) in enumerate(PAGES.items(), 1)),
    Entry("csv", "inspect", "Ctrl+E", "Save class areas as CSV …", "Each class's share of the last ten minutes' frames",
          lambda w: w.opener.ask_csv(), gap=True),
    Entry("panel", "window", "O", "Controls", "Show or hide the controls at the right",
          lambda w: w.toggle_part("panel"), icon="panel", on=lambda w: w.shows("panel")),
    Entry("strip", "window", "G", "Time line", "Show or hide the last 600 frames under the picture",
          lambda w: w.toggle_part("strip"), on=lambda w: w.shows("strip")),
    Entry("full", "window", "F F11", "Full screen", "Fill the screen with the picture, or leave it",
          lambda w: w.toggle_full_screen(), gap=True),
    Entry("alone", "window", "H", "Picture alone", "Hide everything around the picture, or bring it back", lambda w: w.toggle_alone()),
    Entry("theme", "window", "T", "Dark or light", "Change between the dark and the light window",
          lambda w: w.toggle_theme(), icon="theme", gap=True),
    Entry("keys", "help", "? F1", "Keys", "List every key", lambda w: w.toggle_help(), icon="help"),
    Entry("about", "help", "", "About drive_seg", "Version, licence and what runs", lambda w: w.show_about()),
    Entry("dismiss", "help", "Ctrl+D", "Dismiss the message", "Close the message over the picture", lambda w: w.dismiss(), icon="close"),
    Entry("escape", "help", "Esc", "Close help, leave full screen", "Close what lies over the picture, then leave full screen",
          lambda w: w.escape()),
)
# fmt: on


def make_action(entry: Entry, window: QWidget, do: Callable[[], object]) -> QAction:
    """With its tooltip, which names the keys."""
    text, tip = translate("actions", entry.text), translate("actions", entry.tip)
    action = QAction(text, window)
    action.setShortcuts([QKeySequence(key) for key in entry.keys])
    action.setAutoRepeat(entry.repeats)
    action.setToolTip(f"{tip}  ({keys_text(entry)})" if entry.keys else tip)
    action.setCheckable(entry.on is not None)
    action.triggered.connect(lambda: do())
    return action


def keys_text(entry: Entry) -> str:
    """As the platform writes them."""
    return " / ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in entry.keys)
