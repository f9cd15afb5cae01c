"""A bundle gains int8 stages that keep its labels on every backend, and the record says what they were made from and what they cost."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from drive_seg import cli
from drive_seg.backends import open_backend
from drive_seg.contracts import Array, Frame, Labels
from drive_seg.errors import BundleError, DataError, UsageError
from drive_seg.lab.build.compare import Example, compare, judge, preferred
from drive_seg.lab.build.export import StageModule, export_stage, write_card
from drive_seg.lab.build.quantize import Calibration, float_model, quantize_bundle, spread
from drive_seg.lab.evaluate.accuracy import evaluate, from_pairs
from drive_seg.lab.evaluate.pairs import read_picture
from drive_seg.lab.models.stored import read_network
from drive_seg.network.card import Bundle, Card, KeyInputCard, StageCard, load_bundle, sha256
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.preprocess import to_input
from drive_seg.network.propagate import Hold
from drive_seg.network.schedule import EveryFrame, parse_schedule
from tests.backends.graphs import sums_int8_exactly
from tests.lab.conftest import SIZE_HW, Tiny, draw
from tests.sources.clips import DATA

RUNTIMES = ("openvino", "onnxruntime", "torch")  # TensorRT needs a GPU, and has tests of its own
CLIP = DATA / "camvid" / "clip"


@dataclass(frozen=True)
class Made:
    """A quantised bundle; tests that write take a copy."""

    folder: Path
    images: Path
    calibration: Calibration

    @property
    def bundle(self) -> Bundle:
        return load_bundle(str(self.folder))

    def copy(self, to: Path) -> "Made":
        shutil.copytree(self.folder, to)
        return Made(to, self.images, self.calibration)

    def examples(self) -> Iterator[Example]:
        for index in range(2):
            yield draw(index)


@pytest.fixture(autouse=True)
def few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is timed here says nothing, so that it is not timed for long."""
    monkeypatch.setattr(judge, "__defaults__", (3,))
    for name in ("WARM_UP", "ROUND"):
        monkeypatch.setattr(f"drive_seg.lab.build.compare.{name}", 2)


@pytest.fixture(scope="module")
def made(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Made:
    bundle, images = tiny.copy(tmp_path_factory.mktemp("quantised") / "tiny"), tiny.street / "images"
    return Made(bundle.folder, images, quantize_bundle(bundle.folder, images, 5))


def labels(bundle: Bundle, backend: str, precision: str, index: int = 3) -> Labels:
    chosen = open_backend(backend, device="cpu", precision=precision, threads=1)
    with Engine(bundle, chosen) as engine:
        result = Pipeline(engine, EveryFrame()).step(Frame(draw(index)[0], 0, 0.0))
        assert chosen.precision == precision
        return result.labels


def test_int8_keeps_the_labels_and_every_backend_gives_the_same(made: Made) -> None:
    found = {name: (labels(made.bundle, name, "fp32"), labels(made.bundle, name, "int8")) for name in RUNTIMES}
    reference = found["torch"][1]
    assert len(np.unique(reference)) == 3
    for name, (before, after) in found.items():
        assert (before == after).mean() >= 0.98
        assert (after == reference).mean() >= (0.995 if sums_int8_exactly(name) else 0.98)


@pytest.mark.parametrize("stage", ["low", "high", "head"])
def test_weights_are_int8_symmetric_with_a_scale_for_each_channel(made: Made, stage: str) -> None:
    graph = onnx.load(made.bundle.onnx(stage, int8=True)).graph  # type: ignore[arg-type]
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    maker = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert convolutions
    for conv in convolutions:
        dequantise = maker[conv.input[1]]
        weight, scale, zero = (stored[name] for name in dequantise.input)
        assert (weight.dtype, scale.shape, np.abs(zero).max()) == (np.int8, (weight.shape[0],), 0)
        assert np.abs(weight).max() >= 127
        assert maker[conv.input[0]].op_type == "DequantizeLinear"
    floats = [value for value in stored.values() if value.dtype in (np.float32, np.float16)]
    assert max(value.size for value in floats) <= 64  # scales, biases


@pytest.mark.parametrize("stage", ["low", "high", "head"])
def test_activations_are_uint8_and_heights_and_widths_stay_open(made: Made, stage: str) -> None:
    graph = onnx.load(made.bundle.onnx(stage, int8=True)).graph  # type: ignore[arg-type]
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    rounded = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {stored[node.input[2]].dtype.name for node in rounded if node.op_type == "QuantizeLinear"} == {"uint8"}
    assert all(sum(dim.dim_param != "" for dim in info.type.tensor_type.shape.dim) == 2 for info in graph.input)
    written = {node.input[0].removesuffix("_QuantizeLinear_Input") for node in rounded if node.op_type == "QuantizeLinear"}
    assert set(made.calibration.ranges[stage]) == written
    for row in made.calibration.ranges[stage].values():
        assert (row["low"] < 0) == (row["zero_point"] > 0)
        assert row["scale"] == pytest.approx((row["high"] - min(row["low"], 0)) / 255, rel=0.01)


def test_an_int8_stage_runs_at_other_sizes(made: Made) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    with Engine(made.bundle, open_backend("openvino", device=None, precision="int8", threads=1)) as engine:
        result = Pipeline(engine, EveryFrame()).step(Frame(picture, 0, 0.0))
        assert engine.input_hw == (104, 184)
    assert result.labels.shape == (52, 92)


def test_the_normalisation_is_folded_without_changing_what_the_stage_gives(made: Made) -> None:
    import onnxruntime

    image = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), np.uint8)
    folded = float_model(made.bundle, "low")
    assert "Div" not in {node.op_type for node in folded.graph.node}
    before, after = (
        onnxruntime.InferenceSession(file).run(None, {"image": image}) for file in (made.bundle.onnx("low"), folded.SerializeToString())
    )
    for one, other in zip(before, after, strict=True):
        inside = np.s_[:, :, 3:-3, 3:-3]  # the border sees the padding, which stands for another grey
        np.testing.assert_allclose(one[inside], other[inside], atol=2e-3 * np.abs(one).max())
        np.testing.assert_allclose(one, other, atol=3e-2 * np.abs(one).max())


def test_the_frames_are_spread_evenly_and_their_hashes_are_right(made: Made) -> None:
    assert made.calibration.frames["folder"] == "images"
    assert list(made.calibration.frames["frames"]) == ["A_000.png", "A_002.png", "A_004.png", "B_005.png", "B_007.png"]
    for name, digest in made.calibration.frames["frames"].items():
        assert sha256(made.images / name) == digest
    assert len(spread(made.images, 99)) == 8


def test_the_same_pictures_give_the_same_bytes(made: Made, tmp_path: Path) -> None:
    again = made.copy(tmp_path / "tiny")
    assert quantize_bundle(again.folder, made.images, 5) == made.calibration
    for name in ("low.int8.onnx", "high.int8.onnx", "head.int8.onnx", "card.json"):
        assert (again.folder / name).read_bytes() == (made.folder / name).read_bytes()


def test_an_altered_int8_file_is_refused(made: Made, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "tiny")
    (copy.folder / "head.int8.onnx").write_bytes(b"?")
    with pytest.raises(BundleError, match=r"head\.int8\.onnx.*SHA-256"):
        load_bundle(str(copy.folder))


def test_a_stage_can_stay_in_floats(made: Made, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "tiny")
    quantize_bundle(copy.folder, made.images, 2, floats=["head"])
    assert not (copy.folder / "head.int8.onnx").exists()
    assert copy.bundle.onnx("head", int8=True).endswith("head.onnx")
    assert copy.bundle.onnx("high", int8=True).endswith("high.int8.onnx")
    assert (labels(copy.bundle, "openvino", "int8") == labels(made.bundle, "openvino", "fp32")).mean() >= 0.98


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"floats": ["tail"]}, UsageError, "tail: no such stage"),
        ({"images": "none"}, DataError, "none"),
        ({"images": "."}, DataError, "no picture"),
    ],
)
def test_a_mistake_is_named(made: Made, tmp_path: Path, how: dict[str, object], error: type[Exception], said: str) -> None:
    images = tmp_path / str(how["images"]) if "images" in how else made.images
    with pytest.raises(error, match=said):
        quantize_bundle(made.folder, images, floats=how.get("floats", ()))  # type: ignore[arg-type]


def test_the_record_says_what_it_cost_and_the_card_follows(made: Made, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "tiny")
    report = judge(copy.folder, made.calibration, copy.examples, tmp_path / "calib", "drive-seg quantize tiny", runs=3)
    written = {name: json.loads((tmp_path / "calib" / f"{name}.json").read_text()) for name in ("frames", "ranges", "report")}
    assert written == {"frames": made.calibration.frames, "ranges": made.calibration.ranges, "report": json.loads(json.dumps(report))}
    assert copy.bundle.card.precision == report["precision"]
    for runtime, found in report["measured"].items():
        assert found["same_labels"] >= 0.98, runtime
        assert found["float"]["precision"] in ("fp32", "bf16", "fp16")
        assert found["int8"]["precision"] == "int8"
        for side in ("float", "int8"):
            assert list(found[side]["p50_ms"]) == ["low", "high", "head", "total"]
            assert 0.5 < found[side]["miou"] <= 1
    page = (tmp_path / "calib" / "report.md").read_text()
    assert report["why"] in page
    assert f"| **mIoU** | **{found['float']['miou']:.4f}** | **{found['int8']['miou']:.4f}** |" in page
    assert str(tmp_path) not in page + json.dumps(written)


def test_a_bundle_that_prefers_int8_is_compared_with_its_floats_all_the_same(made: Made, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "tiny")
    write_card(copy.bundle.card.model_copy(update={"precision": "int8"}), copy.folder)
    found = compare(copy.bundle, "onnxruntime", copy.examples(), runs=1)
    assert (found["float"]["precision"], found["int8"]["precision"]) == ("fp32", "int8")


def test_without_labels_the_times_are_compared_alone(made: Made) -> None:
    found = compare(made.bundle, "onnxruntime", ((image, None) for image, _ in made.examples()), runs=2)
    assert (found["float"]["miou"], found["int8"]["iou"]) == (None, None)
    assert preferred(found)[0] == "int8"


@pytest.mark.parametrize(
    ("before", "after", "precision", "said"),
    [
        ((9.0, 0.700), (6.0, 0.696), "int8", "exact enough"),
        ((9.0, 0.700), (6.0, 0.694), None, "too much is lost"),
        ((9.0, 0.700), (9.1, 0.705), "int8", "exact enough"),  # slower here, and perhaps not elsewhere
        ((9.0, None), (6.0, None), "int8", "nobody measured"),
    ],
)
def test_int8_is_preferred_where_it_loses_little(
    before: tuple[float, float | None], after: tuple[float, float | None], precision: str | None, said: str
) -> None:
    sides = {
        name: {"precision": "bf16", "p50_ms": {"total": time}, "miou": miou} for name, (time, miou) in (("float", before), ("int8", after))
    }
    assert preferred(sides)[0] == precision
    assert said in preferred(sides)[1]


def test_the_command_writes_the_files_and_the_record(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = made.copy(tmp_path / "tiny")
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
        for path in sorted((made.images.parent / name).iterdir())[:2]:
            (tmp_path / name / path.name).symlink_to(path)
    checked = ["--check-images", str(tmp_path / "images"), "--check-labels", str(tmp_path / "labels")]
    with pytest.raises(SystemExit) as end:
        cli.main(
            ["quantize", str(copy.folder), "--images", str(made.images), "--frames", "3", *checked, "--calib", str(tmp_path / "calib")]
        )
    assert end.value.code == 0
    report = json.loads((tmp_path / "calib" / "tiny" / "report.json").read_text())
    assert report["why"] in capsys.readouterr().out
    assert report["calibration"] == {"folder": "images", "pictures": 3}
    assert report["command"].startswith(f"drive-seg quantize {copy.folder} --images {made.images} --frames 3 --check-images")
    with pytest.raises(SystemExit) as end:
        cli.main(["quantize", str(copy.folder), "--images", str(made.images), "--check-images", str(made.images)])
    assert end.value.code == 2


class KeyedLow(nn.Module):
    """The tiny network's low, an embedding at 1/16, and a score from it and the key's."""

    def __init__(self, low: nn.Module) -> None:
        super().__init__()
        self.low, self.embed = low, nn.Conv2d(16, 4, 3, 2, padding=1)
        self.compare = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 1, 1))

    def forward(self, image: Tensor, key_embedding: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fine, detail = self.low(image)
        embedding = self.embed(detail)
        return fine, detail, embedding, self.compare(torch.cat([embedding, key_embedding], 1)).sigmoid().mean((1, 2, 3))


class Carry(nn.Module):
    """A head that attends to the key's context and carries it on from frame to frame."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head, self.offer, self.bias = head, nn.Conv2d(4, 4, 1), nn.Parameter(torch.ones(1))
        self.mix = nn.Conv2d(16, 16, 1)

    def forward(
        self, fine: Tensor, detail: Tensor, embedding: Tensor, key_embedding: Tensor, context: Tensor, last_context: Tensor
    ) -> tuple[Tensor, Tensor]:
        asked, offered = embedding.flatten(2).transpose(1, 2), self.offer(key_embedding).flatten(2)
        attention = (asked @ offered + self.bias).softmax(2)
        gathered = (attention @ context.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(context.shape)
        state = context + 0.1 * self.mix(gathered) + 0.1 * self.mix(last_context)
        return self.head.labels(fine, detail, state), state


@pytest.fixture(scope="module")
def keyed(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The tiny bundle with a keyed low, a score, and a head for the propagation `carry`."""
    copy = made.copy(tmp_path_factory.mktemp("keyed") / "tiny")
    card, network = copy.bundle.card, read_network(copy.bundle)
    torch.manual_seed(0)
    low, image = KeyedLow(network.low), torch.from_numpy(draw(0)[0])[None]
    with torch.no_grad():
        fine, detail, embedding, _ = low(image, torch.zeros(1, 4, 3, 4))
        context = network.high(detail)
        parts = {"fine": fine, "detail": detail, "embedding": embedding, "key_embedding": embedding, "context": context}

    def stage(file: str, module: nn.Module, inputs: dict[str, Tensor], outputs: tuple[str, ...]) -> StageCard:
        (copy.folder / file).write_bytes(export_stage(StageModule(module, inputs, outputs)))
        return StageCard(file=file, sha256=sha256(copy.folder / file), inputs=tuple(inputs), outputs=outputs, gflop=1.0)

    keyed_low = stage("low.onnx", low, {"image": image, "key_embedding": embedding}, ("fine", "detail", "embedding", "score"))
    carry = stage("head.carry.onnx", Carry(network.head), parts | {"last_context": context}, ("labels", "next_context"))
    changed = {
        "stages": {**card.stages, "low": keyed_low}, "heads": {"carry": carry}, "score": "score",
        "key_inputs": {"key_embedding": KeyInputCard(channels=4, stride=16)}, "propagations": ("hold", "carry"),
    }  # fmt: skip
    write_card(Card.model_validate(card.model_copy(update=changed).model_dump()), copy.folder)
    return Made(copy.folder, copy.images, quantize_bundle(copy.folder, copy.images, 5))


def rounded_inputs(model: onnx.ModelProto) -> dict[str, list[bool]]:
    """Of every node, by its name: whether each input has been rounded."""
    rounded = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return {node.name: [name in rounded for name in node.input] for node in model.graph.node}


def test_a_propagations_head_becomes_int8_and_its_attention_does_not(keyed: Made) -> None:
    head = keyed.bundle.card.heads["carry"]
    assert head.int8 is not None
    model = onnx.load(keyed.folder / head.int8.file)
    rounded, node = rounded_inputs(model), {node.name: node for node in model.graph.node}
    assert all(rounded[name][:2] == [True, True] for name in node if node[name].op_type == "Conv")
    assert not any(any(rounded[name]) for name in node if node[name].op_type in ("MatMul", "Softmax"))
    maker = {name: one for one in model.graph.node for name in one.output}
    bias = next(maker[one.input[0]] for one in model.graph.node if one.op_type == "Softmax")
    assert (bias.op_type, any(rounded[bias.name])) == ("Add", False)
    assert any(any(rounded[name]) for name in node if node[name].op_type == "Add")


def test_what_is_for_the_score_alone_stays_in_floats(keyed: Made) -> None:
    model = onnx.load(keyed.bundle.onnx("low", int8=True))
    rounded = rounded_inputs(model)
    convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
    assert {name: any(rounded[name]) for name in convs} == {name: "compare" not in name for name in convs}
    assert sum("compare" in name for name in convs) == 2
    found = {}
    for precision in ("fp32", "int8"):
        with Engine(keyed.bundle, open_backend("openvino", device="cpu", precision=precision, threads=1)) as engine:
            engine.fit((48, 64))
            low = engine.low(to_input(draw(1)[0], engine.input_hw), {})
            found[precision] = float(engine.low(to_input(draw(5)[0], engine.input_hw), engine.keep(low))["score"].item())
    assert 0 < found["fp32"] < 1
    assert found["int8"] == pytest.approx(found["fp32"], abs=0.01)


def test_a_head_is_calibrated_on_the_context_of_its_key_which_is_another_picture_or_its_own(keyed: Made) -> None:
    contexts, embeddings = list[Array](), list[Array]()
    for name in keyed.calibration.frames["frames"]:
        tensors: dict[str, Array] = {"image": to_input(read_picture(keyed.images / name), SIZE_HW)}
        tensors["key_embedding"] = np.zeros((1, 4, 8, 10), np.float32)
        for stage in ("low", "high"):
            session = onnxruntime.InferenceSession(float_model(keyed.bundle, stage).SerializeToString())
            outputs = [output.name for output in session.get_outputs()]
            given = {port.name: tensors[port.name] for port in session.get_inputs()}
            tensors |= dict(zip(outputs, session.run(outputs, given), strict=True))
        contexts.append(tensors["context"])
        embeddings.append(tensors["embedding"])
    keys = [0, 1, 1, 3, 3]
    for name, own in (("context", contexts), ("last_context", contexts), ("key_embedding", embeddings)):
        row = keyed.calibration.ranges["carry"][name]
        expected = np.mean([(own[key].min(), own[key].max()) for key in keys], 0)
        assert (row["low"], row["high"]) == pytest.approx(tuple(expected), abs=1e-4)


def test_a_learned_propagation_keeps_its_labels_in_int8_on_every_backend(keyed: Made) -> None:
    pictures = [draw(index // 2)[0] for index in range(6)]
    for name in RUNTIMES:
        shown = {}
        for precision in ("fp32", "int8"):
            backend = open_backend(name, device="cpu", precision=precision, threads=1)
            with Engine(keyed.bundle, backend, "carry") as engine:
                pipeline = Pipeline(engine, parse_schedule("clockwork:3"), propagation=Hold("carry"))
                results = [pipeline.step(Frame(picture, i, i / 30)) for i, picture in enumerate(pictures)]
            assert [result.is_key for result in results] == [True, False, False] * 2
            shown[precision] = np.stack([result.labels for result in results])
        assert len(np.unique(shown["fp32"])) == 3
        assert (shown["fp32"] == shown["int8"]).mean() >= 0.98, name


def test_a_propagations_head_can_stay_in_floats_and_its_time_is_told(keyed: Made, tmp_path: Path) -> None:
    copy = keyed.copy(tmp_path / "tiny")
    with pytest.raises(UsageError, match=r"attend: no such stage or learned propagation; there are low, high, head, carry"):
        quantize_bundle(copy.folder, copy.images, 2, floats=["attend"])
    calibration = quantize_bundle(copy.folder, copy.images, 2, floats=["carry"])
    assert set(calibration.ranges) == {"low", "high", "head"}
    assert not (copy.folder / "head.carry.int8.onnx").exists()
    assert copy.bundle.card.heads["carry"].int8 is None
    report = judge(copy.folder, calibration, copy.examples, tmp_path / "calib", "drive-seg quantize tiny", runs=2)
    for found in report["measured"].values():
        assert all(found[side]["heads_p50_ms"]["carry"] > 0 for side in ("float", "int8"))
    assert report["kilobytes"]["carry"][1] is None
    assert "| head for carry, ms |" in (tmp_path / "calib" / "report.md").read_text()


def test_a_picture_that_is_cut_short_is_not_calibrated_on(made: Made, tmp_path: Path) -> None:
    data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
    (tmp_path / "0.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"0\.jpg: is cut short; mend the file, or take it away$"):
        quantize_bundle(made.folder, tmp_path)


def test_the_shipped_bundle_loses_at_most_three_thousandths_in_int8() -> None:
    bundle = load_bundle("camvid")
    if not bundle.card.quantised:
        pytest.skip("the shipped bundle has no int8 stages")
    if not CLIP.is_dir():
        pytest.skip("CamVid's clip is not here (shared/data/camvid/clip)")
    miou = {}
    for precision in ("fp32", "int8"):
        backend = open_backend("openvino", device=None, precision=precision, threads=None)
        with Engine(bundle, backend) as engine:
            samples = islice(from_pairs((CLIP / "images", CLIP / "labels"), engine.classes), 0, None, 3)
            miou[precision] = evaluate(Pipeline(engine, EveryFrame()), samples)["miou"]
    assert miou["fp32"] - miou["int8"] <= (0.003 if sums_int8_exactly("openvino") else 0.005)
