"""What an NVIDIA Jetson is set to: its power mode and its GPU's clock, without which no figure of it means anything."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

GPU_CLOCKS = ("*.gpu", "*.gv11b", "*.gp10b", "*.gm20b", "gpu-gpc-*")  # of /sys/class/devfreq: Orin, Xavier, TX2, Nano, Thor


def ask_nvpmodel() -> str:
    """What `nvpmodel -q` prints; "" where there is none or it fails."""
    if not (command := shutil.which("nvpmodel")):
        return ""
    try:
        return subprocess.run([command, "-q"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def describe_jetson(root: Path = Path("/"), ask: Callable[[], str] = ask_nvpmodel) -> str | None:
    """One line: the board, its power mode, its GPU's clock and whether `jetson_clocks` holds it; None on any other machine.

    `root` is where /proc, /sys and /etc are.
    """
    board = _read(root / "proc/device-tree/model")
    if "jetson" not in board.lower() and not (root / "etc/nv_tegra_release").exists():
        return None
    return f"{board or 'Jetson'}: {_mode(root, ask())}, {_clock(root)}"


def _mode(root: Path, said: str) -> str:
    if found := re.search(r"NV Power Mode:\s*(\S+)", said):
        return f"power mode {found[1]}"
    conf = _read(root / "etc/nvpmodel.conf")
    names = dict(re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", conf))
    default = re.search(r"<\s*PM_CONFIG\s+DEFAULT=(\d+)\s*>", conf)
    if default and default[1] in names:
        return f"power mode not known (nvpmodel -q does not answer; it starts in {names[default[1]]})"
    return "power mode not known (nvpmodel -q does not answer)"


def _clock(root: Path) -> str:
    for pattern in GPU_CLOCKS:
        for folder in sorted((root / "sys/class/devfreq").glob(pattern)):
            now, low, high = (_read(folder / f"{name}_freq") for name in ("cur", "min", "max"))
            if now.isdecimal() and low.isdecimal() and high.isdecimal():
                held = (
                    "held there by jetson_clocks" if low == high else f"free between {_mhz(low)} and {_mhz(high)} MHz: jetson_clocks is off"
                )
                return f"GPU at {_mhz(now)} MHz, {held}"
    return "GPU clock not known"


def _mhz(hertz: str) -> int:
    return round(int(hertz) / 1e6)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return ""
