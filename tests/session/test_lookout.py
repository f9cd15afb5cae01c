"""What is told of the road ahead: with each frame, in trace, figures and CSV, and a person once and not with every flicker."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Frame, Result
from drive_seg.errors import UsageError
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import EveryFrame
from drive_seg.session.history import AHEAD, moment_of, write_csv
from drive_seg.session.lookout import MOST_EVENTS, Lookout
from drive_seg.session.observer import Observer
from drive_seg.session.session import Session
from drive_seg.sinks.tracer import Tracer
from tests.fakes import FakeBackend, make_bundle, make_result

CLASSES = ("road", "person", "car")
CORRIDOR = ((0.0, 1.0), (1.0, 1.0), (0.5, 0.0))


def seen(index: int, person: bool, segment: int = 0) -> Result:
    """A frame of 48x64 with labels of 12x16, in which a person stands on the road or nobody does."""
    labels = np.zeros((12, 16), np.uint8)
    labels[6:8, 7:9] = person
    made = make_result(index, labels=labels)
    return replace(made, frame=replace(made.frame, segment=segment))


def test_a_person_is_told_once_and_a_flicker_is_not() -> None:
    lookout = Lookout(CORRIDOR, CLASSES)
    told = [lookout.complete(seen(index, here == "1")).ahead for index, here in enumerate("0100011110111000000")]
    assert [(at, one.event) for at, one in enumerate(told) if one and one.event] == [(7, "begin"), (17, "end")]
    assert [one and one.person for one in told] == [7 <= at < 17 for at in range(19)]
    (event,) = lookout.events
    assert (event.index, event.last_index, event.row, event.rows, event.time_s) == (7, 16, 31, 48, 7 / 30)


def test_rows_are_the_frames() -> None:
    ahead = Lookout(CORRIDOR, CLASSES).complete(seen(0, person=True)).ahead
    assert ahead is not None
    assert (ahead.size_hw, ahead.row, ahead.person_row, ahead.obstacle, ahead.persons) == ((48, 64), 31, 31, 1, 4)


def test_another_segment_begins_anew_and_a_frame_shown_again_is_counted_once() -> None:
    lookout = Lookout(CORRIDOR, CLASSES)
    for index in range(4):
        lookout.complete(seen(index, person=True))
    again = lookout.complete(seen(3, person=True)).ahead
    assert again is not None
    assert (again.person, again.event, lookout.figures()["ahead"]["frames"]) == (True, None, 4)
    told = [lookout.complete(seen(index, True, segment=1)).ahead for index in range(3)]
    assert [one and (one.person, one.event) for one in told] == [(False, None), (False, None), (True, "begin")]
    assert [(event.segment, event.index) for event in lookout.events] == [(0, 2), (1, 2)]


def test_another_network_goes_on_and_another_corridor_counts_on_with_nobody_in_it() -> None:
    first = Lookout(CORRIDOR, CLASSES)
    for index in range(4):
        first.complete(seen(index, person=True))
    other_network = Lookout(CORRIDOR, CLASSES, first)
    told = [other_network.complete(seen(index, person=True)).ahead for index in (3, 4, 5)]  # the frame that stood is shown again
    assert [one and (one.person, one.event) for one in told] == [(True, None)] * 3
    other_corridor = Lookout(((0.0, 1.0), (1.0, 1.0), (0.4, 0.0)), CLASSES, other_network)
    told = [other_corridor.complete(seen(index, person=True)).ahead for index in (5, 6, 7, 8)]
    assert [one and one.event for one in told] == [None, None, None, "begin"]
    ahead = other_corridor.figures()["ahead"]
    assert (ahead["frames"], ahead["persons"], [event["index"] for event in ahead["events"]]) == (9, 2, [2, 8])
    assert ahead["events"][0]["last_index"] == 5
    other_corridor.forget()
    assert Lookout(other_corridor.corridor, CLASSES, other_corridor).complete(seen(9, person=True)).ahead.person is False  # type: ignore[union-attr]


def test_figures_are_of_all_frames_and_ready_for_json() -> None:
    lookout = Lookout(CORRIDOR, CLASSES)
    assert lookout.figures()["ahead"]["road_share"] is None
    shares = [lookout.complete(seen(index, index % 10 >= 3)).ahead.share for index in range(20)]  # type: ignore[union-attr]
    figures = json.loads(json.dumps(lookout.figures()))["ahead"]
    assert figures["road_share"] == pytest.approx(np.mean(shares))  # type: ignore[arg-type]
    assert (figures["frames"], figures["persons"], figures["frames_with_person"]) == (20, 1, 15)
    assert figures["events"] == [{"segment": 0, "index": 5, "time_s": 5 / 30, "row": 31, "rows": 48, "last_index": 19}]
    assert figures["corridor"] == [[0, 1], [1, 1], [0.5, 0]]
    assert MOST_EVENTS >= 1000


def test_a_network_that_knows_no_road_is_refused() -> None:
    with pytest.raises(UsageError, match="no class of this network is the road"):
        Lookout(CORRIDOR, ("sky", "sea"))


def frames(blues: list[int]) -> Iterator[Frame]:
    for index, blue in enumerate(blues):
        yield Frame(np.full((24, 32, 3), blue, np.uint8), index, index / 10)


def test_a_run_has_it_in_trace_summary_and_for_every_observer(tmp_path: Path) -> None:
    """The fake's labels are the picture's blue, all over: 0 is road, 1 a person."""
    told: list[Result] = []

    class Watching(Observer):
        def on_result(self, result: Result, comparison: Result | None) -> None:
            told.append(result)

    palette = [(128, 64, 128), (64, 64, 0), (64, 0, 128)]
    bundle, path = make_bundle(tmp_path / "one", classes=CLASSES, palette=palette, cut=1e9), tmp_path / "run.jsonl"
    with Engine(bundle, FakeBackend()) as engine, closing(Tracer(path)) as trace:
        observers: dict[str, Observer] = {"watching": Watching(), "ahead": Lookout(CORRIDOR, CLASSES)}
        session = Session(Pipeline(engine, EveryFrame()), frames([0, 0, 1, 1, 1, 2]), observers)
        session.sinks["trace"] = trace
        session.run()
        summary = session.summary()
    lines = [json.loads(line)["ahead"] for line in path.read_text().splitlines()]
    assert [line["share"] for line in lines] == [1, 1, 0, 0, 0, 0]
    assert [line["row"] for line in lines] == [None, None, 23, 23, 23, 23]
    assert [line["obstacle"] for line in lines] == [None, None, 1, 1, 1, 2]
    assert [line["person"] for line in lines] == [False] * 4 + [True] * 2
    assert [line["event"] for line in lines] == [None] * 4 + ["begin", None]
    assert lines[0]["polygon"] == [[0, 24], [0, 0], [32, 0], [32, 24]]
    assert (lines[0]["size_hw"], lines[0]["corridor"]) == ([24, 32], [[0, 1], [1, 1], [0.5, 0]])
    assert [result.ahead and result.ahead.event for result in told] == [line["event"] for line in lines]
    assert summary["ahead"]["persons"] == 1  # type: ignore[index]


def test_without_a_corridor_nothing_is_told(tmp_path: Path) -> None:
    with closing(Tracer(tmp_path / "run.jsonl")) as trace:
        trace.put(make_result())
    assert "ahead" not in json.loads((tmp_path / "run.jsonl").read_text())


def test_class_areas_get_its_columns(tmp_path: Path) -> None:
    lookout = Lookout(CORRIDOR, CLASSES)
    moments = [moment_of(lookout.complete(seen(index, person=index > 0)), 3) for index in range(4)]
    assert [moment.ahead and moment.ahead.polygon for moment in moments] == [()] * 4  # ten minutes of them are kept
    write_csv(tmp_path / "areas.csv", CLASSES, [*moments, moment_of(make_result(9), 3)])
    rows = [line.split(",") for line in (tmp_path / "areas.csv").read_text().splitlines()]
    assert tuple(rows[0][5:]) == AHEAD
    assert rows[1][5:] == ["1.000000", "", "", "0", "0"]
    assert rows[4][6:] == ["31", "person", "4", "1"]
    assert rows[5][5:] == [""] * 5
