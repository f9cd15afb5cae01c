"""Finds out what this machine can run, and for each thing that it cannot, why and what to install."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drive_seg.backends import BACKENDS, describe_backend
from drive_seg.backends.jetson import describe_jetson
from drive_seg.backends.tensorrt.cuda import Gpu, find_gpu, gpu_here
from drive_seg.backends.tensorrt.flavour import INSTALL, TITLES, find_flavour
from drive_seg.backends.validation import cpu_name, one_line
from drive_seg.errors import BackendError, DriveSegError
from drive_seg.network.card import load_bundle, names

INSTRUCTIONS = {  # what people call it: the kernel's flags, any of which is enough
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx512_vnni", "avx_vnni"},
    "BF16": {"avx512_bf16", "amx_bf16"},
    "AMX": {"amx_tile"},
}
TOLD = {"ui", "tensorrt", "tensorrt-rtx", "pycuda", "onnxruntime", "lab", "dev"}  # extras that have another line, or are no user's
_EXTRA = re.compile(r"""([\w.-]+).*\bextra\s*==\s*["']([^"']+)""")  # of a line of the package's metadata: what it needs, and for which
WORKSHOP = ("torch", "onnx", "onnxruntime", "safetensors", "matplotlib")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str  # what is there, or why it is not
    remedy: str = ""  # what to do; empty when nothing needs doing


def examine() -> list[Finding]:
    """Looks at everything once, in the order in which a person reads it. Takes a few seconds; raises nothing for what is absent."""
    return [
        _python(),
        _cpu(),
        *(_backend(name) for name in BACKENDS),
        *(_bundle(name) for name in names()),
        _nvidia(),
        *_jetson(),
        _tensorrt(),
        *_other_gpu_backends(),
        _workshop(),
        *_extras(),
        _window_package(),
        _display(os.environ, sys.platform),
        _video_files(),
        _opencv(),
        _cameras(Path("/dev")),
    ]


def print_report(findings: list[Finding], console: Console) -> None:
    """Writes the findings as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        found = Text(finding.detail)  # Text, not markup: "drive-seg[lab]" is not a style
        if finding.remedy:
            found.append(f"\n→ {finding.remedy}", style="bold")
        mark = Text("ok", style="green") if finding.ok else Text("no", style="yellow")
        table.add_row(mark, Text(finding.what), found)
    console.print(table)


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding("Python", ok, f"{platform.python_version()} on {platform.platform()}", "" if ok else "install Python 3.11 or newer")


def _cpu() -> Finding:
    cores, threads = psutil.cpu_count(logical=False), psutil.cpu_count()
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads
    memory_gib = psutil.virtual_memory().total / 2**30
    detail = f"{cpu_name()}, {cores} cores, {threads} threads ({allowed} for this process), {memory_gib:.0f} GiB; {_instructions()}"
    return Finding("CPU", True, detail)


def _instructions() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "instruction sets are not known on this system"
    flags = {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}
    has = [name for name, any_of in INSTRUCTIONS.items() if any_of & flags]
    lacks = [name for name in INSTRUCTIONS if name not in has]
    return f"has {', '.join(has) or 'none of them'}" + (f", lacks {', '.join(lacks)}" if lacks else "")


def _backend(name: str) -> Finding:
    try:
        info = describe_backend(name)
    except BackendError as error:
        return _absent(f"backend {name}", error)
    except Exception as error:  # a broken installation may raise anything, and the report must still come out
        return Finding(f"backend {name}", False, one_line(error), BACKENDS[name].install)
    detail = f"{info.version}, on {', '.join(info.devices)}; {info.devices[0]} runs {', '.join(info.precisions)}"
    return Finding(f"backend {name}", True, detail)


def _absent(what: str, error: BackendError) -> Finding:
    """From an error whose last half sentence is what to do."""
    reason, _, remedy = str(error).rpartition("; ")
    return Finding(what, False, reason, remedy)


def _nvidia() -> Finding:
    try:
        gpu = find_gpu()
    except BackendError as error:
        return _absent("NVIDIA GPU", error)
    return Finding("NVIDIA GPU", True, f"{gpu.name}, compute capability {gpu.compute_capability}, driver for CUDA {gpu.driver}")


def _jetson() -> list[Finding]:
    """On a Jetson alone: without its power mode no figure of it means anything."""
    said = describe_jetson()
    if said is None:
        return []
    free = "jetson_clocks is off" in said
    return [Finding("Jetson", not free, said, "sudo nvpmodel -m 0 && sudo jetson_clocks, before anything is measured" if free else "")]


def _tensorrt() -> Finding:
    """The packages, whether or not there is a GPU to use them; with one, whether they are made for it."""
    what, gpu = "TensorRT packages", gpu_here()
    try:
        flavours = {package: find_flavour(package=package) for package in TITLES if _present(package)}
    except BackendError as error:
        return _absent(what, error)
    drives = [package for package in ("cuda.bindings", "pycuda") if _present(package)]
    detail = f"{', '.join(flavour.title for flavour in flavours.values()) or 'no TensorRT'}; "
    detail += f"{', '.join(drives) or 'neither cuda-bindings nor pycuda'} to drive CUDA with"
    remedies = []
    if not flavours:
        remedies.append("sudo apt install nvidia-jetpack" if describe_jetson() else INSTALL)
    elif gpu and list(flavours) == ["tensorrt_rtx"] and gpu.compute_capability not in flavours["tensorrt_rtx"].targets:
        detail += f"; TensorRT for RTX is not made for compute capability {gpu.compute_capability}"
        remedies.append("pip install 'drive-seg[tensorrt]'")
    if not drives:
        remedies.append(f"pip install '{_bindings(gpu)}'" if gpu else "pip install cuda-bindings")
    elif gpu and drives[0] == "cuda.bindings" and _major(_version("cuda-bindings")) > _major(gpu.driver):
        detail += f"; cuda-bindings {_version('cuda-bindings')} is newer than the driver, which is for CUDA {gpu.driver}"
        remedies.append(f"pip install '{_bindings(gpu)}', or install a newer driver")
    if flavours and not _present("onnx"):
        detail += "; no onnx to build engines with"
        remedies.append("pip install onnx")
    return Finding(what, not remedies, detail, "; ".join(remedies))


def _bindings(gpu: Gpu) -> str:
    """Those for the driver's CUDA, no newer."""
    return f"cuda-bindings<{_major(gpu.driver) + 1}"


def _major(version: str) -> int:
    first = version.partition(".")[0]
    return int(first) if first.isdecimal() else 0


def _other_gpu_backends() -> list[Finding]:
    """With a GPU: whether what else is installed uses it. A CPU's wheel does not say that there is another."""
    if not gpu_here():
        return []
    remedies = {
        "torch": "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130 (cu126 for a driver for CUDA 12)",
        "onnxruntime": "pip uninstall onnxruntime; pip install onnxruntime-gpu",
    }
    findings = []
    for name, remedy in remedies.items():
        try:
            devices = describe_backend(name).devices
        except BackendError:
            continue  # is not installed, which has a line of its own
        uses = any(device.startswith("cuda") for device in devices)
        detail = f"{name} runs on {', '.join(devices)}" + ("" if uses else ", not on the GPU")
        findings.append(Finding(f"{name} on the GPU", uses, detail, "" if uses else remedy))
    return findings


def _workshop() -> Finding:
    absent = [package for package in WORKSHOP if not _present(package)]
    if absent:
        return Finding("workshop (training, export)", False, f"not installed: {', '.join(absent)}", "pip install 'drive-seg[lab]'")
    return Finding("workshop (training, export)", True, ", ".join(f"{package} {_version(package)}" for package in WORKSHOP[:2]))


def _extras() -> list[Finding]:
    """What can be installed beside the program, as its own metadata tell."""
    try:
        lines = metadata.requires("drive-seg") or []
    except metadata.PackageNotFoundError:
        return [Finding("extras", False, "drive-seg itself is not installed, so that nothing tells what they are", "pip install -e .")]
    needed: dict[str, list[str]] = {}
    for package, extra in (match.groups() for line in lines if (match := _EXTRA.match(line))):
        needed.setdefault(extra, []).append(package)
    return [_extra(name, packages) for name, packages in needed.items() if name not in TOLD]


def _extra(name: str, packages: list[str]) -> Finding:
    absent = [package for package in packages if not _installed(package)]
    if absent:
        return Finding(f"extra {name}", False, f"not installed: {', '.join(absent)}", f"pip install 'drive-seg[{name}]'")
    return Finding(f"extra {name}", True, ", ".join(f"{package} {_version(package)}" for package in packages))


def _window_package() -> Finding:
    what = "window (PyQt6)"
    if not _present("PyQt6"):
        return Finding(what, False, "PyQt6 is not installed; everything but the window runs", "pip install 'drive-seg[ui]'")
    # in a process of its own: a Qt that lacks a system library may end it, and Qt belongs to the window alone
    code = [sys.executable, "-c", "import PyQt6.QtWidgets"]
    try:
        tried = subprocess.run(code, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return Finding(what, False, f"PyQt6 {_version('PyQt6')} does not start", "pip install --force-reinstall PyQt6")
    if tried.returncode:
        reason = (tried.stderr.strip() or f"it ended with {tried.returncode}").splitlines()[-1]
        return Finding(what, False, f"PyQt6 {_version('PyQt6')}: {reason}", f"apt install {_packages_for_qt() or 'what it names'}")
    return Finding(what, True, f"PyQt6 {_version('PyQt6')}")


def _packages_for_qt() -> str:
    """What of the system Qt lacks here; asked in a process of its own, as Qt belongs to the window alone."""
    code = [sys.executable, "-m", "drive_seg.ui.display", "--packages"]
    return subprocess.run(code, capture_output=True, text=True, check=False).stdout.strip()


def _display(environ: Mapping[str, str], system: str) -> Finding:
    if system in ("win32", "darwin"):
        return Finding("display", True, "the system's own")
    if environ.get("WAYLAND_DISPLAY"):
        return Finding("display", True, f"Wayland, {environ['WAYLAND_DISPLAY']}")
    if environ.get("DISPLAY"):
        if missing := _packages_for_qt():
            return Finding("display", False, f"X11, {environ['DISPLAY']}, but Qt lacks libraries for it", f"apt install {missing}")
        return Finding("display", True, f"X11, {environ['DISPLAY']}")
    detail = "neither WAYLAND_DISPLAY nor DISPLAY is set: no window can be opened, recordings and reports can be made"
    return Finding("display", False, detail, "log in to a desktop, or use ssh -X")


def _video_files() -> Finding:
    try:
        av = import_module("av")
    except ImportError as error:
        return Finding("video files (PyAV)", False, one_line(error), "pip install av")
    encodes = "libx264" in av.codecs_available
    detail = f"PyAV {av.__version__}, {'with' if encodes else 'without'} libx264"
    return Finding("video files (PyAV)", encodes, detail, "" if encodes else "pip install --force-reinstall av: its wheels bring libx264")


def _opencv() -> Finding:
    try:
        cv2 = import_module("cv2")
    except ImportError as error:
        return Finding("OpenCV", False, one_line(error), "pip install opencv-python-headless")
    built = {
        key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in cv2.getBuildInformation().splitlines())
    }
    has = {name: built.get(key, "NO").startswith("YES") for name, key in (("FFmpeg", "ffmpeg"), ("V4L", "v4l/v4l2"))}
    detail = f"{cv2.__version__}, " + ", ".join(f"{'with' if there else 'without'} {name}" for name, there in has.items())
    cameras = has["V4L"] or not sys.platform.startswith("linux")  # elsewhere cameras come another way
    return Finding("OpenCV", cameras, detail, "" if cameras else "pip install opencv-python-headless: its wheels read cameras")


def _bundle(name: str) -> Finding:
    try:
        bundle = load_bundle(name)
    except DriveSegError as error:
        return Finding(f"bundle {name}", False, str(error), "restore it, or export it again with `drive-seg export`")
    card, note = bundle.card, f"; {bundle.note}" if bundle.note else f", in {bundle.folder}"
    return Finding(f"bundle {name}", True, f"{len(card.classes)} classes, {card.parameters / 1e6:.1f} M parameters, every file whole{note}")


def _cameras(folder: Path) -> Finding:
    if not sys.platform.startswith("linux"):
        return Finding("cameras", True, "not counted on this system; try camera 0")
    found = sorted(folder.glob("video*"))
    if not found:
        return Finding("cameras", False, f"no {folder}/video*", "plug in a camera; in a container pass it on with --device /dev/video0")
    closed = [str(path) for path in found if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        return Finding("cameras", False, f"no permission for {', '.join(closed)}", "sudo usermod -aG video $USER, then log in again")
    return Finding("cameras", True, ", ".join(map(str, found)))


def _present(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ValueError, ModuleNotFoundError):  # sys.modules holds None for it; the package around it is absent
        return False


def _installed(distribution: str) -> bool:
    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(version unknown)"
