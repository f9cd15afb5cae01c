"""What this machine's NVIDIA GPU makes of the bundles: their labels against the CPU's, their times, and what could not be had and why."""

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from drive_seg.backends.jetson import describe_jetson
from drive_seg.backends.tensorrt.cuda import find_gpu
from drive_seg.bench.gpu.attempt import REFERENCES, RUNTIMES, WARM_UP, Job, ask_smi, parts_of
from drive_seg.bench.gpu.load import shares
from drive_seg.bench.machine import provenance
from drive_seg.contracts import Array
from drive_seg.demo import DemoDrive
from drive_seg.errors import BackendError, DataError, SinkError
from drive_seg.files import write
from drive_seg.lab.evaluate.pairs import listed, read_picture
from drive_seg.network.card import Bundle

RUNS = 1000  # frames that are timed
DEMO_SEED, DEMO_FRAMES, DEMO_STRIDE = 7, 60, 15  # the drive, how many of its frames are compared, and how far apart they are
DRIVE_FRAMES = 30  # in a row, for the heads between key frames
GOAL_MS = 1.0  # 99 of 100 frames, from the uploaded frame to its labels
LIMIT_S = 1800.0  # of one attempt, which may have to build its engines first
FLOORS = {"fp16": 0.995, "int8": 0.985}  # share of pixels with the same label as in fp32; other precisions are shown and not judged
PACKAGES = (
    "drive-seg", "tensorrt", "tensorrt_rtx", "cuda-bindings", "pycuda", "torch", "triton", "onnx", "onnxruntime", "onnxruntime-gpu",
    "openvino", "numpy",
)  # fmt: skip

Tell = Callable[[str], None]


def run_apart(command: Sequence[str], made: Path, parts: Collection[str] = (), limit_s: float = LIMIT_S) -> dict[str, Any]:
    """What a process wrote into `made` as JSON, or {"not_measured": why} however it ended; the same for those of its `parts` that are
    not in what it wrote."""
    made.unlink(missing_ok=True)
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=limit_s, check=False).returncode
            how = f"it crashed ({signal.Signals(-code).name})" if code < 0 else f"it ended with {code}"
        except subprocess.TimeoutExpired:
            code, how = None, f"it had not ended after {limit_s:.0f} s"
        said.seek(0)
        lines = [line.strip() for line in said if line.strip()]
    found: dict[str, Any] = json.loads(made.read_text()) if made.exists() else {}
    if "not_measured" in found or (code == 0 and found):
        return found
    how += f": {lines[-1][:200]}" if lines else ""
    return {**found, **{part: {"not_measured": how} for part in parts if part not in found}} if found else {"not_measured": how}


def _attempt_apart(job: Job, folder: Path) -> dict[str, Any]:
    told, made = folder / "job.json", folder / "made.json"
    told.write_text(json.dumps(asdict(job)))
    return run_apart([sys.executable, "-m", "drive_seg.bench.gpu.attempt", str(told), str(made)], made, parts_of(job))


def _launches(folder: Path, frame_bytes: int) -> dict[str, Any]:
    made = folder / "launches.json"
    return run_apart([sys.executable, "-m", "drive_seg.bench.gpu.launch", str(made), str(frame_bytes)], made)


def check(bundles: Sequence[Bundle], clip: Path | None, out_dir: Path, command: str, tell: Tell) -> dict[str, Any]:
    """Tries every runtime in every precision on every bundle. `clip` is a folder of pictures, or one with `images` in it.

    With a GPU the report is written to `out_dir` after each attempt, under the GPU's name; it is returned in any case. What could not
    be had has a `not_measured`. Raises DataError for a clip that cannot be read, SinkError.
    """
    report: dict[str, Any] = {"gpu": None, "file": None, **provenance(command, PACKAGES), "launches": None, "attempts": []}
    rows: list[dict[str, Any]] = report["attempts"]
    asked = [(bundle, runtime, one) for bundle in bundles for runtime, (_, precisions) in RUNTIMES.items() for one in precisions]
    try:
        gpu = find_gpu()
    except BackendError as error:
        report["launches"] = {"not_measured": str(error)}
        rows += [_row(report, bundle, runtime, precision, {"not_measured": str(error)}) for bundle, runtime, precision in asked]
        return report
    report["gpu"] = {"name": gpu.name, "compute_capability": gpu.compute_capability, "cuda": gpu.driver, "nvidia-smi": ask_smi()}
    report["file"] = str(out_dir / f"{re.sub('[^a-z0-9]+', '-', gpu.name.lower()).strip('-')}.json")
    report["gpu"] |= {"jetson": describe_jetson()}
    report |= {"runs": RUNS, "warm_up": WARM_UP, "pictures": {}, "reference": {}}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tell("launches …")
        report["launches"] = _launches(work, max(3 * bundle.card.input.height * bundle.card.input.width for bundle in bundles))
        for bundle in bundles:
            pictures = read_pictures(bundle, clip)
            report["pictures"] = {name: len(images) for name, images in pictures.items()}
            job = Job(str(bundle.folder.absolute()), "", "fp32", str(work / "pictures.npz"), str(work / f"{bundle.card.name}.npz"), runs=0)
            np.savez(job.pictures, **pictures)  # type: ignore[arg-type]
            report["reference"][bundle.card.name] = _reference(job, work, tell)
            for runtime, precision in ((runtime, one) for of, runtime, one in asked if of is bundle):
                tell(f"{bundle.card.name}: {runtime} {precision} …")
                found = _attempt_apart(replace(job, runtime=runtime, precision=precision, runs=RUNS), work)
                rows.append(_row(report, bundle, runtime, precision, found))
                _write(Path(report["file"]), report)
    return report


def _reference(job: Job, work: Path, tell: Tell) -> dict[str, Any]:
    """Who gave the labels that the others are compared with, or why nobody could."""
    reasons = []
    for runtime in REFERENCES:
        tell(f"{Path(job.bundle).name}: {runtime} …")
        found = _attempt_apart(replace(job, runtime=runtime), work)
        if "not_measured" not in found:
            return {"runtime": runtime, **found}
        reasons.append(f"{runtime}: {found['not_measured']}")
    return {"not_measured": "; ".join(reasons)}


def _row(report: Mapping[str, Any], bundle: Bundle, runtime: str, precision: str, found: Mapping[str, Any]) -> dict[str, Any]:
    row = {"bundle": bundle.card.name, "runtime": runtime, "precision": precision, "floor": FLOORS.get(precision), **found}
    if "not_measured" in found:
        return row
    total, load = found["latency_ms"]["total"], found.get("load", {})
    row["goal"] = goal(total["p99"], report["launches"])
    row["launching_ms"] = launching_ms(load, report["launches"])
    if "border_bytes" in load:
        row["limits"] = shares(bundle.card, found["ran"], load["border_bytes"], total["p50"], report["gpu"]["name"])
    return row


def goal(p99_ms: float, launches: Mapping[str, Any]) -> dict[str, Any]:
    """`p99_ms` is from the frame in the CPU's memory; what a copy to the GPU takes by itself is taken off, where it was measured."""
    upload_ms = launches.get("upload_and_wait", 0.0) / 1e3
    from_upload_ms = round(p99_ms - upload_ms, 4)
    return {
        "limit_ms": GOAL_MS,
        "p99_ms": p99_ms,
        "upload_ms": upload_ms,
        "from_upload_ms": from_upload_ms,
        "met": from_upload_ms <= GOAL_MS,
    }


def launching_ms(load: Mapping[str, Any], launches: Mapping[str, Any]) -> float | None:
    """What a frame would take if its kernels were empty and every stage a CUDA graph; None where the kernels were not counted."""
    if "kernels" not in load or "not_measured" in launches:
        return None
    between = load["kernels"] - load["stages"]  # the first of each stage is in the graph's own time
    return float(round((load["stages"] * launches["graph_and_wait"] + between * launches["kernel_in_graph"]) / 1e3, 4))


def read_pictures(bundle: Bundle, clip: Path | None) -> dict[str, Array]:
    """uint8 (N, H, W, 3) at the bundle's input size: of the demo drive, far apart ("demo") and in a row ("drive"), and
    of the clip where there is one. Raises DataError."""
    size = bundle.card.input.width, bundle.card.input.height
    drive = DemoDrive(DEMO_SEED, size[::-1])
    pictures = {
        "demo": np.stack([drive.frame(i * DEMO_STRIDE)[0] for i in range(DEMO_FRAMES)]),
        "drive": np.stack([drive.frame(i)[0] for i in range(DRIVE_FRAMES)]),
    }
    if clip:
        found = listed([clip / "images" if (clip / "images").is_dir() else clip])
        if not found:
            raise DataError(f"{clip}: holds no picture; check the path")
        shrunk = [cv2.resize(read_picture(path), size, interpolation=cv2.INTER_AREA) for path in found.values()]
        pictures["clip"] = np.stack(shrunk)
    return pictures


def _write(path: Path, report: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{path.parent}: cannot be made ({error.strerror}); give another --out") from error
    write(path, json.dumps(report, indent=2) + "\n", overwrite=True)
