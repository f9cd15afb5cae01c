"""Everything that is written can be read in both themes: contrast as WCAG 2.2 measures it, of the palette and of what is really painted."""

from collections import Counter

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QColor, QImage, QPalette
from PyQt6.QtWidgets import QDialogButtonBox, QFileDialog, QLabel, QMenu, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from drive_seg.ui.theme import DARK, LIGHT, Theme, palette
from drive_seg.ui.widgets import Choice
from drive_seg.ui.window import MainWindow

READABLE, DISABLED = 4.5, 3.0
ROLE = QPalette.ColorRole
GROUP = QPalette.ColorGroup
PAIRS = [
    (ROLE.WindowText, ROLE.Window), (ROLE.Text, ROLE.Base), (ROLE.ButtonText, ROLE.Button), (ROLE.HighlightedText, ROLE.Highlight),
    (ROLE.ToolTipText, ROLE.ToolTipBase), (ROLE.PlaceholderText, ROLE.Base), (ROLE.Link, ROLE.Base), (ROLE.Text, ROLE.AlternateBase),
    (ROLE.BrightText, ROLE.Window), (ROLE.LinkVisited, ROLE.Base),
]  # fmt: skip


def luminance(rgb: tuple[int, ...]) -> float:
    """Relative, 0..1: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (one / 255 for one in rgb[:3]))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """1..21: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def of(colour: QColor | str) -> tuple[int, ...]:
    return QColor(colour).getRgb()[:3]  # type: ignore[return-value]


def painted(image: QImage) -> float:
    """Of words: between the commonest colour, the ground, and the one among the others that differs most from it."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    assert bits is not None
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())[:, : image.width() * 3]  # type: ignore[call-overload]
    colours = Counter(map(tuple, rows.reshape(-1, 3).tolist()))
    ground = colours.most_common(1)[0][0]
    return max(contrast(ground, colour) for colour in colours)


@pytest.fixture(params=[DARK, LIGHT], ids=["dark", "light"])
def theme(request: pytest.FixtureRequest, window: MainWindow) -> Theme:
    window.paint(request.param)
    return request.param  # type: ignore[no-any-return]


def test_the_words_of_every_role_can_be_read(theme: Theme) -> None:
    made = palette(theme)
    for words, ground in PAIRS:
        assert contrast(of(made.color(words)), of(made.color(ground))) >= READABLE, (words, ground)
        off = of(made.color(GROUP.Disabled, words)), of(made.color(GROUP.Disabled, ground))
        assert contrast(*off) >= DISABLED, (words, ground)
    for ground in (theme.panel, theme.raised):
        for colour in (theme.text, theme.dim, theme.accent, theme.good, theme.warn, theme.bad):
            assert contrast(of(colour), of(ground)) >= READABLE
        assert contrast(of(theme.off), of(ground)) >= DISABLED
    assert contrast(of(theme.second), of(theme.panel)) >= READABLE


def item_image(menu: QMenu, at: int, hovered: bool) -> QImage:
    """The words of one item, as the style paints them."""
    action = menu.actions()[at]
    menu.setActiveAction(action if hovered else None)  # type: ignore[arg-type]
    return menu.grab(menu.actionGeometry(action).adjusted(28, 2, -30, -2)).toImage()  # without the icon and the arrow


def test_menu_items_can_be_read_also_hovered_and_disabled(qtbot: QtBot, window: MainWindow, theme: Theme) -> None:
    bar = window.menuBar()
    assert bar is not None
    window.keys["back"].setEnabled(False)
    window._tick.stop()
    menu = next(one for one in bar.findChildren(QMenu) if window.keys["back"] in one.actions())
    menu.popup(window.mapToGlobal(QPoint(20, 40)))
    for at, action in enumerate(menu.actions()):
        if action.isSeparator():
            continue
        for hovered in (False, True):
            needed = READABLE if action.isEnabled() else DISABLED
            assert painted(item_image(menu, at, hovered)) >= needed, (action.text(), hovered)
    menu.close()
    for number, action in enumerate(bar.actions()):
        for hovered in (False, True):
            bar.setActiveAction(action if hovered else None)  # type: ignore[arg-type]
            assert painted(bar.grab(bar.actionGeometry(action).adjusted(2, 2, -2, -2)).toImage()) >= READABLE, (number, hovered)
    bar.setActiveAction(None)


def test_buttons_and_boxes_can_be_read(qtbot: QtBot, window: MainWindow, theme: Theme) -> None:
    dialog = QFileDialog(window)
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
    qtbot.addWidget(dialog)
    dialog.show()
    buttons = dialog.findChild(QDialogButtonBox)
    assert buttons is not None
    for button in buttons.findChildren(QPushButton):
        for default in (False, True):
            button.setDefault(default)
            for enabled in (True, False):
                button.setEnabled(enabled)
                words = button.grab(button.rect().adjusted(6, 6, -6, -6)).toImage()
                assert painted(words) >= (READABLE if enabled else DISABLED), (button.text(), default, enabled)
    dialog.close()
    window.show_page("compare")
    parts: list[QWidget] = [
        *window.findChildren(Choice),
        *(part for part in window.findChildren(QToolButton) if part.toolButtonStyle() != Qt.ToolButtonStyle.ToolButtonIconOnly),
        *(part for part in window.findChildren(QLabel) if part.text() and part.objectName() != "swatches"),
    ]
    seen = 0
    for part in parts:
        if part.isVisible() and part.width() > 16 and part.height() > 12:
            seen += 1
            needed = READABLE if part.isEnabled() else DISABLED
            assert painted(part.grab().toImage()) >= needed, (type(part).__name__, part.objectName(), part.property("text"))
    assert seen > 20
