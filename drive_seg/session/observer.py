"""Who watches a session: a benchmark, a score, the audit, a window."""

from typing import Protocol

from drive_seg.contracts import Frame, Result


class Observer(Protocol):
    """Called in the session's thread. Inherit from it, and override what is needed."""

    def wants(self, frame: Frame) -> bool:
        """Asked once for each frame, before its work; the first no ends the session, without that frame."""
        return True

    def on_result(self, result: Result, comparison: Result | None) -> None:
        """`comparison`: the same frame by the other pipeline, where there is one."""
        return

    def close(self) -> None:
        """Nothing comes any more. Idempotent."""
        return
