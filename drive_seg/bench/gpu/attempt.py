"""One attempt of gpu-check, in a process of its own: a runtime in a precision on a bundle, its labels, its times and what they are made of.

Run as `python -m drive_seg.bench.gpu.attempt JOB.json OUT.json`. A runtime that crashes, hangs or leaves the GPU unusable ends nothing
but this process, and what was written before stays.
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from drive_seg.backends import open_backend
from drive_seg.backends.validation import one_line
from drive_seg.bench.gpu.load import border_bytes, close, count_kernels, load_stages, run_stages, tried
from drive_seg.contracts import Array, Backend, Frame, Result
from drive_seg.errors import BackendError, DriveSegError
from drive_seg.files import write
from drive_seg.network.card import load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.propagate import make_propagation
from drive_seg.network.schedule import Clockwork, EveryFrame
from drive_seg.session.figures import Latencies, percentiles
from drive_seg.session.session import Session

WARM_UP = 100  # frames before those that are timed
KEY_EVERY, HEAD_RUNS = 5, 300  # for the other heads: key frames in a row of frames, and frames that are timed
BATCHES, BATCH_RUNS, BATCH_WARM_UP = (1, 2, 4, 8), 300, 30  # frames at once, as of so many cameras; and how often they are timed
WATCH_AFTER = 5  # frames before the one whose kernels are counted
SMI = (
    "driver_version", "memory.total", "power.limit", "persistence_mode", "clocks.max.sm", "clocks.max.mem", "clocks.sm", "clocks.mem",
    "pstate", "temperature.gpu", "power.draw",
)  # fmt: skip


def _tensorrt(package: str, precision: str) -> Backend:
    from drive_seg.backends.tensorrt.backend import TensorRtBackend

    return TensorRtBackend(None, precision, None, package=package)


def _torch(graphs: bool, precision: str, compiled: bool = False) -> Backend:
    try:
        from drive_seg.backends.torch import TorchBackend
    except ImportError as error:
        raise BackendError(f"{one_line(error)}; pip install 'drive-seg[lab]'") from error
    return TorchBackend("cuda", precision, None, graphs=graphs, compiled=compiled)


def _named(name: str, device: str, precision: str) -> Backend:
    return open_backend(name, device=device, precision=precision, threads=None)


RUNTIMES: dict[str, tuple[Callable[[str], Backend], tuple[str, ...]]] = {  # what is checked (ort: ONNX Runtime), and in which precisions
    "tensorrt": (lambda precision: _tensorrt("tensorrt", precision), ("fp16", "int8", "fp8")),
    "tensorrt_rtx": (lambda precision: _tensorrt("tensorrt_rtx", precision), ("fp16", "int8", "fp8")),
    "torch graph": (lambda precision: _torch(True, precision), ("fp16", "bf16")),
    "torch compiled": (lambda precision: _torch(True, precision, compiled=True), ("fp16", "bf16")),  # and as a CUDA graph
    "torch eager": (lambda precision: _torch(False, precision), ("fp16", "bf16")),
    "ort cuda": (lambda precision: _named("onnxruntime", "cuda", precision), ("fp16", "fp32")),
    "ort tensorrt": (lambda precision: _named("onnxruntime", "tensorrt", precision), ("fp16", "int8")),
}
REFERENCES: dict[str, Callable[[str], Backend]] = {  # the first that works gives the labels in fp32
    "onnxruntime on the CPU": lambda precision: _named("onnxruntime", "cpu", precision),
    "torch on the CPU": lambda precision: _named("torch", "cpu", precision),
    "openvino on the CPU": lambda precision: _named("openvino", "cpu", precision),
}


@dataclass(frozen=True, slots=True)
class Job:
    """The arguments of one attempt, which runs in a process of its own."""

    bundle: str
    runtime: str  # of RUNTIMES or REFERENCES
    precision: str
    pictures: str  # npz: by their name, uint8 (N, H, W, 3) at the bundle's input size
    labels: str  # npz: the reference's labels of the same; written where `runs` is 0
    runs: int


def attempt(job: Job) -> dict[str, Any]:
    """Runs every picture once to see its labels and `runs` more to see their times. Raises DriveSegError, and whatever a vendor does."""
    bundle, backend, pictures = load_bundle(job.bundle), _open(job), _read(Path(job.pictures))
    pictures.pop("drive")
    with Engine(bundle, backend) as engine:
        engine.cut = math.inf  # the pictures are of different places
        pipeline, start_s = Pipeline(engine, EveryFrame()), time.perf_counter()
        engine.fit((bundle.card.input.height, bundle.card.input.width))
        ready_s = time.perf_counter() - start_s
        labels = {name: np.stack([result.labels for result in _played(pipeline, _frames(images))]) for name, images in pictures.items()}
        found: dict[str, Any] = {"device": backend.device, "ran": backend.precision, "ready_s": round(ready_s, 2)}
        if not job.runs:
            np.savez(job.labels, **labels)  # type: ignore[arg-type]
            return found
        session = Session(pipeline, _frames(pictures["demo"], WARM_UP + job.runs))
        session.latencies = Latencies(WARM_UP)
        session.run()
        clocks = ask_smi(("clocks.sm", "clocks.mem", "pstate"))  # while they are still what they were under load
    summary: Any = session.latencies.summary()["latency_ms"]
    times = {
        name: {figure: round(ms, 4) for figure, ms in row.items() if ms is not None}
        for name, row in summary.items()
        if row["p50"] is not None
    }
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
                results = _played(pipeline, frames)
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


def attempt_load(job: Job) -> dict[str, Any]:
    """One frame's kernels, and the bytes that pass between stages. Raises what `attempt` does."""
    bundle, backend, images = load_bundle(job.bundle), _open(job), _read(Path(job.pictures))["demo"]
    loaded = load_stages(bundle, backend, 1, Path(job.pictures).parent)
    try:
        for _ in range(WATCH_AFTER):
            run_stages(bundle.card, loaded, images[:1])
        found: dict[str, Any] = {"stages": len(loaded), "border_bytes": border_bytes(loaded)}
        try:
            found |= count_kernels(lambda: run_stages(bundle.card, loaded, images[:1]), loaded)
        except BackendError as error:
            found["not_measured"] = str(error)
        return found
    finally:
        close(loaded)


def attempt_batches(job: Job) -> dict[str, Any]:
    """By how many frames go through the stages at once: times in ms, frames a second, and the share of labels as one at a time."""
    bundle, backend, images = load_bundle(job.bundle), _open(job), _read(Path(job.pictures))["demo"]
    found, alone = dict[str, Any](), np.zeros(0)
    for batch in BATCHES:
        frames = images[np.arange(batch) % len(images)]
        try:
            loaded = load_stages(bundle, backend, batch, Path(job.pictures).parent)
        except DriveSegError as error:
            found[str(batch)] = {"not_measured": str(error)}
            continue
        try:
            if batch == 1:
                alone = np.concatenate([np.array(run_stages(bundle.card, loaded, image[None])) for image in images[: max(BATCHES)]])
            labels, spans = np.array(run_stages(bundle.card, loaded, frames)), list[float]()
            for _ in range(BATCH_WARM_UP + BATCH_RUNS):
                start_s = time.perf_counter()
                run_stages(bundle.card, loaded, frames)
                spans.append((time.perf_counter() - start_s) * 1e3)
        finally:
            close(loaded)
        ms: Any = percentiles(spans[BATCH_WARM_UP:])
        same = float(np.mean(labels == alone[np.arange(batch) % len(alone)])) if len(alone) else None
        times = {figure: round(ms[figure], 4) for figure in ("p50", "p99")}
        found[str(batch)] = {**times, "frames_per_s": round(batch / ms["p50"] * 1e3, 1), "same_labels": same}
    return found


def parts_of(job: Job) -> dict[str, Callable[[Job], dict[str, Any]]]:
    """The further measurements after `attempt`; one may fail alone.

    Batches in the runtime's first precision alone: each size is three more engines.
    """
    if not job.runs:
        return {"heads": attempt_heads}
    parts = {"load": attempt_load, "heads": attempt_heads}
    return parts | ({"batches": attempt_batches} if job.precision == RUNTIMES[job.runtime][1][0] else {})


def _open(job: Job) -> Backend:
    return (REFERENCES[job.runtime] if job.runtime in REFERENCES else RUNTIMES[job.runtime][0])(job.precision)


def _read(path: Path) -> dict[str, Array]:
    with np.load(path) as stored:
        return dict(stored)


def _played(pipeline: Pipeline, frames: Iterable[Frame]) -> list[Result]:
    return [result for result, _ in Session(pipeline, frames).results()]


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


def _main(told: str, made: str) -> None:
    job = Job(**json.loads(Path(told).read_text()))
    found = tried(lambda: attempt(job))
    write(Path(made), json.dumps(found), overwrite=True)  # now: what comes may crash
    if "not_measured" in found:
        return
    for part, what in parts_of(job).items():
        found[part] = tried(partial(what, job))
        write(Path(made), json.dumps(found), overwrite=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
