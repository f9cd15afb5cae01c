"""The doctor finds what is here, says why the rest is not, and what to install."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from drive_seg import doctor
from drive_seg.doctor import Finding, examine, print_report


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


def test_x11_without_qts_cursor_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(doctor.ctypes, "CDLL", absent)
    found = doctor._display({"DISPLAY": ":0"}, "linux")
    assert not found.ok
    assert "libxcb-cursor0" in found.remedy


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

    monkeypatch.setattr(doctor.ctypes, "CDLL", absent)
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


@pytest.mark.parametrize(
    ("package", "check", "install"), [("av", "_video_files", "av"), ("cv2", "_opencv", "opencv"), ("PyQt6", "_window_package", "ui")]
)
def test_an_absent_package_is_a_finding(monkeypatch: pytest.MonkeyPatch, package: str, check: str, install: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    found = getattr(doctor, check)()
    assert not found.ok
    assert install in found.remedy


def test_report_keeps_brackets_and_shows_remedies() -> None:
    out = io.StringIO()
    findings = [Finding("workshop", False, "not installed: [torch]", "pip install 'drive-seg[lab]'"), Finding("Python", True, "3.11")]
    print_report(findings, Console(file=out, width=100))
    text = out.getvalue()
    assert "drive-seg[lab]" in text
    assert "[torch]" in text
    assert text.count("→") == 1
