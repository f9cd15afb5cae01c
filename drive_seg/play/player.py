"""A drive that plays, as a window sees and steers it: everything can be changed while it plays, and a failure never ends it."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drive_seg.audit import Agreement
from drive_seg.contracts import Result, SourceInfo
from drive_seg.errors import DriveSegError
from drive_seg.overlay import Look
from drive_seg.play.deck import Deck
from drive_seg.play.history import Moment
from drive_seg.play.lanes import FIELDS
from drive_seg.play.wishes import Wishes, checked
from drive_seg.settings import Settings
from drive_seg.stats import Numbers
from drive_seg.workers import Closed, Worker, on_all_cpus

CLOSE_LIMIT_S = 60.0  # the frame under way, and a recording's end, on a machine that is busy
POLL_S = 0.05  # a wish waits no longer, when no frame comes
CHANGEABLE = FIELDS | {"source", "loop"}
REMEDIES = {
    "source": "check it, or open another one",
    "network": "choose another backend or model",
    "recorder": "record to another file",
    "change": "choose something else",
    "comparison": "compare with something else",
    "audit": "turn it on again, or choose another backend",
    "masks": "free space there, and start again with another folder",
    "trace": "free space there, and start again with another file",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame to be shown."""

    result: Result
    rival: Result | None = None  # the same frame by the other way, while comparing


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure that the player lives on with."""

    what: str  # source, network, recorder, change, comparison, audit, masks, trace
    text: str  # one line for people that ends with what can be done
    serial: int  # grows; a new one is a new trouble


@dataclass(frozen=True, slots=True)
class Status:
    """What the player is and does at one moment."""

    state: str  # opening, loading …, playing, paused, reconnecting, ended, failed; what is loaded follows behind "loading "
    settings: Settings  # in force; wishes that failed are not in it
    runs: Mapping[str, str]  # model, backend, precision, device, schedule, mode, propagation
    headline: str
    note: str  # what a person has to know about the way of a frame into the network; mostly empty
    classes: tuple[str, ...]  # the network's own
    palette: tuple[tuple[int, int, int], ...]  # RGB by class, the network's own
    source: SourceInfo
    seekable: bool
    position: int | None  # index of the last frame
    paused: bool
    speed: float
    dropped: int
    recording: Path | None
    rival: Mapping[str, str] | None  # its `runs`, while comparing
    differing: float | None  # share of label pixels that differ from the rival's, mean over the last 300 frames; None with other classes
    auditing: bool
    numbers: Numbers
    rival_numbers: Numbers | None
    trouble: Trouble | None  # the newest


class Player:
    """Wishes come from any thread, never wait and take effect between two frames; of several, the newest counts.

    All lanes are opened, used and closed in the player's own thread. A wish that fails is a Trouble, and what played before plays on.
    """

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        self.on_new: Callable[[], None] | None = None  # called from the player's thread, at most once until `take`
        self._deck = Deck(settings, self._show, self._tell_trouble, self._check)
        self._wishes = Wishes()
        self._do: dict[str, tuple[str, Callable[[Any], None]]] = {  # by the wish: what its failure is called, and how it is fulfilled
            "change": ("change", self._deck.change),
            "compare": ("comparison", self._deck.compare),
            "audit": ("audit", self._deck.audit),
            "record": ("recorder", self._deck.record),
            "refresh": ("network", lambda _: self._deck.refresh()),
            "seek": ("source", self._deck.seek),
        }
        self._lock = threading.Lock()  # guards the next three
        self._newest: Shown | None = None
        self._told = False
        self._trouble: Trouble | None = None
        self._opened, self._closing = threading.Event(), threading.Event()
        self._refused: BaseException | None = None
        self._worker = Worker("pipeline", self._run, on_error=lambda error: self._tell_trouble("network", error))

    def open(self) -> None:
        """Starts to play; returns once source, network and what is written are open. Raises what they raise; nothing is left open then."""
        self._worker.start()
        self._opened.wait()
        if self._refused:
            self.close()
            raise self._refused

    def close(self) -> None:
        """Ends everything, a recording properly, and waits for its threads; idempotent. `on_new` is not called afterwards."""
        deadline_s = time.monotonic() + CLOSE_LIMIT_S
        self.on_new = None
        self._closing.set()
        self._deck.feed.close()
        self._worker.wait(max(0.0, deadline_s - time.monotonic()))
        self._deck.wait(deadline_s)

    def take(self) -> Shown | None:
        """The newest that was not taken yet."""
        with self._lock:
            shown, self._newest, self._told = self._newest, None, False
            return shown

    def status(self) -> Status:
        deck, feed, lane, rival = self._deck, self._deck.feed, self._deck.main.lane, self._deck.rival.lane
        numbers, rival_numbers = deck.figures.numbers()
        return Status(
            state=self._state(),
            settings=deck.settings,
            runs=lane.runs if lane else {},
            headline=lane.headline if lane else "",
            note=deck.note,
            classes=lane.engine.classes if lane else (),
            palette=lane.engine.palette if lane else (),
            source=feed.info,
            seekable=feed.seekable,
            position=deck.last[0].frame.index if deck.last else None,
            paused=feed.paused,
            speed=feed.speed,
            dropped=feed.dropped,
            recording=deck.outputs.recording,
            rival=rival.runs if rival else None,
            differing=deck.figures.differing(),
            auditing=deck.auditing,
            numbers=numbers,
            rival_numbers=rival_numbers if rival else None,
            trouble=self._trouble,
        )

    def history(self, last: int = 600) -> tuple[Moment, ...]:
        """What became of the last frames, the oldest first."""
        return self._deck.figures.last(last)

    def agreement(self) -> tuple[Agreement, ...]:
        """With the full network, by age; empty while nothing was audited."""
        return self._deck.auditor.agreement() if self._deck.auditor else ()

    def summary(self) -> dict[str, object]:
        """What ran and how fast, so far, as a run without a window says it."""
        return self._deck.summary()

    @property
    def look(self) -> Look:
        """How labels are drawn, in a recording too. Where it has the network's own palette, it takes the next network's."""
        return self._deck.look

    @look.setter
    def look(self, look: Look) -> None:
        self._deck.look = look

    def change(self, **settings: object) -> None:
        """Other settings, by their fields (CHANGEABLE). Raises UsageError at once for what cannot be meant."""
        self._wishes.merge("change", checked(settings, CHANGEABLE))

    def compare(self, changes: Mapping[str, object] | None) -> None:
        """Opens a rival with these settings of a lane changed, on the same frames; None ends it. Raises UsageError as `change` does."""
        self._wishes.add("compare", None if changes is None else checked(changes, FIELDS))

    def audit(self, on: bool) -> None:
        """Compares some frames' labels with the full network's, from the beginning; what was found stays to be read."""
        self._wishes.add("audit", on)

    def record(self, path: Path | None) -> None:
        """The overlay, with the look; None ends it. What is jumped over is not in it."""
        self._wishes.add("record", path)

    def refresh(self) -> None:
        """The next frame is a key frame, for the reason `manual`, once no refresh is under way."""
        self._wishes.add("refresh", None)

    def pause(self) -> None:
        self._deck.feed.pause()

    def resume(self) -> None:
        self._deck.feed.resume()

    def step(self) -> None:
        """Pauses, and lets one more frame come."""
        self._deck.feed.step()

    def seek(self, index: int) -> None:
        """Goes on from this frame, also of a source that has failed. Raises UsageError where the source cannot."""
        if self._deck.feed.failed:
            self._wishes.add("seek", index)
        else:
            self._deck.feed.seek(index)

    def speed(self, factor: float) -> None:
        """A file's. Raises UsageError for one that cannot be played."""
        self._deck.feed.speed = factor

    def _run(self) -> None:
        deck = self._deck
        try:
            deck.open()
        except BaseException as error:
            self._refused = error
            deck.close()
            return
        finally:
            self._opened.set()
        try:
            while not self._closing.is_set():
                wishes = self._wishes.take()
                if wishes or deck.built:
                    with on_all_cpus():  # what is opened starts threads
                        for kind, wish in wishes.items():
                            self._fulfil(kind, wish)
                        deck.tick()
                if deck.wants_frames:
                    if frame := deck.next(POLL_S):
                        deck.play(frame)
                else:
                    self._wishes.wait(POLL_S)
        finally:
            deck.close()

    def _fulfil(self, kind: str, wish: object) -> None:
        what, action = self._do[kind]
        try:
            action(wish)
        except Closed:
            raise
        except Exception as error:
            self._tell_trouble(what, error)

    def _state(self) -> str:
        if not self._opened.is_set():
            return "opening"
        return "failed" if self._worker.error else self._deck.state

    def _show(self, result: Result, rival: Result | None) -> None:
        with self._lock:
            self._newest = Shown(result, rival)
            tell, self._told = not self._told, True
        if tell and (on_new := self.on_new):
            on_new()

    def _tell_trouble(self, what: str, error: BaseException) -> None:
        text = str(error) if isinstance(error, DriveSegError) else f"{type(error).__name__}: {error}"
        first = text.partition("\n")[0]
        with self._lock:
            serial = self._trouble.serial + 1 if self._trouble else 1
            self._trouble = Trouble(what, first if "; " in first else f"{first}; {REMEDIES[what]}", serial)

    def _check(self) -> None:
        if self._closing.is_set():
            raise Closed
