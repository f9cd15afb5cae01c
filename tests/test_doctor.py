"""The doctor finds what is here, says why the rest is not, and what to install."""

import ctypes
import io
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from drive_seg import doctor
from drive_seg.backends.tensorrt.cuda import Gpu
from drive_seg.backends.tensorrt.flavour import TITLES
from drive_seg.backends.validation import BackendInfo
from drive_seg.doctor import Finding, examine, print_report
from drive_seg.errors import BackendError


def test_examine_reports_every_part_once_and_never_fails() -> None:
    findings = examine()
    whats = [finding.what for finding in findings]
    assert len(set(whats)) == len(whats)
    for part in (
        "Python",
        "CPU",
        "backend openvino",
        "backend onnxruntime",
        "backend torch",
        "NVIDIA",
        "PyQt6",
        "display",
        "cameras",
        "OpenCV",
    ):
        assert any(part in what for what in whats), part
    assert all(finding.detail for finding in findings)
    assert findings[0].ok


def test_an_absent_backend_has_its_reason_and_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = doctor._backend("torch")
    assert not found.ok
    assert "'torch'" in found.detail
    assert found.remedy == "pip install 'drive-seg[lab]'"
    assert not doctor._workshop().ok


def test_a_backend_that_breaks_in_its_own_way_is_still_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise AttributeError("module has no attribute 'Core'")

    monkeypatch.setattr(doctor, "describe_backend", broken)
    assert doctor._backend("openvino") == Finding("backend openvino", False, "module has no attribute 'Core'", "pip install openvino")


@pytest.mark.parametrize(
    ("environ", "system", "ok", "says"),
    [
        ({}, "linux", False, "neither"),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux", True, "Wayland"),
        ({}, "win32", True, "system"),
    ],
)
def test_display(environ: dict[str, str], system: str, ok: bool, says: str) -> None:
    found = doctor._display(environ, system)
    assert (found.ok, bool(found.remedy)) == (ok, not ok)
    assert says in found.detail


def test_x11_without_qts_libraries_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_packages_for_qt", lambda: "libxcb-cursor0 libxcb-shape0")
    found = doctor._display({"DISPLAY": ":0"}, "linux")
    assert not found.ok
    assert found.remedy == "apt install libxcb-cursor0 libxcb-shape0"


def test_what_qt_lacks_is_asked_of_the_window_itself() -> None:
    from drive_seg.ui.display import missing_packages

    assert doctor._packages_for_qt().split() == missing_packages()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="cameras are files on Linux alone")
def test_cameras(tmp_path: Path) -> None:
    assert not doctor._cameras(tmp_path).ok
    (tmp_path / "video0").touch()
    found = doctor._cameras(tmp_path)
    assert found.ok
    assert "video0" in found.detail


def test_no_nvidia_driver_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    for found in (doctor._nvidia(), doctor._backend("tensorrt")):
        assert not found.ok
        assert "no NVIDIA driver" in found.detail
        assert "install it" in found.remedy


@pytest.mark.parametrize(
    ("absent", "remedies"),
    [
        (("tensorrt", "tensorrt_rtx"), ["drive-seg[tensorrt]", "drive-seg[tensorrt-rtx]"]),
        (("cuda.bindings", "pycuda"), ["pip install cuda-bindings"]),
    ],
)
def test_a_missing_tensorrt_package_has_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, absent: tuple[str, ...], remedies: list[str]
) -> None:
    real = doctor._present
    monkeypatch.setattr(doctor, "_present", lambda package: package not in absent and real(package))
    found = doctor._tensorrt()
    assert not found.ok
    assert all(remedy in found.remedy for remedy in remedies)


def with_gpu(
    monkeypatch: pytest.MonkeyPatch, capability: str = "8.9", driver: str = "13.0", packages: tuple[str, ...] = (), bindings: str = "13.5.0"
) -> None:
    """A machine with a GPU and these packages."""

    class Flavour:
        def __init__(self, package: str) -> None:
            self.package, self.title, self.targets = package, f"{TITLES[package]} 10.13", ("8.6", "8.9", "12.0")

    for place in ("drive_seg.doctor", "drive_seg.backends.tensorrt.cuda"):
        monkeypatch.setattr(f"{place}.find_gpu", lambda: Gpu(0, "NVIDIA GPU", capability, driver))
    monkeypatch.setattr(doctor, "_present", lambda package: package in packages)
    monkeypatch.setattr(doctor, "find_flavour", lambda package: Flavour(package))
    monkeypatch.setattr(doctor, "_version", lambda package: bindings)
    monkeypatch.setattr(doctor, "describe_jetson", lambda: None)


ALL = ("tensorrt", "cuda.bindings", "onnx")


@pytest.mark.parametrize(
    ("machine", "ok", "detail", "remedy"),
    [
        ({"packages": ALL}, True, "TensorRT 10.13; cuda.bindings to drive", ""),
        ({"packages": ("cuda.bindings", "onnx")}, False, "no TensorRT", "pip install 'drive-seg[tensorrt]', or 'drive-seg[tensorrt-rtx]'"),
        ({"packages": ("tensorrt", "onnx")}, False, "neither cuda-bindings nor pycuda", "pip install 'cuda-bindings<14'"),
        ({"packages": ("tensorrt", "onnx"), "driver": "12.8"}, False, "neither", "pip install 'cuda-bindings<13'"),
        ({"packages": ("tensorrt", "cuda.bindings")}, False, "no onnx to build", "pip install onnx"),
        (
            {"packages": ALL, "driver": "12.8"},
            False,
            "13.5.0 is newer than the driver",
            "pip install 'cuda-bindings<13', or install a newer",
        ),
        ({"packages": ALL, "driver": "12.8", "bindings": "12.9.1"}, True, "cuda.bindings", ""),
        ({"packages": ("tensorrt", "pycuda", "onnx"), "driver": "12.8"}, True, "pycuda to drive", ""),
        ({"packages": ("tensorrt_rtx", "cuda.bindings", "onnx")}, True, "TensorRT for RTX", ""),
        (
            {"packages": ("tensorrt_rtx", "cuda.bindings", "onnx"), "capability": "9.0"},
            False,
            "not made for compute capability 9.0",
            "pip install 'drive-seg[tensorrt]'",
        ),
        ({"packages": ("tensorrt_rtx", *ALL), "capability": "9.0"}, True, "TensorRT 10.13, TensorRT for RTX", ""),
    ],
)
def test_a_person_with_a_gpu_is_told_what_is_missing_and_the_command(
    monkeypatch: pytest.MonkeyPatch, machine: dict[str, Any], ok: bool, detail: str, remedy: str
) -> None:
    with_gpu(monkeypatch, **machine)
    found = doctor._tensorrt()
    assert found.ok == ok
    assert detail in found.detail
    assert found.remedy.startswith(remedy)
    assert bool(found.remedy) == bool(remedy)


def test_a_jetson_gets_tensorrt_from_jetpack_and_its_clocks_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch, packages=("cuda.bindings",))
    monkeypatch.setattr(doctor, "describe_jetson", lambda: "Jetson: power mode 15W, GPU at 306 MHz, free between …: jetson_clocks is off")
    assert doctor._tensorrt().remedy == "sudo apt install nvidia-jetpack"
    (found,) = doctor._jetson()
    assert not found.ok
    assert "power mode 15W" in found.detail
    assert "jetson_clocks" in found.remedy
    monkeypatch.setattr(doctor, "describe_jetson", lambda: "Jetson: power mode MAXN, GPU at 1300 MHz, held there by jetson_clocks")
    assert doctor._jetson()[0].ok
    monkeypatch.setattr(doctor, "describe_jetson", lambda: None)
    assert doctor._jetson() == []


def test_other_backends_that_leave_the_gpu_alone_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = {"torch": ("cpu",), "onnxruntime": ("cpu", "cuda", "tensorrt")}
    with_gpu(monkeypatch)
    monkeypatch.setattr(doctor, "describe_backend", lambda name: BackendInfo(name, "1", devices[name], ("fp32",)))
    torch, onnxruntime = doctor._other_gpu_backends()
    assert (torch.ok, onnxruntime.ok) == (False, True)
    assert "download.pytorch.org/whl/cu130" in torch.remedy

    def absent(name: str) -> BackendInfo:
        raise BackendError(f"{name} is absent")

    monkeypatch.setattr(doctor, "describe_backend", absent)
    assert doctor._other_gpu_backends() == []

    def none() -> Gpu:
        raise BackendError("no NVIDIA driver; install it")

    for place in ("drive_seg.doctor", "drive_seg.backends.tensorrt.cuda"):
        monkeypatch.setattr(f"{place}.find_gpu", none)
    assert doctor._other_gpu_backends() == []


@pytest.mark.parametrize(
    ("package", "check", "install"), [("av", "_video_files", "av"), ("cv2", "_opencv", "opencv"), ("PyQt6", "_window_package", "ui")]
)
def test_an_absent_package_is_a_finding(monkeypatch: pytest.MonkeyPatch, package: str, check: str, install: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    found = getattr(doctor, check)()
    assert not found.ok
    assert install in found.remedy


def test_extras_are_those_of_the_package_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        "numpy>=1.26",
        'mcap>=1.2; extra == "mcap"',
        "new_one>=2; sys_platform != 'darwin' and extra == 'new'",
        'numpy>=1; extra == "old"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda name: [*said, 'mcap-ros2-support>=0.5; extra == "mcap"', 'PyQt6>=6.6; extra == "ui"'])
    real = metadata.version

    def version(name: str) -> str:
        if name in ("mcap-ros2-support", "new_one"):
            raise metadata.PackageNotFoundError(name)
        return "1.2" if name == "mcap" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    mcap, new, old = doctor._extras()  # the window's has a line of its own
    assert (mcap.what, mcap.ok, mcap.detail) == ("extra mcap", False, "not installed: mcap-ros2-support")
    assert (new.what, new.detail, new.remedy) == ("extra new", "not installed: new_one", "pip install 'drive-seg[new]'")
    assert (old.ok, old.detail, old.remedy) == (True, f"numpy {real('numpy')}", "")


def test_without_its_own_metadata_the_extras_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", absent)
    (found,) = doctor._extras()
    assert not found.ok
    assert found.remedy == "pip install -e ."


def test_report_keeps_brackets_and_shows_remedies() -> None:
    out = io.StringIO()
    findings = [Finding("workshop", False, "not installed: [torch]", "pip install 'drive-seg[lab]'"), Finding("Python", True, "3.11")]
    print_report(findings, Console(file=out, width=100))
    text = out.getvalue()
    assert "drive-seg[lab]" in text
    assert "[torch]" in text
    assert text.count("→") == 1
