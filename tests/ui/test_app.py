import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from drive_seg.errors import SourceError
from drive_seg.ui.app import run_window
from drive_seg.ui.view import VideoView
from tests.fakes import FakePlayer, make_result

ROOT = Path(__file__).parents[2]
INTERRUPTED = """
from drive_seg.ui.app import run_window
from drive_seg.ui.view import VideoView
from tests.fakes import FakePlayer
player = FakePlayer()
player.on_start = lambda: print("started", flush=True)
code = run_window(player)
print("stopped" if "stop" in player.calls else "left running", code)
"""


def window_closes(after_ms: int = 50) -> None:
    QTimer.singleShot(after_ms, lambda: [window.close() for window in QApplication.topLevelWidgets()])


def test_runs_until_the_window_is_closed(qtbot: QtBot) -> None:
    player = FakePlayer()
    player.on_start = lambda: (player.sink.put(make_result()), window_closes())[1]
    assert run_window(player) == 0
    assert player.calls[0] == "start"
    assert "stop" in player.calls
    assert player.sink.take() is None  # it was shown


def test_results_from_another_thread_are_drawn_in_the_windows_thread(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_in: set[threading.Thread] = set()
    show = VideoView.show_image
    monkeypatch.setattr(VideoView, "show_image", lambda self, image: (drawn_in.add(threading.current_thread()), show(self, image))[1])
    player = FakePlayer()
    sender = threading.Thread(target=lambda: [player.sink.put(make_result(index)) for index in range(50)])
    player.on_start = lambda: (sender.start(), window_closes(200))[1]
    run_window(player)
    sender.join()
    assert drawn_in == {threading.main_thread()}
    assert player.sink.take() is None


def test_the_players_error_closes_the_window_and_is_raised(qtbot: QtBot) -> None:
    player = FakePlayer()
    player.on_start = lambda: setattr(player, "error", SourceError("the camera is gone"))
    with pytest.raises(SourceError, match="the camera is gone"):
        run_window(player)
    assert "stop" in player.calls


def test_a_player_that_cannot_start_is_stopped_and_its_error_raised(qtbot: QtBot) -> None:
    def refuse() -> None:
        raise SourceError("no such camera")

    player = FakePlayer()
    player.on_start = refuse
    with pytest.raises(SourceError, match="no such camera"):
        run_window(player)
    assert "stop" in player.calls


def test_a_failure_before_the_loop_begins_does_not_hang(qtbot: QtBot) -> None:
    player = FakePlayer()
    player.on_start = lambda: player.sink.put(make_result(image=np.zeros((0, 0, 3), np.uint8)))
    with pytest.raises(cv2.error):
        run_window(player)


def test_signal_handlers_are_given_back(qtbot: QtBot) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    player = FakePlayer()
    player.on_start = window_closes
    run_window(player)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window_and_stops_the_player(number: signal.Signals) -> None:
    env = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert output == "stopped 0\n", errors
    assert process.returncode == 0, errors
