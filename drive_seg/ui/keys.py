"""The list of all keys, laid over the window; made from the table of actions."""

from html import escape

from PyQt6.QtCore import QRect, Qt
from PyQt6.QtWidgets import QLabel, QVBoxLayout, QWidget

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
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop)
        outside = QVBoxLayout(self)
        outside.setContentsMargins(16, 12, 10, 12)
        outside.addWidget(label(self.tr("Keys"), "title"))
        outside.addWidget(scrolled(self.text), 1)
        self.hide()

    def place(self, window: QRect) -> None:
        """In the middle, in as many columns as there is room for."""
        columns = max(1, min(3, (window.width() - 80) // COLUMN_PX))
        self.text.setText(_table(columns))
        width = min(window.width() - 32, columns * COLUMN_PX + 60)
        height = min(window.height() - 40, self.text.sizeHint().height() + 80)
        self.setGeometry((window.width() - width) // 2, (window.height() - height) // 2, width, height)
        self.raise_()

    def mousePressEvent(self, event: object) -> None:
        self.hide()


def _table(columns: int) -> str:
    """The menus as HTML tables, each in the column that is shortest so far."""
    stacks, heights = [""] * columns, [0] * columns
    for menu, title in MENUS.items():
        entries = [entry for entry in ACTIONS if entry.menu == menu and entry.keys]
        rows = "".join(
            f"<tr><td width='{COLUMN_PX - 110}'>{escape(translate('actions', entry.text).removesuffix(' …'))}</td>"
            f"<td align='right' width='90'><b>{escape(keys_text(entry))}</b></td></tr>"
            for entry in entries
        )
        at = heights.index(min(heights))
        stacks[at] += f"<p><b>{translate('actions', title).replace('&', '').upper()}</b></p><table>{rows}</table>"
        heights[at] += len(entries) + 2
    return f"<table><tr>{''.join(f'<td style=padding-right:16px>{stack}</td>' for stack in stacks)}</tr></table>"
