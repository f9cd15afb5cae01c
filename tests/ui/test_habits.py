"""What people know from players: jumps, the end, a frame by its number, a part again and again, and scrubbing."""

from dataclasses import replace

import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication, QInputDialog, QToolTip, QWidget
from pytestqt.qtbot import QtBot

from drive_seg.ui.bars import clock
from drive_seg.ui.window import MainWindow
from tests.fakes import make_result
from tests.ui.fakes import INFO, FakePlayer
from tests.ui.test_parts import x_of
from tests.waiting import PATIENCE_MS


def send(qtbot: QtBot, window: MainWindow, player: FakePlayer, index: int) -> None:
    before = window.video.image
    player.put(make_result(index))
    qtbot.waitUntil(lambda: window.video.image is not before, timeout=PATIENCE_MS)
    window.refresh()


def dragged(part: QWidget, to: QPoint) -> None:
    where, none = QPointF(part.mapToGlobal(to)), Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(
        part, QMouseEvent(QEvent.Type.MouseMove, QPointF(to), where, Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton, none)
    )


def test_j_k_l_and_end(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    player.now = replace(player.now, source=replace(INFO, frame_count=3000))
    send(qtbot, window, player, 1000)
    qtbot.keyClicks(window, "jlk")
    assert player.calls == [("seek", 700), ("seek", 1300)]
    assert player.now.paused
    qtbot.keyClicks(window, "k")
    assert not player.now.paused
    qtbot.keyClick(window, Qt.Key.Key_End)
    assert (player.calls[-1], player.now.paused) == (("seek", 2999), True)


def test_what_has_no_end_has_neither_end_nor_numbers_nor_parts(window: MainWindow, player: FakePlayer) -> None:
    player.now = replace(player.now, source=replace(INFO, frame_count=None))
    window.refresh()
    assert not any(window.keys[name].isEnabled() for name in ("end", "goto", "ab"))


def test_a_frame_by_its_number(qtbot: QtBot, window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def answer(parent: object, *about: object) -> tuple[int, bool]:
        asked.append(about[1:])
        return 123, len(asked) == 1

    monkeypatch.setattr(QInputDialog, "getInt", answer)
    send(qtbot, window, player, 40)
    for _ in range(2):  # the second time it is dismissed
        qtbot.keyClick(window, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    assert asked == [("Frame, 0 to 299", 40, 0, 299)] * 2
    assert (player.calls, player.now.paused) == ([("seek", 123)], True)


def test_a_part_is_played_again_and_again_until_it_is_forgotten(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    def mark() -> None:
        qtbot.keyClick(window, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)

    send(qtbot, window, player, 20)
    mark()
    assert (window.cockpit.part, window.keys["ab"].text()) == ((20, None), "End of the part: B")
    send(qtbot, window, player, 30)
    mark()
    assert (window.cockpit.part, window.keys["ab"].isChecked()) == ((20, 30), True)
    for index in (29, 30, 31, 32):  # two were under way already
        send(qtbot, window, player, index)
    assert player.calls == [("seek", 20)]
    for index in (20, 29, 33):  # 30 to 32 were dropped
        send(qtbot, window, player, index)
    assert player.calls == [("seek", 20)] * 2
    bar = window.transport.bar
    picture, middle = bar.grab().toImage(), round(6 + (bar.width() - 12) * 25 / 299)
    assert picture.pixelColor(middle, 4).name() == window.theme.good
    mark()
    send(qtbot, window, player, 50)
    assert player.calls == [("seek", 20)] * 2
    assert bar.grab().toImage().pixelColor(middle, 4).name() != window.theme.good


def test_whoever_pauses_and_steps_leaves_the_part_and_another_source_has_none(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    window.cockpit.part = (20, 30)
    player.pause()
    for index in (29, 30, 31):
        send(qtbot, window, player, index)
    assert player.calls == []
    player.now = replace(player.now, source=replace(INFO, name="other.mp4"))
    window.refresh()
    assert window.cockpit.part is None


def test_the_transport_tells_milliseconds_by_the_sources_clock_and_the_frame(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    result = make_result(100)
    player.put(replace(result, frame=replace(result.frame, time_s=3.4567)))  # of a file with an uneven rate
    qtbot.waitUntil(lambda: window.cockpit.shown is not None, timeout=PATIENCE_MS)
    window.refresh()
    assert window.transport.place.text() == "0:03.457 / 0:10 · #100"
    assert [clock(59.9996, exact=True), clock(3725.5, exact=True), clock(59.9996)] == ["1:00.000", "1:02:05.500", "0:59"]


def test_the_seek_bar_tells_the_time_under_the_pointer(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    bar = window.transport.bar
    qtbot.mouseMove(bar, QPoint(bar.width() // 2, 10))
    index = bar.index_at(bar.width() // 2)
    assert bar.toolTip().startswith(f"{clock(index / 30, exact=True)}  frame {index}  ")
    assert QToolTip.text() == bar.toolTip()
    assert player.calls == []


def test_the_time_line_is_scrubbed_and_stands_meanwhile(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    for index in range(40):
        player.put(make_result(index))
    window.refresh()
    viewport = window.strip.plot.view.viewport()
    places = {at: QPoint(round(x_of(window, at)), 20) for at in (10, 20, 30)}
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=places[10])
    player.put(make_result(10))  # which the jump brings
    window.refresh()
    for at in (20, 20, 30):
        dragged(viewport, places[at])
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=places[30])
    assert (player.calls, player.now.paused) == ([("seek", 10), ("seek", 20), ("seek", 30)], True)
    assert len(window.strip.moments) == 40
    window.refresh()
    assert len(window.strip.moments) == 41
    dragged(viewport, places[10])
    assert len(player.calls) == 3  # nothing is held any more
