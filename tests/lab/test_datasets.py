"""Every layout is found, ids and colours become the classes that are meant, and what cannot be used is named or left out."""

import re
import threading
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg import cli
from drive_seg.errors import DataError, UsageError
from drive_seg.lab.evaluate.datasets import find_pairs, kinds, load
from drive_seg.lab.evaluate.pairs import VOID, how_many_left_out, read_all
from drive_seg.lab.train.data import split
from drive_seg.lab.train.recipe import Recipe
from tests.sources.clips import DATA
from tests.waiting import PATIENCE_S, until

CAMVID11 = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person",
    "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
SHARED = DATA / "camvid"


def write(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)
    return path


def grey(path: Path, shape: tuple[int, int] = (2, 6)) -> Path:
    return write(path, np.full((*shape, 3), 90, np.uint8))


def ids(path: Path, *values: int) -> Path:
    """A label map of two like rows."""
    return write(path, np.array([values, values], np.uint8))


def colours(path: Path, *values: tuple[int, int, int]) -> Path:
    return write(path, np.array([values, values], np.uint8)[..., ::-1])


def row(pair_labels: np.ndarray) -> list[int]:
    assert (pair_labels[0] == pair_labels[1]).all()
    return list(pair_labels[0].tolist())


@pytest.fixture
def camvid11(tmp_path: Path) -> Path:
    for part, frames in (("train", 3), ("val", 1), ("test", 2)):
        for index in range(frames):
            grey(tmp_path / part / f"0001TP_{index:06}.png")
            ids(tmp_path / f"{part}annot" / f"0001TP_{index:06}.png", 0, 3, 10, 11, 8, 1)
    return tmp_path


@pytest.fixture
def camvid32(tmp_path: Path) -> Path:
    stems = ("0001TP_006690", "0001TP_008550", "0016E5_07920", "0016E5_07959", "0016E5_08159", "0016E5_08190", "Seq05VD_f02610")
    for stem in stems:
        grey(tmp_path / "701_StillsRaw_full" / f"{stem}.png")
        mixed = ((0, 0, 0), (128, 0, 192), (64, 192, 0), (192, 0, 192), (64, 128, 64), (192, 128, 192))
        colours(tmp_path / "LabeledApproved_full" / f"{stem}_L.png", *mixed)
    (tmp_path / "LabeledApproved_full" / "label_colors.txt").write_text("0 0 0\tVoid\n")
    return tmp_path


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    for city, stem in (("aachen", "aachen_000000_000019"), ("ulm", "ulm_000001_000019")):
        grey(tmp_path / "leftImg8bit" / "train" / city / f"{stem}_leftImg8bit.png")
        labels = tmp_path / "gtFine" / "train" / city
        ids(labels / f"{stem}_gtFine_labelIds.png", 7, 8, 33, 25, 0, 15)
        ids(labels / f"{stem}_gtFine_instanceIds.png", 7, 8, 33, 25, 0, 15)
        colours(labels / f"{stem}_gtFine_color.png", *[(128, 64, 128)] * 6)
    return tmp_path


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    for index in range(2):
        grey(tmp_path / "training" / "image_2" / f"{index:06}_10.png")
        ids(tmp_path / "training" / "semantic" / f"{index:06}_10.png", 7, 11, 24, 26, 22, 255)
    return tmp_path


def test_camvid_as_segnets_authors_lay_it_out(camvid11: Path) -> None:
    assert [len(find_pairs(f"camvid11:{camvid11}:{part}", CAMVID11)) for part in ("train", "val", "test")] == [3, 1, 2]
    image, labels = find_pairs(f"camvid11:{camvid11}:train", CAMVID11)[0].read()
    assert image.shape == (2, 6, 3)
    assert row(labels) == [0, 3, 10, VOID, 8, 1]


@pytest.mark.parametrize(("folder", "place"), [("", "camvid11:{}"), ("train", "camvid11:{}:train")])
def test_camvid_in_images_and_labels(tmp_path: Path, folder: str, place: str) -> None:
    grey(tmp_path / folder / "images" / "a.webp")
    ids(tmp_path / folder / "labels" / "a.png", 0, 3, 10, 11, 8, 1)
    (pair,) = find_pairs(place.format(tmp_path), CAMVID11)
    assert (pair.stem, row(pair.read()[1])) == ("a", [0, 3, 10, VOID, 8, 1])


def test_classes_keep_the_order_that_is_asked_for_and_others_are_void(camvid11: Path) -> None:
    pair = find_pairs(f"camvid11:{camvid11}:val", ("car", "road"))[0]
    assert row(pair.read()[1]) == [VOID, 1, VOID, VOID, 0, VOID]


def test_camvids_colours_are_grouped_into_eleven(camvid32: Path) -> None:
    pairs = find_pairs(f"camvid32:{camvid32}", CAMVID11)
    assert len(pairs) == 7
    # void, lane markings, wall, motorcycle, animal, lorry
    names = [VOID, *(CAMVID11.index(name) for name in ("road", "building", "bicyclist", "pedestrian", "car"))]
    assert row(pairs[0].read()[1]) == names


def test_camvids_colours_are_read_as_they_are_too(camvid32: Path) -> None:
    own = load("camvid32").classes
    assert len(own) == 31
    labels = find_pairs(f"camvid32:{camvid32}", own)[0].read()[1]
    named = [own[label] if label != VOID else "void" for label in row(labels)]
    assert named == ["void", "LaneMkgsDriv", "Wall", "MotorcycleScooter", "Animal", "Truck_Bus"]


def test_camvids_one_folder_is_split_by_frames(camvid32: Path) -> None:
    found = {part: [pair.stem for pair in find_pairs(f"camvid32:{camvid32}:{part}", CAMVID11)] for part in ("train", "val", "test")}
    assert found == {
        "train": ["0001TP_006690", "0016E5_07920", "0016E5_08190"],
        "val": ["0016E5_07959", "0016E5_08159"],
        "test": ["0001TP_008550", "Seq05VD_f02610"],
    }


def test_the_one_flawed_label_map_of_camvid_is_forgiven_and_no_other(camvid32: Path) -> None:
    for stem in ("Seq05VD_f02610", "0001TP_008550"):
        colours(camvid32 / "LabeledApproved_full" / f"{stem}_L.png", (128, 64, 128), (26, 26, 26), *[(128, 128, 128)] * 4)
    pairs = {pair.stem: pair for pair in find_pairs(f"camvid32:{camvid32}:test", CAMVID11)}
    assert row(pairs["Seq05VD_f02610"].read()[1]) == [3, VOID, 0, 0, 0, 0]
    with pytest.raises(DataError, match=r"0001TP_008550_L\.png: holds 2 pixels of colours.*\(26, 26, 26\).*--skip-bad"):
        pairs["0001TP_008550"].read()


def test_cityscapes_by_the_ids_that_the_files_come_with(cityscapes: Path) -> None:
    pairs = find_pairs(f"cityscapes:{cityscapes}:train", CITYSCAPES)
    assert [pair.stem.split("_")[0] for pair in pairs] == ["aachen", "ulm"]
    assert row(pairs[0].read()[1]) == [0, 1, 18, 12, VOID, VOID]


def test_cityscapes_train_ids_are_preferred_where_they_were_made(cityscapes: Path) -> None:
    for path in sorted((cityscapes / "gtFine").rglob("*_labelIds.png")):
        ids(path.with_name(path.name.replace("labelIds", "labelTrainIds")), 0, 1, 18, 12, 255, 13)
    pair = find_pairs(f"cityscapes:{cityscapes}:train", CITYSCAPES)[0]
    assert pair.labels.stem.endswith("labelTrainIds")
    assert row(pair.read()[1]) == [0, 1, 18, 12, VOID, 13]


def test_cityscapes_reads_as_camvid(cityscapes: Path) -> None:
    labels = find_pairs(f"cityscapes:{cityscapes}:train", CAMVID11)[0].read()[1]
    assert [CAMVID11[label] for label in row(labels)[:4]] == ["road", "pavement", "bicyclist", "bicyclist"]


def test_kitti_has_cityscapes_ids_and_reads_as_camvid_too(kitti: Path) -> None:
    pairs = find_pairs(f"kitti:{kitti}", CITYSCAPES)
    assert [pair.stem for pair in pairs] == ["000000_10", "000001_10"]
    assert row(pairs[0].read()[1]) == [0, 2, 11, 13, 9, VOID]
    labels = row(find_pairs(f"kitti:{kitti}", CAMVID11)[0].read()[1])
    assert [CAMVID11[label] for label in labels[:5]] == ["road", "building", "pedestrian", "car", "tree"]


def test_a_plain_folder_is_read_by_position(tmp_path: Path) -> None:
    grey(tmp_path / "i" / "a.jpg")
    ids(tmp_path / "l" / "a.png", 0, 1, 2, 3, 255, 0)
    (pair,) = find_pairs((tmp_path / "i", tmp_path / "l"), ("x", "y", "z"))
    assert row(pair.read()[1]) == [0, 1, 2, VOID, VOID, 0]
    ids(tmp_path / "l" / "a.png", 0, 1, 2, 3, 4, 77)
    with pytest.raises(DataError, match=r"a\.png: holds the id 4, 77, which is neither a class nor void; the ids are 0 to 3, 255"):
        pair.read()


@pytest.mark.parametrize(
    ("place", "classes", "error", "said"),
    [
        ("camvid:{}", CAMVID11, UsageError, "one of camvid11, camvid32, cityscapes, kitti"),
        ("camvid11", CAMVID11, UsageError, "KIND:FOLDER"),
        ("camvid11:{}:validate", CAMVID11, UsageError, "the splits train, val, test"),
        ("kitti:{}:train", CITYSCAPES, UsageError, "no splits"),
        ("camvid11:{}/nowhere:train", CAMVID11, DataError, "nowhere: no such folder"),
        ("camvid11:{}", CAMVID11, DataError, r"images/\* beside labels/\*; name the split, as camvid11:.*:train"),
        ("cityscapes:{}:val", CITYSCAPES, DataError, r"gtFine/val/\*/\*_gtFine_labelTrainIds"),
        ("camvid32:{}:test", CAMVID11, DataError, r"701_StillsRaw_full/\* beside LabeledApproved_full/\*_L"),
        ("camvid11:{}:train", CITYSCAPES, UsageError, "has not all of the classes road, sidewalk"),
        ("kitti:{}", ("road", "pavement", "lorry"), UsageError, "as camvid11: sky, building"),
    ],
)
def test_a_place_that_cannot_be_meant_says_what_can(
    camvid11: Path, place: str, classes: tuple[str, ...], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        find_pairs(place.format(camvid11), classes)


def test_a_folder_may_have_a_colon_in_its_path(camvid11: Path) -> None:
    odd = camvid11.parent / "a:b" / "camvid"
    odd.parent.mkdir()
    camvid11.rename(odd)
    assert len(find_pairs(f"camvid11:{odd}:train", CAMVID11)) == 3
    (odd / "images").symlink_to(odd / "val")
    (odd / "labels").symlink_to(odd / "valannot")
    assert len(find_pairs(f"camvid11:{odd}", CAMVID11)) == 1


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def spoil(camvid11: Path, how: str) -> str:
    """Breaks a pair of the training split; returns what the error says of which file."""
    image, labels = camvid11 / "train" / "0001TP_000001.png", camvid11 / "trainannot" / "0001TP_000001.png"
    if how == "no labels":
        labels.unlink()
        return "train/0001TP_000001.png: has no partner of the same name among the label maps"
    if how == "no picture":
        image.unlink()
        return "trainannot/0001TP_000001.png: has no partner of the same name among the pictures"
    if how == "empty":
        image.write_bytes(b"")
        return "train/0001TP_000001.png: is empty"
    if how == "cut png":
        cut(labels)
        return "trainannot/0001TP_000001.png: is cut short"
    if how == "cut jpeg":
        image.unlink()
        image = write(image.with_suffix(".jpg"), np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8))
        cut(image)
        return "train/0001TP_000001.jpg: is cut short"
    if how == "no picture file":
        image.write_bytes(b"this is no picture")
        return "train/0001TP_000001.png: cannot be decoded: not a picture"
    if how == "size":
        ids(labels, 0, 1)
        return "trainannot/0001TP_000001.png: 2x2, but its picture is 6x2"
    if how == "id":
        ids(labels, 0, 1, 12, 3, 4, 5)
        return "trainannot/0001TP_000001.png: holds the id 12, which is neither a class nor void; the ids are 0 to 11"
    assert how == "colour"
    colours(labels, *[(0, 0, 0)] * 6)
    return "trainannot/0001TP_000001.png: labels must be an 8-bit, one-channel picture"


SPOILT = ["no labels", "no picture", "empty", "cut png", "cut jpeg", "no picture file", "size", "id", "colour"]


@pytest.mark.parametrize("how", SPOILT)
def test_what_cannot_be_used_is_named_with_its_file(camvid11: Path, how: str) -> None:
    said = spoil(camvid11, how)
    with pytest.raises(DataError, match=f"{re.escape(said)}.*--skip-bad"):
        list(read_all(find_pairs(f"camvid11:{camvid11}:train", CAMVID11)))


@pytest.mark.parametrize("how", SPOILT)
def test_what_cannot_be_used_is_left_out_and_noted_on_demand(camvid11: Path, how: str) -> None:
    spoil(camvid11, how)
    left_out: list[Path] = []
    samples = list(read_all(find_pairs(f"camvid11:{camvid11}:train", CAMVID11, left_out), left_out))
    assert len(samples) == 2
    assert [path.stem for path in left_out] == ["0001TP_000001"]


@pytest.mark.parametrize("left_out", [None, []])
def test_a_pair_on_a_disk_that_hangs_ends_the_reading(camvid11: Path, monkeypatch: pytest.MonkeyPatch, left_out: list[Path] | None) -> None:
    """Also where pairs that cannot be used are left out: all others lie on the same disk."""
    release, pairs = threading.Event(), find_pairs(f"camvid11:{camvid11}:train", CAMVID11)
    monkeypatch.setattr("drive_seg.watchdog.LIMIT_S", 0.1)
    monkeypatch.setattr("drive_seg.lab.evaluate.pairs.read_picture", lambda *_, **__: release.wait(PATIENCE_S))
    with pytest.raises(DataError, match=r"reading it and its labels did not end within 0\.1 s; look at the disk that it is on"):
        list(read_all(pairs, left_out))
    release.set()
    until(lambda: "read" not in {thread.name for thread in threading.enumerate()})


def test_colour_label_maps_must_have_colours(camvid32: Path) -> None:
    ids(camvid32 / "LabeledApproved_full" / "0001TP_006690_L.png", 0, 0, 0, 0, 0, 0)
    with pytest.raises(DataError, match=r"0001TP_006690_L\.png: labels must be a picture of 8-bit colours"):
        find_pairs(f"camvid32:{camvid32}:train", CAMVID11)[0].read()


def test_when_none_is_left_it_says_so(camvid11: Path) -> None:
    for labels in (camvid11 / "trainannot").iterdir():
        labels.write_bytes(b"this is no picture")
    with pytest.raises(DataError, match=r"no pair can be used: left out \d+ .*; mend them"):
        list(read_all(find_pairs(f"camvid11:{camvid11}:train", CAMVID11), []))


def test_many_that_were_left_out_are_counted_and_some_named() -> None:
    assert how_many_left_out([Path("a.png")]) == "left out 1 that cannot be used: a.png"
    line = how_many_left_out([Path(f"{i}.png") for i in range(9)])
    assert line == "left out 9 that cannot be used: 0.png, 1.png, 2.png and 6 more"


def test_a_recipe_names_a_data_set(camvid11: Path) -> None:
    recipe = Recipe(data=f"camvid11:{camvid11}:train", validate_data=f"camvid11:{camvid11}:val", classes=CAMVID11, epochs=1)
    train, held = split(recipe)
    assert (len(train), len(held)) == (3, 1)
    assert train[0].image.parent.name == "train"
    assert held[0].image.parent.name == "val"


def test_evaluate_scores_a_data_set_and_says_what_it_left_out(camvid11: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("val", "valannot"):
        (camvid11 / part / "0001TP_000000.png").unlink()
    for index in range(3):
        grey(camvid11 / "val" / f"{index}.png", (96, 128))
        write(camvid11 / "valannot" / f"{index}.png", np.full((96, 128), 3, np.uint8))
    (camvid11 / "valannot" / "1.png").unlink()
    (camvid11 / "val" / "2.png").write_bytes(b"?")
    arguments = ["evaluate", "--data", f"camvid11:{camvid11}:val", "--json", str(camvid11 / "scores.json")]
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 1
    assert "1.png: has no partner" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--skip-bad"])
    said = capsys.readouterr()
    assert end.value.code == 0, said.err
    assert "left out 2 that cannot be used" in said.err
    scores = (camvid11 / "scores.json").read_text()
    assert '"frames": 1' in scores
    assert '"left_out": 2' in scores


def test_camvid_as_kaggle_has_it(tmp_path: Path) -> None:
    """Its splits are folders, whatever stretches of the drives lie in them."""
    for number, part in enumerate(("train", "val", "test")):
        stem = f"0001TP_00669{number}"
        for folder, name in ((part, f"{stem}.png"), (f"{part}_labels", f"{stem}_L.png")):
            (tmp_path / folder).mkdir()
            colours(tmp_path / folder / name, *[(128, 64, 128)] * 6)
    assert [pair.stem for pair in find_pairs(f"camvid32:{tmp_path}:val", CAMVID11)] == ["0001TP_006691"]
    whole = find_pairs(f"camvid32:{tmp_path}", CAMVID11)
    assert [pair.stem for pair in whole] == ["0001TP_006690", "0001TP_006691", "0001TP_006692"]
    assert (whole[0].read()[1] == CAMVID11.index("road")).all()


def test_the_help_names_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert kinds() == ["camvid11", "camvid32", "cityscapes", "kitti"]
    assert all(kind in said for kind in kinds())


def test_the_facts_lie_in_the_package_and_agree_with_themselves() -> None:
    files = {file.name for file in resources.files("drive_seg.lab.evaluate.datasets").iterdir()}
    for kind in kinds():
        assert f"{kind}.toml" in files
        data = load(kind)
        for layout in data.layouts:
            assert layout.coding in data.codings
        for meanings in data.codings.values():
            assert set(meanings.classes) == set(data.classes)
            stored = [*meanings.classes.values(), *meanings.void]
            assert len(set(stored)) == len(stored), kind
        for reading in data.readings.values():
            parts = [part for own in reading.values() for part in own]
            assert sorted(parts) == sorted(data.classes), kind  # each once, none forgotten
    assert load("camvid32").readings["camvid11"].keys() == set(load("camvid11").classes)
    assert load("cityscapes").readings["camvid11"].keys() == set(load("camvid11").classes)
    assert sorted([*load("kitti").codings["label_ids"].classes.values(), *load("kitti").codings["label_ids"].void]) == [*range(34), 255]


def test_a_colour_map_of_full_size_is_read_exactly() -> None:
    meanings = load("camvid32").codings["colours"]
    coding = meanings.coding({name: label for label, name in enumerate(meanings.classes)})
    palette = np.array([*meanings.classes.values(), *meanings.void], np.uint8)[:, ::-1]
    truth = cv2.resize(np.random.default_rng(0).integers(0, 32, (24, 32), np.uint8), (960, 720), interpolation=cv2.INTER_NEAREST)
    stored = palette[truth]
    assert np.array_equal(coding.decode(stored), np.where(truth == 31, VOID, truth))


@pytest.mark.skipif(not SHARED.is_dir(), reason="CamVid is not beside the project")
def test_the_real_camvid_holds_no_other_ids_and_its_splits_are_the_standard_ones() -> None:
    for part, frames in (("train", 367), ("clip", 101)):
        pairs = find_pairs((SHARED / part / "images", SHARED / part / "labels"), CAMVID11)
        assert len(pairs) == len(find_pairs(f"camvid11:{SHARED / part}", CAMVID11)) == frames
        for pair in pairs:
            pair.coding.decode(np.asarray(cv2.imread(str(pair.labels), cv2.IMREAD_UNCHANGED)))
        stretches = load("camvid32").frames["val" if part == "clip" else part]
        assert all(any(first <= pair.stem <= last for first, last in stretches) for pair in pairs)
