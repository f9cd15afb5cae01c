"""What a player says of itself: how it stands, the newest frame, the newest trouble."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from drive_seg.contracts import Away, Result, SourceInfo
from drive_seg.errors import DriveSegError
from drive_seg.session.figures import Numbers
from drive_seg.settings import Settings
from drive_seg.workers import Closed

T = TypeVar("T")

REMEDIES = {
    "source": "check it, or open another one",
    "network": "choose another backend or model",
    "recorder": "record to another file",
    "change": "choose something else",
    "comparison": "compare with something else",
    "ahead": "set another corridor, or run a network that has a class for the road",
    "audit": "turn it on again, or choose another backend",
    "metrics": "start again to count on",
    "masks": "free space there, and start again with another folder",
    "trace": "free space there, and start again with another file",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame to be shown."""

    result: Result
    comparison: Result | None = None  # the same frame by the other pipeline, while comparing
    number: int = 0  # of those that there were to be shown, this one included


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure that the player lives on with."""

    what: str  # of REMEDIES
    text: str  # one line for people that ends with what can be done
    serial: int  # grows; a new one is a new trouble

    @classmethod
    def of(cls, what: str, error: BaseException, before: "Trouble | None") -> "Trouble":
        text = str(error) if isinstance(error, DriveSegError) else f"{type(error).__name__}: {error}"
        first = text.partition("\n")[0]
        return cls(what, first if "; " in first else f"{first}; {REMEDIES[what]}", before.serial + 1 if before else 1)


@dataclass(frozen=True, slots=True)
class Status:
    """What the player is and does at one moment."""

    state: str  # opening, connecting, loading …, playing, paused, reconnecting, ended, failed; what is loaded follows behind "loading "
    settings: Settings  # in force; commands that failed are not in it
    runs: Mapping[str, str]  # model, backend, precision, device, schedule, mode, propagation
    headline: str
    away: Away | None  # the stream that it is connecting to: the one that is played, or that will be once it is there
    note: str  # what a person has to know about the way of a frame into the network, and of what is damaged; mostly empty
    classes: tuple[str, ...]  # the network's own
    palette: tuple[tuple[int, int, int], ...]  # RGB by class, the network's own
    source: SourceInfo
    seekable: bool
    position: int | None  # index of the last frame
    paused: bool
    speed: float
    dropped: int
    recording: Path | None
    comparison: Mapping[str, str] | None  # its `runs`, while comparing
    # share of label pixels that differ from the comparison's, mean over the last 300 frames; None with other classes
    differing: float | None
    auditing: bool
    numbers: Numbers
    comparison_numbers: Numbers | None
    trouble: Trouble | None  # the newest
    unlike: float | None = None  # mean confidence of the last seconds, while the drive is unlike what the network learned


class News:
    """The newest frame to be shown and the newest trouble, from the session's thread to whoever shows them."""

    def __init__(self) -> None:
        self.on_new: Callable[[], None] | None = None  # called by the session's thread, at most once until `take`
        self.last: Shown | None = None  # whether it was taken or not; None before a source's first
        self.trouble: Trouble | None = None
        self._lock = threading.Lock()
        self._waiting: Shown | None = None
        self._count = 0
        self._called = False

    def show(self, shown: Shown) -> None:
        with self._lock:
            self._count += 1
            self.last = self._waiting = replace(shown, number=self._count)
            call, self._called = not self._called, True
        if call and (on_new := self.on_new):
            on_new()

    def take(self) -> Shown | None:
        """The newest that was not taken yet."""
        with self._lock:
            shown, self._waiting, self._called = self._waiting, None, False
            return shown

    def tell(self, what: str, error: BaseException) -> None:
        """`what` failed, of REMEDIES."""
        with self._lock:
            self.trouble = Trouble.of(what, error, self.trouble)

    def attempt(self, what: str, action: Callable[[], T]) -> T | None:
        """What it returns; None where it raises, which is told. Raises Closed alone."""
        try:
            return action()
        except Closed:
            raise
        except Exception as error:
            self.tell(what, error)
            return None
