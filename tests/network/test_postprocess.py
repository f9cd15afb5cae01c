"""Labels are the argmax, and refined labels follow the picture's edges, or the scores."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg.contracts import Confidence, Frame, Image, Labels
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.postprocess import along_edges, argmax, at_size, smooth
from drive_seg.network.schedule import parse_schedule
from tests.fakes import FakeBackend, make_bundle


@pytest.mark.parametrize("values", [4, 1000])
def test_the_strongest_is_argmax_and_the_first_of_equals(values: int) -> None:
    planes = np.random.default_rng(1).integers(0, values, (255, 20, 30)).astype(np.float32)
    assert np.array_equal(argmax(planes), planes.argmax(0))


def test_a_plane_may_be_overwritten_once_the_next_is_asked_for() -> None:
    planes = np.random.default_rng(2).random((5, 8, 9), np.float32)
    buffer = np.empty((8, 9), np.float32)

    def one_after_another():  # type: ignore[no-untyped-def]
        for plane in planes:
            buffer[:] = plane
            yield buffer

    assert np.array_equal(argmax(one_after_another()), planes.argmax(0))


def test_labels_are_enlarged_and_reduced_whole() -> None:
    labels = np.array([[0, 200], [7, 3]], np.uint8)
    large = at_size(labels, (6, 8))
    assert large.shape == (6, 8)
    assert (large == labels.repeat(3, 0).repeat(4, 1)).all()
    assert (at_size(large, (2, 2)) == labels).all()


def disc(height: int, width: int) -> Image:
    """1 within a circle, 0 outside."""
    rows, columns = np.mgrid[:height, :width]
    return ((rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (0.3 * height) ** 2).astype(np.uint8)


def test_a_coarse_border_moves_onto_the_pictures_edge() -> None:
    truth = disc(96, 128)
    image = np.where(truth[..., None], np.uint8(200), np.uint8(60)) * np.ones(3, np.uint8)
    coarse = np.roll(cv2.resize(truth, (64, 48), interpolation=cv2.INTER_NEAREST), 1, axis=1) * 7
    before = (cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_NEAREST) != truth * 7).mean()
    refined = along_edges(coarse, np.asarray(image, np.uint8))
    assert refined.shape == (96, 128)
    assert refined.dtype == np.uint8
    assert set(np.unique(refined)) == {0, 7}
    assert (refined != truth * 7).mean() < 0.6 * before


def guided(labels: Labels, image: Image) -> Labels:
    """The same filter window by window, in doubles (He, Sun 2015, algorithm 2, as along_edges() says)."""
    full = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) / 255
    height, width = labels.shape
    step = full.shape[0] // height
    guide = np.pad(full.reshape(height, step, width, step).mean((1, 3)), 1, mode="symmetric")
    scores, classes = [], np.unique(labels)
    for value in classes:
        inside, fitted = np.pad((labels == value) * 1.0, 1, mode="symmetric"), np.zeros((2, height, width))
        for y, x in np.ndindex(height, width):
            brightness, share = guide[y : y + 3, x : x + 3], inside[y : y + 3, x : x + 3]
            slope = (brightness * share - brightness.mean() * share.mean()).mean() / (brightness.var() + 1e-3)
            fitted[:, y, x] = slope, share.mean() - slope * brightness.mean()
        slope, level = (cv2.resize(one, full.shape[::-1], interpolation=cv2.INTER_LINEAR) for one in fitted)
        scores.append(slope * full + level)
    return classes[np.argmax(scores, axis=0)]


def test_refined_labels_are_those_of_a_guided_filter() -> None:
    rng = np.random.default_rng(3)
    labels = cv2.resize(rng.choice(np.array([0, 3, 200], np.uint8), (5, 7)), (28, 20), interpolation=cv2.INTER_NEAREST)
    image = cv2.resize(rng.integers(90, 130, (20, 28, 3), np.uint8), (84, 60), interpolation=cv2.INTER_CUBIC)  # hardly any contrast
    wanted = guided(labels, image)
    assert (wanted != cv2.resize(labels, (84, 60), interpolation=cv2.INTER_NEAREST)).mean() > 0.02
    assert (along_edges(labels, image) != wanted).mean() < 0.001


def test_a_flat_picture_and_a_single_class_change_nothing() -> None:
    flat = np.full((96, 128, 3), 90, np.uint8)
    labels = cv2.resize(disc(96, 128), (64, 48), interpolation=cv2.INTER_NEAREST)
    enlarged = cv2.resize(labels, (128, 96), interpolation=cv2.INTER_NEAREST)
    assert (along_edges(labels, flat) != enlarged).mean() < 0.01  # corners of the staircase alone
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    assert np.array_equal(along_edges(np.full((48, 64), 255, np.uint8), noise), np.full((96, 128), 255))


def test_smooth_borders_lie_where_two_classes_are_equally_probable() -> None:
    """A border between classes 3 and 7 that is no cell's edge, seen by a network whose probabilities rise evenly across it."""
    rows, columns = np.mgrid[:96, :128] + 0.5
    truth = np.where(columns + 0.3 * rows < 77.7, 3, 7).astype(np.uint8)
    cell_rows, cell_columns = (np.mgrid[:24, :32] + 0.5) * 4
    left = (0.5 + (77.7 - cell_columns - 0.3 * cell_rows) / 20).clip(0, 1)  # the probability of class 3
    labels = np.where(left > 0.5, 3, 7).astype(np.uint8)
    told = Confidence((np.maximum(left, 1 - left) * 255).astype(np.uint8), np.where(left > 0.5, 7, 3).astype(np.uint8))
    image = np.zeros((96, 128, 3), np.uint8)
    blocky, made = at_size(labels, (96, 128)), smooth(labels, image, told)
    assert made.dtype == np.uint8
    assert (made != truth).mean() < 0.1 * (blocky != truth).mean()


def test_smooth_labels_keep_a_cell_however_unsure_it_is_and_ids_that_are_no_class() -> None:
    random = np.random.default_rng(5)
    labels = random.choice(np.array([0, 4, 255], np.uint8), (6, 8))
    told = Confidence(random.integers(1, 256, (6, 8), dtype=np.uint8), random.choice(np.array([1, 9], np.uint8), (6, 8)))
    assert np.array_equal(smooth(labels, np.zeros((6, 8, 3), np.uint8), told), labels)  # at the cells' own size


def test_the_pipeline_refines_at_the_frames_size_and_counts_it_as_latency(tmp_path: Path) -> None:
    image = np.full((24, 32, 3), 100, np.uint8)
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        result = Pipeline(engine, parse_schedule("every-frame"), refine=along_edges).step(Frame(image, 0, 0.0))
    assert result.labels.shape == (24, 32)
    assert (result.labels == 100).all()
    assert 0 < result.latency_ms["refine"] <= result.total_ms
