"""What a GPU takes for nothing: launching an empty kernel, an empty graph, and copying a frame in; the floor under every latency.

Run as a process: `python -m drive_seg.bench.gpu.launch OUT.json BYTES`.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from drive_seg.backends.tensorrt.adapters import open_cuda
from drive_seg.backends.tensorrt.cuda import Cuda, find_gpu
from drive_seg.bench.gpu.load import tried
from drive_seg.errors import BackendError
from drive_seg.files import write

RUNS, WARM_UP = 2000, 200
MANY = 100  # kernels in the greater of two graphs
# The driver compiles it for the GPU that is there; 7.5 is the oldest that CUDA 13 knows.
EMPTY = b".version 6.3\n.target sm_75\n.address_size 64\n.visible .entry nothing()\n{\n    ret;\n}\n\0"


def launch_times(cuda: Cuda, launch_empty: Callable[[int], None], frame_bytes: int) -> dict[str, float]:
    """In microseconds: medians of RUNS, from the CPU's clock, and what one more kernel adds where there are many.

    `launch_empty` gives a stream an empty kernel. Raises BackendError, also where the CUDA layer has no graphs.
    """
    if not cuda.captures:
        raise BackendError(f"{cuda.name} has no CUDA graphs; pip install cuda-bindings")
    with cuda.current():
        stream, event, here = cuda.stream(True), cuda.event(), cuda.pinned((frame_bytes,), "uint8")
        there = cuda.allocate(frame_bytes)
        graphs = [_graph(cuda, stream, launch_empty, count) for count in (1, MANY)]

        def wait() -> None:
            cuda.record(event, stream)
            cuda.wait(event)

        def many() -> None:
            for _ in range(MANY):
                launch_empty(stream)

        one = _median_us(lambda: launch_empty(stream), wait, RUNS)
        row = _median_us(many, wait, RUNS // 10)
        graph = _median_us(lambda: cuda.launch(graphs[0], stream), wait, RUNS)
        long = _median_us(lambda: cuda.launch(graphs[1], stream), wait, RUNS)
        upload = _median_us(lambda: cuda.upload(there, here, stream), wait, RUNS)
        for made in graphs:
            cuda.destroy_graph(made)
        cuda.free(there)
        cuda.unpin(here)
        cuda.destroy_event(event)
        cuda.destroy_stream(stream)
    return {
        "kernel_and_wait": one,
        "kernel_after_kernel": (row - one) / (MANY - 1),
        "graph_and_wait": graph,
        "kernel_in_graph": (long - graph) / (MANY - 1),
        "upload_and_wait": upload,
        "upload_bytes": frame_bytes,
    }


def _graph(cuda: Cuda, stream: int, launch_empty: Callable[[int], None], count: int) -> int:
    cuda.begin_capture(stream)
    for _ in range(count):
        launch_empty(stream)
    return cuda.end_capture(stream)


def _median_us(work: Callable[[], Any], wait: Callable[[], None], runs: int) -> float:
    spans = []
    for _ in range(WARM_UP + runs):
        start_s = time.perf_counter()
        work()
        wait()
        spans.append(time.perf_counter() - start_s)
    return float(np.median(spans[WARM_UP:]) * 1e6)


def empty_kernel(driver: Any) -> Callable[[int], None]:
    """Loads it by `driver`, cuda.bindings.driver, with a context current. Raises BackendError."""

    def do(call: str, *arguments: Any) -> Any:
        status, *results = getattr(driver, call)(*arguments)
        if int(status):
            raise BackendError(f"CUDA: the empty kernel cannot be run ({call}: {status.name})")
        return results[0] if results else None

    kernel = do("cuModuleGetFunction", do("cuModuleLoadData", EMPTY), b"nothing")
    return lambda stream: do("cuLaunchKernel", kernel, 1, 1, 1, 1, 1, 1, 0, stream, 0, 0)


def measure(frame_bytes: int) -> dict[str, Any]:
    """`launch_times` on the first GPU. Raises BackendError."""
    cuda = open_cuda(find_gpu().ordinal)
    if not cuda.captures:
        raise BackendError(f"{cuda.name} has no CUDA graphs; pip install cuda-bindings")
    with cuda.current():
        launch_empty = empty_kernel(import_module("cuda.bindings.driver"))
    found = launch_times(cuda, launch_empty, frame_bytes)
    cuda.close()
    return {"unit": "us", "runs": RUNS, **{name: round(value, 2) for name, value in found.items()}}


def _main(made: str, frame_bytes: str) -> None:
    write(Path(made), json.dumps(tried(lambda: measure(int(frame_bytes)))), overwrite=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
