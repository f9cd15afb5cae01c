"""Which of a bundle's files run: as asked for, else as the card prefers where int8 pays."""

from pathlib import Path

import pytest

from drive_seg.engine import Engine
from drive_seg.errors import UsageError
from tests.fakes import FakeBackend, make_bundle


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
