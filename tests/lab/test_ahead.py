"""What is told of the road ahead against what is true, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from drive_seg.lab.evaluate.ahead import RoadAhead, unscored
from drive_seg.lab.evaluate.pairs import VOID
from tests.fakes import make_result

CLASSES = ("road", "person", "car")
CORRIDOR = ((0.0, 1.0), (1.0, 1.0), (0.5, 0.0))


def labels(ends: int | None = None, what: int = 2, person: bool = False) -> np.ndarray:
    """Of 48x64: road, but above the row `ends`."""
    made = np.zeros((48, 64), np.uint8)
    if ends is not None:
        made[: ends + 1] = what
    made[40:44, 30:34] |= person
    return made


def scored(*pairs: tuple[np.ndarray, np.ndarray]) -> dict[str, dict[str, float]]:
    """Of true and told labels, frame by frame."""
    meter = RoadAhead(CORRIDOR, CLASSES)
    for index, (true, told) in enumerate(pairs):
        meter.on_result(make_result(index, labels=told, truth=true), None)
    return meter.figures()["ahead"]  # type: ignore[no-any-return]


def test_rows_shares_and_classes() -> None:
    found = scored((labels(23), labels(11)), (labels(23), labels(23, what=1)), (labels(23), labels()), (labels(), labels(23)))
    assert (found["row"]["frames"], found["row_missed"], found["row_invented"]) == (2, 1, 1)
    assert (found["row"]["mean_error"], found["row"]["bias"]) == pytest.approx((6 / 48, -6 / 48))
    assert found["obstacle_alike"] == 0.5
    rows = np.arange(48) + 0.5
    widths = 2 * np.floor(rows * 64 / 96 + 0.5)
    taken = [widths[: end + 1].sum() / widths.sum() for end in (23, 11)]
    errors = [taken[0] - taken[1], 0, taken[0], -taken[0]]
    assert found["share"]["mean_error"] == pytest.approx(np.abs(errors).mean())
    assert found["share"]["bias"] == pytest.approx(np.mean(errors))


def test_the_same_labels_are_without_error_and_nothing_is_said_of_nothing() -> None:
    found = scored(*[(labels(15), labels(15))] * 6)
    assert (found["row"]["mean_error"], found["share"]["mean_error"], found["obstacle_alike"]) == (0, 0, 1)
    assert found["person"]["precision"] is found["person"]["recall"] is found["events"]["recall"] is None
    assert scored()["share"]["mean_error"] is None


def people(true: str, told: str) -> dict[str, dict[str, float]]:
    return scored(*((labels(person=one == "1"), labels(person=other == "1")) for one, other in zip(true, told, strict=True)))


def test_people_by_frame_and_by_event() -> None:
    found = people("1111000000000011111110000000", "0011110000000000000001111100")
    seen, person, events = found["person_seen"], found["person"], found["events"]
    assert (seen["true"], seen["told"], seen["right"]) == (11, 9, 2)
    assert (seen["precision"], seen["recall"]) == (2 / 9, 2 / 11)
    # three of five begin it, five without end it: true 2-7 and 16-24, told 4-9 and 23-27
    assert (person["true"], person["told"], person["right"]) == (15, 11, 6)
    assert (events["true"], events["told"], events["found"], events["right"], events["precision"], events["recall"]) == (2, 2, 2, 2, 1, 1)
    assert events["mean_delay_frames"] == (2 + 7) / 2


def test_an_event_that_is_missed_and_one_that_is_invented() -> None:
    events = people("111000000000000000", "000000000011100000")["events"]
    assert (events["found"], events["right"], events["precision"], events["recall"], events["mean_delay_frames"]) == (0, 0, 0, 0, None)


def test_where_the_truth_is_void_nothing_is_scored() -> None:
    truth, told = labels(), labels(30)
    truth[:40] = VOID
    assert scored((truth, told))["share"]["mean_error"] == 0
    small = np.ones((24, 32), np.uint8)
    assert unscored(small, truth, 3)[:20].tolist() == [[VOID] * 32] * 20
    assert np.all(unscored(small, truth, 3)[20:] == 1)


def test_events_of_two_segments_do_not_meet() -> None:
    meter = RoadAhead(CORRIDOR, CLASSES)
    for segment, true in enumerate((True, False)):
        for index in range(4):
            made = make_result(index, labels=labels(person=not true), truth=labels(person=true))
            meter.on_result(replace(made, frame=replace(made.frame, segment=segment)), None)
    assert meter.figures()["ahead"]["events"]["found"] == 0
