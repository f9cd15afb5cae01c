"""Boundary F1 and average precision: by hand, and against torchmetrics."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_average_precision

from drive_seg.lab.evaluate.accuracy import Scored
from drive_seg.lab.evaluate.average_precision import Curves
from drive_seg.lab.evaluate.boundary import BoundaryF1, boundary_f1, edges, near


def halves(column: int, size_hw: tuple[int, int] = (360, 480)) -> np.ndarray:
    """Class 0 to the left of the column, class 1 from it on."""
    labels = np.zeros(size_hw, np.uint8)
    labels[:, column:] = 1
    return labels


def test_edges_are_between_classes_and_not_at_void() -> None:
    labels = np.array([[0, 0, 1, 1, 255, 0, 0]], np.uint8)
    assert edges(labels, 2).tolist() == [[False, True, True, False, False, False, False]]
    assert edges(labels.T.copy(), 2).T.tolist() == edges(labels, 2).tolist()


def test_near_is_the_share_within_reach() -> None:
    outline, other = np.zeros((1, 20), np.bool_), np.zeros((1, 20), np.bool_)
    outline[0, [0, 3, 5]] = True
    other[0, 0] = True
    assert near(outline, other, 4) == pytest.approx(2 / 3)
    assert near(outline, np.zeros_like(other), 4) == 0


@pytest.mark.parametrize(("shift", "score"), [(0, 1.0), (4, 1.0), (5, 0.0)])  # the tolerance at 480x360 is 4.5
def test_an_outline_may_be_beside_the_truth_by_the_tolerance(shift: int, score: float) -> None:
    assert boundary_f1(halves(200), halves(200 + shift), 3) == {0: score, 1: score}


def test_precision_and_recall_meet_in_f1() -> None:
    truth, predicted = halves(200), halves(200)
    predicted[:, 400:] = 2  # one more outline, far from any: class 1 claims two, one of them true
    scores = boundary_f1(truth, predicted, 3)
    assert scores == {0: 1.0, 1: pytest.approx(2 * 0.5 * 1 / 1.5), 2: 0.0}


def test_what_is_said_where_the_truth_is_void_does_not_count() -> None:
    truth, predicted = halves(200), halves(200)
    truth[100:200, 300:400] = 255
    predicted[120:180, 320:380] = 0
    assert boundary_f1(truth, predicted, 2) == {0: 1.0, 1: 1.0}


def test_a_class_counts_in_the_frames_that_show_it() -> None:
    meter = BoundaryF1(("left", "right", "third", "fourth"))
    blank = np.zeros((360, 480, 3), np.uint8)
    with_third = halves(200)
    with_third[:100, :100] = 2
    for truth, predicted in ((halves(200), halves(200)), (halves(200), halves(210)), (with_third, with_third)):
        meter.add(Scored(0, blank, truth, predicted, None))
    figures = meter.figures()
    assert figures["boundary_f1"] == {"left": pytest.approx(2 / 3), "right": pytest.approx(2 / 3), "third": 1.0, "fourth": None}
    assert figures["boundary_frames"] == {"left": 3, "right": 3, "third": 1, "fourth": 0}
    assert figures["mean_boundary_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def odds(shares: np.ndarray) -> np.ndarray:
    return np.log(shares / (1 - shares)).astype(np.float32)


def test_average_precision_by_hand() -> None:
    ones = np.array([[0.9, 0.8, 0.7, 0.1, 0.95]])
    curves = Curves(3)
    curves.add(np.array([[1, 0, 1, 0, 255]], np.uint8), odds(np.stack([1 - ones, ones, np.full_like(ones, 0.01)])))
    # Class 1: right, wrong, right: half of the recall at precision 1, half at 2/3. Class 0: .9 and .2 are its own, .3 and .1 are not.
    assert curves.average_precision("abc") == {
        "a": pytest.approx(0.5 * 1 + 0.5 * 2 / 3),
        "b": pytest.approx(0.5 * 1 + 0.5 * 2 / 3),
        "c": None,
    }


@pytest.mark.parametrize("spread", [1.0, 6.0])
def test_average_precision_agrees_with_torchmetrics(spread: float, enlarge: Callable[[torch.Tensor], torch.Tensor]) -> None:
    rng = np.random.default_rng(1)
    curves, seen, true = Curves(4), [], []
    for _ in range(3):
        truth = rng.choice([0, 1, 2, 3, 255], (48, 64)).astype(np.uint8)
        hint = np.stack([(truth[::2, ::2] == i) for i in range(4)])
        scores = torch.from_numpy(spread * (rng.normal(size=(4, 24, 32)) + hint))
        shares = scores.softmax(0)
        curves.add(truth, torch.logit(shares).float().numpy())
        seen.append(enlarge(shares).flatten(1).T)
        true.append(torch.from_numpy(truth).flatten().long())
    expected = multiclass_average_precision(torch.cat(seen), torch.cat(true), 4, average=None, thresholds=None, ignore_index=255)
    assert list(curves.average_precision("abcd").values()) == pytest.approx(expected.tolist(), abs=2e-3)


@pytest.fixture
def enlarge() -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda shares: shares.repeat_interleave(2, 1).repeat_interleave(2, 2)
