"""The list of all keys, laid over the window; made from the table of actions."""

from PyQt6.QtCore import QRect, Qt
from PyQt6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from drive_seg.ui.actions import ACTIONS, MENUS, keys_text
from drive_seg.ui.choices import translate
from drive_seg.ui.widgets import label, scrolled

COLUMN_PX = 330


class KeyList(QWidget):
    """Closed by the same key, by Escape or by a click."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("help")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._outside = QVBoxLayout(self)
        self._outside.setContentsMargins(16, 12, 10, 12)
        self._outside.addWidget(label(self.tr("Keys"), "title"))
        self._area: QWidget | None = None
        self._columns = 0
        self.hide()

    def place(self, window: QRect) -> None:
        """In the middle, in as many columns as there is room for."""
        columns = 3 if window.width() >= 3 * COLUMN_PX + 80 else 2 if window.width() >= 2 * COLUMN_PX + 80 else 1
        if columns != self._columns:
            self._fill(columns)
        width = min(window.width() - 32, columns * COLUMN_PX + 60)
        height = min(window.height() - 40, self._needed + 100)
        self.setGeometry((window.width() - width) // 2, (window.height() - height) // 2, width, height)
        self.raise_()

    def _fill(self, columns: int) -> None:
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setContentsMargins(0, 0, 6, 0)
        grid.setHorizontalSpacing(22)
        blocks = [self._block(menu) for menu in MENUS if any(entry.keys for entry in ACTIONS if entry.menu == menu)]
        heights = [0] * columns
        stacks = [QVBoxLayout() for _ in range(columns)]
        for block in blocks:
            shortest = heights.index(min(heights))
            stacks[shortest].addWidget(block)
            heights[shortest] += block.sizeHint().height() + 12
        for at, stack in enumerate(stacks):
            stack.setSpacing(12)
            stack.addStretch(1)
            grid.addLayout(stack, 0, at)
            grid.setColumnStretch(at, 1)
        if self._area:
            self._outside.removeWidget(self._area)
            self._area.deleteLater()
        self._area, self._columns, self._needed = scrolled(inside), columns, max(heights)
        self._outside.addWidget(self._area, 1)

    def _block(self, menu: str) -> QWidget:
        made = QWidget()
        grid = QGridLayout(made)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        grid.addWidget(label(translate("actions", MENUS[menu]).replace("&", "").upper(), "heading"), 0, 0, 1, 2)
        for at, entry in enumerate((entry for entry in ACTIONS if entry.menu == menu and entry.keys), 1):
            name = label(translate("actions", entry.text).removesuffix(" …"))
            name.setToolTip(translate("actions", entry.tip))
            grid.addWidget(name, at, 0)
            grid.addWidget(label(keys_text(entry), "key"), at, 1, Qt.AlignmentFlag.AlignRight)
        grid.setColumnStretch(0, 1)
        return made

    def mousePressEvent(self, event: object) -> None:
        self.hide()
