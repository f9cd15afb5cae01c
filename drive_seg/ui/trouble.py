"""The bar above the picture that says in words what went wrong or was done, until it is dismissed."""

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

NOTICE_MS = 6000  # what went well goes by itself


class TroubleBar(QWidget):
    def __init__(self, dismiss: QAction) -> None:
        """`dismiss`: what its cross does; its tooltip names the key."""
        super().__init__()
        self.setObjectName("trouble")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.cross = QToolButton()
        self.cross.setDefaultAction(dismiss)
        self.cross.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 6, 8, 6)
        line.addWidget(self.text, 1)
        line.addWidget(self.cross, 0, Qt.AlignmentFlag.AlignTop)
        self._fade = QTimer(self)
        self._fade.setSingleShot(True)
        self._fade.timeout.connect(self.hide)
        dismiss.triggered.connect(self.hide)
        self.hide()

    def tell(self, text: str, failure: bool) -> None:
        """A failure stays until it is dismissed or another comes; a notice never takes its place."""
        if not failure and self.isVisible() and self.property("kind") == "failure":
            return
        self.text.setText(f"⚠  {text}" if failure else text)
        self.setProperty("kind", "failure" if failure else "notice")
        style = self.style()
        assert style is not None
        style.unpolish(self)  # the style sheet knows the property only so
        style.polish(self)
        self._fade.stop() if failure else self._fade.start(NOTICE_MS)
        self.show()
