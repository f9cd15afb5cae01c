import subprocess
import sys
from pathlib import Path

import pytest

from drive_seg.errors import DisplayError
from drive_seg.ui import display
from tests.waiting import PATIENCE_S

# by the packages that are named: Debian 12's and Ubuntu 24.04's libxcb-cursor0, libgl1 and libxkbcommon-x11-0 depend on them
DRAWN_IN = {
    "libx11-6", "libx11-xcb1", "libxkbcommon0", "libxcb-image0", "libxcb-randr0", "libxcb-render-util0", "libxcb-render0", "libxcb-shm0",
    "libxcb-sync1", "libxcb-util1", "libxcb-xfixes0",
}  # fmt: skip
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


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libGL.so.1", "libgl1"), ("libdbus-1.so.3", "libdbus-1-3"), ("libglib-2.0.so.0", "libglib2.0-0"), ("libX11.so.6", "libx11-6"),
        ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"), ("libxcb-icccm.so.4", "libxcb-icccm4"),
    ],
)  # fmt: skip
def test_a_library_by_its_packages_name(library: str, package: str) -> None:
    assert display.package(library) == package


@pytest.mark.skipif(sys.platform != "linux", reason="packages of Debian")
def test_every_library_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"libGL.so.1", "libfontconfig.so.1", "libxcb-shape.so.0"}

    def load(name: str) -> None:
        if name in absent:
            raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(display.ctypes, "CDLL", load)
    assert display.missing_packages() == ["libgl1", "libfontconfig1", "libxcb-shape0"]
    assert "apt-get install libgl1 libfontconfig1 libxcb-shape0 (or" in display.install_line()
    absent.clear()
    assert display.missing_packages() == []


def test_readme_names_all_that_a_slim_system_lacks() -> None:
    told = (Path(__file__).parents[2] / "README.md").read_text()
    (line,) = (line for line in told.split("`") if line.startswith("apt-get install"))
    named, needed = set(line.split()[2:]), {display.package(name) for name in (*display.LIBRARIES, *display.X11_LIBRARIES)}
    assert named <= needed
    assert needed - named == DRAWN_IN


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
        ("qt.qpa.plugin: From 6.5.0, xcb-cursor0 or libxcb-cursor0 is needed to load", "Qt cannot load its xcb plugin; "),
        ('qt.qpa.plugin: Could not find the Qt platform plugin "foo" in ""', 'Could not find the Qt platform plugin "foo"'),
        ("", "fails to start"),
    ],
)
def test_the_reason_is_the_telling_line(stderr: str, reason: str) -> None:
    assert reason in display.probe_reason(stderr)
