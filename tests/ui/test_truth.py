"""Where the truth lies beside the pictures: the error map, the classes' scores, and the next frame with a large error."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from drive_seg.contracts import Labels, Result
from drive_seg.session.compose import RIGHT, WRONG, View
from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.ui.pages.accuracy import AccuracyPage
from drive_seg.ui.window import MainWindow
from tests.fakes import CAMVID, make_result
from tests.ui.fakes import INFO, FakePlayer, Opened
from tests.waiting import PATIENCE_MS

ROAD, CAR, VOID = list(CAMVID).index("road"), list(CAMVID).index("car"), 255


@pytest.fixture
def player() -> FakePlayer:
    return FakePlayer(replace(INFO, labelled=True))


def send(qtbot: QtBot, window: MainWindow, player: FakePlayer, *results: Result) -> None:
    before = window.video.image
    player.put(*results)
    qtbot.waitUntil(lambda: window.video.image is not before, timeout=PATIENCE_MS)
    window.refresh()


def truth(wrong: int, void: int = 0) -> Labels:
    """All road, which the fake network says too, but for so many of the 64 columns."""
    made = np.full((48, 64), ROAD, np.uint8)
    made[:, :wrong] = CAR
    made[:, 64 - void :] = VOID
    return made


def test_the_error_map(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, make_result(truth=truth(wrong=16, void=8)))
    qtbot.keyClicks(window, "z")
    picture = np.asarray(window.video.image)
    grey = 55  # of 100
    for x, colour in ((4, WRONG), (12, WRONG), (20, RIGHT), (50, RIGHT)):
        assert picture[24, x].tolist() == pytest.approx([0.4 * grey + 0.6 * part for part in colour[::-1]], abs=1)
    assert picture[24, 62].tolist() == [grey] * 3
    assert "orange: wrong" in window.video.tags[0]
    window.refresh()
    assert (window.panel.view.currentData(), window.keys["errors"].isChecked()) == ("errors", True)
    qtbot.keyClicks(window, "z")
    assert window.cockpit.view is View.OVERLAY
    qtbot.keyClicks(window, "mmm")
    assert window.cockpit.view is View.ERRORS  # by M too


def test_without_truth_there_is_no_error_map_and_one_that_is_shown_ends(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, make_result(truth=truth(8)))
    window.panel.view.choose("errors")
    for other in (replace(INFO, labelled=False), replace(INFO, labelled=True, classes=("sand", "sea"))):
        player.now = replace(player.now, source=other)
        window.refresh()
        assert window.cockpit.view is View.OVERLAY
        assert window.panel.view.findData("errors") == -1
        assert not window.keys["errors"].isEnabled()
        assert not window.keys["next-error"].isEnabled()
        qtbot.keyClicks(window, "mmm")
        assert window.cockpit.view is View.OVERLAY
    page = window.inspector.pages["accuracy"]
    assert isinstance(page, AccuracyPage)
    window.show_page("accuracy")
    assert page.says.isVisible()
    assert {value.text() for value in page.classes.values.values()} == {"–"}


def test_the_page_tells_each_class_so_far_and_begins_again_with_another_way_to_run(
    qtbot: QtBot, window: MainWindow, player: FakePlayer
) -> None:
    page = window.inspector.pages["accuracy"]
    assert isinstance(page, AccuracyPage)
    window.show_page("accuracy")
    send(qtbot, window, player, make_result(0, truth=truth(16)))
    send(qtbot, window, player, make_result(1, truth=truth(0, void=32)))
    window.refresh()  # the same frame is not counted again
    said = {name: value.text() for name, value in {**page.facts.values, **page.classes.values}.items()}
    # of 96 columns with truth 80 are road and right, and 16 are car and called road
    expected = {"Frames counted": "2", "Pixels right": f"{80 / 96:.1%}", "road": f"{80 / 96:.1%}", "car": "0.0%", "mIoU": f"{40 / 96:.1%}"}
    assert {name: said[name] for name in expected} == expected
    assert said["sky"] == "–"
    assert not page.says.isVisible()
    player.change(schedule="clockwork:4")
    send(qtbot, window, player, make_result(2, truth=truth(0)))
    assert (page.facts.values["Frames counted"].text(), page.classes.values["road"].text()) == ("1", "100.0%")


def test_the_next_large_error_is_found_and_stood_at(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    for index in range(3):
        send(qtbot, window, player, make_result(index, truth=truth(8)))
    player.pause()
    window.refresh()
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
    assert not player.now.paused
    assert window.keys["next-error"].isChecked()
    for index, wrong in ((3, 8), (4, 0), (5, 8)):
        send(qtbot, window, player, make_result(index, truth=truth(wrong)))
        assert not player.now.paused
    send(qtbot, window, player, make_result(6, truth=truth(40)))
    assert player.now.paused
    assert player.calls == [("seek", 6)]  # those that came meanwhile are gone back over
    assert not window.keys["next-error"].isChecked()
    mean = (5 * 8 + 0 + 40) / (7 * 64)
    assert window.bar.text.text() == f"frame 6: {40 / 64:.1%} of its pixels are wrong, of all frames so far {mean:.1%}"


def test_looking_for_an_error_ends_with_the_source_by_pausing_and_by_the_key(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, make_result(0, truth=truth(8)))
    hunt = window.keys["next-error"]
    hunt.trigger()
    hunt.trigger()
    assert (window.cockpit.hunt.what, player.now.paused) == ("", True)
    hunt.trigger()
    qtbot.keyClicks(window, " ")
    assert (window.cockpit.hunt.what, player.now.paused) == ("", True)
    hunt.trigger()
    player.now = replace(player.now, state="ended")
    window.refresh()
    assert not window.cockpit.hunt.what
    assert "up to the end" in window.bar.text.text()


def test_in_a_loop_it_ends_after_a_round(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    for index in (5, 6):
        send(qtbot, window, player, make_result(index, truth=truth(8)))
    window.refresh()
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
    for segment, index in ((0, 7), (1, 0), (1, 5)):
        send(qtbot, window, player, made(segment, index))
        assert (window.cockpit.hunt.what, player.now.paused) == ("error", False)
    send(qtbot, window, player, made(1, 7))
    assert (window.cockpit.hunt.what, player.now.paused) == ("", True)
    assert window.bar.text.text() == "no other frame with a large error in a whole round"
    assert not window.keys["next-error"].isChecked()


def test_whoever_goes_elsewhere_hunts_no_longer(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, make_result(0, truth=truth(8)))
    window.refresh()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Period, Qt.Key.Key_Home):
        qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
        assert window.cockpit.hunt.what == "error"
        qtbot.keyClick(window, key)
        assert window.cockpit.hunt.what == ""


def made(segment: int, index: int) -> Result:
    result = make_result(index, truth=truth(8))
    return replace(result, frame=replace(result.frame, segment=segment))


def test_on_the_demo_drive(qtbot: QtBot, opened: Opened, tmp_path: Path) -> None:
    player = Player(Settings.load(None, {"source": "demo:?size=320x240&seed=5", "threads": 1}))
    player.open()
    window = opened(player)
    window.show()
    window.show_page("accuracy")
    page = window.inspector.pages["accuracy"]
    assert isinstance(page, AccuracyPage)
    qtbot.waitUntil(lambda: "road" in page.classes.values and page.classes.values["road"].text() != "–", timeout=PATIENCE_MS)
    window.panel.view.choose("errors")
    picture = np.asarray(window.video.image).astype(int)
    assert (picture[..., 0] > picture[..., 2] + 30).mean() > 0.3  # blue: right
    qtbot.mouseMove(window.video, QPoint(window.video.width() // 2, window.video.height() // 2))
    qtbot.waitUntil(lambda: "truth" in window.video.says, timeout=PATIENCE_MS)
    window.close()
