"""Watches the road ahead: adds what the labels say of it to each frame, and counts free road, people in the corridor and events."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from drive_seg.contracts import Ahead, Corridor, Labels, Result
from drive_seg.network.ahead import Presence, at_size, look_ahead, role_table
from drive_seg.session.observer import Observer

MOST_EVENTS = 10_000  # that are kept


@dataclass(slots=True)
class Event:
    """A person in the corridor, from one frame to another."""

    segment: int
    index: int  # of the frame with which it began
    time_s: float
    row: int | None  # the lowest with people then, in the frame's pixels
    rows: int  # of the frame
    last_index: int  # of the last frame with it, so far


class Lookout(Observer):
    """For labels of one network and the pictures of one camera. Used by the session's thread; any may ask for the figures.

    The figures are of all frames of a source that were looked at, whatever network and corridor they were looked at by.
    """

    def __init__(self, corridor: Corridor, classes: Sequence[str], before: "Lookout | None" = None) -> None:
        """`before`: whose figures go on here; in another corridor nobody has been seen yet. Raises UsageError for classes without road."""
        self.corridor, self._roles = corridor, role_table(classes)
        self._presence: Presence = before._presence if before and before.corridor == corridor else Presence()
        self.events: list[Event] = before.events if before else list[Event]()
        self._last: tuple[int, int] | None = before._last if before else None  # segment and index
        self._frames: int = before._frames if before else 0
        self._with_person: int = before._with_person if before else 0
        self._began: int = before._began if before else 0
        self._free: float = before._free if before else 0.0

    def forget(self) -> None:
        """Frames follow at which nobody looks: who is in the corridor is not known any more."""
        self._presence.forget()

    def complete(self, result: Result) -> Result:
        """With what is ahead, in the frame's pixels. A frame that comes twice is counted once. Raises UsageError for labels too small."""
        return replace(result, ahead=self.see(result.labels, result))

    def see(self, labels: Labels, result: Result) -> Ahead:
        """The same of other labels of the result's frame."""
        frame = result.frame
        ahead = at_size(look_ahead(labels, self.corridor, self._roles), frame.size_hw)
        now, before = (frame.segment, frame.index), self._presence.there
        if now == self._last:
            return replace(ahead, person=before)
        if self._last and frame.segment != self._last[0]:
            self._presence.forget()
            before = False
        self._last, there = now, self._presence.add(ahead.seen)
        self._frames += 1
        self._with_person += there
        self._free += ahead.share or 0.0
        if there and not before:
            self._began += 1
            self.events.append(Event(frame.segment, frame.index, frame.time_s, ahead.person_row, frame.size_hw[0], frame.index))
            del self.events[:-MOST_EVENTS]
        elif there:
            self.events[-1].last_index = frame.index
        return replace(ahead, person=there, event=None if there == before else "begin" if there else "end")

    def figures(self) -> Mapping[str, Any]:
        known = self._frames or None
        ahead = {
            "corridor": np.round(self.corridor, 4).tolist(),
            "frames": self._frames,
            "road_share": known and self._free / known,
            "frames_with_person": self._with_person,
            "persons": self._began,
            "events": [asdict(event) for event in tuple(self.events)],
        }
        return {"ahead": ahead}
