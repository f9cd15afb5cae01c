"""`drive-seg models`: the bundles that there are."""

from rich.table import Table

from drive_seg.cli.flags import out
from drive_seg.errors import BundleError
from drive_seg.network import card as bundles


def models() -> None:
    """List the bundles that can be run, and where each lies."""
    table = Table("bundle", "classes", "input", "parameters", "GFLOP low/(mid/)high/head", "mIoU")
    places = []
    for name, (folder, *hidden) in bundles.everywhere().items():
        places += [f"{name}: {folder}", *(f"{name}: {other}, hidden by the one above; name it by this path" for other in hidden)]
        try:
            card = bundles.load_bundle(name).card
        except BundleError as error:  # must not keep the others from being listed
            places.append(f"{name}: {error}")
            continue
        table.add_row(
            name,
            str(len(card.classes)),
            f"{card.input.width}x{card.input.height}",
            f"{card.parameters / 1e6:.1f} M",
            "/".join(f"{stage.gflop:.1f}" for stage in card.stages.values()),
            ", ".join(f"{key} {value['miou']:.3f}" for key, value in card.measured.items() if "miou" in value) or "not measured",
        )
    out.print(table)
    for line in places:
        out.print(line, soft_wrap=True, markup=False)
