"""A tiny street to learn: rectangles of three classes, as pictures and labels on disk, and a recipe that fits it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the workshop needs torch: pip install 'drive-seg[lab]'")
torch.set_num_threads(1)  # the networks here are tiny: more threads only wait for each other

from drive_seg.lab.build import export  # noqa: E402 (after the check for torch)
from drive_seg.lab.train import loop  # noqa: E402
from drive_seg.lab.train.recipe import Recipe  # noqa: E402
from drive_seg.network.card import Bundle, load_bundle  # noqa: E402

SIZE_HW = (120, 160)  # of the tiny bundle: a ninth of what is exported for real
TINY = {
    "stem": 8, "fine": 8, "fine_blocks": 0, "detail": 16, "deep": 16, "deep_blocks": 1, "deeper": 16, "deeper_blocks": 1,
    "context": 16, "sharpen_blocks": 0,
}  # fmt: skip


def draw(index: int) -> tuple[np.ndarray, np.ndarray]:
    """A 64x48 picture with sky above, road below and a car, whose place depends on the index; one void corner."""
    labels = np.zeros((48, 64), np.uint8)
    labels[24:] = 1
    x = 4 + 9 * index % 40
    labels[20:32, x : x + 16] = 2
    image = np.array([(230, 180, 120), (90, 90, 90), (40, 40, 200)], np.uint8)[labels]
    labels[:4, :4] = 3
    labels[:2, :2] = 255
    return image, labels


def make_street(folder: Path) -> Path:
    """Eight pictures of two drives, and their labels."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for index in range(8):
        image, labels = draw(index)
        stem = f"{'A' if index < 5 else 'B'}_{index:03}"
        cv2.imwrite(str(folder / "images" / f"{stem}.png"), image)
        cv2.imwrite(str(folder / "labels" / f"{stem}.png"), labels)
    return folder


def make_recipe(street: Path) -> Recipe:
    return Recipe(
        images=street / "images", labels=street / "labels", classes=("sky", "road", "car"), epochs=4, batch=2,
        crops=((0.0, 32, 48), (0.5, 48, 64)), learning_rate=1e-2, network=TINY,
    )  # fmt: skip


@pytest.fixture
def street(tmp_path: Path) -> Path:
    return make_street(tmp_path)


@pytest.fixture
def recipe(street: Path) -> Recipe:
    return make_recipe(street)


@dataclass(frozen=True)
class Tiny:
    """A network that has learned the street, made once: tests that write take a copy of the bundle."""

    street: Path
    checkpoint: Path
    folder: Path

    @property
    def bundle(self) -> Bundle:
        return load_bundle(self.folder)

    def copy(self, to: Path) -> Bundle:
        shutil.copytree(self.folder, to)
        return load_bundle(to)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    street = make_street(tmp_path_factory.mktemp("street"))
    recipe = make_recipe(street).model_copy(update={"epochs": 10, "ema": 0.9})
    checkpoint = loop.train(recipe, street / "run", quiet=True).checkpoint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "TRAINED_HW", SIZE_HW)
        export.export_bundle(checkpoint, street / "tiny")
    return Tiny(street, checkpoint, street / "tiny")
