"""Keys reach what they are meant for, wherever the focus is, and typed text is taken as it was typed."""

from collections.abc import Callable

import pytest
from PyQt6.QtCore import QPoint, Qt, QTimer
from PyQt6.QtGui import QKeySequence
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QDialogButtonBox, QPushButton, QSlider, QWidget
from pytestqt.qtbot import QtBot

from drive_seg.ui.actions import ACTIONS
from drive_seg.ui.legend import Legend
from drive_seg.ui.opening import AddressDialog
from drive_seg.ui.widgets import Choice
from drive_seg.ui.window import MainWindow
from tests.ui.fakes import FakePlayer
from tests.waiting import PATIENCE_MS

OWN = {  # the keys that a control keeps for itself while it was given the focus on purpose
    QComboBox: {"Up", "Down", "Left", "Right", "Home", "End"},
    QSlider: {"Up", "Down", "Left", "Right", "Home", "End"},
    Legend: {"Up", "Down", "Space"},
}


def press(key: str) -> None:
    """On the keyboard: whoever has the focus gets it."""
    combination = QKeySequence(key)[0]
    target = QApplication.focusWidget()
    assert target is not None, "no widget has the focus"
    QTest.keyClick(target, combination.key(), combination.keyboardModifiers())


def focusable(window: MainWindow) -> list[QWidget]:
    return [
        part
        for part in window.findChildren(QWidget)
        if part.focusPolicy() != Qt.FocusPolicy.NoFocus and part.isVisible() and part.isEnabled() and part.window() is window
    ]


def shown_first(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: QApplication.focusWidget() is window.video, timeout=PATIENCE_MS)


def test_the_picture_has_the_focus_at_start_and_arrow_keys_work(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    shown_first(qtbot, window)
    player.change(schedule="clockwork:4")
    window.refresh()
    press("Up")
    press("Right")
    press("Home")
    assert player.now.settings.schedule == "clockwork:5"
    assert player.now.speed == 1.0
    assert player.calls == [("seek", 150), ("seek", 0)]


@pytest.mark.parametrize("page", ["compare", "areas"])
def test_every_shortcut_works_from_every_focus(qtbot: QtBot, window: MainWindow, player: FakePlayer, page: str) -> None:
    window.cockpit.set_comparison({"schedule": "clockwork:6"})
    player.change(schedule="clockwork:4")
    player.put()
    window.cockpit.told.emit("a line that can be selected", True)
    window.show_page(page)
    window.cockpit.toggle_class(0)  # so that the button that brings it back is there
    window.refresh()
    window._tick.stop()
    window.cockpit._soon.stop()
    pressed: list[str] = []
    for name, action in window.keys.items():
        action.triggered.disconnect()
        action.triggered.connect(lambda _=False, name=name: pressed.append(name))
        action.setEnabled(True)
    parts = focusable(window)
    kinds = {type(part).__name__ for part in parts}
    assert {"VideoView", "Choice", "Slider", "Legend", "QToolButton", "Message"} <= kinds
    for part in parts:
        own = {key for kind, keys in OWN.items() if isinstance(part, kind) for key in keys}
        for entry in ACTIONS:
            for key in entry.keys:
                part.setFocus(Qt.FocusReason.TabFocusReason)
                assert QApplication.focusWidget() is part
                pressed.clear()
                if key in own:
                    continue
                press(key)
                assert pressed == [entry.name], (type(part).__name__, part.objectName(), part.toolTip(), key)


def test_escape_a_click_on_the_picture_and_a_choice_give_the_focus_back(qtbot: QtBot, window: MainWindow) -> None:
    def give(part: QWidget) -> None:
        part.setFocus(Qt.FocusReason.TabFocusReason)
        assert QApplication.focusWidget() is part

    ways: list[Callable[[Choice], object]] = [
        lambda box: press("Esc"),
        lambda box: qtbot.mouseClick(window.video, Qt.MouseButton.LeftButton, pos=QPoint(40, 40)),
        lambda box: (box.showPopup(), box.hidePopup()),
        lambda box: window.show_part("panel", False),
    ]
    for leave in ways:
        window.show_part("panel", True)
        give(window.panel.model)
        leave(window.panel.model)
        qtbot.waitUntil(lambda: QApplication.focusWidget() is window.video, timeout=PATIENCE_MS)


def in_dialog(do: Callable[[AddressDialog], object]) -> None:
    """Once it is open."""

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, AddressDialog) and dialog.isVisible():
            do(dialog)
        else:
            QTimer.singleShot(20, look)

    QTimer.singleShot(0, look)


@pytest.mark.parametrize("confirm", ["key", "button"])
def test_a_typed_address_is_opened_as_it_was_typed(qtbot: QtBot, window: MainWindow, player: FakePlayer, confirm: str) -> None:
    window.memory.opened("demo:")

    def type_it(dialog: AddressDialog) -> None:
        line = dialog.address.lineEdit()
        assert line is not None
        QTest.keyClicks(line, "rtsp://camera/1")  # what was there is selected, so it is replaced
        if confirm == "key":
            QTest.keyClick(line, Qt.Key.Key_Return)
        else:
            buttons = dialog.findChild(QDialogButtonBox)
            assert buttons is not None
            QTest.mouseClick(buttons.findChildren(QPushButton)[0], Qt.MouseButton.LeftButton)
        if dialog.isVisible():
            dialog.accept()

    in_dialog(type_it)
    press("Ctrl+U")
    assert player.now.settings.source == "rtsp://camera/1"
    assert window.memory.recent[0] == "rtsp://camera/1"


def test_a_camera_is_opened_by_the_number_that_stands_beside_its_name(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    in_dialog(lambda dialog: (dialog.address.setCurrentIndex(dialog.address.findText("camera 2")), dialog.accept()))
    press("Ctrl+U")
    assert player.now.settings.source == "2"


def test_nobody_can_type_where_an_item_is_meant(window: MainWindow) -> None:
    assert not any(box.isEditable() for box in window.findChildren(QComboBox))
