"""`drive-seg build`: engines before their first run."""

import re
from typing import Annotated

import typer

from drive_seg.backends.validation import PRECISIONS
from drive_seg.cli.flags import Debug, err, out
from drive_seg.cli.options import Flags, takes
from drive_seg.errors import UsageError
from drive_seg.network import card as bundles
from drive_seg.settings import Settings


@takes(
    "backend",
    "precision",
    "input_size",
    instead={"backend": "tensorrt: no other keeps what it compiles", "precision": "fp16, int8, fp8, fp32  [fp16]"},
)
def build(
    flags: Flags,
    model: Annotated[list[str] | None, typer.Argument(metavar="[BUNDLE …]", help="bundles, by name or folder  [all]")] = None,
    frame_size: Annotated[str | None, typer.Option(metavar="WxH", help="of the frames that will be played  [the network's input]")] = None,
    debug: Debug = False,
) -> None:
    """Compile bundles for an NVIDIA GPU before their first run; without one, for the GPUs that TensorRT for RTX knows."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    settings, frame_hw = Settings.load(None, {"backend": "tensorrt", "precision": "fp16", **flags}), _frame_hw(frame_size)
    if settings.backend != "tensorrt":
        raise UsageError(f"--backend {settings.backend}: compiles when it is run; only tensorrt is built ahead")
    if settings.precision not in PRECISIONS:
        raise UsageError(f"--precision {settings.precision}: known are {', '.join(PRECISIONS)}")
    from drive_seg.backends.tensorrt.ahead import AheadOfTime

    found = [bundles.load_bundle(name) for name in model or bundles.names()]
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err, transient=True) as bar:
        under_way = bar.add_task("", total=1.0)

        def tell(line: str) -> None:
            err.print(line, soft_wrap=True, markup=False)
            bar.reset(under_way, description=line.partition(":")[0], total=1.0)

        def show(phase: str, share: float) -> None:
            bar.update(under_way, description=phase, completed=share)

        made = AheadOfTime(settings.precision, tell, show)
        for bundle in found:
            made.build(bundle, settings.input_size[::-1] if settings.input_size else None, frame_hw)
    out.print(f"{len(made.entries)} engines by {made.what}, in {made.folder}", soft_wrap=True, markup=False)


def _frame_hw(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if not (found := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)):
        raise UsageError(f"--frame-size {text}: give width and height, such as 1280x720")
    return int(found[2]), int(found[1])
