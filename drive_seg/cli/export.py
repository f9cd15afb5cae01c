"""`drive-seg export`: a checkpoint as a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from drive_seg.cli.flags import Debug, check_outputs, made_folder, out, require_lab
from drive_seg.cli.options import Flags, takes
from drive_seg.contracts import STAGES
from drive_seg.files import Use
from drive_seg.network import card as bundles


@takes("overwrite")
def export(
    flags: Flags,
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.safetensors of a training")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="the bundle's folder, such as engines/camvid")],
    debug: Debug = False,
) -> None:
    """Turn a training's checkpoint into a bundle: one ONNX per stage, and the card."""
    require_lab()
    from drive_seg.lab.build.export import export_bundle

    folder = made_folder(out_dir)
    made = [folder / name for name in (bundles.CARD, *(f"{stage}.onnx" for stage in STAGES))]
    check_outputs([Use("CHECKPOINT", checkpoint, "read")], {"--out": made}, bool(flags))
    card = export_bundle(checkpoint, folder)
    out.print(
        f"{out_dir}: {card.parameters / 1e6:.1f} M parameters, {sum(s.gflop for s in card.stages.values()):.1f} GFLOP", soft_wrap=True
    )
