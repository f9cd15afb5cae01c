"""A batch whose workers end, hang and fail: nothing is lost, nothing is done twice, and nobody waits for ever."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drive_seg.errors import BackendError, SinkError, UsageError
from drive_seg.fleet.batch import TRIES, Batch, Case, agreed, asked
from drive_seg.fleet.drives import Drive, Piece, find_drives
from drive_seg.fleet.labelling import Labeller, Order, Outcome
from drive_seg.fleet.records import Records, Survey
from drive_seg.sources.capture import Capture
from tests.fleet.conftest import Inline, write_drive

Make = Callable[..., Order]


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory, a_drive: Path) -> Path:
    """Of 60, 10 and 60 frames: 4, 1 and 4 pieces of half a second."""
    folder = tmp_path_factory.mktemp("three")
    for name in ("a.mp4", "c/c.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(a_drive.read_bytes())
    write_drive(folder / "b.mp4", 10)
    return folder


def of(order: Order, drives: Path, told: list[dict[str, Any]], workers: int = 2) -> tuple[Batch, list[Inline]]:
    crew = [Inline(order) for _ in range(workers)]
    records = Records(order.out)
    missing = [drive for drive in find_drives([str(drives)], order.out) if records.record(drive) is None]
    return Batch(missing, order, crew, agreed(records, order), told.append), crew


def frames_of(order: Order) -> dict[str, int]:
    found = (folder.relative_to(order.out).as_posix() for folder in Records(order.out).all())
    return {name: len(list((order.out / name / "masks").glob("*.png"))) for name in found}


ALL = {"a": 60, "b": 10, "c/c": 60}


def test_all_is_done_once_by_all_workers(order: Make, drives: Path) -> None:
    wanted, told = order(), list[dict[str, Any]]()
    batch, crew = of(wanted, drives, told)
    assert batch.run()
    assert frames_of(wanted) == ALL
    assert sum(worker.count("label") for worker in crew) == 9
    assert all(worker.count("label") for worker in crew)
    assert [event["event"] for event in told].count("file") == 3
    assert list((wanted.out / ".batch").rglob("*.png")) == []


@pytest.mark.parametrize("job", ["begin", "survey", "label", "join"])
def test_a_worker_that_ends_under_way_loses_nothing(order: Make, drives: Path, job: str) -> None:
    wanted, told = order(), list[dict[str, Any]]()
    batch, crew = of(wanted, drives, told)

    def end_once(name: str, args: tuple[Any, ...], ended: list[str] = []) -> None:  # noqa: B006
        if name == job and not ended:
            ended.append(name)
            raise RuntimeError("killed")

    for worker in crew:
        worker.before = end_once
    assert batch.run()
    assert frames_of(wanted) == ALL
    assert sum(worker.count("label") for worker in crew) == 9 + (job == "label")
    assert [event["job"] for event in told if event["event"] == "lost"] == ([] if job == "begin" else [job])


@pytest.mark.parametrize("job", ["survey", "label"])
def test_a_file_that_ends_its_workers_is_given_up_and_named(order: Make, drives: Path, job: str) -> None:
    wanted, told = order(), list[dict[str, Any]]()
    batch, crew = of(wanted, drives, told)

    def end(name: str, args: tuple[Any, ...]) -> None:
        if name == job and args[0].name == "a" and (job == "survey" or args[1].start == 15):
            raise RuntimeError("segmentation fault")

    for worker in crew:
        worker.before = end
    assert batch.run()
    record = Records(wanted.out).record(Drive("", "a", 0))
    assert record
    assert f"has ended {TRIES} times (segmentation fault); it was given up" in record["error"]
    assert "a.mp4" in record["error"]
    assert frames_of(wanted) == ALL | {"a": 0 if job == "survey" else 15}  # as a run of it would have left it
    assert sum(event["event"] == "lost" for event in told) == TRIES


def test_after_an_error_the_rest_of_a_drive_is_not_labelled(order: Make, drives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, label = order(), Labeller.label

    def fail(self: Labeller, drive: Drive, piece: Piece) -> Outcome:
        return Outcome(0, piece.key, None, "bad", 0.0, "") if drive.name == "a" and not piece.start else label(self, drive, piece)

    monkeypatch.setattr(Labeller, "label", fail)
    batch, crew = of(wanted, drives, [])
    assert batch.run()
    assert sum(worker.count("label") for worker in crew) <= 7  # another one may have been under way
    assert frames_of(wanted) == ALL | {"a": 0}


@pytest.mark.parametrize(
    ("job", "error"), [("label", SinkError("no space")), ("begin", BackendError("no device")), ("join", SinkError("no space"))]
)
def test_what_no_other_file_would_fare_better_with_ends_the_batch(
    order: Make, drives: Path, monkeypatch: pytest.MonkeyPatch, job: str, error: Exception
) -> None:
    def fail(self: Labeller, *args: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Labeller, job, fail)
        batch, crew = of(order(), drives, [])
        with pytest.raises(type(error), match=str(error)):
            batch.run()
        assert sum(worker.count(job) for worker in crew) <= 2  # what was under way
    batch, _ = of(order(), drives, [])
    assert batch.run()
    assert frames_of(order()) == ALL


def test_a_network_that_fails_is_tried_by_another_worker(order: Make, drives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label, failed = Labeller.label, list[Piece]()

    def fail(self: Labeller, drive: Drive, piece: Piece) -> Outcome:
        if not failed:
            failed.append(piece)
            raise BackendError("the device is lost")
        return label(self, drive, piece)

    monkeypatch.setattr(Labeller, "label", fail)
    batch, _ = of(order(), drives, [])
    assert batch.run()
    assert frames_of(order()) == ALL


def test_workers_that_cannot_begin_end_the_batch(order: Make, drives: Path) -> None:
    def end(name: str, args: tuple[Any, ...]) -> None:
        raise RuntimeError("no such library")

    batch, crew = of(order(), drives, [])
    crew[0].before = end
    with pytest.raises(BackendError, match=r"ends as soon as it begins \(no such library\)"):
        batch.run()
    assert crew[0].count("begin") == TRIES


def test_stopped_it_finishes_what_is_under_way_and_goes_on_with_what_is_missing(
    order: Make, drives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, told, opened = order(), list[dict[str, Any]](), list[str]()
    open_capture = Labeller._capture

    def count(self: Labeller, drive: Drive, piece: Piece, *args: Any) -> Capture:
        opened.append(f"{drive.name} {piece.name}")
        return open_capture(self, drive, piece, *args)

    monkeypatch.setattr(Labeller, "_capture", count)
    for pieces in (1, 3, 6):
        batch, _ = of(wanted, drives, told)

        def tell(event: dict[str, Any], batch: Batch = batch, pieces: int = pieces) -> None:
            if len(opened) >= pieces:
                batch.stop()

        batch._tell = tell
        assert not batch.run()
        assert pieces <= len(opened) <= pieces + 2  # two work
    assert of(wanted, drives, told)[0].run()
    assert frames_of(wanted) == ALL
    assert len(opened) == len(set(opened)) == 9


def test_a_batch_is_not_gone_on_with_by_other_settings(order: Make, drives: Path) -> None:
    first = order(schedule="clockwork:4")
    records = Records(first.out)
    assert agreed(records, first) == {}
    records.keep_settings({"asked": asked(first), "pinned": {"backend": "fake", "precision": "fp32"}})
    assert agreed(records, first) == {"backend": "fake", "precision": "fp32"}
    assert agreed(records, order(schedule="clockwork:4", cut_s=3.0, give_up="3s"))  # of which results know nothing
    for other, said in (
        (order(), "--schedule clockwork:4, not every-frame"),
        (order(schedule="clockwork:4", save=("areas",)), "--save areas,masks,trace, not areas"),
        (order(schedule="clockwork:4", precision="int8"), "--precision unset, not int8"),
        (order(schedule="clockwork:4", confidence=True), "--confidence False, not True"),
    ):
        with pytest.raises(UsageError, match=f"was begun with {said}; give the same, or another --out"):
            agreed(records, other)
    card = Path(first.settings.model) / "card.json"
    card.write_text(card.read_text() + "\n")
    with pytest.raises(UsageError, match="content of the model"):
        agreed(records, first)


def outcome(began: int | None, ends_with: int | None, error: str = "") -> Outcome:
    return Outcome(9, began, ends_with, error, 1.0, "somebody")


FIRST, SECOND, THIRD = Piece(0, 10, 0), Piece(10, 20, 5), Piece(20, None, 15)


@pytest.mark.parametrize(
    ("outcomes", "again"),
    [
        ({}, []),
        ({FIRST: outcome(0, 5), THIRD: outcome(15, 25)}, []),  # nothing is known of what comes between
        ({FIRST: outcome(0, 5), SECOND: outcome(5, 15), THIRD: outcome(15, 25)}, []),
        ({FIRST: outcome(0, 8), SECOND: outcome(5, 15), THIRD: outcome(15, 25)}, [Piece(10, 20, 8)]),
        ({FIRST: outcome(0, 5), SECOND: outcome(5, 17), THIRD: outcome(15, 25)}, [Piece(20, None, 17)]),
        ({FIRST: outcome(0, 5), SECOND: outcome(6, 15)}, [Piece()]),  # its key frame cannot be read from there
        ({FIRST: outcome(0, 5), SECOND: outcome(None, None, "cannot be read")}, [Piece()]),  # but may be on the way
        ({FIRST: outcome(0, 5, "cut short"), SECOND: outcome(7, 15)}, []),
    ],
)
def test_a_piece_that_began_elsewhere_is_labelled_again(outcomes: dict[Piece, Outcome], again: list[Piece]) -> None:
    case = Case(Drive("a.mp4", "a", 1), Survey(), [FIRST, SECOND, THIRD], outcomes)
    assert case.review() == again
    if not outcomes.get(SECOND):
        assert case.settled is None
