"""Which files are found, what their results are called, and where they may be cut."""

import os
from pathlib import Path
from typing import Any

import pytest

from drive_seg.errors import SourceError, UsageError
from drive_seg.fleet.drives import Piece, cut, find_drives, period
from drive_seg.settings import Settings


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"?")
    return folder


def names(given: list[str], out: Path) -> list[str]:
    return [drive.name for drive in find_drives(given, out)]


def test_files_are_named_after_where_they_lie_below_what_was_given(tmp_path: Path) -> None:
    root, out = (
        touch(tmp_path / "drives", "10.mp4", "2.MKV", "mon/1.mp4", "tue/1.mp4", ".mp4", "mon/._1.mp4", ".old/9.mp4", "map.txt"),
        tmp_path,
    )
    out = tmp_path / "out"
    assert names([str(root)], out) == ["2", "10", "mon/1", "tue/1"]
    assert names([f"{root}/**/*.mp4"], out) == ["10", "mon/1", "tue/1"]
    assert names([f"{root}/*/1.mp4"], out) == ["mon/1", "tue/1"]
    assert names([f"{root}/mon/1.mp4"], out) == ["1"]
    assert names([f"{root}/mon/1.mp4", f"{root}/tue/1.mp4"], out) == ["mon/1", "tue/1"]  # as a shell writes a glob out
    assert names([str(root), f"{root}/mon/1.mp4", str(root)], out) == ["2", "10", "mon/1", "tue/1"]  # each once


def test_no_name_leads_out_of_the_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(touch(tmp_path, "a/x.mp4", "b/y.mp4"))
    out = tmp_path / "out"
    assert names(["a/../b/y.mp4", "a/x.mp4"], out) == ["b/y", "a/x"]
    assert names(["*/../b/y.mp4"], out) == ["b/y"]
    touch(tmp_path, "a/c/z.mp4")
    assert names(["a/*/../../b/*.mp4"], out) == ["b/y"]


def test_what_a_batch_has_written_is_no_drive_of_the_next(tmp_path: Path) -> None:
    root = touch(tmp_path, "a.mp4", "labelled/a/overlay.mp4")
    assert names([str(root)], root / "labelled") == ["a"]
    with pytest.raises(UsageError, match=r"no video in there but what lies in --out .*, where results are; give another --out, or give"):
        find_drives([str(root)], root)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["x.mp4", "x.mkv"], "would go to x/"),
        (["x.mp4", "X.mkv"], "would go to "),
        (["x.mp4", "x/y.mp4"], "would lie in x/"),
        ([".batch/y.mp4"], "which is the batch's own"),
        (["manifest.parquet.mp4"], "which is the batch's own"),
        (["map.txt"], "no video in there"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(tmp_path: Path, there: list[str], said: str) -> None:
    root = touch(tmp_path / "drives", *there)
    with pytest.raises(UsageError, match=said):
        find_drives(
            [str(root)] if ".batch" not in there[0] else [f"{root}/{there[0]}", str(touch(root, "a.mp4") / "a.mp4")], tmp_path / "out"
        )


@pytest.mark.parametrize("word", ["none.mp4", "none/", "none/**/*.mp4", "*.mp4"])
def test_what_is_not_there_is_one_line_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="give video files, folders of them, or a quoted glob"):
        find_drives([word], tmp_path / "out")


@pytest.mark.parametrize("word", ["", "/a.mp4", "/**/*.mp4", "/deep/*.mp4", "/deep/a.mp4"])
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """As it is for who isn't root, who may read everything."""
    shut, stat, access, scan = str(touch(tmp_path / "drives", "a.mp4", "deep/a.mp4")), os.stat, os.access, os.scandir

    def refuse(path: Any, *how: Any, **more: Any) -> Any:
        if str(path).startswith(f"{shut}/"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *how, **more)

    def scanned(path: Any = ".") -> Any:
        if str(path) == shut:
            raise PermissionError(13, "Permission denied", shut)
        return scan(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        patch.setattr(os, "scandir", scanned)
        patch.setattr(os, "access", lambda path, mode: not str(path).startswith(shut) and access(path, mode))
        with pytest.raises(SourceError, match=r"drives: cannot be read \(Permission denied\); check its permissions"):
            find_drives([f"{shut}{word}"], tmp_path / "out")


@pytest.mark.parametrize(
    ("schedule", "mode", "frames"),
    [
        ("every-frame", "sync", 1), ("clockwork:4", "sync", 4), ("clockwork:1,2,6", "sync", 6), ("clockwork:4", "async", None),
        ("clockwork:4", "async:2", None), ("clockwork:pipelined", "sync", None), ("clockwork:adaptive=0.1", "sync", None),
        ("keyframe:0.08", "sync", None), ("budget:30ms", "sync", None),
    ],
)  # fmt: skip
def test_only_a_clock_can_be_foretold(schedule: str, mode: str, frames: int | None) -> None:
    assert period(Settings.load(None, {"schedule": schedule, "mode": mode})) == frames


@pytest.mark.parametrize(
    ("frames", "length", "clock"), [(1000, 100, 1), (1000, 100, 7), (1001, 90, 4), (61, 20, 30), (1800, 9000, 4), (7, 1, 3)]
)
def test_pieces_are_the_whole_drive_and_begin_where_the_clock_is_due(frames: int, length: int, clock: int) -> None:
    pieces = cut(frames, clock, length)
    assert [piece.stop for piece in pieces[:-1]] == [piece.start for piece in pieces[1:]]
    assert (pieces[0].start, pieces[0].key, pieces[-1].stop) == (0, 0, None)
    assert pieces[-1].start < frames
    assert all(piece.start % clock == 0 and piece.key == piece.start - clock for piece in pieces[1:])
    assert all(abs((piece.stop or frames) - piece.start - length) <= length / 2 + clock for piece in pieces[:-1])


def test_what_is_short_or_of_unknown_length_is_one_piece() -> None:
    assert cut(140, 4, 100) == cut(None, 4, 100) == cut(1000, None, 100) == [Piece()]
