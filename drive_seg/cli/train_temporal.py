"""`drive-seg train-temporal`: what a bundle does between its key frames."""

from pathlib import Path
from typing import Annotated

import typer

from drive_seg.cli.flags import Debug, alone_in, out, require_lab
from drive_seg.network import card as bundles


def train_temporal(
    model: Annotated[str, typer.Argument(metavar="BUNDLE", help="bundle, by name or folder; what is learned is written into it")],
    recipe: Annotated[Path, typer.Argument(help="TOML, such as recipes/temporal.toml")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="checkpoint and log; a training that is there goes on")],
    debug: Debug = False,
) -> None:
    """Teach a bundle the frames between its key frames: stale contexts, a forecast, learned propagations. Then quantize it again."""
    require_lab()
    from drive_seg.lab.build.attach import attach
    from drive_seg.lab.models.stored import read_network
    from drive_seg.lab.train.temporal import TemporalRecipe, distill, load_temporal

    bundle, settings = bundles.load_bundle(model), TemporalRecipe.load(recipe)
    network = read_network(bundle)
    with alone_in(out_dir) as folder:
        learned = distill(bundle, network, settings, folder)
    card = attach(bundle, network, load_temporal(learned.checkpoint, network, settings))
    out.print(f"{bundle.folder}: propagations {', '.join(card.propagations)}; run `drive-seg quantize` again", soft_wrap=True, markup=False)
