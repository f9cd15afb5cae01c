"""`drive-seg sweep`: schedules, modes and propagations beside each other."""

from pathlib import Path
from typing import Annotated

import typer

from drive_seg.cli.flags import Debug, check_outputs, made_folder, out, read_by, require_lab, typed
from drive_seg.cli.options import Flags, takes
from drive_seg.settings import DEFAULT_MODEL, Settings

HELP = {
    "model": f"bundle; can be repeated: others stand beside it at every frame  [{DEFAULT_MODEL}]",
    "propagation": "this one; can be repeated  [all that the bundle has]",
    "schedule": "this one, or async:K for every frame in that mode; can be repeated  [fixed, adaptive, keyframe, async]",
}


@takes("backend", "device", "precision", "threads", "overwrite", *HELP, repeated=HELP, instead=HELP)
def sweep(
    context: typer.Context,
    flags: Flags,
    clip: Annotated[Path, typer.Option(metavar="DIR", help="a drive: its frames at 15 Hz in DIR/images, and DIR/labels")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="sweep.md, sweep.json and two plots")],
    record: Annotated[bool, typer.Option("--record", help="write what each way gave into the card, which --schedule auto reads")] = False,
    debug: Debug = False,
) -> None:
    """Compare schedules, modes and propagations with each other and with what they have to beat, in one run over the same frames."""
    require_lab("matplotlib")
    from drive_seg.bench.machine import provenance
    from drive_seg.lab.build.modelcard import keep
    from drive_seg.lab.evaluate.sweep import Row, ways
    from drive_seg.lab.evaluate.sweep import sweep as measure
    from drive_seg.lab.evaluate.sweep_report import FILES, conclusions, line, write_sweep
    from drive_seg.network.card import load_bundle
    from drive_seg.session.auto import SWEEP

    models, propagations, schedules = flags.pop("model", [DEFAULT_MODEL]), flags.pop("propagation", ()), flags.pop("schedule", ())
    settings, folder = Settings.load(None, flags), made_folder(out_dir)
    check_outputs(read_by("--clip", clip), {"--out": [folder / name for name in FILES]}, settings.overwrite)
    ran = provenance(typed(context))

    def tell(row: Row) -> None:
        out.print(line(row), soft_wrap=True, markup=False)

    measured = measure(clip, models, settings, propagations, schedules, tell)
    write_sweep(folder, measured, ran)
    if record:
        out.print(f"wrote {keep(load_bundle(models[0]), SWEEP, ways(measured) | ran)}", soft_wrap=True, markup=False)
    out.print("\n".join(conclusions(measured.rows)), soft_wrap=True, markup=False)
    out.print(f"wrote {folder / 'sweep.md'}", soft_wrap=True, markup=False)
