"""The composition root: from settings to a source, a network with its pipeline, and sinks; and the run without a window."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2

from drive_seg.audit import Auditor
from drive_seg.backends import external_files, open_backend, read_onnx
from drive_seg.backends.validation import thread_count
from drive_seg.capabilities import Compiling, Streaming
from drive_seg.classes import read_class_names
from drive_seg.contracts import Backend, Image, Labels, Network, Result, Sink, Source, SourceInfo
from drive_seg.errors import BackendError, DriveSegError, UsageError
from drive_seg.files import Use, require_apart, require_writable
from drive_seg.network.card import Bundle, load_bundle, locate
from drive_seg.network.engine import Engine
from drive_seg.network.foreign import Foreign, ForeignEngine, describe
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.postprocess import refine
from drive_seg.network.propagate import make_propagation
from drive_seg.network.refresh import Async, Delayed, Refresher, Streamed, Sync
from drive_seg.network.schedule import EveryFrame, Pipelined, Replay, Schedule, check_fits, parse_schedule
from drive_seg.overlay import Look, Painter
from drive_seg.precision import int8_is_faster
from drive_seg.settings import FOREIGN, Settings
from drive_seg.sinks.masks import MaskWriter
from drive_seg.sinks.recorder import Recorder
from drive_seg.sinks.tracer import Tracer, read_decisions
from drive_seg.sources import files_of, open_source
from drive_seg.sources.capture import Capture
from drive_seg.trace import Latencies
from drive_seg.workers import Overflow, clocked

AUDIT_LIMIT_S = 60.0  # until the auditor's network is open, where there is no hurry


@dataclass(frozen=True, slots=True)
class Plan:
    """What settings mean, found and checked as far as that goes before anything is opened."""

    settings: Settings
    model: Bundle | Foreign
    schedule: Schedule  # some remember: for one lane only


@dataclass(frozen=True, slots=True)
class Lane:
    """A network and its pipeline: pictures in, labels out. Opened, used and closed by one thread."""

    settings: Settings
    engine: Network
    pipeline: Pipeline

    @property
    def runs(self) -> dict[str, str]:
        backend = self.engine.backend
        return {
            "model": self.engine.name,
            "backend": backend.name,
            "precision": backend.precision,
            "device": backend.device,
            "schedule": self.pipeline.schedule.name,
            "mode": self.pipeline.refresher.name,
            "propagation": self.pipeline.propagation.name,
        }

    @property
    def headline(self) -> str:
        what = self.runs
        brought = "" if what["propagation"] == "hold" else f" {what['propagation']}"
        return f"{what['model']} · {what['backend']} {what['precision']} · {what['device']} · {what['schedule']} {what['mode']}{brought}"

    def paint(self, painter: Painter, image: Image, labels: Labels) -> Image:
        """What the painter makes of the frame that the pipeline saw last, where the network runs, if that can be."""
        made = None
        if isinstance(self.engine, Engine) and (tables := painter.tables):
            made = self.engine.overlay(labels, *tables)
        return painter.paint(image, labels) if made is None else made

    def close(self) -> None:
        self.pipeline.close()
        self.engine.close()


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one run without a window needs, opened. What it holds is closed by the context that made it."""

    settings: Settings
    lane: Lane
    capture: Capture
    sinks: tuple[Sink, ...]
    latencies: Latencies
    auditor: Auditor | None

    def summary(self) -> dict[str, object]:
        """What ran and how fast, so far: the content of --json."""
        return summed_up(self.lane, self.latencies, self.auditor)


def summed_up(lane: Lane, latencies: Latencies, auditor: Auditor | None) -> dict[str, object]:
    agreement = {"agreement": [asdict(one) for one in auditor.agreement()]} if auditor else {}
    return {**lane.runs, **latencies.summary(), **agreement}


def reads(settings: Settings) -> list[Use]:
    """Every file that a run reads, with the flag that names it."""
    given = {"--class-names": settings.class_names, "--replay": settings.replay, "--config": settings.config}
    named = {"--source": files_of(settings.source), "--model": _model_files(settings.model)}
    named |= {flag: [path] for flag, path in given.items() if isinstance(path, Path)}
    return [Use(flag, path, "read") for flag, paths in named.items() for path in paths]


def _model_files(model: str) -> list[Path]:
    if Path(model).suffix == ".onnx":
        return [Path(model), *external_files(model)]
    try:
        return list(locate(model).iterdir())
    except (DriveSegError, OSError):  # loading it tells
        return []


def check_apart(settings: Settings, *more: Use) -> list[Use]:
    """What a run writes, `more` beside what its settings say. Raises UsageError where that is what it reads, or two of it are one."""
    given = {"--output": settings.output, "--save-masks": settings.save_masks, "--trace": settings.trace, "--json": settings.json_file}
    writes = [Use(flag, path, "fill" if flag == "--save-masks" else "write") for flag, path in given.items() if path]
    writes += more
    if writes:
        require_apart([*reads(settings), *writes])
    return writes


def check_paths(settings: Settings) -> None:
    """All paths of a run, before anything is opened: one is not another, nothing is overwritten unasked, and all can be written.

    Raises UsageError, SinkError.
    """
    require_writable(check_apart(settings), settings.overwrite)


def make_plan(settings: Settings) -> Plan:
    """Raises BundleError, BackendError, UsageError."""
    schedule = open_schedule(settings)
    return Plan(settings, find_model(settings), schedule)


def find_model(settings: Settings) -> Bundle | Foreign:
    """What --model names: a bundle, or any ONNX network with what is said about it. Raises BundleError, BackendError, UsageError."""
    if Path(settings.model).suffix != ".onnx":
        if given := [name for name in FOREIGN if getattr(settings, name) is not None]:
            raise UsageError(f"--{given[0].replace('_', '-')}: is for a network without a card; give --model net.onnx, or leave it out")
        return load_bundle(settings.model)
    if settings.class_names is None:
        raise UsageError(f"{settings.model}: give --class-names FILE with the names of its classes, one a line")
    names = read_class_names(settings.class_names)
    return describe(read_onnx(settings.model), names, settings.mean, settings.std, settings.channels, _about_hw(settings))


def open_engine(model: Bundle | Foreign, settings: Settings, beside: bool = False) -> Network:
    """The model on the backend that is asked for; what it holds is the caller's to close. Raises BackendError, UsageError.

    `beside`: it works beside another one, on one thread, and on a GPU after it.
    """
    threads = max(1, thread_count(settings.threads) - 1) if settings.mode == "async" else settings.threads  # the deep stage has its own
    return _on(_open_backend(settings, 1, urgent=False) if beside else _open_backend(settings, threads), model, settings)


def _on(backend: Backend, model: Bundle | Foreign, settings: Settings) -> Network:
    if not isinstance(model, Bundle):
        return ForeignEngine(model, backend, settings.propagation)
    open_question = backend.int8 is None and model.card.precision == "int8"
    int8 = int8_is_faster(model, lambda: _open_backend(settings, settings.threads)) if open_question else None
    return Engine(model, backend, settings.propagation, _about_hw(settings), int8)


def _about_hw(settings: Settings) -> tuple[int, int] | None:
    return settings.input_size[::-1] if settings.input_size else None


def _open_backend(settings: Settings, threads: int | None, urgent: bool = True) -> Backend:
    return open_backend(settings.backend, device=settings.device, precision=settings.precision, threads=threads, urgent=urgent)


def open_schedule(settings: Settings) -> Schedule:
    """What decides on key frames: --schedule, or the record that --replay names. Raises UsageError."""
    schedule = parse_schedule(settings.schedule)
    if settings.replay is None:
        return schedule
    if schedule != EveryFrame():
        raise UsageError(f"--schedule {settings.schedule}: --replay decides already; leave one of them out")
    return Replay(read_decisions(settings.replay), f"replay of {settings.replay}")


def open_pipeline(engine: Network, schedule: Schedule, settings: Settings) -> Pipeline:
    """In the mode and with the propagation that are asked for; what it holds is the caller's to close. Raises UsageError, BackendError."""
    sharpen = refine if settings.refine else None
    return Pipeline(engine, schedule, None, sharpen, _open_refresher(engine, schedule, settings), make_propagation(settings.propagation))


def _open_refresher(engine: Network, schedule: Schedule, settings: Settings) -> Refresher:
    check_mode(schedule, settings)
    mode, _, frames = settings.mode.partition(":")
    if isinstance(schedule, Pipelined):
        return Delayed(engine, schedule.stages - 1, schedule.stages - 1, "pipelined")
    if frames:
        return Delayed(engine, int(frames), 1, settings.mode)
    if mode == "sync":
        return Sync(engine)
    backend = engine.backend
    if isinstance(engine, Engine) and isinstance(backend, Streaming):
        return Streamed(engine, lambda: engine.beside(backend))
    return Async(engine, _open_backend(settings, 1, urgent=False))


def check_mode(schedule: Schedule, settings: Settings) -> None:
    """Raises UsageError for a schedule that cannot be kept in the mode that is asked for."""
    if settings.mode == "sync":
        return
    if isinstance(schedule, Pipelined):
        raise UsageError(f"--mode {settings.mode}: {schedule.name} has a timing of its own; leave the flag out")
    if (schedule.needs_cached or 1) > 1:
        raise UsageError(f"--mode {settings.mode}: {schedule.name} refreshes stage by stage, on the frame itself; leave the flag out")


def check(plan: Plan) -> Network:
    """What the plan's lane would run, closed and not fitted to any frame. Raises BackendError, UsageError for what can be told so early."""
    with open_engine(plan.model, plan.settings) as engine:
        check_mode(plan.schedule, plan.settings)
        check_fits(plan.schedule, engine)
    return engine


def open_lane(plan: Plan, frame_hw: tuple[int, int]) -> Lane:
    """Fitted to frames of this size; the caller's to close, in this thread. Raises BackendError, UsageError; nothing is left open then."""
    settings = plan.settings
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(plan.model, settings))
        engine.fit(frame_hw)
        if settings.precision not in (None, engine.backend.precision):
            runs = engine.backend.precision
            raise UsageError(f"--precision {settings.precision}: {engine.name} runs in {runs} here; leave the flag out")
        pipeline = open_pipeline(engine, plan.schedule, settings)
        stack.callback(pipeline.close)
        pipeline.fit(frame_hw)
        stack.pop_all()
    return Lane(settings, engine, pipeline)


def ready(settings: Settings, frame_hw: tuple[int, int]) -> bool:
    """Whether a lane of these settings opens within seconds: nothing has to be built. Raises BackendError, UsageError, BundleError."""
    backend = _open_backend(settings, settings.threads)
    if not isinstance(backend, Compiling):
        return True
    model = find_model(settings)
    try:
        with _on(backend.ahead(None), model, settings) as engine:
            engine.fit(frame_hw)
    except BackendError:
        return False
    return True


def prepare(settings: Settings, frame_hw: tuple[int, int], tell: Callable[[str], None]) -> None:
    """Builds, in any thread, what opening a lane of these settings needs, and loads nothing.

    `tell` is given one line at a time, also from another thread: what is under way, the share that is done, the seconds since the
    beginning. What it raises ends the building. Raises BackendError, UsageError, BundleError.
    """
    backend = _open_backend(settings, settings.threads)
    if isinstance(backend, Compiling):
        with clocked(tell) as say, _on(backend.ahead(say), find_model(settings), settings) as engine:
            engine.fit(frame_hw)
            if isinstance(engine, Engine):
                engine.load_painter()  # for a recording, which may begin later


def rescheduled(lane: Lane, settings: Settings) -> Lane | None:
    """The same lane and cache by another schedule; None where that takes a lane of its own. Raises UsageError, and changes nothing."""
    schedule = open_schedule(settings)
    if isinstance(schedule, Pipelined) or isinstance(lane.pipeline.schedule, Pipelined):
        return None
    check_mode(schedule, settings)
    check_fits(schedule, lane.engine)
    lane.pipeline.schedule = schedule
    return replace(lane, settings=settings)


def open_capture(source: Source, paced: bool, stay: bool = False) -> Capture:
    """Begins to read; the capture owns the source. `paced`: a file keeps its own pace, and what comes too late is lost."""
    overflow = Overflow.DROP_OLDEST if source.info.live or paced else Overflow.WAIT
    return Capture(source, overflow, realtime=paced, stay=stay)


def open_recorder(path: Path, settings: Settings, source: SourceInfo) -> Recorder:
    """Raises UsageError, SinkError."""
    check_apart(settings.model_copy(update={"output": path}))
    return Recorder(path, source.fps, _patience(source), settings.overwrite)


def open_sinks(settings: Settings, source: SourceInfo) -> dict[str, Sink]:
    """What is asked for of recorder, masks and trace; the caller's to close. Raises UsageError, SinkError; nothing is left open then."""
    sinks: dict[str, Sink] = {}
    with ExitStack() as stack:
        if settings.output:
            sinks["recorder"] = open_recorder(settings.output, settings, source)
            stack.callback(sinks["recorder"].close)
        if settings.save_masks:
            sinks["masks"] = MaskWriter(settings.save_masks, _patience(source), settings.overwrite)
            stack.callback(sinks["masks"].close)
        if settings.trace:
            sinks["trace"] = Tracer(settings.trace, settings.overwrite)
        stack.pop_all()
    return sinks


def _patience(source: SourceInfo) -> Overflow:
    return Overflow.DROP_OLDEST if source.live else Overflow.WAIT


def open_auditor(settings: Settings, frame_hw: tuple[int, int]) -> Auditor:
    """Opens its network in a thread of its own; the caller's to close."""
    return Auditor(lambda: open_engine(find_model(settings), settings, beside=True), frame_hw, refine if settings.refine else None)


def calm_opencv() -> None:
    """The network has the cores. OpenCV's own pool, woken for a millisecond of resize or blend, only gets in its way: at 1280x720 on
    two cores 82 frames a second with it and 89 without."""
    cv2.setNumThreads(1)


@contextmanager
def assembled(settings: Settings, tell: Callable[[str], None] | None = None) -> Iterator[Run]:
    """Opens everything for a run without a window, in the order in which a mistake is cheapest to find; closes it in the reverse one.

    `tell` is given what is built first, as `prepare` says it.
    """
    calm_opencv()
    check_paths(settings)
    plan = make_plan(settings)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(settings.source, loop=settings.loop or settings.benchmark))
        if tell and not ready(settings, source.info.size_hw):
            prepare(settings, source.info.size_hw, tell)
        lane = open_lane(plan, source.info.size_hw)
        stack.callback(lane.close)
        sinks = tuple(open_sinks(settings, source.info).values())
        for sink in sinks:
            stack.callback(sink.close)
        if settings.benchmark or any(sink.wants_overlay for sink in sinks):
            painter = Painter(Look(lane.engine.palette, settings.opacity))
            lane.pipeline.paint = lambda image, labels: lane.paint(painter, image, labels)
        auditor = open_auditor(settings, source.info.size_hw) if settings.audit else None
        if auditor:
            stack.callback(auditor.close)
            auditor.wait(AUDIT_LIMIT_S)
        capture = stack.enter_context(open_capture(source, paced=settings.realtime))
        yield Run(settings, lane, capture, sinks, Latencies(0), auditor)


def _results(run: Run) -> Iterator[Result]:
    """The run itself: frames in, results to every sink and to the caller, until the source ends or enough was seen.

    At the end the sinks are closed, which raises what went wrong at the very end of a recording.
    """
    for count, frame in enumerate(run.capture, 1):
        result = run.lane.pipeline.step(frame, run.capture.dropped)
        for sink in run.sinks:
            sink.put(result)
        if run.auditor:
            run.auditor.offer(result)
        run.latencies.add(result, time.perf_counter())
        yield result
        if count == run.settings.max_frames:
            break
    for sink in run.sinks:
        sink.close()
    if run.auditor:
        run.auditor.close()


def run_headless(run: Run, on_result: Callable[[Result], None]) -> None:
    """Runs to the end; `on_result` is called after each frame.

    Raises what broke the source, the network or a recording; what was recorded until then is closed properly by `assembled`.
    """
    for result in _results(run):
        on_result(result)
