import numpy as np
import pytest

from drive_seg.network.score import LiveScore
from drive_seg.session.figures import Numbers, Rolling
from tests.fakes import make_result


def test_rolling_knows_the_last_second_only() -> None:
    rolling = Rolling()
    for frame in range(90):  # three seconds at 30 fps; the last is slower
        rolling.add(make_result(frame, total_ms=5.0 if frame < 60 else 8.0, age=frame % 3), now_s=frame / 30)
    numbers = rolling.numbers(89 / 30)
    assert numbers.count == 30
    assert numbers.fps == pytest.approx(30)
    assert numbers.p50_ms == numbers.p95_ms == 8.0
    assert numbers.key_share == pytest.approx(1 / 3)
    assert numbers.age_mean == pytest.approx(1.0)
    assert numbers.age_max == 2


def test_rolling_percentiles() -> None:
    rolling = Rolling()
    for frame in range(101):
        rolling.add(make_result(total_ms=float(frame)), now_s=frame / 1000)
    assert rolling.numbers(0.1).p50_ms == pytest.approx(50)
    assert rolling.numbers(0.1).p95_ms == pytest.approx(95)


def test_rolling_empties_when_nothing_comes() -> None:
    rolling = Rolling()
    assert rolling.numbers(0.0) == Numbers()
    rolling.add(make_result(), now_s=0.0)
    assert rolling.numbers(0.5).fps == 1
    assert rolling.numbers(1.0) == Numbers()


def exact_miou(truth: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    ious = []
    for one in range(num_classes):
        counted = truth < num_classes
        union = ((truth == one) | (labels == one)) & counted
        if union.any():
            ious.append(((truth == one) & (labels == one)).sum() / union.sum())
    return float(np.mean(ious))


def test_score_is_miou_with_void_ignored_in_the_truth_and_wrong_in_the_prediction() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, 255], (40, 50)).astype(np.uint8)
    labels = rng.choice([0, 1, 2, 7], (40, 50)).astype(np.uint8)
    score = LiveScore("abcd")  # class 3 occurs nowhere and does not count
    score.add(truth, labels)
    assert score.miou == pytest.approx(exact_miou(truth, labels, 4))


def test_score_forgets_old_frames_and_reduces_a_larger_truth() -> None:
    labels = np.indices((6, 8)).sum(axis=0).astype(np.uint8) % 3
    truth = labels.repeat(4, axis=0).repeat(4, axis=1)
    score = LiveScore("abc", frames=5)
    for _ in range(5):
        score.add((truth + 1) % 3, labels)
    assert score.miou == 0
    for _ in range(5):
        score.add(truth, labels)
    assert score.miou == 1


def test_score_is_unknown_without_labelled_pixels() -> None:
    score = LiveScore("abc")
    assert score.miou is None
    score.add(np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8))
    assert score.miou is None


def test_255_classes_fit() -> None:
    truth = np.arange(256, dtype=np.uint8).reshape(16, 16)
    score = LiveScore(["class"] * 255)
    score.add(truth, truth)
    assert score.miou == 1
