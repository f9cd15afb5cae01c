"""The torch backend on CUDA: what is captured, what is replayed, and what is left in eager mode, on a layer that fakes the GPU."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from drive_seg.backends import open_backend
from drive_seg.errors import BackendError

from .graphs import noise_image, segmentation_net

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from drive_seg.backends.torch_gpu import WARM_UP, GpuRun  # noqa: E402  (needs torch)

Steps = Callable[[Mapping[str, "torch.Tensor"]], dict[str, "torch.Tensor"]]


class FakeStream:
    waited = False

    def wait_stream(self, other: object) -> None:
        self.waited = True

    def synchronize(self) -> None:
        pass


class FakeGraph:
    """What was captured does nothing until it is replayed, and then always on the same memory."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def replay(self) -> None:
        for work in self.work:
            work()


class FakeCuda:
    """As much of torch.cuda as GpuRun uses; the tensors are the CPU's."""

    CUDAGraph = FakeGraph

    def __init__(self) -> None:
        self.streams: list[FakeStream] = []
        self.priorities: list[int] = []
        self.capturing: FakeGraph | None = None
        self.inside: FakeStream | None = None

    def Stream(self, device: object, priority: int) -> FakeStream:
        self.streams.append(FakeStream())
        self.priorities.append(priority)
        return self.streams[-1]

    def current_stream(self, device: object) -> object:
        return object()

    @contextmanager
    def stream(self, stream: FakeStream) -> Iterator[None]:
        assert stream.waited, "work is given before the weights are there"
        self.inside = stream
        yield
        self.inside = None

    @contextmanager
    def graph(self, graph: FakeGraph, stream: FakeStream, capture_error_mode: str) -> Iterator[None]:
        assert (stream, capture_error_mode) == (self.streams[0], "thread_local")
        self.capturing = graph
        try:
            with self.stream(stream):
                yield
        finally:
            self.capturing = None


def doubling(cuda: FakeCuda, refuses: bool = False) -> tuple[Steps, list[int]]:
    """Steps that double their input as a GPU would: at once, or, while a graph is captured, not before its replay."""
    at_once: list[int] = []

    def steps(there: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
        x = there["x"]
        assert cuda.inside is cuda.streams[0]
        if cuda.capturing is None:
            at_once.append(1)
            return {"y": x * 2}
        if refuses:
            raise RuntimeError("operation not permitted when stream is capturing")
        assert len(at_once) == WARM_UP, "a capture sees the first runs, which load kernels"
        made = torch.full_like(x, float("nan"))

        def work() -> None:
            made.copy_(x * 2)

        cuda.capturing.work.append(work)
        return {"y": made}

    return steps, at_once


def opened(cuda: FakeCuda, steps: Steps, graphs: bool | None, urgent: bool = True) -> tuple[GpuRun, "torch.Tensor"]:
    given, results = {"x": torch.zeros(1, 3)}, {"y": torch.zeros(1, 3)}
    return GpuRun("low", steps, given, results, torch.device("cpu"), graphs, urgent, cuda), results["y"]


@pytest.mark.parametrize("graphs", [None, True])
def test_a_captured_stage_is_replayed_on_new_inputs_and_computes_nothing_itself(graphs: bool | None) -> None:
    cuda = FakeCuda()
    steps, at_once = doubling(cuda)
    run, result = opened(cuda, steps, graphs)
    for factor in (1, 5):
        run([np.full((1, 3), factor, np.float32)])
        assert result.tolist() == [[2 * factor] * 3]
    assert len(at_once) == WARM_UP
    run.close()


def test_without_graphs_every_call_computes() -> None:
    cuda = FakeCuda()
    steps, at_once = doubling(cuda)
    run, result = opened(cuda, steps, graphs=False)
    run([np.ones((1, 3), np.float32)])
    assert result.tolist() == [[2.0] * 3]
    assert len(at_once) == WARM_UP + 1


def test_what_cannot_be_captured_runs_without_unless_the_graph_was_asked_for() -> None:
    cuda = FakeCuda()
    steps, _ = doubling(cuda, refuses=True)
    run, result = opened(cuda, steps, graphs=None)
    run([np.full((1, 3), 4, np.float32)])
    assert result.tolist() == [[8.0] * 3]
    cuda = FakeCuda()
    with pytest.raises(BackendError, match="cannot capture low as a CUDA graph: operation not permitted"):
        opened(cuda, doubling(cuda, refuses=True)[0], graphs=True)


def test_urgent_stages_get_the_stream_that_goes_first() -> None:
    priorities = {}
    for urgent in (True, False):
        cuda = FakeCuda()
        opened(cuda, lambda there: {"y": there["x"]}, graphs=False, urgent=urgent)
        (priorities[urgent],) = cuda.priorities
    assert priorities[True] < priorities[False]  # the lower number goes first


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_refused_by_name() -> None:
    with pytest.raises(BackendError, match="no device 'cuda' here; it has cpu"):
        open_backend("torch", device="cuda", precision=None, threads=None)


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_network_on_a_gpu_gives_the_labels_of_the_cpu(tmp_path: Path, precision: str, graphs: bool) -> None:
    from drive_seg.backends.torch import TorchBackend

    path, images = segmentation_net(tmp_path / "net.onnx"), [noise_image(120, 160, seed=seed) for seed in (1, 2)]
    stage = TorchBackend("cuda", precision, None, graphs=graphs).load(path, {"image": images[0].shape})
    exact = TorchBackend("cpu", "fp32", 1).load(path, {"image": images[0].shape})
    for image in [*images, *images]:
        assert np.mean(stage({"image": image})["labels"] == exact({"image": image})["labels"]) >= 0.97
    stage.close()


def test_a_stage_is_one_graph_to_torchs_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch.compile makes of it on a GPU is not seen here: only that its tracer breaks nowhere and changes nothing."""
    from drive_seg.backends import torch as backend

    real, modes = torch.compile, list[str]()

    def traced(steps: Steps, mode: str, **options: object) -> Steps:
        modes.append(mode)
        compiled: Steps = real(steps, backend="eager", **options)
        return compiled

    monkeypatch.setattr(torch, "compile", traced)
    path, image = segmentation_net(tmp_path / "net.onnx"), noise_image(64, 96)
    stage = backend.TorchBackend("cpu", "fp32", 1).load(path, {"image": image.shape})
    with torch.inference_mode():
        found = backend.compile_steps(stage._run)({"image": torch.from_numpy(image)})
    assert np.array_equal(found["labels"].numpy(), stage({"image": image})["labels"])
    assert modes == ["max-autotune-no-cudagraphs"]  # the CUDA graph is GpuRun's
