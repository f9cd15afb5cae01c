"""`drive-seg run`: a drive in the window, without one, or timed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from drive_seg.cli.benchmark import run_benchmark, sentence
from drive_seg.cli.flags import Debug, err, figures_of, out, typed
from drive_seg.cli.headless import announced, print_note
from drive_seg.cli.options import Flags, takes
from drive_seg.errors import DisplayError, UsageError
from drive_seg.settings import FLAGS, SOURCE, Settings


@takes(*FLAGS, repeated=("source",))
def run(
    context: typer.Context,
    flags: Flags,
    video: Annotated[str | None, typer.Option(metavar="FILE", help="the same as --source FILE", rich_help_panel=SOURCE)] = None,
    camera: Annotated[int | None, typer.Option(metavar="N", min=0, help="the same as --source N", rich_help_panel=SOURCE)] = None,
    debug: Debug = False,
) -> None:
    """Play a drive with a live overlay, record it, or benchmark it."""
    named = [given for given in (flags.pop("source", None), video, None if camera is None else str(camera)) if given is not None]
    if len(named) > 1:
        raise UsageError("--source, --video and --camera name the same thing; give one of them")
    config = flags.pop("config", None)
    settings = Settings.load(config and Path(config), flags | {"source": named[0] if named else None})
    from drive_seg.session.auto import resolved

    with figures_of(settings) as keep:
        served = bool(settings.serve or settings.token)
        window = not served and not settings.benchmark and _window_wanted(settings)
        settings = resolved(settings, window or served, print_note)
        if served:
            _run_served(settings, keep)
        elif settings.benchmark:
            run_benchmark(settings, typed(context), keep)
        elif window:
            (_run_tiles if settings.beside else _run_window)(settings, keep)
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
    if not player.status().runs:  # closed while it waited for a stream
        out.print("nothing was played")
        return
    _report(settings, player.summary(), keep)


def _run_tiles(settings: Settings, keep: Callable[[object], None]) -> None:
    from drive_seg.session.rack import Rack
    from drive_seg.ui.app import run_window

    rack = Rack(settings)
    run_window(rack, title="drive-seg")
    _end(settings, rack.summary(), rack.errors, keep)


def _run_headless(settings: Settings, keep: Callable[[object], None]) -> None:
    with announced(settings) as cameras:
        cameras.run()
        summary = cameras.summary()
    _end(settings, summary, list(cameras.errors.values()), keep)


def _end(settings: Settings, summary: dict[str, Any], errors: Sequence[BaseException], keep: Callable[[object], None]) -> None:
    """Raises the first error, once what there is has been told and kept."""
    _report(settings, summary, keep)
    if errors:
        raise errors[0]


def _run_served(settings: Settings, keep: Callable[[object], None]) -> None:
    if settings.serve is None:
        raise UsageError("--token: is asked for by --serve; give that too, or leave it out")
    if settings.beside:
        raise UsageError("--serve: shows one camera; give one --source, or leave it out")
    if settings.benchmark:
        raise UsageError("--serve: who watches takes time from what a benchmark measures; leave one of them out")
    from drive_seg.cli.served import run_served

    if summary := run_served(settings, *settings.serve):
        _report(settings, summary, keep)
    else:
        out.print("nothing was played")


def _report(settings: Settings, summary: dict[str, Any], keep: Callable[[object], None]) -> None:
    """What a person wants to know at the end, and the files that were asked for."""
    for one in summary.get("cameras", ()):
        if one["error"] and not one["frames"]:  # which was told when it happened
            continue
        _tell(one, f"[{one['camera']}] {one['source']}: ")
    _tell(summary)
    for path in (path for one in settings.cameras for path in one.written.values()):
        if path.exists() and summary["frames"]:  # a recording without a frame leaves no file
            out.print(f"wrote {path}", soft_wrap=True, markup=False)
    keep(summary)


def _tell(summary: dict[str, Any], label: str = "") -> None:
    """One camera's figures, or those of all."""
    out.print(f"{label}{sentence(summary)}", soft_wrap=True, markup=False)
    if audited := summary.get("agreement"):
        frames, oldest = sum(one["frames"] for one in audited), audited[-1]
        share = sum(one["share"] * one["frames"] for one in audited) / frames
        at_most = f"{oldest['share']:.2%} at age {oldest['age']}"
        out.print(f"{share:.2%} of the labels are the full network's, {at_most}; {frames} frames audited", soft_wrap=True)
    if ahead := summary.get("ahead"):
        persons, frames = ahead["persons"], ahead["frames_with_person"]
        free = "" if ahead["road_share"] is None else f"{ahead['road_share']:.1%} of the corridor was road; "
        came = f"a person came into it {persons} time{'s' * (persons != 1)}"
        out.print(f"{label}{free}{came} and was there in {frames} of {ahead['frames']} frames", soft_wrap=True, markup=False)
