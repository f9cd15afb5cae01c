"""The window's tests run where there is no screen, are skipped where there is no Qt, and keep nothing in the user's settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before Qt is imported
pytest.importorskip("PyQt6.QtWidgets", exc_type=ImportError)

from PyQt6.QtCore import QSettings
from pytestqt.qtbot import QtBot

from drive_seg.ui.keeping import Memory
from drive_seg.ui.window import MainWindow
from tests.ui.fakes import FakePlayer, Opened


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path) -> None:
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path))


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    kept = Memory(QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat))
    kept.keep(folder=tmp_path / "kept", theme="dark", look__clear=False)
    return kept


@pytest.fixture
def player() -> FakePlayer:
    return FakePlayer()


@pytest.fixture
def opened(qapp: object, memory: Memory) -> Iterator[Opened]:
    """Opens windows, and holds them: one that nobody holds goes with the next garbage collection, also in the middle of its painting."""
    held: list[MainWindow] = []

    def make(player: object) -> MainWindow:
        held.append(MainWindow(player, "drive-seg", memory))  # type: ignore[arg-type]
        return held[-1]

    yield make
    for made in held:
        made.close()
        made.deleteLater()


@pytest.fixture
def window(qtbot: QtBot, player: FakePlayer, opened: Opened) -> MainWindow:
    """Over the fake player, wide enough for all its parts."""
    made = opened(player)
    made.resize(1420, 820)
    made.show()
    qtbot.waitActive(made).__enter__()
    return made
