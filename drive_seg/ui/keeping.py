"""What is kept: of the window from one run to the next, and of a run in files: snapshots, recordings and class areas."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PyQt6.QtCore import QByteArray, QObject, QSettings, QStandardPaths, pyqtSignal

from drive_seg.errors import DriveSegError, SinkError
from drive_seg.files import Use, free, part_of
from drive_seg.redaction import redacted
from drive_seg.session.history import LENGTH, write_csv
from drive_seg.session.paths import check_apart
from drive_seg.session.player import Player
from drive_seg.session.status import Shown
from drive_seg.sinks.snapshot import Labelled, save_snapshot
from drive_seg.ui.choices import translate
from drive_seg.workers import Worker

CLOSE_LIMIT_S = 60.0  # a picture that was asked for is not lost because the machine is busy
RECENT = 8  # sources


class Memory:
    """Values under QSettings, read with their type; nothing in it can keep the window from opening."""

    def __init__(self, settings: QSettings | None = None) -> None:
        """The user's own unless given."""
        scope, form = QSettings.Scope.UserScope, QSettings.Format.IniFormat
        self.settings = settings if settings is not None else QSettings(form, scope, "drive-seg", "window")
        with suppress(OSError):  # addresses are kept with their passwords, to be opened again
            path = Path(self.settings.fileName())
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)  # Qt writes into it with the mode that it has
            path.chmod(0o600)

    def text(self, name: str, default: str) -> str:
        return str(self.settings.value(name, default))

    def flag(self, name: str, default: bool) -> bool:
        return self.text(name, "true" if default else "false") == "true"

    def number(self, name: str, default: float) -> float:
        try:
            return float(self.text(name, str(default)))
        except ValueError:
            return default

    def blob(self, name: str) -> QByteArray | None:
        value = self.settings.value(name)
        return value if isinstance(value, QByteArray) else None

    def keep(self, **values: object) -> None:
        """Names with a double underscore are groups: look__opacity is look/opacity."""
        for name, value in values.items():
            kept = value if isinstance(value, QByteArray) else str(value).lower() if isinstance(value, bool) else str(value)
            self.settings.setValue(name.replace("__", "/"), kept)

    @property
    def comparison(self) -> dict[str, object] | None:
        """Who was compared with last."""
        try:
            kept = json.loads(self.text("compare/with", "null"))
        except ValueError:
            return None
        return kept if isinstance(kept, dict) and kept and kept.keys() <= {"model", "schedule", "mode"} else None

    @property
    def recent(self) -> list[str]:
        """Sources, the newest first."""
        return [line for line in self.text("recent", "").split("\n") if line]

    def opened(self, source: str) -> None:
        """A file or folder by its whole path: the next run may begin elsewhere."""
        source = str(Path(source).resolve()) if Path(source).exists() else source
        known = [source, *(one for one in self.recent if one != source)]
        self.keep(recent="\n".join(known[:RECENT]))

    @property
    def folder(self) -> Path:
        """Where snapshots and recordings go."""
        pictures = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        return Path(self.text("folder", str(Path(pictures or Path.home()) / "drive-seg")))


class Keeper(QObject):
    """Writes in a thread of its own, so that the window stays quick."""

    told = pyqtSignal(str, bool)  # a line for people; whether it is a failure
    kept = pyqtSignal(str, object)  # a line for people; the folder where it was written, a Path

    def __init__(self, player: Player, memory: Memory) -> None:
        super().__init__()
        self._player, self._memory = player, memory
        self._workers: list[Worker] = []

    def snapshot(self, shown: Shown, comparison: Labelled | None) -> None:
        """The frame on the screen: picture, overlay, mask and numbers, and while comparing those of both."""
        status, folder = self._player.status(), self._memory.folder
        main = Labelled(shown.result, self._player.look, dict(status.runs), status.classes)

        def save() -> list[Path]:
            self._check(Use(translate("ui", "snapshots"), folder, "fill"))
            return list(save_snapshot(folder, status.source.name, main, comparison))

        self._apart(save)

    def save_areas(self, path: Path) -> None:
        """Every class's share of each remembered frame, as CSV; a file that is there is replaced, which the dialog has asked for."""
        classes, moments = self._player.status().classes, self._player.history(LENGTH)

        def save() -> list[Path]:
            self._check(Use(translate("ui", "class areas"), path, "write"))
            write_csv(path, classes, moments, overwrite=True)
            return [path]

        self._apart(save)

    def toggle_record(self) -> None:
        """Into a file named after the time, in the folder for snapshots. Raises SinkError, UsageError."""
        if path := self._player.status().recording:
            self._player.record(None)
            self.kept.emit(translate("ui", "recorded {0}").format(path), path.parent)
            return
        folder = self._memory.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            line = translate("ui", "{0}: cannot be made ({1}); choose another folder in the menu Source")
            raise SinkError(line.format(folder, error.strerror)) from error
        path = folder / time.strftime("drive-seg-%Y%m%d-%H%M%S.mp4")
        self._player.record(free(path.with_suffix(""), ".mp4", taken=_taken) if _taken(path) else path)

    def close(self) -> None:
        """What is being written is finished."""
        for worker in self._workers:
            worker.wait(CLOSE_LIMIT_S)

    def _check(self, use: Use) -> None:
        """Raises UsageError where it is what the player reads or writes."""
        status = self._player.status()
        check_apart(status.settings.model_copy(update={"output": status.recording}), use)

    def _apart(self, write: Callable[[], list[Path]]) -> None:
        def work() -> None:
            try:
                paths = write()
                line = translate("ui", "saved {0} in {1}").format(" · ".join(path.name for path in paths), paths[0].parent)
                self.kept.emit(line, paths[0].parent)
            except DriveSegError as error:
                self.told.emit(str(error), True)
            except Exception as error:  # of Qt, OpenCV, Python: what is not saved is said, whatever it was
                line = translate("ui", "nothing was saved: {0}")
                self.told.emit(line.format(redacted(f"{type(error).__name__}: {error}")), True)

        self._workers = [worker for worker in self._workers if worker.alive]
        self._workers.append(Worker("window-writer", work).start())


def _taken(path: Path) -> bool:
    return any(map(os.path.lexists, (path, part_of(path))))
