"""`drive-seg engines`: what was compiled for this machine."""

import typer
from rich.table import Table

from drive_seg.cli.flags import Debug, out

engines = typer.Typer(no_args_is_help=True, help="What was compiled for this machine: list, clear.")


@engines.command("list")
def engines_list(debug: Debug = False) -> None:
    """Every compiled engine, what it is of, and whether it is whole."""
    from drive_seg.backends.tensorrt.store import ANY_GPU, Store

    store, table = Store(), Table("engine", "precision", "input", "MiB", "s", "for")
    for one in store.listed():
        if one.about is None:
            table.add_row(one.path.name, "–", "–", "–", "–", one.why)
            continue
        key = one.about.key
        first = "x".join(map(str, one.about.inputs[0].shape))
        fits = f"{key.flavour} {key.version}" + ("" if key.gpu == ANY_GPU else f" on {key.gpu}")
        figures = f"{one.about.bytes / 2**20:.1f}", f"{one.about.build_s:.1f}"
        table.add_row(key.source, one.about.precision, first, *figures, one.why or fits)
    out.print(table if table.row_count else f"no engine in {store.folder}; make some with `drive-seg build`")


@engines.command("clear")
def engines_clear(debug: Debug = False) -> None:
    """Remove every compiled engine; what is needed is built again."""
    from drive_seg.backends.tensorrt.store import Store

    store = Store()
    count, size = store.clear()
    out.print(f"{store.folder}: removed {count} engines, {size / 2**20:.1f} MiB", soft_wrap=True, markup=False)
