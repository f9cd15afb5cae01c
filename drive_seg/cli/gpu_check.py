"""`drive-seg gpu-check`: every bundle on an NVIDIA GPU."""

from pathlib import Path
from typing import Annotated

import typer

from drive_seg.cli.flags import Debug, err, out, typed
from drive_seg.network import card as bundles


def gpu_check(
    context: typer.Context,
    model: Annotated[list[str] | None, typer.Argument(metavar="[BUNDLE …]", help="bundles, by name or folder  [all]")] = None,
    clip: Annotated[Path | None, typer.Option(metavar="DIR", help="pictures, or DIR/images, to compare labels on beside the demo")] = None,
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="the figures replace DIR/<gpu>.json")] = Path("docs/bench"),
    debug: Debug = False,
) -> None:
    """On a machine with an NVIDIA GPU: build every bundle, compare its labels with the CPU's, time it, and say what could not be had."""
    from drive_seg.bench.gpu.check import check
    from drive_seg.bench.gpu.table import make_tables, require_good

    found = [bundles.load_bundle(name) for name in model or bundles.names()]
    report = check(found, clip, out_dir, typed(context), lambda line: err.print(line, soft_wrap=True, markup=False))
    for table in make_tables(report):
        out.print(table)
    if report["file"]:
        out.print(f"wrote {report['file']}", soft_wrap=True, markup=False)
    else:
        err.print(f"nothing was measured: {report['launches']['not_measured']}", soft_wrap=True, markup=False)
    require_good(report)
