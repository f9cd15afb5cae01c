"""drive-seg's commands, and the one place where an error becomes a line and an exit code."""

import re
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from drive_seg import card as bundles
from drive_seg.backends.border import PRECISIONS
from drive_seg.commands.bench import bench, run_benchmark, sentence
from drive_seg.commands.flags import (
    Backend,
    Channels,
    Deadline,
    Debug,
    Device,
    InputSize,
    Json,
    MaxFrames,
    Mean,
    MinFrames,
    MinTime,
    Mode,
    Model,
    Overwrite,
    Precision,
    Propagation,
    Realtime,
    Refine,
    Schedule,
    SkipBad,
    Std,
    Threads,
    Warmup,
    check_outputs,
    err,
    figures_of,
    json_of,
    out,
    read_by,
    require_lab,
    reserved,
)
from drive_seg.commands.headless import announced, print_note
from drive_seg.contracts import Network
from drive_seg.errors import BundleError, DisplayError, DriveSegError, SinkError, UsageError
from drive_seg.settings import DEFAULT_MODEL, Settings

if TYPE_CHECKING:
    from drive_seg.lab.evaluate.accuracy import Meter

CommandLineError: Any = typer.BadParameter.__mro__[2]  # click's base of them all, which typer keeps under a private name
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command()(bench)


@app.callback()
def everything() -> None:
    """Real-time semantic segmentation of driving video."""


@app.command()
def run(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Option(help="camera number, /dev/videoN, file, folder or glob of pictures, rtsp://, http://, demo:")
    ] = None,
    video: Annotated[str | None, typer.Option(metavar="FILE", help="the same as --source FILE")] = None,
    camera: Annotated[int | None, typer.Option(metavar="N", min=0, help="the same as --source N")] = None,
    model: Model = None,
    class_names: Annotated[
        Path | None, typer.Option("--class-names", "--labels", metavar="FILE", help="net.onnx: one class a line, `name` or `name #rrggbb`")
    ] = None,
    mean: Mean = None,
    std: Std = None,
    channels: Channels = None,
    input_size: InputSize = None,
    backend: Backend = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    schedule: Schedule = None,
    mode: Mode = None,
    propagation: Propagation = None,
    refine: Refine = None,
    opacity: Annotated[float | None, typer.Option(help="of the mask, 0 to 1  [0.5]")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="record the overlay: .mp4, .mkv, .mov; FILE.part until it is whole"),
    ] = None,
    save_masks: Annotated[Path | None, typer.Option(metavar="DIR", help="write each frame's class ids as a PNG")] = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write a JSON line a frame, or what ui.perfetto.dev shows: x.perfetto.json"),
    ] = None,
    replay: Annotated[Path | None, typer.Option(metavar="FILE", help="take the key frames from the JSON lines of an earlier run")] = None,
    loop: Annotated[bool | None, typer.Option("--loop", help="begin again at the end")] = None,
    max_frames: MaxFrames = None,
    realtime: Realtime = None,
    audit: Annotated[
        bool | None, typer.Option("--audit", help="in spare time the full network on some frames: how far the labels agree, by their age")
    ] = None,
    headless: Annotated[bool | None, typer.Option("--headless", help="no window")] = None,
    benchmark: Annotated[bool | None, typer.Option("--benchmark", help="no window; print where the time goes")] = None,
    warmup: Warmup = None,
    min_frames: MinFrames = None,
    min_time: MinTime = None,
    deadline: Deadline = None,
    json_file: Json = None,
    overwrite: Overwrite = False,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML with the same names; the command line wins")] = None,
    debug: Debug = False,
) -> None:
    """Play a drive with a live overlay, record it, or benchmark it."""
    named = [str(value) for value in (source, video, camera) if value is not None]
    if len(named) > 1:
        raise UsageError("--source, --video and --camera name the same thing; give one of them")
    flags = {
        "source": named[0] if named else None, "model": model, "class_names": class_names, "mean": mean, "std": std,
        "channels": channels, "input_size": input_size, "backend": backend, "device": device, "precision": precision,
        "threads": threads, "schedule": schedule, "mode": mode, "propagation": propagation, "refine": refine, "opacity": opacity,
        "output": output, "save_masks": save_masks, "trace": trace, "replay": replay, "loop": loop, "max_frames": max_frames,
        "realtime": realtime, "audit": audit, "headless": headless, "benchmark": benchmark, "warmup": warmup,
        "min_frames": min_frames, "min_time": min_time, "deadline": deadline, "json": json_file,
        "overwrite": overwrite or None,
    }  # fmt: skip
    settings = Settings.load(config, flags)
    with figures_of(settings) as keep:
        if settings.benchmark:
            run_benchmark(settings, shlex.join(("drive-seg", *context.obj)), keep)
        elif _window_wanted(settings):
            _run_window(settings, keep)
        else:
            _run_headless(settings, keep)


def _window_wanted(settings: Settings) -> bool:
    if settings.headless:
        return False
    from drive_seg.ui.display import require_display

    try:
        require_display()
    except DisplayError as error:
        err.print(f"drive-seg: {error}; going on without a window", soft_wrap=True, markup=False)
        return False
    return True


def _run_window(settings: Settings, keep: Callable[[object], None]) -> None:
    from drive_seg.play.player import Player
    from drive_seg.ui.app import run_window

    player = Player(settings)
    run_window(player, title="drive-seg")  # opens it before there is a window
    if trouble := player.status().trouble:
        err.print(f"drive-seg: {trouble.text}", soft_wrap=True, markup=False)
    _report(settings, player.summary(), keep)


def _run_headless(settings: Settings, keep: Callable[[object], None]) -> None:
    from drive_seg.assemble import run_headless

    with announced(settings) as (run, tell):
        run_headless(run, tell)
        summary = run.summary()
    _report(settings, summary, keep)


def _report(settings: Settings, summary: dict[str, Any], keep: Callable[[object], None]) -> None:
    """What a person wants to know at the end, and the files that were asked for."""
    out.print(sentence(summary), soft_wrap=True)
    if audited := summary.get("agreement"):
        frames, oldest = sum(one["frames"] for one in audited), audited[-1]
        share = sum(one["share"] * one["frames"] for one in audited) / frames
        at_most = f"{oldest['share']:.2%} at age {oldest['age']}"
        out.print(f"{share:.2%} of the labels are the full network's, {at_most}; {frames} frames audited", soft_wrap=True)
    for path in (settings.output, settings.save_masks, settings.trace):
        if path and path.exists() and summary["frames"]:  # a recording without a frame leaves no file
            out.print(f"wrote {path}", soft_wrap=True, markup=False)
    keep(summary)


@app.command()
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


@app.command()
def doctor() -> None:
    """Say what this machine can run, and for each thing it cannot, why and what to install."""
    from drive_seg.doctor import examine, print_report

    print_report(examine(), out)


@app.command()
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
    trained = learn(taught, out_dir, restart, save_every_s=save_every, skip_bad=skip_bad)
    plot_log(out_dir / "log.jsonl", out_dir / "log.png")
    said = "" if trained.miou is None else f", mIoU {trained.miou:.4f} on the validation pictures"
    out.print(f"{trained.checkpoint}: {trained.steps} steps{said}", soft_wrap=True, markup=False)


@app.command("train-temporal")
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
    from drive_seg.lab.train.temporal import TemporalRecipe, load_taught, teach

    bundle, taught = bundles.load_bundle(model), TemporalRecipe.load(recipe)
    network = read_network(bundle)
    learned = teach(bundle, network, taught, out_dir)
    card = attach(bundle, network, load_taught(learned.checkpoint, network, taught.propagations))
    out.print(f"{bundle.folder}: propagations {', '.join(card.propagations)}; run `drive-seg quantize` again", soft_wrap=True, markup=False)


@app.command()
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

    survey(Recipe.load(recipe), only or NETWORKS, drive or DRIVES, out_dir, lambda line: err.print(line, soft_wrap=True, markup=False))
    out.print(f"wrote {out_dir / 'zoo.md'}", soft_wrap=True, markup=False)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.safetensors of a training")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="the bundle's folder, such as engines/camvid")],
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Turn a training's checkpoint into a bundle: one ONNX per stage, and the card."""
    require_lab()
    from drive_seg.lab.build.export import export_bundle

    check_outputs(read_by("CHECKPOINT", checkpoint), {"--out": [out_dir / bundles.CARD] if out_dir.exists() else []}, overwrite)
    card = export_bundle(checkpoint, out_dir)
    out.print(
        f"{out_dir}: {card.parameters / 1e6:.1f} M parameters, {sum(s.gflop for s in card.stages.values()):.1f} GFLOP", soft_wrap=True
    )


@app.command()
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
    from drive_seg.lab.build.compare import judge
    from drive_seg.lab.build.quantize import quantize_bundle, spread
    from drive_seg.lab.evaluate.accuracy import from_pairs
    from drive_seg.lab.evaluate.pairs import read_picture

    if (check_images is None) != (check_labels is None):
        raise UsageError("give --check-images and --check-labels, or neither")
    folder, card = bundles.locate(model), bundles.load_bundle(model).card
    made = quantize_bundle(folder, images, frames, floats or ())
    checked = (check_images, check_labels) if check_images and check_labels else None
    command = ["drive-seg", "quantize", model, "--images", str(images), "--frames", str(frames)]
    command += [word for stage in floats or () for word in ("--float", stage)]
    command += ["--check-images", str(check_images), "--check-labels", str(check_labels)] if checked else []
    seen = (
        (lambda: from_pairs(checked, card.classes)) if checked else lambda: ((read_picture(path), None) for path in spread(images, frames))
    )
    report = judge(folder, made, seen, calib / card.name, shlex.join(command))
    out.print(f"{folder}: {report['why']}", soft_wrap=True, markup=False)
    out.print(f"wrote {calib / card.name}", soft_wrap=True, markup=False)


@app.command()
def build(
    model: Annotated[list[str] | None, typer.Argument(metavar="[BUNDLE …]", help="bundles, by name or folder  [all]")] = None,
    backend: Annotated[str, typer.Option(help="tensorrt: no other keeps what it compiles")] = "tensorrt",
    precision: Annotated[str, typer.Option(help="fp16, int8, fp8, fp32")] = "fp16",
    input_size: InputSize = None,
    frame_size: Annotated[str | None, typer.Option(metavar="WxH", help="of the frames that will be played  [the network's input]")] = None,
    debug: Debug = False,
) -> None:
    """Compile bundles for an NVIDIA GPU before their first run; without one, for the GPUs that TensorRT for RTX knows."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from drive_seg.lab.build.compile import compile_bundle

    if backend != "tensorrt":
        raise UsageError(f"--backend {backend}: compiles when it is run; only tensorrt is built ahead")
    if precision not in PRECISIONS:
        raise UsageError(f"--precision {precision}: known are {', '.join(PRECISIONS)}")
    from drive_seg.backends.tensorrt.ahead import AheadOfTime

    settings, frame_hw = Settings.load(None, {"input_size": input_size}), _frame_hw(frame_size)
    found = [bundles.load_bundle(name) for name in model or bundles.names()]
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err, transient=True) as bar:
        under_way = bar.add_task("", total=1.0)

        def tell(line: str) -> None:
            err.print(line, soft_wrap=True, markup=False)
            bar.reset(under_way, description=line.partition(":")[0], total=1.0)

        def show(phase: str, share: float) -> None:
            bar.update(under_way, description=phase, completed=share)

        made = AheadOfTime(precision, tell, show)
        for bundle in found:
            compile_bundle(bundle, made, settings.input_size[::-1] if settings.input_size else None, frame_hw)
    out.print(f"{len(made.entries)} engines by {made.what}, in {made.folder}", soft_wrap=True, markup=False)


def _frame_hw(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if not (found := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)):
        raise UsageError(f"--frame-size {text}: give width and height, such as 1280x720")
    return int(found[2]), int(found[1])


@app.command("gpu-check")
def gpu_check(
    context: typer.Context,
    model: Annotated[list[str] | None, typer.Argument(metavar="[BUNDLE …]", help="bundles, by name or folder  [all]")] = None,
    clip: Annotated[Path | None, typer.Option(metavar="DIR", help="pictures, or DIR/images, to compare labels on beside the demo")] = None,
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="the figures replace DIR/<gpu>.json")] = Path("docs/bench"),
    debug: Debug = False,
) -> None:
    """On a machine with an NVIDIA GPU: build every bundle, compare its labels with the CPU's, time it, and say what could not be had."""
    from drive_seg.lab.build.gpucheck import check
    from drive_seg.lab.build.gputable import make_tables, require_good

    found = [bundles.load_bundle(name) for name in model or bundles.names()]
    command = shlex.join(("drive-seg", *context.obj))
    report = check(found, clip, out_dir, command, lambda line: err.print(line, soft_wrap=True, markup=False))
    for table in make_tables(report):
        out.print(table)
    if report["file"]:
        out.print(f"wrote {report['file']}", soft_wrap=True, markup=False)
    else:
        err.print(f"nothing was measured: {report['launches']['not_measured']}", soft_wrap=True, markup=False)
    require_good(report)


engines = typer.Typer(no_args_is_help=True, help="What was compiled for this machine: list, clear.")
app.add_typer(engines, name="engines")


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


@app.command()
def evaluate(
    context: typer.Context,
    model: Model = None,
    data: Annotated[
        str | None, typer.Option(metavar="KIND:FOLDER[:SPLIT]", help="a data set; KIND is camvid11, camvid32, cityscapes or kitti")
    ] = None,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="or plain pictures: PNG, JPEG, WebP")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="DIR", help="and class-id PNGs of the same names")] = None,
    clip: Annotated[Path | None, typer.Option(metavar="DIR", help="or a drive: its frames at 15 Hz in DIR/images, and DIR/labels")] = None,
    source: Annotated[str | None, typer.Option(help="or a labelled source, such as demo:?seed=7&frames=600")] = None,
    skip_bad: SkipBad = False,
    class_names: Annotated[
        Path | None, typer.Option("--class-names", metavar="FILE", help="net.onnx: one class a line, in the order of its ids")
    ] = None,
    mean: Mean = None,
    std: Std = None,
    channels: Channels = None,
    input_size: InputSize = None,
    schedule: Schedule = None,
    mode: Mode = None,
    propagation: Propagation = None,
    refine: Refine = None,
    corruptions: Annotated[
        bool, typer.Option("--corruptions", help="the same pictures once more in bad light, weather and cameras, 24 times as many")
    ] = False,
    backend: Backend = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    json_file: Json = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="write the figures with plots and pictures as one HTML file")] = None,
    record: Annotated[str | None, typer.Option(metavar="NAME", help="write the figures under this name into the bundle's card")] = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Score a network against true labels, through the same engine, precision and preprocessing as live."""
    from drive_seg.assemble import find_model, open_engine, open_pipeline, open_schedule, reads
    from drive_seg.bench.machine import provenance
    from drive_seg.lab.evaluate.accuracy import CLIP_HZ, from_pairs, from_source
    from drive_seg.lab.evaluate.accuracy import evaluate as measure
    from drive_seg.lab.evaluate.datasets import folder_of
    from drive_seg.lab.evaluate.pairs import how_many_left_out
    from drive_seg.lab.evaluate.report import Gallery, render
    from drive_seg.schedule import EveryFrame

    if (images is None) != (labels is None) or sum(given is not None for given in (data, images, clip, source)) != 1:
        raise UsageError("give --data, or --images and --labels, or --clip, or --source")
    settings = Settings.load(
        None,
        {
            "source": source, "model": model, "class_names": class_names, "mean": mean, "std": std, "channels": channels,
            "input_size": input_size, "backend": backend, "device": device, "precision": precision, "threads": threads,
            "schedule": schedule, "mode": mode, "propagation": propagation, "refine": refine,
        },
    )  # fmt: skip
    played = [*read_by("--images", images), *read_by("--labels", labels), *read_by("--clip", clip)]
    played += read_by("--data", folder_of(data)) if data else ()
    check_outputs([*reads(settings), *played], {"--json": [json_file], "--report": [report]}, overwrite)
    keys = open_schedule(settings)
    if record and class_names:
        raise UsageError(f"--record {record}: {settings.model} has no card to write into; leave it out")
    found = find_model(settings)
    engine = open_engine(found, settings)
    place, left_out = (images, labels) if images and labels else (clip / "images", clip / "labels") if clip else data, list[Path]()
    samples = from_pairs(place, engine.classes, left_out if skip_bad else None) if place else from_source(settings.source, engine.classes)
    if report:
        require_lab("jinja2", "matplotlib")
    bundle, gallery = found if isinstance(found, bundles.Bundle) else None, Gallery()
    ranked = bundle if (json_file or report) and keys == EveryFrame() else None  # average precision is the network's own, every frame
    meters = [*_meters(engine, ranked, clip is not None, corruptions, settings), *([gallery] if report else [])]
    ran = provenance(shlex.join(("drive-seg", *context.obj)))
    with json_of(json_file, overwrite) as keep_json, reserved(report, overwrite) as keep_page:
        with engine, closing(open_pipeline(engine, keys, settings)) as pipeline:
            scores = measure(pipeline, samples, meters, CLIP_HZ if clip else 30.0, realtime=settings.mode == "async")
            scores |= {"left_out": len(left_out)} | ran
            print_note(engine.note)
        if left_out:
            err.print(how_many_left_out(left_out), soft_wrap=True, markup=False)
        _print_scores(scores)
        keep_json(scores)
        if report:
            keep_page(render(scores, gallery, engine.palette))
            out.print(f"wrote {report}", soft_wrap=True, markup=False)
        if record and bundle:
            from drive_seg.lab.build.modelcard import keep

            out.print(f"wrote {keep(bundle, record, scores)}", soft_wrap=True, markup=False)


def _meters(engine: Network, ranked: bundles.Bundle | None, clip: bool, corruptions: bool, settings: Settings) -> "list[Meter]":
    """What is measured beside the confusion matrix; average precision of `ranked` alone."""
    from drive_seg.lab.evaluate.average_precision import AveragePrecision
    from drive_seg.lab.evaluate.boundary import BoundaryF1
    from drive_seg.lab.evaluate.consistency import Consistency
    from drive_seg.postprocess import refine

    meters: list[Meter] = [BoundaryF1(engine.classes)]
    if clip:
        meters.append(Consistency())
    if corruptions:
        require_lab("torch", "kornia")
        from drive_seg.lab.evaluate.corruptions import Corruptions

        meters.append(Corruptions(engine, refine if settings.refine else None))
    if ranked:
        meters.append(AveragePrecision(ranked))
    return meters


def _print_scores(scores: dict[str, Any]) -> None:
    from drive_seg.lab.evaluate.report import HEADLINES

    out.print(_score_table(scores))
    out.print(", ".join(f"{said} {_figure(scores[key])}" for key, said in HEADLINES.items() if key in scores), soft_wrap=True)
    out.print(_how_it_ran(scores), soft_wrap=True)
    if "corruptions" in scores:
        _print_corruptions(scores["corruptions"])


@app.command()
def sweep(
    context: typer.Context,
    clip: Annotated[Path, typer.Option(metavar="DIR", help="a drive: its frames at 15 Hz in DIR/images, and DIR/labels")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="sweep.md, sweep.json and two plots")],
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="BUNDLE", help=f"bundle; can be repeated: others stand beside it at every frame  [{DEFAULT_MODEL}]"),
    ] = None,
    propagation: Annotated[list[str] | None, typer.Option(help="this one; can be repeated  [all that the bundle has]")] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(help="this one, or async:K for every frame in that mode; can be repeated  [fixed, adaptive, keyframe, async]"),
    ] = None,
    backend: Backend = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Compare schedules, modes and propagations with each other and with what they have to beat, in one run over the same frames."""
    require_lab("matplotlib")
    from drive_seg.bench.machine import provenance
    from drive_seg.lab.evaluate.sweep import Row
    from drive_seg.lab.evaluate.sweep import sweep as measure
    from drive_seg.lab.evaluate.sweep_report import FILES, conclusions, line, write_sweep

    settings = Settings.load(None, {"backend": backend, "device": device, "precision": precision, "threads": threads})
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{out_dir}: cannot be made ({error.strerror}); give another --out") from error
    check_outputs(read_by("--clip", clip), {"--out": [out_dir / name for name in FILES]}, overwrite)
    ran = provenance(shlex.join(("drive-seg", *context.obj)))

    def tell(row: Row) -> None:
        out.print(line(row), soft_wrap=True, markup=False)

    measured = measure(clip, model or [DEFAULT_MODEL], settings, propagation or (), schedule or (), tell)
    write_sweep(out_dir, measured, ran)
    out.print("\n".join(conclusions(measured.rows)), soft_wrap=True, markup=False)
    out.print(f"wrote {out_dir / 'sweep.md'}", soft_wrap=True, markup=False)


def _score_table(scores: dict[str, Any]) -> Table:
    figures = {"IoU": "iou", "accuracy": "accuracy", "F1": "f1", "boundary F1": "boundary_f1"}
    title = f"{scores['model']} · {scores['backend']} {scores['precision']} · {scores['frames']} frames"
    table = Table("class", "pixels", *figures, title=title)
    for name, pixels in scores["pixels"].items():
        table.add_row(name, str(pixels), *(_figure(scores[figure][name]) for figure in figures.values()))
    return table


def _how_it_ran(scores: dict[str, Any]) -> str:
    total, gflop = scores["latency_ms"]["total"], scores["gflop_per_frame"]
    return (
        f"{scores['schedule']}, {scores['mode']}, {scores['propagation']}: {scores['key_frame_rate']:.0%} key frames, "
        f"{'' if gflop is None else f'{gflop:.2f} GFLOP a frame, '}frame to labels p50 {total['p50']:.2f} ms, p95 {total['p95']:.2f} ms"
    )


def _print_corruptions(scores: dict[str, Any]) -> None:
    table = Table("mIoU at strength", "1", "2", "3")
    for name, row in scores["miou"].items():
        table.add_row(name, *map(_figure, row))
    out.print(table)
    share = "" if scores["ratio"] is None else f", {scores['ratio']:.1%} of the clean {_figure(scores['clean'])}"
    out.print(f"corrupted: mIoU {_figure(scores['mean'])}{share}; the goal is {scores['goal']:.0%}", soft_wrap=True)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def main(arguments: Sequence[str] | None = None, command: Callable[..., Any] | None = None) -> None:
    """Runs a command and ends the process: 0, 1 for a failure, 2 for wrong use; an error is one line unless --debug."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        code = (command or typer.main.get_command(app))(arguments, prog_name="drive-seg", standalone_mode=False, obj=arguments)
        sys.exit(code if isinstance(code, int) else 0)
    except CommandLineError as error:
        line = error.format_message().splitlines()[0]
        _end("a command is missing; see --help" if line.startswith("Usage:") else f"{line}; see --help", 2)
    except typer.Abort:
        _end("interrupted", 130)
    except DriveSegError as error:
        if debug:
            raise
        _end(str(error), error.exit_code)


def _end(line: str, code: int) -> None:
    err.print(f"drive-seg: {line}", soft_wrap=True, markup=False)
    sys.exit(code)


def launch() -> None:
    """`python launch.py …` is `drive-seg run …`."""
    main(["run", *sys.argv[1:]])


if __name__ == "__main__":
    main()
