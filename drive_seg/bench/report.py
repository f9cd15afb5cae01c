"""A matrix of measurements for people: the table in Markdown, and one HTML page that needs nothing beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drive_seg.bench.matrix import all_ms
from drive_seg.bench.plot import accuracy_against_latency, histograms, time_lines
from drive_seg.lab.evaluate.tables import figure, html_page, markdown_table

TEMPLATE = Path(__file__).with_name("report.html")


def columns(result: Mapping[str, Any]) -> dict[str, list[str]]:
    """The table, column by column; those that no row has anything in are left out."""
    rows = result["rows"]
    late = next((row["deadline"] for row in rows if row["deadline"]), None)
    made = {
        "": [row["name"] for row in rows],
        "runs on": [f"{row['backend']} {row['precision']}" for row in rows],
        **{name: [figure(row["latency_ms"][name], ".2f") for row in rows] for name in ("p50", "p95", "p99", "p99.9", "max")},
        "p50 of key frames": [figure(row["total_ms"]["key"]["p50"], ".2f") for row in rows],
        "p50 of others": [figure(row["total_ms"]["other"]["p50"], ".2f") for row in rows],
        f"late for {late['ms']:.1f} ms" if late else "late": [figure(row["deadline"] and row["deadline"]["share"], ".2%") for row in rows],
        "fps": [f"{row['fps']:.1f}" for row in rows],
        "CPU cores": [f"{row['cores']:.2f}" for row in rows],
        "MiB": [figure(row["memory_mib"], ".0f") for row in rows],
        "J a frame": [_joules(row["joules_per_frame"]) for row in rows],
        "mIoU": [figure(row["miou"]) for row in rows],
        "p50 to the first row's": ["1", *(_ratio(row["against_first"]["p50"]) for row in rows[1:])],
        "p99 to the first row's": ["1", *(_ratio(row["against_first"]["p99"]) for row in rows[1:])],
    }
    return {name: cells for name, cells in made.items() if any(cell not in ("–", "1") for cell in cells)}


def _joules(by_counter: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {joules:.3f}" for name, joules in by_counter.items()) or "–"


def _ratio(one: Mapping[str, float]) -> str:
    return f"{one['ratio']:.2f} ({one['low']:.2f}–{one['high']:.2f})"


def provenance_line(result: Mapping[str, Any]) -> str:
    """Machine, date, versions, source and how much was counted."""
    machine, sources = result["machine"], {_source(row["source"]): row for row in result["rows"]}
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    frames = sorted({row["frames"] for row in result["rows"]})
    counted = f"{frames[0]}" if len(set(frames)) == 1 else f"{frames[0]} to {frames[-1]}" if frames else "no"
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{machine['cpu']}, {machine['threads']} of its threads{gpu}, {machine['memory_gib']} GiB, {machine['kernel']}; {result['date']}; "
        f"{versions}. {'; '.join(sources)}; {counted} frames a row in {result['rounds']} rounds by turns. Frame to labels in ms."
    )


def _source(source: Mapping[str, Any]) -> str:
    return f"{source['name']}, {source['width']}x{source['height']}{', at its own pace' if source['paced'] else ', back to back'}"


def block(result: Mapping[str, Any]) -> str:
    """What stands in a document: the table, what made it, and what to mind."""
    table = columns(result)
    parts = [markdown_table(list(table), zip(*table.values(), strict=True))] if result["rows"] else []
    parts += [provenance_line(result), f"    {result['command']}"]
    minded = [f"- {row['name']}: {'; '.join(row['notes'])}" for row in result["rows"] if row["notes"]]
    if minded:
        parts.append("To mind:\n\n" + "\n".join(minded))
    if result["cannot_run"]:
        parts.append("Could not run here:\n\n" + "\n".join(f"- {one['name']}: {one['reason']}" for one in result["cannot_run"]))
    return "\n\n".join(parts)


def short_block(result: Mapping[str, Any]) -> str:
    """What stands on a first page: four columns, and a sentence on how they were measured."""
    rows, machine = result["rows"], result["machine"]
    if not rows:
        return "Nothing could be measured."
    lines = [(row["name"], *(f"{row['latency_ms'][name]:.1f}" for name in ("p50", "p99")), figure(row["miou"], ".3f")) for row in rows]
    sources = dict.fromkeys(_source(row["source"]) for row in rows)
    runtimes = dict.fromkeys(f"{row['backend']} {row['precision']}" for row in rows)
    least = min(row["frames"] for row in rows)
    said = (
        f"Frame to labels of {' and '.join(sources)}, at least {least} frames a row in {result['rounds']} rounds by turns, "
        f"{' and '.join(runtimes)} on {machine['threads']} threads of {machine['cpu']}, {result['date'][:10]}"
    )
    noisy = any("unstable" in note for row in rows for note in row["notes"])
    said += "; the machine was noisy, and some of the runs call themselves unstable." if noisy else "."
    return markdown_table(("", "p50, ms", "p99, ms", "mIoU"), lines) + f"\n\n{said}"


def unknown(result: Mapping[str, Any]) -> list[str]:
    """Why there is no accuracy, and no energy, in sentences."""
    said = [f"No mIoU of {row['name']}: {row['no_miou']}." for row in result["rows"] if row["no_miou"]]
    energy = {name: why for row in result["rows"] for name, why in row["energy_not_measured"].items()}
    return said + [f"Energy of the {name} was not measured: {why}." for name, why in energy.items()]


def as_markdown(result: Mapping[str, Any]) -> str:
    alone = [
        f"- {row['name']}: p50 by round {', '.join(f'{ms:.2f}' for ms in row['p50_by_round'])} ms; `{row['command']}`"
        for row in result["rows"]
    ]
    parts = [f"# {result['title']}", block(result), "\n".join(unknown(result)), "## Each alone", "\n".join(alone)]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_html(result: Mapping[str, Any]) -> str:
    """One page; its pictures are in it."""
    rows = result["rows"]
    series = [all_ms(row) for row in rows]
    plots = {}
    if rows:
        plots = {"Latency": histograms(rows, series), "Frame by frame": time_lines(rows, series)}
    if any(row["miou"] is not None for row in rows):
        plots = {"Accuracy against latency": accuracy_against_latency(rows), **plots}
    return html_page(
        TEMPLATE,
        result=result,
        columns=columns(result),
        lines=list(zip(*columns(result).values(), strict=True)),
        provenance=provenance_line(result),
        unknown=unknown(result),
        plots=plots,
    )
