"""The report shows the figures of the JSON, and pictures that decode; the frames it shows are the right ones, and few are kept."""

import base64
import json
import weakref
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_average_precision

from drive_seg import cli
from drive_seg.backends import open_backend
from drive_seg.errors import DataError
from drive_seg.lab.evaluate.accuracy import Scored
from drive_seg.lab.evaluate.accuracy import evaluate as measure
from drive_seg.lab.evaluate.average_precision import AveragePrecision
from drive_seg.lab.evaluate.report import BEST, SPACED, WORST, Gallery, error_map
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.recipe import Recipe
from drive_seg.network.card import Bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import EveryFrame
from tests.lab.conftest import SIZE_HW, Tiny, draw


@dataclass
class Page(HTMLParser):
    """The texts by the tag that holds them, table rows by table, and the pictures."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._tags: list[str] = []
        self._table = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        self.links += [value for key in ("src", "href") if (value := about.get(key))]
        if tag == "img":
            self.pictures.append(about["src"] or "")
        elif tag == "table":
            self._table = about["id"] or ""
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        if tag in ("td", "th"):
            self.tables[self._table][-1].append("")
        if tag not in ("img", "meta"):
            self._tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if not data.strip():
            return
        self.texts.setdefault(self._tags[-1], []).append(data.strip())
        if "td" in self._tags or "th" in self._tags:
            self.tables[self._table][-1][-1] += data.strip()


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text())
    page.close()
    return page


@pytest.fixture
def bundle(tiny: Tiny) -> Bundle:
    return tiny.bundle


def evaluate(tmp_path: Path, *arguments: str) -> tuple[dict[str, object], Page]:
    with pytest.raises(SystemExit) as end:
        cli.main(["evaluate", *arguments, "--json", str(tmp_path / "s.json"), "--report", str(tmp_path / "r.html"), "--threads", "1"])
    assert end.value.code == 0
    return json.loads((tmp_path / "s.json").read_text()), read(tmp_path / "r.html")


def test_the_report_shows_what_the_json_says(bundle: Bundle, tiny: Tiny, tmp_path: Path) -> None:
    street = tiny.street
    pairs = ("--images", str(street / "images"), "--labels", str(street / "labels"))
    scores, page = evaluate(tmp_path, "--model", str(bundle.folder), *pairs)
    means = ("miou", "pixel_accuracy", "class_accuracy", "frequency_weighted_iou", "mean_f1", "mean_boundary_f1", "mean_average_precision")
    assert page.texts["dd"] == [f"{scores[key]:.4f}" for key in means]
    head, *rows = page.tables["classes"]
    assert head == ["class", "pixels", "IoU", "accuracy", "F1", "boundary F1", "average precision"]
    for name, pixels, *figures in rows:
        assert int(pixels) == scores["pixels"][name] > 0
        assert figures == [f"{scores[key][name]:.4f}" for key in ("iou", "accuracy", "f1", "boundary_f1", "average_precision")]
    assert [row[0] for row in rows] == ["sky", "road", "car"]
    ran = dict(page.tables["ran"])
    for key in ("model", "backend", "precision", "device", "schedule", "mode", "propagation", "frames", "command", "date"):
        assert ran[key] == str(scores[key])
    assert float(ran["gflop per frame"]) == pytest.approx(sum(stage.gflop for stage in bundle.card.stages.values()), abs=1e-3)
    assert str(street / "images") in ran["command"]
    assert f"torch {scores['versions']['torch']}" in ran["versions"]
    # Eight frames: each is shown once, with four pictures, after the two plots.
    shown = {int(said.split()[1].rstrip(",")): said.split()[-1] for said in page.texts["h3"]}
    assert shown == {i: f"{miou:.4f}" for i, miou in enumerate(scores["miou_by_frame"])}
    assert len(page.pictures) == 2 + 4 * 8


def test_the_report_stands_alone_and_its_pictures_decode(tmp_path: Path) -> None:
    scores, page = evaluate(tmp_path, "--model", "camvid", "--precision", "fp32", "--source", "demo:?seed=5&frames=3")
    assert page.links == page.pictures
    assert len(page.pictures) == 2 + 4 * 3
    for n, source in enumerate(page.pictures):
        kind, coded = source.removeprefix("data:image/").split(";base64,")
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(coded, validate=True), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert kind in ("jpeg", "png")
        if n >= 2:
            assert picture.shape == (360, 480, 3)
            assert len(np.unique(picture)) > 2
    assert (tmp_path / "r.html").stat().st_size < 2_000_000
    assert scores["frames"] == 3


def test_the_confusion_matrix_adds_up_to_the_pixels(bundle: Bundle, tiny: Tiny, tmp_path: Path) -> None:
    street = tiny.street
    pairs = ("--images", str(street / "images"), "--labels", str(street / "labels"))
    scores, _ = evaluate(tmp_path, "--model", str(bundle.folder), *pairs)
    confusion = np.array(scores["confusion"])
    assert confusion.shape == (3, 4)
    assert confusion.sum(1).tolist() == list(scores["pixels"].values())
    assert np.diagonal(confusion).sum() / confusion.sum() == pytest.approx(scores["pixel_accuracy"])


def test_average_precision_is_of_the_trained_weights(bundle: Bundle, tiny: Tiny, recipe: Recipe) -> None:
    network = recipe.make_network().eval()
    checkpoint.load_average(tiny.checkpoint, network)
    meter, shares, truths = AveragePrecision(bundle), [], []
    for index in range(4):
        image, truth = draw(index)
        large = cv2.resize(image, SIZE_HW[::-1], interpolation=cv2.INTER_NEAREST)
        truth = cv2.resize(truth, SIZE_HW[::-1], interpolation=cv2.INTER_NEAREST)
        meter.add(Scored(index, large, truth, truth, None))
        with torch.inference_mode():
            half = network(torch.from_numpy(large)[None]).softmax(1)[0]
        shares.append(half.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1).T)
        truths.append(torch.from_numpy(np.where(truth < 3, truth, 255)).flatten().long())
    expected = multiclass_average_precision(torch.cat(shares), torch.cat(truths), 3, average=None, thresholds=None, ignore_index=255)
    figures = meter.figures()
    assert list(figures["average_precision"].values()) == pytest.approx(expected.tolist(), abs=5e-3)
    assert figures["average_precision_by"] == "torch fp32"


@pytest.mark.parametrize("network", [{}, {"architecture": "deeplab", "classes": 3}])
def test_weights_of_an_unknown_network_are_not_measured(bundle: Bundle, network: dict[str, object]) -> None:
    meter = AveragePrecision(Bundle(bundle.folder, bundle.card.model_copy(update={"network": network})))
    image, truth = draw(0)
    meter.add(Scored(0, image, truth, truth, None))
    assert meter.figures()["average_precision"] is None
    assert meter.figures()["average_precision_by"].startswith("not measured: ")


def test_the_gallery_keeps_the_worst_the_best_and_some_along_the_way() -> None:
    gallery, alive, most = Gallery(), [], 0
    mious = [float(value) for value in np.random.default_rng(0).permutation(1000) / 1000]
    for index, miou in enumerate(mious):
        image = np.zeros((2, 2, 3), np.uint8)
        alive.append(weakref.ref(image))
        gallery.add(Scored(index, image, np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), None if index == 500 else miou))
        del image
        alive = [one for one in alive if one() is not None]
        most = max(most, len(alive))
    shown = {title: [frame.index for frame in frames] for title, frames in gallery.shown().items()}
    ranked = sorted((i for i in range(1000) if i != 500), key=lambda i: mious[i])
    assert shown["Worst frames"] == ranked[:WORST]
    assert shown["Best frames"] == ranked[::-1][:BEST]
    along = shown["Along the sequence"]
    assert along[0] == 0
    assert len(along) >= SPACED - 1
    assert max(np.diff([*along, 1000])) < 400
    assert most <= WORST + BEST + 2 * SPACED


def test_errors_are_red_and_void_is_black() -> None:
    truth, predicted = np.array([[0, 1, 255]], np.uint8), np.array([[0, 0, 0]], np.uint8)
    right, wrong, void = error_map(Scored(0, np.full((1, 3, 3), 100, np.uint8), truth, predicted, None), 2)[0].tolist()
    assert right[0] == right[1] == right[2] > 100
    assert wrong[2] > 200 > 100 > wrong[0]
    assert void == [0, 0, 0]


def test_labels_of_other_classes_alone_are_nothing_to_score(bundle: Bundle) -> None:
    image, truth = draw(0)
    backend = open_backend("openvino", device=None, precision="fp32", threads=1)
    with Engine(bundle, backend) as engine, pytest.raises(DataError, match="sky, road, car"):
        measure(Pipeline(engine, EveryFrame()), [(image, np.full_like(truth, 255))])
