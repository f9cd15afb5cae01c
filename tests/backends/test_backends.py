"""Every backend gives the same labels, keeps its promises about buffers, and says what is wrong in one line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from drive_seg.backends import BACKENDS, describe_backend, open_backend
from drive_seg.backends.validation import PRECISIONS, one_line, thread_count
from drive_seg.contracts import Backend, Stage
from drive_seg.errors import BackendError, DriveSegError, UsageError

from .graphs import noise_image, save, segmentation_net

NAMES = tuple(name for name in BACKENDS if name != "tensorrt")  # which needs a GPU, and has tests of its own
FLOATS = ("fp32", "bf16", "fp16")  # a backend's default on a CPU is the fastest that this one has
SIZE = (120, 160)

pytest.importorskip("openvino")
pytest.importorskip("onnxruntime")
pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    return segmentation_net(tmp_path_factory.mktemp("net") / "net.onnx")


def opened(name: str, precision: str | None = "fp32", threads: int = 1) -> Backend:
    return open_backend(name, device=None, precision=precision, threads=threads)


def loaded(name: str, path: str, size: tuple[int, int] = SIZE, precision: str | None = "fp32") -> Stage:
    return opened(name, precision).load(path, {"image": (1, *size, 3)})


@pytest.mark.parametrize("size", [(120, 160), (90, 118), (360, 480)])  # 118/8 and 360/16 are odd: 15, 23
def test_all_backends_agree_at_even_and_odd_sizes(net: str, size: tuple[int, int]) -> None:
    image = noise_image(*size)
    answers = {name: {key: value.copy() for key, value in loaded(name, net, size)({"image": image}).items()} for name in NAMES}
    reference = answers["onnxruntime"]
    assert len(np.unique(reference["labels"])) >= 3
    assert reference["labels"].shape == (1, size[0] // 2, size[1] // 2)
    for answer in answers.values():
        assert answer["labels"].dtype == np.uint8
        assert np.mean(answer["labels"] == reference["labels"]) >= 0.995
        np.testing.assert_allclose(answer["features"], reference["features"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_bf16_stays_close(net: str, name: str) -> None:
    if "bf16" not in describe_backend(name).precisions:
        pytest.skip(f"{name} has no bf16 here")
    backend = opened(name, "bf16")
    image = noise_image(*SIZE)
    answer = backend.load(net, {"image": image.shape})({"image": image})
    assert backend.precision == "bf16"
    assert answer["features"].dtype == np.float32
    exact = loaded("onnxruntime", net)({"image": image})
    assert np.mean(answer["labels"] == exact["labels"]) >= 0.97
    assert 0 < np.abs(answer["features"] - exact["features"]).max() < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_stage_describes_its_fixed_tensors(net: str, name: str) -> None:
    stage = loaded(name, net, (90, 118))
    assert [(s.name, s.dtype, s.shape) for s in stage.inputs] == [("image", "uint8", (1, 90, 118, 3))]
    assert {(s.name, s.dtype, s.shape) for s in stage.outputs} == {
        ("labels", "uint8", (1, 45, 59)),
        ("features", "float32", (1, 16, 12, 15)),
    }


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_overwritten_by_the_next_call_and_a_copy_survives(net: str, name: str) -> None:
    stage = loaded(name, net)
    first, second = noise_image(*SIZE, seed=1), noise_image(*SIZE, seed=2)
    held = stage({"image": first})["features"]
    copy = held.copy()
    stage({"image": second})
    assert not np.array_equal(held, copy)
    np.testing.assert_array_equal(stage({"image": first})["features"], copy)


@pytest.mark.parametrize("name", NAMES)
def test_an_array_that_is_changed_in_place_is_read_again(net: str, name: str) -> None:
    stage = loaded(name, net)
    image = noise_image(*SIZE, seed=1)
    before = stage({"image": image})["features"].copy()
    image[:] = noise_image(*SIZE, seed=2)
    after = stage({"image": image})["features"].copy()
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(stage({"image": noise_image(*SIZE, seed=2)})["features"], after)


@pytest.mark.parametrize("name", NAMES)
def test_strided_and_read_only_inputs_give_the_same_answer(net: str, name: str) -> None:
    stage = loaded(name, net)
    image = noise_image(*SIZE)
    expected = stage({"image": image})["features"].copy()
    mirrored = np.ascontiguousarray(image[:, :, ::-1])[:, :, ::-1]
    frozen = image.copy()
    frozen.flags.writeable = False
    for given in (mirrored, frozen, image):
        stage({"image": noise_image(*SIZE, seed=9)})
        np.testing.assert_array_equal(stage({"image": given})["features"], expected)


@pytest.mark.parametrize("name", NAMES)
def test_an_input_may_be_another_stages_output(tmp_path: Path, name: str) -> None:
    from onnx import TensorProto, helper

    path = save(
        tmp_path / "add.onnx",
        [helper.make_node("Add", ["a", "b"], ["sum"])],
        {"a": (TensorProto.FLOAT, [1, "n"]), "b": (TensorProto.FLOAT, [1, "n"])},
        {"sum": TensorProto.FLOAT},
        {},
    )
    backend = opened(name)
    first, second = (backend.load(path, {"a": (1, 3), "b": (1, 3)}) for _ in range(2))
    ones = np.ones((1, 3), np.float32)
    for factor in (1, 2):
        twice = first({"a": ones * factor, "b": ones * factor})["sum"]
        np.testing.assert_array_equal(second({"b": ones, "a": twice})["sum"], [[2 * factor + 1] * 3])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda image: {"picture": image}, ["image", "picture"]),
        (lambda image: {"image": image, "more": image}, ["more"]),
        (lambda image: {"image": image[:, :-1]}, ["[1, 120, 160, 3]", "[1, 119, 160, 3]"]),
        (lambda image: {"image": image.astype(np.float32)}, ["uint8", "float32"]),
    ],
)
def test_wrong_input_is_named(net: str, name: str, spoil: Callable[..., dict[str, np.ndarray]], says: list[str]) -> None:
    with pytest.raises(BackendError) as caught:
        loaded(name, net)(spoil(noise_image(*SIZE)))
    assert all(part in str(caught.value) for part in says)


@pytest.mark.parametrize("name", NAMES)
def test_a_closed_stage_refuses(net: str, name: str) -> None:
    stage = loaded(name, net)
    stage.close()
    stage.close()
    with pytest.raises(BackendError, match="closed"):
        stage({"image": noise_image(*SIZE)})


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_loaded_is_said_in_one_line(net: str, name: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is no protobuf" * 10)
    for path, shapes, says in (
        (str(tmp_path / "absent.onnx"), {"image": (1, *SIZE, 3)}, "no such file"),
        (str(broken), {"image": (1, *SIZE, 3)}, "broken.onnx"),
        (net, {"picture": (1, *SIZE, 3)}, "picture"),
        (net, {"image": (1, *SIZE, 4)}, "image"),
        (net, {"image": (1, *SIZE)}, "image"),
    ):
        with pytest.raises(BackendError) as caught:
            opened(name).load(path, shapes)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "device"), [("openvino", "nonsense"), ("onnxruntime", "nonsense"), ("torch", "nonsense"), ("torch", "cuda:77")]
)
def test_an_absent_device_lists_those_that_are_here(name: str, device: str) -> None:
    with pytest.raises(BackendError, match=r"(?i)nonsense|cuda:77") as caught:
        open_backend(name, device=device, precision=None, threads=None)
    assert "cpu" in str(caught.value).lower()


@pytest.mark.parametrize("name", NAMES)
def test_a_precision_that_cannot_run_names_those_that_can(name: str) -> None:
    for precision in ("fp8",) if name == "openvino" else ("fp8", "fp16"):  # which no CPU has there; what OpenVINO has is the CPU's to say
        with pytest.raises(UsageError, match=rf"(?i){name} on cpu cannot run '{precision}'; it can run .*fp32"):
            open_backend(name, device="cpu", precision=precision, threads=None)
    with pytest.raises(UsageError, match=r"fp7.*known are fp32"):
        open_backend(name, device="cpu", precision="fp7", threads=None)


@pytest.mark.parametrize(
    ("capable", "fastest", "refused"),
    [
        (("FP32", "INT8", "BIN", "EXPORT_IMPORT"), "fp32", ("bf16", "fp16")),  # AVX2
        (("FP32", "BF16", "INT8", "WINOGRAD"), "bf16", ("fp16",)),  # AVX512-BF16
        (("FP32", "BF16", "FP16", "INT8"), "bf16", ()),  # AMX, AVX512-FP16
        (("FP32", "FP16", "INT8"), "fp16", ("bf16",)),  # ARM
    ],
)
def test_openvino_offers_what_the_cpu_says_it_is_good_at(
    monkeypatch: pytest.MonkeyPatch, capable: tuple[str, ...], fastest: str, refused: tuple[str, ...]
) -> None:
    from drive_seg.backends import openvino

    class Core:
        available_devices = ("CPU",)

        def get_property(self, device: str, name: str) -> list[str]:
            assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
            return list(capable)

    monkeypatch.setattr(openvino, "the_core", Core)
    assert set(describe_backend("openvino").precisions) == {one.lower() for one in capable} & set(PRECISIONS)
    for asked in (None, "int8"):
        backend = opened("openvino", asked)
        assert (backend.precision, backend._float) == (asked or fastest, fastest)  # type: ignore[attr-defined]
    for precision in refused:
        with pytest.raises(UsageError, match=rf"cannot run '{precision}'; it can run .*fp32"):
            opened("openvino", precision)


def test_threads_below_one_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one thread"):
        open_backend("onnxruntime", device=None, precision=None, threads=0)


@pytest.mark.parametrize("name", NAMES)
def test_backend_says_what_runs(name: str) -> None:
    backend = opened(name, None, threads=1)
    assert backend.name == name
    assert backend.device.startswith("CPU (")
    assert backend.device.endswith("1 thread)")
    assert backend.precision in FLOATS


def test_openvino_runs_by_default_in_what_the_cpu_is_fastest_in(net: str) -> None:
    backend = opened("openvino", None)
    backend.load(net, {"image": (1, *SIZE, 3)})
    assert backend.precision == next(one for one in ("bf16", "fp16", "fp32") if one in describe_backend("openvino").precisions)


@pytest.mark.parametrize("name", NAMES)
def test_a_quantised_stage_is_reported_as_int8(name: str, net: str, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    def fake(x: str, out: str) -> list[object]:
        return [
            helper.make_node("QuantizeLinear", [x, "scale", "zero"], [out + "_q"]),
            helper.make_node("DequantizeLinear", [out + "_q", "scale", "zero"], [out]),
        ]

    rng = np.random.default_rng(0)
    constants = {"scale": np.float32(0.05), "zero": np.int8(0), "w": rng.standard_normal((4, 3, 3, 3)).astype(np.float32)}
    nodes = [*fake("x", "xq"), *fake("w", "wq"), helper.make_node("Conv", ["xq", "wq"], ["y"])]
    path = save(tmp_path / "q.onnx", nodes, {"x": (TensorProto.FLOAT, [1, 3, "h", "w"])}, {"y": TensorProto.FLOAT}, constants)
    backend = opened(name, "int8")
    backend.load(net, {"image": (1, *SIZE, 3)})
    assert backend.precision in FLOATS  # what runs, not what was asked for
    stage = backend.load(path, {"x": (1, 3, 8, 8)})
    assert backend.precision == "int8"
    backend.load(net, {"image": (1, *SIZE, 3)})
    assert backend.precision == "int8"  # a head in floats does not change what the network is
    assert np.abs(stage({"x": rng.standard_normal((1, 3, 8, 8)).astype(np.float32)})["y"]).max() > 0.1


@pytest.mark.parametrize(
    ("name", "precision", "wanted"),
    [("openvino", None, None), ("onnxruntime", None, None), ("torch", None, False), ("openvino", "fp32", False), ("torch", "int8", True)],
)
def test_a_backend_leaves_int8_to_the_card_only_where_it_pays_and_nothing_was_asked_for(
    name: str, precision: str | None, wanted: bool | None
) -> None:
    assert open_backend(name, device="cpu", precision=precision, threads=1).int8 is wanted


def test_an_unknown_backend_lists_the_known() -> None:
    for call in (lambda: opened("abacus"), lambda: describe_backend("abacus")):
        with pytest.raises(UsageError, match=r"abacus.*openvino, onnxruntime, torch"):
            call()


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [
        ("openvino", "openvino", "pip install openvino"),
        ("onnxruntime", "onnxruntime", "pip install onnxruntime"),
        ("torch", "torch", "pip install 'drive-seg[lab]'"),
        ("torch", "onnx", "pip install 'drive-seg[lab]'"),
    ],
)
def test_an_absent_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, name: str, package: str, install: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendError) as caught:
        opened(name)
    assert repr(package) in str(caught.value)
    assert install in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_name_the_best_that_is_present_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def best() -> str:
        return open_backend(None, device=None, precision=None, threads=1).name

    assert best() == "openvino"
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert best() == "onnxruntime"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert best() == "torch"
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendError) as caught:
        best()
    assert all(f"{name} (backend" in str(caught.value) for name in NAMES)


def test_without_a_name_what_a_backend_cannot_do_is_a_reason_too() -> None:
    with pytest.raises(DriveSegError, match=r"openvino \(OpenVINO has no device 'NONSENSE'.*onnxruntime \(.*torch \("):
        open_backend(None, device="nonsense", precision=None, threads=None)


def test_importing_the_table_imports_no_vendor_package() -> None:
    code = "import sys, drive_seg.backends; print({'openvino', 'onnxruntime', 'torch', 'onnx'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_vendor_messages_lose_their_source_lines() -> None:
    message = 'Exception from src/inference/src/cpp/core.cpp:117:\nException from src/x.cpp:7:\nDevice "X" is\n not registered\n\n'
    assert one_line(RuntimeError(message)) == 'Device "X" is not registered'
    assert one_line(RuntimeError()) == "RuntimeError"
    assert thread_count(None) >= 1


def test_onnxruntime_refuses_one_dimension_with_two_sizes(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    kind = (TensorProto.FLOAT, [1, "n"])
    path = save(tmp_path / "a.onnx", [helper.make_node("Add", ["a", "b"], ["s"])], {"a": kind, "b": kind}, {"s": TensorProto.FLOAT}, {})
    with pytest.raises(BackendError, match="'n' cannot be 3 and 4"):
        opened("onnxruntime").load(path, {"a": (1, 3), "b": (1, 4)})


def test_a_signal_after_a_backend_is_gone_is_handled() -> None:
    """OpenVINO leaves a signal stack behind that is unmapped with its last core."""
    code = """
import gc, os, signal
from drive_seg.backends import open_backend
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
del_me = open_backend("openvino", device=None, precision=None, threads=1)
del del_me
gc.collect()
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n")


def test_nothing_is_told_to_anyone() -> None:
    code = """
import sys, threading
from drive_seg.backends import open_backend
open_backend("openvino", device=None, precision=None, threads=1)
print(sys.modules["openvino_telemetry"], len(threading.enumerate()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None 1\n"


def test_torch_stages_of_different_backends_keep_their_own_thread_counts(net: str) -> None:
    import torch

    image, before = noise_image(*SIZE), torch.get_num_threads()
    try:
        stages = {count: opened("torch", threads=count).load(net, {"image": image.shape}) for count in (2, 1)}
        for count, stage in [*stages.items()] * 2:
            stage({"image": image})
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
