import subprocess
import sys

import pytest

from drive_seg.errors import DisplayError
from drive_seg.ui import display
from tests.waiting import PATIENCE_S

ASK = "from drive_seg.ui.app import run_window; run_window(None)"


def test_no_display_is_an_error_before_qt_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(display, "probe", lambda: pytest.fail("Qt was asked"))
    with pytest.raises(DisplayError, match=r"DISPLAY.*--headless"):
        display.require_display()


@pytest.mark.skipif(sys.platform != "linux", reason="X11")
def test_a_dead_display_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QT_QPA_PLATFORM")
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1  # an exception, not an abort
    assert "DisplayError: cannot open a window" in done.stderr


def test_offscreen_needs_nothing() -> None:
    display.require_display()


def test_without_pyqt_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "find_spec", lambda name: None)
    with pytest.raises(DisplayError, match=r"pip install 'drive-seg\[ui\]'"):
        display.require_display()


@pytest.mark.parametrize(
    ("platform", "env", "probed"),
    [
        ("win32", {}, False),
        ("darwin", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"QT_QPA_PLATFORM": "offscreen"}, False),
        ("linux", {"QT_QPA_PLATFORM": "vnc:size=800x600"}, False),
        ("linux", {"QT_QPA_PLATFORM": "xcb"}, True),
    ],
)
def test_what_is_probed(platform: str, env: dict[str, str], probed: bool) -> None:
    assert display.refused(platform, env) is None
    assert display.needs_probe(platform, env) is probed


def test_only_opencvs_plugin_paths_are_dropped() -> None:
    env = {"QT_QPA_PLATFORM_PLUGIN_PATH": "/lib/site-packages/cv2/qt/plugins", "QT_QPA_FONTDIR": "/usr/share/fonts"}
    display.drop_foreign_plugins(env)
    assert env == {"QT_QPA_FONTDIR": "/usr/share/fonts"}


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            "qt.qpa.xcb: could not connect to display :9\nqt.qpa.plugin: From 6.5.0, xcb-cursor0 or … is needed",
            "could not connect to display :9",
        ),
        ("qt.qpa.plugin: From 6.5.0, xcb-cursor0 or libxcb-cursor0 is needed to load", "apt-get install libxcb-cursor0"),
        ('qt.qpa.plugin: Could not find the Qt platform plugin "foo" in ""', 'Could not find the Qt platform plugin "foo"'),
        ("", "fails to start"),
    ],
)
def test_the_reason_is_the_telling_line(stderr: str, reason: str) -> None:
    assert reason in display.probe_reason(stderr)
