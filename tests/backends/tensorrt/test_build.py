"""TensorRT for RTX really compiles every stage of every bundle, to the precision asked for; what fails says why in one line."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drive_seg.backends.tensorrt.ahead import AheadOfTime, local_provider
from drive_seg.backends.tensorrt.build import ARITHMETIC, build_engine, check_precision, explain_log, layer_precisions
from drive_seg.backends.tensorrt.cuda import find_gpu
from drive_seg.backends.tensorrt.flavour import Flavour, find_flavour
from drive_seg.backends.tensorrt.store import Store
from drive_seg.errors import BackendError, UsageError

from .networks import BUNDLES, SIZE, bundle

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def rtx() -> Flavour:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    return find_flavour(here=False)


def compiled(folder: Path, precision: str, store: Store, said: list[str]) -> AheadOfTime:
    made = AheadOfTime(precision, said.append, provider=local_provider(store))
    made.build(bundle(folder), SIZE)
    return made


@pytest.mark.tensorrt
@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_every_stage_and_head_compiles_twice_to_the_same_bytes(rtx: Flavour, folder: Path, precision: str, tmp_path: Path) -> None:
    card, said = bundle(folder).card, list[str]()
    first = compiled(folder, precision, Store(tmp_path / "a"), said)
    files = {Path(entry.about.key.source).name for entry in first.entries}
    stages = (*card.stages.values(), *card.heads.values())
    assert files == {stage.int8.file if stage.int8 and precision == "int8" else stage.file for stage in stages}
    again = compiled(folder, precision, Store(tmp_path / "b"), said)
    # TensorRT for RTX 1.7 makes one of two engines, 215 bytes apart, of a gated unit in fp16; of everything else the same one each time.
    steady = [entry for entry in first.entries if "recurrent" not in entry.about.key.source]
    assert len(steady) == len(files) - ("recurrent" in card.heads)
    assert [entry.plan for entry in steady] == [entry.plan for entry in again.entries if "recurrent" not in entry.about.key.source]
    made = {spec.name: (spec.dtype, spec.shape) for entry in first.entries for spec in (*entry.about.inputs, *entry.about.outputs)}
    assert made[card.input.name] == ("uint8", (1, *SIZE, 3))
    assert made[card.labels][0] == "uint8"
    assert {kind for name, (kind, _) in made.items() if name not in (card.input.name, card.labels)} == {"float32"}
    for entry in first.entries:
        came = {one for kind in ARITHMETIC for one in entry.about.layers.get(kind, {})}
        assert came <= {"fp16", entry.about.precision}
        assert entry.about.precision in came
        assert entry.about.precision == precision or ".int8" not in entry.about.key.source
        assert entry.about.bytes == len(entry.plan) > 1000
    known = len(said)
    compiled(folder, precision, Store(tmp_path / "a"), said)
    assert len(said) == known  # nothing was built, nothing said


@pytest.mark.tensorrt
def test_an_engine_that_does_not_fit_is_built_again_with_the_reason(rtx: Flavour, tmp_path: Path) -> None:
    store, said = Store(tmp_path), list[str]()
    entry = compiled(BUNDLES[0], "fp16", store, said).entries[0]
    (tmp_path / f"{entry.about.key.name}.plan").write_bytes(b"rubbish")
    said.clear()
    again = compiled(BUNDLES[0], "fp16", store, said).entries[0]
    assert again.plan == entry.plan
    assert "damaged" in said[0]
    assert said[0].endswith("; it is built again")
    assert len(said) == 3  # why, what, and what came of it


@pytest.mark.tensorrt
def test_fp8_and_fp32_compile_too_and_bf16_is_refused(rtx: Flavour, tmp_path: Path) -> None:
    for precision in ("fp8", "fp32"):
        made = compiled(BUNDLES[0], precision, Store(tmp_path), [])
        assert {entry.about.precision for entry in made.entries} == {precision}
    with pytest.raises(UsageError, match=r"cannot run 'bf16'.*fp16"):
        AheadOfTime("bf16", print, provider=local_provider(Store(tmp_path)))


@pytest.mark.tensorrt
def test_progress_is_told_of_and_ends_at_the_whole(rtx: Flavour, tmp_path: Path) -> None:
    from drive_seg.backends.tensorrt.typed import typed_network

    from ..graphs import segmentation_net

    told: list[tuple[str, float]] = []
    model = typed_network(segmentation_net(tmp_path / "net.onnx", cast_first=True), {"image": (1, 120, 160, 3)}, "fp16").model
    build_engine(rtx, "net.onnx", model, "fp16", lambda phase, share: told.append((phase, share)))
    assert told
    assert told[-1][1] == 1.0
    assert all(0 <= share <= 1 for _, share in told)


@pytest.mark.tensorrt
def test_a_node_that_the_parser_cannot_read_is_named(rtx: Flavour, tmp_path: Path) -> None:
    import numpy as np
    from onnx import TensorProto, helper

    from drive_seg.backends.tensorrt.typed import typed_network

    from ..graphs import save

    nodes = [helper.make_node("Relu", ["x"], ["r"], name="first"), helper.make_node("Unique", ["r"], ["y"], name="culprit")]
    path = save(tmp_path / "net.onnx", nodes, {"x": (TensorProto.FLOAT, [4])}, {"y": TensorProto.FLOAT}, {})
    with pytest.raises(BackendError, match=r"TensorRT for RTX .* cannot read net\.onnx: node 'culprit' \(Unique\)") as caught:
        build_engine(rtx, "net.onnx", typed_network(path, {"x": (4,)}, "fp32").model, "fp32")
    assert "\n" not in str(caught.value)
    # and types that do not fit, which a weakly typed network would have cast in silence
    mixed = save(
        tmp_path / "mixed.onnx",
        [helper.make_node("Add", ["x", "h"], ["y"], name="mixer")],
        {"x": (TensorProto.FLOAT, [4])},
        {"y": 0},
        {"h": np.ones(4, np.float16)},
    )
    with pytest.raises(BackendError, match="mixer"):
        build_engine(rtx, "mixed.onnx", Path(mixed).read_bytes(), "fp32")


@pytest.mark.tensorrt
def test_asking_for_fp16_and_getting_fp32_is_an_error(rtx: Flavour, tmp_path: Path) -> None:
    from drive_seg.backends.tensorrt.typed import typed_network

    from ..graphs import segmentation_net

    model = typed_network(segmentation_net(tmp_path / "net.onnx", cast_first=True), {"image": (1, 120, 160, 3)}, "fp32").model
    with pytest.raises(BackendError, match=r"net\.onnx: fp16 was asked for, and its layers came to \d+ in fp32"):
        build_engine(rtx, "net.onnx", model, "fp16")


@pytest.mark.tensorrt
@pytest.mark.parametrize(("length", "says"), [(None, "no NVIDIA driver"), (500, "refuses"), (0, "refuses")])
def test_an_engine_that_cannot_be_loaded_is_refused_in_one_line(
    rtx: Flavour, tmp_path: Path, length: int | None, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    from drive_seg.backends.tensorrt.runtime import Engine

    try:
        find_gpu()
        pytest.skip("there is a GPU here")
    except BackendError:
        pass
    plan = compiled(BUNDLES[0], "fp16", Store(tmp_path), []).entries[0].plan[:length]
    with pytest.raises(BackendError, match=says) as caught:
        Engine("camvid/low.onnx", rtx, plan, "no GPU")
    assert "\n" not in str(caught.value)
    assert "[TRT]" not in "".join(capfd.readouterr())  # nothing of its own is printed


class Api(SimpleNamespace):
    __hash__ = object.__hash__  # as a module has one


def test_what_tensorrt_for_rtx_finds_wrong_is_said() -> None:
    from drive_seg.backends.tensorrt.runtime import Engine

    api = Api(
        __version__="1.7",
        ILogger=type("ILogger", (), {"Severity": SimpleNamespace(WARNING=2)}),
        EngineInvalidityDiagnostics=SimpleNamespace(UNSUPPORTED_CC=2, VERSION_MISMATCH=1),
        Runtime=lambda log: SimpleNamespace(deserialize_cuda_engine=lambda plan: None, get_engine_validity=lambda plan: ("INVALID", 2)),
    )
    with pytest.raises(BackendError, match=r"refuses the engine of low on NVIDIA H200: it is not made for this GPU's compute capability"):
        Engine("low", Flavour("tensorrt_rtx", api), b"plan", "NVIDIA H200")


@pytest.mark.parametrize(
    ("asked", "layers", "fine"),
    [
        ("fp16", {"convolution": {"fp16": 3}, "elementwise": {"fp32": 1}}, True),
        ("fp16", {"convolution": {"fp16": 3, "fp32": 1}}, False),
        ("int8", {"convolution": {"int8": 2, "fp16": 1}}, True),
        ("int8", {"convolution": {"fp16": 3}}, False),
        ("int8", {"convolution": {"int8": 2, "fp32": 1}}, False),
        ("fp8", {"convolution": {"int8": 2}}, False),
        ("fp32", {"convolution": {"fp32": 2}}, True),
        ("fp32", {"matrix_multiply": {"fp16": 2}}, False),
        ("fp16", {"elementwise": {"fp32": 2}}, False),
        ("fp16", {}, True),
    ],
)
def test_which_precisions_pass(asked: str, layers: dict[str, dict[str, int]], fine: bool) -> None:
    if fine:
        check_precision("net", asked, layers)
    else:
        with pytest.raises(BackendError, match=asked):
            check_precision("net", asked, layers)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["[defaultAllocator.cpp::allocate] Error Code 1: Cuda Runtime (out of memory)"], "not enough memory on the GPU"),
        (["Target compute capability 9.0 is not supported"], "compute capability"),
        (["Profile kMAX values are not self-consistent."], "stays open"),
        (["CUDA initialization failure with error: 35 (cudaError 35)"], "no NVIDIA driver"),
        ([], "no reason"),
        (["Could not find any implementation for node conv1"], "node conv1"),
    ],
)
def test_what_tensorrt_logs_becomes_one_sentence(lines: list[str], says: str) -> None:
    assert says in explain_log(lines)


def test_a_layer_computes_in_what_its_dequantize_is_fed() -> None:
    def tensor(name: str, kind: str) -> Any:
        return SimpleNamespace(name=name, dtype=SimpleNamespace(name=kind))

    def layer(kind: str, inputs: list[Any], output: Any) -> Any:
        return SimpleNamespace(
            type=SimpleNamespace(name=kind),
            num_inputs=len(inputs),
            num_outputs=1,
            get_input=lambda i: inputs[i],
            get_output=lambda i: output,
        )

    q, d, y, z = tensor("q", "INT8"), tensor("d", "HALF"), tensor("y", "HALF"), tensor("z", "HALF")
    layers = [
        layer("DEQUANTIZE", [q], d),
        layer("CONVOLUTION", [d], y),
        layer("ACTIVATION", [y], z),
        layer("CAST", [z], tensor("o", "FLOAT")),
    ]
    network = SimpleNamespace(num_layers=len(layers), get_layer=lambda i: layers[i])
    assert layer_precisions(network) == {"activation": {"fp16": 1}, "convolution": {"int8": 1}}
