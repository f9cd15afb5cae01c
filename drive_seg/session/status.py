"""What a player says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drive_seg.contracts import Away, Result, SourceInfo
from drive_seg.errors import DriveSegError
from drive_seg.session.figures import Numbers
from drive_seg.settings import Settings

REMEDIES = {
    "source": "check it, or open another one",
    "network": "choose another backend or model",
    "recorder": "record to another file",
    "change": "choose something else",
    "comparison": "compare with something else",
    "ahead": "set another corridor, or run a network that has a class for the road",
    "audit": "turn it on again, or choose another backend",
    "masks": "free space there, and start again with another folder",
    "trace": "free space there, and start again with another file",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame to be shown."""

    result: Result
    comparison: Result | None = None  # the same frame by the other pipeline, while comparing


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
    differing: (
        float | None
    )  # share of label pixels that differ from the comparison's, mean over the last 300 frames; None with other classes
    auditing: bool
    numbers: Numbers
    comparison_numbers: Numbers | None
    trouble: Trouble | None  # the newest
    unlike: float | None = None  # mean confidence of the last seconds, while the drive is unlike what the network learned
