"""What the window's controls do to the player and to how its labels are drawn: one method a wish, without a widget."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from drive_seg.classes import safe_palette
from drive_seg.contracts import Image, Labels
from drive_seg.errors import DriveSegError
from drive_seg.network.card import CARD, Card, locate, names
from drive_seg.overlay import Look, Painter
from drive_seg.session.player import Player
from drive_seg.session.status import Shown, Status
from drive_seg.ui.choices import nudged
from drive_seg.ui.compose import Versus, View, compose, same_ids
from drive_seg.ui.keeper import Keeper
from drive_seg.ui.memory import Memory

SPEEDS = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0)
PLAIN: Mapping[str, object] = {"schedule": "every-frame", "mode": "sync"}  # the rival that takes no short cut
EVERYWHERE = ("hold", "flow")  # propagations that need nothing of a network
SOON_MS = 60  # a wish takes effect between two frames


class Cockpit(QObject):
    """Lives in the window's thread. `changed` says that controls may look different now, `redraw` that the picture does."""

    changed = pyqtSignal()
    redraw = pyqtSignal()
    told = pyqtSignal(str, bool)  # a line for people; whether it is a failure

    def __init__(self, player: Player, memory: Memory) -> None:
        super().__init__()
        self.player, self.memory = player, memory
        self.status: Status = player.status()
        self.view, self.versus, self.divider = View.OVERLAY, Versus.SPLIT, 0.5
        self.rival: Mapping[str, object] = memory.rival or PLAIN  # who is compared with when comparing begins
        self.comparing = False  # as it was wished: opening the rival takes its time
        self.safe = memory.flag("look/safe", False)
        self.shown: Shown | None = None
        self.keeper = Keeper(player, memory)
        self.keeper.told.connect(self.told)
        self._cards: dict[str, Card | None] = {}
        self._wished: dict[str, object] = {}  # and not in force yet
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._now)
        given = self.status.settings.model_fields_set
        opacity = self.status.settings.opacity if "opacity" in given else memory.number("look/opacity", self.status.settings.opacity)
        self._painter = Painter(player.look)
        self._draw(opacity=min(max(opacity, 0.0), 1.0), contours=memory.flag("look/contours", False), palette=self._palette())

    # -- what is known

    def update(self) -> Status:
        """Asks the player how it is; a network with other classes brings its own colours."""
        before, self.status = self.status, self.player.status()
        if not self.status.classes:  # between two networks
            self.status = replace(self.status, classes=before.classes, palette=before.palette)
        trouble, settings = self.status.trouble, self.status.settings
        self._wished = {name: value for name, value in self._wished.items() if getattr(settings, name) != value}
        if trouble and trouble != before.trouble:
            self._wished.clear()
            if trouble.what == "comparison":
                self.comparing = self.status.comparison is not None
        if before.classes != self.status.classes or before.palette != self.status.palette:
            self._draw(palette=self._palette(), hidden=frozenset())
        return self.status

    @property
    def look(self) -> Look:
        return self.player.look

    @property
    def live(self) -> bool:
        """Nothing can be waited for: no other speed, no way back."""
        return self.status.source.live

    def propagations(self, model: str | None = None) -> tuple[str, ...]:
        """Those of a bundle, of the one that runs unless named."""
        card = self.card(model)
        return card.propagations if card else EVERYWHERE

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
        """The bundles there are, and what runs if it is none of them."""
        known = names()
        return known if self.status.settings.model in known else [*known, self.status.settings.model]

    def compose(self, room: Callable[[Image], tuple[int, int]]) -> Image | None:
        """The picture as it is to be shown now; `room`: the height and width that are there for it."""
        if self.shown is None:
            return None
        room_hw = room(self.shown.result.frame.image)
        return compose(self.shown, self._painter, self.view, self.versus, self.divider, room_hw, self._rival_ids())

    # -- playing

    def toggle_pause(self) -> None:
        (self.player.resume if self.status.paused else self.player.pause)()
        self._now()

    def step(self) -> None:
        self.player.step()
        self._now()

    def step_back(self) -> None:
        self.player.pause()
        self.seek((self.status.position or 0) - 1)

    def jump(self, seconds: float) -> None:
        self.seek((self.status.position or 0) + round(seconds * (self.status.source.fps or 30.0)))

    def seek(self, index: int) -> None:
        if self.status.seekable:
            self._try(lambda: self.player.seek(max(0, index)))

    def set_speed(self, factor: float) -> None:
        self._try(lambda: self.player.speed(factor))

    def faster(self, steps: int) -> None:
        """To the next of SPEEDS, or with a negative number to one before."""
        nearest = min(range(len(SPEEDS)), key=lambda at: abs(SPEEDS[at] - self.status.speed))
        self.set_speed(SPEEDS[min(max(nearest + steps, 0), len(SPEEDS) - 1)])

    def open(self, source: str) -> None:
        """Plays another source; what cannot be opened is told, and what played before plays on."""
        self.memory.opened(source)
        self.change(source=source)

    # -- what is computed

    def change(self, **settings: object) -> None:
        """Other settings of the run; what cannot be had is told, and the run goes on as it was."""

        def wish() -> None:
            self.player.change(**settings)
            self._wished.update(settings)

        self._try(wish)

    def wanted(self, name: str) -> Any:
        """A setting as it was wished last: what is loaded in the meantime is not in force yet."""
        return self._wished.get(name, getattr(self.status.settings, name))

    def set_model(self, model: str) -> None:
        """With the propagation as it is where the bundle has it, else the plain one."""
        now = self.wanted("propagation")
        self.change(model=model, **({} if now in self.propagations(model) else {"propagation": "hold"}))

    def nudge(self, ticks: int) -> None:
        """The schedule's number, by a tick of its slider."""
        if text := nudged(self.wanted("schedule"), ticks):
            self.change(schedule=text)

    def toggle_mode(self) -> None:
        self.change(mode="async" if self.wanted("mode") == "sync" else "sync")

    def refresh_now(self) -> None:
        self.player.refresh()

    def set_rival(self, changes: Mapping[str, object]) -> None:
        """Who is compared with; at once, if a comparison is on."""
        self.rival = dict(changes)
        self.memory.keep(compare__rival=json.dumps(self.rival))
        if self.comparing:
            self._try(lambda: self.player.compare(self.rival))
        self.changed.emit()

    def toggle_compare(self) -> None:
        self.comparing = not self.comparing
        changes = self.rival if self.comparing else None
        self._try(lambda: self.player.compare(changes))

    def toggle_difference(self) -> None:
        self.versus = Versus.SPLIT if self.versus is Versus.DIFFERENCE else Versus.DIFFERENCE
        self._seen()

    def toggle_audit(self) -> None:
        self.player.audit(not self.status.auditing)
        self._now()

    # -- how it is drawn

    def set_view(self, view: View) -> None:
        self.view = view
        self._seen()

    def next_view(self) -> None:
        views = list(View)
        self.set_view(views[(views.index(self.view) + 1) % len(views)])

    def set_divider(self, share: float) -> None:
        self.divider = min(max(share, 0.0), 1.0)
        self.redraw.emit()

    def set_opacity(self, opacity: float) -> None:
        self._draw(opacity=round(min(max(opacity, 0.0), 1.0), 2))
        self.memory.keep(look__opacity=self.look.opacity)

    def toggle_contours(self) -> None:
        self._draw(contours=not self.look.contours)
        self.memory.keep(look__contours=self.look.contours)

    def toggle_safe(self) -> None:
        self.safe = not self.safe
        self._draw(palette=self._palette())
        self.memory.keep(look__safe=self.safe)

    def toggle_class(self, number: int) -> None:
        self._draw(hidden=self.look.hidden ^ {number})

    def solo(self, number: int) -> None:
        """That class alone; all of them if it is alone already."""
        others = frozenset(range(len(self.status.classes))) - {number}
        self._draw(hidden=frozenset() if self.look.hidden == others else others)

    def show_all(self) -> None:
        self._draw(hidden=frozenset())

    # -- what is kept

    def snapshot(self) -> None:
        if self.shown:
            self.keeper.snapshot(self.shown)

    def toggle_record(self) -> None:
        self._try(self.keeper.toggle_record)

    def close(self) -> None:
        """What is being written is finished."""
        self._soon.stop()
        self.keeper.close()

    # -- how

    def _try(self, wish: Callable[[], None]) -> None:
        try:
            wish()
        except DriveSegError as error:
            self.told.emit(str(error), True)
        self._soon.start(SOON_MS)

    def _rival_ids(self) -> Labels | None:
        """Where A's colours stand for other ids of B's."""
        card = self.card(str(self.rival["model"])) if self.shown and self.shown.comparison and "model" in self.rival else None
        return same_ids(self.status.classes, card.classes) if card else None

    def _palette(self) -> tuple[tuple[int, int, int], ...]:
        return safe_palette(len(self.status.classes)) if self.safe else self.status.palette

    def _draw(self, **changes: object) -> None:
        self.player.look = replace(self.player.look, **changes)  # type: ignore[arg-type]
        self._painter = Painter(self.player.look)
        self._seen()

    def _seen(self) -> None:
        self.redraw.emit()
        self.changed.emit()

    def _now(self) -> None:
        self.update()
        self.changed.emit()
