"""What a sweep shows: whether a schedule beats the fixed clock, which one saves most, and the tables."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drive_seg.files import write_all
from drive_seg.lab.evaluate.sweep import EVERY, Row, Sweep
from drive_seg.lab.evaluate.sweep_plot import plot_ages, plot_sweep
from drive_seg.lab.evaluate.tables import figure, markdown_table

GOAL_POINTS, GOAL_SHARE = 0.5, 0.25  # at most so much mIoU lost, at no more of every frame's arithmetic
LEVEL_POINTS = 0.1  # less is no difference on a hundred frames
QUALITY = ("run", "mIoU", "points", "pixel accuracy", "boundary F1", "key frames", "GFLOP", "share", "consistency", "flicker")
SELECTORS = ("adaptive", "keyframe", "oracle")


def above_clock(rows: Sequence[Row], family: str, propagation: str) -> list[float]:
    """By how many points of mIoU each row of the family lies above the fixed clock at the same share of key frames.

    The clock's mIoU is interpolated over the frames between two key frames, in which it falls almost straight. Rows outside the clock's
    range are left out.
    """
    own = [row for row in rows if row.propagation == propagation and row.kind in ("run", "oracle") and row.key_frame_rate]
    clock = [row for row in own if row.family in (EVERY, "clockwork")]
    by_period = sorted((1 / row.key_frame_rate, row.miou) for row in clock)
    if len(by_period) < 2:
        return []
    periods, mious = zip(*by_period, strict=True)
    return [
        100 * (row.miou - float(np.interp(1 / row.key_frame_rate, periods, mious)))
        for row in own
        if row.family == family and periods[0] <= 1 / row.key_frame_rate <= periods[-1]
    ]


def conclusions(rows: Sequence[Row]) -> list[str]:
    """Sentences. The first row is every frame's, the scale."""
    scale, own = rows[0], [row for row in rows if row.kind == "run" and row.family != EVERY]
    said = [
        _compared(family, propagation, above_clock(rows, family, propagation))
        for family in SELECTORS
        for propagation in dict.fromkeys(row.propagation for row in rows if row.family == family)
    ]
    said.append(_frugal(scale, own))
    kept = [row for row in own if _lost(row, scale) <= GOAL_POINTS]
    if kept:
        least = min(kept, key=lambda row: row.gflop)
        said.append(f"Within {GOAL_POINTS:g} points of every frame, {least.name} needs least: {_costs(least, scale)}.")
    else:
        said.append(f"Nothing stays within {GOAL_POINTS:g} points of every frame.")
    return said


def _compared(family: str, propagation: str, points: Sequence[float]) -> str:
    who = f"{family} with {propagation}"
    if not points:
        return f"{who[0].upper()}{who[1:]}: no row in the fixed clock's range of key frames to compare."
    average = sum(points) / len(points)
    verdict = "is level with" if abs(average) < LEVEL_POINTS else "beats" if average > 0 else "falls short of"
    by = "" if abs(average) < LEVEL_POINTS else f" by {abs(average):.2f} points on average"
    spread = f"{len(points)} rows, {min(points):+.2f} to {max(points):+.2f}" if len(points) > 1 else f"one row, {average:+.2f}"
    return f"{who[0].upper()}{who[1:]} {verdict} the fixed clock at the same share of key frames{by} ({spread})."


def _frugal(scale: Row, own: Iterable[Row]) -> str:
    affordable = [row for row in own if row.gflop <= GOAL_SHARE * scale.gflop]
    bound = f"at most {GOAL_SHARE:.0%} of every frame's {scale.gflop:.2f} GFLOP"
    if affordable:
        best = max(affordable, key=lambda row: row.miou)
        met = "meets" if _lost(best, scale) <= GOAL_POINTS else "misses"
        return f"Of what needs {bound}, {best.name} is best, and {met} the goal of {GOAL_POINTS:g} points: {_costs(best, scale)}."
    least = min(own, key=lambda row: row.gflop, default=None)
    return f"Nothing needs {bound}" + (f"; the least is {least.name}: {_costs(least, scale)}." if least else ".")


def _costs(row: Row, scale: Row) -> str:
    lost = _lost(row, scale)
    return (
        f"mIoU {row.miou:.4f}, {abs(lost):.2f} points {'below' if lost >= 0 else 'above'} every frame's {scale.miou:.4f}, "
        f"{row.gflop / scale.gflop:.0%} of the arithmetic, {row.work_ms / scale.work_ms:.0%} of the wall time"
    )


def _lost(row: Row, scale: Row) -> float:
    """Points of mIoU; to a hundredth, as they are told."""
    return round(100 * (scale.miou - row.miou), 2)


def line(row: Row) -> str:
    """The row while the sweep runs, for people."""
    return (
        f"{row.name:<34} mIoU {row.miou:.4f}  {row.key_frame_rate:4.0%} key frames  {row.gflop:6.2f} GFLOP  "
        f"p50 {row.latency_ms['p50']:.2f} ms  work {row.work_ms:.2f} ms"
    )


def render(sweep: Sweep, provenance: Mapping[str, Any]) -> str:
    """The sweep as Markdown, beside its plots."""
    scale = sweep.rows[0]
    quality = [
        (
            row.name, f"{row.miou:.4f}", f"{0 - _lost(row, scale):+.2f}", f"{row.pixel_accuracy:.4f}", figure(row.boundary_f1),
            f"{row.key_frame_rate:.0%}", f"{row.gflop:.2f}", f"{row.gflop / scale.gflop:.0%}", figure(row.temporal_consistency),
            figure(row.flicker),
        )
        for row in sweep.rows
    ]  # fmt: skip
    times = [
        (row.name, *map(_quartet, (row.latency_ms, row.other_ms, row.key_ms)), f"{row.work_ms:.2f}", f"{row.work_ms / scale.work_ms:.0%}")
        for row in sweep.rows
    ]
    ages = [(name, *map(figure, (*curve.miou, curve.average, curve.minimum))) for name, curve in sweep.ages.items()]
    length = max(len(curve.miou) for curve in sweep.ages.values())
    label_frames = max(curve.label_frames for curve in sweep.ages.values())
    return "\n\n".join(
        (
            f"# {sweep.model} on {sweep.clip}",
            f"{sweep.frames} frames at {sweep.hz:g} Hz, back to back · {sweep.backend} {sweep.precision} · {sweep.device} · "
            f"{provenance['date']}",
            f"    {provenance['command']}",
            " ".join(conclusions(sweep.rows)),
            "![mIoU against latency and arithmetic](sweep.png)",
            "## Accuracy and arithmetic",
            f"The truth's own consistency is {figure(scale.truth_consistency)}; its flicker is 0.",
            markdown_table(QUALITY, quality),
            "## Latency",
            "Frame to labels in ms: p50 / p95 / p99 / max. The drive's first frame is among all, but neither a key frame nor another. In "
            "async:K the deep stage counts for no frame; `work` is what a frame takes on average, the deep stage's time in it.",
            markdown_table(("run", "all", "other frames", "key frames", "work", "share"), times),
            "## Age",
            f"mIoU on the same {label_frames} frames, the key frame moved back from them.",
            "![mIoU by age](ages.png)",
            markdown_table(("propagation", *map(str, range(length)), "average", "minimum"), ages),
        )
    )


def _quartet(ms: Mapping[str, float | None]) -> str:
    values = [ms[key] for key in ("p50", "p95", "p99", "max")]
    return " / ".join(figure(value, ".1f") for value in values)


FILES = "sweep.json", "sweep.md", "sweep.png", "ages.png"


def write_sweep(out_dir: Path, sweep: Sweep, provenance: Mapping[str, Any]) -> None:
    """FILES into a folder that is there, over those that are in it, once all of them are made. Raises SinkError."""
    told = json.dumps({**provenance, **sweep.as_json(), "conclusions": conclusions(sweep.rows)}, indent=1)
    plots = plot_sweep(sweep, GOAL_POINTS, GOAL_SHARE), plot_ages(sweep)
    made: tuple[str | bytes, ...] = told + "\n", render(sweep, provenance) + "\n", *plots
    write_all({out_dir / name: content for name, content in zip(FILES, made, strict=True)}, overwrite=True)
