"""Networks that come without a card: each form of input and output gives the labels that numpy computes, and others are refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from drive_seg import cli
from drive_seg.backends import open_backend, read_onnx
from drive_seg.backends.confidence import with_confidence
from drive_seg.classes import VOID, ClassName, read_class_names
from drive_seg.contracts import Array, Frame, Image, Labels
from drive_seg.demo import DemoDrive
from drive_seg.errors import BackendError, DriveSegError, UsageError
from drive_seg.network.foreign import ForeignEngine, describe, second_best, tables
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.preprocess import to_input
from drive_seg.network.propagate import make_propagation
from drive_seg.network.refresh import Delayed
from drive_seg.network.schedule import EveryFrame, parse_schedule
from tests.backends.graphs import save
from tests.fakes import FakeBackend

onnx = pytest.importorskip("onnx", reason="networks are made with the workshop's onnx")
helper, TensorProto = onnx.helper, onnx.TensorProto

FLOAT, HALF, UINT8, INT32, INT64 = (getattr(onnx.TensorProto, name) for name in ("FLOAT", "FLOAT16", "UINT8", "INT32", "INT64"))
NAMES = tuple(ClassName(name) for name in ("road", "car", "sky", "tree", "dog"))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
WEIGHTS = np.random.default_rng(5).standard_normal((5, 3)).astype(np.float32)  # 5 classes, each a mixture of the 3 channels
BIAS = np.array([0.3, -0.1, 0.2, -0.3, 0.1], np.float32)


@dataclass(frozen=True)
class Form:
    """How a network of one 1x1 convolution is dressed."""

    dims: tuple[Any, ...] = (1, 3, "h", "w")
    dtype: int = FLOAT
    output: str = "NCHW"  # or NHWC, labels, labels4, labels4 last
    ids: int = INT64
    coarse: int = 1  # the scores' stride
    scale: float = 1.0  # on the input, inside the graph

    def write(self, path: Path, metadata: dict[str, str] | None = None) -> str:
        nodes, value = [], "image"

        def node(op: str, inputs: list[str], **attrs: Any) -> str:
            out = f"v{len(nodes)}"
            nodes.append(helper.make_node(op, inputs, [out], **attrs))
            return out

        if self.dims[-1] == 3:
            value = node("Transpose", [value], perm=[0, 3, 1, 2])
        if self.dtype != FLOAT:
            value = node("Cast", [value], to=FLOAT)
        value = node("Conv", [node("Mul", [value, "scale"]), "weights", "bias"])
        if self.coarse > 1:
            value = node("AveragePool", [value], kernel_shape=[self.coarse] * 2, strides=[self.coarse] * 2)
        kind = FLOAT
        if self.output == "NHWC":
            value = node("Transpose", [value], perm=[0, 2, 3, 1])
        elif self.output != "NCHW":
            value, kind = node("Cast", [node("ArgMax", [value], axis=1, keepdims=self.output != "labels")], to=self.ids), self.ids
            if self.output == "labels4 last":
                value = node("Transpose", [value], perm=[0, 2, 3, 1])
        nodes[-1].output[0] = "out"
        constants = {"weights": WEIGHTS[:, :, None, None], "bias": BIAS, "scale": np.float32(self.scale)}
        save(path, nodes, {"image": (self.dtype, self.dims)}, {"out": kind}, constants)
        if metadata:
            model = onnx.load(path)
            helper.set_model_props(model, metadata)
            onnx.save(model, path)
        return str(path)


def picture(height: int = 96, width: int = 128, seed: int = 0) -> Image:
    """Smooth colours, so that resizing does not turn it into grey."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def scores(bgr: Image, mean: Any = (0, 0, 0), std: Any = (1, 1, 1), most: float = 255.0) -> Array:
    """(5, H, W), in numpy alone."""
    rgb = bgr[..., ::-1].astype(np.float64)
    return np.moveaxis((rgb / most - np.array(mean)) / np.array(std) @ WEIGHTS.T + BIAS, -1, 0)


def engine(path: str, backend: str = "openvino", names: tuple[ClassName, ...] = NAMES, **options: Any) -> ForeignEngine:
    return ForeignEngine(describe(read_onnx(path), names, **options), open_backend(backend, device=None, precision="fp32", threads=1))


def labels_of(path: str, image: Image, backend: str = "openvino", **options: Any) -> Labels:
    with engine(path, backend, **options) as network:
        return Pipeline(network, parse_schedule("every-frame")).step(Frame(image, 0, 0.0)).labels


def assert_same(labels: Labels, wanted: Array) -> None:
    assert labels.dtype == np.uint8
    assert len(np.unique(wanted)) >= 3  # or the picture tells nothing
    assert labels.shape == wanted.shape
    assert (labels == wanted).mean() >= 0.999  # a tie may fall either way


FORMS = {
    "NCHW to NCHW": Form(),
    "NHWC to NHWC": Form(dims=(1, "h", "w", 3), output="NHWC"),
    "open batch": Form(dims=("n", 3, "h", "w")),
    "fixed size": Form(dims=(1, 3, 96, 128)),
    "fixed NHWC": Form(dims=(1, 96, 128, 3)),
    "half": Form(dtype=HALF),
    "uint8 NCHW": Form(dtype=UINT8, scale=1 / 255),
    "uint8 NHWC": Form(dims=(1, "h", "w", 3), dtype=UINT8, scale=1 / 255),
    "int64 labels": Form(output="labels"),
    "uint8 labels": Form(output="labels", ids=UINT8),
    "int32 labels of rank 4": Form(output="labels4", ids=INT32),
    "labels with their one channel last": Form(output="labels4 last", ids=INT32),
}


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime", "torch"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_gives_numpys_labels(tmp_path: Path, form: Form, backend: str) -> None:
    pytest.importorskip(backend, reason=f"the {backend} backend needs its package")
    image = picture()
    assert_same(labels_of(form.write(tmp_path / "net.onnx"), image, backend), scores(image).argmax(0))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_tells_its_confidence(tmp_path: Path, form: Form) -> None:
    image, path = picture(), form.write(tmp_path / "net.onnx")
    backend = open_backend("openvino", device=None, precision="fp32", threads=1)
    with ForeignEngine(describe(read_onnx(path), NAMES), backend, telling=with_confidence) as network:
        result = Pipeline(network, parse_schedule("every-frame")).step(Frame(image, 0, 0.0))
    shares = np.exp(scores(image))
    shares /= shares.sum(0)
    assert result.confidence is not None
    assert_same(result.labels, shares.argmax(0))
    assert_same(result.confidence.runner_up, np.argsort(-shares, axis=0)[1])
    assert np.abs(result.confidence.steps / 255 - shares.max(0)).max() < 0.01
    assert result.confidence.mean == pytest.approx(shares.max(0).mean(), abs=0.01)


def test_probabilities_are_taken_as_they_are() -> None:
    shares = np.random.default_rng(1).dirichlet(np.ones(4), (5, 7)).transpose(2, 0, 1).astype(np.float32)
    wanted = np.sort(shares, axis=0)[-1], np.argsort(shares, axis=0)[-2]
    for made, known in zip(second_best(shares), wanted, strict=True):
        assert np.allclose(made, known, atol=1e-6)


def test_mean_and_deviation_are_given_or_read_from_the_file_and_what_is_given_wins(tmp_path: Path) -> None:
    image = picture()
    mean, std = IMAGENET
    wanted = scores(image, mean, std).argmax(0)
    assert not np.array_equal(wanted, scores(image).argmax(0))
    bare = Form().write(tmp_path / "bare.onnx")
    said = Form().write(tmp_path / "said.onnx", {"mean": "0.485,0.456,0.406", "std": "[0.229, 0.224, 0.225]"})
    assert_same(labels_of(bare, image, mean=mean, std=std), wanted)
    assert_same(labels_of(said, image), wanted)
    assert_same(labels_of(said, image, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)), scores(image).argmax(0))


def test_means_of_pixels_up_to_255_are_meant_so(tmp_path: Path) -> None:
    image, mean, std = picture(), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    path = Form().write(tmp_path / "net.onnx")
    assert_same(labels_of(path, image, mean=mean, std=std), scores(image, mean, std, most=1).argmax(0))


def test_a_table_has_a_value_for_each_of_the_256() -> None:
    table = tables((0.5, 0.0, 0.0), (0.25, 1.0, 1.0), 1)[0]
    np.testing.assert_allclose(table, (np.arange(256) / 255 - 0.5) / 0.25, rtol=1e-6)


def test_the_channels_order_is_the_files_or_what_is_given(tmp_path: Path) -> None:
    image = picture()
    path = Form().write(tmp_path / "net.onnx", {"Image.BitmapPixelFormat": "Bgr8"})
    assert_same(labels_of(path, image), scores(image[..., ::-1]).argmax(0))
    assert_same(labels_of(path, image, channels="rgb"), scores(image).argmax(0))


def test_coarse_scores_are_enlarged_before_they_are_compared(tmp_path: Path) -> None:
    image = picture()
    labels = labels_of(Form(coarse=4).write(tmp_path / "net.onnx"), image)
    pooled = scores(image).reshape(5, 24, 4, 32, 4).mean((2, 4)).astype(np.float32)
    smooth = np.stack([cv2.resize(plane, (64, 48), interpolation=cv2.INTER_LINEAR) for plane in pooled])
    assert_same(labels, smooth.argmax(0))


@pytest.mark.parametrize(
    ("dims", "size_hw", "frame_hw", "input_hw", "squeezed"),
    [
        ((1, 3, "h", "w"), None, (360, 480), (352, 480), False),
        ((1, 3, "h", "w"), (120, 160), (360, 480), (120, 160), False),
        ((1, 3, "h", "w"), (128, 256), (360, 480), (128, 256), True),
        ((1, 3, 64, 128), None, (360, 480), (64, 128), True),
        ((1, 3, 64, 128), (64, 128), (90, 180), (64, 128), False),
        ((1, 3, 96, "w"), None, (96, 160), (96, 160), False),
    ],
)
def test_an_open_input_keeps_the_frames_shape_and_a_size_that_does_not_is_said(
    tmp_path: Path, dims: Any, size_hw: Any, frame_hw: tuple[int, int], input_hw: tuple[int, int], squeezed: bool
) -> None:
    image = picture(*frame_hw)
    with engine(Form(dims=dims).write(tmp_path / "net.onnx"), size_hw=size_hw) as network:
        result = Pipeline(network, parse_schedule("every-frame")).step(Frame(image, 0, 0.0))
        assert network.input_hw == input_hw
        assert ("squeezed" in network.note) == squeezed
        assert f"{input_hw[1]}x{input_hw[0]} RGB" in network.note
    assert_same(result.labels, scores(to_input(image, input_hw)[0]).argmax(0))


def test_a_schedule_holds_labels_between_key_frames_and_a_result_is_never_written_again(tmp_path: Path) -> None:
    images = [picture(seed=7), *(cv2.GaussianBlur(picture(seed=7), (0, 0), i + 1) for i in range(3))]
    with engine(Form().write(tmp_path / "net.onnx")) as network:
        pipeline = Pipeline(network, parse_schedule("clockwork:3"))
        results = [pipeline.step(Frame(np.asarray(image, np.uint8), i, i / 30)) for i, image in enumerate(images)]
    assert [result.is_key for result in results] == [True, False, False, True]
    for result, source in zip(results, (0, 0, 0, 3), strict=True):
        assert_same(result.labels, scores(np.asarray(images[source], np.uint8)).argmax(0))


def test_beside_the_frames_it_labels_the_same_and_its_labels_follow_the_flow(tmp_path: Path) -> None:
    coarse = picture(120, 168, seed=3)
    images = [np.ascontiguousarray(coarse[12:108, 20 - 4 * i : 148 - 4 * i]) for i in range(4)]  # to the right, 4 pixels a frame
    with engine(Form().write(tmp_path / "net.onnx")) as network:
        labels = {}
        for name in ("hold", "flow"):
            pipeline = Pipeline(network, EveryFrame(), refresher=Delayed(network, 2, 1, "test"), propagation=make_propagation(name))
            results = [pipeline.step(Frame(image, i, i / 30)) for i, image in enumerate(images)]
            assert [result.age_frames for result in results] == [0, 1, 2, 2]
            labels[name] = results[3].labels
        beside = network.copy_deep(open_backend("onnxruntime", device=None, precision="fp32", threads=1))
        assert_same(beside("high", {"image": images[1][None]})["labels"], labels["hold"])
    truth = scores(images[3]).argmax(0)
    agreed = {name: float((one == truth)[8:-8, 16:-16].mean()) for name, one in labels.items()}
    assert agreed["flow"] > 0.95 > agreed["hold"]


def test_a_propagation_that_needs_a_network_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"net\.onnx has no such; it has hold, flow"):
        ForeignEngine(describe(read_onnx(Form().write(tmp_path / "net.onnx")), NAMES), FakeBackend(), "attend")


@pytest.mark.parametrize("seed", [3, 4, 6])
def test_the_demo_drives_cut_is_a_key_frame_and_its_neighbours_are_not(tmp_path: Path, seed: int) -> None:
    drive = DemoDrive(seed)
    cut = int(np.ceil(drive.cut_time_s * drive.fps))
    with engine(Form(dims=(1, 3, 96, 128)).write(tmp_path / "net.onnx")) as network:
        pipeline = Pipeline(network, parse_schedule("clockwork:1000"))
        results = [pipeline.step(Frame(drive.frame(i)[0], i, i / drive.fps)) for i in range(cut - 3, cut + 3)]
    assert [result.is_key for result in results] == [True, False, False, True, False, False]


@pytest.mark.parametrize("output", ["NCHW", "labels"])
def test_voids_ids_become_void_and_voids_at_the_end_may_be_left_out(tmp_path: Path, output: str) -> None:
    image = picture()
    path = Form(output=output).write(tmp_path / "net.onnx")
    wanted = scores(image).argmax(0)
    inside = (ClassName("road"), ClassName("Void"), *NAMES[2:])
    assert_same(labels_of(path, image, names=inside), np.where(wanted == 1, VOID, wanted))
    assert_same(labels_of(path, image, names=(*NAMES, ClassName("ignore"))), wanted)
    with engine(path, names=(*NAMES[:4], ClassName("void"))) as network:
        assert network.classes == ("road", "car", "sky", "tree")


def graph(nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, int]) -> Callable[[Path], str]:
    return lambda path: save(path, nodes, inputs, outputs, {"one": np.float32(1), "flat": np.array([1, -1], np.int64)})


PLANES = (FLOAT, [1, 3, "h", "w"])
ADD, FLATTEN = helper.make_node("Add", ["x", "one"], ["y"]), helper.make_node("Reshape", ["x", "flat"], ["y"])
REFUSED: dict[str, tuple[Callable[[Path], str], dict[str, Any], type[DriveSegError], list[str]]] = {
    "two outputs": (
        graph([ADD, helper.make_node("Relu", ["x"], ["z"])], {"x": PLANES}, {"y": FLOAT, "z": FLOAT}),
        {}, BackendError, ["2 outputs", "'y'", "'z'"],
    ),
    "two inputs": (
        graph([helper.make_node("Add", ["x", "x2"], ["y"])], {"x": PLANES, "x2": PLANES}, {"y": FLOAT}),
        {}, BackendError, ["2 inputs", "'x2'"],
    ),
    "rank 2 out": (graph([FLATTEN], {"x": PLANES}, {"y": FLOAT}), {}, BackendError, ["'y'", "[1, 36864]"]),
    "labels in floats": (Form(output="labels", ids=FLOAT).write, {}, BackendError, ["'out'", "float32", "[1, 96, 128]"]),
    "rank 3 in": (graph([ADD], {"x": (FLOAT, [3, "h", "w"])}, {"y": FLOAT}), {}, BackendError, ["'x'", "[3, ?, ?]"]),
    "no 3 channels": (graph([ADD], {"x": (FLOAT, [1, 4, "h", "w"])}, {"y": FLOAT}), {}, BackendError, ["'x'", "[1, 4, ?, ?]"]),
    "no layout": (graph([ADD], {"x": (FLOAT, [1, "a", "b", "c"])}, {"y": FLOAT}), {}, BackendError, ["'x'", "[1, ?, ?, ?]"]),
    "a batch": (graph([ADD], {"x": (FLOAT, [8, 3, "h", "w"])}, {"y": FLOAT}), {}, BackendError, ["'x'", "[8, 3, ?, ?]"]),
    "doubles": (
        graph([helper.make_node("Identity", ["x"], ["y"])], {"x": (onnx.TensorProto.DOUBLE, [1, 3, "h", "w"])}, {"y": TensorProto.DOUBLE}),
        {}, BackendError, ["'x'", "float64"],
    ),
    "fewer names": (Form().write, {"names": NAMES[:4]}, UsageError, ["'out'", "[1, 5, 96, 128]", "has 5 classes", "4 class names"]),
    "more names": (
        Form(output="NHWC").write, {"names": (*NAMES, ClassName("cat"))}, UsageError, ["[1, 96, 128, 5]", "has 5 classes", "6 class names"],
    ),
    "another fixed size": (Form(dims=(1, 3, 96, 128)).write, {"size_hw": (128, 96)}, UsageError, ["96x128", "[1, 3, 96, 128]"]),
    "mean of uint8": (Form(dtype=UINT8).write, {"mean": IMAGENET[0]}, UsageError, ["uint8"]),
    "no deviation": (Form().write, {"std": (1.0, 0.0, 1.0)}, UsageError, ["1,0,1"]),
    "bad metadata": (lambda path: Form().write(path, {"mean": "soft"}), {}, BackendError, ["'mean'", "'soft'"]),
}  # fmt: skip


@pytest.mark.parametrize(("write", "options", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_another_kind_of_network_is_refused_in_one_line_that_names_the_tensor(
    tmp_path: Path, write: Callable[[Path], str], options: dict[str, Any], error: type[DriveSegError], said: list[str]
) -> None:
    path = write(tmp_path / "net.onnx")
    with pytest.raises(error) as caught:
        labels_of(path, picture(), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ["net.onnx", *said])


def test_a_file_that_is_no_network_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BackendError, match=r"none\.onnx: no such file"):
        read_onnx(str(tmp_path / "none.onnx"))
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(BackendError, match=r"text\.onnx"):
        read_onnx(str(tmp_path / "text.onnx"))


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Pictures, the labels that the network gives to them, the network and its names."""
    Form(dims=(1, 3, 96, 128)).write(tmp_path / "net.onnx")
    (tmp_path / "names.txt").write_text("road\ncar\nsky #0000ff\ntree\ndog\n")
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for i in range(3):
        image = picture(seed=i)
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), image)
        cv2.imwrite(str(tmp_path / "labels" / f"{i}.png"), scores(image).argmax(0).astype(np.uint8))
    return tmp_path


def test_a_run_from_end_to_end_writes_the_networks_labels(capsys: pytest.CaptureFixture[str], drive: Path) -> None:
    flags = ("--model", str(drive / "net.onnx"), "--labels", str(drive / "names.txt"), "--precision", "fp32", "--threads", "1")
    code, out, err = command(
        capsys, "run", "--headless", "--source", str(drive), *flags,
        "--save-masks", str(drive / "masks"), "--output", str(drive / "out.mp4"), "--json", str(drive / "run.json"),
    )  # fmt: skip
    assert code == 0, err
    assert "net.onnx sees 128x96 RGB, 0 to 1, mean 0,0,0, std 1,1,1" in err
    assert "3 frames" in out
    assert json.loads((drive / "run.json").read_text())["model"] == "net.onnx"
    for i in range(3):
        mask = cv2.imread(str(drive / "masks" / f"{i:06}.png"), cv2.IMREAD_UNCHANGED)
        assert_same(np.asarray(mask), scores(picture(seed=i)).argmax(0))


def test_evaluate_scores_a_network_without_a_card_and_leaves_void_out(capsys: pytest.CaptureFixture[str], drive: Path) -> None:
    flags = ("--model", str(drive / "net.onnx"), "--class-names", str(drive / "names.txt"), "--precision", "fp32", "--threads", "1")
    pairs = ("--images", str(drive / "images"), "--labels", str(drive / "labels"), "--json", str(drive / "scores.json"), "--overwrite")
    assert command(capsys, "evaluate", *flags, *pairs)[0] == 0
    whole = json.loads((drive / "scores.json").read_text())
    assert (whole["model"], whole["frames"], list(whole["iou"])) == ("net.onnx", 3, ["road", "car", "sky", "tree", "dog"])
    assert whole["miou"] > 0.999
    (drive / "names.txt").write_text("road\nvoid\nsky\ntree\ndog\n")
    assert command(capsys, "evaluate", *flags, *pairs)[0] == 0
    part = json.loads((drive / "scores.json").read_text())
    assert part["iou"]["void"] is None
    assert part["miou"] > 0.999
    assert sum(part["pixels"].values()) < sum(whole["pixels"].values())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--model", "{}/net.onnx"], 2, "--class-names"),
        (["--model", "{}/net.onnx", "--class-names", "{}/none.txt"], 2, "none.txt"),
        (["--model", "{}/none.onnx", "--class-names", "{}/names.txt"], 1, "none.onnx"),
        (["--model", "{}/net.onnx", "--class-names", "{}/names.txt", "--mean", "0.1,0.2"], 2, "--mean: give three numbers"),
        (["--model", "{}/net.onnx", "--class-names", "{}/names.txt", "--std", "1,0,1"], 2, "std"),
        (["--model", "{}/net.onnx", "--class-names", "{}/names.txt", "--input-size", "wide"], 2, "--input-size: give width and height"),
        (["--model", "{}/net.onnx", "--class-names", "{}/names.txt", "--input-size", "64x64"], 2, "--input-size 64x64"),
        (["--model", "{}/net.onnx", "--class-names", "{}/names.txt", "--channels", "cmyk"], 2, "--channels"),
        (["--model", "{}/net.onnx", "--class-names", "{}/names.txt", "--precision", "int8"], 2, "--precision"),
        (["--model", "camvid", "--mean", "0,0,0"], 2, "--mean: is for a network without a card"),
        (["--model", "camvid", "--class-names", "{}/names.txt"], 2, "--class-names"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], drive: Path, arguments: list[str], code: int, said: str
) -> None:
    filled = [argument.format(drive) for argument in arguments]
    got, _, err = command(capsys, "run", "--headless", "--source", str(drive), *filled)
    lines = [line for line in err.splitlines() if line.startswith("drive-seg:")]
    assert (got, len(lines)) == (code, 1)
    assert said in lines[0]
    assert "Traceback" not in err


def test_a_network_that_wants_bytes_is_fed_them_when_that_is_said(tmp_path: Path) -> None:
    image = picture()
    path = Form(scale=1 / 255).write(tmp_path / "net.onnx")
    assert_same(labels_of(path, image, scale=255.0), scores(image).argmax(0))
    with engine(path, scale=255.0) as network:
        network.fit((96, 128))
        assert network.note == "net.onnx sees 128x96 RGB, 0 to 255, mean 0,0,0, std 1,1,1"
    with pytest.raises(UsageError, match="mean, std and scale are not for a uint8 input"):
        engine(Form(dtype=UINT8).write(tmp_path / "bytes.onnx"), scale=255.0)


TWO = tuple(ClassName(name) for name in ("road", "car"))


def write_one_channel(path: Path, op: str | None, rank: str) -> str:
    """Scores of one class, as they are or behind an operation, in the layout that is named."""
    nodes = [helper.make_node("Conv", ["image", "weights", "bias"], ["scores"])]
    value = "scores"
    for number, name in enumerate([op] if op else []):
        nodes.append(helper.make_node(name, [value], [f"v{number}"]))
        value = f"v{number}"
    if rank == "NHWC":
        nodes.append(helper.make_node("Transpose", [value], ["turned"], perm=[0, 2, 3, 1]))
    nodes[-1].output[0] = "out"
    constants = {"weights": 9 * WEIGHTS[:1, :, None, None], "bias": np.array([-4 * WEIGHTS[0].sum()], np.float32)}
    save(path, nodes, {"image": (FLOAT, (1, 3, "h", "w"))}, {"out": FLOAT}, constants)
    return str(path)


@pytest.mark.parametrize("rank", ["NCHW", "NHWC"])
def test_one_channel_of_probabilities_is_two_classes(tmp_path: Path, rank: str) -> None:
    image = picture()
    path = write_one_channel(tmp_path / "net.onnx", "Sigmoid", rank)
    wanted = (9 * (image[..., ::-1] / 255) @ WEIGHTS[0] - 4 * WEIGHTS[0].sum()) > 0
    backend = open_backend("openvino", device=None, precision="fp32", threads=1)
    with ForeignEngine(describe(read_onnx(path), TWO), backend, telling=with_confidence) as network:
        result = Pipeline(network, parse_schedule("every-frame")).step(Frame(image, 0, 0.0))
    labels, told = result.labels, result.confidence
    assert told is not None
    assert np.array_equal(told.runner_up, 1 - labels)
    assert 127 <= told.steps.min() < 140 < 250 < told.steps.max()
    assert set(np.unique(labels)) == {0, 1}
    assert (cv2.resize(labels, (128, 96), interpolation=cv2.INTER_NEAREST) == wanted).mean() > 0.99


def test_one_channel_that_is_no_probability_says_what_to_do(tmp_path: Path) -> None:
    path = write_one_channel(tmp_path / "net.onnx", None, "NCHW")
    with pytest.raises(BackendError, match=r"which are no probabilities; export it again with a sigmoid"):
        labels_of(path, picture(), names=TWO)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = Form().write(tmp_path / "net.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="net.weights", size_threshold=0)
    assert_same(labels_of(path, picture()), scores(picture()).argmax(0))
    (tmp_path / "net.weights").unlink()
    with pytest.raises(BackendError, match=r"its weights are in .*net\.weights, which is not there; put that file beside it"):
        read_onnx(path)


@pytest.mark.parametrize("name", ["../net.weights", "/etc/net.weights", "a/../../net.weights", "C:/net.weights", "..\\net.weights", ""])
def test_weights_that_are_elsewhere_are_not_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    path = Form().write(tmp_path / "in" / "net.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="net.weights", size_threshold=0)
    (tmp_path / "in" / "net.weights").rename(tmp_path / "net.weights")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = name
    onnx.save(model, path)
    with pytest.raises(BackendError, match=r"net\.onnx: takes its weights from .*; export it again as one file"):
        read_onnx(path)


def test_a_tensor_inside_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [100_000, 100_000])
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("image", "y")]
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], axes=[0, 1]),
        helper.make_node("Add", ["image", "m"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [ports[0]], [ports[1]], [shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "net.onnx")
    with pytest.raises(BackendError, match=r"net\.onnx: its tensor .* \[100000, 100000\] would take 40 GB; export it again"):
        read_onnx(str(tmp_path / "net.onnx"))


def test_a_suffix_in_capitals_and_a_byte_order_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As files come from Windows."""
    path = Form().write(tmp_path / "NET.ONNX")
    (tmp_path / "names.txt").write_text("void\ncar\nsky\ntree\ndog\n", encoding="utf-8-sig")
    cv2.imwrite(str(tmp_path / "1.png"), picture())
    names = str(tmp_path / "names.txt")
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "--headless", "--source", str(tmp_path), "--model", path, "--labels", names, "--backend", "openvino"])
    assert end.value.code == 0, capsys.readouterr().err
    assert [entry.void for entry in read_class_names(Path(names))] == [True, False, False, False, False]
