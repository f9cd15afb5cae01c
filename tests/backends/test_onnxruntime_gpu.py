"""ONNX Runtime's GPU providers, faked on the CPU: which one is asked for, which one really runs, and in which types."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_seg.backends import describe_backend, open_backend
from drive_seg.errors import BackendError, UsageError

from .graphs import noise_image, segmentation_net

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
SHAPE = {"image": (1, 120, 160, 3)}


class Machine:
    """Its wheel has all providers; of those, `starts` really start, and the CPU computes for all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, starts: Sequence[str]) -> None:
        self.asked: list[tuple[Any, dict[str, Any]]] = []
        real, machine = onnxruntime.InferenceSession, self

        class Session:
            def __init__(self, model: Any, options: Any, providers: list[tuple[str, dict[str, str]]]) -> None:
                machine.asked.append((model, dict(providers)))
                self._real, self._ran = real(model, options, providers=[CPU]), [name for name, _ in providers if name in (*starts, CPU)]

            def get_providers(self) -> list[str]:
                return self._ran

            def __getattr__(self, name: str) -> Any:
                return getattr(self._real, name)

        monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)


@pytest.fixture
def net(tmp_path: Path) -> str:
    return segmentation_net(tmp_path / "net.onnx", cast_first=True)


def types_of(model: bytes) -> set[int]:
    return {tensor.data_type for tensor in onnx.load_from_string(model).graph.initializer}


@pytest.mark.parametrize(
    ("device", "precision", "first", "runs"),
    [
        ("cuda", None, CUDA, "fp32"),
        ("cuda", "fp16", CUDA, "fp16"),
        ("tensorrt", None, TENSORRT, "fp16"),
        ("tensorrt", "int8", TENSORRT, "fp16"),
    ],
)
def test_the_provider_that_was_asked_for_runs_and_is_named(
    monkeypatch: pytest.MonkeyPatch, net: str, device: str, precision: str | None, first: str, runs: str
) -> None:
    machine = Machine(monkeypatch, [CUDA, TENSORRT])
    backend = open_backend("onnxruntime", device=device, precision=precision, threads=1)
    assert backend.device == f"GPU 0 ({first})"
    image = noise_image(120, 160)
    labels = backend.load(net, SHAPE)({"image": image})["labels"].copy()
    assert backend.precision == runs  # the net has no int8
    monkeypatch.undo()
    exact = open_backend("onnxruntime", device="cpu", precision="fp32", threads=1).load(net, SHAPE)({"image": image})["labels"]
    assert np.mean(labels == exact) >= 0.97
    model, providers = machine.asked[-1]
    assert next(iter(providers)) == first
    assert providers[CUDA] == {"use_tf32": "0"}
    if runs == "fp16":
        assert onnx.TensorProto.FLOAT16 in types_of(model)


@pytest.mark.parametrize(("device", "starts"), [("cuda", []), ("tensorrt", [CUDA])])
def test_a_provider_that_does_not_start_is_no_silent_fallback(
    monkeypatch: pytest.MonkeyPatch, net: str, device: str, starts: list[str]
) -> None:
    Machine(monkeypatch, starts)
    backend = open_backend("onnxruntime", device=device, precision=None, threads=1)
    with pytest.raises(BackendError, match=rf"would run net\.onnx by {(starts or [CPU])[0]}: .* does not start here .*onnxruntime-gpu"):
        backend.load(net, SHAPE)


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_wheel_without_the_provider_is_told_which_one_has_it(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(BackendError, match=rf"no device '{device}' here; it has cpu; .*pip install onnxruntime-gpu"):
        open_backend("onnxruntime", device=device, precision=None, threads=1)
    assert describe_backend("onnxruntime").devices == ("cpu",)


def test_a_precision_that_a_provider_does_not_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, [CUDA])
    with pytest.raises(UsageError, match="onnxruntime on cuda cannot run 'int8'; it can run fp32, fp16"):
        open_backend("onnxruntime", device="cuda", precision="int8", threads=1)
