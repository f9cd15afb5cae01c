"""`drive-seg quantize`: a bundle's int8 stages."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from drive_seg.cli.flags import Debug, check_outputs, made_folder, out, read_by, require_lab
from drive_seg.errors import UsageError
from drive_seg.network import card as bundles


def quantize(
    model: Annotated[str, typer.Argument(metavar="BUNDLE", help="bundle, by name or folder; int8 files are written into it")],
    images: Annotated[Path, typer.Option(metavar="DIR", help="training pictures to calibrate on; never those it is checked on")],
    check_images: Annotated[Path | None, typer.Option(metavar="DIR", help="pictures to see what it costs")] = None,
    check_labels: Annotated[Path | None, typer.Option(metavar="DIR", help="and their class-id PNGs")] = None,
    frames: Annotated[int, typer.Option(metavar="N", min=1, help="of calibration, evenly spread over the folder")] = 64,
    floats: Annotated[
        list[str] | None, typer.Option("--float", metavar="NAME", help="leave this stage, or a propagation's head, as it is; repeatable")
    ] = None,
    calib: Annotated[Path, typer.Option(metavar="DIR", help="the record goes into DIR/BUNDLE")] = Path("calib"),
    debug: Debug = False,
) -> None:
    """Make int8 stages for a bundle, measure what they cost and gain, and let its card prefer them if they are worth it."""
    require_lab()
    from drive_seg.lab.build.compare import FILES, judge
    from drive_seg.lab.build.quantize import quantize_bundle, spread
    from drive_seg.lab.evaluate.accuracy import from_pairs
    from drive_seg.lab.evaluate.pairs import read_picture

    if (check_images is None) != (check_labels is None):
        raise UsageError("give --check-images and --check-labels, or neither")
    folder, card = bundles.locate(model), bundles.load_bundle(model).card
    record = made_folder(calib / card.name, "--calib")
    check_outputs(
        (*read_by("--images", images), *read_by("--check-images", check_images), *read_by("--check-labels", check_labels)),
        {"--calib": [record / name for name in FILES]},
        overwrite=True,
    )
    made = quantize_bundle(folder, images, frames, floats or ())
    checked = (check_images, check_labels) if check_images and check_labels else None
    command = ["drive-seg", "quantize", model, "--images", str(images), "--frames", str(frames)]
    command += [word for stage in floats or () for word in ("--float", stage)]
    command += ["--check-images", str(check_images), "--check-labels", str(check_labels)] if checked else []
    seen = (
        (lambda: from_pairs(checked, card.classes)) if checked else lambda: ((read_picture(path), None) for path in spread(images, frames))
    )
    report = judge(folder, made, seen, record, shlex.join(command))
    out.print(f"{folder}: {report['why']}", soft_wrap=True, markup=False)
    out.print(f"wrote {record}", soft_wrap=True, markup=False)
