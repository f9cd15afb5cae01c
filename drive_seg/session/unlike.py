"""Whether a drive is unlike what the network learned: for seconds it is less sure of its labels than on the drives that it learned."""

from collections import deque
from collections.abc import Callable

from drive_seg.contracts import Result
from drive_seg.session.observer import Observer

SPAN_S = 3.0  # of the source's time: single frames are unsure on every drive
FEWEST = 5  # frames in it
BACK = 0.01  # it has to be so much surer again, or a drive at the border would be called unlike and not in turn


class Unlike(Observer):
    """Of one network. `mean` may be read by any thread."""

    def __init__(self, sure: float | None, tell: Callable[[str], None] = lambda line: None) -> None:
        """`sure`: a smaller mean confidence is unlike (card.Card.sure); None: nothing is known of that. `tell` is given one line, once."""
        self.mean: float | None = None  # 0..1, of the last seconds, while the drive is unlike
        self._sure, self._tell, self._told = sure, tell, False
        self._rows = deque[tuple[float, float]]()  # time and mean confidence of each frame of the last seconds
        self._of = (-1, 0.0)  # the segment, and when it began

    def on_result(self, result: Result, comparison: Result | None) -> None:
        frame, rows = result.frame, self._rows
        if self._sure is None or result.confidence is None:
            return
        if frame.segment != self._of[0] or frame.time_s < rows[-1][0]:
            self._of, self.mean = (frame.segment, frame.time_s), None
            rows.clear()
        rows.append((frame.time_s, result.confidence.mean))
        while frame.time_s - rows[0][0] > SPAN_S:
            rows.popleft()
        mean = sum(share for _, share in rows) / len(rows)
        if frame.time_s - self._of[1] < SPAN_S or len(rows) < FEWEST:
            return
        self.mean = mean if mean < self._sure + BACK * (self.mean is not None) else None
        if self.mean is not None and not self._told:
            self._told = True
            said = f"it is {mean:.1%} sure of its labels, on what it learned {self._sure:.1%} and more"
            self._tell(f"frame {frame.index}: this drive is unlike what the network learned: {said}")
