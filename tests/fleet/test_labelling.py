"""A piece of a drive is what a run of the whole drive has there, byte for byte."""

import csv
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_seg.classes import ClassName, palette
from drive_seg.contracts import Frame
from drive_seg.errors import SinkError, UsageError
from drive_seg.fleet import labelling
from drive_seg.fleet.batch import Batch
from drive_seg.fleet.drives import Drive, Piece, find_drives
from drive_seg.fleet.labelling import GONE, Labeller, Order
from drive_seg.fleet.records import Records, read
from drive_seg.sources.file import FileSource
from tests.fleet.conftest import Inline, single
from tests.sources.clips import cut, write_video
from tests.waiting import PATIENCE_S

Make = Callable[..., Order]


def labelled(order: Order, drive: Path) -> tuple[dict[str, Any], Inline, list[dict[str, Any]]]:
    """The record of a drive that a batch has done with one worker, the worker, and what was told."""
    (found,), worker, told = find_drives([str(drive)], order.out), Inline(order), list[dict[str, Any]]()
    assert Batch([found], order, [worker], {}, told.append).run()
    record = Records(order.out).record(found)
    assert record
    return record, worker, told


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def untimed(trace: Path) -> list[dict[str, Any]]:
    return [{**json.loads(line), "latency_ms": None} for line in trace.read_text().splitlines()]


@pytest.mark.parametrize(
    ("schedule", "propagation"),
    [("every-frame", "hold"), ("clockwork:4", "hold"), ("clockwork:4", "flow"), ("clockwork:1,2,6", "hold"), ("clockwork:30", "flow")],
)
def test_a_drive_that_was_cut_is_what_a_run_of_it_gives(
    order: Make, a_drive: Path, tmp_path: Path, schedule: str, propagation: str
) -> None:
    wanted = order(schedule=schedule, propagation=propagation)
    record, worker, _ = labelled(wanted, a_drive)
    made, run = wanted.out / "a", single(wanted, a_drive, tmp_path / "run")
    masks = bytes_of(made / "masks")
    assert len(masks) == 60
    assert masks == bytes_of(run / "masks")
    assert untimed(made / "trace.jsonl") == untimed(run / "trace.jsonl")
    assert (record["frames"], record["error"]) == (60, "")
    assert len(record["pieces"]) > 1
    assert worker.count("label") >= len(record["pieces"])
    assert record["key_frame_rate"] == sum(line["key"] for line in untimed(run / "trace.jsonl")) / 60


def test_scene_cuts_put_off_the_clock_and_the_pieces_after_them_are_labelled_once_more(order: Make, a_drive: Path) -> None:
    record, worker, _ = labelled(order(schedule="clockwork:4"), a_drive)
    asked = [piece for job, piece in worker.asked if job == "label"]
    assert [piece.start for piece in asked[:4]] == [0, 16, 32, 48]
    assert [piece.key for piece in asked[:4]] == [0, 12, 28, 44]
    assert {piece.start: piece.key for piece in asked[4:]} == {32: 30, 48: 47}  # scenes begin at 22 and 43
    assert [piece["start"] for piece in record["pieces"]] == [0, 16, 32, 48]


def test_an_overlay_is_not_cut_and_is_the_one_that_a_run_records(order: Make, a_drive: Path, tmp_path: Path) -> None:
    wanted, names = order(save=("overlay",)), [f"class {number}" for number in range(200)]
    card = Path(wanted.settings.model) / "card.json"
    usual = {"classes": names, "palette": palette([ClassName(name) for name in names])}  # which are not those that are drawn
    card.write_text(json.dumps(json.loads(card.read_text()) | usual))
    record, _, _ = labelled(wanted, a_drive)
    assert len(record["pieces"]) == 1
    assert bytes_of(wanted.out / "a")["overlay.mp4"] == bytes_of(single(wanted, a_drive, tmp_path / "run"))["overlay.mp4"]


@pytest.mark.parametrize(("name", "place"), [("cvat", "masks.xml"), ("label-studio", "masks.json"), ("cityscapes", "masks/000059.png")])
def test_masks_of_any_format_are_those_that_a_run_writes(order: Make, a_drive: Path, tmp_path: Path, name: str, place: str) -> None:
    wanted = order(("masks",), save_masks_format=name)
    record, _, _ = labelled(wanted, a_drive)
    run = single(wanted, a_drive, tmp_path / "run")
    assert (record["frames"], record["masks"]) == (60, name)
    assert (len(record["pieces"]) == 1) == ("one file a drive" in wanted.uncut) == ("/" not in place)
    assert (wanted.out / "a" / place).read_bytes() == (run / place).read_bytes()


@pytest.mark.parametrize(("schedule", "mode"), [("clockwork:adaptive=0.1", "sync"), ("clockwork:4", "async:1"), ("budget:30ms", "sync")])
def test_what_is_not_known_before_is_not_cut(order: Make, a_drive: Path, schedule: str, mode: str) -> None:
    wanted = order(schedule=schedule, mode=mode)
    assert "is not known before" in wanted.uncut
    assert len(labelled(wanted, a_drive)[0]["pieces"]) == 1


def test_areas_are_told_by_frame_and_by_second(order: Make, a_drive: Path) -> None:
    wanted = order()
    record, _, _ = labelled(wanted, a_drive)
    with (wanted.out / "a" / "areas.csv").open(newline="") as file:
        frames = list(csv.DictReader(file))
    with (wanted.out / "a" / "seconds.csv").open(newline="") as file:
        seconds = list(csv.DictReader(file))
    assert [int(row["index"]) for row in frames] == [*range(60)]
    assert [(row["second"], row["frames"]) for row in seconds] == [("0", "30"), ("1", "30")]
    for name in ("road", "car", "sky"):
        mean = np.mean([float(row[name]) for row in frames[30:]])
        assert float(seconds[1][name]) == pytest.approx(mean, abs=1e-5)
        assert record["areas"][name] == pytest.approx(np.mean([float(row[name]) for row in frames]), abs=1e-5)


@pytest.mark.parametrize("how", ["nothing in it", "no video", "gone"])
def test_what_is_no_video_is_a_record_with_its_error(order: Make, a_drive: Path, tmp_path: Path, how: str) -> None:
    (path := tmp_path / "bad.mp4").write_bytes(b"" if how == "nothing in it" else b"?" * 99)
    wanted, drive = order(), find_drives([str(path)], tmp_path / "out")[0]
    if how == "gone":
        path.unlink()
    worker = Inline(wanted)
    assert Batch([drive], wanted, [worker], {}, lambda event: None).run()
    record = read(wanted.out / "bad" / "record.json")
    assert record
    assert str(path) in record["error"]
    assert (record["frames"], record["areas"], worker.count("label")) == (0, None, 0)


def test_of_a_file_that_was_cut_short_there_is_what_a_run_gives_before_it_fails(order: Make, tmp_path: Path) -> None:
    short = cut(write_video(tmp_path / "long.mkv", [number / 30 for number in range(60)]), 0.7)
    wanted = order()
    record, _, _ = labelled(wanted, short)
    assert "cut short" in record["error"]
    assert 20 < record["frames"] < 60
    with pytest.raises(Exception, match="cut short"):
        single(wanted, short, tmp_path / "run")
    assert bytes_of(wanted.out / short.stem / "masks") == {
        name: data for name, data in bytes_of(tmp_path / "run" / "masks").items() if not name.endswith(".part")
    }


class Ended(BaseException):
    """Instead of the process."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes with which the process would have ended, in the thread that ended it."""
    codes, ended = list[int](), threading.Event()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()
        raise Ended

    monkeypatch.setattr(labelling.os, "_exit", end)
    return codes


def test_a_read_that_hangs_is_given_up_and_what_came_before_it_kept(
    order: Make, a_drive: Path, monkeypatch: pytest.MonkeyPatch, ends: list[int]
) -> None:
    wanted, released, read_on = order(cut_s=9.0, give_up="0.2s"), threading.Event(), FileSource.read

    def hang(self: FileSource) -> Frame | None:
        frame = read_on(self)
        if frame and frame.index == 7:
            released.wait(PATIENCE_S)
        return frame

    monkeypatch.setattr(FileSource, "read", hang)
    labeller, (drive,) = Labeller(wanted), find_drives([str(a_drive)], wanted.out)
    labeller.do("begin", labelling.__version__, {})
    survey = labeller.do("survey", drive)
    with pytest.raises(Ended):  # the next process finds what it has left
        labeller.do("label", drive, Piece())
    assert ends == [GONE]
    outcome = labeller.do("label", drive, Piece())
    released.set()
    assert (outcome.frames, "reading a frame did not end within 0.2 s" in outcome.error) == (7, True)
    record = labeller.do("join", drive, survey, [Piece()], "")
    assert len(bytes_of(wanted.out / "a" / "masks")) == record["frames"] == 7


@pytest.mark.parametrize("where", ["looking at it", "opening it"])
def test_a_file_that_hangs_while_it_is_opened_is_given_up(
    order: Make, a_drive: Path, monkeypatch: pytest.MonkeyPatch, ends: list[int], where: str
) -> None:
    wanted, released = order(cut_s=9.0, give_up="0.2s"), threading.Event()
    labeller, (drive,) = Labeller(wanted), find_drives([str(a_drive)], wanted.out)
    labeller.do("begin", labelling.__version__, {})
    survey = labeller.do("survey", drive) if where == "opening it" else None

    class Hanging(FileSource):
        def __init__(self, *args: Any) -> None:
            while not ends:
                released.wait(0.01)
            raise Ended

    monkeypatch.setattr(labelling, "FileSource", Hanging)
    with pytest.raises(Ended):
        labeller.do(*(("label", drive, Piece()) if survey else ("survey", drive)))
    found = labeller.do(*(("label", drive, Piece()) if survey else ("survey", drive)))
    assert f"{where} did not end within" in found.error
    assert "it was given up" in found.error


def test_what_is_done_is_not_done_again(order: Make, a_drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = order(cut_s=9.0)
    labeller, (drive,) = Labeller(wanted), find_drives([str(a_drive)], wanted.out)
    labeller.do("begin", labelling.__version__, {})
    survey, outcome = labeller.do("survey", drive), labeller.do("label", drive, Piece())
    monkeypatch.setattr(labelling, "FileSource", None)
    again = Labeller(wanted)
    again.do("begin", labelling.__version__, {})
    assert (again.do("survey", drive), again.do("label", drive, Piece())) == (survey, outcome)
    record = again.do("join", drive, survey, [Piece()], "")
    assert again.do("join", drive, survey, [Piece()], "") == record
    assert not (wanted.out / ".batch" / "work" / "a").exists()


def test_a_file_that_has_changed_meanwhile_is_begun_anew(order: Make, tmp_path: Path, a_drive: Path) -> None:
    (path := tmp_path / "b.mp4").write_bytes(a_drive.read_bytes())
    wanted = order()
    labeller, (drive,) = Labeller(wanted), find_drives([str(path)], wanted.out)
    labeller.do("begin", labelling.__version__, {})
    survey = labeller.do("survey", drive)
    labeller.do("label", drive, survey.pieces[0])
    write_video(path, [number / 30 for number in range(20)])
    os.utime(path, ns=(1, 1))
    other = labeller.do("survey", drive)
    assert (survey.frames, other.frames) == (60, 20)
    assert other.sha256 != survey.sha256
    assert not Records(wanted.out).piece(drive, survey.pieces[0]).exists()


def test_a_disk_that_is_full_is_the_batchs_end_and_no_files_fault(order: Make, a_drive: Path) -> None:
    wanted = order(cut_s=9.0)
    labeller, (drive,) = Labeller(wanted), find_drives([str(a_drive)], wanted.out)
    labeller.do("begin", labelling.__version__, {})
    labeller.do("survey", drive)
    (wanted.out / ".batch" / "work").rename(wanted.out / "gone")
    (wanted.out / ".batch" / "work").write_text("")
    assert isinstance(labeller.do("label", drive, Piece()), SinkError)


def test_another_version_or_precision_does_not_take_part(order: Make) -> None:
    wanted = order()
    assert Labeller(wanted).do("begin", labelling.__version__, {}) == {"backend": "fake", "precision": "fp32"}
    for version, pinned in (("0.0", {}), (labelling.__version__, {"backend": "fake", "precision": "int8"})):
        found = Labeller(wanted).do("begin", version, pinned)
        assert isinstance(found, UsageError)
        assert found.exit_code == 2


def test_a_zombie_that_ends_later_does_no_harm(order: Make, a_drive: Path) -> None:
    """A worker whose machine was taken for dead, and whose work another one has done."""
    wanted = order(cut_s=9.0)
    records, drive = Records(wanted.out), Drive(str(a_drive), "a", 1)
    first, second = (records.attempt(drive, "x") for _ in range(2))
    (first / "n").write_text("1")
    (second / "n").write_text("1")
    for attempt in (first, second):
        records.settle(attempt, records.piece(drive, Piece()))
    assert bytes_of(records.piece(drive, Piece())) == {"n": b"1"}
    assert not second.exists()
