"""One configuration measured, and its figures as a table and sentences."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from drive_seg.cli.flags import out
from drive_seg.cli.headless import announced
from drive_seg.contracts import TIMED
from drive_seg.session.figures import PERCENTILES, percentiles
from drive_seg.settings import Settings


def run_benchmark(settings: Settings, command: str, keep: Callable[[object], None]) -> None:
    """Measures one configuration, prints its figures, and gives them to `keep`."""
    from drive_seg.backends.jetson import describe_jetson
    from drive_seg.bench.machine import Gauges, describe, provenance
    from drive_seg.bench.measure import measure

    machine = describe()
    with announced(settings) as cameras:
        measured = measure(cameras.sessions[0], settings, Gauges())
    summary = {**measured.summary(), "machine": machine, "jetson": describe_jetson(), **provenance(command)}
    out.print(table(summary))
    for line in sentences(summary):
        out.print(line, soft_wrap=True, markup=False)
    for path in (settings.output, settings.save_masks, settings.trace):
        if path:
            out.print(f"wrote {path}", soft_wrap=True, markup=False)
    keep(summary)


def run_window_benchmark(settings: Settings, command: str, keep: Callable[[object], None]) -> None:
    """Plays at the frames' own pace in the window, and tells what the window costs and how old a frame is when it stands there."""
    from drive_seg.bench.machine import describe, provenance
    from drive_seg.session.player import Player
    from drive_seg.ui.app import run_window

    machine, player = describe(), Player(settings)
    meter = run_window(player, seconds=settings.min_time)
    summary = {**player.summary(), "painted": len(meter.qt_ms), "seconds": settings.min_time, "machine": machine, **provenance(command)}
    measured = {"qt_ms": "Qt's thread, a frame", "qt_cpu_ms": "  its CPU", "glass_ms": "capture to painted"}
    summary |= {"qt_ms": percentiles(meter.qt_ms), "qt_cpu_ms": percentiles(meter.cpu_ms), "glass_ms": percentiles(meter.glass_ms)}
    out.print(_figures({words: summary[name] for name, words in measured.items()}))
    out.print(f"{len(meter.qt_ms)} frames painted in {settings.min_time:.0f} s; {sentence(summary)}", soft_wrap=True)
    keep(summary)


def table(summary: Mapping[str, Any]) -> Table:
    """Stage by stage; then the whole, by kind of frame and by what it is counted from."""
    ran = [stage for stage in TIMED if summary["latency_ms"][stage]["p50"] is not None]
    rows = {stage: summary["latency_ms"][stage] for stage in ran} | {"frame to labels": summary["latency_ms"]["total"]}
    rows |= {f"  {kind} frames": row for kind, row in summary["total_ms"].items() if row["frames"]}
    rows |= {"capture to labels": summary["capture_to_labels_ms"], "capture to overlay": summary["capture_to_overlay_ms"]}
    return _figures(rows, ran[-1:])


def _figures(rows: Mapping[str, Any], lined: Sequence[str] = ()) -> Table:
    """At most 80 columns wide, whatever the figures. `lined`: rows with a line under them."""
    figures, made = (*PERCENTILES, "max", "mean"), Table(box=SIMPLE, padding=0, pad_edge=False)
    made.add_column("latency in ms", no_wrap=True)
    for figure in figures:
        made.add_column(figure, justify="right", no_wrap=True, min_width=7)
    for name, row in rows.items():
        made.add_row(name, *("–" if row[figure] is None else _ms(row[figure]) for figure in figures), end_section=name in lined)
    return made


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 10_000 else f"{value:.0f}"


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """What a person wants to know beside the table."""
    cpu, source, energy = summary["cpu"], summary["source"], summary["energy"]
    said = [sentence(summary)]
    rounds = f", {source['rounds']} whole rounds of {source['round_frames']} frames" if source["whole"] else ""
    said.append(f"counted for {summary['seconds']:.1f} s after a warm-up of {summary['warmup']} frames{rounds}")
    if not source["paced"]:
        said[-1] += "; frames came back to back, so that capture to labels has waiting in it"
    if late := summary["deadline"]:
        said.append(f"deadline {late['ms']:.1f} ms, {late['by']}: {late['missed']} missed ({late['share']:.2%})")
    said.append("at work: " + ", ".join(f"{track} {share:.0%} of the time" for track, share in summary["tracks"].items()))
    memory = "" if summary["memory_mib"] is None else f"; at most {summary['memory_mib']:.0f} MiB of memory"
    said.append(f"{cpu['cores']:.2f} CPU cores busy, {cpu['share']:.0%} of what there is, others {cpu['others']:.0%}{memory}")
    spent = [f"{name} {joules:.3f} J a frame" for name, joules in energy["per_frame"].items()]
    said.append("energy: " + ", ".join(spent + [f"{name} not measured ({why})" for name, why in energy["not_measured"].items()]))
    said += [jetson] if (jetson := summary["jetson"]) else []
    return said + [f"note: {note}" for note in summary["notes"]]


def sentence(summary: Mapping[str, Any]) -> str:
    if not summary["frames"]:
        return "no frame was counted; give a longer source"
    total, fps = summary["latency_ms"]["total"], summary["fps"]
    return (
        f"{summary['frames']} frames, {fps:.1f} fps, frame to labels p50 {total['p50']:.2f} ms, p95 {total['p95']:.2f} ms; "
        f"{summary['key_frame_rate']:.0%} key frames, {summary['dropped']} dropped"
    )
