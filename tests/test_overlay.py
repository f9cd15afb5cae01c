"""What the painter draws, pixel by pixel: areas, hidden classes, contours."""

import cv2
import numpy as np
import pytest

from drive_seg.contracts import Array, Image, Labels
from drive_seg.overlay import Look, Painter

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
PALETTE = (RED, GREEN, BLUE)
BGR = np.array([(0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 0, 0)], np.uint8)  # by id, 3 being void


def look(opacity: float = 0.5, hidden: frozenset[int] = frozenset(), contours: bool = False) -> Look:
    return Look(PALETTE, opacity, hidden, contours)


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def areas(height: int, width: int) -> Labels:
    """Ids 0..3 in small rectangles; 3 is void."""
    return np.random.default_rng(1).integers(0, 4, (height, width), dtype=np.uint8)


def test_mask_is_bgr_at_the_size_asked_for_with_void_black() -> None:
    labels = np.array([[0, 1], [3, 255]], np.uint8)
    mask = Painter(look()).colour(labels, (4, 6))
    assert mask.shape == (4, 6, 3)
    assert mask.dtype == np.uint8
    assert mask[0, 0].tolist() == [0, 0, 255]
    assert mask[1, 5].tolist() == [0, 255, 0]
    assert not mask[2:].any()


def test_labels_at_full_size_are_not_resized() -> None:
    labels = np.eye(5, dtype=np.uint8)
    assert (Painter(look()).colour(labels, (5, 5))[..., 1] == labels * 255).all()


def test_blend_lies_between_picture_and_mask_and_leaves_the_picture_alone() -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    labels = np.ones((2, 2), np.uint8)
    assert Painter(look(0.5)).paint(image, labels)[0, 0].tolist() == [50, 178, 50]
    assert (Painter(look(0.0)).paint(image, labels) == image).all()
    assert (Painter(look(1.0)).paint(image, labels) == Painter(look()).colour(labels, (8, 8))).all()
    assert (image == 100).all()


def test_results_are_never_written_again() -> None:
    image, painter = np.zeros((8, 8, 3), np.uint8), Painter(look(1.0))
    first = painter.paint(image, np.zeros((2, 2), np.uint8))
    painter.paint(image, np.ones((2, 2), np.uint8))
    assert first[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("drawn", [look(), look(hidden=frozenset({0})), look(contours=True)])
def test_picture_may_be_a_view_and_is_left_alone(drawn: Look) -> None:
    image = noise(8, 16)[:, ::2]
    before = image.copy()
    painted = Painter(drawn).paint(image, areas(4, 4))
    assert painted.shape == (8, 8, 3)
    assert (painted == Painter(drawn).paint(before, areas(4, 4))).all()
    assert (image == before).all()


def test_without_a_palette_everything_is_void() -> None:
    assert not Painter(Look(())).colour(np.arange(4, dtype=np.uint8).reshape(2, 2), (2, 2)).any()


def test_labels_are_left_as_they_are_by_a_look_without_areas() -> None:
    labels = areas(6, 6)
    before = labels.copy()
    Painter(look(contours=True)).paint(noise(6, 6), labels)
    assert (labels == before).all()


@pytest.mark.parametrize("size_hw", [(30, 40), (73, 101), (29, 31)])
def test_hidden_classes_leave_the_picture_as_it_is(size_hw: tuple[int, int]) -> None:
    """Also where the enlargement is no whole number, and for void, which is an id like others."""
    image, labels = noise(*size_hw), areas(10, 12)
    plain = Painter(look(0.7))
    hiding = Painter(look(0.7, frozenset({1, 3})))
    mask = plain.colour(labels, size_hw)
    gone = (mask == [0, 255, 0]).all(2) | (mask == 0).all(2)
    assert 0.2 < gone.mean() < 0.8
    assert (hiding.paint(image, labels) == np.where(gone[..., None], image, plain.paint(image, labels))).all()
    assert (hiding.colour(labels, size_hw) == np.where(gone[..., None], 0, mask)).all()


def nearest(array: Array, size_hw: tuple[int, int]) -> Array:
    rows, columns = (np.arange(to) * of // to for of, to in zip(array.shape, size_hw, strict=False))
    return array[rows][:, columns]


@pytest.mark.parametrize("hidden", [frozenset[int](), frozenset({1}), frozenset({0, 2, 3})])
@pytest.mark.parametrize(("size_hw", "width"), [((36, 48), 1), ((73, 101), 1), ((18, 31), 1), ((720, 96), 2), ((1081, 97), 3)])
def test_contours_are_opaque_and_lie_within_their_areas(size_hw: tuple[int, int], width: int, hidden: frozenset[int]) -> None:
    """Each side of a border in its own area's colour, as wide as told, and nothing else."""
    image, labels = noise(*size_hw), areas(6, 8)
    ids = nearest(labels, (size_hw[0] // width, size_hw[1] // width))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(ids, 1, mode="edge"), (3, 3))
    drawn = (around != ids[..., None, None]).any((2, 3)) & ~np.isin(ids, list(hidden))
    assert 0.01 < drawn.mean() < 0.95
    expected = np.where(nearest(drawn, size_hw)[..., None], nearest(BGR[ids], size_hw), image)
    assert (Painter(look(0.1, hidden, contours=True)).paint(image, labels) == expected).all()


def test_a_white_line_stands_around_what_is_outlined_and_the_areas_keep_their_colours() -> None:
    labels = np.zeros((6, 8), np.uint8)
    labels[2:4, 3:5] = 1
    image, plain = noise(12, 16), Painter(look())
    drawn = Painter(Look(PALETTE, outlined=frozenset({1}))).paint(image, labels)
    around = np.zeros((6, 8), bool)
    around[1:5, 2:6] = True
    around[2:4, 3:5] = False
    around = around.repeat(2, 0).repeat(2, 1)
    assert (drawn[around] == cv2.addWeighted(image, 0.5, np.full_like(image, 255), 0.5, 0)[around]).all()
    assert (drawn[~around] == plain.paint(image, labels)[~around]).all()
    hidden = Painter(Look(PALETTE, hidden=frozenset({1}), outlined=frozenset({1})))
    assert (hidden.paint(image, labels) == Painter(look(hidden=frozenset({1}))).paint(image, labels)).all()
    alone = Painter(Look(PALETTE, hidden=frozenset({0}), outlined=frozenset({1})))  # the line stands whatever is around
    assert (alone.paint(image, labels)[around] == drawn[around]).all()
    contours = Painter(Look(PALETTE, contours=True, outlined=frozenset({1})))
    assert (contours.paint(image, labels) == Painter(look(contours=True)).paint(image, labels)).all()
