"""`drive-seg zoo`: every architecture by one recipe."""

from pathlib import Path
from typing import Annotated

import typer

from drive_seg.cli.flags import Debug, alone_in, err, out, require_lab


def zoo(
    recipe: Annotated[Path, typer.Argument(help="TOML, such as recipes/models.toml")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="trainings, bundles, zoo.md and zoo.json")],
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="this network, such as unet or deeplab:atrous=1; can be repeated  [all]")
    ] = None,
    drive: Annotated[list[str] | None, typer.Option(metavar="DRIVE", help="leave this one out in turn; repeatable  [CamVid's]")] = None,
    debug: Debug = False,
) -> None:
    """Train every architecture by one recipe with each drive left out, score and time them all, and write the table."""
    require_lab()
    from drive_seg.lab.build.zoo import DRIVES, NETWORKS, survey
    from drive_seg.lab.train.recipe import Recipe

    taught = Recipe.load(recipe)
    with alone_in(out_dir) as folder:
        survey(taught, only or NETWORKS, drive or DRIVES, folder, lambda line: err.print(line, soft_wrap=True, markup=False))
    out.print(f"wrote {out_dir / 'zoo.md'}", soft_wrap=True, markup=False)
