"""One worker's work: it looks at a file, labels a piece of one, and puts a drive's pieces together. Whatever is done already it does not
do again, so that any work may be given to anybody at any time."""

import csv
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from drive_seg import __version__
from drive_seg.backends.validation import one_line
from drive_seg.contracts import Frame, Network, Result, Sink
from drive_seg.errors import BackendError, DriveSegError, SinkError, UsageError
from drive_seg.fleet.drives import Drive, Piece, cut, period
from drive_seg.fleet.records import RECORD, SAVES, SECONDS, Records, Survey, as_errors, keep, read
from drive_seg.network.postprocess import shares
from drive_seg.overlay import Painter, usual_look
from drive_seg.session import opening
from drive_seg.session.figures import Latencies, percentiles
from drive_seg.session.history import areas_header, areas_row
from drive_seg.session.observer import Observer
from drive_seg.session.session import Session
from drive_seg.settings import Settings
from drive_seg.sinks.formats import FORMATS, MaskFormat
from drive_seg.sources.capture import Capture
from drive_seg.sources.file import FileSource
from drive_seg.watchdog import LIMIT_S, Watched, hanging
from drive_seg.workers import Overflow

CHUNK = 1 << 24  # bytes that are hashed in one step
SLOWEST = 1e7  # bytes a second: a file that is read slower hangs
SALVAGE_S = 5.0  # for what is still to be written of a piece whose network hangs
GONE = 70  # exit code of a worker whose thread hangs in a library
SOME_HW = 360, 480
PINNED = ("backend", "precision")  # what is the same on every machine of a batch


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done with every drive."""

    settings: Settings
    out: Path
    save: tuple[str, ...]  # of SAVES
    cut_s: float  # about how long a piece is

    @property
    def limit_s(self) -> float:
        """Of a single step."""
        return LIMIT_S if self.settings.give_up is None else self.settings.give_up

    @property
    def masks(self) -> MaskFormat:
        return FORMATS[self.settings.save_masks_format]

    @property
    def places(self) -> dict[str, str]:
        """What is saved, and as which file or folder."""
        return {name: SAVES[name] + self.masks.suffix * (name == "masks") for name in self.save}

    @property
    def cuts_by(self) -> int | None:
        """As drives.period says; None as well where a piece is no part of the whole: an encoder goes by what it has seen, and a document
        has a beginning and an end."""
        return None if self.uncut else period(self.settings)

    @property
    def uncut(self) -> str:
        """Why long files are not cut; empty where they are."""
        if "masks" in self.save and self.masks.suffix:
            return f"masks as {self.settings.save_masks_format} are one file a drive"
        if "overlay" in self.save:
            return "an overlay's encoder goes by what it has seen; leave overlay out of --save to have long files cut"
        if period(self.settings):
            return ""
        return f"which frames are key frames in {self.settings.schedule} {self.settings.mode} is not known before"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a piece, as far as the rest of its drive depends on it."""

    frames: int
    began: int | None  # the first frame that was read, with which its cache began
    ends_with: int | None  # the frame whose context is cached at its end
    error: str  # why it ended before its end
    took_s: float
    by: str  # which process of which machine


class Part(Observer):
    """Keeps a piece's frames apart from those that only lead there, and counts them."""

    def __init__(self, piece: Piece, session: Session, sinks: dict[str, Sink], classes: Sequence[str], areas: Any | None) -> None:
        """`sinks` become the session's with the piece's first frame; `areas`: a csv.writer."""
        self._piece, self._session, self._sinks, self._classes, self._areas = piece, session, sinks, len(classes), areas
        self._here = False
        self.began: int | None = None
        self.ends_with: int | None = None
        self.keys = 0
        self.total_ms = list[float]()
        self.sums = dict[int, tuple[int, Any]]()  # by second of the drive: frames, and the sum of their areas

    def wants(self, frame: Frame) -> bool:
        self.began = frame.index if self.began is None else self.began
        if frame.index >= self._piece.start and not self._here:
            self._here = True
            self._session.sinks |= self._sinks
            self._session.latencies = Latencies()
        return self._piece.stop is None or frame.index < self._piece.stop

    def on_result(self, result: Result, comparison: Result | None) -> None:
        if not self._here:
            return
        frame, areas = result.frame, shares(result.labels, self._classes)
        if self._areas:
            self._areas.writerow(areas_row(frame.index, frame.time_s, areas))
        frames, total = self.sums.get(second := int(frame.time_s), (0, 0.0))
        self.sums[second] = frames + 1, total + areas.astype(np.float64)
        self.total_ms.append(round(result.total_ms, 3))
        self.keys += result.is_key
        self.ends_with = frame.index - result.age_frames


class Labeller:
    """Keeps its network compiled from piece to piece. Used by one thread."""

    def __init__(self, order: Order) -> None:
        self._order, self._records = order, Records(order.out)
        self._settings = order.settings
        self._engine: Network | None = None
        self._runs = dict[str, str]()
        self._by = f"{socket.gethostname()}:{os.getpid()}"

    def do(self, job: str, *args: Any) -> Any:
        """One of the methods below: what it returns, or the DriveSegError with which the whole batch has to end.

        Raises BackendError where a network fails that could be opened: another worker may fare better.
        """
        try:
            return getattr(self, job)(*args)
        except DriveSegError as error:
            if isinstance(error, BackendError) and job != "begin":
                raise
            return error

    def begin(self, version: str, pinned: dict[str, str]) -> dict[str, str]:
        """Opens the network by the backend and in the precision that the batch runs in everywhere; {} where that is to be found out here.

        Returns them. Raises UsageError where this machine cannot, or has another version, BackendError, BundleError.
        """
        if version != __version__:
            raise UsageError(f"{self._by}: has drive_seg {__version__}, not {version}; install the same everywhere")
        self._settings = self._order.settings.model_copy(update=pinned)
        settings = self._settings
        self._engine = opening.open_engine(opening.find_model(settings), settings)
        self._engine.fit(SOME_HW)
        with closing(opening.pipeline_on(self._engine, opening.open_schedule(settings), settings)) as pipeline:
            self._runs = pipeline.runs
        runs = {name: self._runs[name] for name in PINNED}
        asked = {name: getattr(settings, name) or runs[name] for name in PINNED}
        if runs != asked:
            said = f"runs in {' '.join(runs.values())} here, and not in {' '.join(asked.values())}"
            raise UsageError(f"{self._by}: {self._engine.name} {said}; leave this machine out, or give --precision for another --out")
        return runs

    def survey(self, drive: Drive) -> Survey:
        """Finds out what a file is, and where to cut it. What is wrong with it is in what is returned."""
        if kept := self._records.survey(drive):
            if kept.error or _stamp(drive) == (kept.bytes, kept.mtime_ns):
                return kept
            self._records.forget(drive)
        surveyed, plan = Survey(), None

        def give_up(text: str) -> NoReturn:
            self._records.keep_survey(drive, replace(surveyed, error=f"{drive.path}: {text}; it was given up"))
            os._exit(GONE)

        try:
            with Watched(give_up, self._order.limit_s + drive.bytes / SLOWEST) as watched:
                watched.begin("looking at it")
                size, mtime_ns = _stamp(drive)
                surveyed = Survey(size, mtime_ns)
                with FileSource(drive.path) as source:
                    info, plan = source.info, source.plan
                surveyed = replace(surveyed, fps=info.fps, size_hw=info.size_hw, frames=len(plan.pts) if plan else None)
                surveyed = replace(surveyed, sha256=_hashed(drive, watched))
                watched.end()
            pieces = cut(surveyed.frames, self._order.cuts_by, max(1, round(info.fps * self._order.cut_s)))
            surveyed = replace(surveyed, pieces=tuple(pieces))
        except OSError as error:
            surveyed = replace(surveyed, error=f"{drive.path}: {error.strerror or error}")
        except (SinkError, BackendError, UsageError):
            raise
        except Exception as error:
            surveyed = replace(surveyed, error=_line(drive, error))
        self._records.keep_survey(drive, surveyed, plan if len(surveyed.pieces) > 1 else None)
        return surveyed

    def label(self, drive: Drive, piece: Piece) -> Outcome:
        """Labels a piece. What is wrong with the file is in what is returned, and what comes before that is kept."""
        folder = self._records.piece(drive, piece)
        if kept := read(folder / RECORD):
            return _outcome(kept)
        attempt, started_s = self._records.attempt(drive, piece.name), time.perf_counter()
        part: Part | None = None
        error = ""

        def finish() -> dict[str, Any]:
            record = self._piece_record(piece, part, error, time.perf_counter() - started_s)
            keep(attempt / RECORD, record)
            self._records.settle(attempt, folder)
            return record

        def give_up(text: str) -> NoReturn:
            nonlocal error
            error = f"{drive.path}: {text}; it was given up"
            finish()
            os._exit(GONE)

        try:
            with ExitStack() as stack:
                capture = stack.enter_context(self._capture(drive, piece, give_up))
                session, part = self._open(stack, capture, drive, piece, attempt)

                def hung(_: str, failed: DriveSegError) -> NoReturn:
                    session.salvage(SALVAGE_S)
                    give_up(str(failed))

                session.hung = hung
                session.run()
        except (SinkError, UsageError, BackendError):  # no fault of the file's
            raise
        except Exception as failed:
            error = _line(drive, failed)
        record = finish()
        if hanging():  # a thread that is left alone with the file
            os._exit(GONE)
        return _outcome(record)

    def _capture(self, drive: Drive, piece: Piece, give_up: Callable[[str], None]) -> Capture:
        with Watched(give_up, self._order.limit_s) as watched, ExitStack() as stack:
            watched.begin("opening it")
            source = stack.enter_context(FileSource(drive.path, self._records.plan(drive)))
            if piece.key:
                source.seek(piece.key)
            watched.end()
            capture = Capture(source, Overflow.WAIT, realtime=False, limit_s=self._order.limit_s)
            stack.pop_all()
        return capture

    def _open(self, stack: ExitStack, capture: Capture, drive: Drive, piece: Piece, attempt: Path) -> tuple[Session, Part]:
        """The session that writes a piece into this folder; what it writes by is closed with the stack."""
        assert self._engine is not None
        places = {name: attempt / place for name, place in self._order.places.items()}
        where = {"output": places.get("overlay"), "save_masks": places.get("masks"), "trace": places.get("trace")}
        settings = self._settings.model_copy(update={"source": drive.path, **where})
        pipeline = opening.pipeline_on(self._engine, opening.open_schedule(settings), settings)
        stack.callback(pipeline.close)
        info = capture.source.info
        pipeline.fit(info.size_hw)
        sinks = opening.open_sinks(settings, info)
        for sink in sinks.values():
            stack.callback(sink.close)
        table = None
        if areas := places.get("areas"):
            with as_errors(areas):
                table = csv.writer(stack.enter_context(areas.open("w", newline="", encoding="utf-8")))
            table.writerow(areas_header(self._engine.classes))
        session = Session(pipeline, capture, limit_s=self._order.limit_s)
        session.painter = Painter(usual_look(self._engine.classes, self._engine.palette, settings.opacity))
        part = session.observers["part"] = Part(piece, session, sinks, self._engine.classes, table)
        return session, part

    def _piece_record(self, piece: Piece, part: Part | None, error: str, took_s: float) -> dict[str, Any]:
        counted: dict[str, Any] = {"frames": 0, "keys": 0, "began": None, "ends_with": None, "total_ms": [], "seconds": []}
        if part:
            seconds = [[second, frames, *map(float, sums)] for second, (frames, sums) in part.sums.items()]
            frames = len(part.total_ms)
            counted = {"frames": frames, "keys": part.keys, "began": part.began, "ends_with": part.ends_with}
            counted |= {"total_ms": part.total_ms, "seconds": seconds}
        return {**asdict(piece), **counted, "error": error, "took_s": round(took_s, 3), "by": self._by}

    def join(self, drive: Drive, survey: Survey, pieces: Sequence[Piece], error: str) -> dict[str, Any]:
        """Makes the drive's folder of its pieces, and returns its record. `error`: why the last one of these is none, if it is none."""
        records = self._records
        if done := records.record(drive):
            records.clear(drive)
            return done
        whole, folders = records.attempt(drive, "whole"), [records.piece(drive, piece) for piece in pieces]
        kept = [found for folder in folders if (found := read(folder / RECORD))]
        with as_errors(whole):
            for name, place in self._order.places.items():
                _join([path for folder in folders if (path := folder / place).exists()], whole / place, name == "areas")
        assert self._engine is not None
        with as_errors(whole), (whole / SECONDS).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(("second", "frames", *self._engine.classes))
            for second, (frames, areas) in _seconds(kept).items():
                table.writerow((second, frames, *(f"{area / frames:.6f}" for area in areas)))
        made = {"runs": self._runs, "masks": self._settings.save_masks_format if "masks" in self._order.save else None}
        record = _drive_record(drive, survey, kept, error, self._engine.classes) | made
        keep(whole / RECORD, record)
        records.settle(whole, records.done(drive))
        records.clear(drive)
        return record


def _stamp(drive: Drive) -> tuple[int, int]:
    found = Path(drive.path).stat()
    return found.st_size, found.st_mtime_ns


def _hashed(drive: Drive, watched: Watched) -> str:
    sha256 = hashlib.sha256()
    with Path(drive.path).open("rb") as file:
        while chunk := file.read(CHUNK):
            watched.begin("reading it")
            sha256.update(chunk)
    return sha256.hexdigest()


def _line(drive: Drive, error: Exception) -> str:
    """What is wrong, in one line that names the file."""
    said = str(error) if isinstance(error, DriveSegError) else f"{type(error).__name__}: {one_line(error)}"
    return said if drive.path in said else f"{drive.path}: {said}"


def _outcome(record: dict[str, Any]) -> Outcome:
    return Outcome(**{field.name: record[field.name] for field in fields(Outcome)})


def _join(pieces: Sequence[Path], whole: Path, header: bool) -> None:
    """Folders become one with the files of all; files one after the other, the first line once where they have a `header`."""
    if any(piece.is_dir() for piece in pieces):
        whole.mkdir()
        for piece in pieces:
            for path in piece.iterdir():
                _link(path, whole / path.name)
    elif len(pieces) == 1:
        _link(pieces[0], whole)
    elif pieces:
        with whole.open("wb") as file:
            for number, piece in enumerate(pieces):
                with piece.open("rb") as part:
                    if number and header:
                        part.readline()
                    shutil.copyfileobj(part, file)


def _link(path: Path, another: Path) -> None:
    try:
        another.hardlink_to(path)
    except OSError:  # of a file system without such links, or a full one, which copying tells
        shutil.copyfile(path, another)


Seconds = dict[int, tuple[int, Any]]


def _seconds(pieces: Sequence[dict[str, Any]]) -> Seconds:
    """By second of the drive: frames, and the sum of their areas; two pieces may meet within one."""
    found: Seconds = {}
    for piece in pieces:
        for second, frames, *sums in piece["seconds"]:
            before, total = found.get(second, (0, 0.0))
            found[second] = before + frames, total + np.array(sums)
    return dict(sorted(found.items()))


def _drive_record(drive: Drive, survey: Survey, pieces: Sequence[dict[str, Any]], error: str, classes: Sequence[str]) -> dict[str, Any]:
    height, width = survey.size_hw
    known = {"sha256": survey.sha256, "bytes": survey.bytes, "mtime_ns": survey.mtime_ns}
    about = {"drive": drive.name, "path": drive.path, **known, "width": width, "height": height, "fps": survey.fps}
    rows = [{"start": piece["start"], **_figures([piece], classes), "error": piece["error"]} for piece in pieces]
    error = survey.error or next((piece["error"] for piece in pieces if piece["error"]), error)
    return {**about, **_figures(pieces, classes), "error": error, "pieces": rows}


def _figures(pieces: Sequence[dict[str, Any]], classes: Sequence[str]) -> dict[str, Any]:
    """Of all their frames: each class's mean share of the picture among them; None where there is no frame."""
    frames, total_ms = sum(piece["frames"] for piece in pieces), [ms for piece in pieces for ms in piece["total_ms"]]
    sums = sum(areas for _, areas in _seconds(pieces).values())
    found = percentiles(total_ms)
    return {
        "frames": frames,
        "key_frame_rate": sum(piece["keys"] for piece in pieces) / frames if frames else None,
        "areas": {name: round(float(area / frames), 6) for name, area in zip(classes, sums, strict=True)} if frames else None,
        "latency_ms": {name: found[name] for name in ("p50", "p95", "p99", "max")},
        "took_s": round(sum(piece["took_s"] for piece in pieces), 3),
        "by": ", ".join(dict.fromkeys(piece["by"] for piece in pieces)),
    }
