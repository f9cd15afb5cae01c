"""Agreement along the flow and flicker: by hand, and along a real flow."""

import cv2
import numpy as np
import pytest

from drive_seg.lab.evaluate.accuracy import Scored
from drive_seg.lab.evaluate.consistency import Consistency, motions
from drive_seg.lab.evaluate.pairs import VOID


def scored(
    index: int, truth: list[list[int]] | np.ndarray, predicted: list[list[int]] | np.ndarray, image: np.ndarray | None = None
) -> Scored:
    known = np.array(truth, np.uint8)
    blank = np.zeros((*known.shape, 3), np.uint8)
    return Scored(index, blank if image is None else image, known, np.array(predicted, np.uint8), None)


def by(x: float, sure: list[list[int]]) -> np.ndarray:
    """A motion by x pixels to where things were, sure where that says."""
    motion = np.zeros((len(sure), len(sure[0]), 3), np.float32)
    motion[..., 2] = sure
    motion[..., 0] = x * motion[..., 2]
    return motion


def test_agreement_is_counted_where_the_flow_is_sure_and_the_truth_known() -> None:
    meter = Consistency([by(1, [[1, 1, 1, 1, 0, 1]])])
    meter.add(scored(0, [[0, 1, 1, 2, VOID, 0]], [[0, 0, 1, 2, 0, 0]]))
    meter.add(scored(1, [[1, 1, 2, 0, 0, 0]], [[0, 2, 2, 0, 0, 0]]))
    # From one to the right: truth 1 1 2 void, and the fifth is not sure, the sixth outside. Left are three: all true, two predicted.
    figures = meter.figures()
    assert figures["truth_consistency"] == 1
    assert figures["temporal_consistency"] == pytest.approx(2 / 3)


def test_flicker_is_a_change_that_the_truth_does_not_make() -> None:
    meter = Consistency([by(0, [[0] * 6])] * 2)
    meter.add(scored(0, [[0, 0, 1, 1, VOID, 1]], [[0, 0, 1, 1, 0, 1]]))
    meter.add(scored(1, [[0, 0, 1, 2, VOID, 1]], [[0, 1, 1, 2, 1, 1]]))  # four stay, one of them flickers
    meter.add(scored(2, [[0, 0, 1, 2, 1, 1]], [[0, 1, 1, 1, 1, 0]]))  # five stay, two of them flicker
    assert meter.figures() == {"temporal_consistency": None, "truth_consistency": None, "flicker": pytest.approx(3 / 9)}


def test_one_frame_or_another_size_is_nothing_to_compare() -> None:
    meter = Consistency()
    meter.add(scored(0, [[0, 0]], [[0, 0]]))
    meter.add(scored(1, [[0], [0]], [[1], [1]]))
    assert meter.figures() == {"temporal_consistency": None, "truth_consistency": None, "flicker": None}


def test_motion_is_not_sure_where_the_way_back_ends_elsewhere() -> None:
    rng = np.random.default_rng(5)
    wide = cv2.GaussianBlur(rng.integers(0, 255, (180, 300, 3), np.uint8), (0, 0), 3)
    before, now = np.ascontiguousarray(wide[:, :240]), np.ascontiguousarray(wide[:, 6:246])
    now[:, 120:] = cv2.GaussianBlur(rng.integers(0, 255, (180, 120, 3), np.uint8), (0, 0), 3)  # the right half is another place
    (motion,) = motions([before, now])
    assert motion[:, :100, 2].mean() > 0.95
    assert motion[:, 140:, 2].mean() < 0.5
    assert (motion[..., :2][motion[..., 2] == 0] == 0).all()
    assert np.median(motion[:, :100, 0]) == pytest.approx(6, abs=0.2)


def test_labels_that_move_with_the_picture_agree_and_those_that_stay_do_not() -> None:
    rng = np.random.default_rng(3)
    wide = cv2.GaussianBlur(rng.integers(0, 255, (180, 400, 3), np.uint8), (0, 0), 3)
    stripes = np.tile((np.arange(400) // 20 % 2).astype(np.uint8), (180, 1))
    cuts = [np.s_[:, 6 * i : 6 * i + 240] for i in range(4)]  # six pixels a frame
    images = [np.ascontiguousarray(wide[cut]) for cut in cuts]
    truths = [np.ascontiguousarray(stripes[cut]) for cut in cuts]
    alone, told, stuck = Consistency(), Consistency(motions(images)), Consistency()
    for i, (image, truth) in enumerate(zip(images, truths, strict=True)):
        alone.add(scored(i, truth, truth, image))
        told.add(scored(i, truth, truth, image))
        stuck.add(scored(i, truth, truths[0], image))
    assert alone.figures() == told.figures()
    assert alone.figures()["temporal_consistency"] == alone.figures()["truth_consistency"] > 0.98
    assert stuck.figures()["temporal_consistency"] == pytest.approx(0.7, abs=0.05)  # six of twenty have changed
    assert alone.figures()["flicker"] == stuck.figures()["flicker"] == 0
