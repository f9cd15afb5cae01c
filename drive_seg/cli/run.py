"""`drive-seg run`: a drive in the window, without one, or timed."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from drive_seg.cli.benchmark import run_benchmark, sentence
from drive_seg.cli.flags import (
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
    Std,
    Threads,
    Warmup,
    err,
    figures_of,
    out,
)
from drive_seg.cli.headless import announced
from drive_seg.errors import DisplayError, UsageError
from drive_seg.settings import Settings


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
        Path | None, typer.Option(metavar="FILE", help="write a JSON line a frame, or what ui.perfetto.dev shows: x.perfetto.json")
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
    from drive_seg.session.player import Player
    from drive_seg.ui.app import run_window

    player = Player(settings)
    run_window(player, title="drive-seg")  # opens it before there is a window
    if trouble := player.status().trouble:
        err.print(f"drive-seg: {trouble.text}", soft_wrap=True, markup=False)
    _report(settings, player.summary(), keep)


def _run_headless(settings: Settings, keep: Callable[[object], None]) -> None:
    with announced(settings) as session:
        session.run()
        summary = session.summary()
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
