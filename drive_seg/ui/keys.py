"""The list of all keys, laid over the window; made from the table of actions."""

from html import escape

from PyQt6.QtCore import QRect, QSize, Qt
from PyQt6.QtWidgets import QLabel, QVBoxLayout, QWidget

from drive_seg.ui.actions import ACTIONS, MENUS, keys_text
from drive_seg.ui.choices import translate
from drive_seg.ui.widgets import label, scrolled

# pixels of the letters, and columns; the first in which all is seen
FORMS = ((13, 3), (13, 2), (12, 3), (12, 2), (11, 3), (10, 3), (10, 2), (9, 3))


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
        self.title = label(self.tr("Keys"), "title")
        outside.addWidget(self.title)
        outside.addWidget(scrolled(self.text), 1)
        self.hide()

    def place(self, window: QRect) -> None:
        """In the middle, in letters and columns with which all of it is seen; in the smallest it scrolls."""
        most = QSize(window.width() - 16, window.height() - 16)
        for px, columns in FORMS:
            self.text.setText(_table(columns, px))
            needs = self.text.sizeHint() + QSize(26, 24 + self.title.sizeHint().height() + 12)
            if needs.width() <= most.width() and needs.height() <= most.height():
                break
        size = needs.boundedTo(most)
        self.setGeometry(QRect((window.width() - size.width()) // 2, (window.height() - size.height()) // 2, size.width(), size.height()))
        self.raise_()

    def mousePressEvent(self, event: object) -> None:
        self.hide()


def _table(columns: int, px: int) -> str:
    """The menus as HTML tables, each in the column that is shortest so far, in letters of so many pixels."""
    stacks, heights = [""] * columns, [0] * columns
    for menu, title in MENUS.items():
        entries = [entry for entry in ACTIONS if entry.menu == menu and entry.keys and not entry.name.startswith("page-")]
        rows = [(translate("actions", entry.text).removesuffix(" …"), keys_text(entry)) for entry in entries]
        if pages := [keys_text(entry) for entry in ACTIONS if entry.menu == menu and entry.name.startswith("page-")]:
            rows.append((translate("ui", "Its pages"), f"{pages[0]} – {pages[-1]}"))
        at = heights.index(min(heights))
        lines = "".join(
            f"<tr><td style='padding-right:8px'>{escape(text)}</td><td align='right'><b>{escape(keys)}</b></td></tr>" for text, keys in rows
        )
        head = f"<tr><td colspan='2'><b>{escape(translate('actions', title).replace('&', '').upper())}</b></td></tr>"
        stacks[at] += f"<table cellspacing='0' cellpadding='0' width='100%'>{head}{lines}<tr><td>&nbsp;</td></tr></table>"
        heights[at] += len(rows) + 2
    cells = "".join(f"<td style='padding-right:10px'>{stack}</td>" for stack in stacks)
    return f"<div style='font-size:{px}px; white-space:pre'><table cellspacing='0' cellpadding='0'><tr>{cells}</tr></table></div>"
