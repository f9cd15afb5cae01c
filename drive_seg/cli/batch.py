"""`drive-seg batch`: a folder of drives, by several workers or a cluster, that may be killed at any moment and goes on."""

import json
import math
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from drive_seg.cli.flags import Debug, err, out
from drive_seg.cli.headless import print_note
from drive_seg.cli.options import OF_NETWORK, OF_TIME, Flags, takes
from drive_seg.errors import SourceError, Stopped, UsageError
from drive_seg.files import Held, expanded
from drive_seg.redaction import redacted
from drive_seg.settings import OUTPUT, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drive_seg.fleet.drives import Drive
    from drive_seg.fleet.records import Records

WORK, SAVED = "Work", "masks,areas,trace"
INSTEAD = {
    "give_up": "give a file up when a single step of it, such as reading a frame, takes so long  [10s]",
    "threads": "CPU threads of a worker's network  [1]",
}


def _option(flag: str, metavar: str | None, said: str, group: str = WORK) -> Any:
    return typer.Option(flag, metavar=metavar, help=said, rich_help_panel=group)


@takes(*OF_NETWORK, *OF_TIME, "opacity", "save_masks_format", "give_up", instead=INSTEAD)
def batch(
    given: Annotated[list[str], typer.Argument(metavar="FILE …", help="video files, folders of them, or quoted globs: 'drives/**/*.mp4'")],
    flags: Flags,
    out_dir: Annotated[Path, _option("--out", "DIR", "a folder a drive, and manifest.parquet", OUTPUT)],
    save: Annotated[str, _option("--save", "WHAT", "of each drive: masks, overlay, areas, trace, with commas", OUTPUT)] = SAVED,
    events: Annotated[bool, _option("--json", None, "what happens as JSON, a line an event, and no bar", OUTPUT)] = False,
    workers: Annotated[int | None, _option("--workers", "N", "how many  [as there are cores for]")] = None,
    cut: Annotated[float, _option("--cut", "S", "about how many seconds of a long file are a piece")] = 300.0,
    ray: Annotated[
        str | None, _option("--ray", "ADDRESS", "a cluster's, or local; none: processes without Ray  [local, or none where Ray is absent]")
    ] = None,
    retry: Annotated[bool, _option("--retry", None, "once more the drives that ended with an error")] = False,
    debug: Debug = False,
) -> None:
    """Label many recorded drives. The same command goes on where it was stopped or killed."""
    from drive_seg.fleet.batch import Batch, agreed
    from drive_seg.fleet.drives import find_drives
    from drive_seg.fleet.labelling import Order
    from drive_seg.fleet.records import Records
    from drive_seg.fleet.workers import end_at_once, hired
    from drive_seg.session.opening import lost_in_masks
    from drive_seg.workers import ended_by_signals

    if not 0 < cut < math.inf or (workers is not None and workers < 1):
        raise UsageError(f"--cut {cut:g} --workers {workers}: give more than 0")
    folder = expanded(out_dir)
    order = Order(Settings.load(None, {"threads": 1, **flags}), folder.absolute(), _saved(save), cut)
    drives, records = find_drives(given, folder), Records(order.out)
    pinned, whole = agreed(records, order), True
    if "masks" in order.save:
        order.masks.check()
    records.make()
    told = Told(events)
    with ExitStack() as stack:
        stack.callback(records.unmake)
        stack.callback(Held(records.lock, folder).release)
        missing = _missing(drives, records, retry, told)
        if missing:
            crew = stack.enter_context(hired(order, workers, ray))
            told.begin(missing, crew.note, order.uncut)
            print_note(lost_in_masks(order.settings) if "masks" in order.save else "")
            work = Batch(missing, order, crew.workers, pinned, told)
            stack.enter_context(ended_by_signals(lambda _: work.stop(), end_at_once))
            with told:
                whole = work.run()
        _index(records)
    told.end(len(drives), folder, whole)


def _saved(save: str) -> tuple[str, ...]:
    from drive_seg.fleet.records import SAVES

    names = [name.strip() for name in save.split(",") if name.strip()]
    if unknown := [name for name in names if name not in SAVES]:
        raise UsageError(f"--save {save}: no {unknown[0]}; there are {', '.join(SAVES)}")
    return tuple(name for name in SAVES if name in names)


def _missing(drives: "Sequence[Drive]", records: "Records", retry: bool, told: "Told") -> "list[Drive]":
    """Those that are not finished."""
    missing = []
    for drive in drives:
        record = records.record(drive)
        if record and record["error"] and retry:
            records.forget(drive)
            record = None
        if record is None:
            missing.append(drive)
            continue
        told.before += 1
        if record["bytes"] != drive.bytes:
            err.print(
                f"{drive.path}: is another file than when it was labelled; remove {records.done(drive)} to label it again", soft_wrap=True
            )
    return missing


def _index(records: "Records") -> None:
    from drive_seg.fleet.manifest import write_manifest

    try:
        write_manifest(records)
    except UsageError as error:
        err.print(f"drive-seg: {error}", soft_wrap=True)


class Told:
    """What is told of a batch: a bar and what went wrong, or events for machines. A context while the bar is shown."""

    def __init__(self, events: bool) -> None:
        self.before = 0  # drives that were finished before
        self._events, self._stream = events, sys.stdout  # which is Ray's warnings' as well, unless it is somebody else's meanwhile
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.1f} %"), TextColumn("{task.fields[rates]}")
        self._bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=err, disable=events)
        self._task = TaskID(0)
        self._bytes, self._frames = dict[str, int](), dict[str, int | None]()
        self._rates = dict[str, float]()  # by worker: frames a second of its last piece
        self._done = self._failed = 0
        self._seconds = 0.0  # of video
        self._start_s = time.monotonic()

    def begin(self, drives: "Sequence[Drive]", note: str, uncut: str) -> None:
        """`note`: who does it; `uncut`: why no file is cut."""
        self._bytes = {drive.name: drive.bytes for drive in drives}
        self._task = self._bar.add_task(f"0 of {len(drives)} drives", total=sum(self._bytes.values()), rates="")
        self({"event": "begin", "drives": len(drives), "before": self.before, "bytes": sum(self._bytes.values()), "workers": note})
        for line in (f"{_many(len(drives))}, {self.before} before; {note}", uncut and f"no file is cut: {uncut}"):
            print_note("" if self._events else line)

    def __call__(self, event: dict[str, Any]) -> None:
        if self._events:
            print(redacted(json.dumps(event)), file=self._stream, flush=True)
        kind, drive = event["event"], event.get("drive", "")
        if kind == "survey":
            self._frames[drive] = event["frames"]
        elif kind == "piece":
            self._rates[event["by"]] = event["frames"] / event["took_s"] if event["took_s"] else 0.0
            share = event["frames"] / frames if (frames := self._frames.get(drive)) else 1.0
            self._bar.advance(self._task, self._bytes.get(drive, 0) * share)
        elif kind == "file":
            self._done, self._failed = self._done + 1, self._failed + bool(event["error"])
            self._seconds += event["frames"] / event["fps"] if event["fps"] else 0.0
        if kind in ("piece", "file"):
            self._show()
        if kind in ("lost", "file") and event["error"] and not self._events:
            err.print(f"{drive}: a worker ended: {event['error']}" if kind == "lost" else event["error"], soft_wrap=True)

    def _show(self) -> None:
        many = len(self._rates) > 8
        rates = f"{sum(self._rates.values()):.0f}" if many else "+".join(f"{rate:.0f}" for rate in self._rates.values())
        described = f"{self._done} of {len(self._bytes)} drives"
        self._bar.update(self._task, description=described, rates=f"{rates} frames/s" if rates else "")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def end(self, drives: int, folder: Path, whole: bool) -> None:
        """Raises Stopped for a batch that is not whole, SourceError for one with errors in it."""
        took_s = time.monotonic() - self._start_s
        done = {"drives": self._done, "before": self.before, "errors": self._failed}
        self({"event": "end", **done, "video_s": self._seconds, "took_s": took_s})
        if not self._events:
            times = f", {self._seconds / took_s:.2g} times as fast as it was driven" if self._seconds else ""
            said = f"{_many(self._done)}, {_long(self._seconds)} of video, in {_long(took_s)}{times}"
            out.print(f"{said}; {self.before} were done before", soft_wrap=True)
        if not whole:
            raise Stopped(f"{folder}: stopped after {self._done + self.before} of {drives} drives; the same command goes on")
        if self._failed:
            raise SourceError(
                f"{folder}: {self._failed} of {drives} drives ended with an error, which manifest.parquet names; --retry tries again"
            )


def _many(drives: int) -> str:
    return f"{drives} drive{'s' * (drives != 1)}"


def _long(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
