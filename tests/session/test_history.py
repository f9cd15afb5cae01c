"""What is kept of the frames that have come, and what is saved of it."""

from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Decision, Frame, Result
from drive_seg.errors import SinkError
from drive_seg.network.postprocess import shares
from drive_seg.session.history import LENGTH, History, moment_of, write_csv
from tests.fakes import make_result


def test_a_moment_is_what_the_result_says_without_its_pictures() -> None:
    labels = np.array([[0, 0, 1, 200]], np.uint8)
    moment = moment_of(make_result(7, labels=labels, total_ms=4.5, age=2), 3)
    assert (moment.index, moment.time_s, moment.total_ms, moment.age_frames, moment.is_key) == (7, 7 / 30, 4.5, 2, False)
    assert (moment.reason, moment.text) == ("clock", "age 2 of 4")
    assert moment.shares.tolist() == [0.5, 0.25, 0.0]  # a quarter is void
    assert moment.shares.dtype == np.float32


def test_nothing_that_is_told_of_a_frame_is_lost() -> None:
    frame = Frame(np.zeros((8, 8, 3), np.uint8), 7, 1.5, segment=2)
    decision = Decision(True, "score", "score 0.3", score=0.3, threshold=0.2)
    result = Result(
        frame, np.ones((2, 2), np.uint8), None, decision, 4, 133.0, cold=True, latency_ms={"total": 9.0, "low": 2.0}, dropped=5
    )  # fmt: skip
    moment = moment_of(result, 2)
    assert (moment.index, moment.segment, moment.time_s, moment.age_frames, moment.dropped) == (7, 2, 1.5, 4, 5)
    assert (moment.is_key, moment.cold, moment.reason, moment.text, moment.score, moment.threshold) == (
        True, True, "score", "score 0.3", 0.3, 0.2,
    )  # fmt: skip
    assert (moment.total_ms, moment.latency_ms, moment.shares.tolist()) == (9.0, {"total": 9.0, "low": 2.0}, [0.0, 1.0])


def test_shares_are_exact_for_large_pictures() -> None:
    labels = np.random.default_rng(0).integers(0, 11, (720, 1280), np.uint8)
    assert np.allclose(shares(labels, 11), np.bincount(labels.ravel(), minlength=11) / labels.size, atol=1e-7)


def test_the_last_moments_are_kept_oldest_first() -> None:
    history = History()
    assert history.last(5) == ()
    for index in range(LENGTH + 10):
        history.add(moment_of(make_result(index), 11))
    assert [moment.index for moment in history.last(3)] == [LENGTH + 7, LENGTH + 8, LENGTH + 9]
    everything = history.last(10 * LENGTH)
    assert (len(everything), everything[0].index) == (LENGTH, 10)
    assert history.last(0) == ()


def test_class_areas_are_saved_one_line_a_moment_of_that_network(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 1, 1]], np.uint8)
    moments = [moment_of(make_result(3, labels=labels), 2), moment_of(make_result(4, labels=labels), 3)]
    write_csv(tmp_path / "areas.csv", ("road", "sky, upper"), moments)
    assert (tmp_path / "areas.csv").read_text().splitlines() == ['index,time_s,road,"sky, upper"', "3,0.100000,0.250000,0.750000"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"areas\.csv.*; make its folder first"):
        write_csv(tmp_path / "no" / "areas.csv", ("road",), ())
