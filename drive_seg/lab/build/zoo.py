"""Every architecture by one recipe: trained with each drive left out, scored on it, timed in turns; the table of docs/models.md."""

import json
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2

from drive_seg.backends import open_backend
from drive_seg.contracts import Frame, Image
from drive_seg.errors import UsageError
from drive_seg.files import write
from drive_seg.lab.build.export import export_bundle
from drive_seg.lab.build.quantize import quantize_bundle, spread
from drive_seg.lab.evaluate.pairs import read_picture
from drive_seg.lab.evaluate.tables import figure, markdown_table
from drive_seg.lab.models import ARCHITECTURES
from drive_seg.lab.train.loop import train
from drive_seg.lab.train.recipe import Recipe
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import EveryFrame

NETWORKS = (*ARCHITECTURES, "deeplab:atrous=1")
DRIVES = ("0001TP", "0006R0", "0016E5")
PRECISIONS = ("fp32", "int8")
PICTURES = 20  # that the timing goes through
ROUNDS, WARM_UP, BURST = 30, 3, 5  # every model in turn, a few frames at a time, so that a slow minute of the machine meets them all


@dataclass(slots=True)
class Entry:
    """One row: a network, what it weighs, what it scores on drives it never saw, how long a frame takes it."""

    name: str
    parameters: int = 0
    gflop: dict[str, float] = field(default_factory=dict)  # by stage
    miou: dict[str, float] = field(default_factory=dict)  # by the drive left out
    p50_ms: dict[str, float] = field(default_factory=dict)  # by precision, frame to labels

    @property
    def mean(self) -> float:
        return statistics.mean(self.miou.values())


def variant(recipe: Recipe, name: str) -> Recipe:
    """The recipe for "unet" or, with numbers of its configuration, "deeplab:atrous=1". Raises UsageError."""
    architecture, _, numbers = name.partition(":")
    try:
        network = {key: int(value) for key, value in (pair.split("=") for pair in numbers.split(",") if pair)}
    except ValueError as error:
        raise UsageError(f"{name}: not an architecture; write fcn8s, or deeplab:atrous=1 to change its numbers") from error
    changed = recipe.model_copy(update={"architecture": architecture, "network": recipe.network | network})
    changed.make_network()  # a wrong name is found before hours of training, not after
    return changed


def learn(recipe: Recipe, name: str, drive: str, out: Path) -> float:
    """Trains without the drive, unless that was done before, and returns the mIoU on it. Raises DataError."""
    trained = train(variant(recipe, name).model_copy(update={"hold_out": (drive,)}), _folder(out, name) / drive, quiet=True)
    assert trained.miou is not None
    return trained.miou


def time_in_turns(bundles: Sequence[Bundle], images: Sequence[Image]) -> dict[str, dict[str, float]]:
    """p50 in ms of frame to labels by bundle folder and precision, on OpenVINO; none for int8 where there is none. Raises BackendError."""
    cv2.setNumThreads(1)  # as live
    times: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        running = {}
        for bundle in bundles:
            for precision in PRECISIONS:
                if precision == "int8" and not any(stage.int8 for stage in bundle.card.stages.values()):
                    continue
                backend = open_backend("openvino", device=None, precision=precision, threads=None)
                running[str(bundle.folder), precision] = Pipeline(stack.enter_context(Engine(bundle, backend)), EveryFrame())
        for turn in range(WARM_UP + ROUNDS):
            for key, pipeline in running.items():
                for i in range(BURST):
                    result = pipeline.step(Frame(images[(turn * BURST + i) % len(images)], 0, 0.0))
                    if turn >= WARM_UP and i:  # the first of a burst finds the caches full of another network
                        times.setdefault(key, []).append(result.total_ms)
    found: dict[str, dict[str, float]] = {}
    for (folder, precision), values in times.items():
        found.setdefault(folder, {})[precision] = round(statistics.median(values), 2)
    return found


def survey(recipe: Recipe, names: Sequence[str], drives: Sequence[str], out: Path, say: Callable[[str], None]) -> list[Entry]:
    """Trains, scores and times every network; writes zoo.json and zoo.md into `out`. What was trained before is not trained again.

    Raises UsageError for a name that is no architecture, DataError for pictures that cannot be used, BackendError.
    """
    if not (images := recipe.images):
        raise UsageError("int8 is calibrated on plain pictures: give the recipe images and labels instead of data")
    for name in names:
        variant(recipe, name)
    entries = [Entry(name) for name in names]
    for drive in drives:  # the outer loop: stopped early, the drives that are done are done for every network
        for entry in entries:
            entry.miou[drive] = learn(recipe, entry.name, drive, out)
            say(f"{entry.name}, without {drive}: mIoU {entry.miou[drive]:.3f} on it")
    folders = {name: _folder(out, name) / "bundle" for name in names}
    for entry in entries:
        card = export_bundle(_folder(out, entry.name) / drives[0] / "checkpoint.safetensors", folders[entry.name])
        entry.parameters, entry.gflop = card.parameters, {name: stage.gflop for name, stage in card.stages.items()}
        quantize_bundle(folders[entry.name], images)
    bundles = {name: load_bundle(folder) for name, folder in folders.items()}
    pictures = [read_picture(path) for path in spread(images, PICTURES)]
    found = time_in_turns(list(bundles.values()), pictures)
    for entry in entries:
        entry.p50_ms = found[str(folders[entry.name])]
    write(out / "zoo.json", json.dumps([asdict(entry) | {"mean": entry.mean} for entry in entries], indent=2) + "\n", overwrite=True)
    write(out / "zoo.md", render(entries, drives), overwrite=True)
    return entries


def render(entries: Sequence[Entry], drives: Sequence[str]) -> str:
    """The table in Markdown, the best mean first."""
    head = ["network", "parameters", "GFLOP low / (mid /) high / head", *(f"without {drive}" for drive in drives), "mean mIoU"]
    head += [f"{precision}, ms" for precision in PRECISIONS]
    rows = []
    for entry in sorted(entries, key=lambda entry: -entry.mean):
        cells = [f"`{entry.name}`", f"{entry.parameters / 1e6:.2f} M", " / ".join(f"{value:.2f}" for value in entry.gflop.values())]
        cells += [f"{entry.miou[drive]:.3f}" for drive in drives] + [f"**{entry.mean:.3f}**"]
        rows.append([*cells, *(figure(entry.p50_ms.get(precision), ".1f") for precision in PRECISIONS)])
    return markdown_table(head, rows, "---") + "\n"


def _folder(out: Path, name: str) -> Path:
    return out / name.replace(":", "-").replace("=", "")
