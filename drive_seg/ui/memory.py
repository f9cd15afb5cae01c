"""What the window keeps from one run to the next: its layout, how labels are drawn, and what was opened last."""

import json
from pathlib import Path

from PyQt6.QtCore import QByteArray, QSettings, QStandardPaths

RECENT = 8  # sources


class Memory:
    """Values under QSettings, read with their type; nothing in it can keep the window from opening."""

    def __init__(self, settings: QSettings | None = None) -> None:
        """The user's own unless given."""
        scope, form = QSettings.Scope.UserScope, QSettings.Format.IniFormat
        self.settings = settings if settings is not None else QSettings(form, scope, "drive-seg", "window")

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
    def rival(self) -> dict[str, object] | None:
        """Who was compared with last."""
        try:
            kept = json.loads(self.text("compare/rival", "null"))
        except ValueError:
            return None
        return kept if isinstance(kept, dict) and kept and kept.keys() <= {"model", "schedule", "mode"} else None

    @property
    def recent(self) -> list[str]:
        """Sources, the newest first."""
        return [line for line in self.text("recent", "").split("\n") if line]

    def opened(self, source: str) -> None:
        known = [source, *(one for one in self.recent if one != source)]
        self.keep(recent="\n".join(known[:RECENT]))

    @property
    def folder(self) -> Path:
        """Where snapshots and recordings go."""
        pictures = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        return Path(self.text("folder", str(Path(pictures or Path.home()) / "drive-seg")))
