"""A stream whose server is not there yet: it is asked for again and again in a thread of its own, until it is."""

import threading

from drive_seg.contracts import Away, Source
from drive_seg.settings import Settings
from drive_seg.sources import open_source
from drive_seg.workers import Closed, Worker

LIMIT_S = 30.0  # longer than any attempt of ours


class Awaited:
    """Begins to ask at once. Of any thread; the source that comes is the caller's once it was taken."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.away: Away | None = None  # since when, and how often it was tried
        self._lock, self._closed = threading.Lock(), False
        self._source: Source | None = None
        self._worker = Worker("await source", self._run).start()

    @property
    def over(self) -> bool:
        """It came, or cannot come."""
        return self._worker.ended

    def take(self) -> Source:
        """What came. Raises SourceError where it cannot come."""
        self._worker.join()
        with self._lock:
            source, self._source = self._source, None
        assert source is not None
        return source

    def close(self) -> None:
        """Waits for it no longer; blocks until an attempt that is under way is over."""
        with self._lock:
            self._closed = True
            source, self._source = self._source, None
        if source:
            source.close()
        self._worker.wait(LIMIT_S)

    def _run(self) -> None:
        settings = self.settings
        source = open_source(settings.source, loop=settings.loop, give_up_s=settings.give_up, tell=self._tell)
        with self._lock:
            if not self._closed:
                self._source = source
                return
        source.close()

    def _tell(self, away: Away) -> None:
        if self._closed:
            raise Closed
        self.away = away
