"""A sweep as pictures: accuracy against latency and arithmetic, and against age."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drive_seg.lab.evaluate.report import as_png, blank
from drive_seg.lab.evaluate.sweep import BASELINES, EVERY, Row, Sweep

# Okabe and Ito's colours, which people tell apart who see red and green alike; one a propagation.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
GREY = "#777777"  # what keeps labels
DOTTED = (0, (1, 3))
# By family of schedules; what is not here has the last one.
SHAPES: dict[str, dict[str, Any]] = {
    "clockwork": {"marker": "o", "linestyle": "-"},
    "adaptive": {"marker": "s", "linestyle": "--"},
    "keyframe": {"marker": "^", "linestyle": "-."},
    "async": {"marker": "D", "linestyle": ":"},
    "oracle": {"marker": "x", "linestyle": ":", "alpha": 0.55},
    **{name: {"marker": "o", "linestyle": line, "color": GREY} for name, line in zip(BASELINES.values(), (":", "-", "--"), strict=False)},
    "": {"marker": "v", "linestyle": "-"},
}
STAR: dict[str, Any] = {"marker": "*", "markersize": 15, "markeredgecolor": "black", "markeredgewidth": 0.6, "linestyle": "none"}
OTHER: dict[str, Any] = {"marker": "P", "markersize": 9, "linestyle": "none", "color": "black"}


def plot_sweep(sweep: Sweep, goal_points: float, goal_share: float) -> bytes:
    """Two panels: mIoU against p50 latency and against GFLOP per frame, with lines where the goals lie."""
    figure = blank(figsize=(13, 7))
    scale, colours = sweep.rows[0], _colours([row.propagation for row in sweep.rows if row.kind == "run"])
    left, right = figure.subplots(1, 2, sharey=True)
    left.set(xlabel="p50 latency in ms, frame to labels", ylabel="mIoU")
    right.set(xlabel="GFLOP per frame")
    right.axvline(goal_share * scale.gflop, color="black", linewidth=0.8, linestyle=DOTTED)
    for axes, across, unit in ((left, lambda row: row.latency_ms["p50"] or 0.0, "ms"), (right, lambda row: row.gflop, "GFLOP")):
        axes.axhline(scale.miou - goal_points / 100, color="black", linewidth=0.8, linestyle=DOTTED)
        _draw_rows(axes, sweep.rows, across, colours)
        _draw_others(axes, sweep.rows, across, unit)
        axes.grid(alpha=0.25)
    families = dict.fromkeys(row.family for row in sweep.rows if row.kind != "other")
    keys = {name: {"color": "black", **(STAR if name == EVERY else _shape(name))} for name in families}
    keys |= {name: {"color": colour, "linewidth": 7} for name, colour in colours.items()}
    keys |= {row.name: OTHER for row in sweep.rows if row.kind == "other"}
    keys[f"{goal_points:g} points below every-frame, {goal_share:.0%} of its GFLOP"] = {"color": "black", "linestyle": DOTTED}
    _legend(figure, keys)
    figure.suptitle(f"{sweep.model}, {sweep.backend} {sweep.precision}, {sweep.device}; {sweep.frames} frames of {sweep.clip}", fontsize=10)
    return as_png(figure)


def _draw_rows(axes: Any, rows: Sequence[Row], across: Callable[[Row], float], colours: Mapping[str, str]) -> None:
    """A line for each family and propagation, and the axis as wide as these need it."""
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.kind != "other":
            lines.setdefault((row.family, row.propagation), []).append(row)
    for (family, propagation), line in lines.items():
        drawn = {
            "color": colours.get(propagation, GREY),
            "linewidth": 1.4,
            "markersize": 6,
            **(STAR if family == EVERY else _shape(family)),
        }
        axes.plot([across(row) for row in line], [row.miou for row in line], **drawn)
    axes.set_xlim(0, 1.08 * max(across(row) for line in lines.values() for row in line))


def _draw_others(axes: Any, rows: Sequence[Row], across: Callable[[Row], float], unit: str) -> None:
    """The other bundles; one that lies beyond the axis stands at its end, with its figure."""
    end = axes.get_xlim()[1]
    for row in rows:
        if row.kind == "other":
            x, beyond = across(row), across(row) > end
            axes.plot(min(x, end), row.miou, **OTHER, clip_on=False)
            if beyond:
                axes.annotate(
                    f"{row.model}: {x:.1f} {unit} \N{RIGHTWARDS ARROW}", (end, row.miou), xytext=(-9, -16), textcoords="offset points",
                    ha="right", va="center", fontsize=9, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
                )  # fmt: skip


def _shape(family: str) -> dict[str, Any]:
    return SHAPES.get(family, SHAPES[""])


def _colours(propagations: Sequence[str]) -> dict[str, str]:
    return dict(zip(dict.fromkeys(propagations), COLOURS, strict=False))


def _legend(figure: Any, keys: Mapping[str, Mapping[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=name, **look) for name, look in keys.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=9, frameon=False)


def plot_ages(sweep: Sweep) -> bytes:
    """mIoU by age, a line for each propagation, the baselines in grey."""
    figure = blank(figsize=(8, 5))
    frames = max(curve.label_frames for curve in sweep.ages.values())
    axes = figure.add_subplot(xlabel=f"age of the key frame in frames of {1e3 / sweep.hz:.0f} ms", ylabel="mIoU")
    colours = _colours([name for name in sweep.ages if name not in BASELINES.values()])
    for name, curve in sweep.ages.items():
        known = [(age, miou) for age, miou in enumerate(curve.miou) if miou is not None]
        look = {"marker": "o", "color": colours[name]} if name in colours else _shape(name)
        axes.plot([age for age, _ in known], [miou for _, miou in known], markersize=5, label=name, **look)
    axes.set_xticks(range(max(len(curve.miou) for curve in sweep.ages.values())))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    axes.set_title(f"{sweep.model}, {sweep.backend} {sweep.precision}; the same {frames} frames at every age", fontsize=10)
    return as_png(figure)
