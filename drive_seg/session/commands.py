"""What a player is asked for: checked at once, kept until its thread looks between two frames."""

import threading
from collections.abc import Collection, Mapping
from typing import Any

from drive_seg.errors import UsageError
from drive_seg.network.schedule import parse_schedule
from drive_seg.settings import Settings


class Commands:
    """What was asked for since they were last taken, the newest of each kind. Of any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked: dict[str, Any] = {}

    def put(self, kind: str, argument: object) -> None:
        """A change is merged into the one that still waits, if any."""
        with self._changed:
            before = self._asked.get(kind)
            self._asked[kind] = {**before, **argument} if kind == "change" and before and isinstance(argument, Mapping) else argument
            self._changed.notify_all()

    def take(self) -> dict[str, Any]:
        with self._changed:
            asked, self._asked = self._asked, {}
            return asked

    def wait(self, timeout_s: float) -> None:
        """Until there is one."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._asked), timeout_s)


def checked(changes: Mapping[str, object], known: Collection[str]) -> dict[str, object]:
    """Fields of Settings as they would be read. Raises UsageError for one that is not among the known, or cannot be meant."""
    if unknown := sorted(changes.keys() - known):
        raise UsageError(f"{', '.join(unknown)}: cannot be changed while it plays; {', '.join(sorted(known))} can")
    given = Settings.checked(changes)
    if "schedule" in given:
        parse_schedule(str(given["schedule"]))
        given.setdefault("replay", None)  # which would decide in its place
    return given
