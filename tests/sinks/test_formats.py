"""Masks in other people's formats, read back by their own libraries: the same regions under the same names."""

import io
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from drive_seg.classes import VOID, colours_of
from drive_seg.contracts import Labels
from drive_seg.errors import SinkError, UsageError
from drive_seg.lab.evaluate.datasets import load
from drive_seg.settings import Settings
from drive_seg.sinks.annotations import brush, runs
from drive_seg.sinks.formats import CITYSCAPES_IDS, FORMATS
from drive_seg.workers import Overflow
from tests.fakes import make_result

CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
NAMED = ("road", 'a "<sign>" & more', "void", "Person")
SIZE_HW = (48, 64)  # of make_result's frames


def drawn(seed: int, classes: int) -> Labels:
    """Flat areas and single pixels, some of no class."""
    rng = np.random.default_rng(seed)
    labels = cv2.resize(rng.integers(0, classes, (3, 4), np.uint8), (16, 12), interpolation=cv2.INTER_NEAREST)
    labels[rng.random(labels.shape) < 0.1] = rng.integers(0, classes)
    labels[0, :5] = VOID
    return np.asarray(labels, np.uint8)


def written(name: str, place: Path, classes: tuple[str, ...], indexes: tuple[int, ...] = (0, 7)) -> dict[int, Labels]:
    """The labels at the frames' size that were written."""
    labels = {index: drawn(index, len(classes)) for index in indexes}
    with closing(FORMATS[name].open(place, Overflow.WAIT, False)) as sink:
        for index, ids in labels.items():
            sink.put(make_result(index, labels=ids, classes=classes))
    return {index: ids.repeat(4, 0).repeat(4, 1) for index, ids in labels.items()}


def regions_of(labels: Labels, classes: tuple[str, ...]) -> dict[str, Any]:
    return {name: labels == at for at, name in enumerate(classes) if name != "void" and (labels == at).any()}


def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return found.keys() == wanted.keys() and all((np.asarray(found[name], bool) == wanted[name]).all() for name in wanted)


# -- colours and ids of data sets


@pytest.mark.parametrize(("name", "kind", "coding"), [("cityscapes-ids", "cityscapes", "label_ids"), ("camvid", "camvid32", "colours")])
def test_masks_read_as_the_data_sets_own(tmp_path: Path, name: str, kind: str, coding: str) -> None:
    """By this program's reader of that data set, in the 11 classes that it can be read as."""
    labels = written(name, tmp_path / "masks", CAMVID)
    data = load(kind)
    by_class = data.labels(CAMVID)
    assert by_class
    decode = data.codings[coding].coding(by_class).decode
    for index, wanted in labels.items():
        stored = cv2.imread(str(tmp_path / "masks" / f"{index:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert stored is not None
        assert (decode(stored) == wanted).all()


@pytest.mark.parametrize(("name", "reader"), [("cityscapes", "cityscapes"), ("camvid", "camvid")])
def test_colours_are_those_that_datumaro_knows(name: str, reader: str) -> None:
    module = pytest.importorskip(f"datumaro.plugins.data_formats.{reader}", reason="Datumaro, which needs older libraries, is absent")
    theirs = {"cityscapes": "CITYSCAPES_LABEL_MAP", "camvid": "CamvidLabelMap"}[reader]
    known = {colour for colour in getattr(module, theirs).values() if colour}
    assert {*colours_of({"camvid": "camvid32"}.get(name, name)).values()} <= known


def test_the_palettes_say_what_the_data_sets_say() -> None:
    colours = set(load("camvid32").codings["colours"].classes.values())
    assert {*colours_of("camvid32").values()} == colours
    assert CITYSCAPES_IDS.items() >= load("cityscapes").codings["label_ids"].classes.items()
    assert CITYSCAPES_IDS.keys() == colours_of("cityscapes").keys()


def test_names_are_matched_by_what_they_mean_and_the_rest_is_void_and_told(tmp_path: Path) -> None:
    classes = ("Traffic_Sign", "vegetation", "bonnet", "void", "Person")
    assert FORMATS["cityscapes"].lost(classes) == ("bonnet",)
    assert FORMATS["camvid"].lost(CAMVID) == FORMATS["cityscapes-ids"].lost(CAMVID) == ()
    assert FORMATS["ids"].lost(classes) == FORMATS["coco"].lost(classes) == ()
    labels = written("cityscapes", tmp_path / "masks", classes)[7]
    stored = cv2.imread(str(tmp_path / "masks" / "000007.png"))
    assert stored is not None
    by_class = {0: (220, 220, 0), 1: (107, 142, 35), 2: (0, 0, 0), 3: (0, 0, 0), 4: (220, 20, 60), VOID: (0, 0, 0)}
    for at, rgb in by_class.items():
        assert (stored[labels == at] == rgb[::-1]).all()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_asked_for(name: str) -> None:
    assert Settings.load(None, {"save_masks_format": name}).save_masks_format == name


def test_one_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"--save-masks-format: give ids, cityscapes, .*, label-studio, not 'voc'"):
        Settings.load(None, {"save_masks_format": "voc"})


# -- one file


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools' own
def test_coco_is_what_pycocotools_reads(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools", reason="pip install 'drive-seg[coco]'")
    from pycocotools.coco import COCO

    labels = written("coco", tmp_path / "masks.json", NAMED)
    read = COCO(str(tmp_path / "masks.json"))
    assert {category["name"] for category in read.loadCats(read.getCatIds())} == {*NAMED} - {"void"}
    for index, wanted in labels.items():
        (image,) = read.loadImgs(index + 1)
        assert (image["file_name"], image["height"], image["width"]) == (f"{index:06d}.png", *SIZE_HW)
        found = read.loadAnns(read.getAnnIds(imgIds=[index + 1]))
        assert same({NAMED[one["category_id"] - 1]: read.annToMask(one) for one in found}, regions_of(wanted, NAMED))
        assert all(one["area"] == read.annToMask(one).sum() for one in found)


def test_cvat_is_what_its_documentation_says(tmp_path: Path) -> None:
    labels = written("cvat", tmp_path / "masks.xml", NAMED)
    root = ElementTree.parse(tmp_path / "masks.xml").getroot()
    assert [name.text for name in root.iterfind("meta/task/labels/label/name")] == [name for name in NAMED if name != "void"]
    for image in root.iter("image"):
        found = dict[str, Any]()
        for mask in image.iter("mask"):
            left, top, width, height = (int(mask.attrib[side]) for side in ("left", "top", "width", "height"))
            lengths = [int(length) for length in mask.attrib["rle"].split(",")]
            inside = np.repeat(np.arange(len(lengths)) % 2, lengths).reshape(height, width)
            found[mask.attrib["label"]] = np.zeros(SIZE_HW, np.uint8)
            found[mask.attrib["label"]][top : top + height, left : left + width] = inside
        assert image.attrib["name"] == f"{int(image.attrib['id']):06d}.png"
        assert same(found, regions_of(labels[int(image.attrib["id"])], NAMED))


@pytest.mark.parametrize(("name", "file", "kind"), [("cvat", "masks.xml", "cvat"), ("coco", "annotations/instances_default.json", "coco")])
@pytest.mark.filterwarnings("ignore")  # Datumaro's own
def test_datumaro_reads_the_same(tmp_path: Path, name: str, file: str, kind: str) -> None:
    dataset = pytest.importorskip("datumaro", reason="Datumaro, which needs older libraries, is absent").Dataset
    (tmp_path / file).parent.mkdir(exist_ok=True)
    labels = written(name, tmp_path / file, NAMED)
    (pictures := tmp_path / "images" / ("default" if kind == "coco" else "")).mkdir(parents=True)
    for index in labels:
        cv2.imwrite(str(pictures / f"{index:06d}.png"), np.zeros((*SIZE_HW, 3), np.uint8))
    read = dataset.import_from(str(tmp_path), kind)
    names = [category.name for category in read.categories()[next(iter(read.categories()))].items]
    items = {int(item.id): item for item in read}
    assert items.keys() == labels.keys()
    for index, item in items.items():
        found = {names[one.label]: one.image for one in item.annotations if hasattr(one, "image")}
        assert same(found, regions_of(labels[index], NAMED))


def test_label_studio_decodes_the_same(tmp_path: Path) -> None:
    sdk = pytest.importorskip("label_studio_sdk.converter.brush", reason="Label Studio's SDK, which needs older libraries, is absent")
    check_label_studio(tmp_path, sdk.decode_rle)


def test_label_studio_is_what_its_format_says(tmp_path: Path) -> None:
    check_label_studio(tmp_path, decoded)


def check_label_studio(folder: Path, decode: Callable[[list[int]], Any]) -> None:
    labels = written("label-studio", folder / "masks.json", NAMED)
    tasks = json.loads((folder / "masks.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [f"/data/local-files/?d=images/{index:06d}.png" for index in labels]
    for task, wanted in zip(tasks, labels.values(), strict=True):
        (prediction,) = task["predictions"]
        found = dict[str, Any]()
        for region in prediction["result"]:
            size = region["original_height"], region["original_width"], 4
            assert (region["from_name"], region["to_name"], region["type"]) == ("label", "image", "brushlabels")
            found[region["value"]["brushlabels"][0]] = np.reshape(decode(region["value"]["rle"]), size)[:, :, 3] == 255
        assert same(found, regions_of(wanted, NAMED))


def decoded(rle: list[int]) -> Any:
    """As rle-pack does it."""
    bits, at = np.unpackbits(np.array(rle, np.uint8)).tolist(), 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        return int("".join(map(str, bits[at - count : at])), 2)

    out = list[int]()
    size, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    while len(out) < size:
        assert read(1)  # else a row of single values
        length = read(sizes[read(2)]) + 1
        out += [read(word)] * length
    assert len(bits) - at < 8
    return np.array(out)


@pytest.mark.parametrize("lengths", [[5], [0, 5], [1, 1, 1], [0, 3, 70_000, 2], [16_384, 16_385, 16_383], [0, 50_000, 64, 4], [2, 4, 65]])
def test_runs_of_any_length_are_told(lengths: list[int]) -> None:
    flat = np.repeat(np.arange(len(lengths)) % 2, lengths).astype(bool)
    assert runs(flat[None]) == lengths
    assert (decoded(brush(flat[None])) == flat.repeat(4) * 255).all()


# -- its file


def test_a_frame_that_comes_again_is_in_it_once_and_other_classes_begin_another(tmp_path: Path) -> None:
    with closing(FORMATS["cvat"].open(tmp_path / "m.xml", Overflow.WAIT, False)) as sink:
        for index, classes in ((0, ("a", "b")), (1, ("a", "b")), (0, ("a", "b")), (1, ("c", "d")), (5, ("c", "d"))):
            sink.put(make_result(index, labels=np.zeros((12, 16), np.uint8), classes=classes))
    found = {
        path.name: [(image.attrib["id"], image[0].attrib["label"]) for image in ElementTree.parse(path).iter("image")]
        for path in tmp_path.iterdir()
    }
    assert found == {"m.xml": [("0", "a"), ("1", "a")], "m-2.xml": [("1", "c"), ("5", "c")]}


def test_without_a_frame_there_is_no_file_and_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    FORMATS["cvat"].open(tmp_path / "m.xml", Overflow.WAIT, False).close()
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "m.xml").write_text("mine")
    with pytest.raises(UsageError, match="is there already; give another name, or --overwrite"):
        FORMATS["cvat"].open(tmp_path / "m.xml", Overflow.WAIT, False)
    with pytest.raises(UsageError, match="is a folder; give the name of a file"):
        FORMATS["label-studio"].open(tmp_path, Overflow.WAIT, False)
    assert (tmp_path / "m.xml").read_text() == "mine"


def test_what_cannot_be_written_is_told_once_and_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("drive_seg.files.os.fdopen", lambda fd, mode, buffering: Full(fd, mode))
    sink = FORMATS["label-studio"].open(tmp_path / "m.json", Overflow.WAIT, False)
    sink.put(make_result(0, classes=("a", "b")))
    with pytest.raises(SinkError, match="cannot be written: No space left on device; free space there"):
        sink.close()
    sink.close()
    assert not (tmp_path / "m.json").exists()


def test_a_missing_package_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycocotools", None)
    with pytest.raises(UsageError, match=r"pip install 'drive-seg\[coco\]'"):
        FORMATS["coco"].open(tmp_path / "m.json", Overflow.WAIT, False)
    assert [*tmp_path.iterdir()] == []
