"""Copy-paste and degradation change what they should and nothing else, and are fixed by the generator."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the workshop needs torch: pip install 'drive-seg[lab]'")

from drive_seg.lab.train.paste import cut_out, paste
from drive_seg.lab.train.transforms import degrade


def samples() -> list[tuple[np.ndarray, np.ndarray]]:
    """A black picture, and a grey one with a white 10x10 square of class 3 in row 20 and a speck of it."""
    image, labels = np.full((60, 80, 3), 100, np.uint8), np.zeros((60, 80), np.uint8)
    image[20:30, 40:50], labels[20:30, 40:50] = 250, 3
    labels[50:52, 5:8] = 3
    return [(np.full((60, 80, 3), 100, np.uint8), np.zeros((60, 80), np.uint8)), (image, labels)]


def test_cut_outs_are_the_pieces_that_are_large_enough() -> None:
    cutouts = cut_out(samples(), (3, 4))
    assert list(cutouts) == [3]
    (piece,) = cutouts[3]
    assert (piece.top, piece.left, piece.mask.shape, int(piece.mask.sum())) == (20, 40, (10, 10), 100)


def test_what_is_pasted_is_labelled_and_the_rest_is_as_it_was() -> None:
    (plain, nothing), *_ = samples()
    for seed in range(20):
        image, labels = paste(plain, nothing, cut_out(samples(), (3,)), np.random.default_rng(seed))
        assert {0, 3} == set(np.unique(labels).tolist())
        assert (image[labels == 0] == 100).all()
        assert image[labels == 3].mean() > 150
        assert 100 <= (labels == 3).sum() <= 400
    assert (plain == 100).all()
    assert not nothing.any()


def test_pieces_stay_near_their_row() -> None:
    (plain, nothing), *_ = samples()
    cutouts = cut_out(samples(), (3,))
    rows = [np.flatnonzero((paste(plain, nothing, cutouts, np.random.default_rng(seed))[1] == 3).any(1)).mean() for seed in range(60)]
    assert 21 < np.mean(rows) < 28


def test_degrading_keeps_the_form_and_is_fixed_by_the_generator() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    seen = set()
    for seed in range(40):
        first, second = (degrade(image, np.random.default_rng(seed)) for _ in range(2))
        assert (first.shape, first.dtype) == (image.shape, np.uint8)
        assert (first == second).all()
        assert (first != image).any()
        seen.add(round(float(first.mean())))
    assert len(seen) > 10
