"""Which of a bundle's files run: as asked for, else as the card prefers where int8 pays. And what becomes of frames as they are."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Array, Frame, Image, Labels, Stage, Tensors, TensorSpec
from drive_seg.errors import BackendError, UsageError
from drive_seg.network.card import sha256
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.preprocess import to_input
from drive_seg.network.propagate import Hold
from drive_seg.network.schedule import parse_schedule
from tests.fakes import FakeBackend, FakeStage, make_bundle, make_picture_bundle, make_two_rate_bundle


def files(tmp_path: Path, wanted: bool | None, precision: str | None, int8: tuple[str, ...] = ("low", "high", "head")) -> list[str]:
    """The files that an engine loads on a backend whose `int8` is `wanted`, from a bundle that prefers `precision`."""
    backend = FakeBackend(wanted)
    with Engine(make_bundle(tmp_path / "net", int8=int8, precision=precision), backend) as engine:
        engine.fit((24, 32))
    return [Path(path).name for path in backend.paths]


FLOATS = ["low.onnx", "high.onnx", "head.onnx"]
INT8 = ["low.int8.onnx", "high.int8.onnx", "head.int8.onnx"]


@pytest.mark.parametrize(
    ("wanted", "precision", "loaded"),
    [
        (None, "int8", INT8),
        (None, None, FLOATS),
        (True, None, INT8),
        (True, "int8", INT8),
        (False, "int8", FLOATS),
    ],
)
def test_what_is_asked_for_comes_before_what_the_card_prefers(
    tmp_path: Path, wanted: bool | None, precision: str | None, loaded: list[str]
) -> None:
    assert files(tmp_path, wanted, precision) == loaded


def test_a_stage_that_was_not_quantised_runs_in_floats(tmp_path: Path) -> None:
    assert files(tmp_path, None, "int8", int8=("low", "high")) == ["low.int8.onnx", "high.int8.onnx", "head.onnx"]


def test_int8_that_is_not_there_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"net has no int8 stages; .*drive-seg quantize"):
        files(tmp_path, True, None, int8=())


class Painter:
    """A PaintStage on the host: of each pixel's label its colour's share, and nothing of the picture."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self._size_hw, self.closed = size_hw, False

    def __call__(self, labels: Labels, colours: Array, shares: Array) -> Image:
        assert labels.shape == self._size_hw
        return np.asarray(colours[labels] * shares[labels], np.uint8)

    def close(self) -> None:
        self.closed = True


class FrameBackend(FakeBackend):
    """A TakingFrames."""

    def __init__(self, paints: bool) -> None:
        super().__init__()
        self._paints, self.painters, self.asked = paints, list[Painter](), 0
        self.reduced: list[tuple[int, int]] = []

    def load_reducing(
        self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]], picture: str, frame_hw: tuple[int, int]
    ) -> FakeStage:
        self.reduced.append(frame_hw)
        return self.load(onnx_path, input_shapes)

    def load_painter(self, stage: Stage, picture: str, labels_hw: tuple[int, int]) -> Painter:
        self.asked += 1
        assert stage is self.loaded["low"][-1]
        assert picture == "image"
        if not self._paints:
            raise BackendError("no room")
        self.painters.append(Painter(labels_hw))
        return self.painters[-1]


@pytest.mark.parametrize("paints", [True, False])
def test_a_backend_that_takes_frames_is_given_them_and_paints_them_if_it_can(tmp_path: Path, paints: bool) -> None:
    backend, tables = FrameBackend(paints), (np.full((256, 3), 200, np.float32), np.full((256, 1), 0.5, np.float32))
    with Engine(make_bundle(tmp_path / "net"), backend) as engine:
        engine.fit((48, 64))
        assert (engine.input_hw, backend.reduced) == ((48, 64), [(48, 64)])
        frame = np.full((48, 64, 3), 7, np.uint8)
        assert np.shares_memory(to_input(frame, engine.input_hw), frame)  # nothing is left to be done
        low = engine.low(to_input(frame, engine.input_hw), {})
        labels = engine.head(low, engine.deep("high", low), fresh=True)
        assert not backend.painters
        for _ in range(2):
            painted = engine.overlay(labels, *tables)
            assert painted is None if not paints else (painted == 100).all()
        assert backend.asked == 1  # it is kept, and what cannot be had is not asked for again
        assert engine.overlay(np.zeros((48, 64), np.uint8), *tables) is None  # not the network's size
        engine.fit((24, 32))  # the network's own: nothing to reduce
        assert backend.reduced == [(48, 64)]
        assert [one.closed for one in backend.painters] == [True] * paints
    assert all(one.closed for one in backend.painters)


def test_a_cached_stage_may_read_the_picture_which_is_reduced_for_it_too(tmp_path: Path) -> None:
    backend = FrameBackend(paints=False)
    with Engine(make_picture_bundle(tmp_path / "net"), backend) as engine:
        assert engine.deep_takes == ("image",)
        engine.fit((48, 64))
        assert backend.reduced == [(48, 64), (48, 64)]
        picture = np.full((1, 48, 64, 3), 9, np.uint8)
        low = engine.low(picture, {})
        assert low["image"] is picture
        assert (engine.head(low, engine.deep("high", low), fresh=True) == 9).all()
    with Engine(make_bundle(tmp_path / "plain"), FakeBackend()) as engine:
        engine.fit((24, 32))
        assert "image" not in engine.low(picture[:, :24, :32], {})


def test_any_other_backend_is_given_what_the_network_takes_and_paints_nothing(tmp_path: Path) -> None:
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        engine.fit((48, 64))
        assert engine.input_hw == (24, 32)
        assert engine.overlay(np.zeros((12, 16), np.uint8), np.zeros((256, 3)), np.zeros((256, 1))) is None


class CarryingBackend(FakeBackend):
    """Also runs a head that counts on from the context it began with."""

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> FakeStage:
        if Path(onnx_path).name != "carry.onnx":
            return super().load(onnx_path, input_shapes)
        assert input_shapes["last_context"] == input_shapes["context"]
        _, _, height, width = input_shapes["detail"]
        specs = {name: TensorSpec(name, "float32", shape) for name, shape in input_shapes.items()}
        outputs = {"labels": np.zeros((1, height * 4, width * 4), np.uint8), "next_context": np.zeros(input_shapes["context"], np.float32)}

        def compute(inputs: Tensors, outputs: dict[str, Array]) -> None:
            outputs["labels"][:] = inputs["last_context"].mean()
            outputs["next_context"][:] = inputs["last_context"] + 1

        return FakeStage(specs, outputs, compute)


def test_a_heads_state_goes_from_frame_to_frame_and_begins_with_each_keys_context(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "carry.onnx").write_bytes(b"carry")
    carry = {"file": "carry.onnx", "sha256": sha256(tmp_path / "net" / "carry.onnx"), "gflop": 1.0}
    heads = {"carry": carry | {"inputs": ["detail", "context", "last_context"], "outputs": ["labels", "next_context"]}}
    bundle = make_bundle(tmp_path / "net", heads=heads, propagations=["hold", "carry"])
    with Engine(bundle, CarryingBackend(), "carry") as engine:
        pipeline = Pipeline(engine, parse_schedule("clockwork:4"), propagation=Hold("carry"))
        blues = [100, 101, 102, 103, 120, 121, 122, 123]
        results = [pipeline.step(Frame(np.full((24, 32, 3), blue, np.uint8), i, i / 30)) for i, blue in enumerate(blues)]
    assert [int(result.labels[0, 0]) for result in results] == [100, 100, 101, 102, 120, 120, 121, 122]


def test_what_a_deeper_stage_and_the_head_read_is_context_too(tmp_path: Path) -> None:
    stages = json.loads(make_two_rate_bundle(tmp_path / "net").card.model_dump_json())["stages"]
    stages["high"]["inputs"] = ["part"]
    with Engine(make_bundle(tmp_path / "net", stages=stages), FakeBackend()) as engine:
        assert (engine.deep_takes, engine.deep_gives) == (("detail",), ("pool", "part", "context"))
    stages["mid"]["outputs"] = ["part"]
    with Engine(make_bundle(tmp_path / "net", stages=stages), FakeBackend()) as engine:
        assert engine.deep_gives == ("part", "context")


class FakeBeside:
    """A StageBeside that is done when it is told to."""

    def __init__(self, name: str) -> None:
        self.inputs, self.outputs = (), (TensorSpec(name, "float32", (1,)),)
        self.name, self.buffer = name, np.zeros(1, np.float32)
        self.running = self.done = self.closed = False

    def start(self) -> None:
        self.running, self.done = True, False

    def take(self) -> tuple[Tensors, float] | None:
        return ({self.name: self.buffer}, 2.5) if self.done else None

    def close(self) -> None:
        self.closed = True


class StreamingBackend(FakeBackend):
    """A Streaming whose stages give one tensor each, named after their file. The one called `broken` cannot be loaded."""

    def __init__(self, broken: str = "") -> None:
        super().__init__()
        self.broken, self.beside = broken, dict[str, FakeBeside]()
        self.told: dict[str, tuple[Mapping[str, object], Mapping[str, tuple[int, ...]]]] = {}

    def load_beside(self, onnx_path: str, sources: Mapping[str, object], pictures: Mapping[str, tuple[int, ...]]) -> FakeBeside:
        name = Path(onnx_path).name.partition(".")[0]
        if name == self.broken:
            raise BackendError("no room")
        self.told[name] = sources, pictures
        self.beside[name] = FakeBeside(name)
        return self.beside[name]


def test_stages_beside_are_fed_by_low_and_by_each_other(tmp_path: Path) -> None:
    backend, stages = StreamingBackend(), json.loads(make_two_rate_bundle(tmp_path / "net").card.model_dump_json())["stages"]
    stages["high"]["inputs"] = ["pool", "detail"]
    with Engine(make_bundle(tmp_path / "net", stages=stages), backend) as engine:
        engine.fit((24, 32))
        deep = engine.beside(backend)
        mid, high = backend.beside["mid"], backend.beside["high"]
        low = backend.loaded["low"][0]
        assert backend.told == {"mid": ({"detail": low}, {}), "high": ({"pool": mid, "detail": low}, {})}
        deep.start()
        assert (mid.running, high.running) == (True, True)
        mid.done = True
        assert deep.take() is None  # the deeper one is not done
        high.done = True
        made, took = deep.take() or ({}, {})
        assert (set(made), took) == ({"mid", "high"}, {"mid": 2.5, "high": 2.5})
        high.buffer[:] = 9  # the next run's
        assert made["high"][0] == 0
        deep.close()
        assert (mid.closed, high.closed) == (True, True)


def test_a_stage_beside_that_reads_the_picture_is_given_lows(tmp_path: Path) -> None:
    backend = StreamingBackend()
    with Engine(make_picture_bundle(tmp_path / "net"), backend) as engine:
        engine.fit((24, 32))
        engine.beside(backend).close()
        assert backend.told == {"high": ({"image": backend.loaded["low"][0]}, {"image": (1, 24, 32, 3)})}


def test_where_one_stage_beside_cannot_be_loaded_none_is_left_open(tmp_path: Path) -> None:
    backend = StreamingBackend(broken="high")
    with Engine(make_two_rate_bundle(tmp_path / "net"), backend) as engine:
        engine.fit((24, 32))
        with pytest.raises(BackendError, match="no room"):
            engine.beside(backend)
    assert backend.beside["mid"].closed


def test_engines_for_several_cameras_have_each_stage_once_and_the_last_one_closes_it(tmp_path: Path) -> None:
    backend, made = FakeBackend(), make_bundle(tmp_path / "net")
    one = Engine(made, backend)
    two, three = one.again(), one.again()
    for engine, size_hw in ((one, (24, 32)), (two, (24, 32)), (three, (48, 16))):
        engine.fit(size_hw)
    assert {stage: len(loaded) for stage, loaded in backend.loaded.items() if loaded} == {"low": 2, "high": 2, "head": 2}
    one.close()
    one.close()
    assert not any(stage.closed for loaded in backend.loaded.values() for stage in loaded)
    two.fit((48, 16))  # which three has
    assert [stage.closed for stage in backend.loaded["low"]] == [True, False]
    two.close()
    three.close()
    assert all(stage.closed for loaded in backend.loaded.values() for stage in loaded)
    assert len(backend.loaded["low"]) == 2


class Counting(FakeBackend):
    """Its head's state is the context of the key frame, and one more with every other frame of a camera."""

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> FakeStage:
        plain = super().load(onnx_path, input_shapes)
        if "last_context" not in input_shapes:
            return plain

        def compute(inputs: Tensors, outputs: dict[str, Array]) -> None:
            outputs["next_context"][:] = inputs["last_context"] + 1
            outputs["labels"][:] = outputs["next_context"].mean()

        outputs = {"labels": np.zeros((1, 12, 16), np.uint8), "next_context": np.zeros(input_shapes["last_context"], np.float32)}
        return FakeStage({spec.name: spec for spec in plain.inputs}, outputs, compute)


def test_what_a_head_carries_from_frame_to_frame_is_each_cameras_own(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "attend.onnx").write_bytes(b"attend.onnx")
    head = {"file": "attend.onnx", "sha256": sha256(tmp_path / "net" / "attend.onnx"), "gflop": 1.0}
    head |= {"inputs": ["detail", "context", "last_context"], "outputs": ["labels", "next_context"]}
    made = make_bundle(tmp_path / "net", heads={"recurrent": head}, propagations=["hold", "recurrent"])
    one = Engine(made, Counting(), "recurrent")
    pipelines = [Pipeline(engine, parse_schedule("clockwork:9"), owns_engine=True) for engine in (one, one.again())]
    shown = [[], []]  # type: list[list[int]]
    for index in range(4):
        for camera, pipeline in enumerate(pipelines):
            picture = np.full((24, 32, 3), 10 + 100 * camera, np.uint8)
            shown[camera].append(int(pipeline.step(Frame(picture, index, index / 30)).labels[0, 0]))
    assert shown == [[10, 11, 12, 13], [110, 111, 112, 113]]
    for pipeline in pipelines:
        pipeline.close()
