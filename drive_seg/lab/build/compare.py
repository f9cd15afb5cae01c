"""What quantising cost and gained: a bundle's float stages against its int8 ones, frame by frame in turns, and the page that says so."""

import json
import math
import platform
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from drive_seg.backends import describe_backend, open_backend
from drive_seg.contracts import Frame, Image, Labels
from drive_seg.errors import SinkError
from drive_seg.lab.build.export import write_card
from drive_seg.lab.build.quantize import Calibration
from drive_seg.lab.evaluate.tables import figure, markdown_table
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.postprocess import at_size
from drive_seg.network.propagate import make_propagation
from drive_seg.network.schedule import Clockwork, EveryFrame
from drive_seg.network.score import Confusion

RUNTIMES = ("openvino", "onnxruntime")  # the first decides what the card prefers
LOSS = 0.005  # of mIoU that int8 may cost
RUNS, WARM_UP, ROUND = 240, 20, 20  # timed frames, frames before them, different pictures among them

Example = tuple[Image, Labels | None]  # a picture, and the truth where it is known


@dataclass(slots=True)
class _Side:
    """One precision of the bundle on one backend, with what was seen of it."""

    pipeline: Pipeline
    confusion: Confusion
    latency_ms: dict[str, list[float]]  # of each stage, and "total"
    count: int = 0

    def step(self, image: Image) -> Labels:
        result = self.pipeline.step(Frame(image, self.count, self.count / 30))
        self.count += 1
        for name, times in self.latency_ms.items():
            times.append(result.latency_ms[name])
        return result.labels

    def figures(self, runs: int) -> dict[str, Any]:
        p50 = {name: round(float(np.median(times[-runs:])), 2) for name, times in self.latency_ms.items()}
        miou = self.confusion.miou
        return {
            "precision": self.pipeline.engine.backend.precision,
            "p50_ms": p50,
            "miou": None if miou is None else round(miou, 4),
            "iou": None if miou is None else {name: None if iou is None else round(iou, 4) for name, iou in self.confusion.iou().items()},
        }


def compare(bundle: Bundle, runtime: str, examples: Iterable[Example], runs: int = RUNS) -> dict[str, Any]:
    """Float against int8 on one backend: mIoU, the share of pixels with the same label, and the median times of `runs` frames each; of
    the propagations' heads, their times alone.

    The two take every picture in turn, so that a slow moment of the machine meets both.
    Raises BackendError.
    """
    cv2.setNumThreads(1)  # as live
    bundle = replace(bundle, card=bundle.card.model_copy(update={"precision": None}))  # else "float" were what it prefers already
    with ExitStack() as stack:
        running = {}
        for name, precision in (("float", None), ("int8", "int8")):
            backend = open_backend(runtime, device=None, precision=precision, threads=None)
            for propagation in (None, *bundle.card.heads):
                engine = stack.enter_context(Engine(bundle, backend, propagation or "hold"))
                engine.cut = math.inf  # the pictures are of different places
                schedule = Clockwork((WARM_UP + runs,), "once") if propagation else EveryFrame()
                pipeline = Pipeline(engine, schedule, propagation=make_propagation(propagation or "hold"))
                times = {timed: list[float]() for timed in (["head"] if propagation else [*bundle.card.stages, "total"])}
                running[name, propagation] = _Side(pipeline, Confusion(bundle.card.classes), times)
        sides = {name: side for (name, propagation), side in running.items() if propagation is None}
        same, images = [], list[Image]()
        for image, truth in examples:
            labels = {name: side.step(image) for name, side in sides.items()}
            same.append(float((labels["float"] == labels["int8"]).mean()))
            images += [image] if len(images) < ROUND else []
            if truth is not None:
                for name, side in sides.items():
                    side.confusion.add(truth, at_size(labels[name], truth.shape))
        for i in range(WARM_UP + runs):
            for side in sides.values():
                side.step(images[i % len(images)])
        heads: dict[str, dict[str, float]] = {name: {} for name in sides}
        for propagation in bundle.card.heads:
            for i in range(WARM_UP + runs):
                for name in sides:
                    running[name, propagation].step(images[i % len(images)])
            for name in sides:
                heads[name][propagation] = running[name, propagation].figures(runs)["p50_ms"]["head"]
        return {
            "device": backend.device,
            "version": describe_backend(runtime).version,
            "pictures": len(same),
            "runs": runs,
            "same_labels": round(float(np.mean(same)), 4),
            **{name: side.figures(runs) | {"heads_p50_ms": heads[name]} for name, side in sides.items()},
        }


def preferred(measured: dict[str, Any]) -> tuple[Literal["int8"] | None, str]:
    """What the card is to prefer after a comparison, and why: int8 where it is exact enough; which is faster, each machine finds out."""
    before, after = measured["float"], measured["int8"]
    times = f"a frame takes {after['p50_ms']['total']:.2f} ms in int8 and {before['p50_ms']['total']:.2f} in {before['precision']}"
    if before["miou"] is None:
        return "int8", f"nobody measured what it costs; here {times}"
    loss = before["miou"] - after["miou"]
    cost = f"mIoU {after['miou']:.4f} instead of {before['miou']:.4f}"
    if loss > LOSS:
        return None, f"too much is lost: {cost}, {100 * LOSS:.1f} points are allowed; here {times}"
    return "int8", f"exact enough: {cost}; here {times}"


def judge(
    folder: Path, calibration: Calibration, examples: Callable[[], Iterable[Example]], out: Path, command: str, runs: int = RUNS
) -> dict[str, Any]:
    """Compares on every runtime, lets the card prefer int8 or not, and writes what was found into `out`.

    frames.json and ranges.json are the calibration; report.json is what is returned, report.md the same for people.
    Raises BackendError, SinkError when `out` cannot be written.
    """
    bundle = load_bundle(folder)
    measured = {runtime: compare(bundle, runtime, examples(), runs) for runtime in RUNTIMES}
    precision, why = preferred(measured[RUNTIMES[0]])
    write_card(bundle.card.model_copy(update={"precision": precision}), bundle.folder)
    kilobytes = {
        name: [(bundle.folder / made.file).stat().st_size // 1000 if made else None for made in (card, card.int8)]
        for name, card in (*bundle.card.stages.items(), *bundle.card.heads.items())
    }
    report = {
        "bundle": bundle.card.name,
        "command": command,
        "python": platform.python_version(),
        "calibration": {"folder": calibration.frames["folder"], "pictures": len(calibration.frames["frames"])},
        "kilobytes": kilobytes,
        "measured": measured,
        "precision": precision,
        "why": why,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, value in (("frames", calibration.frames), ("ranges", calibration.ranges), ("report", report)):
            (out / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n")
        (out / "report.md").write_text(render(report))
    except OSError as error:
        raise SinkError(f"{out}: cannot be written ({error.strerror}); give another --calib") from error
    return report


def render(report: dict[str, Any]) -> str:
    """Markdown, from report.json and nothing else."""
    calibration = report["calibration"]
    lines = [
        f"# {report['bundle']} in int8",
        "",
        f"Calibrated on {calibration['pictures']} pictures of `{calibration['folder']}` (frames.json; what came of it: ranges.json).",
        "",
        f"    {report['command']}",
        "",
        f"The card prefers {report['precision'] or 'no precision'}: {report['why']}.",
    ]
    for runtime, found in report["measured"].items():
        before, after = found["float"], found["int8"]
        lines += ["", f"## {runtime} {found['version']}, {found['device']}", ""]
        same = f"{found['same_labels']:.2%} of the pixels of {found['pictures']} pictures get the same label"
        lines += [f"p50 of {found['runs']} frames each, in turns; {same}.", ""]
        rows = [
            *(
                (f"{'frame to labels' if name == 'total' else name}, ms", ms, after["p50_ms"][name])
                for name, ms in before["p50_ms"].items()
            ),
            *((f"head for {name}, ms", ms, after["heads_p50_ms"][name]) for name, ms in before["heads_p50_ms"].items()),
        ]
        cells = [[name, f"{one:.2f}", f"{other:.2f}"] for name, one, other in rows]
        if before["miou"] is not None:
            cells += [["**mIoU**", f"**{before['miou']:.4f}**", f"**{after['miou']:.4f}**"]]
            cells += [[name, figure(iou), figure(after["iou"][name])] for name, iou in before["iou"].items()]
        lines += [markdown_table(["", before["precision"], after["precision"]], cells, "---")]
    files = [[stage, str(before), str(after or "stays in floats")] for stage, (before, after) in report["kilobytes"].items()]
    lines += ["", "## Files, kB", "", markdown_table(["stage or learned propagation", "float", "int8"], files, "---")]
    return "\n".join(lines) + "\n"
