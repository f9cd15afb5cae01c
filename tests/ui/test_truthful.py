"""The window says and does what is true now: at the end, without an end, behind the source, with what cannot run, in what it keeps."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QDesktopServices, QStandardItemModel
from pytestqt.qtbot import QtBot

from drive_seg.backends import BACKENDS
from drive_seg.errors import BackendError
from drive_seg.ui import cockpit
from drive_seg.ui.window import MainWindow
from tests.fakes import make_bundle, make_result
from tests.ui.fakes import INFO, FakePlayer, Opened
from tests.waiting import PATIENCE_MS


def test_at_the_end_the_button_plays_again(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    assert window.keys["pause"].text() == "Pause"
    player.pause()
    window.refresh()
    assert window.keys["pause"].text() == "Play"
    player.now = replace(player.now, state="ended", paused=False)
    window.refresh()
    assert (window.keys["pause"].text(), window.keys["pause"].isChecked()) == ("Play again", True)
    qtbot.keyClicks(window, " ")
    assert player.calls == [("seek", 0)]
    assert player.now.state == "playing"
    player.now = replace(player.now, state="ended", seekable=False)
    window.refresh()
    changed: list[dict[str, object]] = []
    player.change = lambda **settings: changed.append(settings)  # type: ignore[method-assign, assignment]
    qtbot.keyClicks(window, " ")
    assert changed == [{"source": player.now.settings.source}]  # what is not seekable is opened again


def test_the_seek_bar_of_an_endless_source_is_off(qtbot: QtBot, opened: Opened) -> None:
    player = FakePlayer(replace(INFO, name="demo:", frame_count=None))
    window = opened(player)
    window.show()
    bar = window.transport.bar
    assert player.now.seekable
    assert not bar.isEnabled()
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=QPoint(bar.width() // 2, 10))
    assert player.calls == []


@pytest.mark.parametrize(
    ("run", "other"),
    [
        ({}, {"schedule": "clockwork:4"}),
        ({"schedule": "keyframe:0.08"}, {"schedule": "every-frame", "mode": "sync"}),
        ({"mode": "async"}, {"schedule": "every-frame", "mode": "sync"}),
    ],
)
def test_x_compares_with_something_else(
    qtbot: QtBot, window: MainWindow, player: FakePlayer, run: dict[str, object], other: dict[str, object]
) -> None:
    player.change(**run)
    window.refresh()
    qtbot.keyClicks(window, "x")
    assert player.now.comparison is not None
    assert {name: player.now.comparison[name] for name in other} == other
    assert any(player.now.comparison[name] != player.now.runs[name] for name in other)


def test_a_comparison_that_has_become_the_same_is_replaced(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    window.cockpit.set_comparison({"schedule": "clockwork:6"})
    player.change(schedule="clockwork:6")
    window.refresh()
    qtbot.keyClicks(window, "x")
    assert player.now.comparison is not None
    assert player.now.comparison["schedule"] == "every-frame"


@pytest.fixture
def without_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without a GPU and without torch."""

    def refuse(name: str) -> None:
        raise BackendError(f"{name}: no NVIDIA driver here; install one")

    monkeypatch.setattr(cockpit, "find_spec", lambda package: None if package == "torch" else object())
    monkeypatch.setattr(cockpit, "describe_backend", refuse)


@pytest.mark.usefixtures("without_two")
def test_e_goes_by_what_cannot_run_and_the_box_says_why(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.waitUntil(lambda: window.cockpit.barred.keys() == {"tensorrt", "torch"}, timeout=PATIENCE_MS)
    window.refresh()
    box, seen = window.panel.backend, []
    for _ in range(6):
        qtbot.keyClicks(window, "e")
        window.refresh()
        seen.append(player.now.settings.backend)
    assert seen == ["openvino", "onnxruntime", None] * 2
    model = box.model()
    assert isinstance(model, QStandardItemModel)
    for name in BACKENDS:
        item, why = model.item(box.findData(name)), window.cockpit.barred.get(name)
        assert item is not None
        assert item.isEnabled() == (why is None)
        assert item.toolTip() == (why or "")
    assert "no NVIDIA driver" in window.cockpit.barred["tensorrt"]
    assert window.cockpit.barred["torch"] == "needs torch; pip install 'drive-seg[lab]'"


@pytest.mark.usefixtures("without_two")
def test_a_backend_that_failed_is_not_tried_by_the_key_again(
    qtbot: QtBot, window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    player.change(backend="openvino")
    window.refresh()
    monkeypatch.setattr(player, "change", lambda **settings: player.calls.append(settings["backend"]))
    qtbot.waitUntil(lambda: len(window.cockpit.barred) == 2, timeout=PATIENCE_MS)
    qtbot.keyClicks(window, "e")
    player.fail("the disk is full; free space there", state="playing", what="recorder")  # no word of the backend
    window.refresh()
    assert "onnxruntime" not in window.cockpit.barred
    qtbot.keyClicks(window, "e")
    player.fail("onnxruntime: cannot read this network; choose another backend", state="playing", what="change")
    window.refresh()
    assert window.cockpit.barred["onnxruntime"] == "onnxruntime: cannot read this network; choose another backend"
    qtbot.keyClicks(window, "e")
    assert player.calls == ["onnxruntime", "onnxruntime", None]


@pytest.mark.parametrize("live", [True, False], ids=["camera", "file"])
def test_falling_behind_is_said_in_words_and_colour(
    window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    now_s = cockpit.time.monotonic()

    def after(seconds: float, fps: float, dropped: int, speed: float = 1.0) -> str:
        nonlocal now_s
        now_s += seconds
        monkeypatch.setattr(cockpit.time, "monotonic", lambda: now_s)
        numbers = replace(player.now.numbers, count=3, fps=fps)
        source = replace(INFO, fps=25.0, live=live)
        player.now = replace(player.now, source=source, numbers=numbers, dropped=dropped, speed=speed)
        window.refresh()
        return window.parts.state.text()

    assert after(0, 25.0, 100) == "● playing"
    assert after(0, 3.0, 100) == "● playing"  # at the beginning there are few of every second
    assert after(1, 3.0, 122) == "● playing"
    assert after(1.5, 3.0, 144) == "● falling behind: 3 of 25 frames / s"
    assert window.theme.warn in window.parts.state.styleSheet()
    assert after(1, 24.6, 144) == "● playing"
    assert after(1, 11.0, 144) == "● playing"
    assert after(3, 11.0, 144) == ("● playing" if live else "● falling behind: 11 of 25 frames / s")  # a camera in the dark gives fewer
    assert after(1, 24.6, 144, speed=2.0) == ("● playing" if live else "● falling behind: 25 of 50 frames / s")


def test_a_drive_unlike_what_was_learned_is_said_in_words_and_colour(window: MainWindow, player: FakePlayer) -> None:
    player.now = replace(player.now, unlike=0.814)
    window.refresh()
    assert window.parts.state.text() == "● unlike what the network learned: 81% sure"
    assert window.theme.warn in window.parts.state.styleSheet()


def test_a_recording_says_for_how_long(window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    player.record(Path("drive.mp4"))
    window.refresh()
    assert "recording drive.mp4 0:0" in window.parts.about.text()
    now_s = cockpit.time.monotonic()
    monkeypatch.setattr(cockpit.time, "monotonic", lambda: now_s + 75)
    window.refresh()
    assert "recording drive.mp4 1:15" in window.parts.about.text()


def test_what_the_command_line_plays_is_opened_lately(opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drive.mp4").touch()
    monkeypatch.chdir(tmp_path)
    assert opened(FakePlayer(source="drive.mp4")).memory.recent == [str(tmp_path / "drive.mp4")]
    assert opened(FakePlayer()).memory.recent == [str(tmp_path / "drive.mp4")]  # the demo that nobody asked for is not


def test_a_snapshot_of_a_comparison_holds_both_and_its_folder_can_be_shown(
    qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_bundle(tmp_path / "other")  # road, car, sky
    window.cockpit.set_comparison({"model": str(other.folder)})
    qtbot.keyClicks(window, "x")
    player.put(make_result(7), make_result(7, labels=np.full((12, 16), 1, np.uint8)))
    qtbot.waitUntil(lambda: window.cockpit.shown is not None, timeout=PATIENCE_MS)
    window.refresh()
    qtbot.keyClicks(window, "p")
    qtbot.waitUntil(lambda: window.bar.isVisible(), timeout=PATIENCE_MS)
    names = ["drive-000007" + ending for ending in (".png", "-overlay.png", "-mask.png", "-overlay-b.png", "-mask-b.png", ".json")]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted(names)
    assert window.bar.text.text() == f"saved {' · '.join(names)} in {tmp_path / 'kept'}"
    said = json.loads((tmp_path / "kept" / "drive-000007.json").read_text())
    assert said["source"] == "drive.mp4"
    assert [one["name"] for one in said["comparison"]["classes"] if one["share"] == 1] == ["car"]
    shown: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    qtbot.mouseClick(window.bar.folder, Qt.MouseButton.LeftButton)
    assert shown == [str(tmp_path / "kept")]
    window.cockpit.told.emit("nothing to show here", True)
    assert not window.bar.folder.isVisible()
