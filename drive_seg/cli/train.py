"""`drive-seg train`: a network by a recipe."""

from pathlib import Path
from typing import Annotated

import typer

from drive_seg.cli.flags import Debug, SkipBad, alone_in, out, require_lab


def train(
    recipe: Annotated[Path, typer.Argument(help="TOML, such as recipes/camvid.toml")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="checkpoint, log and plot; a training that is there goes on")],
    architecture: Annotated[
        str | None, typer.Option(metavar="NAME", help="instead of the recipe's, such as fcn8s, unet; a wrong one lists them")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="instead of the recipe's")] = None,
    hold_out: Annotated[
        list[str] | None, typer.Option(metavar="DRIVE", help="leave this drive out and validate on it; can be repeated")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="forget the checkpoint that is there")] = False,
    save_every: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="write the checkpoint this often")] = 120.0,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Train a network by a recipe, on the CPU or a GPU; killed at any moment, it goes on where it was."""
    require_lab()
    from drive_seg.lab.train.loop import train as learn
    from drive_seg.lab.train.plot import plot_log
    from drive_seg.lab.train.recipe import Recipe

    taught = Recipe.load(recipe, architecture=architecture, epochs=epochs, hold_out=hold_out or None)
    with alone_in(out_dir) as folder:
        trained = learn(taught, folder, restart, save_every_s=save_every, skip_bad=skip_bad)
        plot_log(folder / "log.jsonl", folder / "log.png")
    said = "" if trained.miou is None else f", mIoU {trained.miou:.4f} on the validation pictures"
    out.print(f"{trained.checkpoint}: {trained.steps} steps{said}", soft_wrap=True, markup=False)
