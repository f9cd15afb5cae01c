"""`drive-seg bench`: one configuration, several in turns, or two earlier measurements."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from drive_seg.cli.benchmark import run_benchmark, run_window_benchmark
from drive_seg.cli.flags import (
    Debug,
    as_json,
    check_outputs,
    err,
    figures_of,
    json_of,
    made_folder,
    out,
    read_by,
    require_lab,
    reserved,
    typed,
)
from drive_seg.cli.options import OF_NETWORK, OF_TIME, Flags, takes
from drive_seg.errors import UsageError
from drive_seg.settings import PRODUCT, Settings

HELP = {"source": "what is played; what has an end is looped, and whole rounds are counted  [demo:]", "class_names": "of every net.onnx"}


@takes(
    "source", "max_frames", "realtime", *OF_NETWORK, *OF_TIME, "warmup", "min_frames", "min_time", "deadline", "json", "overwrite",
    repeated=PRODUCT, instead=HELP,
)  # fmt: skip
def bench(
    context: typer.Context,
    flags: Flags,
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
    debug: Debug = False,
) -> None:
    """Measure one configuration, or several in turns (repeated flags are multiplied), or compare two earlier measurements."""
    kept: Flags = {name: flags.pop(name) for name in ("json", "overwrite") if name in flags}
    if compare:
        if flags or matrix:
            raise UsageError("--compare: measures nothing; leave the other flags out")
        _compare(*compare, anyway, Settings.load(None, kept))
        return
    from drive_seg.bench.matrix import Matrix, multiplied, read_matrix

    combinations, told = multiplied(flags), {} if rounds is None else {"rounds": rounds}
    if matrix or out_dir or into or len(combinations) > 1:
        if window:
            raise UsageError("--window: measures one configuration; leave the others, --matrix, --out and --into out")
        if "json" in kept:
            raise UsageError("--json: what is measured in turns writes its own; give --out DIR")
        one = Matrix("bench", "Configurations in turns", tuple(combinations), **told)
        matrices = [read_matrix(path, {**flags, **told}) for path in matrix] if matrix else [one]
        _measure(matrices, typed(context), out_dir or Path("out/bench"), into or (), "overwrite" in kept, matrix or ())
        return
    settings = Settings.load(None, {**combinations[0].flags, **kept, "loop" if window else "benchmark": True})
    with figures_of(settings) as keep:
        (run_window_benchmark if window else run_benchmark)(settings, typed(context), keep)


def _measure(matrices: Sequence[Any], command: str, out_dir: Path, into: Sequence[Path], overwrite: bool, told: Sequence[Path]) -> None:
    """`told`: the files that the matrices come from."""
    require_lab("jinja2", "matplotlib")
    from drive_seg.bench.blocks import check_blocks, fill_block
    from drive_seg.bench.machine import describe, provenance
    from drive_seg.bench.matrix import measure_in_process, run_matrix
    from drive_seg.bench.report import as_html, as_markdown, block, short_block
    from drive_seg.session.paths import reads

    folder = made_folder(out_dir)
    files = {matrix.name: [folder / f"{matrix.name}.{kind}" for kind in ("md", "json", "html")] for matrix in matrices}
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


def _compare(first: Path, second: Path, anyway: bool, settings: Settings) -> None:
    from drive_seg.bench.compare import compare_files

    check_outputs(read_by("--compare", first, second), {"--json": [settings.json_file]}, settings.overwrite)
    with json_of(settings.json_file, settings.overwrite) as keep:
        found = compare_files(first, second, anyway)
        out.print("B / A of frame to labels, with 95 % intervals; below 1 B is faster", soft_wrap=True, markup=False)
        for row in found["rows"]:
            figures = ", ".join(f"{name} {_ratio(row[name])}" for name in ("p50", "p99"))
            out.print(f"{row['name']}: {figures}", soft_wrap=True, markup=False)
        for line in (*found["differences"], *found["notes"]):
            out.print(f"note: {line}", soft_wrap=True, markup=False)
        keep(found)


def _ratio(one: Mapping[str, float]) -> str:
    return f"{one['ratio']:.3f} ({one['low']:.3f} to {one['high']:.3f}), from {one['a']:.2f} to {one['b']:.2f} ms"
