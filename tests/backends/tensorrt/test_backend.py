"""TensorRT as a backend: what a machine lacks is said, what it has runs a bundle, and the stages know what they came to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_seg.backends import describe_backend, open_backend
from drive_seg.backends.tensorrt import backend as module
from drive_seg.backends.tensorrt import store
from drive_seg.backends.tensorrt.cuda import Gpu
from drive_seg.backends.tensorrt.inspector import inspected_layers
from drive_seg.errors import BackendError, UsageError

from .fake_cuda import FakeCuda, FakeProgram
from .networks import BUNDLES, SIZE, bundle, low_shapes, run

GPU = Gpu(0, "NVIDIA RTX 4000", "8.9", "13.0")


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[FakeCuda]:
    """A machine with a GPU, but for the GPU: engines are really built, and computed by ONNX Runtime."""
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    pytest.importorskip("onnxruntime")
    opened: list[FakeCuda] = []

    def open_cuda(ordinal: int) -> FakeCuda:
        opened.append(FakeCuda())
        return opened[-1]

    class Engine(FakeProgram):
        def __init__(self, name: str, flavour: Any, plan: bytes, gpu: str) -> None:
            found = next(one.about for one in store.Store().listed() if one.about and one.about.key.source == name)
            model = (BUNDLES[0].parent / name).read_bytes()
            inputs, outputs = (tuple(module.TensorSpec(t.name, t.dtype, t.shape) for t in ts) for ts in (found.inputs, found.outputs))
            super().__init__(opened[-1], inputs, outputs, lambda **tensors: run(model, tensors))

        def inspect(self) -> str:
            return "{}"

    monkeypatch.setattr(module, "find_gpu", lambda ordinal=0: GPU)
    monkeypatch.setattr(module, "open_cuda", open_cuda)
    monkeypatch.setattr(module, "Engine", Engine)
    monkeypatch.setattr(store, "cache_folder", lambda: tmp_path)
    return opened


@pytest.mark.tensorrt
def test_a_bundle_runs_and_nothing_is_left_on_the_gpu(fake_gpu: list[FakeCuda], capsys: pytest.CaptureFixture[str]) -> None:
    from drive_seg.engine import Engine

    backend = open_backend("tensorrt", device=None, precision=None, threads=None)
    assert (backend.precision, backend.int8) == ("fp16", False)
    assert backend.device.startswith("NVIDIA RTX 4000 (TensorRT for RTX ")
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), dtype=np.uint8)
    answers = []
    for one in (backend, open_backend("onnxruntime", device=None, precision="fp32", threads=1)):
        with Engine(bundle(BUNDLES[0]), one) as engine:
            engine.fit(SIZE)
            low = {name: value.copy() for name, value in engine.low(image, {}).items()}
            context = engine.deep("high", low)
            answers.append(engine.head(low, context, fresh=True))
    assert np.mean(answers[0] == answers[1]) >= 0.999
    assert all(not cuda.alive for cuda in fake_gpu)
    assert all(cuda.closed for cuda in fake_gpu)
    assert "building" in capsys.readouterr().err


@pytest.mark.tensorrt
def test_engines_are_built_once(fake_gpu: list[FakeCuda], capsys: pytest.CaptureFixture[str]) -> None:
    one = bundle(BUNDLES[0])
    for told in (True, False):
        backend = open_backend("tensorrt", device="cuda:0", precision="int8", threads=None)
        assert backend.int8
        stage = backend.load(one.onnx("low", int8=True), low_shapes(one))
        assert backend.precision == "int8"
        assert bool(capsys.readouterr().err) is told
        stage.close()


@pytest.mark.tensorrt
@pytest.mark.parametrize("urgent", [True, False])
def test_urgent_stages_run_on_a_stream_that_goes_first(fake_gpu: list[FakeCuda], urgent: bool) -> None:
    one, backend = bundle(BUNDLES[0]), open_backend("tensorrt", device=None, precision="fp16", threads=None, urgent=urgent)
    backend.load(one.onnx("low"), low_shapes(one)).close()
    assert fake_gpu[-1].urgent == [urgent]


@pytest.mark.tensorrt
def test_an_engine_whose_inspector_tells_another_precision_is_not_run(fake_gpu: list[FakeCuda], monkeypatch: pytest.MonkeyPatch) -> None:
    said = '{"Layers": [{"LayerType": "gemm", "Inputs": [{"Format/Datatype": "Row major linear FP32"}]}]}'
    monkeypatch.setattr(module.Engine, "inspect", lambda self: said)
    one, backend = bundle(BUNDLES[0]), open_backend("tensorrt", device=None, precision="fp16", threads=None)
    with pytest.raises(BackendError, match="fp16 was asked for, and the engine has"):
        backend.load(one.onnx("low"), low_shapes(one))
    assert all(cuda.closed for cuda in fake_gpu)


@pytest.mark.tensorrt
@pytest.mark.parametrize(
    ("device", "precision", "says"), [("cpu", None, "no device 'cpu'"), ("cuda:x", None, "cuda:x"), (None, "bf16", "bf16")]
)
def test_what_cannot_be_meant(fake_gpu: list[FakeCuda], device: str | None, precision: str | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_backend("tensorrt", device=device, precision=precision, threads=None)


@pytest.mark.tensorrt
def test_fp8_is_for_gpus_that_have_it(fake_gpu: list[FakeCuda], monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_backend("tensorrt", device=None, precision="fp8", threads=None).int8
    monkeypatch.setattr(module, "find_gpu", lambda ordinal=0: Gpu(0, "NVIDIA A100", "8.0", "13.0"))
    with pytest.raises(UsageError, match=r"NVIDIA A100.*cannot run 'fp8'"):
        open_backend("tensorrt", device=None, precision="fp8", threads=None)


@pytest.mark.tensorrt
def test_it_is_chosen_by_itself_where_it_works(fake_gpu: list[FakeCuda]) -> None:
    assert open_backend(None, device=None, precision=None, threads=None).name == "tensorrt"
    assert open_backend(None, device="cpu", precision=None, threads=None).name != "tensorrt"
    assert describe_backend("tensorrt").devices == ("NVIDIA RTX 4000 (compute capability 8.9)",)


def test_a_machine_without_a_gpu_is_told_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(ordinal: int = 0) -> Gpu:
        raise BackendError("no NVIDIA driver: libcuda.so.1; install it")

    monkeypatch.setattr(module, "find_gpu", none)
    for call in (lambda: open_backend("tensorrt", device=None, precision=None, threads=None), lambda: describe_backend("tensorrt")):
        with pytest.raises(BackendError, match=r"^no NVIDIA driver.*; install it$"):
            call()
    assert open_backend(None, device=None, precision=None, threads=1).name != "tensorrt"


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ('{"Layers": [{"LayerType": "CaskConvolution", "Inputs": [{"Format/Datatype": "Channel major FP16"}]}]}',
         {"caskconvolution": {"fp16": 1}}),
        ('{"Layers": [{"LayerType": "conv", "Inputs": [{"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}]}]}',
         {"conv": {"int8": 1}}),
        ('{"Layers": [{"LayerType": "gemm", "Inputs": [{"Datatype": "Half"}]}, {"LayerType": "gemm", "Inputs": [{"Datatype": "Float"}]}]}',
         {"gemm": {"fp16": 1, "fp32": 1}}),
        ('{"Layers": ["conv1", "conv2"]}', {}),
        ("no JSON", {}),
        ("[]", {}),
    ],
)  # fmt: skip
def test_what_the_inspector_writes_is_read(text: str, layers: dict[str, dict[str, int]]) -> None:
    assert inspected_layers(text) == layers
