"""Which TensorRT there is is found out by what it can do, and an absent one has its remedy."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from drive_seg.backends.tensorrt import flavour
from drive_seg.backends.tensorrt.flavour import Flavour, find_flavour
from drive_seg.errors import BackendError


def api(**more: Any) -> Any:
    """What all of them have."""
    module = ModuleType("some_tensorrt")
    module.__dict__.update(__version__="10.9.0.34", Builder=object, IBuilderConfig=type("C", (), {}), DataType=SimpleNamespace(HALF=1))
    module.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=2)
    module.__dict__.update(more)
    return module


def test_tensorrt_10_builds_on_its_gpu_and_is_asked_for_types() -> None:
    found = Flavour("tensorrt", api())
    assert (found.ahead_of_time, found.network_flags, found.targets) == (False, 4, ())
    assert "fp8" not in found.precisions
    assert found.title == "TensorRT 10.9.0.34"


def test_a_tensorrt_that_knows_nothing_but_types_is_not_asked() -> None:
    found = Flavour("tensorrt", api(NetworkDefinitionCreationFlag=SimpleNamespace(), DataType=SimpleNamespace(FP8=9)))
    assert found.network_flags == 0
    assert found.precisions[-1] == "fp8"


@pytest.mark.tensorrt
def test_tensorrt_for_rtx_builds_ahead_of_time_and_says_for_what() -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    found = find_flavour(here=False)
    assert (found.package, found.ahead_of_time) == ("tensorrt_rtx", True)
    assert {"8.9", "12.0"} <= set(found.targets)
    assert found.precisions == ("fp16", "fp32", "int8", "fp8")


def having(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(flavour, "installed", lambda name: name in packages)
    for name in packages:
        monkeypatch.setitem(sys.modules, name, api())


def test_the_one_for_data_centres_is_taken_first_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, "tensorrt", "tensorrt_rtx")
    assert find_flavour().package == "tensorrt"
    assert find_flavour(here=False).package == "tensorrt_rtx"
    assert find_flavour(package="tensorrt_rtx").package == "tensorrt_rtx"
    having(monkeypatch, "tensorrt_rtx")
    assert find_flavour().package == "tensorrt_rtx"


@pytest.mark.parametrize(
    ("here", "package", "says", "install"),
    [
        (True, None, "TensorRT is not installed", "drive-seg[tensorrt]"),
        (False, None, "builds without a GPU", "drive-seg[tensorrt-rtx]"),
        (True, "tensorrt", "TensorRT is not installed", "drive-seg[tensorrt]"),
    ],
)
def test_an_absent_one_has_its_remedy(monkeypatch: pytest.MonkeyPatch, here: bool, package: str | None, says: str, install: str) -> None:
    having(monkeypatch)
    with pytest.raises(BackendError, match="is not installed") as caught:
        find_flavour(here, package)
    assert says in str(caught.value)
    assert install in str(caught.value).partition("; ")[2]


def test_one_without_its_libraries_is_said_to_be_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, "tensorrt")
    del sys.modules["tensorrt"].Builder
    with pytest.raises(BackendError, match=r"TensorRT does not start.*Builder"):
        find_flavour()
