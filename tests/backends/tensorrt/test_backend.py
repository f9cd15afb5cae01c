"""TensorRT as a backend: what a machine lacks is said, what it has runs a bundle, and the stages know what they came to."""

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_seg.backends import describe_backend, open_backend
from drive_seg.backends.tensorrt import backend as module
from drive_seg.backends.tensorrt import store
from drive_seg.backends.tensorrt.cuda import Gpu
from drive_seg.backends.tensorrt.inspector import inspected_layers
from drive_seg.backends.tensorrt.typed import typed_network
from drive_seg.contracts import Frame, TensorSpec
from drive_seg.errors import BackendError, UsageError
from drive_seg.network.engine import Engine
from drive_seg.network.preprocess import to_input
from drive_seg.network.refresh import Streamed
from drive_seg.overlay import Look, Painter
from drive_seg.session import opening
from drive_seg.session.session import Session
from drive_seg.settings import Settings
from drive_seg.workers import Closed

from .fake_cuda import FakeCuda, FakeGpu, FakeProgram
from .networks import BUNDLES, SIZE, bundle, low_shapes, run

GPU = Gpu(0, "NVIDIA RTX 4000", "8.9", "13.0")


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[FakeCuda]:
    """A machine with a GPU, but for the GPU: engines are really built, and computed by ONNX Runtime."""
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    pytest.importorskip("onnxruntime")
    opened: list[FakeCuda] = []
    gpu = FakeGpu()

    def open_cuda(ordinal: int) -> FakeCuda:
        opened.append(FakeCuda(gpu=gpu))
        return opened[-1]

    class Engine(FakeProgram):
        def __init__(self, name: str, flavour: Any, plan: bytes, gpu: str) -> None:
            found = next(one.about for one in store.Store().listed() if one.about and one.about.sha256 == hashlib.sha256(plan).hexdigest())
            path, key = BUNDLES[0].parent / name, found.key
            path = path if path.is_file() else tmp_path / path.name
            model = typed_network(str(path), key.inputs, "fp32", key.frames).model if key.frames else path.read_bytes()
            inputs, outputs = (tuple(TensorSpec(t.name, t.dtype, t.shape) for t in ts) for ts in (found.inputs, found.outputs))
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
def test_async_needs_no_second_backend_and_swaps_the_context_between_two_frames(fake_gpu: list[FakeCuda]) -> None:
    """1280x720 go to the GPU as they are; the labels are those of the context that their age tells."""
    frames = _drive(5)
    settings = _settings(mode="async")
    pipeline = opening.open_pipeline(opening.find_model(settings), settings, frames[0].size_hw)
    assert isinstance(pipeline.refresher, Streamed)
    assert (pipeline.runs["mode"], pipeline.engine.input_hw) == ("async", frames[0].size_hw)
    ages, shown, session = [], [], Session(pipeline, frames)
    painter = session.painter = Painter(Look(pipeline.engine.palette, 0.4, frozenset({3})))
    session.paints_always = True
    for result, _ in session.results():
        frame = result.frame
        ages.append(result.age_frames)
        shown.append(result.labels)
        assert result.overlay is not None
        assert np.abs(result.overlay.astype(int) - painter.paint(frame.image, result.labels)).max() <= 2
        if frame.index >= 2:
            fake_gpu[0].gpu.finish()
    painted_on_gpu = [cuda for cuda in fake_gpu if cuda.calls.count("launch") == len(frames) and "copy" in cuda.calls]
    pipeline.close()
    assert painted_on_gpu
    assert ages == [0, 1, 2, 2, 1]  # frame 1 started a refresh that ended after frame 2; frame 3 started the next
    assert all(not cuda.alive for cuda in fake_gpu)
    assert all(cuda.closed for cuda in fake_gpu)
    with Engine(bundle(BUNDLES[0]), open_backend("onnxruntime", device=None, precision="fp32", threads=1), about_hw=(96, 160)) as engine:
        engine.fit(frames[0].size_hw)
        for frame, age, labels in zip(frames, ages, shown, strict=True):
            key = frames[frame.index - age]
            context = engine.deep("high", dict(engine.low(to_input(key.image, engine.input_hw), {})))
            wanted = engine.head(engine.low(to_input(frame.image, engine.input_hw), {}), context, fresh=age == 0)
            assert np.mean(labels == wanted) >= 0.995


def _drive(count: int) -> list[Frame]:
    from drive_seg.sources import open_source

    with open_source(f"demo:?seed=3&frames={count}&size=1280x720", loop=False) as source:
        return [frame for frame in iter(source.read, None) if frame is not None]


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


# ---- built first, played then


LABELS = (72, 52)  # of 320x240 at about 160x96


def _settings(**values: object) -> Settings:
    return Settings(model=str(BUNDLES[0]), backend="tensorrt", input_size="160x96", **values)  # type: ignore[arg-type]


@pytest.mark.tensorrt
def test_what_a_pipeline_needs_is_built_first_and_told_with_seconds(
    fake_gpu: list[FakeCuda], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, frame_hw, told = _settings(mode="async", propagation="flow"), (240, 320), list[str]()
    assert not opening.ready(settings, frame_hw)
    opening.prepare(settings, frame_hw, told.append)
    assert opening.ready(settings, frame_hw)
    assert [not cuda.calls for cuda in fake_gpu] == [True] * len(fake_gpu)  # nothing was put on the GPU
    assert all(re.search(r", \d+ s$", line) for line in told)
    assert {line.split()[1] for line in told if line.startswith("building")} == {
        *(f"{BUNDLES[0].name}/{file}" for file in ("low.onnx", "high.onnx", "head.onnx", "head.flow.onnx")),
        f"{tmp_path.name}/paint1-320x240-{LABELS[0]}x{LABELS[1]}.onnx",
    }
    assert any("100%" in line for line in told)
    assert capsys.readouterr().err == ""
    opening.open_pipeline(opening.find_model(settings), settings, frame_hw).close()
    assert capsys.readouterr().err == ""  # nothing was left to be built
    for other in (settings.model_copy(update={"precision": "int8"}), settings.model_copy(update={"propagation": "attend"})):
        assert not opening.ready(other, frame_hw)
    assert not opening.ready(settings, (120, 160))
    plan = next(path for path in tmp_path.glob("*low*.plan"))
    plan.write_bytes(b"rubbish")
    assert not opening.ready(settings, frame_hw)


@pytest.mark.tensorrt
def test_a_run_without_a_window_tells_what_it_builds_first(fake_gpu: list[FakeCuda], capsys: pytest.CaptureFixture[str]) -> None:
    settings, told, seen = _settings(source="demo:?size=128x96&frames=3"), list[str](), list[int]()
    for known in (False, True):
        told.clear()
        with opening.open_session(settings, told.append) as session:
            seen += [result.frame.index for result, _ in session.results()]
        assert bool(told) is not known
    assert seen == [0, 1, 2] * 2
    assert capsys.readouterr().err == ""
    assert all(cuda.closed for cuda in fake_gpu)


@pytest.mark.tensorrt
@pytest.mark.parametrize("at", ["building", "%"])
def test_a_building_that_nobody_wants_any_more_ends(fake_gpu: list[FakeCuda], at: str) -> None:
    def tell(line: str) -> None:
        if at in line:
            raise Closed

    with pytest.raises(Closed):
        opening.prepare(_settings(), (96, 160), tell)
    assert not opening.ready(_settings(), (96, 160))


@pytest.mark.tensorrt
def test_what_cannot_be_opened_is_said_before_anything_is_built(fake_gpu: list[FakeCuda]) -> None:
    with pytest.raises(UsageError, match="bf16"):
        opening.ready(_settings(precision="bf16"), (96, 160))


def test_a_cpu_is_always_ready() -> None:
    settings = Settings(model=str(BUNDLES[0]), backend="openvino")
    assert opening.ready(settings, (96, 160))
    opening.prepare(settings, (96, 160), lambda line: pytest.fail(line))


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
