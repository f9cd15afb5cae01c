"""Where and when the deep stages do their work: at once, beside the frames in a thread of their own, or a fixed number of frames later."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from drive_seg.capabilities import Beside
from drive_seg.contracts import Array, Backend, Deep, Key, Network, Span, StageName, Tensors
from drive_seg.errors import BackendError
from drive_seg.watchdog import Watched
from drive_seg.workers import Apart, Mailbox, Overflow, Worker

CLOSE_LIMIT_S = 5.0  # what still runs then is left alone


class Refresher(Protocol):
    """Makes keys of frames. All of it is called from the pipeline's thread."""

    @property
    def name(self) -> str:
        """As the user writes the mode."""

    @property
    def busy(self) -> bool:
        """No refresh can be started now but one that is waited for."""

    def fit(self) -> None:
        """Makes ready for the size that the network is fitted to; free while it stays the same. Raises BackendError."""

    def start(self, key: Key, low: Tensors, wait: bool) -> Key | None:
        """Starts computing the context of this key frame, which `key` lacks; returns the key if that is done already, else `collect` will.

        `wait`: it is done now, and what was under way is thrown away, because no key before this one is valid.
        """

    def collect(self, index: int) -> Key | None:
        """The newest key that is to be used from the frame `index` on. Raises what `high` failed with."""

    def close(self) -> None:
        """Idempotent; never waits for long."""


class Sync:
    """A key frame waits for its own `high`."""

    name, busy = "sync", False

    def __init__(self, network: Network) -> None:
        self._network = network

    def fit(self) -> None:
        pass

    def start(self, key: Key, low: Tensors, wait: bool) -> Key | None:
        return completed(key, low, self._network)

    def collect(self, index: int) -> Key | None:
        return None

    def close(self) -> None:
        pass


class Delayed:
    """A virtual clock: a key is used from `frames` frames after its own on, whatever `high` takes. The work is done just before that, and
    counts for no frame. At most `depth` refreshes are under way: 1 is an asynchronous worker, as many as `frames` a pipeline."""

    def __init__(self, network: Network, frames: int, depth: int, name: str) -> None:
        self.name = name
        self._network, self._frames, self._depth = network, frames, depth
        self._under_way: deque[tuple[Key, Tensors]] = deque()

    @property
    def busy(self) -> bool:
        return len(self._under_way) >= self._depth

    def fit(self) -> None:
        pass

    def start(self, key: Key, low: Tensors, wait: bool) -> Key | None:
        if wait:
            self._under_way.clear()
            return completed(key, low, self._network)
        self._under_way.append((key, copied(low, self._network)))
        return None

    def collect(self, index: int) -> Key | None:
        due = None
        while self._under_way and self._under_way[0][0].index + self._frames <= index:
            due = self._under_way.popleft()
        return completed(*due, self._network) if due else None

    def close(self) -> None:
        self._under_way.clear()


class Async:
    """`high` runs beside the frames, on a backend and in a thread of its own: one refresh at a time, from copies of what `low` put out."""

    name = "async"

    def __init__(self, network: Network, backend: Backend) -> None:
        """`backend` is used for `high` alone, and by several networks at most that take turns on it (engine.Engine.again)."""
        self._network, self.backend = network, backend
        self._deep: Deep | None = None
        self._fitted_hw = (0, 0)
        self._jobs: Mailbox[tuple[Key, Tensors, Deep]] = Mailbox(1, Overflow.WAIT)
        self._keys = keys = Mailbox[Key](1, Overflow.WAIT)
        self._under_way = self._in_vain = False
        self._apart = Apart()
        self._watched = Watched(lambda text: keys.close(hangs(network, text)))
        self._worker = Worker("high", self._work, on_error=self._keys.close).start()

    @property
    def busy(self) -> bool:
        return self._under_way

    def fit(self) -> None:
        if self._network.input_hw != self._fitted_hw:
            self._collect(None)
            if self._deep:
                self._deep.close()
            self._deep = self._network.copy_deep(self.backend)
            self._fitted_hw = self._network.input_hw

    def start(self, key: Key, low: Tensors, wait: bool) -> Key | None:
        if wait:
            self._in_vain = self._under_way
            return completed(key, low, self._network)
        assert self._deep is not None
        self._apart.first()
        self._under_way = True
        self._jobs.put((key, copied(low, self._network), self._deep))
        return None

    def collect(self, index: int) -> Key | None:
        return self._collect(0)

    def close(self) -> None:
        self._apart.release()
        self._jobs.discard()
        self._keys.discard()
        if self._worker.wait(0 if self._watched.hangs else CLOSE_LIMIT_S) and self._deep:  # what still runs must not lose its memory
            self._deep.close()
            self._deep = None

    def _collect(self, timeout_s: float | None) -> Key | None:
        """What was started, None while it is not done; without a limit it is waited for, however slow the machine."""
        if not self._under_way:
            return None
        try:
            key = self._keys.get(timeout_s)
        except TimeoutError:
            return None
        in_vain, self._under_way, self._in_vain = self._in_vain, False, False
        return None if in_vain else key

    def _work(self) -> None:
        self._apart.second()
        with self._watched as watched:
            for key, low, deep in self._jobs:
                watched.begin("high")
                made = completed(key, low, self._network, deep, track="high")
                watched.end()
                self._keys.put(made)


class Streamed:
    """`high` runs beside the frames where `low` does, on a stream of its own: one refresh at a time, started and polled by this thread."""

    name = "async"

    def __init__(self, network: Network, open_beside: Callable[[], Beside]) -> None:
        """`open_beside` is called whenever the network has been fitted to another size."""
        self._network, self._open = network, open_beside
        self._beside: Beside | None = None
        self._fitted_hw = (0, 0)
        self._under_way: tuple[Key, float] | None = None
        self._in_vain = False
        self._watched = Watched(lambda _: None)  # `collect` looks: where no frame comes, a refresh is not collected and no fault

    @property
    def busy(self) -> bool:
        return self._under_way is not None

    def fit(self) -> None:
        if self._network.input_hw != self._fitted_hw:
            self.close()
            self._beside = self._open()
            self._watched.watch()
            self._fitted_hw = self._network.input_hw

    def start(self, key: Key, low: Tensors, wait: bool) -> Key | None:
        if wait:
            self._in_vain = self.busy
            return completed(key, low, self._network)
        assert self._beside is not None
        self._under_way = key, time.perf_counter()
        self._watched.begin("high")
        self._beside.start()  # from what `low` has just put out, which is still where it runs
        return None

    def collect(self, index: int) -> Key | None:
        if self._under_way is None or self._beside is None:
            return None
        if (taken := self._beside.take()) is None:
            if text := self._watched.hangs:
                raise hangs(self._network, text)
            return None
        self._watched.end()
        (key, start_s), (made, took) = self._under_way, taken
        in_vain, self._under_way, self._in_vain = self._in_vain, None, False
        if in_vain:
            return None
        spans = list[Span]()
        for stage, ms in took.items():
            spans.append(Span(stage, start_s, ms, "high"))
            start_s += ms / 1e3
        return replace(key, context=_context(made, self._network), spans=tuple(spans))

    def close(self) -> None:
        if self._beside:
            self._watched.leave()
            self._beside.close()
        self._beside, self._fitted_hw, self._under_way, self._in_vain = None, (0, 0), None, False


def hangs(network: Network, text: str) -> BackendError:
    """What is told of a stage that does not return."""
    return BackendError(f"{network.name} on {network.backend.name}: {text}; choose another backend or model")


def completed(
    key: Key, low: Tensors, network: Network, deep: Deep | None = None, stages: Sequence[StageName] = (), track: str = "pipeline"
) -> Key:
    """The key with its context, or with what some of the stages make of it; `deep`: whose they are, unless they are the network's own."""
    made, spans = dict[str, Array](), list[Span]()
    for stage in stages or network.cached:
        start_s = time.perf_counter()
        made |= (deep or network.deep)(stage, {**low, **made})
        spans.append(Span(stage, start_s, (time.perf_counter() - start_s) * 1e3, track))
    return replace(key, context=_context(made, network), spans=tuple(spans))


def _context(made: Tensors, network: Network) -> Tensors:
    return {name: made[name] for name in made if name in network.deep_gives}


def renewed(key: Key, bare: Key, low: Tensors, network: Network) -> Key:
    """The key with what `mid` makes of a later frame, whose key is `bare`, in the place of what it made before."""
    newer = completed(replace(bare, own={}), low, network, stages=("mid",))
    return replace(key, context={name: tensor for name, tensor in key.context.items() if name not in newer.context}, newer=newer)


def copied(low: Tensors, network: Network) -> Tensors:
    """What the deep stages will read when `low` has long put out something else."""
    return {name: np.array(low[name]) for name in network.deep_takes}
