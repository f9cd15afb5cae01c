"""Plays a source that is not seekable again and again, by opening it anew; others are looped by their capture."""

from collections.abc import Callable
from dataclasses import replace

from drive_seg.contracts import Closing, Frame, Source, SourceInfo


class Looping(Closing):
    """Reopens the source at its end. Index and time begin anew with each round; `segment` grows."""

    def __init__(self, first: Source, reopen: Callable[[], Source]) -> None:
        self._source, self._reopen = first, reopen
        self.info: SourceInfo = first.info
        self._round = 0  # added to the segments of this round, so that none comes twice
        self._last: Frame | None = None
        self._closed = False

    @property
    def note(self) -> str:
        """What the source has to say of what it gave in this round."""
        return str(getattr(self._source, "note", ""))

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is None and self._last is not None and not self._closed:
            self._source.close()
            self._source, self._round = self._reopen(), self._last.segment + 1
            frame = self._source.read()
        if frame is None:
            return None
        self._last = replace(frame, segment=self._round + frame.segment)
        return self._last

    def close(self) -> None:
        self._closed = True
        self._source.close()
