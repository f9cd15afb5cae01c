"""`drive-seg bench`: one configuration, several in turns, or two earlier measurements."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from drive_seg.cli.benchmark import run_benchmark, run_window_benchmark
from drive_seg.cli.flags import (
    Channels,
    Deadline,
    Debug,
    Device,
    InputSize,
    Json,
    MaxFrames,
    Mean,
    MinFrames,
    MinTime,
    Overwrite,
    Realtime,
    Refine,
    Std,
    Threads,
    Warmup,
    as_json,
    check_outputs,
    err,
    figures_of,
    json_of,
    out,
    read_by,
    require_lab,
    reserved,
)
from drive_seg.errors import SinkError, UsageError
from drive_seg.files import expanded
from drive_seg.settings import DEFAULT_MODEL, Settings

Several = Annotated[list[str] | None, typer.Option(help="as for run; can be repeated")]


def bench(
    context: typer.Context,
    source: Annotated[str | None, typer.Option(help="as for run; what has an end is looped, and whole rounds are counted")] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="BUNDLE", help=f"bundle, or net.onnx; can be repeated  [{DEFAULT_MODEL}]")
    ] = None,
    backend: Several = None,
    precision: Several = None,
    schedule: Several = None,
    mode: Several = None,
    propagation: Several = None,
    class_names: Annotated[Path | None, typer.Option("--class-names", "--labels", metavar="FILE", help="of every net.onnx")] = None,
    mean: Mean = None,
    std: Std = None,
    channels: Channels = None,
    input_size: InputSize = None,
    device: Device = None,
    threads: Threads = None,
    refine: Refine = None,
    realtime: Realtime = None,
    max_frames: MaxFrames = None,
    warmup: Warmup = None,
    min_frames: MinFrames = None,
    min_time: MinTime = None,
    deadline: Deadline = None,
    matrix: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="TOML that says what to measure; flags win over it; can be repeated")
    ] = None,
    rounds: Annotated[int | None, typer.Option(metavar="N", min=1, help="in which several configurations take turns  [3]")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="NAME.md, NAME.json, NAME.html  [out/bench]")] = None,
    into: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Markdown whose blocks <!-- bench:NAME --> and NAME:short become the table; repeatable"),
    ] = None,
    window: Annotated[
        bool, typer.Option("--window", help="one configuration in the window, at its own pace: Qt's thread, capture to painted")
    ] = False,
    compare: Annotated[tuple[Path, Path] | None, typer.Option(metavar="A.json B.json", help="what B took of A's time")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="compare what was measured on different frames, and say so")] = False,
    json_file: Json = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Measure one configuration, or several in turns (repeated flags are multiplied), or compare two earlier measurements."""
    given = {
        "source": source, "model": model, "backend": backend, "precision": precision, "schedule": schedule, "mode": mode,
        "propagation": propagation, "class_names": class_names, "mean": mean, "std": std, "channels": channels, "input_size": input_size,
        "device": device, "threads": threads, "refine": refine, "realtime": realtime, "max_frames": max_frames, "warmup": warmup,
        "min_frames": min_frames, "min_time": min_time, "deadline": deadline,
    }  # fmt: skip
    flags = {name: value for name, value in given.items() if value is not None}
    if compare:
        if flags or matrix:
            raise UsageError("--compare: measures nothing; leave the other flags out")
        check_outputs(read_by("--compare", *compare), {"--json": [json_file]}, overwrite)
        with json_of(json_file, overwrite) as keep:
            keep(_compare(*compare, anyway))
        return
    from drive_seg.bench.matrix import Matrix, multiplied, read_matrix

    command = shlex.join(("drive-seg", *context.obj))
    told = {} if rounds is None else {"rounds": rounds}
    kept = {"json": json_file, "overwrite": overwrite}
    if matrix:
        if window:
            raise UsageError("--window: measures one configuration; leave --matrix out")
        if json_file:
            raise UsageError("--json: a matrix writes its own; give --out DIR")
        _measure([read_matrix(path, {**flags, **told}) for path in matrix], command, out_dir, into or (), overwrite, matrix)
        return
    combinations = multiplied(flags)
    if window and (len(combinations) > 1 or out_dir or into):
        raise UsageError("--window: measures one configuration; leave the others, --out and --into out")
    if window:
        settings = Settings.load(None, {**combinations[0].flags, **kept, "loop": True})
        with figures_of(settings) as keep:
            run_window_benchmark(settings, command, keep)
        return
    if len(combinations) > 1 or out_dir or into:
        one = Matrix("bench", "Configurations in turns", tuple(combinations), **told)
        _measure([one], command, out_dir, into or (), overwrite)
        return
    settings = Settings.load(None, {**combinations[0].flags, **kept, "benchmark": True})
    with figures_of(settings) as keep:
        run_benchmark(settings, command, keep)


def _measure(
    matrices: Sequence[Any], command: str, out_dir: Path | None, into: Sequence[Path], overwrite: bool, told: Sequence[Path] = ()
) -> None:
    """`told`: the files that the matrices come from."""
    require_lab("jinja2", "matplotlib")
    from drive_seg.bench.blocks import check_blocks, fill_block
    from drive_seg.bench.machine import describe, provenance
    from drive_seg.bench.matrix import measure_in_process, run_matrix
    from drive_seg.bench.report import as_html, as_markdown, block, short_block
    from drive_seg.session.paths import reads

    folder = expanded(out_dir or "out/bench")
    files = {matrix.name: [folder / f"{matrix.name}.{kind}" for kind in ("md", "json", "html")] for matrix in matrices}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{folder}: cannot be made ({error.strerror}); give another --out") from error
    played = (use for matrix in matrices for one in matrix.combinations for use in reads(Settings.load(None, one.flags)))
    made = [path for paths in files.values() for path in paths]
    check_outputs([*read_by("--matrix", *told), *read_by("--into", *into), *played], {"--out": made}, overwrite)
    for matrix in matrices if into else ():
        check_blocks(into, matrix.name)
    with ExitStack() as stack:
        keep = {path: stack.enter_context(reserved(path, overwrite)) for path in made}
        for matrix in matrices:
            ran = {"machine": describe(), **provenance(command)}
            result = {**run_matrix(matrix, measure_in_process, lambda line: err.print(line, soft_wrap=True, markup=False)), **ran}
            texts = as_markdown(result), as_json(result) + "\n", as_html(result)
            for path, text in zip(files[matrix.name], texts, strict=True):
                keep[path](text)
            filled = (
                fill_block(into, matrix.name, block(result)) + fill_block(into, f"{matrix.name}:short", short_block(result)) if into else []
            )
            for path in (*files[matrix.name], *filled):
                out.print(f"wrote {path}", soft_wrap=True, markup=False)


def _compare(first: Path, second: Path, anyway: bool) -> dict[str, Any]:
    from drive_seg.bench.compare import compare_files

    found = compare_files(first, second, anyway)
    out.print("B / A of frame to labels, with 95 % intervals; below 1 B is faster", soft_wrap=True, markup=False)
    for row in found["rows"]:
        figures = ", ".join(f"{name} {_ratio(row[name])}" for name in ("p50", "p99"))
        out.print(f"{row['name']}: {figures}", soft_wrap=True, markup=False)
    for line in (*found["differences"], *found["notes"]):
        out.print(f"note: {line}", soft_wrap=True, markup=False)
    return found


def _ratio(one: Mapping[str, float]) -> str:
    return f"{one['ratio']:.3f} ({one['low']:.3f} to {one['high']:.3f}), from {one['a']:.2f} to {one['b']:.2f} ms"
