"""What a schedule would have spared is what it decides when it really runs on labels that come out the same."""

from dataclasses import replace

import numpy as np

from drive_seg.contracts import Reason, Result
from drive_seg.session.spare import SCHEDULE, Spare
from tests.fakes import make_result


def result(index: int, ones: int, segment: int = 0, reason: Reason = "every", size: int = 100) -> Result:
    """Labels of which so many are 1, the others 0."""
    made = make_result(index, labels=(np.arange(size) < ones).astype(np.uint8).reshape(1, -1))
    return replace(made, frame=replace(made.frame, segment=segment), decision=replace(made.decision, reason=reason))


def told(results: list[Result]) -> list[bool | None]:
    spare = Spare()
    return [None if (decision := spare.add(one)) is None else decision.run_high for one in results]


def test_a_frame_is_spared_while_few_labels_differ_from_those_of_the_last_refresh() -> None:
    assert SCHEDULE == "clockwork:adaptive=0.03"
    # as in a run, a change shows with the frame after it
    assert told([result(at, ones) for at, ones in enumerate((0, 1, 3, 4, 4, 4, 6, 8, 8))]) == [
        None, False, False, False, True, False, False, False, True,
    ]  # fmt: skip


def test_a_standing_picture_is_refreshed_at_the_largest_age() -> None:
    assert [at for at, refreshed in enumerate(told([result(at, 3) for at in range(70)])) if refreshed] == [30, 60]


def test_where_the_run_keeps_features_itself_or_nothing_could_be_kept_it_says_nothing() -> None:
    assert told([result(0, 0, reason="clock"), result(1, 0, reason="clock")]) == [None, None]
    cut = [result(0, 0), result(1, 0), result(2, 90, reason="cut"), result(3, 90), result(9, 0, segment=1), result(10, 0, segment=1)]
    assert told(cut) == [None, False, None, False, None, False]
    assert told([result(0, 0), result(1, 0, size=50), result(2, 0, size=50)]) == [None, None, False]  # another network's labels
