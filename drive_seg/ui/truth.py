"""How well the frames on the screen are labelled, where the source knows the truth."""

from drive_seg.network.score import LiveScore
from drive_seg.session.status import Shown, Status


class Truth:
    """mIoU of some of the frames shown: each is counted a few times a second, which costs nothing that is felt."""

    def __init__(self) -> None:
        self._score: LiveScore | None = None
        self._of: tuple[object, ...] = ()
        self._last: tuple[int, int] | None = None

    def count(self, status: Status, shown: Shown | None) -> float | None:
        """0..1; None where nothing is known, or source and network mean other classes by their ids."""
        source = status.source
        if not (source.labelled and source.classes in ((), status.classes)):
            return None
        of = source.name, status.classes, status.runs.get("model")
        if self._score is None or of != self._of:
            self._score, self._of, self._last = LiveScore(status.classes), of, None
        frame = shown.result.frame if shown else None
        if shown and frame and frame.labels is not None and (frame.segment, frame.index) != self._last:
            self._score.add(frame.labels, shown.result.labels)
            self._last = frame.segment, frame.index
        return self._score.miou
