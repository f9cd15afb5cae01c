"""What quantising cost and gained: a bundle's float stages against its int8 ones, frame by frame in turns, and the page that says so."""

import json
import math
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from drive_seg.backends import describe_backend, open_backend
from drive_seg.contracts import Frame, Image, Labels, Result
from drive_seg.files import write
from drive_seg.lab.build.export import write_card
from drive_seg.lab.build.quantize import Calibration
from drive_seg.lab.evaluate.tables import figure, markdown_table
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.postprocess import at_size
from drive_seg.network.propagate import HOLD, make_propagation
from drive_seg.network.schedule import Clockwork, EveryFrame
from drive_seg.network.score import Confusion, differing
from drive_seg.session.session import Session

FILES = ("frames.json", "ranges.json", "report.json", "report.md")  # what is written
RUNTIMES = ("openvino", "onnxruntime")  # the first decides what the card prefers
LOSS = 0.005  # of mIoU that int8 may cost
RUNS, WARM_UP, ROUND = 240, 20, 20  # timed frames, frames before them, different pictures among them

Example = tuple[Image, Labels | None]  # a picture, and the truth where it is known


class _Side:
    """One precision of the bundle on one backend, with what was seen of it: its pipelines by propagation, None for every frame's."""

    def __init__(self, bundle: Bundle, runtime: str, precision: str | None, runs: int, stack: ExitStack) -> None:
        self.backend = open_backend(runtime, device=None, precision=precision, threads=None)
        self.confusion, self.pipelines = Confusion(bundle.card.classes), dict[str | None, Pipeline]()
        for propagation in (None, *bundle.card.heads):
            engine = stack.enter_context(Engine(bundle, self.backend, propagation or HOLD))
            engine.cut = math.inf  # the pictures are of different places
            schedule = Clockwork((WARM_UP + runs,), "once") if propagation else EveryFrame()
            self.pipelines[propagation] = Pipeline(engine, schedule, propagation=make_propagation(propagation or HOLD))

    def figures(self, p50_ms: dict[str, float], heads_p50_ms: dict[str, float]) -> dict[str, Any]:
        miou = self.confusion.miou
        return {
            "precision": self.backend.precision,
            "p50_ms": p50_ms,
            "miou": None if miou is None else round(miou, 4),
            "iou": None if miou is None else {name: None if iou is None else round(iou, 4) for name, iou in self.confusion.iou().items()},
            "heads_p50_ms": heads_p50_ms,
        }


def compare(bundle: Bundle, runtime: str, examples: Iterable[Example], runs: int = RUNS) -> dict[str, Any]:
    """Float against int8 on one backend: mIoU, the share of pixels with the same label, and the median times of `runs` frames each; of
    the propagations' heads, their times alone.

    The two take every picture in turn, so that a slow moment of the machine meets both.
    Raises BackendError.
    """
    bundle = replace(bundle, card=bundle.card.model_copy(update={"precision": None}))  # else "float" were what it prefers already
    with ExitStack() as stack:
        before, after = (_Side(bundle, runtime, precision, runs, stack) for precision in (None, "int8"))

        def played(frames: Iterable[Frame], propagation: str | None = None) -> Iterator[tuple[Result, Result]]:
            session = Session(before.pipelines[propagation], frames, comparison=after.pipelines[propagation])
            return ((one, other) for one, other in session.results() if other)

        same, images = [], list[Image]()
        for one, other in played(Frame(image, i, i / 30, labels=truth) for i, (image, truth) in enumerate(examples)):
            same.append(1.0 - differing(one.labels, other.labels))
            images += [one.frame.image] if len(images) < ROUND else []
            if (truth := one.frame.labels) is not None:
                for side, result in ((before, one), (after, other)):
                    side.confusion.add(truth, at_size(result.labels, truth.shape))

        def p50_ms(names: Sequence[str], propagation: str | None = None) -> list[dict[str, float]]:
            """Of each side, of the frames after WARM_UP."""
            start = 0 if propagation else len(same)
            again = (Frame(images[i % len(images)], start + i, (start + i) / 30) for i in range(WARM_UP + runs))
            timed = list(played(again, propagation))[-runs:]
            return [{name: round(float(np.median([pair[at].latency_ms[name] for pair in timed])), 2) for name in names} for at in (0, 1)]

        whole = p50_ms([*bundle.card.stages, "total"])
        heads = {propagation: p50_ms(["head"], propagation) for propagation in bundle.card.heads}
        by_head = [{name: ms[at]["head"] for name, ms in heads.items()} for at in (0, 1)]
        return {
            "device": after.backend.device,
            "version": describe_backend(runtime).version,
            "pictures": len(same),
            "runs": runs,
            "same_labels": round(float(np.mean(same)), 4),
            "float": before.figures(whole[0], by_head[0]),
            "int8": after.figures(whole[1], by_head[1]),
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
    out.mkdir(parents=True, exist_ok=True)
    told = [json.dumps(value, indent=2) + "\n" for value in (calibration.frames, calibration.ranges, report)]
    for name, text in zip(FILES, (*told, render(report)), strict=True):
        write(out / name, text, overwrite=True)
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
