"""What a player is asked for: checked at once, kept until its thread looks between two frames."""

import threading
from collections.abc import Collection, Mapping
from typing import Any

from drive_seg.errors import UsageError
from drive_seg.network.schedule import parse_schedule
from drive_seg.settings import Settings


class Wishes:
    """What was asked for since they were last taken, the newest of each kind. Of any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wished: dict[str, Any] = {}

    def add(self, kind: str, wish: object) -> None:
        with self._changed:
            self._wished[kind] = wish
            self._changed.notify_all()

    def merge(self, kind: str, wish: Mapping[str, object]) -> None:
        """Into those of its kind that are still there."""
        with self._changed:
            self._wished[kind] = {**self._wished.get(kind, {}), **wish}
            self._changed.notify_all()

    def take(self) -> dict[str, Any]:
        with self._changed:
            wished, self._wished = self._wished, {}
            return wished

    def wait(self, timeout_s: float) -> None:
        """Until there is one."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._wished), timeout_s)


def checked(changes: Mapping[str, object], known: Collection[str]) -> dict[str, object]:
    """Fields of Settings as they would be read. Raises UsageError for one that is not among the known, or cannot be meant."""
    if unknown := sorted(changes.keys() - known):
        raise UsageError(f"{', '.join(unknown)}: cannot be changed while it plays; {', '.join(sorted(known))} can")
    given = Settings.checked(changes)
    if "schedule" in given:
        parse_schedule(str(given["schedule"]))
        given.setdefault("replay", None)  # which would decide in its place
    return given
