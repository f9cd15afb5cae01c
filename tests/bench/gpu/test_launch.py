"""What a GPU takes for nothing is measured in the right order, and left as it was found."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from drive_seg.backends.tensorrt.cuda import find_gpu
from drive_seg.bench.gpu import launch as gpulaunch
from drive_seg.bench.gpu.check import run_apart
from drive_seg.bench.gpu.load import PEAKS, load_stages, sum_events
from drive_seg.errors import BackendError
from drive_seg.network.card import load_bundle
from tests.backends.tensorrt.fake_cuda import FakeCuda


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpulaunch, "RUNS", 20)
    monkeypatch.setattr(gpulaunch, "WARM_UP", 2)


def test_every_launch_is_timed_and_nothing_is_left_on_the_gpu() -> None:
    cuda, ran = FakeCuda(), list[int]()
    found = gpulaunch.launch_times(cuda, lambda stream: cuda.give(stream, lambda: ran.append(1)), 64)
    assert set(found) == {"kernel_and_wait", "kernel_after_kernel", "graph_and_wait", "kernel_in_graph", "upload_and_wait", "upload_bytes"}
    assert found["graph_and_wait"] > 0
    assert found["upload_bytes"] == 64
    assert len(ran) == 22 + 22 + (4 + 22) * gpulaunch.MANY  # alone and in a graph; in rows and in a graph of many
    assert not cuda.alive


def test_a_layer_without_graphs_is_named_with_the_one_that_has_them() -> None:
    with pytest.raises(BackendError, match=r"fake has no CUDA graphs; pip install cuda-bindings"):
        gpulaunch.launch_times(FakeCuda(captures=False), lambda stream: None, 64)


class Driver:
    """As much of cuda.bindings.driver as the empty kernel needs."""

    def __init__(self, refuses: str = "") -> None:
        self.refuses, self.launched = refuses, list[Any]()

    def _answer(self, call: str, *results: Any) -> tuple[Any, ...]:
        class Status(int):
            name = "CUDA_ERROR_INVALID_PTX" if call == self.refuses else "CUDA_SUCCESS"

        return (Status(call == self.refuses), *results)

    def cuModuleLoadData(self, image: bytes) -> tuple[Any, ...]:
        assert image.endswith(b"\0")  # the driver looks for its end
        return self._answer("cuModuleLoadData", "module")

    def cuModuleGetFunction(self, module: str, name: bytes) -> tuple[Any, ...]:
        assert b".entry " + name in gpulaunch.EMPTY
        return self._answer("cuModuleGetFunction", "kernel")

    def cuLaunchKernel(self, *arguments: Any) -> tuple[Any, ...]:
        self.launched.append(arguments)
        return self._answer("cuLaunchKernel")


def test_the_empty_kernel_is_one_thread_on_the_stream_that_it_is_given() -> None:
    driver = Driver()
    gpulaunch.empty_kernel(driver)(7)
    assert driver.launched == [("kernel", 1, 1, 1, 1, 1, 1, 0, 7, 0, 0)]
    with pytest.raises(BackendError, match=r"cannot be run \(cuModuleLoadData: CUDA_ERROR_INVALID_PTX\)"):
        gpulaunch.empty_kernel(Driver(refuses="cuModuleLoadData"))


def test_its_process_says_why_it_could_not(tmp_path: Path) -> None:
    try:
        find_gpu()
        pytest.skip("there is a GPU here")
    except BackendError:
        pass
    made = tmp_path / "made.json"
    found = run_apart([sys.executable, "-m", "drive_seg.bench.gpu.launch", str(made), "64"], made)
    assert found == json.loads(made.read_text())
    assert "NVIDIA driver" in found["not_measured"]


def test_copies_are_no_kernels_and_all_is_told_for_one_frame() -> None:
    seen = [("Memcpy HtoD (Pinned -> Device)", 20.0), ("sm90_conv", 100.0), ("relu", 40.0), ("Memcpy DtoH (Device -> Pinned)", 10.0)] * 4
    assert sum_events(seen, 4) == {
        "by": "torch's profiler (CUPTI)", "kernels": 2.0, "copies": 2.0, "busy_ms": 0.14, "copies_ms": 0.03,
    }  # fmt: skip
    with pytest.raises(BackendError, match="the profiler saw no kernel"):
        sum_events([("Memcpy HtoD", 1.0)], 1)


def test_every_gpu_that_is_known_has_its_source_and_is_faster_in_smaller_types() -> None:
    for name, peaks in PEAKS.items():
        assert name == name.strip()
        assert peaks.source
        assert peaks.tflops["fp32"] < peaks.tflops["fp16"] < peaks.tflops["int8"]
        assert peaks.gb_per_s > 100


@pytest.mark.tensorrt
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_batch_of_frames_compiles_stage_by_stage(tmp_path: Path, precision: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    from drive_seg.backends.tensorrt.ahead import AheadOfTime, local_provider
    from drive_seg.backends.tensorrt.store import Store

    made = AheadOfTime(precision, lambda line: None, provider=local_provider(Store(tmp_path / "store")))
    loaded = load_stages(load_bundle("camvid"), made, 2, tmp_path)
    assert {entry.about.precision for entry in made.entries} == {precision}
    (labels,) = loaded["head"].outputs
    assert labels.shape == (2, 180, 240)
