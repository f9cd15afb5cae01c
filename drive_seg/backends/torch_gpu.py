"""Runs a stage's steps on a CUDA stream of their own between page-locked buffers, as a CUDA graph where they can be captured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drive_seg.backends.validation import one_line
from drive_seg.contracts import Array
from drive_seg.errors import BackendError

WARM_UP = 3  # runs before the capture: cuDNN searches for kernels and loads them, and cuBLAS takes its memory, which no capture may see


class GpuRun:
    """Copy in, the steps, copy out, one after the other on one stream. Called from one thread at a time, in inference mode."""

    def __init__(
        self,
        name: str,
        steps: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
        given: Mapping[str, Tensor],
        results: Mapping[str, Tensor],
        device: torch.device,
        graphs: bool | None,
        urgent: bool,
        cuda: Any = torch.cuda,
    ) -> None:
        """`given` and `results` are page-locked and keep their memory; `steps` makes what `results` names of what `given` names.

        `graphs` False: never captured; None: where it can be; True: always, or BackendError. `urgent` is the stream's priority. `name` is
        for messages.
        """
        self._name, self._steps, self._results, self._cuda = name, steps, results, cuda
        self._stream = cuda.Stream(device, priority=-1 if urgent else 0)
        self._stream.wait_stream(cuda.current_stream(device))  # on which the weights were copied
        self._graph: Any = None
        with cuda.stream(self._stream):
            # what the graph reads and writes has fixed addresses: these, and what it made of them when it was captured
            self._pairs = [(tensor, torch.zeros_like(tensor, device=device)) for tensor in given.values()]
            self._own = [tensor.numpy() for tensor in given.values()]
            self._there = {name: there for name, (_, there) in zip(given, self._pairs, strict=True)}
            for _ in range(WARM_UP):
                self._made = self._make()
        self._stream.synchronize()
        if graphs is not False:
            self._capture(must=bool(graphs))

    def _make(self) -> dict[str, Tensor]:
        """The results on the GPU, as they will leave it, so that each leaves by one copy."""
        made = self._steps(self._there)
        return {name: made[name].to(result.dtype).contiguous() for name, result in self._results.items()}

    def _capture(self, must: bool) -> None:
        graph = self._cuda.CUDAGraph()
        try:
            # another thread's stages may allocate meanwhile; it is this one alone that must not
            with self._cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                made = self._make()
        except RuntimeError as error:  # an operator that asks the CPU
            if must:
                raise BackendError(f"torch cannot capture {self._name} as a CUDA graph: {one_line(error)}") from error
            return
        self._graph, self._made = graph, made

    def __call__(self, arrays: Sequence[Array]) -> None:
        """Takes the inputs in the order of `given`; `results` hold what came of them when this returns."""
        for own, array in zip(self._own, arrays, strict=True):
            np.copyto(own, array)
        with self._cuda.stream(self._stream):
            for tensor, there in self._pairs:
                there.copy_(tensor, non_blocking=True)
            if self._graph is None:
                self._made = self._make()
            else:
                self._graph.replay()
            for name, result in self._results.items():
                result.copy_(self._made[name], non_blocking=True)
        self._stream.synchronize()

    def close(self) -> None:
        """Waits for what is under way, and lets go of the GPU's memory."""
        self._stream.synchronize()
        self._graph, self._made, self._there, self._pairs = None, {}, {}, []
