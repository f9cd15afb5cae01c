"""What this machine's NVIDIA GPU makes of the bundles: their labels against the CPU's, their times, and what could not be had and why.

Each attempt runs in a process of its own: a runtime that crashes, hangs or leaves the GPU unusable ends nothing but itself.
"""

import json
import math
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.table import Table
from rich.text import Text

from drive_seg.backends import open_backend
from drive_seg.backends.border import one_line
from drive_seg.backends.tensorrt.cuda import find_gpu
from drive_seg.card import Bundle, load_bundle
from drive_seg.contracts import Array, Backend, Frame
from drive_seg.engine import Engine
from drive_seg.errors import BackendError, DataError, DriveSegError, SinkError
from drive_seg.lab.evaluate.pairs import listed, read_picture
from drive_seg.lab.evaluate.report import provenance
from drive_seg.pipeline import Pipeline
from drive_seg.propagate import make_propagation
from drive_seg.schedule import Clockwork, EveryFrame
from drive_seg.sources.demo import DemoDrive
from drive_seg.trace import Latencies

RUNS, WARM_UP = 1000, 100  # frames that are timed, and before them
DEMO_SEED, DEMO_FRAMES, DEMO_STRIDE = 7, 60, 15  # the drive, how many of its frames are compared, and how far apart they are
DRIVE_FRAMES, KEY_EVERY, HEAD_RUNS = 30, 5, 300  # for the other heads: frames in a row, key frames among them, and frames that are timed
LIMIT_S = 1800.0  # of one attempt, which may have to build its engines first
FLOORS = {"fp16": 0.995, "int8": 0.985}  # share of pixels with the same label as in fp32; other precisions are shown and not judged
FIGURES = ("p50", "p95", "p99", "max")
PACKAGES = ("drive-seg", "tensorrt", "tensorrt_rtx", "cuda-bindings", "pycuda", "torch", "onnx", "onnxruntime", "openvino", "numpy")
SMI = (
    "driver_version", "memory.total", "power.limit", "persistence_mode", "clocks.max.sm", "clocks.max.mem", "clocks.sm", "clocks.mem",
    "pstate", "temperature.gpu", "power.draw",
)  # fmt: skip


def _tensorrt(package: str, precision: str) -> Backend:
    from drive_seg.backends.tensorrt.backend import TensorRtBackend

    return TensorRtBackend(None, precision, None, package=package)


def _torch(graphs: bool, precision: str) -> Backend:
    try:
        from drive_seg.backends.torch import TorchBackend
    except ImportError as error:
        raise BackendError(f"{one_line(error)}; pip install 'drive-seg[lab]'") from error
    return TorchBackend("cuda", precision, None, graphs=graphs)


def _cpu(name: str, precision: str) -> Backend:
    return open_backend(name, device="cpu", precision=precision, threads=None)


RUNTIMES: dict[str, tuple[Callable[[str], Backend], tuple[str, ...]]] = {  # what is checked, and in which precisions
    "tensorrt": (lambda precision: _tensorrt("tensorrt", precision), ("fp16", "int8", "fp8")),
    "tensorrt_rtx": (lambda precision: _tensorrt("tensorrt_rtx", precision), ("fp16", "int8", "fp8")),
    "torch graph": (lambda precision: _torch(True, precision), ("fp16", "bf16")),
    "torch eager": (lambda precision: _torch(False, precision), ("fp16", "bf16")),
}
REFERENCES: dict[str, Callable[[str], Backend]] = {  # the first that works gives the labels in fp32
    "onnxruntime on the CPU": lambda precision: _cpu("onnxruntime", precision),
    "torch on the CPU": lambda precision: _cpu("torch", precision),
    "openvino on the CPU": lambda precision: _cpu("openvino", precision),
}

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt, as its process is told of it."""

    bundle: str
    runtime: str  # of RUNTIMES or REFERENCES
    precision: str
    pictures: str  # npz: by their name, uint8 (N, H, W, 3) at the bundle's input size
    labels: str  # npz: the reference's labels of the same; written where `runs` is 0
    runs: int


# ---- in the process of an attempt


def attempt(job: Job) -> dict[str, Any]:
    """Runs every picture once to see its labels and `runs` more to see their times. Raises DriveSegError, and whatever a vendor does."""
    cv2.setNumThreads(1)  # as live
    bundle, backend, pictures = load_bundle(job.bundle), _open(job), _read(Path(job.pictures))
    pictures.pop("drive")
    with Engine(bundle, backend) as engine:
        engine.cut = math.inf  # the pictures are of different places
        pipeline, start_s = Pipeline(engine, EveryFrame()), time.perf_counter()
        engine.fit((bundle.card.input.height, bundle.card.input.width))
        ready_s = time.perf_counter() - start_s
        labels = {name: np.stack([pipeline.step(frame).labels for frame in _frames(images)]) for name, images in pictures.items()}
        found: dict[str, Any] = {"device": backend.device, "ran": backend.precision, "ready_s": round(ready_s, 2)}
        if not job.runs:
            np.savez(job.labels, **labels)  # type: ignore[arg-type]
            return found
        latencies, images = Latencies(WARM_UP), pictures["demo"]
        for frame in _frames(images, WARM_UP + job.runs):
            latencies.add(pipeline.step(frame), time.perf_counter())
        clocks = ask_smi(("clocks.sm", "clocks.mem", "pstate"))  # while they are still what they were under load
    summary: Any = latencies.summary()["latency_ms"]
    times = {name: {figure: round(ms, 4) for figure, ms in row.items()} for name, row in summary.items() if row["p50"] is not None}
    same = None
    if Path(job.labels).exists():
        wanted = _read(Path(job.labels))
        same = {name: float(np.mean(mine == wanted[name])) for name, mine in labels.items()}
    return {**found, "same_labels": same, "runs": job.runs, "latency_ms": times, "clocks": clocks}


def attempt_heads(job: Job) -> dict[str, Any]:
    """The same for the frames between key frames, by propagation: each has a head of its own. Raises what `attempt` does."""
    bundle, backend, images = load_bundle(job.bundle), _open(job), _read(Path(job.pictures))["drive"]
    stored, found = Path(job.labels).with_suffix(".heads.npz"), dict[str, Any]()
    wanted = _read(stored) if job.runs and stored.exists() else {}
    labels = dict[str, Array]()
    for propagation in bundle.card.heads:
        try:
            with Engine(bundle, backend, propagation) as engine:
                engine.cut = math.inf  # the drive begins again at its end
                pipeline = Pipeline(engine, Clockwork((KEY_EVERY,), "fixed"), propagation=make_propagation(propagation))
                frames = _frames(images, len(images) + (HEAD_RUNS if job.runs else 0))
                results = [pipeline.step(frame) for frame in frames]
        except DriveSegError as error:
            found[propagation] = {"not_measured": str(error)}
            continue
        labels[propagation] = np.stack([result.labels for result in results[: len(images)]])
        same = float(np.mean(labels[propagation] == wanted[propagation])) if propagation in wanted else None
        ms = [result.latency_ms["head"] for result in results[len(images) :] if not result.is_key]
        found[propagation] = {"same_labels": same, "head_p50_ms": round(float(np.median(ms)), 4) if ms else None}
    if not job.runs:
        np.savez(stored, **labels)  # type: ignore[arg-type]
    return found


def _open(job: Job) -> Backend:
    return (REFERENCES[job.runtime] if job.runtime in REFERENCES else RUNTIMES[job.runtime][0])(job.precision)


def _read(path: Path) -> dict[str, Array]:
    with np.load(path) as stored:
        return dict(stored)


def _frames(images: Array, count: int | None = None) -> Iterator[Frame]:
    for i in range(len(images) if count is None else count):
        yield Frame(images[i % len(images)], i, i / 30)


def ask_smi(what: Sequence[str] = SMI) -> dict[str, str]:
    """What nvidia-smi says of the first GPU, or {"not_measured": why}."""
    command = ["nvidia-smi", "-i", "0", f"--query-gpu={','.join(what)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"not_measured": f"nvidia-smi: {one_line(error)}"}
    values = [value.strip() for value in done.stdout.strip().split(",")]
    if done.returncode or len(values) != len(what):
        return {"not_measured": f"nvidia-smi: {(done.stdout + done.stderr).strip()[:200]}"}
    return dict(zip(what, values, strict=True))


# ---- around it


def run_apart(command: Sequence[str], made: Path, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """What a process wrote into `made` as JSON, or {"not_measured": why} however it ended; the same for its heads if it wrote the rest."""
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
    if code == 0 and found:
        return found
    how += f": {lines[-1][:200]}" if lines else ""
    return {**found, "heads": {"not_measured": how}} if found else {"not_measured": how}


def _attempt_apart(job: Job, folder: Path) -> dict[str, Any]:
    told, made = folder / "job.json", folder / "made.json"
    told.write_text(json.dumps(asdict(job)))
    return run_apart([sys.executable, "-m", "drive_seg.lab.build.gpucheck", str(told), str(made)], made)


def check(bundles: Sequence[Bundle], clip: Path | None, out_dir: Path, command: str, tell: Tell) -> dict[str, Any]:
    """Tries every runtime in every precision on every bundle. `clip` is a folder of pictures, or one with `images` in it.

    With a GPU the report is written to `out_dir` after each attempt, under the GPU's name; it is returned in any case. What could not
    be had has a `not_measured`. Raises DataError for a clip that cannot be read, SinkError.
    """
    report: dict[str, Any] = {"gpu": None, "file": None, **provenance(command, PACKAGES), "attempts": []}
    rows: list[dict[str, Any]] = report["attempts"]
    asked = [(bundle, runtime, one) for bundle in bundles for runtime, (_, precisions) in RUNTIMES.items() for one in precisions]
    try:
        gpu = find_gpu()
    except BackendError as error:
        rows += [_row(bundle, runtime, precision, {"not_measured": str(error)}) for bundle, runtime, precision in asked]
        return report
    report["gpu"] = {"name": gpu.name, "compute_capability": gpu.compute_capability, "cuda": gpu.driver, "nvidia-smi": ask_smi()}
    report["file"] = str(out_dir / f"{re.sub('[^a-z0-9]+', '-', gpu.name.lower()).strip('-')}.json")
    report |= {"runs": RUNS, "warm_up": WARM_UP, "pictures": {}, "reference": {}}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for bundle in bundles:
            pictures = read_pictures(bundle, clip)
            report["pictures"] = {name: len(images) for name, images in pictures.items()}
            job = Job(str(bundle.folder), "", "fp32", str(work / "pictures.npz"), str(work / f"{bundle.card.name}.npz"), runs=0)
            np.savez(job.pictures, **pictures)  # type: ignore[arg-type]
            report["reference"][bundle.card.name] = _reference(job, work, tell)
            for runtime, precision in ((runtime, one) for of, runtime, one in asked if of is bundle):
                tell(f"{bundle.card.name}: {runtime} {precision} …")
                rows.append(
                    _row(bundle, runtime, precision, _attempt_apart(replace(job, runtime=runtime, precision=precision, runs=RUNS), work))
                )
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


def _row(bundle: Bundle, runtime: str, precision: str, found: Mapping[str, Any]) -> dict[str, Any]:
    return {"bundle": bundle.card.name, "runtime": runtime, "precision": precision, "floor": FLOORS.get(precision), **found}


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
        path.write_text(json.dumps(report, indent=2) + "\n")
    except OSError as error:
        raise SinkError(f"{path}: cannot be written ({error.strerror}); give another --out") from error


# ---- for people


def make_table(report: Mapping[str, Any]) -> Table:
    """Times in ms; why something was not measured stands below, each reason once. Fits 80 columns."""
    gpu, why, bundle = report["gpu"], dict[str, int](), ""
    title = f"{gpu['name']}: frame to labels, and p50 of each stage, in ms; same labels as in fp32 on the CPU" if gpu else "no GPU"
    table = Table(title=title, title_justify="left", caption_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("", "", "same labels"):
        table.add_column(heading, no_wrap=True)
    for heading in (*FIGURES, "low", "high", "head"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report["attempts"]:
        if row["bundle"] != bundle:
            bundle = row["bundle"]
            table.add_row(bundle, style="bold")
        if reason := row.get("not_measured"):
            table.add_row(row["runtime"], row["precision"], f"not measured ({why.setdefault(reason, len(why) + 1)})")
            continue
        times, same = row["latency_ms"], row["same_labels"]
        deep = sum(times[stage]["p50"] for stage in ("mid", "high") if stage in times)
        figures = *(times["total"][figure] for figure in FIGURES), times["low"]["p50"], deep, times["head"]["p50"]
        shares = " ".join(f"{share:.2%}" for share in same.values()) + " !" * _too_few(row) if same else "not compared"
        table.add_row(row["runtime"], row["precision"], shares, *(f"{ms:.3f}" for ms in figures))
    notes = [f"({number}) {reason}" for reason, number in why.items()]
    notes += [f"{where}: not measured: {reason}" for where, reason in _failed_heads(report["attempts"])]
    notes += ["! fewer than there may be"] * any(map(_too_few, report["attempts"]))
    if gpu:
        told = [f"{count} of the {name}" for name, count in report["pictures"].items() if name != "drive"]
        notes.append(f"same labels: {', '.join(told)}, in this order")
    table.caption = Text("\n".join(notes))  # Text, not markup: "drive-seg[tensorrt]" is not a style
    return table


def _failed_heads(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for row in rows:
        heads, name = row.get("heads", {}), f"{row['bundle']} {row['runtime']} {row['precision']}"
        if "not_measured" in heads:
            yield f"{name}, heads", heads["not_measured"]
            continue
        yield from ((f"{name}, {propagation}", one["not_measured"]) for propagation, one in heads.items() if "not_measured" in one)


def _too_few(row: Mapping[str, Any]) -> bool:
    return bool(row["floor"] and row.get("same_labels") and min(row["same_labels"].values()) < row["floor"])


def require_good(report: Mapping[str, Any]) -> None:
    """Raises BackendError, in one line, unless something was measured and all of it gave the labels that it should."""
    measured = [row for row in report["attempts"] if "not_measured" not in row]
    if not measured:
        reasons = dict.fromkeys(row["not_measured"] for row in report["attempts"])
        raise BackendError(f"nothing was measured: {next(iter(reasons), 'there is no bundle')}")
    if any(row["same_labels"] is None for row in measured):
        raise BackendError("labels were not compared: neither onnxruntime, torch nor openvino runs on the CPU; pip install onnxruntime")
    bad = [
        f"{row['bundle']} {row['runtime']} {row['precision']} {min(row['same_labels'].values()):.2%} of {row['floor']:.1%}"
        for row in measured
        if _too_few(row)
    ]
    if bad:
        raise BackendError(f"too few labels are the same as in fp32 on the CPU: {', '.join(bad)}")


def _main(told: str, made: str) -> None:
    job = Job(**json.loads(Path(told).read_text()))
    found = _tried(attempt, job)
    Path(made).write_text(json.dumps(found))  # now: what comes may crash
    if "not_measured" not in found:
        Path(made).write_text(json.dumps({**found, "heads": _tried(attempt_heads, job)}))


def _tried(what: Callable[[Job], dict[str, Any]], job: Job) -> dict[str, Any]:
    try:
        return what(job)
    except DriveSegError as error:
        return {"not_measured": str(error)}
    except Exception as error:  # a vendor's own, whatever it is: the others are tried all the same
        return {"not_measured": f"{type(error).__name__}: {one_line(error)}"}


if __name__ == "__main__":
    _main(*sys.argv[1:])
