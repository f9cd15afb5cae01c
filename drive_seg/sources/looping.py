"""Plays a source again and again: the one place where `--loop` lives."""

from collections.abc import Callable
from dataclasses import replace
from typing import Self

from drive_seg.contracts import Frame, Source, SourceInfo


class Looping:
    """Reopens the source at its end. Index and time go on growing over the rounds; `take` grows by one with each."""

    def __init__(self, first: Source, reopen: Callable[[], Source]) -> None:
        self._source, self._reopen = first, reopen
        self.info: SourceInfo = replace(first.info, frame_count=None)
        self.round_frames = first.info.frame_count  # None where that is not known, or there is no end
        self._round = 0
        self._from_index, self._from_s = 0, 0.0  # where this round began
        self._last: Frame | None = None
        self._closed = False

    @property
    def note(self) -> str:
        """What the source has to say of what it gave in this round."""
        return str(getattr(self._source, "note", ""))

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is None and self._last is not None and not self._closed:
            self._rewind(self._last)
            frame = self._source.read()
        if frame is None:
            return None
        self._last = replace(
            frame, index=self._from_index + frame.index, time_s=self._from_s + frame.time_s, segment=self._round + frame.segment
        )
        return self._last

    def _rewind(self, last: Frame) -> None:
        self._source.close()
        self._source = self._reopen()
        self._round = last.segment + 1
        self._from_index, self._from_s = last.index + 1, last.time_s + 1 / self.info.fps

    def close(self) -> None:
        self._closed = True
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
