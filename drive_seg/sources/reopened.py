"""A live source that is opened again when it fails or hangs: one camera of several, for which the others do not wait."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from drive_seg.contracts import Away, Closing, Frame, Source, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sources.capture import LIVE_LIMIT_S, Reconnecting
from drive_seg.sources.stream import RECONNECT_DELAYS_S as DELAYS_S
from drive_seg.watchdog import Aside


class Reopened(Closing):
    """Index and time go on across a failure; `segment` grows. What connects again by itself is left to do so.

    It is tried for `give_up_s`, None for as long as it takes; then `read` raises SourceError. A read that hangs is left to its own thread.
    """

    def __init__(
        self,
        name: str,
        reopen: Callable[[], Source],
        first: Source | None,
        give_up_s: float | None = None,
        limit_s: float = LIVE_LIMIT_S,
    ) -> None:
        """`first`: it is open already; None: it is not there yet. What `reopen` gives is closed here."""
        self.info = first.info if first else SourceInfo(name, (0, 0), 30.0, live=True)
        self._name, self._reopen, self._give_up_s, self._limit_s = name, reopen, give_up_s, limit_s
        self._source: Source | None = first
        self._aside = None if first is None else self._reader()
        self._interrupted = threading.Event()
        self._state, self._why = "opening", "it was never there"
        self._began_s, self._offset_s, self._time_s = time.monotonic(), 0.0, 0.0
        self._index = self._segment = self._last_segment = self._breaks = 0
        self._away: Away | None = None
        self._lost_s = self._began_s  # since when it is away, where it is

    @property
    def state(self) -> str:
        """`opening` until the first frame, then `playing` or `reconnecting`. May be read from any thread."""
        return source.state if (source := self._source) and isinstance(source, Reconnecting) else self._state

    @property
    def away(self) -> Away | None:
        """While it is reconnecting. May be read from any thread."""
        return source.away if (source := self._source) and isinstance(source, Reconnecting) else self._away

    @property
    def note(self) -> str:
        """How often it was lost, in one line; empty for never."""
        own = str(getattr(self._source, "note", ""))
        return f"{self._name}: lost {self._breaks} time{'s' * (self._breaks > 1)}; check its cable" if self._breaks else own

    def interrupt(self) -> None:
        """From any thread: a `read` that waits for it to come back returns None, as do all later ones."""
        self._interrupted.set()
        if (source := self._source) and isinstance(source, Reconnecting):
            source.interrupt()

    def read(self) -> Frame | None:
        while not self._interrupted.is_set():
            if (source := self._source) is None:
                self._try_again()
            elif isinstance(source, Reconnecting):  # which bounds its waits itself
                return self._passed(source.read())
            else:
                assert self._aside is not None
                try:
                    return self._passed(self._aside(lambda source=source: self._read(source), "reading a frame"))  # type: ignore[misc]
                except SourceError as error:
                    self._lose(str(error))
        return None

    def _read(self, source: Source) -> Frame | None:
        """In its own thread."""
        try:
            return source.read()
        finally:
            if self._source is not source:  # it hung, and came back when nobody waited any more
                source.close()

    def _passed(self, frame: Frame | None) -> Frame | None:
        if frame is None:
            return None
        self._state, self._away = "playing", None
        self._last_segment = self._segment + frame.segment
        self._index, self._time_s = self._index + 1, self._offset_s + frame.time_s
        return replace(frame, index=self._index - 1, time_s=self._time_s, segment=self._last_segment)

    def _reader(self) -> Aside:
        return Aside(f"read {self._name}", lambda text: SourceError(f"{self._name}: {text}"), self._limit_s)

    def _lose(self, why: str) -> None:
        self._why, self._breaks, self._lost_s, self._segment = why, self._breaks + 1, time.monotonic(), self._last_segment + 1
        self._let_go()

    def _let_go(self) -> None:
        source, aside, self._source, self._aside = self._source, self._aside, None, None
        if aside:
            aside.leave()
        if source and not (aside and aside.hangs):
            with suppress(SourceError):
                source.close()

    def _try_again(self) -> None:
        """One attempt, after its wait."""
        self._state, self._away = "reconnecting", self._away or Away(self._name, time.time(), 0)
        delay_s = DELAYS_S[min(self._away.tries, len(DELAYS_S) - 1)]
        if self._give_up_s is not None and time.monotonic() + delay_s - self._lost_s > self._give_up_s:
            raise SourceError(f"{self._name}: lost, and opened again in vain {self._away.tries} times; {self._why}")
        if self._interrupted.wait(delay_s):
            return
        self._away = replace(self._away, tries=self._away.tries + 1)
        try:
            self._source = self._reopen()
        except SourceError as error:
            self._why = str(error)
            return
        self.info, self._aside = self._source.info, self._reader()
        self._offset_s = max(time.monotonic() - self._began_s, self._time_s)

    def close(self) -> None:
        """Idempotent."""
        self.interrupt()
        self._let_go()
