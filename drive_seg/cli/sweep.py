"""`drive-seg sweep`: schedules, modes and propagations beside each other."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from drive_seg.cli.flags import Backend, Debug, Device, Overwrite, Precision, Threads, check_outputs, out, read_by, require_lab
from drive_seg.errors import SinkError
from drive_seg.settings import DEFAULT_MODEL, Settings


def sweep(
    context: typer.Context,
    clip: Annotated[Path, typer.Option(metavar="DIR", help="a drive: its frames at 15 Hz in DIR/images, and DIR/labels")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="sweep.md, sweep.json and two plots")],
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="BUNDLE", help=f"bundle; can be repeated: others stand beside it at every frame  [{DEFAULT_MODEL}]"),
    ] = None,
    propagation: Annotated[list[str] | None, typer.Option(help="this one; can be repeated  [all that the bundle has]")] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(help="this one, or async:K for every frame in that mode; can be repeated  [fixed, adaptive, keyframe, async]"),
    ] = None,
    backend: Backend = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Compare schedules, modes and propagations with each other and with what they have to beat, in one run over the same frames."""
    require_lab("matplotlib")
    from drive_seg.bench.machine import provenance
    from drive_seg.lab.evaluate.sweep import Row
    from drive_seg.lab.evaluate.sweep import sweep as measure
    from drive_seg.lab.evaluate.sweep_report import FILES, conclusions, line, write_sweep

    settings = Settings.load(None, {"backend": backend, "device": device, "precision": precision, "threads": threads})
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{out_dir}: cannot be made ({error.strerror}); give another --out") from error
    check_outputs(read_by("--clip", clip), {"--out": [out_dir / name for name in FILES]}, overwrite)
    ran = provenance(shlex.join(("drive-seg", *context.obj)))

    def tell(row: Row) -> None:
        out.print(line(row), soft_wrap=True, markup=False)

    measured = measure(clip, model or [DEFAULT_MODEL], settings, propagation or (), schedule or (), tell)
    write_sweep(out_dir, measured, ran)
    out.print("\n".join(conclusions(measured.rows)), soft_wrap=True, markup=False)
    out.print(f"wrote {out_dir / 'sweep.md'}", soft_wrap=True, markup=False)
