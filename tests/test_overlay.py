import numpy as np
import pytest

from drive_seg.overlay import Painter

RED, GREEN = (255, 0, 0), (0, 255, 0)


@pytest.fixture
def painter() -> Painter:
    return Painter([RED, GREEN])


def test_mask_is_bgr_at_the_size_asked_for_with_void_black(painter: Painter) -> None:
    labels = np.array([[0, 1], [2, 255]], np.uint8)
    mask = painter.colour(labels, (4, 6))
    assert mask.shape == (4, 6, 3)
    assert mask.dtype == np.uint8
    assert mask[0, 0].tolist() == [0, 0, 255]
    assert mask[1, 5].tolist() == [0, 255, 0]
    assert not mask[2:].any()


def test_labels_at_full_size_are_not_resized(painter: Painter) -> None:
    labels = np.eye(5, dtype=np.uint8)
    assert (painter.colour(labels, (5, 5))[..., 1] == labels * 255).all()


def test_blend_lies_between_picture_and_mask_and_leaves_the_picture_alone(painter: Painter) -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    labels = np.ones((2, 2), np.uint8)
    assert painter.paint(image, labels, 0.5)[0, 0].tolist() == [50, 178, 50]
    assert (painter.paint(image, labels, 0.0) == image).all()
    assert (painter.paint(image, labels, 1.0) == painter.colour(labels, (8, 8))).all()
    assert (image == 100).all()


def test_results_are_never_written_again(painter: Painter) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    first = painter.paint(image, np.zeros((2, 2), np.uint8), 1.0)
    painter.paint(image, np.ones((2, 2), np.uint8), 1.0)
    assert first[0, 0].tolist() == [0, 0, 255]


def test_picture_may_be_a_view(painter: Painter) -> None:
    wide = np.full((8, 16, 3), 100, np.uint8)
    assert painter.paint(wide[:, ::2], np.ones((2, 2), np.uint8), 0.5).shape == (8, 8, 3)


def test_without_a_palette_everything_is_void() -> None:
    assert not Painter(()).colour(np.arange(4, dtype=np.uint8).reshape(2, 2), (2, 2)).any()
