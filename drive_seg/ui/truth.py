"""How well the frames that are shown are labelled, where the source knows the truth."""

from drive_seg.contracts import Labels
from drive_seg.network.score import Confusion, LiveScore
from drive_seg.session.status import Shown, Status

LARGE = 1.5  # times the error of all frames so far


def known(status: Status) -> bool:
    """Whether source and network mean the same classes by their ids."""
    return status.source.labelled and status.source.classes in ((), status.classes)


def truth_of(status: Status, shown: Shown | None) -> Labels | None:
    """The frame's, by the network's ids."""
    return shown.result.frame.labels if shown and known(status) else None


class Truth:
    """Scores of one way to run on one source, frame by frame as they are counted, at the labels' size."""

    def __init__(self) -> None:
        self.total = Confusion(())  # of all that was counted
        self.frames = 0
        self._live: LiveScore | None = None
        self._of: tuple[object, ...] = ()
        self._last: tuple[int, int] | None = None
        self._error: float | None = None

    @property
    def miou(self) -> float | None:
        """0..1, of the last frames; None where nothing is known."""
        return self._live.miou if self._live else None

    def count(self, status: Status, shown: Shown | None) -> float | None:
        """0..1, the share of this frame's pixels that are wrong; None where that is not known. Told again, a frame is not counted again."""
        of = status.source.name, status.classes, tuple(status.runs.items())
        if of != self._of or not known(status):
            self._of, self.frames, self.total, self._last = of, 0, Confusion(status.classes), None
            self._live = LiveScore(status.classes) if known(status) else None
        if self._live is None or shown is None or (truth := truth_of(status, shown)) is None:
            return None
        frame = shown.result.frame
        if self._last != (frame.segment, frame.index):
            added = self._live.add(truth, shown.result.labels)
            self.total.counts += added
            self.frames += 1
            accuracy = Confusion.of(status.classes, added).pixel_accuracy
            self._last, self._error = (frame.segment, frame.index), None if accuracy is None else 1 - accuracy
        return self._error

    def large(self, error: float) -> bool:
        """Compared with all frames so far."""
        accuracy = self.total.pixel_accuracy
        return accuracy is not None and error > LARGE * (1 - accuracy)
