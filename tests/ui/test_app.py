import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from drive_seg.cli.benchmark import run_window_benchmark
from drive_seg.errors import SourceError
from drive_seg.settings import Settings
from drive_seg.ui import app
from drive_seg.ui.app import caught, run_window
from drive_seg.ui.window import MainWindow
from tests.ui.fakes import FakePlayer, Opened
from tests.waiting import PATIENCE_MS, PATIENCE_S

ROOT = Path(__file__).parents[2]
INTERRUPTED = """
from PyQt6.QtCore import QSettings
QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, {folder!r})
from drive_seg.ui.app import run_window
from tests.ui.fakes import FakePlayer
player = FakePlayer()
player.open = lambda: print("started", flush=True)
run_window(player)
print("closed" if player.closed else "left open")
"""


def window() -> MainWindow:
    return next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow) and widget.isVisible())


def later(after_ms: int, then: object) -> None:
    QTimer.singleShot(after_ms, then)  # type: ignore[arg-type]


def test_opens_the_player_and_runs_until_the_window_is_closed(qtbot: QtBot) -> None:
    player = FakePlayer()
    player.put()
    later(100, lambda: window().close())
    run_window(player)  # type: ignore[arg-type]
    assert player.calls == ["open"]
    assert player.closed
    assert player.take() is None  # it was shown


def test_a_player_that_cannot_open_is_closed_and_its_error_raised(qtbot: QtBot) -> None:
    def refuse() -> None:
        raise SourceError("no such camera")

    player = FakePlayer()
    player.open = refuse  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="no such camera"):
        run_window(player)  # type: ignore[arg-type]
    assert player.closed
    assert not any(isinstance(widget, MainWindow) and widget.isVisible() for widget in QApplication.topLevelWidgets())


def test_results_from_another_thread_are_drawn_in_the_windows_thread(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_in: set[threading.Thread] = set()
    draw = MainWindow._show_newest
    monkeypatch.setattr(MainWindow, "_show_newest", lambda self: (drawn_in.add(threading.current_thread()), draw(self))[1])
    player = FakePlayer()
    sender = threading.Thread(target=lambda: [player.put() for _ in range(50)])
    later(50, sender.start)

    def end() -> None:
        later(100, end if sender.is_alive() or not drawn_in else window().close)

    later(100, end)
    run_window(player)  # type: ignore[arg-type]
    sender.join()
    assert drawn_in == {threading.main_thread()}
    assert player.take() is None


def test_a_failure_of_the_window_itself_is_said_in_it(qtbot: QtBot, opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    player = FakePlayer()
    made = opened(player)
    made.show()

    def fail() -> None:
        raise ZeroDivisionError("nothing to divide")

    with qtbot.captureExceptions(), caught(made.failed):
        for _ in range(3):
            try:
                fail()
            except ZeroDivisionError as error:
                sys.excepthook(type(error), error, error.__traceback__)
    assert made.isVisible()
    assert "nothing to divide" in made.bar.text.text()
    assert capsys.readouterr().err.count("Traceback") == 1  # once, however often


def test_a_window_that_is_measured_closes_by_itself(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "WARMUP_S", 0.5)
    settings = Settings.load(None, {"source": "demo:?size=160x120", "threads": 1, "min_time": 1.0})
    kept: list[Any] = []
    run_window_benchmark(settings, "drive-seg bench --window", kept.append)
    (found,) = kept
    assert 0 < found["painted"] <= found["frames"]
    assert 0 < found["qt_ms"]["p50"] < found["glass_ms"]["p50"]
    assert "capture to painted" in capsys.readouterr().out


def test_signal_handlers_and_hooks_are_given_back(qtbot: QtBot) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.excepthook
    later(50, lambda: window().close())
    run_window(FakePlayer())  # type: ignore[arg-type]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.excepthook) == before


def test_nothing_is_left_after_closing(qtbot: QtBot) -> None:
    threads, widgets = set(threading.enumerate()), set(QApplication.topLevelWidgets())
    later(200, lambda: (window().toggle_help(), window().close()))
    run_window(FakePlayer())  # type: ignore[arg-type]
    QApplication.processEvents()
    qtbot.waitUntil(lambda: set(QApplication.topLevelWidgets()) <= widgets, timeout=PATIENCE_MS)
    assert set(threading.enumerate()) <= threads


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window_and_the_player(number: signal.Signals, tmp_path: Path) -> None:
    env = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    script = INTERRUPTED.format(folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert output == "closed\n", errors
    assert process.returncode == 0, errors
