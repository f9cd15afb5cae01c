"""Who watches a session: a benchmark, a score, the audit, a window."""

from collections.abc import Mapping
from typing import Any, Protocol

from drive_seg.contracts import Frame, Result


class Observer(Protocol):
    """Called in the session's thread. Inherit from it, and override what is needed."""

    def wants(self, frame: Frame) -> bool:
        """Asked once for each frame, before its work; the first no ends the session, without that frame."""
        return True

    def complete(self, result: Result) -> Result:
        """The result with what else is known of its frame, before sinks and observers are told; a frame that is shown again comes again."""
        return result

    def on_result(self, result: Result, comparison: Result | None) -> None:
        """`comparison`: the same frame by the other pipeline, where there is one."""
        return

    def figures(self) -> Mapping[str, Any]:
        """What goes into the run's summary, ready for JSON. Called from any thread."""
        return {}

    def close(self) -> None:
        """Nothing comes any more. Idempotent."""
        return
