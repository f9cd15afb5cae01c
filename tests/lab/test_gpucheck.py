"""`drive-seg gpu-check`: every attempt stands for itself, what could not be had is said, and labels that differ too much are a failure."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from drive_seg import cli
from drive_seg.backends.tensorrt.cuda import Gpu
from drive_seg.card import load_bundle
from drive_seg.errors import BackendError, DataError
from drive_seg.lab.build import gpucheck
from drive_seg.lab.build.gpucheck import Job, attempt, attempt_heads, check, make_table, read_pictures, require_good, run_apart

GPU = Gpu(0, "NVIDIA RTX 4000 Ada", "8.9", "13.0")
TIMES = {
    stage: {"p50": ms, "p95": ms, "p99": ms, "max": 9.5, "mean": ms}
    for stage, ms in (("total", 0.875), ("low", 0.25), ("high", 0.375), ("head", 0.125))
}


def measured(**same: float) -> dict[str, Any]:
    return {"device": "a GPU", "ran": "fp16", "ready_s": 1.0, "same_labels": same or None, "runs": 10, "latency_ms": TIMES, "clocks": {}}


def printed(report: dict[str, Any]) -> str:
    console = Console(width=80)
    with console.capture() as caught:
        console.print(make_table(report))
    return caught.get()


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], dict[str, Any]]:
    """A machine with a GPU, but for the GPU; what each attempt finds there can be set."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    good = measured(demo=0.999)
    monkeypatch.setattr(gpucheck, "find_gpu", lambda: GPU)
    monkeypatch.setattr(gpucheck, "_attempt_apart", lambda job, folder: found.get((job.runtime, job.precision), good))
    monkeypatch.setattr(gpucheck, "DEMO_FRAMES", 2)
    monkeypatch.setattr(gpucheck, "DRIVE_FRAMES", 3)
    return found


def test_a_machine_without_a_gpu_is_told_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> Gpu:
        raise BackendError("no NVIDIA driver: libcuda.so.1; install it")

    monkeypatch.setattr(gpucheck, "find_gpu", none)
    with pytest.raises(SystemExit) as ended:
        cli.main(["gpu-check", "--out", str(tmp_path)])
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert said.err.strip() == "drive-seg: nothing was measured: no NVIDIA driver: libcuda.so.1; install it"
    asked = sum(len(precisions) for _, precisions in gpucheck.RUNTIMES.values()) * len(cli.bundles.names())
    assert said.out.count("not measured (1)") == asked
    assert not list(tmp_path.iterdir())


def test_what_was_found_is_written_under_the_gpus_name_and_the_rest_with_its_reason(
    fake_gpu: dict[tuple[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    fake_gpu["tensorrt_rtx", "int8"] = {"not_measured": "it crashed (SIGSEGV)"}
    told: list[str] = []
    report = check([load_bundle("camvid")], None, tmp_path / "bench", "drive-seg gpu-check camvid", told.append)
    written = json.loads((tmp_path / "bench" / "nvidia-rtx-4000-ada.json").read_text())
    assert written == json.loads(json.dumps(report))
    assert (written["gpu"]["name"], written["gpu"]["cuda"]) == (GPU.name, "13.0")
    assert written["command"] == "drive-seg gpu-check camvid"
    assert written["reference"]["camvid"]["runtime"] == "onnxruntime on the CPU"
    assert written["pictures"] == {"demo": 2, "drive": 3}
    by_name = {(row["runtime"], row["precision"]): row for row in written["attempts"]}
    assert by_name["tensorrt_rtx", "int8"]["not_measured"] == "it crashed (SIGSEGV)"
    assert by_name["torch eager", "bf16"]["latency_ms"]["total"]["max"] == 9.5
    text = printed(report)
    assert text.count("0.875") == 3 * (len(by_name) - 1)  # p50, p95, p99
    assert text.count("not measured (1)") == 1
    assert "(1) it crashed (SIGSEGV)" in text
    assert "…" not in text
    require_good(report)
    assert any("tensorrt_rtx int8" in line for line in told)


@pytest.mark.parametrize(
    ("precision", "same", "good"),
    [("fp16", 0.9951, True), ("fp16", 0.9949, False), ("int8", 0.9851, True), ("int8", 0.9849, False), ("fp8", 0.9, True)],
)
def test_labels_may_differ_by_so_much(
    fake_gpu: dict[tuple[str, str], dict[str, Any]], tmp_path: Path, precision: str, same: float, good: bool
) -> None:
    fake_gpu["tensorrt", precision] = measured(demo=0.9999, clip=same)
    report = check([load_bundle("camvid")], None, tmp_path, "", lambda line: None)
    if good:
        require_good(report)
        assert " !" not in printed(report)
    else:
        assert printed(report).count("% !") == 1
        with pytest.raises(BackendError, match=rf"CPU: camvid tensorrt {precision} 9\d\.\d\d% of 9\d\.5%$"):
            require_good(report)


def test_labels_that_were_not_compared_are_no_success(fake_gpu: dict[tuple[str, str], dict[str, Any]], tmp_path: Path) -> None:
    fake_gpu.update({(name, "fp32"): {"not_measured": "no package"} for name in gpucheck.REFERENCES})
    fake_gpu["tensorrt", "fp16"] = measured()
    report = check([load_bundle("camvid")], None, tmp_path, "", lambda line: None)
    assert "torch on the CPU: no package" in report["reference"]["camvid"]["not_measured"]
    assert "not compared" in printed(report)
    with pytest.raises(BackendError, match=r"labels were not compared.*pip install onnxruntime"):
        require_good(report)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it crashed (SIGSEGV)"),
        ("import sys; print('CUDA went away', file=sys.stderr); sys.exit(3)", "it ended with 3: CUDA went away"),
        ("import time; time.sleep(60)", "it had not ended after 1 s"),
        ("pass", "it ended with 0"),
    ],
)
def test_however_an_attempt_ends_the_check_goes_on(tmp_path: Path, code: str, why: str) -> None:
    made = tmp_path / "made.json"
    made.write_text('{"left": "by the attempt before"}')
    assert run_apart([sys.executable, "-c", code], made, limit_s=1 if "sleep" in code else 60)["not_measured"] == why


def test_a_crash_in_a_propagations_head_does_not_take_the_rest_with_it(
    fake_gpu: dict[tuple[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    code = f"""
import os, signal, pathlib
pathlib.Path("{tmp_path}/made.json").write_text('{json.dumps(measured(demo=0.999))}')
os.kill(os.getpid(), signal.SIGSEGV)
"""
    fake_gpu["tensorrt", "fp16"] = run_apart([sys.executable, "-c", code], tmp_path / "made.json")
    fake_gpu["tensorrt", "int8"] = {**measured(demo=0.999), "heads": {"attend": {"not_measured": "no Softmax"}, "hold": {}}}
    report = check([load_bundle("camvid")], None, tmp_path, "", lambda line: None)
    require_good(report)
    text = printed(report)
    assert text.count("99.90%") == len(report["attempts"])
    assert "camvid tensorrt fp16, heads: not measured: it crashed (SIGSEGV)" in text
    assert "camvid tensorrt int8, attend: not measured: no Softmax" in text


def test_an_attempt_is_compared_with_the_reference_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(gpucheck, "DEMO_FRAMES", 2)
    monkeypatch.setattr(gpucheck, "DRIVE_FRAMES", 3)
    bundle = load_bundle("camvid")
    cv2.imwrite(str(tmp_path / "1.png"), np.full((90, 120, 3), 100, np.uint8))
    pictures = read_pictures(bundle, tmp_path)
    assert {name: images.shape for name, images in pictures.items()} == {
        "demo": (2, 360, 480, 3),
        "drive": (3, 360, 480, 3),
        "clip": (1, 360, 480, 3),
    }
    np.savez(tmp_path / "pictures.npz", **pictures)
    monkeypatch.setattr(gpucheck, "WARM_UP", 1)
    paths = {"bundle": "camvid", "pictures": str(tmp_path / "pictures.npz"), "labels": str(tmp_path / "labels.npz")}
    assert attempt(Job(**paths, runtime="onnxruntime on the CPU", precision="fp32", runs=0))["ran"] == "fp32"
    found = json.loads(json.dumps(attempt(Job(**paths, runtime="onnxruntime on the CPU", precision="int8", runs=3))))
    assert found["ran"] == "int8"
    assert 0.97 < found["same_labels"]["demo"] < 1
    assert found["latency_ms"]["total"]["max"] >= found["latency_ms"]["high"]["p50"] > 0
    assert set(found["same_labels"]) == {"demo", "clip"}


def test_the_heads_of_the_frames_between_key_frames_are_compared_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    for name, few in (("DEMO_FRAMES", 1), ("DRIVE_FRAMES", 3), ("HEAD_RUNS", 3), ("KEY_EVERY", 2)):
        monkeypatch.setattr(gpucheck, name, few)
    bundle = load_bundle("camvid")
    np.savez(tmp_path / "pictures.npz", **read_pictures(bundle, None))
    job = Job("camvid", "onnxruntime on the CPU", "fp32", str(tmp_path / "pictures.npz"), str(tmp_path / "labels.npz"), 0)
    attempt_heads(job)
    found = attempt_heads(replace(job, precision="int8", runs=1))
    assert set(found) == set(bundle.card.heads)
    for one in found.values():
        assert 0.95 < one["same_labels"] < 1
        assert one["head_p50_ms"] > 0


def test_an_attempts_process_says_why_it_could_not(tmp_path: Path) -> None:
    told, made = tmp_path / "job.json", tmp_path / "made.json"
    told.write_text(json.dumps(asdict(Job("nonsense", "torch eager", "fp16", "", "", 0))))
    found = run_apart([sys.executable, "-m", "drive_seg.lab.build.gpucheck", str(told), str(made)], made)
    assert found["not_measured"].startswith("nonsense: no such model")


def test_what_it_needs_is_little() -> None:
    """No window, no video decoder, no OpenVINO: a GPU server has none of them."""
    hidden = ("av", "PyQt6", "openvino", "matplotlib", "jinja2", "kornia", "safetensors")
    code = f"import sys; sys.modules.update(dict.fromkeys({hidden!r})); import drive_seg.cli, drive_seg.lab.build.gpucheck"
    found = run_apart([sys.executable, "-c", code], Path("absent.json"))
    assert found["not_measured"] == "it ended with 0"


def test_a_clip_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no picture"):
        read_pictures(load_bundle("camvid"), tmp_path)
