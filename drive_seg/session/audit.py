"""How far labels with an old context are from those of the full network, measured in spare time on frames without true labels."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from drive_seg.contracts import Network, Result
from drive_seg.errors import BackendError
from drive_seg.network.pipeline import Pipeline, Refine
from drive_seg.network.schedule import EveryFrame
from drive_seg.network.score import differing
from drive_seg.session.observer import Observer
from drive_seg.workers import Mailbox, Overflow, Worker

CLOSE_LIMIT_S = 60.0  # longer than the full network takes on a machine that is busy
LATELY = 60  # frames: the ages among them are audited equally often


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of all audited frames of one age."""

    age: int  # frames
    frames: int
    share: float  # 0..1, of label pixels that the full network labels alike; the mean over the frames


class Auditor(Observer):
    """Labels some frames with every stage run, on a network and in a thread of its own, and compares. Takes a frame only when idle."""

    def __init__(self, open_network: Callable[[], Network], frame_hw: tuple[int, int], refine: Refine | None = None) -> None:
        """`open_network` is called, and what it returns fitted, used and closed, in the thread. `refine`: as the audited labels were."""
        self._open_network, self._frame_hw, self._refine = open_network, frame_hw, refine
        self._jobs: Mailbox[Result] = Mailbox(1, Overflow.WAIT)
        self._idle = threading.Event()
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._sums: dict[int, tuple[int, float]] = {}  # by age: frames, and the sum of their shares
        self._ages: deque[int] = deque(maxlen=LATELY)  # of the frames offered
        self._worker = Worker("audit", self._work, on_error=self._fail).start()

    def wait(self, timeout_s: float) -> None:
        """Returns once it is open, or the time is over. Raises what broke it."""
        self._idle.wait(timeout_s)
        self._check()

    def on_result(self, result: Result, comparison: Result | None = None) -> None:
        """Never waits: leaves the frame alone while another is audited, or its age has had more than its share. Raises what broke it."""
        self._check()
        self._ages.append(result.age_frames)
        if self._idle.is_set() and self._wants(result.age_frames):
            self._idle.clear()
            self._jobs.put(result)

    def agreement(self) -> tuple[Agreement, ...]:
        """By age. Of any thread."""
        with self._lock:
            return tuple(Agreement(age, frames, total / frames) for age, (frames, total) in sorted(self._sums.items()))

    def close(self) -> None:
        """Lets the frame under way end; idempotent. Does not raise."""
        self._jobs.close()
        self._worker.wait(CLOSE_LIMIT_S)

    def _wants(self, age: int) -> bool:
        """A clock of N frames and an audit of as many would otherwise meet at the same age for ever."""
        with self._lock:
            taken = {known: self._sums.get(known, (0, 0.0))[0] for known in set(self._ages)}
        return taken[age] * len(taken) <= sum(taken.values())

    def _work(self) -> None:
        with self._open_network() as network:
            pipeline = Pipeline(network, EveryFrame(), refine=self._refine)
            pipeline.fit(self._frame_hw)
            self._idle.set()
            for result in self._jobs:
                full = pipeline.step(result.frame)
                share = 1.0 - differing(full.labels, result.labels)
                with self._lock:
                    frames, total = self._sums.get(result.age_frames, (0, 0.0))
                    self._sums[result.age_frames] = frames + 1, total + share
                self._idle.set()

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self._idle.set()

    def _check(self) -> None:
        if isinstance(self._error, Exception):
            raise BackendError(f"the audit ended: {self._error}") from self._error
