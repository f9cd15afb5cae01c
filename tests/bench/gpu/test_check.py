"""`drive-seg gpu-check`: every attempt stands for itself, what could not be had is said, and labels that differ too much are a failure."""

import json
import re
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from drive_seg import cli
from drive_seg.backends.tensorrt.cuda import Gpu
from drive_seg.bench.gpu import attempt as gpuattempt
from drive_seg.bench.gpu import check as gpucheck
from drive_seg.bench.gpu.attempt import Job, attempt, attempt_batches, attempt_heads, attempt_load, parts_of
from drive_seg.bench.gpu.check import check, goal, launching_ms, read_pictures, run_apart
from drive_seg.bench.gpu.table import make_tables, require_good
from drive_seg.errors import BackendError, DataError
from drive_seg.network.card import load_bundle, names

GPU = Gpu(0, "NVIDIA RTX 4000 Ada", "8.9", "13.0")
TIMES = {
    stage: {"p50": ms, "p95": ms, "p99": ms, "max": 9.5, "mean": ms}
    for stage, ms in (("total", 0.875), ("low", 0.25), ("high", 0.375), ("head", 0.125))
}


def measured(**same: float) -> dict[str, Any]:
    return {"device": "a GPU", "ran": "fp16", "ready_s": 1.0, "same_labels": same or None, "runs": 10, "latency_ms": TIMES, "clocks": {}}


LAUNCHES = {"graph_and_wait": 10.0, "kernel_in_graph": 2.0, "kernel_and_wait": 9.0, "kernel_after_kernel": 3.0, "upload_and_wait": 25.0}
LOAD = {"stages": 3, "border_bytes": 4_000_000, "by": "torch's profiler (CUPTI)", "kernels": 63.0, "copies": 9.0, "busy_ms": 0.4}
BATCHES = {
    "1": {"p50": 0.8, "p99": 0.9, "frames_per_s": 1250.0, "same_labels": 1.0},
    "2": {"not_measured": "the GPU's memory is full"},
}


def printed(report: dict[str, Any]) -> str:
    console = Console(width=80)
    with console.capture() as caught:
        for table in make_tables(report):
            console.print(table)
    return caught.get()


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], dict[str, Any]]:
    """A machine with a GPU, but for the GPU; what each attempt finds there can be set."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    good = measured(demo=0.999)
    monkeypatch.setattr(gpucheck, "find_gpu", lambda: GPU)
    monkeypatch.setattr(gpucheck, "_launches", lambda folder, frame_bytes: LAUNCHES)
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
    assert not ended.value.code  # it is not the machine's fault
    said = capsys.readouterr()
    assert said.err.strip() == "nothing was measured: no NVIDIA driver: libcuda.so.1; install it"
    asked = sum(len(precisions) for _, precisions in gpucheck.RUNTIMES.values()) * len(names())
    assert said.out.count("not measured (1)") == asked
    assert "launches are not measured; nor are kernels" in said.out
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
    fake_gpu["tensorrt", "fp16"] = run_apart([sys.executable, "-c", code], tmp_path / "made.json", ("load", "heads"))
    fake_gpu["tensorrt", "int8"] = {**measured(demo=0.999), "heads": {"attend": {"not_measured": "no Softmax"}, "hold": {}}}
    report = check([load_bundle("camvid")], None, tmp_path, "", lambda line: None)
    require_good(report)
    text = printed(report)
    assert text.count("99.90%") == len(report["attempts"])
    assert "camvid tensorrt fp16, heads: not measured: it crashed (SIGSEGV)" in text
    assert "kernels: not measured: it crashed (SIGSEGV)" in text
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
    monkeypatch.setattr(gpuattempt, "WARM_UP", 1)
    paths = {"bundle": "camvid", "pictures": str(tmp_path / "pictures.npz"), "labels": str(tmp_path / "labels.npz")}
    assert attempt(Job(**paths, runtime="onnxruntime on the CPU", precision="fp32", runs=0))["ran"] == "fp32"
    found = json.loads(json.dumps(attempt(Job(**paths, runtime="onnxruntime on the CPU", precision="int8", runs=3))))
    assert found["ran"] == "int8"
    assert 0.97 < found["same_labels"]["demo"] < 1
    assert found["latency_ms"]["total"]["max"] >= found["latency_ms"]["high"]["p50"] > 0
    assert set(found["same_labels"]) == {"demo", "clip"}


def test_the_heads_of_the_frames_between_key_frames_are_compared_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    for module, name, few in (
        (gpucheck, "DEMO_FRAMES", 1),
        (gpucheck, "DRIVE_FRAMES", 3),
        (gpuattempt, "HEAD_RUNS", 3),
        (gpuattempt, "KEY_EVERY", 2),
    ):
        monkeypatch.setattr(module, name, few)
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
    found = run_apart([sys.executable, "-m", "drive_seg.bench.gpu.attempt", str(told), str(made)], made)
    assert found["not_measured"].startswith("nonsense: no such model")


def test_what_it_needs_is_little() -> None:
    """No window, no video decoder, no OpenVINO: a GPU server has none of them."""
    hidden = ("av", "PyQt6", "openvino", "matplotlib", "jinja2", "kornia", "safetensors")
    needed = "drive_seg.cli, drive_seg.bench.gpu.check, drive_seg.bench.gpu.launch"
    code = f"import sys; sys.modules.update(dict.fromkeys({hidden!r})); import {needed}"
    found = run_apart([sys.executable, "-c", code], Path("absent.json"))
    assert found["not_measured"] == "it ended with 0"


def test_the_wheels_for_a_machine_without_a_network_are_all_that_it_lacks() -> None:
    """It has torch's and onnx's own needs, and OpenCV; no video, no OpenVINO, no window."""
    root = Path(__file__).parents[3]
    (listed,) = re.findall(r"^GPU_PACKAGES \?= (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    needed = [re.split("[<>=]", one)[0] for one in tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]]
    assert set(needed) - {"numpy", "opencv-python-headless", "openvino", "av"} == set(listed.split())


def test_a_clip_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no picture"):
        read_pictures(load_bundle("camvid"), tmp_path)


def test_the_goal_is_from_the_uploaded_frame_and_judged_by_the_slowest_of_a_hundred() -> None:
    assert goal(1.02, LAUNCHES) == {"limit_ms": 1.0, "p99_ms": 1.02, "upload_ms": 0.025, "from_upload_ms": 0.995, "met": True}
    assert not goal(1.03, LAUNCHES)["met"]
    assert not goal(1.02, {"not_measured": "no cuda-bindings"})["met"]  # nothing is taken off that was not measured


def test_launching_is_a_graph_a_stage_and_the_other_kernels_inside() -> None:
    assert launching_ms(LOAD, LAUNCHES) == pytest.approx((3 * 10 + 60 * 2) / 1e3)
    assert launching_ms({"layers": 40, "stages": 3}, LAUNCHES) is None
    assert launching_ms(LOAD, {"not_measured": "no cuda-bindings"}) is None


def test_what_a_frame_is_made_of_is_told_and_every_gap_has_its_reason(
    fake_gpu: dict[tuple[str, str], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gpu["tensorrt", "fp16"] = {**measured(demo=0.999), "load": LOAD, "batches": BATCHES}
    fake_gpu["tensorrt", "int8"] = {**measured(demo=0.999), "ran": "int8", "load": {**LOAD, "not_measured": "no CUPTI"}}
    fake_gpu["tensorrt", "fp8"] = {**measured(demo=0.999), "ran": "fp8", "load": {"stages": 3, "border_bytes": 1, "layers": 57}}
    monkeypatch.setattr(gpucheck, "find_gpu", lambda: replace(GPU, name="NVIDIA H200"))
    report = check([load_bundle("camvid")], None, tmp_path, "", lambda line: None)
    row = report["attempts"][0]
    card = load_bundle("camvid").card
    flop = sum(stage.gflop for stage in card.stages.values()) * 1e9
    assert row["limits"]["arithmetic"] == pytest.approx(flop / 0.875e-3 / 989.5e12)
    assert row["limits"]["memory"] == pytest.approx((2 * card.parameters + 4e6) / 0.875e-3 / 4.8e12)
    assert row["goal"]["met"]
    text = printed(report)
    assert "within 1 ms: tensorrt fp16 (camvid), " in " ".join(text.split())
    (line,) = (line for line in text.splitlines() if "63" in line and "fp16" in line)
    assert line.split() == ["tensorrt", "fp16", "63", "0.150", "0.3%", "0.7%", "1250", "–"]
    assert "kernels: not measured: no CUPTI" in text
    assert "tensorrt fp16, batches of 2: not measured: the GPU's memory is full" in text
    assert "57 l." in text
    assert max(map(len, text.splitlines())) <= 80


def test_an_unknown_gpu_has_no_peaks_and_says_so(fake_gpu: dict[tuple[str, str], dict[str, Any]], tmp_path: Path) -> None:
    fake_gpu["tensorrt", "fp16"] = {**measured(demo=0.999), "load": LOAD}
    report = check([load_bundle("camvid")], None, tmp_path, "", lambda line: None)
    assert report["attempts"][0]["limits"]["peaks"] == "not known"
    assert f"the peaks of {GPU.name}" in " ".join(printed(report).split())


def test_frames_in_batches_give_the_labels_of_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    for module, name, few in (
        (gpucheck, "DEMO_FRAMES", 2), (gpucheck, "DRIVE_FRAMES", 1), (gpuattempt, "BATCHES", (1, 3)), (gpuattempt, "BATCH_RUNS", 2),
        (gpuattempt, "BATCH_WARM_UP", 1),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, few)
    np.savez(tmp_path / "pictures.npz", **read_pictures(load_bundle("camvid"), None))
    job = Job("camvid", "onnxruntime on the CPU", "int8", str(tmp_path / "pictures.npz"), "", 3)
    found = attempt_batches(job)
    assert {size: one["same_labels"] for size, one in found.items()} == {"1": 1.0, "3": 1.0}
    assert found["3"]["frames_per_s"] == pytest.approx(3 / found["3"]["p50"] * 1e3, rel=1e-2, abs=0.051)  # to a tenth
    load = attempt_load(job)
    assert load["border_bytes"] > 360 * 480 * 3
    assert load["stages"] == 3
    assert "torch" in load["not_measured"]  # there is no GPU for its profiler to watch


def test_batches_are_timed_in_one_precision_of_each_runtime() -> None:
    job = Job("", "tensorrt", "fp16", "", "", 10)
    assert list(parts_of(job)) == ["load", "heads", "batches"]
    assert list(parts_of(replace(job, precision="int8"))) == ["load", "heads"]
    assert list(parts_of(replace(job, runtime="torch on the CPU", precision="fp32", runs=0))) == ["heads"]
