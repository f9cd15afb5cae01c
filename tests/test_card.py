"""A bundle is whole, or it is not run."""

import json
from pathlib import Path

import pytest

from drive_seg.card import load_bundle
from drive_seg.errors import BundleError, UsageError
from tests.fakes import make_bundle


def test_a_whole_bundle_is_loaded_by_path(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "net")
    assert load_bundle(str(tmp_path / "net")) == made
    assert made.onnx("high") == str(tmp_path / "net" / "high.onnx")


def test_a_bundle_is_found_by_name_in_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(tmp_path / "engines" / "net")
    monkeypatch.chdir(tmp_path)
    assert load_bundle("net").card.name == "net"


@pytest.mark.parametrize("name", ["low.onnx", "high.onnx", "head.onnx"])
def test_an_altered_file_is_named(tmp_path: Path, name: str) -> None:
    make_bundle(tmp_path / "net")
    (tmp_path / "net" / name).write_bytes(b"something else")
    with pytest.raises(BundleError, match=rf"{name}.*SHA-256"):
        load_bundle(str(tmp_path / "net"))


@pytest.mark.parametrize("name", ["head.onnx", "head.int8.onnx"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    make_bundle(tmp_path / "net", int8=("head",))
    (tmp_path / "net" / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}.*missing"):
        load_bundle(str(tmp_path / "net"))


def test_an_unknown_name_lists_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(tmp_path / "engines" / "net")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"nett: no such model; there .*net"):
        load_bundle("nett")


def test_a_folder_without_a_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"card\.json"):
        load_bundle(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"palette": [(1, 2, 3)]}, "3 classes but 1 colours"),
        ({"stages": {}}, "no stage"),
        ({"surprise": 1}, "surprise"),
        ({"precision": "int8"}, "no stage has int8"),
        ({"change": "depth"}, "low puts out no depth"),
        ({"score": "score"}, "low puts out no score"),
        ({"key_inputs": {"key_depth": {"channels": 8, "stride": 16}}}, "low puts out no depth"),
        ({"key_inputs": {"depth": {"channels": 8, "stride": 16}}}, "key_"),
        ({"propagations": ["hold", "attend"]}, "no head for the propagation attend"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        make_bundle(tmp_path / "net", **change)


def test_a_card_that_is_no_json_is_refused(tmp_path: Path) -> None:
    make_bundle(tmp_path / "net")
    card = tmp_path / "net" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()))[:-5])
    with pytest.raises(BundleError, match=r"card\.json"):
        load_bundle(str(tmp_path / "net"))
