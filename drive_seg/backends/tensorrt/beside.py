"""An engine that works beside the others, on a stream that goes after theirs: fed on the GPU, polled, never waited for."""

import math
from collections.abc import Mapping
from contextlib import ExitStack, suppress

import numpy as np

from drive_seg.backends.tensorrt.runtime import EngineRunner
from drive_seg.contracts import Tensors
from drive_seg.errors import BackendError


class TensorRtBeside:
    """A StageBeside (capabilities.py). Call it from the thread that runs its source stages, and close it before them.

    A start copies what it needs behind the source's last run, on the source's own stream: the next run of the source comes after that by
    itself, and this engine's stream waits for the copy's event. No host memory is touched, and nothing is waited for.
    """

    def __init__(self, runner: EngineRunner, sources: Mapping[str, EngineRunner]) -> None:
        """Takes `runner`, which has to be timed, over and closes it. `sources`: who puts out the tensor, for every input."""
        self.runner, self.inputs, self.outputs = runner, runner.inputs, runner.outputs
        self._under_way = False
        self._by_source: dict[EngineRunner, list[str]] = {}
        for tensor, source in sources.items():
            self._by_source.setdefault(source, []).append(tensor)
        self._sizes = {spec.name: math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in self.inputs}
        self._events = ExitStack()
        try:
            with self.runner.active():
                self._begun = self._event(timed=True)
                self._copied = {source: self._event() for source in self._by_source}
                self.runner.capture(())  # now: when it is started its stream has others to wait for
        except BaseException:
            self.close()
            raise

    def _event(self, timed: bool = False) -> int:
        event = self.runner.cuda.event(timed)
        self._events.callback(self.runner.cuda.destroy_event, event)
        return event

    def start(self) -> None:
        own = self.runner
        if self._under_way:
            raise BackendError(f"{own.name} is still under way; take what it makes first")
        with own.active():
            for source, tensors in self._by_source.items():
                if source.closed:
                    raise BackendError(f"{source.name}, which feeds {own.name}, is closed")
                for tensor in tensors:
                    own.cuda.copy(own.addresses[tensor], source.addresses[tensor], self._sizes[tensor], source.stream)
                own.cuda.record(self._copied[source], source.stream)
                own.cuda.wait_for(own.stream, self._copied[source])
            own.cuda.record(self._begun, own.stream)
            own.launch()
            self._under_way = True

    def take(self) -> tuple[Tensors, float] | None:
        own = self.runner
        with own.active():
            if not own.cuda.done(own.done):
                return None
            self._under_way = False
            return own.results, own.cuda.elapsed_ms(self._begun, own.done)

    def close(self) -> None:
        """From any thread, when neither this nor a source is called; idempotent."""
        self.runner.close(self._let_go)

    def _let_go(self) -> None:
        for source in self._by_source:
            if not source.closed:  # its stream may have a copy on the way to here
                with suppress(BackendError):
                    self.runner.cuda.synchronize(source.stream)
        self._events.close()
