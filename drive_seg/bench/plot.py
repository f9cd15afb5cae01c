"""What a matrix of measurements looks like: histograms, time lines, and accuracy against latency, as pictures within a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drive_seg.lab.evaluate.report import blank, drawn

BINS = 120
TAIL = 99.5  # percentile of all rows at which the axis of ms ends: one hiccup would flatten everything else


def histograms(rows: Sequence[Mapping[str, Any]], series: Sequence[np.ndarray[Any, np.dtype[np.float64]]]) -> str:
    """Frame to labels of every row, over one axis; a data URI, as all here."""
    end = max(float(np.percentile(ms, TAIL)) for ms in series)
    edges = np.linspace(0, end, BINS + 1)
    figure = blank(figsize=(10, 1.2 + 0.75 * len(rows)))
    all_axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for axes, row, ms in zip(all_axes, rows, series, strict=True):
        axes.hist(np.minimum(ms, end), bins=edges, color="#3b6ea5")
        axes.axvline(row["latency_ms"]["p50"], color="black", linewidth=1)
        axes.axvline(min(row["latency_ms"]["p99"], end), color="#c0392b", linewidth=1, linestyle="--")
        axes.set_yticks([])
        axes.set_ylabel(row["name"], rotation=0, ha="right", va="center", fontsize=9)
        axes.spines[["top", "right", "left"]].set_visible(False)
    all_axes[-1].set_xlabel("frame to labels, ms; black: p50, red: p99; what is longer is in the last bar")
    return drawn(figure)


def time_lines(rows: Sequence[Mapping[str, Any]], series: Sequence[np.ndarray[Any, np.dtype[np.float64]]]) -> str:
    """Every frame in the order in which it was counted; a line where the next turn begins."""
    figure = blank(figsize=(10, 1.2 + 1.1 * len(rows)))
    all_axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, row, ms in zip(all_axes, rows, series, strict=True):
        keys = np.concatenate([np.array(turn["per_frame"]["kind"]) != "other" for turn in row["turns"]])
        places = np.arange(len(ms))
        axes.plot(places[~keys], ms[~keys], ".", markersize=2, color="#3b6ea5")
        axes.plot(places[keys], ms[keys], ".", markersize=2, color="#d98c1f")
        for end in np.cumsum([turn["frames"] for turn in row["turns"]])[:-1]:
            axes.axvline(end - 0.5, color="grey", linewidth=0.8)
        axes.set_ylim(0, 1.15 * float(np.percentile(ms, TAIL)))
        axes.set_ylabel(row["name"], rotation=0, ha="right", va="center", fontsize=9)
        axes.margins(x=0.01)
    all_axes[-1].set_xlabel("frame, round after round; ms; orange: key frames")
    return drawn(figure)


def accuracy_against_latency(rows: Sequence[Mapping[str, Any]]) -> str:
    """A point a row that has an accuracy, at its p50, and a line to its p99."""
    figure = blank(figsize=(10, 5))
    axes = figure.add_subplot(xlabel="frame to labels, ms: p50, and a line to p99", ylabel="mIoU")
    for row in rows:
        if row["miou"] is None:
            continue
        p50, p99 = (row["latency_ms"][name] for name in ("p50", "p99"))
        (line,) = axes.plot([p50, p99], [row["miou"]] * 2, linewidth=1)
        axes.plot(p50, row["miou"], "o", color=line.get_color())
        axes.annotate(row["name"], (p50, row["miou"]), xytext=(4, 5), textcoords="offset points", fontsize=9)
    axes.set_xlim(left=0)
    axes.margins(y=0.15)
    axes.grid(alpha=0.25)
    return drawn(figure)
