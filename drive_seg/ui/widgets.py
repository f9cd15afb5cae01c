"""Small pieces that the window's parts are made of: labels, rows of facts, sections that fold, and controls that leave the keys alone."""

import re
from collections.abc import Collection, Mapping, Sequence

from PyQt6.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QKeyEvent, QPainter, QPaintEvent, QStandardItem, QStandardItemModel, QWheelEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

NONE = "–"
LONG_WORD = re.compile(r"\S{17,}")
BREAK = re.compile(r"([/\\&?=_.:,-]|\w{16})(?=\w)")  # after these it goes on in the next line
Margins = tuple[int, int, int, int]  # left, top, right, bottom, in pixels
NO_MARGINS: Margins = (0, 0, 0, 0)


def label(text: str, name: str = "") -> QLabel:
    """A label that the style sheet knows by `name`."""
    made = QLabel(text)
    made.setObjectName(name)
    made.setTextFormat(Qt.TextFormat.PlainText)
    return made


def heading(text: str) -> QLabel:
    """Over what follows; it wraps where there is no room."""
    made = label(text.upper(), "heading")
    made.setWordWrap(True)
    return made


def scrolled(inside: QWidget) -> QScrollArea:
    """Scrolls up and down where there is no room for it."""
    area = QScrollArea()
    area.setWidget(inside)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    for part in (area, area.viewport()):
        part.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # type: ignore[union-attr]
    return area


class Elided(QLabel):
    """One line that ends with an ellipsis where there is no room; its tooltip is the whole."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def setText(self, text: str | None) -> None:
        if self.text() != text:
            super().setText(text)
            self.setToolTip(text)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), self.alignment(), text)
        painter.end()


def breakable(text: str) -> str:
    """With places where a long word, as a path or an address, goes on in the next line."""
    return LONG_WORD.sub(lambda word: BREAK.sub("\\1\u200b", word[0]), text)


class Facts(QWidget):
    """Rows of a name and a value; `values` by name, so that a test or a script reads what a person reads."""

    def __init__(self, prose: bool = False, wrap: bool = True) -> None:
        """`prose`: values that are sentences and lists, not figures. `wrap`: else what is too long is cut."""
        super().__init__()
        self.values: dict[str, QLabel] = {}
        self._names: dict[str, QLabel] = {}
        self._side, self._wrap = Qt.AlignmentFlag.AlignLeft if prose else Qt.AlignmentFlag.AlignRight, wrap
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setHorizontalSpacing(10)
        self._grid.setColumnStretch(1, 1)

    def tell(self, rows: Mapping[str, str | None]) -> None:
        """Values by their names for people, in this order; a dash for None. Rows that are not among them are hidden."""
        for name, value in rows.items():
            if name not in self.values:
                self._add(name)
            text = breakable(value or NONE) if self._wrap else value or NONE
            if self.values[name].text() != text:  # a new text lays the column out anew
                self.values[name].setText(text)
        for name, label_ in self.values.items():
            label_.setVisible(name in rows)
            self._names[name].setVisible(name in rows)

    def _add(self, name: str) -> None:
        row, value = len(self.values), label(NONE) if self._wrap else Elided()
        self.values[name], self._names[name] = value, label(name, "dim")
        value.setAlignment(self._side | Qt.AlignmentFlag.AlignTop)
        value.setWordWrap(self._wrap)
        self._grid.addWidget(self._names[name], row, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(value, row, 1)


class Section(QWidget):
    """A heading that folds away what is under it."""

    folded = pyqtSignal(bool)

    def __init__(self, title: str, inside: QWidget) -> None:
        super().__init__()
        self.inside = inside
        self.head = QToolButton()
        self.head.setObjectName("fold")
        self.head.setText(title.upper())
        self.head.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.head.setArrowType(Qt.ArrowType.DownArrow)
        self.head.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.head.setToolTip(self.tr("Fold this part away, or open it"))
        self.head.clicked.connect(lambda: self.fold(self.inside.isVisibleTo(self)))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.head)
        column.addWidget(inside)

    def fold(self, away: bool) -> None:
        self.inside.setVisible(not away)
        self.head.setArrowType(Qt.ArrowType.RightArrow if away else Qt.ArrowType.DownArrow)
        self.folded.emit(away)


ARROWS = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End)


class OwnKeys(QObject):
    """While a control has the focus, these keys are its own and no shortcuts."""

    def __init__(self, control: QWidget, keys: Collection[Qt.Key] = ARROWS) -> None:
        super().__init__(control)
        self._keys = keys
        control.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and event.key() in self._keys:
            event.accept()
            return True
        return super().eventFilter(watched, event)


class Choice(QComboBox):
    """A box of values with names; `chosen` only by a person, and a wheel that scrolls past does not change it."""

    chosen = pyqtSignal(str)
    opening = pyqtSignal()  # what is offered may be looked for once more

    def __init__(self, tip: str) -> None:
        super().__init__()
        self.setToolTip(tip)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        OwnKeys(self)
        self.activated.connect(lambda at: self.chosen.emit(str(self.itemData(at))))
        self._offered: list[tuple[str, str, str | None]] = []  # values, names, and why not

    def offer(self, options: Sequence[tuple[str, str]], current: str, barred: Mapping[str, str] | None = None) -> None:
        """Values and names; what is current and not among them is added as it is. `barred`: what cannot be chosen, and why."""
        options = options if current in dict(options) else [*options, (current, current)]
        offered = [(value, name, (barred or {}).get(value)) for value, name in options]
        with QSignalBlocker(self):
            if self._offered != offered:  # told again a few times a second
                self._offered = offered
                self.clear()
                for at, (value, name, why) in enumerate(offered):
                    self.addItem(name, value)
                    self.setItemData(at, why, Qt.ItemDataRole.ToolTipRole)
                    self._item(at).setEnabled(why is None)
            self.setCurrentIndex(self.findData(current))

    def _item(self, at: int) -> QStandardItem:
        model = self.model()
        assert isinstance(model, QStandardItemModel)  # of every box that was given no other
        return model.item(at)  # type: ignore[return-value]

    def next(self) -> None:
        """As if a person had chosen the next one below that can be chosen, or from the first again."""
        for step in range(1, self.count()):
            at = (self.currentIndex() + step) % self.count()
            if self._item(at).isEnabled():
                self.chosen.emit(str(self.itemData(at)))
                return

    def choose(self, value: str) -> None:
        """As if a person had chosen this value."""
        self.chosen.emit(value)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """A name without room ends with an ellipsis; the list that opens shows it whole."""
        painter, option, style = QStylePainter(self), QStyleOptionComboBox(), self.style()
        assert style is not None
        self.initStyleOption(option)
        room = style.subControlRect(QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self)
        option.currentText = self.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideRight, room.width() - 4)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def showPopup(self) -> None:
        self.opening.emit()
        super().showPopup()

    def hidePopup(self) -> None:
        """Whoever has chosen is done: the keys are the window's again."""
        super().hidePopup()
        self.clearFocus()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event:
            event.ignore()


class Slider(QSlider):
    """Moved by a person it tells `slid`; told a value by the program it does not."""

    slid = pyqtSignal(int)

    def __init__(self, ticks: int, tip: str) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(0, ticks)
        self.setToolTip(tip)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        OwnKeys(self)
        self.valueChanged.connect(self.slid.emit)

    def put(self, tick: int) -> None:
        if not self.isSliderDown():
            with QSignalBlocker(self):
                self.setValue(tick)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event:
            event.ignore()


def row(*parts: QWidget, stretch: int | None = None, spacing: int = 6, margins: Margins = NO_MARGINS) -> QWidget:
    """Side by side; `stretch`: the one that takes the room that is left."""
    made = _in_a_box(QHBoxLayout, parts, margins, spacing)
    if stretch is not None:
        made.layout().setStretch(stretch, 1)  # type: ignore[union-attr]
    return made


def column(*parts: QWidget, margins: Margins = NO_MARGINS, spacing: int = 4) -> QWidget:
    """Below one another."""
    return _in_a_box(QVBoxLayout, parts, margins, spacing)


def _in_a_box(kind: type[QHBoxLayout] | type[QVBoxLayout], parts: Sequence[QWidget], margins: Margins, spacing: int) -> QWidget:
    made = QWidget()
    box = kind(made)
    box.setContentsMargins(*margins)
    box.setSpacing(spacing)
    for part in parts:
        box.addWidget(part)
    return made


def named(name: str, control: QWidget, width: int = 84) -> QWidget:
    """A control with its name before it."""
    text = label(name, "dim")
    text.setFixedWidth(width)
    return row(text, control, stretch=1)


def action_button(action: QAction) -> QToolButton:
    """With the action's text, icon, tooltip and state, and a frame."""
    made = icon_button(action, text=True)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    made.setProperty("framed", True)
    return made


def icon_button(action: QAction, text: bool = False) -> QToolButton:
    """Of the action's icon alone unless `text`; its tooltip says what it does."""
    made = QToolButton()
    made.setDefaultAction(action)
    made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon if text else Qt.ToolButtonStyle.ToolButtonIconOnly)
    made.setIconSize(QSize(18, 18))
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return made
