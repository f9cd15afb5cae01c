"""The road ahead in the window: drawn, its corridor set by mouse and keyboard and kept, its people marked and found."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from drive_seg.contracts import Ahead, Corridor
from drive_seg.network.ahead import USUAL, checked
from drive_seg.session.corridors import corridor_of, keep
from drive_seg.session.road import FREE, PERSON
from drive_seg.ui.strip import LENGTH
from drive_seg.ui.view import STEP, WIDE_STEP
from drive_seg.ui.window import MainWindow
from tests.fakes import CAMVID, make_result
from tests.ui.fakes import FakePlayer, Opened
from tests.waiting import PATIENCE_MS

SET: Corridor = ((0.3, 0.9), (0.7, 0.9), (0.5, 0.4))
CAR = list(CAMVID).index("car")
FOUND = Ahead((48, 64), SET, ((4.0, 44.0), (4.0, 30.0), (60.0, 30.0), (60.0, 44.0)), 0.875, 29, CAR, 0, None, False)
PEOPLE = replace(FOUND, persons=20, person_row=33, seen=True, person=True)


@pytest.fixture(autouse=True)
def _own_corridors(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def player() -> FakePlayer:
    return FakePlayer(source="0", corridor=SET)


def send(qtbot: QtBot, window: MainWindow, player: FakePlayer, index: int = 0, ahead: Ahead | None = FOUND) -> None:
    before = window.video.image
    player.put(replace(make_result(index), ahead=ahead))
    qtbot.waitUntil(lambda: window.video.image is not before, timeout=PATIENCE_MS)
    window.refresh()


def place(window: MainWindow, x: float, y: float) -> QPoint:
    where = window.video.picture_rect()
    return QPoint(round(where.x() + x * where.width()), round(where.y() + y * where.height()))


def colour(window: MainWindow, x: float, y: float) -> QColor:
    return QColor(window.video.grab().toImage().pixelColor(place(window, x, y)))


def near(one: QColor, other: tuple[int, int, int]) -> bool:
    return all(abs(a - b) <= 40 for a, b in zip(one.getRgb()[:3], other, strict=True))  # type: ignore[arg-type, operator]


def test_free_space_corridor_and_where_it_ends_are_drawn_over_the_picture(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    window.panel.view.choose("picture")
    send(qtbot, window, player, ahead=None)
    plain = colour(window, 0.2, 0.8)
    send(qtbot, window, player, 1)
    assert colour(window, 0.2, 0.8).green() > plain.green() + 5  # tinted
    assert near(colour(window, 0.2, 30 / 48), FREE)
    assert colour(window, 0.02, 0.8) == plain
    assert near(colour(window, 0.5, 0.9), (255, 255, 255))  # from foot to foot
    assert near(colour(window, 0.47, 30 / 48), (255, 255, 255))  # the row that ends it
    send(qtbot, window, player, 2, PEOPLE)
    assert near(colour(window, 0.5, 0.9), PERSON)


def test_it_is_shown_and_hidden_by_its_key_in_the_corridor_that_is_kept(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, "R", Qt.KeyboardModifier.ShiftModifier)
    assert (player.now.settings.corridor, window.video.road) == (None, None)
    assert not window.keys["corridor-point"].isEnabled()
    keep("0", SET)
    send(qtbot, window, player, 0, None)
    qtbot.keyClicks(window, "R", Qt.KeyboardModifier.ShiftModifier)
    assert player.now.settings.corridor == SET
    assert window.video.road is not None
    assert window.keys["ahead"].isChecked()


def test_a_network_without_a_road_says_so(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, "R", Qt.KeyboardModifier.ShiftModifier)
    player.now = replace(player.now, classes=("sea", "sky"), palette=((0, 0, 0), (1, 1, 1)))
    window.refresh()
    qtbot.keyClicks(window, "R", Qt.KeyboardModifier.ShiftModifier)
    assert player.now.settings.corridor is None
    assert "camvid has no class that is the road" in window.bar.text.text()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_its_points_are_dragged_and_kept_for_the_source(qtbot: QtBot, window: MainWindow, player: FakePlayer, which: int) -> None:
    send(qtbot, window, player)
    to = [(0.2, 0.95), (0.85, 0.8), (0.55, 0.3)][which]
    qtbot.mousePress(window.video, Qt.MouseButton.LeftButton, pos=place(window, *SET[which]) + QPoint(3, 2))
    qtbot.mouseMove(window.video, place(window, 0.5, 0.6))
    qtbot.mouseMove(window.video, place(window, *to))
    assert corridor_of("0") == USUAL  # it is not let go yet
    qtbot.mouseRelease(window.video, Qt.MouseButton.LeftButton, pos=place(window, *to))
    found = player.now.settings.corridor
    assert isinstance(found, tuple)
    assert found[which] == pytest.approx(to, abs=0.004)
    assert [found[at] == SET[at] for at in range(3)].count(True) == 2
    assert corridor_of("0") == found
    assert window.video.road is not None
    assert window.video.road.corridor == found
    assert window.video.zoom == 1  # nothing else was dragged


def test_elsewhere_dragging_moves_the_picture_or_the_divider_as_before(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player)
    qtbot.keyClicks(window, "x")
    window.refresh()
    player.put(make_result(1), make_result(1))
    qtbot.waitUntil(lambda: window.video.divider is not None, timeout=PATIENCE_MS)
    qtbot.mousePress(window.video, Qt.MouseButton.LeftButton, pos=place(window, 0.2, 0.2))
    assert window.cockpit.divider == pytest.approx(0.2, abs=0.01)
    qtbot.mouseRelease(window.video, Qt.MouseButton.LeftButton, pos=place(window, 0.2, 0.2))
    assert player.now.settings.corridor == SET


def test_its_points_are_moved_by_the_arrow_keys_while_one_is_chosen(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, 100)
    for which in range(3):
        qtbot.keyClicks(window.video, "C", Qt.KeyboardModifier.ShiftModifier)
        assert window.video.chosen == which
        x, y = player.now.settings.corridor[which]  # type: ignore[index, misc]
        qtbot.keyClick(window.video, Qt.Key.Key_Right)
        qtbot.keyClick(window.video, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
        assert player.now.settings.corridor[which] == pytest.approx((x + STEP, y - WIDE_STEP), abs=1e-4)  # type: ignore[index]
    assert corridor_of("0") == player.now.settings.corridor
    assert player.calls == []  # no arrow was a jump
    qtbot.keyClicks(window.video, "C", Qt.KeyboardModifier.ShiftModifier)
    assert window.video.chosen is None
    qtbot.keyClick(window.video, Qt.Key.Key_Right)
    assert player.calls == [("seek", 250)]
    qtbot.keyClicks(window.video, "C", Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(window.video, Qt.Key.Key_Escape)
    assert window.video.chosen is None
    assert checked([part for point in player.now.settings.corridor for part in point])  # type: ignore[union-attr]
    window.keys["corridor-usual"].trigger()
    assert player.now.settings.corridor == USUAL


def test_another_source_has_its_own(window: MainWindow, player: FakePlayer) -> None:
    other = ((0.1, 1.0), (0.9, 1.0), (0.5, 0.5))
    keep("1", other)
    window.cockpit.open("1")
    assert (player.now.settings.source, player.now.settings.corridor) == ("1", other)
    window.cockpit.open("2")
    assert player.now.settings.corridor == USUAL


def test_a_source_that_cannot_be_opened_leaves_the_corridor_of_the_one_that_plays_on(window: MainWindow, player: FakePlayer) -> None:
    before = player.now.settings
    window.cockpit.open("1")
    assert window.cockpit.corridor == USUAL
    player.now = replace(player.now, settings=before)
    player.fail("1: is not there; choose another", state="playing")
    window.refresh()
    assert window.cockpit.corridor == SET


def test_what_was_saved_is_asked_for_on_the_command_line_and_copied_as_points(qtbot: QtBot, opened: Opened) -> None:
    keep("0", SET)
    player = FakePlayer(source="0", corridor="saved")
    window = opened(player)
    assert window.cockpit.corridor == SET
    window.cockpit.set_corridor(SET)
    assert "--corridor 0.3,0.9,0.7,0.9,0.5,0.4" in window.cockpit.command()


def test_a_place_where_it_cannot_be_kept_is_told(
    window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("full") / "file"
    file.write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(file))
    window.cockpit.set_corridor(USUAL)
    assert player.now.settings.corridor == USUAL
    assert "cannot be written" in window.bar.text.text()


def test_the_panel_says_it_in_a_line(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    values = window.panel.facts.values
    send(qtbot, window, player)
    assert (values["Road in corridor"].text(), values["Free up to"].text()) == ("88%", "row 29 · car")
    send(qtbot, window, player, 1, PEOPLE)
    assert values["Road in corridor"].text() == "88% · person"
    send(qtbot, window, player, 2, replace(FOUND, row=None, obstacle=None))
    assert values["Free up to"].text() == "its top"
    window.cockpit.toggle_ahead()
    window.refresh()
    assert not values["Free up to"].isVisible()


def events(qtbot: QtBot, window: MainWindow, player: FakePlayer, *at: int, first: int = 0, last: int = 30) -> None:
    for index in range(first, last):
        ahead = replace(PEOPLE, event="begin" if index in at else None) if any(begun <= index < begun + 3 for begun in at) else FOUND
        player.put(replace(make_result(index), ahead=ahead))
    window.refresh()


def test_what_is_copied_and_recorded_shows_it_where_the_window_does(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    large = replace(make_result(image=np.full((480, 640, 3), 100, np.uint8)), ahead=FOUND)
    player.put(large)
    qtbot.waitUntil(lambda: window.video.image is not None, timeout=PATIENCE_MS)
    window.refresh()

    def copied() -> np.ndarray:
        qtbot.keyClick(window, "c", Qt.KeyboardModifier.ControlModifier)
        clipboard = QApplication.clipboard()
        assert clipboard is not None
        image = clipboard.image()
        return np.array([[QColor(image.pixelColor(x, y)).getRgb()[:3] for x in range(0, 640, 8)] for y in range(0, 480, 8)], np.int16)

    with_road, shown = copied(), window.video.grab().toImage()
    for x, y in ((0.2, 0.8), (0.9, 0.7), (0.5, 0.3), (0.02, 0.8), (0.5, 0.5)):
        pixel = QColor(shown.pixelColor(place(window, x, y))).getRgb()[:3]
        assert np.abs(with_road[round(y * 60), round(x * 80)] - pixel).max() <= 4  # type: ignore[operator]
    assert player.film.road
    assert "--draw-ahead" in window.cockpit.command()
    qtbot.keyClicks(window, "R", Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert not player.film.road
    assert not window.memory.flag("road", True)
    assert (copied() != with_road).any()
    assert "--draw-ahead" not in window.cockpit.command()


def test_people_are_marked_on_the_strip_and_named_under_the_pointer(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    events(qtbot, window, player, 10, 20)
    marked = np.flatnonzero(np.asarray(window.strip._people.image)[:, 0, 3]) - (LENGTH - 30)
    assert marked.tolist() == [10, 11, 12, 20, 21, 22]
    assert "person&nbsp;in&nbsp;the&nbsp;corridor" in window.strip.head.text()


def test_the_frames_with_which_somebody_came_are_gone_to(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    events(qtbot, window, player, 10, 20)
    shift, control = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
    for key, modifiers, goes in (("p", shift | control, 20), ("p", shift | control, 10), ("p", shift, 20)):
        window.setFocus()
        qtbot.keyClick(window, key, modifiers)
        assert player.calls.pop() == ("seek", goes)
        player.now = replace(player.now, position=goes)
        window.refresh()
    assert player.now.paused
    player.now = replace(player.now, position=5)
    window.refresh()
    window.cockpit.to_person(on=False)
    assert player.calls == []
    assert "nobody came into the corridor before this frame" in window.bar.text.text()


def test_who_did_not_come_yet_is_played_on_to(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    events(qtbot, window, player, 10)
    player.pause()
    window.keys["next-person"].trigger()
    assert (window.cockpit.hunt.what, player.now.paused) == ("person", False)
    events(qtbot, window, player, first=30, last=40)
    assert window.cockpit.hunt.what == "person"
    events(qtbot, window, player, 41, 44, first=40, last=48)
    assert (window.cockpit.hunt.what, player.now.paused, player.calls) == ("", True, [("seek", 41)])
    window.keys["next-person"].trigger()  # from 47 on
    player.now = replace(player.now, state="ended")
    window.refresh()
    assert window.cockpit.hunt.what == ""
    assert "nobody else comes into the corridor up to the end" in window.bar.text.text()


def moved_on(window: MainWindow, player: FakePlayer, segment: int, frames: Iterable[int], people: Iterable[int]) -> None:
    """As the lookout tells it: of people from the third frame on, and of those who are there at a jump anew."""
    run = 0
    for index in frames:
        run = run + 1 if index in people else 0
        made = make_result(index)
        ahead = replace(FOUND, seen=run > 0, person=run > 2, event="begin" if run == 3 else None)
        player.put(replace(made, ahead=ahead, frame=replace(made.frame, segment=segment)))
        window.refresh()


def test_in_a_loop_the_only_person_is_no_other_one(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    people = range(8, 20)
    moved_on(window, player, 0, range(7, 16), people)  # they came with frame 10
    moved_on(window, player, 1, [10], people)  # gone back to
    window.keys["next-person"].trigger()
    moved_on(window, player, 1, range(11, 25), people)  # they are told anew with frame 13
    assert (window.cockpit.hunt.what, player.now.paused) == ("person", False)
    moved_on(window, player, 2, range(14), people)
    assert (window.cockpit.hunt.what, player.now.paused, player.calls) == ("", True, [])
    assert window.bar.text.text() == "nobody else comes into the corridor in a whole round"


def test_in_a_loop_one_who_came_before_is_found(window: MainWindow, player: FakePlayer) -> None:
    moved_on(window, player, 0, range(20, 25), ())
    window.keys["next-person"].trigger()
    moved_on(window, player, 1, range(8), range(2, 6))
    assert (window.cockpit.hunt.what, player.calls) == ("", [("seek", 4)])


def test_the_pointer_shows_what_can_be_dragged(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player)
    qtbot.mouseMove(window.video, place(window, *SET[2]))
    assert window.video.cursor().shape() == Qt.CursorShape.SizeAllCursor
    qtbot.mouseMove(window.video, place(window, 0.1, 0.1))
    assert window.video.cursor().shape() != Qt.CursorShape.SizeAllCursor
    assert QApplication.focusWidget() is window.video
