"""What stands at the axes can be read from the first frame on, and what hovering says stays true while the strip goes on."""

from itertools import combinations
from typing import Any

import pytest
from PyQt6.QtCore import QPoint, QRectF, Qt
from PyQt6.QtGui import QImage, QPainter
from pytestqt.qtbot import QtBot

from drive_seg.ui.pages.inspector import NAMES
from drive_seg.ui.plots import Plot
from drive_seg.ui.window import MainWindow
from tests.ui.fakes import FakePlayer, decided
from tests.ui.test_parts import x_of
from tests.waiting import PATIENCE_MS


def words(axis: Any) -> list[tuple[QRectF, str]]:
    """Where an axis writes what."""
    canvas = QImage(8, 8, QImage.Format.Format_RGB32)
    painter = QPainter(canvas)
    painter.setFont(axis.style["tickFont"])
    specs = axis.generateDrawSpecs(painter)
    painter.end()
    return [] if specs is None else [(QRectF(rect), text) for rect, _, text in specs[2] if text]


def overlapping(plot: Plot) -> list[tuple[str, str]]:
    found = []
    axes = [area.axis for area in plot.areas] + ([plot.bottom] if plot.bottom else [])
    for axis in axes:
        for (one, text), (other, beside) in combinations(words(axis), 2):
            if one.intersects(other):
                found.append((text, beside))
    return found


@pytest.mark.parametrize("frames", [0, 1, 2, 15])
def test_no_words_at_an_axis_lie_over_others_from_the_first_frame_on(
    qtbot: QtBot, window: MainWindow, player: FakePlayer, frames: int
) -> None:
    for index in range(frames):
        player.put(decided(index, "clock", index == 0, total_ms=4.0 + index))
    for name in NAMES:
        window.show_page(name)
        window.refresh()
        window.grab()
        assert [overlapping(plot) for plot in window.inspector.pages[name].plots] == [[]] * len(window.inspector.pages[name].plots), name
    assert overlapping(window.strip.plot) == []


def test_words_over_words_would_be_noticed(window: MainWindow) -> None:
    window.show_page("compare")
    (plot,) = window.inspector.pages["compare"].plots
    plot.areas[0].scale(0, 1, [(0.5, "half"), (0.51, "nearly")])
    window.grab()
    assert overlapping(plot) == [("half", "nearly")]


def test_hovering_stays_true_while_the_strip_goes_on(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    for index in range(20):
        player.put(decided(index, "clock", False))
    window.refresh()
    viewport = window.strip.plot.view.viewport()
    qtbot.mouseMove(viewport, QPoint(round(x_of(window, 10)), 20))
    assert window.strip.head.text().startswith("frame 10 ")
    for index in range(20, 25):
        player.put(decided(index, "clock", False))
    window.refresh()
    assert window.strip.head.text().startswith("frame 15 ")  # what is under the mouse now


def test_a_click_on_the_strip_stops_there(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    for index in range(20):
        player.put(decided(index, "clock", False))
    window.refresh()
    qtbot.mouseClick(window.strip.plot.view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(round(x_of(window, 10)), 20))
    assert player.now.paused
    assert player.calls == [("seek", 10)]


def test_the_seek_bar_has_room_in_a_small_window(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(800, 600)
    qtbot.waitUntil(lambda: window.width() == 800, timeout=PATIENCE_MS)
    assert window.transport.bar.width() >= 300
    assert window.video.height() >= 240
