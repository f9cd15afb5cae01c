"""drive-seg's commands, and the one place where an error becomes a line and an exit code."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from drive_seg import card as bundles
from drive_seg.contracts import TIMED, Result
from drive_seg.errors import DisplayError, DriveSegError, SinkError, UsageError
from drive_seg.settings import DEFAULT_MODEL, Settings

out, err = Console(highlight=False), Console(stderr=True, highlight=False)
CommandLineError: Any = typer.BadParameter.__mro__[2]  # click's base of them all, which typer keeps under a private name
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

# The flags that several commands share.
Model = Annotated[str | None, typer.Option(metavar="BUNDLE", help=f"bundle, by name or folder  [{DEFAULT_MODEL}]")]
Backend = Annotated[str | None, typer.Option(help="openvino, onnxruntime, torch  [the best there is]")]
Device = Annotated[str | None, typer.Option(help="the backend's name for it: cpu, cuda, GPU …")]
Precision = Annotated[str | None, typer.Option(help="fp32, bf16, fp16  [the fastest that the device runs well]")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="CPU threads of the network  [all cores]")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="write the figures as JSON")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]  # read by `main`


@app.callback()
def everything() -> None:
    """Real-time semantic segmentation of driving video."""


@app.command()
def run(
    source: Annotated[
        str | None, typer.Option(help="camera number, /dev/videoN, file, folder or glob of pictures, rtsp://, http://, demo:")
    ] = None,
    video: Annotated[str | None, typer.Option(metavar="FILE", help="the same as --source FILE")] = None,
    camera: Annotated[int | None, typer.Option(metavar="N", min=0, help="the same as --source N")] = None,
    model: Model = None,
    backend: Backend = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    schedule: Annotated[str | None, typer.Option(help="every-frame, clockwork:N  [every-frame]")] = None,
    mode: Annotated[str | None, typer.Option(help="sync: a key frame waits for its own deep stage  [sync]")] = None,
    opacity: Annotated[float | None, typer.Option(help="of the mask, 0 to 1  [0.5]")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="record the overlay: .mp4, .mkv, .mov")] = None,
    save_masks: Annotated[Path | None, typer.Option(metavar="DIR", help="write each frame's class ids as a PNG")] = None,
    loop: Annotated[bool | None, typer.Option("--loop", help="begin again at the end")] = None,
    max_frames: Annotated[int | None, typer.Option(metavar="N", help="stop after N frames, the warm-up's included")] = None,
    realtime: Annotated[bool | None, typer.Option("--realtime", help="keep the file's pace without a window too")] = None,
    headless: Annotated[bool | None, typer.Option("--headless", help="no window")] = None,
    benchmark: Annotated[bool | None, typer.Option("--benchmark", help="no window; print where the time goes")] = None,
    warmup: Annotated[int | None, typer.Option(metavar="N", help="frames that a benchmark does not count  [30]")] = None,
    json_file: Json = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML with the same names; the command line wins")] = None,
    debug: Debug = False,
) -> None:
    """Play a drive with a live overlay, record it, or benchmark it."""
    named = [str(value) for value in (source, video, camera) if value is not None]
    if len(named) > 1:
        raise UsageError("--source, --video and --camera name the same thing; give one of them")
    flags = {
        "source": named[0] if named else None, "model": model, "backend": backend, "device": device, "precision": precision,
        "threads": threads, "schedule": schedule, "mode": mode, "opacity": opacity, "output": output, "save_masks": save_masks,
        "loop": loop, "max_frames": max_frames, "realtime": realtime, "headless": headless, "benchmark": benchmark,
        "warmup": warmup, "json": json_file,
    }  # fmt: skip
    settings = Settings.load(config, flags)
    if _window_wanted(settings):
        _run_window(settings)
    else:
        _run_headless(settings)


def _window_wanted(settings: Settings) -> bool:
    if settings.headless or settings.benchmark:
        return False
    from drive_seg.ui.display import require_display

    try:
        require_display()
    except DisplayError as error:
        err.print(f"drive-seg: {error}; going on without a window", soft_wrap=True, markup=False)
        return False
    return True


def _run_window(settings: Settings) -> None:
    from drive_seg.assemble import WindowPlayer, assembled
    from drive_seg.ui.app import run_window

    with assembled(settings, window=True) as run:
        run_window(WindowPlayer(run), title="drive-seg")
        summary = run.summary()
    _report(settings, summary)


def _run_headless(settings: Settings) -> None:
    from drive_seg.assemble import assembled, run_headless
    from drive_seg.workers import ended_by_signals

    with assembled(settings, window=False) as run, ended_by_signals(run.capture.close):
        err.print(f"{run.capture.source.info.name} · {run.headline}", soft_wrap=True, markup=False)
        with err.status("starting …") as status:

            def tell(result: Result) -> None:
                if result.frame.index % 15 == 0:
                    status.update(f"frame {result.frame.index}, {result.total_ms:.1f} ms")

            run_headless(run, tell)
        summary = run.summary()
    _report(settings, summary)


def _report(settings: Settings, summary: dict[str, Any]) -> None:
    """What a person wants to know at the end, and the files that were asked for."""
    if settings.benchmark:
        out.print(_table(summary))
    out.print(_sentence(summary), soft_wrap=True)
    for path in (settings.output, settings.save_masks):
        if path:
            out.print(f"wrote {path}", soft_wrap=True, markup=False)
    if settings.json_file:
        write_json(settings.json_file, summary)


def write_json(path: Path, value: object) -> None:
    try:
        path.write_text(json.dumps(value, indent=2) + "\n")
    except OSError as error:
        raise SinkError(f"{path}: cannot be written ({error.strerror})") from error


def _sentence(summary: dict[str, Any]) -> str:
    if not summary["frames"]:
        return "no frame was counted; give fewer --warmup frames or a longer source"
    total, fps = summary["latency_ms"]["total"], summary["fps"]
    return (
        f"{summary['frames']} frames, {fps:.1f} fps, frame to labels p50 {total['p50']:.2f} ms, p95 {total['p95']:.2f} ms; "
        f"{summary['key_frame_rate']:.0%} key frames, {summary['dropped']} dropped"
    )


def _table(summary: dict[str, Any]) -> Table:
    table = Table("latency in ms")
    figures = ("p50", "p95", "p99", "max", "mean")
    for figure in figures:
        table.add_column(figure, justify="right")
    for stage in (*TIMED, "total"):
        row = summary["latency_ms"][stage]
        name = "frame to labels" if stage == "total" else stage
        table.add_row(name, *("–" if row[figure] is None else f"{row[figure]:.2f}" for figure in figures), end_section=stage == TIMED[-1])
    return table


@app.command()
def models() -> None:
    """List the bundles that can be run."""
    table = Table("bundle", "classes", "input", "parameters", "GFLOP low/high/head", "mIoU")
    for name in bundles.names():
        card = bundles.load_bundle(name).card
        table.add_row(
            name,
            str(len(card.classes)),
            f"{card.input.width}x{card.input.height}",
            f"{card.parameters / 1e6:.1f} M",
            "/".join(f"{stage.gflop:.1f}" for stage in card.stages.values()),
            ", ".join(f"{key} {value['miou']:.3f}" for key, value in card.measured.items() if "miou" in value) or "not measured",
        )
    out.print(table)


@app.command()
def doctor() -> None:
    """Say what this machine can run, and for each thing it cannot, why and what to install."""
    from drive_seg.doctor import examine, print_report

    print_report(examine(), out)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="TOML, such as recipes/camvid.toml")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="checkpoint, log and plot; a training that is there goes on")],
    epochs: Annotated[int | None, typer.Option(min=1, help="instead of the recipe's")] = None,
    hold_out: Annotated[
        list[str] | None, typer.Option(metavar="DRIVE", help="leave this drive out and validate on it; can be repeated")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="forget the checkpoint that is there")] = False,
    debug: Debug = False,
) -> None:
    """Train a network by a recipe, on the CPU or a GPU; killed at any moment, it goes on where it was."""
    _require_lab()
    from drive_seg.lab.train.loop import train as learn
    from drive_seg.lab.train.plot import plot_log
    from drive_seg.lab.train.recipe import Recipe

    trained = learn(Recipe.load(recipe, epochs=epochs, hold_out=hold_out or None), out_dir, restart)
    plot_log(out_dir / "log.jsonl", out_dir / "log.png")
    said = "" if trained.miou is None else f", mIoU {trained.miou:.4f} on the validation pictures"
    out.print(f"{trained.checkpoint}: {trained.steps} steps{said}", soft_wrap=True, markup=False)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.safetensors of a training")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="the bundle's folder, such as engines/camvid")],
    debug: Debug = False,
) -> None:
    """Turn a training's checkpoint into a bundle: one ONNX per stage, safetensors, card."""
    _require_lab()
    from drive_seg.lab.build.export import export_bundle

    card = export_bundle(checkpoint, out_dir)
    out.print(
        f"{out_dir}: {card.parameters / 1e6:.1f} M parameters, {sum(s.gflop for s in card.stages.values()):.1f} GFLOP", soft_wrap=True
    )


@app.command()
def evaluate(
    model: Model = None,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="pictures: PNG, JPEG, WebP")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="DIR", help="class-id PNGs of the same names")] = None,
    source: Annotated[str | None, typer.Option(help="a labelled source instead, such as demo:?seed=7&frames=600")] = None,
    backend: Backend = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    json_file: Json = None,
    debug: Debug = False,
) -> None:
    """Score a bundle against true labels, through the same engine, precision and preprocessing as live."""
    from drive_seg.backends import open_backend
    from drive_seg.lab.evaluate.accuracy import evaluate as measure
    from drive_seg.lab.evaluate.accuracy import from_pairs, from_source

    if (images is None) != (labels is None) or (images is None) == (source is None):
        raise UsageError("give --images and --labels, or --source")
    bundle = bundles.load_bundle(model or DEFAULT_MODEL)
    samples = from_pairs(images, labels, bundle.card) if images and labels else from_source(str(source), bundle.card)
    chosen = open_backend(backend, device=device, precision=precision, threads=threads)
    scores = measure(bundle, chosen, samples)
    table = Table("class", "IoU", title=f"{bundle.card.name} · {chosen.name} {chosen.precision} · {scores['frames']} frames")
    for name, iou in scores["iou"].items():
        table.add_row(name, "–" if iou is None else f"{iou:.4f}")
    out.print(table)
    out.print(f"mIoU {scores['miou']:.4f}, pixel accuracy {scores['pixel_accuracy']:.4f}")
    if json_file:
        write_json(json_file, scores)


def _require_lab() -> None:
    for package in ("torch", "onnx", "safetensors", "matplotlib"):
        try:
            __import__(package)
        except ImportError as error:
            raise UsageError(f"this command is the workshop's and needs {package}; pip install 'drive-seg[lab]'") from error


def main(arguments: Sequence[str] | None = None, command: Callable[..., Any] | None = None) -> None:
    """Runs a command and ends the process: 0, 1 for a failure, 2 for wrong use; an error is one line unless --debug."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        code = (command or typer.main.get_command(app))(arguments, prog_name="drive-seg", standalone_mode=False)
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
