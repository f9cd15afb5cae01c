"""What is read, what is refused by name, and that a batch depends on the step alone."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from drive_seg.errors import DataError, UsageError
from drive_seg.lab.evaluate.pairs import VOID, plain_pairs
from drive_seg.lab.train.data import Batches, pseudo_samples, split
from drive_seg.lab.train.losses import class_weights
from drive_seg.lab.train.recipe import Recipe
from drive_seg.lab.train.transforms import recolour, warp


def test_pairs_are_found_by_stem_and_void_is_made_one_id(street: Path) -> None:
    pairs = plain_pairs(street / "images", street / "labels", 3)
    assert [pair.stem for pair in pairs] == [f"{'A' if i < 5 else 'B'}_{i:03}" for i in range(8)]
    image, labels = pairs[0].read()
    assert image.shape == (48, 64, 3)
    assert set(np.unique(labels)) == {0, 1, 2, VOID}


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_other_picture_formats_pair_with_png_labels(street: Path, suffix: str) -> None:
    path = street / "images" / "A_000.png"
    cv2.imwrite(str(path.with_suffix(suffix)), np.asarray(cv2.imread(str(path))))
    path.unlink()
    assert plain_pairs(street / "images", street / "labels", 3)[0].image.suffix == suffix


def test_a_picture_without_labels_is_named(street: Path) -> None:
    (street / "labels" / "A_002.png").unlink()
    with pytest.raises(DataError, match=r"A_002\.png.*partner"):
        plain_pairs(street / "images", street / "labels", 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be decoded"), (np.zeros((10, 10), np.uint8), "10x10"), (np.zeros((48, 64, 3), np.uint8), "one-channel")],
)
def test_labels_that_cannot_be_used_are_named(street: Path, content: np.ndarray | None, said: str) -> None:
    path = street / "labels" / "A_000.png"
    path.write_bytes(b"no picture") if content is None else cv2.imwrite(str(path), content)
    with pytest.raises(DataError, match=rf"A_000\.png.*{said}"):
        plain_pairs(street / "images", street / "labels", 3)[0].read()


def test_a_drive_is_held_out_for_validation(recipe: Recipe) -> None:
    train, held = split(recipe.model_copy(update={"hold_out": ("B",)}))
    assert [pair.stem[0] for pair in train] == ["A"] * 5
    assert [pair.stem[0] for pair in held] == ["B"] * 3
    with pytest.raises(DataError, match="'C'"):
        split(recipe.model_copy(update={"hold_out": ("C",)}))
    with pytest.raises(DataError, match="nothing is left"):
        split(recipe.model_copy(update={"hold_out": ("A", "B")}))


def test_a_batch_is_a_function_of_the_step_alone(recipe: Recipe) -> None:
    samples = [pair.read() for pair in split(recipe)[0]]
    batches = Batches(recipe, samples, [], [])
    went = {step: (images, labels) for step, (images, labels) in batches(0)}
    again = {step: (images, labels) for step, (images, labels) in Batches(recipe, samples, [], [])(5)}
    assert sorted(went) == list(range(16))
    assert sorted(again) == list(range(5, 16))
    for step, (images, labels) in again.items():
        assert torch.equal(images, went[step][0])
        assert torch.equal(labels, went[step][1])
    assert not torch.equal(went[0][0], went[1][0])
    assert went[0][0].shape == (2, 32, 48, 3)
    assert went[15][0].shape == (2, 48, 64, 3)


def test_every_picture_comes_once_a_round(recipe: Recipe) -> None:
    marked = [(np.full((48, 64, 3), 20 * i, np.uint8), np.zeros((48, 64), np.uint8)) for i in range(8)]
    still = recipe.model_copy(update={"scale": (1.0, 1.0), "stretch": 0.0, "rotate_deg": 0.0, "colour": 0.0, "blur": 0.0, "noise": 0.0})
    seen = [int(image[0, 24, 32, 0]) for _, (images, _) in Batches(still, marked, [], [])(0) for image in images.split(1)]
    for turn in range(4):
        assert sorted(seen[8 * turn : 8 * turn + 8]) == [20 * i for i in range(8)]


def test_demo_frames_make_up_their_share(recipe: Recipe) -> None:
    real = [(np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8))]
    demo = [(np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.uint8))]
    mixed = recipe.model_copy(update={"demo_share": 0.25, "epochs": 200, "scale": (1.0, 1.0)})
    batches = Batches(mixed, real, demo, [])
    share = np.mean([batches.sample(step, slot)[1][24, 32] == 1 for step in range(100) for slot in range(2)])
    assert 0.15 < share < 0.35


def test_labels_are_warped_with_their_picture(recipe: Recipe) -> None:
    rng = np.random.default_rng(1)
    labels = np.zeros((480, 640), np.uint8)
    labels[100:300, 200:500] = 1
    image = np.where(labels[..., None] == 1, 200, 50).repeat(3, axis=2).astype(np.uint8)
    for _ in range(20):
        warped, truth = warp(image, labels, (240, 320), recipe, rng)
        assert warped.shape == (240, 320, 3)
        known = truth != VOID
        agree = (warped[..., 0] > 125) == (truth == 1)
        assert agree[known].mean() > 0.97
        assert set(np.unique(truth)) <= {0, 1, VOID}


def test_colours_change_and_nothing_else_does(recipe: Recipe) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    changed = recolour(image, recipe, np.random.default_rng(1))
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, image)


def test_rare_classes_weigh_more_and_the_mean_pixel_weighs_one() -> None:
    labels = np.array([[0] * 90 + [1] * 10], np.uint8)
    weights = class_weights([labels], 2, 1.1)
    assert weights[1] / weights[0] == pytest.approx(np.log(1.1 + 0.9) / np.log(1.1 + 0.1), rel=1e-5)
    assert 0.9 * weights[0] + 0.1 * weights[1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("line", "said"), [("epocs = 3", "epocs"), ("epochs = 0", "epochs"), ("epochs = ", "TOML"), ('validate_images = "x"', "go together")]
)
def test_a_recipe_that_cannot_be_meant_is_refused(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'images = "i"\nlabels = "l"\nclasses = ["a"]\n{"" if "epochs" in line else "epochs = 1"}\n{line}\n')
    with pytest.raises(UsageError, match=rf"recipe\.toml.*{said}"):
        Recipe.load(path)


def with_teacher(street: Path, recipe: Recipe, share: float) -> Recipe:
    """The recipe with one pseudo-labelled picture, all blue, 96x40: the teacher is sure that its left half is road, and doubts the rest."""
    folder = street / "taught"
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "a.png"), np.full((40, 96, 3), (255, 0, 0), np.uint8))
    labels = np.full((40, 96), 1, np.uint8)
    labels[:, 48:] += 16
    cv2.imwrite(str(folder / "labels" / "a.png"), labels)
    return recipe.model_copy(update={"pseudo": (folder,), "pseudo_share": ((0.0, share), (0.5, 0.0))})


def test_what_a_teacher_doubts_is_void_and_a_picture_is_read_at_the_size_that_frames_are_reduced_to(street: Path, recipe: Recipe) -> None:
    ((image, labels),) = pseudo_samples(with_teacher(street, recipe, 0.5).pseudo, recipe.classes)
    assert image.shape[0] * image.shape[1] == pytest.approx(360 * 480, rel=0.01)
    assert image.shape[1] / image.shape[0] == pytest.approx(96 / 40, rel=0.01)
    assert set(np.unique(labels[:, : image.shape[1] // 2 - 1])) == {1}
    assert set(np.unique(labels[:, image.shape[1] // 2 + 1 :])) == {VOID}


def test_pseudo_labelled_pictures_have_their_share_of_the_batches_while_the_recipe_says_so(street: Path, recipe: Recipe) -> None:
    plain = recipe.model_copy(update={"colour": 0.0, "blur": 0.0, "noise": 0.0, "epochs": 40, "batch": 4})
    asked = with_teacher(street, plain, 0.6)
    real = [pair.read() for pair in split(asked)[0]]
    batches = Batches(asked, real, [], pseudo_samples(asked.pseudo, recipe.classes))

    def taught(steps: range) -> float:
        """The share of the samples that are the blue picture."""
        pictures = torch.cat([batches.batch(step)[0] for step in steps])
        middle = pictures[:, pictures.shape[1] // 2, pictures.shape[2] // 2]
        return float((middle == torch.tensor([255, 0, 0])).all(1).float().mean())

    half = batches.steps // 2
    assert 0.5 < taught(range(half - 60, half)) < 0.7
    assert taught(range(half, half + 30)) == 0


def test_a_folder_of_pseudo_labels_without_pictures_and_shares_that_leave_nothing_are_refused(street: Path, recipe: Recipe) -> None:
    (street / "none" / "images").mkdir(parents=True)
    (street / "none" / "labels").mkdir()
    with pytest.raises(DataError, match=r"none: holds no pictures.*check the path"):
        pseudo_samples([street / "none"], recipe.classes)
    with pytest.raises(ValueError, match="leave nothing"):
        Recipe.model_validate(recipe.model_dump() | {"pseudo": [street], "pseudo_share": [[0.0, 0.7]], "demo_share": 0.3})
    with pytest.raises(ValueError, match=r"the first from 0\.0"):
        Recipe.model_validate(recipe.model_dump() | {"pseudo": [street], "pseudo_share": [[0.1, 0.7]]})
