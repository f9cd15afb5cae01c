"""`drive-seg batch` as a person types it: killed and gone on with, stopped, refused, and what it tells."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from drive_seg.errors import UsageError
from drive_seg.files import Held
from drive_seg.fleet.labelling import Labeller, Order
from drive_seg.fleet.records import Records
from drive_seg.settings import Settings
from tests.cli.test_cli import call
from tests.fleet.conftest import Inline, single, write_drive
from tests.fleet.test_labelling import bytes_of
from tests.waiting import PATIENCE_S, until

Capsys = pytest.CaptureFixture[str]


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "drive_seg", "batch", *arguments, "--ray", "none", "--workers", "1"]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path: Path, tiny: tuple[str, ...]) -> None:
    drives, out = tmp_path / "drives", tmp_path / "out"
    for name in ("a.mp4", "b/b.mp4"):
        write_drive(drives / name, 90)
    arguments = (str(drives), "--out", str(out), *tiny, "--schedule", "clockwork:4", "--cut", "0.5")
    killed = start(*arguments)
    until(lambda: killed.poll() is not None or [*out.rglob("record.json")])
    workers = psutil.Process(killed.pid).children(recursive=True)
    killed.kill()
    said = killed.communicate(timeout=PATIENCE_S)
    assert killed.returncode == -signal.SIGKILL, said
    until(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers))  # none is left behind
    assert not [*out.glob("b/b/masks")]  # nothing half-written has a name
    done = {path: path.stat().st_ino for path in (out / ".batch" / "work").glob("*/*-*-*/record.json") if "." not in path.parent.name}
    assert done

    again = start(*arguments, "--json")
    said = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, said
    events = [json.loads(line) for line in said[0].splitlines()]
    assert [event["error"] for event in events if event["event"] == "file"] == ["", ""]
    assert (events[-1]["event"], events[-1]["drives"]) == ("end", 2)
    given = dict(zip((flag.lstrip("-").replace("-", "_") for flag in tiny[::2]), tiny[1::2], strict=True))
    alike = Order(Settings.load(None, {**given, "threads": 1, "schedule": "clockwork:4"}), out, ("masks",), 1.0)
    for name in ("a", "b/b"):
        run = single(alike, drives / f"{name}.mp4", tmp_path / f"run-{name[0]}")
        assert bytes_of(out / name / "masks") == bytes_of(run / "masks")
        assert len(bytes_of(run / "masks")) == 90
    assert not (out / ".batch" / "work").exists()


def test_a_second_signal_ends_it_at_once_and_quietly(tmp_path: Path, tiny: tuple[str, ...]) -> None:
    write_drive(tmp_path / "a.mp4", 2000)
    process = start(str(tmp_path / "a.mp4"), "--out", str(tmp_path / "out"), *tiny)
    until(lambda: process.poll() is not None or [*(tmp_path / "out").rglob("*.png")])
    workers = psutil.Process(process.pid).children(recursive=True)
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM, err
    until(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers))
    for noise in ("goes on", "resource_tracker", "leaked", "Traceback"):  # the first: it was finished in order, after one signal
        assert noise not in err


@pytest.fixture
def asked(model: str, a_drive: Path, tmp_path: Path, inline: list[Inline]) -> tuple[str, ...]:
    return "batch", str(a_drive), "--out", str(tmp_path / "out"), "--model", model, "--cut", "0.5"


def test_it_tells_what_it_has_done_and_does_nothing_twice(asked: tuple[str, ...], capsys: Capsys, inline: list[Inline]) -> None:
    code, out, err = call(capsys, *asked)
    assert (code, "1 drive, 2 s of video, in " in out) == (0, True), err
    inline.clear()
    code, out, err = call(capsys, *asked)
    assert (code, inline) == (0, [])
    assert "1 were done before" in out


def test_ctrl_c_finishes_what_is_under_way_and_says_how_to_go_on(
    asked: tuple[str, ...], capsys: Capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    label = Labeller.label

    def signalled(self: Labeller, *args: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return label(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Labeller, "label", signalled)
        code, _, err = call(capsys, *asked)
    assert code == 130
    assert f"{tmp_path / 'out'}: stopped after 0 of 1 drives; the same command goes on" in err
    assert [*Records(tmp_path / "out").out.rglob("record.json")]
    assert call(capsys, *asked)[0] == 0


def test_a_drive_with_an_error_is_named_and_tried_again_on_demand(
    asked: tuple[str, ...], capsys: Capsys, tmp_path: Path, a_drive: Path, inline: list[Inline]
) -> None:
    (bad := tmp_path / "bad.mp4").write_bytes(b"?")
    with_bad = ("batch", str(bad), *asked[1:])
    code, _, err = call(capsys, *with_bad)
    assert code == 1
    assert f"{bad}: cannot be played" in err
    assert "1 of 2 drives ended with an error" in err
    bad.write_bytes(a_drive.read_bytes())
    assert "bad.mp4: is another file than when it was labelled" in call(capsys, *with_bad)[2]
    inline.clear()
    assert call(capsys, *with_bad, "--retry")[0] == 0
    assert sum(worker.count("survey") for worker in inline) == 1


def test_one_batch_at_a_time_has_a_folder(asked: tuple[str, ...], capsys: Capsys, tmp_path: Path) -> None:
    records = Records(tmp_path / "out")
    records.make()
    held = Held(records.lock, tmp_path / "out")
    code, _, err = call(capsys, *asked)
    held.release()
    assert (code, "is being written by another run" in err) == (2, True)
    assert call(capsys, *asked)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none/**/*.mp4", "--out", "{}"), "no file has such a name"),
        (("{}", "--out", "{}/x"), "no video in there"),
        (("demo:", "--out", "{}"), "no such file or folder"),
        (("{}", "--out", "{}/x", "--save", "masks,labels"), "no labels; there are masks, overlay, areas, trace"),
        (("{}", "--out", "{}/x", "--cut", "0"), "give more than 0"),
        (("{}", "--out", "{}/x", "--cut", "nan"), "give more than 0"),
        (("{}", "--out", "{}/x", "--cut", "inf"), "give more than 0"),
        (("{}", "--out", "{}/x", "--workers", "0"), "give more than 0"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_writes_nothing(arguments: tuple[str, ...], said: str, capsys: Capsys, tmp_path: Path) -> None:
    code, out, err = call(capsys, "batch", *(argument.format(tmp_path) for argument in arguments))
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("there", [False, True])
def test_workers_that_cannot_be_had_leave_no_folder_behind(
    asked: tuple[str, ...], capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        (tmp_path / "out").mkdir()

    def refuse(*_: object) -> None:
        raise UsageError("--ray 127.0.0.1:1: no cluster answers there")

    monkeypatch.setattr("drive_seg.fleet.workers.hired", refuse)
    code, _, err = call(capsys, *asked)
    assert (code, len(err.splitlines())) == (2, 1)
    assert (tmp_path / "out").exists() == there
    assert not (tmp_path / "out" / ".batch").exists()


def test_a_folder_of_somebody_elses_is_left_alone(asked: tuple[str, ...], capsys: Capsys, tmp_path: Path) -> None:
    (mine := tmp_path / "out" / "a" / "mine.txt").parent.mkdir(parents=True)
    mine.write_text("mine")
    code, _, err = call(capsys, *asked)
    assert (code, "is no result of a batch; give another --out" in err) == (2, True)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["manifest.parquet", "seconds.parquet"])
def test_a_table_of_somebody_elses_is_left_alone(asked: tuple[str, ...], capsys: Capsys, tmp_path: Path, name: str) -> None:
    (mine := tmp_path / "out" / name).parent.mkdir(parents=True)
    mine.write_text("mine")
    code, _, err = call(capsys, *asked)
    assert (code, f"{mine}: is there already, and is no result of a batch" in err) == (2, True)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["a/record.json", "b/record.json", ".batch/settings.json", ".batch/work/a/survey.json"])
@pytest.mark.parametrize("text", ['{"error": "mine"}', "[]", '{"asked": [], "pinned": 3}'])
def test_a_record_of_somebody_elses_is_named(asked: tuple[str, ...], capsys: Capsys, tmp_path: Path, name: str, text: str) -> None:
    if name.startswith("b/"):
        pytest.importorskip("pyarrow")
    (mine := tmp_path / "out" / name).parent.mkdir(parents=True)
    mine.write_text(text)
    code, _, err = call(capsys, *asked, "--retry")
    assert (code, f"{mine}: is no record of a batch; move it elsewhere" in err) == (1, True)
    assert mine.read_text() == text


def test_a_full_disk_ends_it_with_its_line(asked: tuple[str, ...], capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **how: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("drive_seg.sinks.masks.write", full)
        code, _, err = call(capsys, *asked)
    assert code == 1
    assert "No space left on device; free space there" in err
    assert call(capsys, *asked)[0] == 0
