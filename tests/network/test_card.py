"""A bundle is whole, or it is not run."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drive_seg.errors import BundleError, UsageError
from drive_seg.network import card
from drive_seg.network.card import everywhere, load_bundle, locate, names
from drive_seg.network.propagate import FOR_ALL
from drive_seg.settings import DEFAULT_MODEL
from tests.fakes import make_bundle, make_keyed_bundle


def test_a_whole_bundle_is_loaded_by_path(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "net")
    assert load_bundle(str(tmp_path / "net")) == made
    assert made.onnx("high") == str(tmp_path / "net" / "high.onnx")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """An installed package's, the user's, and here: where names are looked up, in this order."""
    monkeypatch.setattr(card, "user_data_path", lambda *_, **__: tmp_path / "data")
    monkeypatch.setattr(card, "PACKAGE", tmp_path / "lib" / "drive_seg")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = tmp_path / "lib" / "drive_seg" / "engines", tmp_path / "data" / "engines", tmp_path / "here" / "engines"
    for folder in found:
        folder.mkdir(parents=True)
    return found


def test_what_comes_with_the_program_is_there_wherever_it_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_bundle(DEFAULT_MODEL).note == ""


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_name_is_looked_up_in_the_package_then_in_the_users_folder_then_here(places: tuple[Path, ...], first: int) -> None:
    for folder in places[first:]:
        make_bundle(folder / "net")
    bundle = load_bundle("net")
    assert bundle.folder.resolve() == places[first] / "net"
    assert [folder.resolve() for folder in bundle.hides] == [folder / "net" for folder in places[first + 1 :]]
    assert names() == ["net"]
    assert [folder.resolve() for folder in everywhere()["net"]] == [folder / "net" for folder in places[first:]]


def test_a_bundle_that_hides_another_says_which_it_is(places: tuple[Path, ...]) -> None:
    make_bundle(places[2] / "net")
    assert load_bundle("net").note == ""
    make_bundle(places[0] / "net")
    assert load_bundle("net").note == f"net means {places[0] / 'net'}; --model ./engines/net is another one"
    for path in (str(places[0] / "net"), "./engines/net", places[2] / "net"):
        assert load_bundle(path).note == ""  # a path means what it says


def test_one_folder_in_two_places_hides_nothing(places: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(places[0] / "net")
    monkeypatch.chdir(places[0].parent)
    assert load_bundle("net").note == ""


def test_a_name_is_no_folder_that_happens_to_be_here(places: tuple[Path, ...]) -> None:
    make_bundle(Path("net"))
    with pytest.raises(UsageError, match=r"net: no such model; there are none \(the folder that is here is \./net\)"):
        locate("net")
    assert locate("./net") == Path("net")
    make_bundle(places[0] / "net")
    assert locate("net") == places[0] / "net"
    with pytest.raises(UsageError, match=r"\./other: no such folder; give .* a name: net"):
        locate("./other")


def test_a_users_folder_that_may_not_be_read_is_passed_over(places: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(places[2] / "net")
    glob = Path.glob

    def closed(path: Path, pattern: str) -> Iterator[Path]:
        if path == places[1]:
            raise PermissionError(13, "Permission denied", str(path))
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", closed)
    assert locate("net").resolve() == places[2] / "net"


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


def test_weights_that_no_sha_256_describes_are_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [onnx.numpy_helper.from_array(np.zeros(4), "w")]))
    onnx.save(model, tmp_path / "other.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    bundle = make_bundle(tmp_path / "net")
    (tmp_path / "net" / "low.onnx").write_bytes((tmp_path / "other.onnx").read_bytes())
    told = json.loads(bundle.card.model_dump_json())
    told["stages"]["low"]["sha256"] = card.sha256(tmp_path / "net" / "low.onnx")
    (tmp_path / "net" / "card.json").write_text(json.dumps(told))
    with pytest.raises(BundleError, match=r"low\.onnx: takes weights from another file"):
        load_bundle(tmp_path / "net")


def test_a_propagation_changes_the_head_alone(tmp_path: Path) -> None:
    bundle = make_keyed_bundle(tmp_path / "net")
    found = {stage: Path(bundle.onnx(stage, propagation="attend")).name for stage in ("low", "high", "head")}
    assert found == {"low": "low.onnx", "high": "high.onnx", "head": "attend.onnx"}


def test_an_unknown_name_lists_what_there_is(places: tuple[Path, ...]) -> None:
    make_bundle(places[0] / "net")
    with pytest.raises(UsageError, match=r"nett: no such model; there is net \(or give a folder, as \./folder\)"):
        load_bundle("nett")


def test_an_unknown_name_lists_all_there_are(places: tuple[Path, ...]) -> None:
    for place, name in ((0, "two"), (1, "one"), (2, "two")):
        make_bundle(places[place] / name)
    with pytest.raises(UsageError, match=r"nett: no such model; there are one, two \("):
        load_bundle("nett")


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of other systems are platformdirs' affair")
def test_the_users_folder_is_where_this_system_keeps_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert card.folders()[1] == tmp_path / "drive-seg" / "engines"


def test_a_card_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(tmp_path / "net")

    def closed(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", closed)
    with pytest.raises(BundleError, match=r"net/card\.json: cannot be read \(Permission denied\)"):
        load_bundle(tmp_path / "net")


def test_a_folder_without_a_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"card\.json"):
        load_bundle(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"palette": [(1, 2, 3)]}, "the card: .*3 classes but 1 colours"),
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


def test_what_every_network_can_be_propagated_by_needs_no_word_of_the_card(tmp_path: Path) -> None:
    assert make_bundle(tmp_path / "old", propagations=["hold"]).card.propagations == FOR_ALL
    assert make_keyed_bundle(tmp_path / "keyed").card.propagations == (*FOR_ALL, "attend")


def test_a_card_that_is_no_json_is_refused(tmp_path: Path) -> None:
    make_bundle(tmp_path / "net")
    card = tmp_path / "net" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()))[:-5])
    with pytest.raises(BundleError, match=r"card\.json"):
        load_bundle(str(tmp_path / "net"))
