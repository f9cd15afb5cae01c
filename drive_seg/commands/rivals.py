"""`drive-seg rivals`: the per-frame networks that others ship, untrained, as ONNX files to be timed beside a bundle."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from drive_seg.commands.flags import Debug, Overwrite, check_outputs, err, out, read_by, require_lab
from drive_seg.settings import Settings


def rivals(
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="NAME.onnx, and the names of their classes in classes.txt")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME …]", help="networks; a wrong name lists them  [all]")] = None,
    input_size: Annotated[str | None, typer.Option(metavar="WxH", help="of the networks, which is fixed  [480x360]")] = None,
    int8: Annotated[Path | None, typer.Option(metavar="DIR", help="NAME.int8.onnx too, calibrated on these pictures")] = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Write the networks that one would pick instead, untrained: for speed only."""
    require_lab("torch", "onnx", "onnxruntime")
    from drive_seg.lab.build.rivals import CLASSES, SIZE_HW, UNTRAINED, write_rivals
    from drive_seg.lab.models.rivals import RIVALS

    size = Settings.load(None, {"input_size": input_size}).input_size
    height, width = size[::-1] if size else SIZE_HW
    made = [out_dir / CLASSES, *(out_dir / f"{name}{ending}" for name in names or RIVALS for ending in (".onnx", ".int8.onnx"))]
    check_outputs(read_by("--int8", int8), {"--out": made if out_dir.exists() else []}, overwrite)
    table = Table("network", "parameters", f"GFLOP at {width}x{height}", "file, MB", title=UNTRAINED)
    for written in write_rivals(out_dir, names or tuple(RIVALS), (height, width), int8):
        for path in written.files:
            err.print(f"wrote {path}", soft_wrap=True, markup=False)
        megabytes = " / ".join(f"{path.stat().st_size / 1e6:.1f}" for path in written.files)
        table.add_row(RIVALS[written.name].title, f"{written.parameters / 1e6:.2f} M", f"{written.gflop:.2f}", megabytes)
    out.print(table)
    example = out_dir / f"{(names or list(RIVALS))[0]}.onnx"
    out.print(f"python launch.py --model {example} --class-names {out_dir / CLASSES} --benchmark", soft_wrap=True, markup=False)
