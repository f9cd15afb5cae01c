"""What the window's controls do to the player and to how its labels are drawn: one method a command, without a widget."""

import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtGui import QGuiApplication, QImage

from drive_seg import redaction
from drive_seg.backends import BACKENDS, describe_backend
from drive_seg.classes import RGB, clear_palette, drawn_palette, people, roads
from drive_seg.contracts import Corridor, Image, Labels
from drive_seg.errors import DriveSegError
from drive_seg.network.card import CARD, Card, locate, names
from drive_seg.network.propagate import FOR_ALL, HOLD
from drive_seg.overlay import Look
from drive_seg.session import corridors, road
from drive_seg.session.compose import View, compose
from drive_seg.session.corridors import corridor_of
from drive_seg.session.film import Versus, same_ids
from drive_seg.session.history import LENGTH
from drive_seg.session.player import Player
from drive_seg.session.status import Shown, Status, Trouble
from drive_seg.sinks.snapshot import Labelled
from drive_seg.ui import pixel
from drive_seg.ui.choices import nudged, translate
from drive_seg.ui.hunt import Hunt, arrivals
from drive_seg.ui.keeping import CLOSE_LIMIT_S, Keeper, Memory
from drive_seg.ui.truth import Truth, known
from drive_seg.workers import Worker

SPEEDS = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0)
PLAIN: Mapping[str, object] = {"schedule": "every-frame", "mode": "sync"}  # the reference, which takes no short cut
CLOCK: Mapping[str, object] = {"schedule": "clockwork:4"}  # for a run that takes none itself
BEHIND, BEHIND_S = 0.9, 2.0  # a share of the rate that is due; for how long it has to be missed
SOON_MS = 60  # a command takes effect between two frames


class Cockpit(QObject):
    """Lives in the window's thread. `changed` says that controls may look different now, `redraw` that the picture does."""

    changed = pyqtSignal()
    redraw = pyqtSignal()
    told = pyqtSignal(str, bool)  # a line for people; whether it is a failure
    kept = pyqtSignal(str, object)  # a line for people; the folder where it was written, a Path

    def __init__(self, player: Player, memory: Memory) -> None:
        super().__init__()
        self.player, self.memory = player, memory
        self.status: Status = player.status()
        self.view, self.versus, self.divider = View.OVERLAY, Versus.SPLIT, 0.5
        self._film(captions=self.status.settings.captions or memory.flag("captions", False), road=memory.flag("road", True))
        self.comparison: Mapping[str, object] = memory.comparison or PLAIN  # who is compared with when comparing begins
        self.comparing = False  # as it was asked for: opening the second pipeline takes its time
        self.clear = self._usually_clear()
        self.shown: Shown | None = None
        self.truth = Truth()
        self.hunt = Hunt()
        asked = self.status.settings.corridor
        # None: nobody looks at the road ahead
        self.corridor = corridor_of(self.status.settings.source) if isinstance(asked, str) else asked
        self.part: tuple[int, int | None] | None = None  # A and B, the first and last frame of what is played again and again
        self._going_back = False  # to A: frames that were under way still come
        self.keeper = Keeper(player, memory)
        self.keeper.told.connect(self.told)
        self.keeper.kept.connect(self.kept)
        self._slow_since: tuple[float, int] | None = None  # when frames began to come too slowly, and how many were dropped then
        self._recording_since_s: float | None = None
        self._failed: dict[tuple[str, str], str] = {}  # backend and bundle that would not run, and why
        self._absent: dict[str, str] = {}  # backends that cannot run here at all
        self._looking = Worker("backends", self._look_for_backends).start()
        if "source" in self.status.settings.model_fields_set:
            memory.opened(self.status.settings.source)
        self._cards: dict[str, Card | None] = {}
        self._known: list[str] = []
        self._requested: dict[str, object] = {}  # and not in force yet
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._now)
        given = self.status.settings.model_fields_set
        opacity = self.status.settings.opacity if "opacity" in given else memory.number("look/opacity", self.status.settings.opacity)
        self._draw(opacity=min(max(opacity, 0.0), 1.0), contours=memory.flag("look/contours", False))
        self._draw(**self._colours(self.status.classes, self.status.palette))

    # -- what is known

    def update(self) -> Status:
        """Asks the player how it is; a network with other classes brings its own colours."""
        before, self.status = self.status, self.player.status()
        if not self.status.classes:  # between two networks
            self.status = replace(self.status, classes=before.classes, palette=before.palette)
        self._requested = {name: value for name, value in self._requested.items() if getattr(self.status.settings, name) != value}
        now_s = time.monotonic()
        slow = self.status.state == "playing" and self.status.numbers.fps < BEHIND * self._due
        self.truth.count(self.status, self.shown)
        if self.view not in self.views:
            self.set_view(View.OVERLAY)
        if self.hunt.what == "person":
            self._look_for_person()
        if self.hunt.what and (self.status.state in ("ended", "failed") or (self.hunt.what == "error" and not self.knows_truth)):
            self._found_none()
        self._slow_since = (self._slow_since or (now_s, self.status.dropped)) if slow else None
        if self.status.source != before.source:
            self.part = None
        if self.status.recording != before.recording:
            self._recording_since_s = now_s if self.status.recording else None
        if self.status.trouble and self.status.trouble != before.trouble:
            self._learn(self.status.trouble)
        if not before.classes:  # the first network
            self.clear = self._usually_clear()
        if before.classes != self.status.classes or before.palette != self.status.palette:
            self._draw(**self._colours(self.status.classes, self.status.palette), hidden=frozenset())
        return self.status

    def _learn(self, trouble: Trouble) -> None:
        """What was asked for and cannot be had is asked for no longer."""
        if trouble.what in ("change", "network") and self._requested.keys() == {"backend"} and self._requested["backend"]:
            self._failed[str(self._requested["backend"]), self.status.settings.model] = trouble.text
        self._requested.clear()
        if isinstance(asked := self.status.settings.corridor, tuple):
            self.corridor = asked
        if trouble.what == "comparison":
            self.comparing = self.status.comparison is not None

    @property
    def look(self) -> Look:
        return self.player.look

    @property
    def barred(self) -> dict[str, str]:
        """Backends that cannot run the bundle here, and why; known once they were looked for, or tried."""
        model = self.wanted("model")
        return {**self._absent, **{backend: why for (backend, of), why in self._failed.items() if of == model}}

    @property
    def behind(self) -> tuple[float, float] | None:
        """Frames a second that are shown and that are due, where this machine has been too slow for BEHIND_S.

        A camera may give fewer than it says: behind it is who drops what it gives.
        """
        if self._slow_since is None:
            return None
        since_s, dropped = self._slow_since
        late = time.monotonic() - since_s >= BEHIND_S and (self.status.dropped > dropped or not self.live)
        return (self.status.numbers.fps, self._due) if late else None

    @property
    def _due(self) -> float:
        """Frames a second that there would be on a machine that is fast enough."""
        return self.status.source.fps * (1.0 if self.live else self.status.speed)

    @property
    def recording_s(self) -> float | None:
        """For how long the recording under way has been."""
        return None if self._recording_since_s is None else time.monotonic() - self._recording_since_s

    @property
    def count(self) -> int:
        """Frames of the source; 0 where that is not known, or there is no end."""
        return self.status.source.frame_count or 0

    @property
    def live(self) -> bool:
        """Nothing can be waited for: no other speed, no way back."""
        return self.status.source.live

    def propagations(self, model: str | None = None) -> tuple[str, ...]:
        """Those of a bundle, of the one that runs unless named."""
        card = self.card(model)
        return card.propagations if card else FOR_ALL

    def card(self, model: str | None = None) -> Card | None:
        """None for a network without one. Its files are not hashed: that is done when it is run, in the player's thread."""
        name = model or self.wanted("model")
        if name not in self._cards:
            try:
                self._cards[name] = Card.model_validate_json((locate(name) / CARD).read_bytes())
            except (DriveSegError, OSError, ValueError):
                self._cards[name] = None
        return self._cards[name]

    def models(self) -> list[str]:
        """The bundles that there were when they were looked for, and what runs if it is none of them."""
        known = self._known or self.look_for_models()
        return known if self.status.settings.model in known else [*known, self.status.settings.model]

    def look_for_models(self) -> list[str]:
        """Again, when somebody wants to choose: it reads folders, which takes too long for each refresh of the window."""
        self._known = names()
        return self._known

    def compose(self, room: Callable[[Image], tuple[int, int]]) -> Image | None:
        """The picture as it is to be shown now; `room`: the height and width that are there for it."""
        if self.shown is None:
            return None
        room_hw = room(self.shown.result.frame.image)
        ids, classes = self._comparison_ids(), len(self.status.classes)
        return compose(self.shown, self.player.painter, self.view, self.versus, self.divider, room_hw, ids, classes)

    def show(self, shown: Shown) -> None:
        """A new frame is to be shown."""
        self.shown, index, again = shown, shown.result.frame.index, self._going_back
        if self.part and self.part[1] is not None:
            self._going_back = index >= self.part[1] and (self._going_back or not self.status.paused)
            if self._going_back and not again:
                self._seek(self.part[0])
        if self.hunt.what == "error" and self._is_round(shown.result.frame.segment, index):
            self._found_none()
        elif self.hunt.what == "error" and (error := self.truth.count(self.status, shown)) is not None and self.truth.large(error):
            self.stop_at(index)
            line = translate("ui", "frame {0}: {1:.1%} of its pixels are wrong, of all frames so far {2:.1%}")
            self.told.emit(line.format(index, error, 1 - (self.truth.total.pixel_accuracy or 0.0)), False)
            self._now()

    @property
    def knows_truth(self) -> bool:
        return known(self.status)

    def pixel(self, x: float, y: float) -> str:
        """What is known there, in words; `x`, `y`: shares of the picture's width and height, 0 to 1, the 1 not included."""
        if self.shown is None:
            return ""
        classes, card = self.status.classes, self._compared_card()
        return pixel.in_words(self.shown, x, y, classes, card.classes if card else classes, self.status.source.classes or classes)

    def command(self) -> str:
        """This run as a command line: every choice made here that has a flag; without passwords, for it is made to be handed on.

        Raises UsageError where one cannot be written so.
        """
        wanted = {**self._requested, "opacity": self.look.opacity, "audit": self.status.auditing, "output": self.status.recording}
        wanted["captions"] = self.player.film.captions
        wanted["draw_ahead"] = self.player.film.road and self.corridor is not None
        return shlex.join(("drive-seg", "run", *map(redaction.redacted, self.status.settings.model_copy(update=wanted).arguments())))

    # -- playing

    def toggle_pause(self) -> None:
        """At the end it plays again from the beginning."""
        self.hunt.end()
        if self.status.state == "ended":
            self._play_again()
        else:
            (self.player.resume if self.status.paused else self.player.pause)()
        self._now()

    def _play_again(self) -> None:
        if self.status.seekable and self.status.settings.max_frames is None:
            self.seek(0)
            self.player.resume()
        else:
            self.change(source=self.status.settings.source)

    def step(self) -> None:
        self.hunt.end()
        self.player.step()
        self._now()

    def step_back(self) -> None:
        self.stop_at((self.status.position or 0) - 1)

    def jump(self, seconds: float) -> None:
        self.seek((self.status.position or 0) + round(seconds * (self.status.source.fps or 30.0)))

    def seek(self, index: int) -> None:
        """Whoever goes somewhere hunts for nothing any more."""
        self.hunt.end()
        self._seek(index)

    def _seek(self, index: int) -> None:
        if self.status.seekable:
            self._try(lambda: self.player.seek(max(0, index)))

    def stop_at(self, index: int) -> None:
        """To look at a frame, which would be gone at once if it played on."""
        self.player.pause()
        self.seek(index)

    def mark_part(self) -> None:
        """A here, then B here, then neither."""
        here = self.status.position or 0
        if self.part is None:
            self.part = here, None
        elif self.part[1] is None and here != self.part[0]:
            self.part = min(here, self.part[0]), max(here, self.part[0])
        else:
            self.part = None
        self._now()

    def toggle_hunt(self) -> None:
        """Plays on to the next frame that is shown with a large error, and stands there."""
        self._hunt("error")
        self._now()

    def _hunt(self, what: str) -> None:
        """For this, or if it is hunted for already for nothing any more."""
        if self.hunt.what == what:
            self.hunt.end()
            self.player.pause()
        else:
            self.hunt.begin(what, next(iter(self.player.history(1)), None))
            self.player.resume()

    def _is_round(self, segment: int, index: int) -> bool:
        """A drive that loops has been looked at once; what is live has no rounds."""
        return not self.live and self.hunt.is_round(segment, index)

    def _found_none(self) -> None:
        lines = {
            ("error", True): translate("ui", "no other frame with a large error up to the end"),
            ("error", False): translate("ui", "no other frame with a large error in a whole round"),
            ("person", True): translate("ui", "nobody else comes into the corridor up to the end"),
            ("person", False): translate("ui", "nobody else comes into the corridor in a whole round"),
        }
        line = lines[self.hunt.what, self.status.state == "ended"]
        self.hunt.end()
        self.player.pause()
        self.told.emit(line, False)

    def to_person(self, on: bool) -> None:
        """Stands at the next frame played with which somebody came into the corridor, or at the one before.

        Where there is no next one, it plays on to it.
        """
        here = self.status.position or 0
        begun = [moment.index for moment in arrivals(self.player.history(LENGTH))]
        found = [index for index in begun if (index > here if on else index < here)]
        if found:
            self.stop_at(min(found) if on else max(found))
        elif on:
            self._hunt("person")
        else:
            self.told.emit(translate("ui", "nobody came into the corridor before this frame, among those that were played"), False)
        self._now()

    def _look_for_person(self) -> None:
        """Among the frames that came since the hunt began; the first is stood at, or what cannot go back stands where it is."""
        moments = self.player.history(LENGTH)
        came = set(map(id, arrivals(moments)))
        for moment in self.hunt.next(moments):
            if self._is_round(moment.segment, moment.index):
                self._found_none()
            elif id(moment) in came:
                self.stop_at(moment.index)
            if not self.hunt.what:
                break

    def set_speed(self, factor: float) -> None:
        self._try(lambda: self.player.speed(factor))

    def faster(self, steps: int) -> None:
        """To the next of SPEEDS, or with a negative number to one before."""
        nearest = min(range(len(SPEEDS)), key=lambda at: abs(SPEEDS[at] - self.status.speed))
        self.set_speed(SPEEDS[min(max(nearest + steps, 0), len(SPEEDS) - 1)])

    def open(self, source: str) -> None:
        """Plays another source; what cannot be opened is told, and what played before plays on."""
        self.memory.opened(source)
        if self.corridor:
            self.corridor = corridor_of(source)
        self.change(source=source, **({"corridor": self.corridor} if self.corridor else {}))

    # -- what is computed

    def change(self, **settings: object) -> None:
        """Other settings of the run; what cannot be had is told, and the run goes on as it was."""

        def request() -> None:
            self.player.change(**settings)
            self._requested.update(settings)

        self._try(request)

    def wanted(self, name: str) -> Any:
        """A setting as it was asked for last: what is loaded in the meantime is not in force yet."""
        return self._requested.get(name, getattr(self.status.settings, name))

    def set_model(self, model: str) -> None:
        """With the propagation as it is where the bundle has it, else the plain one."""
        now = self.wanted("propagation")
        self.change(model=model, **({} if now in self.propagations(model) else {"propagation": HOLD}))

    def toggle_confidence(self) -> None:
        self.change(confidence=not self.wanted("confidence"))

    def nudge(self, ticks: int) -> None:
        """The schedule's number, by a tick of its slider."""
        if text := nudged(self.wanted("schedule"), ticks):
            self.change(schedule=text)

    def toggle_loop(self) -> None:
        self.change(loop=not self.wanted("loop"))

    def toggle_mode(self) -> None:
        self.change(mode="async" if self.wanted("mode") == "sync" else "sync")

    def refresh_now(self) -> None:
        self.player.refresh()

    def set_comparison(self, changes: Mapping[str, object]) -> None:
        """Who is compared with; at once, if a comparison is on."""
        self.comparison = dict(changes)
        self.memory.keep(compare__with=json.dumps(self.comparison))
        if self.comparing:
            self._try(lambda: self.player.compare(self.comparison))
        self.changed.emit()

    def toggle_compare(self) -> None:
        self.comparing = not self.comparing
        if self.comparing and all(self.wanted(name) == value for name, value in self.comparison.items()):
            differing = PLAIN if any(self.wanted(name) != value for name, value in PLAIN.items()) else CLOCK
            self.set_comparison(differing)  # compared with itself it would say nothing
            return
        changes = self.comparison if self.comparing else None
        self._try(lambda: self.player.compare(changes))

    def toggle_difference(self) -> None:
        self.versus = Versus.SPLIT if self.versus is Versus.DIFFERENCE else Versus.DIFFERENCE
        self._film(versus=self.versus)
        self._seen()

    def toggle_audit(self) -> None:
        self.player.audit(not self.status.auditing)
        self._now()

    # -- the road ahead

    def toggle_ahead(self) -> None:
        """In the corridor that was set for this source, or the usual one."""
        if self.corridor is None and not roads(self.status.classes):
            line = translate("ui", "{0} has no class that is the road, so nothing is known of the road ahead; choose another bundle")
            self.told.emit(line.format(self.status.runs.get("model", "")), True)
            return
        self.corridor = corridor_of(self.status.settings.source) if self.corridor is None else None
        self.change(corridor=self.corridor)
        self._seen()

    def set_corridor(self, corridor: Corridor, done: bool = True) -> None:
        """`done`: it is kept for this source."""
        self.corridor = corridor
        self.change(corridor=corridor)
        if done:
            self._try(lambda: corridors.keep(self.status.settings.source, corridor))

    # -- how it is drawn

    def set_view(self, view: View) -> None:
        self.view = view
        self._seen()

    @property
    def views(self) -> list[View]:
        """Those that there are of this source."""
        there = {View.ERRORS: self.knows_truth, View.DOUBT: self.wanted("confidence")}
        return [view for view in View if there.get(view, True)]

    def toggle_errors(self) -> None:
        self.set_view(View.OVERLAY if self.view is View.ERRORS else View.ERRORS)

    def toggle_doubt(self) -> None:
        """Lets the network tell its confidence too, if it does not."""
        if self.view is View.DOUBT:
            self.set_view(View.OVERLAY)
            return
        if not self.wanted("confidence"):
            self.toggle_confidence()
        self.set_view(View.DOUBT)

    def next_view(self) -> None:
        views = self.views
        self.set_view(views[(views.index(self.view) + 1) % len(views)])

    def set_divider(self, share: float) -> None:
        self.divider = min(max(share, 0.0), 1.0)
        self._film(divider=self.divider)
        self.redraw.emit()

    def set_opacity(self, opacity: float) -> None:
        self._draw(opacity=round(min(max(opacity, 0.0), 1.0), 2))
        self.memory.keep(look__opacity=self.look.opacity)

    def toggle_contours(self) -> None:
        self._draw(contours=not self.look.contours)
        self.memory.keep(look__contours=self.look.contours)

    def toggle_clear(self) -> None:
        self.clear = not self.clear
        self._draw(**self._colours(self.status.classes, self.status.palette))
        self.memory.keep(look__clear=self.clear)

    def toggle_class(self, number: int) -> None:
        self._draw(hidden=self.look.hidden ^ {number})

    def solo(self, number: int) -> None:
        """That class alone; all of them if it is alone already."""
        others = frozenset(range(len(self.status.classes))) - {number}
        self._draw(hidden=frozenset() if self.look.hidden == others else others)

    def show_all(self) -> None:
        self._draw(hidden=frozenset())

    # -- what is kept

    def copy_picture(self) -> None:
        """As it is shown, with its overlay, at the frame's size."""
        image = self.compose(lambda frame: (frame.shape[0], frame.shape[1]))
        if image is not None and self.corridor and self.player.film.road and self.shown and (ahead := self.shown.result.ahead):
            image = image.copy()
            road.draw(image, ahead)
        if image is not None and (clipboard := QGuiApplication.clipboard()):
            height, width = image.shape[:2]
            clipboard.setImage(QImage(image.tobytes(), width, height, 3 * width, QImage.Format.Format_BGR888).copy())
            self.told.emit(translate("ui", "copied the picture, {0} x {1}").format(width, height), False)

    def copy_command(self) -> None:
        def copy() -> None:
            if clipboard := QGuiApplication.clipboard():
                clipboard.setText(line := self.command())
                self.told.emit(translate("ui", "copied: {0}").format(line), False)

        self._try(copy)

    def snapshot(self) -> None:
        if self.shown:
            self.keeper.snapshot(self.shown, self._compared(self.shown))

    def toggle_record(self) -> None:
        self._try(self.keeper.toggle_record)

    def toggle_captions(self) -> None:
        self._film(captions=not self.player.film.captions)
        self.memory.keep(captions=self.player.film.captions)
        self.changed.emit()

    def toggle_road_in_film(self) -> None:
        self._film(road=not self.player.film.road)
        self.memory.keep(road=self.player.film.road)
        self.changed.emit()

    def _film(self, **changes: object) -> None:
        """A recording shows a comparison as the window does."""
        self.player.film = replace(self.player.film, **changes)  # type: ignore[arg-type]

    def _compared(self, shown: Shown) -> Labelled | None:
        """The comparison's side of a snapshot; other classes have their own colours."""
        if shown.comparison is None or self.status.comparison is None:
            return None
        look, classes, card = self.look, self.status.classes, self._compared_card()
        if card and card.classes != classes:
            classes, look = card.classes, replace(look, hidden=frozenset(), **self._colours(card.classes, card.palette))  # type: ignore[arg-type]
        return Labelled(shown.comparison, look, dict(self.status.comparison), classes)

    def _compared_card(self) -> Card | None:
        """None where the comparison runs the same bundle."""
        return self.card(str(self.comparison["model"])) if "model" in self.comparison else None

    def close(self) -> None:
        """What is being written is finished."""
        self._looking.wait(CLOSE_LIMIT_S)
        self._soon.stop()
        self.keeper.close()

    # -- how

    def _look_for_backends(self) -> None:
        """Without importing what takes seconds: a package is looked for, and a backend asked only where that is not what it lacks."""
        for name, entry in BACKENDS.items():
            if lacks := [package for package in entry.packages if find_spec(package) is None]:
                self._absent[name] = translate("ui", "needs {0}; {1}").format(", ".join(lacks), entry.install)
            elif not entry.packages:
                try:
                    describe_backend(name)
                except DriveSegError as error:
                    self._absent[name] = str(error)

    def _try(self, command: Callable[[], None]) -> None:
        try:
            command()
        except DriveSegError as error:
            self.told.emit(str(error), True)
        self._soon.start(SOON_MS)

    def _usually_clear(self) -> bool:
        """Colours that somebody gave the classes are shown unless V says otherwise."""
        usual = drawn_palette(self.status.classes, self.status.palette) != self.status.palette
        return self.memory.flag("look/clear", usual)

    def _comparison_ids(self) -> Labels | None:
        """Where A's colours stand for other ids of B's."""
        card = self._compared_card() if self.shown and self.shown.comparison else None
        return same_ids(self.status.classes, card.classes) if card else None

    def _colours(self, classes: tuple[str, ...], own: tuple[RGB, ...]) -> dict[str, object]:
        """What the Look of these classes has of them; `own`: the network's colours."""
        return {"palette": clear_palette(classes) if self.clear else own, "outlined": people(classes)}

    def _draw(self, **changes: object) -> None:
        self.player.look = replace(self.player.look, **changes)  # type: ignore[arg-type]
        self._seen()

    def _seen(self) -> None:
        self.redraw.emit()
        self.changed.emit()

    def _now(self) -> None:
        self.update()
        self.changed.emit()
