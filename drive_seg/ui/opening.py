"""Which source a person means: by a dialog for files, folders, cameras and addresses, or by dropping something on the window."""

from pathlib import Path

from PyQt6.QtCore import QMimeData
from PyQt6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFileDialog, QInputDialog, QLabel, QVBoxLayout, QWidget

from drive_seg.redaction import redacted
from drive_seg.ui.choices import translate
from drive_seg.ui.cockpit import Cockpit

MOST_CAMERAS = 4  # offered by number; another one can be typed


def dropped(data: QMimeData | None) -> str | None:
    """The first file, folder or address among what is dropped."""
    if data is None:
        return None
    for url in data.urls():
        return url.toLocalFile() if url.isLocalFile() else url.toString()
    text = data.text().strip()
    return text if text and "\n" not in text else None


class AddressDialog(QDialog):
    """A camera, a stream or the demo."""

    def __init__(self, parent: QWidget, recent: list[str]) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Open camera or address"))
        self.address = QComboBox()
        self.address.setEditable(True)
        self.address.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)  # what is typed is an address, not another item without one
        self.address.setMinimumWidth(380)
        cameras = [(self.tr("camera {0}").format(number), str(number)) for number in range(MOST_CAMERAS)]
        for name, uri in (*((redacted(one), one) for one in recent), *cameras, (self.tr("the demo drive"), "demo:")):
            self.address.addItem(name, uri)
        hint = QLabel(self.tr("A camera's number, rtsp://… or http://… of a stream, a path, or demo:"))
        hint.setWordWrap(True)
        hint.setObjectName("dim")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.address)
        column.addWidget(hint)
        column.addWidget(buttons)
        if line := self.address.lineEdit():
            line.selectAll()  # so that typing replaces it

    def uri(self) -> str:
        """As drive_seg.sources.open_source takes it."""
        text = self.address.currentText().strip()
        at = self.address.findText(text)
        return str(self.address.itemData(at)) if at >= 0 else text


class Opener:
    """Asks a person for sources and places, and opens what they name."""

    def __init__(self, window: QWidget, cockpit: Cockpit) -> None:
        self._window, self._cockpit, self._memory = window, cockpit, cockpit.memory

    def open(self, source: str | None) -> None:
        """None: nothing was chosen."""
        if source:
            if Path(source).exists():
                self._memory.keep(place=str(Path(source).parent))
            self._cockpit.open(source)

    def ask_file(self) -> None:
        title = translate("ui", "Open a video or a picture")
        endings = "*.mp4 *.mkv *.mov *.avi *.webm *.mcap *.png *.jpg *.jpeg *.webp"
        kinds = translate("ui", "Videos and pictures ({0});;All files (*)").format(endings)
        self.open(QFileDialog.getOpenFileName(self._window, title, self._memory.text("place", ""), kinds)[0])

    def ask_folder(self) -> None:
        title = translate("ui", "Open a folder of pictures")
        self.open(QFileDialog.getExistingDirectory(self._window, title, self._memory.text("place", "")))

    def ask_address(self) -> None:
        dialog = AddressDialog(self._window, self._memory.recent)
        if dialog.exec():
            self.open(dialog.uri())
        dialog.deleteLater()

    def ask_frame(self) -> None:
        title, last, now = translate("ui", "Go to a frame"), self._cockpit.count - 1, self._cockpit.status.position or 0
        number, chosen = QInputDialog.getInt(self._window, title, translate("ui", "Frame, 0 to {0}").format(last), now, 0, last)
        if chosen:
            self._cockpit.stop_at(number)

    def ask_keep_folder(self) -> None:
        title = translate("ui", "Where snapshots and recordings go")
        if folder := QFileDialog.getExistingDirectory(self._window, title, str(self._memory.folder)):
            self._memory.keep(folder=folder)

    def ask_csv(self) -> None:
        title, kinds = translate("ui", "Save class areas"), translate("ui", "CSV ({0})").format("*.csv")
        name = QFileDialog.getSaveFileName(self._window, title, str(self._memory.folder / "class-areas.csv"), kinds)[0]
        if name:
            self._cockpit.keeper.save_areas(Path(name))
