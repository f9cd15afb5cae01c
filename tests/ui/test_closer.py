"""A closer look at the picture: enlarged and moved, what the pointer says of a pixel, and what goes to the clipboard."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QGuiApplication, QImage, QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from drive_seg import cli
from drive_seg.cli import run
from drive_seg.settings import Settings
from drive_seg.ui.layout import CONTEXT
from drive_seg.ui.view import MOST_ZOOM, VideoView
from drive_seg.ui.window import MainWindow
from tests.fakes import CAMVID, make_bundle, make_result
from tests.ui.fakes import FakePlayer, half_and_half
from tests.waiting import PATIENCE_MS

ROAD, CAR = list(CAMVID).index("road"), list(CAMVID).index("car")


def numbered() -> np.ndarray:
    """A frame of 48x64 whose every pixel has its own colour: blue its column, green its row."""
    rows, columns = np.mgrid[0:48, 0:64]
    return np.dstack((columns * 4, rows * 5, np.zeros_like(rows))).astype(np.uint8)


def send(qtbot: QtBot, window: MainWindow, player: FakePlayer, *results: object) -> None:
    before = window.video.image
    player.put(*results)  # type: ignore[arg-type]
    qtbot.waitUntil(lambda: window.video.image is not before, timeout=PATIENCE_MS)


def turn(video: VideoView, at: QPointF, notches: float) -> None:
    where = QPointF(video.mapToGlobal(at.toPoint()))
    buttons, modifiers = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    angle = QPoint(0, round(notches * 120))
    QApplication.sendEvent(video, QWheelEvent(at, where, QPoint(), angle, buttons, modifiers, Qt.ScrollPhase.NoScrollPhase, False))


def pixel_under(video: VideoView, at: QPointF) -> tuple[int, int]:
    """Column and row of the numbered frame that are painted at this place of the widget."""
    colour = video.grab().toImage().pixelColor(at.toPoint())
    return round(colour.blue() / 4), round(colour.green() / 5)


@pytest.fixture
def plain(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> VideoView:
    """The picture alone, of the numbered frame."""
    window.panel.view.choose("picture")
    send(qtbot, window, player, make_result(image=numbered()))
    window.refresh()  # what can be done with a picture can be done now
    return window.video


def test_a_message_moves_nothing_and_does_not_end_what_is_dragged(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, "x")
    window.refresh()
    player.put(make_result(1), make_result(1))
    qtbot.waitUntil(lambda: window.video.divider is not None, timeout=PATIENCE_MS)
    QApplication.processEvents()  # the inspector has made room for itself
    where, middle = window.video.picture_rect(), window.video.picture_rect().center().toPoint()
    qtbot.mousePress(window.video, Qt.MouseButton.LeftButton, pos=middle)
    for text in ("a line", "words " * 400):
        window.bar.tell(text, True)
        QApplication.processEvents()
        assert window.bar.isVisible()
        assert window.video.picture_rect() == where
        assert window.bar.width() == window.video.width()
        assert window.bar.geometry().bottom() <= window.video.rect().bottom()
    to = middle + QPoint(-40, 0)
    qtbot.mouseMove(window.video, to)
    qtbot.mouseRelease(window.video, Qt.MouseButton.LeftButton, pos=to)
    dragged = window.video.share_at(QPointF(to))[0]
    assert window.cockpit.divider == pytest.approx(dragged, abs=1e-3)
    window.bar.tell("a line", True)
    qtbot.mouseClick(window.bar, Qt.MouseButton.LeftButton, pos=QPoint(10, 5))
    assert window.cockpit.divider == pytest.approx(dragged, abs=1e-3)  # the picture below is not meant
    window.resize(1200, 700)
    qtbot.waitUntil(lambda: window.bar.width() == window.video.width(), timeout=PATIENCE_MS)


def test_the_wheel_enlarges_about_the_pointer_and_back_to_where_it_fits(plain: VideoView) -> None:
    whole = plain.picture_rect()
    at = whole.topLeft() + QPointF(whole.width() * 0.72, whole.height() * 0.31)
    share, pixel = plain.share_at(at), pixel_under(plain, at)
    turn(plain, at, 6)
    assert plain.zoom == pytest.approx(1.25**6)
    assert plain.share_at(at) == pytest.approx(share, abs=1e-3)
    assert pixel_under(plain, at) == pytest.approx(pixel, abs=1)
    turn(plain, at, 100)
    assert plain.zoom == MOST_ZOOM
    assert pixel_under(plain, at) == (int(share[0] * 64), int(share[1] * 48))  # a square of its own by now
    turn(plain, at, -200)
    assert plain.picture_rect() == whole


def test_what_is_enlarged_is_moved_by_dragging_and_fills_the_widget(qtbot: QtBot, plain: VideoView) -> None:
    middle = QPointF(plain.rect().center())
    turn(plain, middle, 9)
    share, room = plain.share_at(middle), plain.rect()
    for button in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
        qtbot.mousePress(plain, button, pos=room.center())
        QApplication.sendEvent(plain, moved(plain, room.center() + QPoint(60, -30), button))
        qtbot.mouseRelease(plain, button, pos=room.center() + QPoint(60, -30))
    assert plain.share_at(middle + QPointF(120, -60)) == pytest.approx(share, abs=2e-3)
    for far in (QPoint(5000, 5000), QPoint(-9000, -9000)):
        qtbot.mousePress(plain, Qt.MouseButton.LeftButton, pos=room.center())
        QApplication.sendEvent(plain, moved(plain, far, Qt.MouseButton.LeftButton))
        qtbot.mouseRelease(plain, Qt.MouseButton.LeftButton, pos=room.center())
        assert plain.picture_rect().contains(plain.rect().toRectF())
    assert pixel_under(plain, QPointF(room.bottomRight())) == (63, 47)


def moved(video: VideoView, to: QPoint, button: Qt.MouseButton) -> QMouseEvent:
    where = QPointF(video.mapToGlobal(to))
    return QMouseEvent(QEvent.Type.MouseMove, QPointF(to), where, Qt.MouseButton.NoButton, button, Qt.KeyboardModifier.NoModifier)


def test_actual_size_fit_and_the_keys(qtbot: QtBot, plain: VideoView, window: MainWindow) -> None:
    qtbot.keyClick(window, "1", Qt.KeyboardModifier.ControlModifier)
    where = plain.picture_rect()
    assert (where.width(), where.height()) == (64, 48)
    corner = where.topLeft()
    assert [pixel_under(plain, corner + QPointF(x, y)) for x, y in ((0, 0), (1, 0), (17, 30), (63, 47))] == [
        (0, 0),
        (1, 0),
        (17, 30),
        (63, 47),
    ]
    turn(plain, where.center(), -3)
    assert plain.picture_rect() == where  # no smaller
    qtbot.keyClick(window, "0", Qt.KeyboardModifier.ControlModifier)
    assert plain.zoom == 1
    qtbot.keyClick(window, "+", Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(window, "+", Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(window, "-", Qt.KeyboardModifier.ControlModifier)
    assert plain.zoom == pytest.approx(1.25)
    window.resize(900, 640)
    qtbot.waitUntil(lambda: window.video.width() < 700, timeout=PATIENCE_MS)
    assert plain.zoom == pytest.approx(1.25)
    assert plain.grab().toImage().pixelColor(plain.rect().center()).green() > 0


def at_pixel(video: VideoView, x: int, y: int) -> QPoint:
    """The middle of a pixel of the frame of 48x64."""
    where = video.picture_rect()
    return (where.topLeft() + QPointF((x + 0.5) * where.width() / 64, (y + 0.5) * where.height() / 48)).toPoint()


def test_the_pointer_says_class_position_frame_and_age(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    truth = np.full((48, 64), ROAD, np.uint8)
    send(qtbot, window, player, replace(half_and_half(ROAD, CAR), age_frames=2, age_ms=66.6))
    assert window.video.says == ""
    qtbot.mouseMove(window.video, at_pixel(window.video, 40, 11))
    qtbot.waitUntil(lambda: window.video.says != "", timeout=PATIENCE_MS)
    assert window.video.says == f"car ({CAR}) · x 40, y 11 · frame 0 · feature age 2 (67 ms)"
    send(qtbot, window, player, make_result(7, truth=truth))  # the same place of another frame
    assert window.video.says == f"road ({ROAD}) · truth road ({ROAD}) · x 40, y 11 · frame 7 · feature age 0 (0 ms)"
    send(qtbot, window, player, make_result(8, labels=np.full((12, 16), 255, np.uint8)))
    assert window.video.says.startswith("void (255) · ")
    turn(window.video, QPointF(at_pixel(window.video, 40, 11)), 5)
    assert "x 40, y 11" in window.video.says
    qtbot.mouseMove(window.video, QPoint(1, 1))
    window.video.fit()
    qtbot.waitUntil(lambda: window.video.says == "" or "x 0" in window.video.says, timeout=PATIENCE_MS)


def test_while_comparing_it_says_both_by_their_own_names(qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other")  # road, car, sky
    window.cockpit.set_comparison({"model": str(other.folder)})
    qtbot.keyClicks(window, "x")
    send(qtbot, window, player, make_result(), make_result(labels=np.full((12, 16), 1, np.uint8)))
    qtbot.waitUntil(lambda: window.inspector.width() > 250 and window.video.width() < 900, timeout=PATIENCE_MS)  # its page has come
    qtbot.mouseMove(window.video, at_pixel(window.video, 3, 40))
    qtbot.waitUntil(lambda: window.video.says != "", timeout=PATIENCE_MS)
    assert window.video.says.startswith(f"A road ({ROAD}) · B car (1) · x 3, y 40")


def test_the_picture_has_a_menu_of_the_tables_entries(window: MainWindow) -> None:
    assert window.video.contextMenuPolicy() == Qt.ContextMenuPolicy.ActionsContextMenu
    assert window.video.actions() == [window.keys[name] for name in CONTEXT]


def test_ctrl_c_copies_the_picture_at_the_frames_size(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, half_and_half(ROAD, CAR))
    turn(window.video, QPointF(window.video.rect().center()), 4)
    window.refresh()
    qtbot.keyClick(window, "c", Qt.KeyboardModifier.ControlModifier)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    image: QImage = clipboard.image()
    assert (image.width(), image.height()) == (64, 48)
    for x, name in ((5, "road"), (60, "car")):
        assert [round((100 + part) / 2) for part in CAMVID[name]] == list(image.pixelColor(x, 20).getRgb()[:3])
    assert window.bar.text.text() == "copied the picture, 64 x 48"


def test_ctrl_c_copies_what_is_selected_of_a_message(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, make_result())
    window.cockpit.told.emit("drive.mp4: cannot be read; check it", True)
    window.refresh()
    window.bar.text.setFocus(Qt.FocusReason.MouseFocusReason)
    window.bar.text.setSelection(3, 9)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    for wanted in ("drive.mp4", ""):
        clipboard.clear()
        qtbot.keyClick(window.bar.text, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
        assert clipboard.text() == wanted
        assert clipboard.image().isNull() == bool(wanted)
        window.bar.text.setSelection(0, 0)  # nothing: the picture is meant again


@pytest.mark.parametrize(
    "given",
    [{}, {"source": "a drive's end.mp4", "loop": True, "max_frames": 7, "threads": 2, "mode": "async", "trace": "t.jsonl"}],
    ids=["plain", "with flags"],
)
def test_ctrl_shift_c_copies_the_run_as_a_command_line(
    qtbot: QtBot, window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch, given: dict[str, object]
) -> None:
    player.now = replace(player.now, settings=Settings.load(None, given))
    window.refresh()
    window.panel.schedule.kind.choose("keyframe")
    window.panel.propagation.choose("netwarp")
    window.panel.mode.choose("async")
    window.panel.opacity.setValue(6)
    qtbot.keyClicks(window, "wu")
    qtbot.keyClick(window, Qt.Key.Key_L, Qt.KeyboardModifier.ShiftModifier)
    player.record(Path("kept as.mp4"))
    window.refresh()
    qtbot.keyClick(window, "c", Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    program, command, *arguments = shlex.split(clipboard.text())
    assert (program, command) == ("drive-seg", "run")
    assert {"--source", "--model"} <= set(arguments)
    ran: list[Settings] = []
    monkeypatch.setattr(run, "_window_wanted", lambda settings: True)
    monkeypatch.setattr(run, "_run_window", lambda settings, keep: ran.append(settings))
    with pytest.raises(SystemExit) as end:
        cli.main([command, *arguments])
    assert end.value.code == 0
    chosen = {"schedule": "keyframe:0.08", "propagation": "netwarp", "mode": "async", "opacity": 0.3, "refine": "edges", "audit": True,
              "loop": not given.get("loop", False), "output": Path("kept as.mp4")}  # fmt: skip
    assert ran == [Settings.load(None, given).model_copy(update=chosen)]
