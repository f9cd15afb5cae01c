"""What gpu-check found, for people: two tables, and a verdict in one line."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from drive_seg.errors import BackendError

FIGURES = ("p50", "p95", "p99", "max")


def make_tables(report: Mapping[str, Any]) -> list[Table]:
    """The table of labels and times, and, where anything was measured, that of kernels and limits; 80 columns wide."""
    measured = [row for row in report["attempts"] if "not_measured" not in row]
    return [_times(report), *([_loads(report, measured)] if measured else [])]


def _new_table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """Without rows: columns of texts, and columns of numbers right of them."""
    table = Table(title=title, title_justify="left", caption_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in (*texts, *numbers):
        table.add_column(heading, justify="left" if heading in texts else "right", no_wrap=True)
    return table


def _times(report: Mapping[str, Any]) -> Table:
    """In ms; why something was not measured stands below, each reason once."""
    gpu, why, bundle = report["gpu"], dict[str, int](), ""
    title = f"{gpu['name']}: frame to labels, and p50 of each stage, in ms; same labels as in fp32 on the CPU" if gpu else "no GPU"
    table = _new_table(title, ("", "", "same labels"), (*FIGURES, "low", "high", "head"))
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
    if reason := (report["launches"] or {}).get("not_measured"):
        also = "" if gpu else "; nor are kernels, shares of the GPU's limits and batches"
        notes.append(f"launches are not measured{also}: {reason}")
    if gpu:
        met = [f"{row['runtime']} {row['precision']} ({row['bundle']})" for row in report["attempts"] if row.get("goal", {}).get("met")]
        notes.append(f"p99 from the uploaded frame to labels within 1 ms: {', '.join(met) or 'none'}")
        told = [f"{count} of the {name}" for name, count in report["pictures"].items() if name != "drive"]
        notes.append(f"same labels: {', '.join(told)}, in this order")
    table.caption = Text("\n".join(notes))  # Text, not markup: "drive-seg[tensorrt]" is not a style
    return table


def _loads(report: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Kernels a frame, what launching them takes, the share of the GPU's limits, and frames a second for so many at once."""
    sizes = dict.fromkeys(size for row in rows for size in row.get("batches", {}) if size != "not_measured")
    headings = ("kernels", "empty, ms", "memory", "arithm.", *(f"fps at {size}" for size in sizes))
    table = _new_table("what a frame is made of", ("", ""), headings)
    bundle = ""
    for row in rows:
        if row["bundle"] != bundle:
            bundle = row["bundle"]
            table.add_row(bundle, style="bold")
        load, limits, batches = row.get("load", {}), row.get("limits", {}), row.get("batches", {})
        counted = f"{load['kernels']:.0f}" if "kernels" in load else f"{load['layers']} l." if "layers" in load else "–"
        empty = f"{row['launching_ms']:.3f}" if row["launching_ms"] is not None else "–"
        used = [f"{limits[one]:.1%}" if limits.get(one) is not None else "–" for one in ("memory", "arithmetic")]
        fps = [f"{batches[size]['frames_per_s']:.0f}" if "frames_per_s" in batches.get(size, {}) else "–" for size in sizes]
        table.add_row(row["runtime"], row["precision"], counted, empty, *used, *fps)
    notes = ["empty: what as many empty kernels take in a CUDA graph a stage; memory, arithm.: at least, of the data sheet's peaks, by p50"]
    notes += ["l.: layers of the engine, by its inspector"] * any("layers" in row.get("load", {}) for row in rows)
    notes += dict.fromkeys(f"{what}: not measured: {reason}" for row in rows for what, reason in _gaps(row))
    if any(row.get("limits", {}).get("peaks") == "not known" for row in rows):
        notes.append(f"memory, arithm.: the peaks of {report['gpu']['name']} (in every precision) are not known")
    table.caption = Text("\n".join(notes))
    return table


def _gaps(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if reason := row.get("load", {}).get("not_measured"):
        yield "kernels", reason
    batches = row.get("batches", {})
    for size, one in {"": batches}.items() if "not_measured" in batches else batches.items():
        if reason := one.get("not_measured"):
            yield f"{row['runtime']} {row['precision']}, batches{f' of {size}' if size else ''}", reason


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
    """Raises BackendError, in one line, unless something was measured and all of it gave the labels that it should.

    A machine without a GPU has nothing to be measured, and that is no failure.
    """
    if report["gpu"] is None:
        return
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
