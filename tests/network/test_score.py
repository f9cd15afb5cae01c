"""The figures that are read off the confusion matrix, by hand."""

import numpy as np
import pytest

from drive_seg.network.score import Confusion, differing

TRUTH = np.array([[0] * 8 + [1] * 5 + [255] * 3], np.uint8)
PREDICTED = np.array([[0] * 6 + [1] * 2 + [0] + [1] * 3 + [255] + [0, 1, 2]], np.uint8)
# a: 6 of 8 found, 7 claimed; b: 3 of 5 found, 5 claimed, one pixel given no class; c: nowhere; void is not looked at.


@pytest.fixture
def confusion() -> Confusion:
    made = Confusion("abc")
    made.add(TRUTH, PREDICTED)
    return made


def test_scores_by_class(confusion: Confusion) -> None:
    assert confusion.pixels() == {"a": 8, "b": 5, "c": 0}
    assert confusion.iou() == {"a": 6 / 9, "b": 3 / 7, "c": None}
    assert confusion.accuracy() == {"a": 6 / 8, "b": 3 / 5, "c": None}
    assert confusion.f1() == {"a": 12 / 15, "b": 6 / 10, "c": None}


def test_means(confusion: Confusion) -> None:
    assert confusion.miou == pytest.approx((6 / 9 + 3 / 7) / 2)
    assert confusion.pixel_accuracy == pytest.approx(9 / 13)
    assert confusion.class_accuracy == pytest.approx((6 / 8 + 3 / 5) / 2)
    assert confusion.mean_f1 == pytest.approx((12 / 15 + 6 / 10) / 2)
    assert confusion.frequency_weighted_iou == pytest.approx((8 * 6 / 9 + 5 * 3 / 7) / 13)


def test_a_class_that_is_only_claimed_lowers_iou_and_f1_but_not_accuracy() -> None:
    confusion = Confusion("ab")
    confusion.add(np.zeros((1, 4), np.uint8), np.array([[0, 0, 0, 1]], np.uint8))
    assert (confusion.iou()["b"], confusion.f1()["b"], confusion.accuracy()["b"]) == (0, 0, None)
    assert confusion.miou == pytest.approx((3 / 4 + 0) / 2)
    assert confusion.class_accuracy == pytest.approx(3 / 4)


def test_what_one_frame_added_is_a_confusion_of_its_own(confusion: Confusion) -> None:
    added = confusion.add(np.array([[2, 2]], np.uint8), np.array([[2, 0]], np.uint8))
    assert Confusion.of("abc", added).iou() == {"a": 0, "b": None, "c": 0.5}
    assert confusion.pixels()["c"] == 2


def test_without_a_known_pixel_there_is_no_score() -> None:
    confusion = Confusion("ab")
    confusion.add(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8))
    assert confusion.iou() == {"a": None, "b": None}
    for value in (confusion.miou, confusion.pixel_accuracy, confusion.class_accuracy, confusion.mean_f1, confusion.frequency_weighted_iou):
        assert value is None


def test_it_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch", reason="the workshop needs torch: pip install 'drive-seg[lab]'")
    reference = pytest.importorskip("torchmetrics.functional.classification", reason="pip install 'drive-seg[dev]'")
    rng = np.random.default_rng(0)
    truth, predicted = rng.choice([0, 0, 0, 1, 2, 255], (60, 80)).astype(np.uint8), rng.integers(0, 3, (60, 80), np.uint8)
    confusion = Confusion("abc")
    confusion.add(truth, predicted)
    pair = torch.from_numpy(predicted).long(), torch.from_numpy(truth).long()
    told = {"num_classes": 3, "ignore_index": 255}
    assert list(confusion.iou().values()) == pytest.approx(reference.multiclass_jaccard_index(*pair, average=None, **told).tolist())
    assert list(confusion.f1().values()) == pytest.approx(reference.multiclass_f1_score(*pair, average=None, **told).tolist())
    assert confusion.class_accuracy == pytest.approx(reference.multiclass_accuracy(*pair, average="macro", **told).item())
    weighted = reference.multiclass_jaccard_index(*pair, average="weighted", **told).item()
    assert confusion.frequency_weighted_iou == pytest.approx(weighted)


def test_label_maps_of_two_sizes_are_compared_at_the_larger_one() -> None:
    small, large = np.array([[1, 2]], np.uint8), np.array([[1, 1, 2, 2], [1, 1, 2, 3]], np.uint8)
    assert differing(small, large) == differing(large, small) == 1 / 8
    assert differing(large, large) == 0
