"""Several cameras in one run: their frames go one after the other through one network, the camera that waited longest first."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from drive_seg.contracts import Frame, Result
from drive_seg.session.figures import percentiles
from drive_seg.session.session import Session, play
from drive_seg.sources.capture import CLOSE_LIMIT_S, Capture
from drive_seg.workers import Closed, Worker

SHARED = ("model", "backend", "precision", "device", "schedule", "mode", "propagation")


class Cameras:
    """A session each, by the numbers that the cameras were given in; one is as good as several. Used by one thread.

    A camera that fails is over, and the others go on; `errors` has why.
    """

    def __init__(self, sessions: Sequence[Session], arrived: threading.Condition) -> None:
        """Each session has a capture, all of which tell `arrived` of what they have."""
        self.sessions, self.captures = tuple(sessions), tuple(_capture(session) for session in sessions)
        self.errors: dict[int, Exception] = {}  # by the camera's number
        self.failed: Callable[[int, Exception], None] = lambda at, error: None  # told of each
        self._arrived, self._closing = arrived, dict[int, Worker]()
        self._began_s = self._ended_s = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(capture.source.info.name for capture in self.captures)

    @property
    def labels(self) -> tuple[str, ...]:
        """What stands before a line that is about a camera; nothing where there is one alone."""
        return tuple(f"[{at}] " * (len(self.sessions) > 1) for at in range(len(self.sessions)))

    def run(self) -> None:
        """Until all are over. Raises what nobody lives on with; a camera's own failure only where it has no others beside it."""
        for _ in self.results():
            pass

    def results(self) -> Iterator[tuple[int, Result]]:
        """The same, handing out each frame's camera and result."""
        numbers = {id(session): at for at, session in enumerate(self.sessions)}
        self._began_s = time.perf_counter()
        try:
            for session, result, _ in play(self.sessions, self._turns()):
                self._ended_s = time.perf_counter()
                yield numbers[id(session)], result
        finally:
            self._ended_s = self._ended_s or self._began_s

    def _turns(self) -> Iterator[tuple[Session, Frame]]:
        """The newest frame of a camera that has one, of that which was served longest ago: a frame that is there waits for at most one of
        each other camera."""
        waiting = list(range(len(self.sessions)))
        while waiting:
            with self._arrived:
                self._arrived.wait_for(lambda: any(self.captures[at].ready for at in waiting))
            at = next(at for at in waiting if self.captures[at].ready)
            waiting.remove(at)
            session = self.sessions[at]
            try:
                frame = self.captures[at].next(0.0)
            except Closed:
                session.over = True
            except Exception as error:
                if len(self.sessions) == 1:
                    raise
                session.over, self.errors[at] = True, error
                self.failed(at, error)
            else:
                if frame:
                    yield session, frame
            if session.over:
                self._end(at)
                session.finish()
            else:
                waiting.append(at)

    def close(self) -> None:
        """Ends the frames of all, as if they were over; returns at once. Of any thread."""
        for at in range(len(self.captures)):
            self._end(at)

    def wait(self) -> None:
        """Until the captures of those that are over are closed."""
        for worker in tuple(self._closing.values()):
            worker.wait(CLOSE_LIMIT_S)

    def _end(self, at: int) -> None:
        """In a thread of its own: a read that is under way may hold it up, and nobody else."""
        if at not in self._closing:
            self._closing[at] = Worker(f"close camera {at}", self.captures[at].close).start()

    def salvage(self, limit_s: float) -> None:
        """As Session.salvage, for all of them together."""
        workers = [Worker(f"salvage {at}", lambda one=one: one.salvage(limit_s)).start() for at, one in enumerate(self.sessions)]  # type: ignore[misc]
        for worker in workers:
            worker.wait(limit_s)

    def summary(self) -> dict[str, object]:
        """Of one camera its session's. Of several what they share, all frames together and their rate, and the cameras' one by one."""
        if len(self.sessions) == 1:
            return self.sessions[0].summary()
        each = [session.summary() for session in self.sessions]
        frames, seconds = sum(session.count for session in self.sessions), self._ended_s - self._began_s
        total_ms = [ms for session in self.sessions for ms in session.latencies.values("total")]
        keys = sum(session.latencies.keys for session in self.sessions)
        cameras = [
            {"camera": at, "source": name, **one, "error": str(self.errors[at]) if at in self.errors else None}
            for at, (name, one) in enumerate(zip(self.names, each, strict=True))
        ]
        return {
            **{name: each[0][name] for name in SHARED},
            "frames": frames,
            "fps": frames / seconds if frames and seconds > 0 else None,
            "key_frame_rate": keys / frames if frames else None,
            "dropped": sum(session.latencies.dropped for session in self.sessions),
            "latency_ms": {"total": percentiles(total_ms)},
            "cameras": cameras,
        }


def _capture(session: Session) -> Capture:
    assert session.capture is not None
    return session.capture
