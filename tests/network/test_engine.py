"""Which of a bundle's files run: as asked for, else as the card prefers where int8 pays. And what becomes of frames as they are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Array, Image, Labels, Stage
from drive_seg.errors import BackendError, UsageError
from drive_seg.network.engine import Engine
from drive_seg.network.preprocess import to_input
from tests.fakes import FakeBackend, FakeStage, make_bundle, make_picture_bundle


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
