"""One time line for a recording of several segments."""

from drive_seg.contracts import Frame


class Timeline:
    """The times of a recording: a segment begins one frame after the last one ended."""

    def __init__(self, fps: float) -> None:
        self._gap_s = 1 / max(1.0, fps)
        self._segment: int | None = None
        self._shift_s = self._last_s = 0.0

    def time_s(self, frame: Frame) -> float:
        if self._segment not in (None, frame.segment):
            self._shift_s = self._last_s + self._gap_s - frame.time_s
        self._segment, self._last_s = frame.segment, frame.time_s + self._shift_s
        return self._last_s
