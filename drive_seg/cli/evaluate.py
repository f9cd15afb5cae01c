"""`drive-seg evaluate`: a network against true labels."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from drive_seg.cli.flags import Debug, SkipBad, check_outputs, err, json_of, out, read_by, require_lab, reserved, typed
from drive_seg.cli.headless import print_note
from drive_seg.cli.options import OF_NETWORK, OF_TIME, Flags, takes
from drive_seg.contracts import Network
from drive_seg.errors import UsageError
from drive_seg.files import Use
from drive_seg.network.card import Bundle
from drive_seg.network.foreign import Foreign
from drive_seg.settings import SOURCE, Settings

if TYPE_CHECKING:
    from drive_seg.lab.evaluate.accuracy import Meter
    from drive_seg.lab.evaluate.datasets import Place
    from drive_seg.lab.evaluate.pairs import Sample
    from drive_seg.session.observer import Observer


def _truth(metavar: str, said: str) -> Any:
    return typer.Option(metavar=metavar, help=said, rich_help_panel=SOURCE)


@takes("source", *OF_NETWORK, *OF_TIME, "corridor", "json", "overwrite", instead={"source": "labelled, such as demo:?seed=7&frames=600"})
def evaluate(
    context: typer.Context,
    flags: Flags,
    data: Annotated[str | None, _truth("KIND:FOLDER[:SPLIT]", "or a data set: camvid11, camvid32, cityscapes, kitti, batch")] = None,
    images: Annotated[Path | None, _truth("DIR", "or plain pictures: PNG, JPEG, WebP")] = None,
    labels: Annotated[Path | None, _truth("DIR", "and class-id PNGs of the same names")] = None,
    clip: Annotated[Path | None, _truth("DIR", "or a drive: its frames at 15 Hz in DIR/images, and DIR/labels")] = None,
    skip_bad: SkipBad = False,
    corruptions: Annotated[
        bool, typer.Option("--corruptions", help="the same pictures once more in bad light, weather and cameras, 24 times as many")
    ] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="write the figures with plots and pictures as one HTML file")] = None,
    record: Annotated[str | None, typer.Option(metavar="NAME", help="write the figures under this name into the bundle's card")] = None,
    debug: Debug = False,
) -> None:
    """Score a network against true labels, through the same engine, precision and preprocessing as live."""
    from drive_seg.bench.machine import provenance
    from drive_seg.lab.evaluate import labelled
    from drive_seg.lab.evaluate.accuracy import CLIP_HZ
    from drive_seg.lab.evaluate.accuracy import evaluate as measure
    from drive_seg.lab.evaluate.datasets import folder_of
    from drive_seg.lab.evaluate.report import Gallery, render
    from drive_seg.network.schedule import EveryFrame
    from drive_seg.session.opening import find_model, open_engine, open_schedule, pipeline_on

    if (images is None) != (labels is None) or sum(given is not None for given in (data, images, clip, flags.get("source"))) != 1:
        raise UsageError("give --data, or --images and --labels, or --clip, or --source")
    place: Place | None = (images, labels) if images and labels else (clip / "images", clip / "labels") if clip else data
    settings = Settings.load(None, flags)
    folders = {"--images": images, "--labels": labels, "--clip": clip, "--data": folder_of(data) if data else None}
    read = [use for flag, path in folders.items() for use in read_by(flag, path)]
    if data and data.startswith(f"{labelled.KIND}:"):
        read += read_by("--data", *labelled.videos(folder_of(data)))
    _check(settings, read, report, record)
    keys, found, ran = open_schedule(settings), find_model(settings), provenance(typed(context))
    # average precision is written alone, and the network's own: every frame
    ranked = found if (settings.json_file or report) and keys == EveryFrame() else None
    with (
        open_engine(found, settings) as engine,
        json_of(settings.json_file, settings.overwrite) as keep_json,
        reserved(report, settings.overwrite) as keep_page,
    ):
        gallery, left_out = Gallery(), list[Path]()
        meters = [*_meters(engine, ranked, clip is not None, corruptions, settings), *([gallery] if report else [])]
        with closing(pipeline_on(engine, keys, settings)) as pipeline:
            samples = _samples(place, settings.source, engine.classes, left_out if skip_bad else None)
            observers = _road_ahead(settings, flags.get("source") or str(clip or images or data), engine)
            scores = measure(pipeline, samples, meters, CLIP_HZ if clip else 30.0, settings.mode == "async", observers)
        scores |= {"left_out": len(left_out)} | ran
        _print_scores(scores, engine.note, left_out)
        keep_json(scores)
        if report:
            keep_page(render(scores, gallery, engine.palette))
            out.print(f"wrote {report}", soft_wrap=True, markup=False)
        if record and isinstance(found, Bundle):
            from drive_seg.lab.build.modelcard import keep

            out.print(f"wrote {keep(found, record, scores)}", soft_wrap=True, markup=False)


def _check(settings: Settings, read: list[Use], report: Path | None, record: str | None) -> None:
    """What can be told before the work: files, packages, a card to write into. Raises UsageError, SinkError."""
    from drive_seg.session.paths import reads

    check_outputs([*reads(settings), *read], {"--json": [settings.json_file], "--report": [report]}, settings.overwrite)
    if record and settings.class_names:
        raise UsageError(f"--record {record}: {settings.model} has no card to write into; leave it out")
    if report:
        require_lab("jinja2", "matplotlib")


def _samples(place: "Place | None", source: str, classes: Sequence[str], left_out: list[Path] | None) -> "Iterator[Sample]":
    """Labelled pictures of the place, or of the source where there is none."""
    from drive_seg.lab.evaluate.accuracy import from_pairs, from_source

    return from_pairs(place, classes, left_out) if place else from_source(source, classes)


def _meters(engine: Network, ranked: Bundle | Foreign | None, clip: bool, corruptions: bool, settings: Settings) -> "list[Meter]":
    """What is measured beside the confusion matrix; average precision of `ranked` alone, where that has a card."""
    from drive_seg.lab.evaluate.average_precision import AveragePrecision
    from drive_seg.lab.evaluate.boundary import BoundaryF1
    from drive_seg.lab.evaluate.consistency import Consistency
    from drive_seg.session.opening import refine_of

    meters: list[Meter] = [BoundaryF1(engine.classes)]
    if clip:
        meters.append(Consistency())
    if corruptions:
        require_lab("torch", "kornia")
        from drive_seg.lab.evaluate.corruptions import Corruptions

        meters.append(Corruptions(engine, refine_of(settings)))
    if isinstance(ranked, Bundle):
        meters.append(AveragePrecision(ranked))
    return meters


def _road_ahead(settings: Settings, source: str, engine: Network) -> "dict[str, Observer]":
    """What compares the road ahead with the truth's, where a corridor is given. Raises UsageError."""
    if settings.corridor is None:
        return {}
    from drive_seg.lab.evaluate.ahead import RoadAhead
    from drive_seg.session.corridors import corridor_of

    return {"ahead": RoadAhead(corridor_of(source) if isinstance(settings.corridor, str) else settings.corridor, engine.classes)}


def _print_scores(scores: dict[str, Any], note: str, left_out: Sequence[Path]) -> None:
    from drive_seg.lab.evaluate.pairs import how_many_left_out
    from drive_seg.lab.evaluate.report import HEADLINES

    print_note(note)
    if left_out:
        err.print(how_many_left_out(left_out), soft_wrap=True, markup=False)
    out.print(_score_table(scores))
    out.print(", ".join(f"{said} {_figure(scores[key])}" for key, said in HEADLINES.items() if key in scores), soft_wrap=True)
    out.print(_how_it_ran(scores), soft_wrap=True)
    if "ahead" in scores:
        _print_ahead(scores["ahead"])
    if "corruptions" in scores:
        _print_corruptions(scores["corruptions"])


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


def _print_ahead(scores: dict[str, Any]) -> None:
    share, row, person, events = scores["share"], scores["row"], scores["person"], scores["events"]
    missed = f", {scores['row_missed']} ends missed, {scores['row_invented']} invented"
    said = (
        f"road ahead, {scores['frames']} frames: share of road off by {_figure(share['mean_error'])} (95 % below {_figure(share['p95'])})",
        f"nearest row that is not free off by {_figure(row['mean_error'])} of the height (half below {_figure(row['p50'])}){missed}",
        f"its class right in {_figure(scores['obstacle_alike'])}",
    )
    out.print("; ".join(said), soft_wrap=True)
    for what, one in (("frames with a person in the corridor", person), ("events", events)):
        rates = f"precision {_figure(one['precision'])}, recall {_figure(one['recall'])}"
        out.print(f"{what}: {one['true']} true, {one['told']} told; {rates}", soft_wrap=True)


def _print_corruptions(scores: dict[str, Any]) -> None:
    table = Table("mIoU at strength", "1", "2", "3")
    for name, row in scores["miou"].items():
        table.add_row(name, *map(_figure, row))
    out.print(table)
    share = "" if scores["ratio"] is None else f", {scores['ratio']:.1%} of the clean {_figure(scores['clean'])}"
    out.print(f"corrupted: mIoU {_figure(scores['mean'])}{share}; the goal is {scores['goal']:.0%}", soft_wrap=True)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
