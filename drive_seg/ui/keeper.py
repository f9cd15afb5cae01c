"""What a person keeps of a run: snapshots, recordings and class areas, written into files beside the frames."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from drive_seg.errors import DriveSegError, SinkError
from drive_seg.files import Use, free, part_of
from drive_seg.session.history import LENGTH, write_csv
from drive_seg.session.paths import check_apart
from drive_seg.session.player import Player
from drive_seg.session.status import Shown
from drive_seg.sinks.snapshot import save_snapshot
from drive_seg.ui.choices import translate
from drive_seg.ui.memory import Memory
from drive_seg.workers import Worker

CLOSE_LIMIT_S = 60.0  # a picture that was asked for is not lost because the machine is busy


class Keeper(QObject):
    """Writes in a thread of its own, so that the window stays quick."""

    told = pyqtSignal(str, bool)  # a line for people; whether it is a failure

    def __init__(self, player: Player, memory: Memory) -> None:
        super().__init__()
        self._player, self._memory = player, memory
        self._workers: list[Worker] = []

    def snapshot(self, shown: Shown) -> None:
        """The frame on the screen: picture, overlay, mask and numbers."""
        look, status, folder = self._player.look, self._player.status(), self._memory.folder

        def save() -> Path:
            self._check(Use(translate("ui", "snapshots"), folder, "fill"))
            return save_snapshot(folder, shown.result, look, dict(status.runs), status.classes)

        self._apart(save)

    def save_areas(self, path: Path) -> None:
        """Every class's share of each remembered frame, as CSV; a file that is there is replaced, which the dialog has asked for."""
        classes, moments = self._player.status().classes, self._player.history(LENGTH)

        def save() -> Path:
            self._check(Use(translate("ui", "class areas"), path, "write"))
            write_csv(path, classes, moments, overwrite=True)
            return path

        self._apart(save)

    def toggle_record(self) -> None:
        """Into a file named after the time, in the folder for snapshots. Raises SinkError, UsageError."""
        if path := self._player.status().recording:
            self._player.record(None)
            self.told.emit(translate("ui", "recorded {0}").format(path), False)
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

    def _apart(self, write: Callable[[], Path]) -> None:
        def work() -> None:
            try:
                self.told.emit(translate("ui", "saved {0}").format(write()), False)
            except DriveSegError as error:
                self.told.emit(str(error), True)

        self._workers = [worker for worker in self._workers if worker.alive]
        self._workers.append(Worker("window-writer", work).start())


def _taken(path: Path) -> bool:
    return any(map(os.path.lexists, (path, part_of(path))))
