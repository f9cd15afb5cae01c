"""Finds out whether a window can be opened before Qt is asked: Qt aborts the whole process when it cannot."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping, MutableMapping
from functools import cache
from importlib.util import find_spec

from drive_seg.errors import DisplayError

NEEDS_NO_SCREEN = ("offscreen", "minimal", "minimalegl", "vnc")  # Qt platforms
REMEDY = "run with --headless, or start it from a desktop session"
# What PyQt6's wheels load from the system, by objdump -p of Qt6Core, Gui, Widgets, DBus, and of the X11 platform plugin
LIBRARIES = (
    "libGL.so.1", "libEGL.so.1", "libfontconfig.so.1", "libdbus-1.so.3", "libglib-2.0.so.0", "libxkbcommon.so.0", "libX11.so.6",
)  # fmt: skip
X11_LIBRARIES = (
    "libX11-xcb.so.1", "libxkbcommon-x11.so.0", "libxcb-cursor.so.0", "libxcb-icccm.so.4", "libxcb-image.so.0", "libxcb-keysyms.so.1",
    "libxcb-randr.so.0", "libxcb-render-util.so.0", "libxcb-render.so.0", "libxcb-shape.so.0", "libxcb-shm.so.0", "libxcb-sync.so.1",
    "libxcb-util.so.1", "libxcb-xfixes.so.0", "libxcb-xkb.so.1",
)  # fmt: skip
PROBE = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # an abort is an answer here, not a crash to be kept
from PyQt6.QtGui import QGuiApplication
QGuiApplication([])
"""
PROBE_LIMIT_S = 60.0  # usually 0.2, and much more where every core is busy; only a display that hangs takes it all


def require_display() -> None:
    """Returns if a QApplication can be made in this process. Raises DisplayError, whose line says why not and what to do."""
    if why := refusal():
        raise DisplayError(f"cannot open a window: {why}; {REMEDY}")


def refusal() -> str | None:
    """Why no QApplication can be made in this process, with what to install if that is it; None where one can."""
    for package in ("PyQt6", "pyqtgraph"):
        if find_spec(package) is None:
            return f"{package} is not installed; pip install 'drive-seg[ui]'"
    drop_foreign_plugins(os.environ)
    if why := refused(sys.platform, os.environ):
        return why
    try:
        import PyQt6.QtWidgets  # noqa: F401
    except ImportError as error:
        return f"{error}; {install_line()}"
    return probe() if needs_probe(sys.platform, os.environ) else None


def missing_packages() -> list[str]:
    """Debian's and Ubuntu's names for the system libraries that Qt needs and that cannot be loaded here; empty elsewhere than on Linux."""
    return [package(name) for name in (*LIBRARIES, *X11_LIBRARIES) if not _loads(name)] if sys.platform == "linux" else []


def install_line() -> str:
    missing = " ".join(missing_packages())
    return f"apt-get install {missing} (or your system's names for them)" if missing else "install that system library"


def package(library: str) -> str:
    """As Debian's policy makes it of a library's name: libxcb-cursor0 of libxcb-cursor.so.0, libx11-6 of libX11.so.6."""
    stem, _, major = library.lower().replace("libglib-2.0", "libglib2.0").partition(".so.")
    return f"{stem}-{major}" if stem[-1].isdigit() else f"{stem}{major}"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def drop_foreign_plugins(env: MutableMapping[str, str]) -> None:
    """opencv-python points Qt at its own Qt 5 plugins when it is imported, and PyQt6 then cannot start."""
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR", "QT_PLUGIN_PATH"):
        if "cv2" in env.get(name, "").replace("\\", "/").split("/"):
            del env[name]


def refused(platform: str, env: Mapping[str, str]) -> str | None:
    """Why the environment alone rules a window out, or None. `platform` as in sys.platform."""
    if platform in ("win32", "darwin") or env.get("QT_QPA_PLATFORM"):
        return None
    if env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"):
        return None
    return "neither DISPLAY nor WAYLAND_DISPLAY is set"


def needs_probe(platform: str, env: Mapping[str, str]) -> bool:
    """False where Qt's start cannot fail for want of a screen."""
    return platform not in ("win32", "darwin") and env.get("QT_QPA_PLATFORM", "").split(":")[0] not in NEEDS_NO_SCREEN


@cache
def probe() -> str | None:
    """Starts Qt in a process of its own, once, and says why that failed, or None: knows dead displays and absent xcb libraries alike."""
    if getattr(sys, "frozen", False):  # the executable is the packaged program itself, which would start again
        return None
    try:
        done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"the display does not answer within {PROBE_LIMIT_S:.0f} s"
    return None if done.returncode == 0 else probe_reason(done.stderr)


def probe_reason(stderr: str) -> str:
    """What Qt's paragraph comes down to. It blames libxcb-cursor0 for every absent library, and for a dead display too."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    for line in lines:
        if "could not connect to display" in line or "Failed to create wl_display" in line:
            return line.split(": ", 1)[-1].rstrip(".")
    if any("xcb-cursor0" in line for line in lines):
        return f"Qt cannot load its xcb plugin; {install_line()}"
    return lines[0].removeprefix("qt.qpa.plugin: ").rstrip(".") if lines else "Qt's platform plugin fails to start"


if __name__ == "__main__":  # for scripts: says why no window can be opened and exits with 1, or with 0 where one can
    # with --packages: which packages Qt lacks here
    if why := " ".join(missing_packages()) if sys.argv[1:] == ["--packages"] else refusal():
        print(why)
        sys.exit(1)
