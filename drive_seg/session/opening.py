"""The composition root: from settings to a network with its pipeline, a capture, sinks and an auditor; and a session without a window."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from drive_seg.backends import open_backend, read_onnx
from drive_seg.backends.confidence import with_confidence
from drive_seg.backends.validation import thread_count
from drive_seg.capabilities import Compiling, Streaming
from drive_seg.classes import read_class_names
from drive_seg.contracts import Away, Backend, Network, Sink, Source, SourceInfo
from drive_seg.errors import BackendError, UsageError
from drive_seg.network import postprocess
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.foreign import Foreign, ForeignEngine, describe, is_onnx
from drive_seg.network.pipeline import Pipeline, Refine
from drive_seg.network.propagate import make_propagation
from drive_seg.network.refresh import Async, Delayed, Refresher, Streamed, Sync
from drive_seg.network.schedule import EveryFrame, Pipelined, Replay, Schedule, check_fits, parse_schedule
from drive_seg.overlay import Painter, usual_look
from drive_seg.session.audit import Auditor
from drive_seg.session.corridors import corridor_of
from drive_seg.session.film import Film
from drive_seg.session.lookout import Lookout
from drive_seg.session.paths import check_apart, check_paths
from drive_seg.session.precision import int8_is_faster
from drive_seg.session.session import Session
from drive_seg.settings import FOREIGN, Settings
from drive_seg.sinks import bag
from drive_seg.sinks.formats import FORMATS
from drive_seg.sinks.recorder import Recorder
from drive_seg.sinks.tracer import Tracer, read_decisions
from drive_seg.sources import open_source
from drive_seg.sources.capture import Capture
from drive_seg.workers import Overflow, clocked

AUDIT_LIMIT_S = 60.0  # until the auditor's network is open, where there is no hurry


def find_model(settings: Settings) -> Bundle | Foreign:
    """What --model names: a bundle, or any ONNX network with what is said about it. Raises BundleError, BackendError, UsageError."""
    if not is_onnx(settings.model):
        if given := [name for name in FOREIGN if getattr(settings, name) is not None]:
            raise UsageError(f"--{given[0].replace('_', '-')}: is for a network without a card; give --model net.onnx, or leave it out")
        return load_bundle(settings.model)
    if settings.class_names is None:
        raise UsageError(f"{settings.model}: give --class-names FILE with the names of its classes, one a line")
    names = read_class_names(settings.class_names)
    file = read_onnx(settings.model)
    return describe(file, names, settings.mean, settings.std, settings.channels, _about_hw(settings), settings.scale)


def open_engine(model: Bundle | Foreign, settings: Settings, beside: bool = False) -> Network:
    """The model on the backend that is asked for; what it holds is the caller's to close. Raises BackendError, UsageError.

    `beside`: it works beside another one, on one thread, and on a GPU after it.
    """
    threads = max(1, thread_count(settings.threads) - 1) if settings.mode == "async" else settings.threads  # the deep stage has its own
    return _on(_open_backend(settings, 1, urgent=False) if beside else _open_backend(settings, threads), model, settings)


def _on(backend: Backend, model: Bundle | Foreign, settings: Settings) -> Network:
    borders = postprocess.KINDS.get(settings.refine or "")
    telling = with_confidence if settings.confidence or (borders and borders.confidence) else None
    if not isinstance(model, Bundle):
        return ForeignEngine(model, backend, settings.propagation, telling)
    open_question = backend.int8 is None and model.card.precision == "int8"
    int8 = int8_is_faster(model, lambda: _open_backend(settings, settings.threads)) if open_question else None
    return Engine(model, backend, settings.propagation, _about_hw(settings), int8, telling)


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


def pipeline_on(engine: Network, schedule: Schedule, settings: Settings, owns_engine: bool = False) -> Pipeline:
    """In the mode and with the propagation that are asked for; what it holds is the caller's to close. Raises UsageError, BackendError."""
    refresher = _open_refresher(engine, schedule, settings)
    return Pipeline(engine, schedule, None, refine_of(settings), refresher, make_propagation(settings.propagation), owns_engine)


def refine_of(settings: Settings) -> Refine | None:
    """What --refine names."""
    return postprocess.KINDS[settings.refine].refine if settings.refine else None


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


def check(model: Bundle | Foreign, settings: Settings) -> Network:
    """What a pipeline would run, closed and not fitted to any frame. Raises BackendError, UsageError for what can be told so early."""
    schedule = open_schedule(settings)
    with open_engine(model, settings) as engine:
        check_mode(schedule, settings)
        check_fits(schedule, engine)
    return engine


def open_pipeline(model: Bundle | Foreign, settings: Settings, frame_hw: tuple[int, int]) -> Pipeline:
    """With an engine of its own, fitted to frames of this size; the caller's to close, in this thread.

    Raises BackendError, UsageError; nothing is left open then.
    """
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(model, settings))
        engine.fit(frame_hw)
        if settings.precision not in (None, engine.backend.precision):
            runs = engine.backend.precision
            raise UsageError(f"--precision {settings.precision}: {engine.name} runs in {runs} here; leave the flag out")
        pipeline = pipeline_on(engine, open_schedule(settings), settings, owns_engine=True)
        stack.callback(pipeline.close)
        pipeline.fit(frame_hw)
        stack.pop_all()
    return pipeline


def ready(settings: Settings, frame_hw: tuple[int, int]) -> bool:
    """Whether a pipeline of these settings opens within seconds: nothing has to be built. Raises BackendError, UsageError, BundleError."""
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
    """Builds, in any thread, what opening a pipeline of these settings needs, and loads nothing.

    `tell` is given one line at a time, also from another thread: what is under way, the share that is done, the seconds since the
    beginning. What it raises ends the building. Raises BackendError, UsageError, BundleError.
    """
    backend = _open_backend(settings, settings.threads)
    if isinstance(backend, Compiling):
        with clocked(tell) as say, _on(backend.ahead(say), find_model(settings), settings) as engine:
            engine.fit(frame_hw)
            if isinstance(engine, Engine):
                engine.load_painter()  # for a recording, which may begin later


def open_capture(source: Source, paced: bool, loop: bool, stay: bool = False) -> Capture:
    """Begins to read; the capture owns the source. `paced`: a file keeps its own pace, and what comes too late is lost."""
    overflow = Overflow.DROP_OLDEST if source.info.live or paced else Overflow.WAIT
    return Capture(source, overflow, realtime=paced, stay=stay, looping=loop)


def open_recorder(path: Path, settings: Settings, source: SourceInfo) -> Sink:
    """What its suffix says. Raises UsageError, SinkError."""
    check_apart(settings.model_copy(update={"output": path}))
    if path.suffix.lower() == bag.SUFFIX:
        return bag.BagRecorder(path, source, _patience(source), settings.overwrite)
    return Recorder(path, source.fps, _patience(source), settings.overwrite)


def open_sinks(settings: Settings, source: SourceInfo) -> dict[str, Sink]:
    """What is asked for of recorder, masks and trace; the caller's to close. Raises UsageError, SinkError; nothing is left open then."""
    sinks: dict[str, Sink] = {}
    with ExitStack() as stack:
        if settings.output:
            sinks["recorder"] = open_recorder(settings.output, settings, source)
            stack.callback(sinks["recorder"].close)
        if settings.save_masks:
            sinks["masks"] = FORMATS[settings.save_masks_format].open(settings.save_masks, _patience(source), settings.overwrite)
            stack.callback(sinks["masks"].close)
        if settings.trace:
            sinks["trace"] = Tracer(settings.trace, settings.overwrite)
        stack.pop_all()
    return sinks


def lost_in_masks(settings: Settings) -> str:
    """A line for people where the data set of the masks' format has no class of that name; empty else. Raises BundleError, UsageError."""
    name, model = settings.save_masks_format, find_model(settings)
    lost = FORMATS[name].lost(model.card.classes if isinstance(model, Bundle) else [entry.name for entry in model.names])
    return f"--save-masks-format {name}: no class there is called {', '.join(lost)}; they are void" if lost else ""


def _patience(source: SourceInfo) -> Overflow:
    return Overflow.DROP_OLDEST if source.live else Overflow.WAIT


def open_auditor(settings: Settings, frame_hw: tuple[int, int]) -> Auditor:
    """Opens its network in a thread of its own; the caller's to close."""
    return Auditor(lambda: open_engine(find_model(settings), settings, beside=True), frame_hw, refine_of(settings))


def open_lookout(settings: Settings, classes: Sequence[str], before: Lookout | None = None) -> Lookout | None:
    """What watches the road ahead; None where nobody asks. `before`: whose figures go on. Raises UsageError."""
    if settings.corridor is None:
        return None
    return Lookout(corridor_of(settings.source) if isinstance(settings.corridor, str) else settings.corridor, classes, before)


@contextmanager
def open_session(settings: Settings, tell: Callable[[str], None] | None = None) -> Iterator[Session]:
    """Opens everything for a run without a window, in the order in which a mistake is cheapest to find; closes it in the reverse one.

    `tell` is given what is built first, as `prepare` says it, and that a stream's server is waited for.
    """
    check_paths(settings)
    open_schedule(settings)  # what cannot be meant shows before a source is opened
    model = find_model(settings)
    with ExitStack() as stack:
        loop = settings.loop or settings.benchmark

        def waits(away: Away) -> None:
            if tell:
                tell(f"{away.name}: connecting since {away.since}, try {away.tries}")

        source = stack.enter_context(open_source(settings.source, loop=loop, give_up_s=settings.give_up, tell=waits if tell else None))
        if tell and not ready(settings, source.info.size_hw):
            prepare(settings, source.info.size_hw, tell)
        pipeline = open_pipeline(model, settings, source.info.size_hw)
        stack.callback(pipeline.close)
        sinks = open_sinks(settings, source.info)
        for sink in sinks.values():
            stack.callback(sink.close)
        auditor = open_auditor(settings, source.info.size_hw) if settings.audit else None
        if auditor:
            stack.callback(auditor.close)
            auditor.wait(AUDIT_LIMIT_S)
        session = Session(pipeline, stack.enter_context(open_capture(source, settings.realtime, loop)))
        engine = pipeline.engine
        session.painter = Painter(usual_look(engine.classes, engine.palette, settings.opacity))
        session.paints_always = settings.benchmark
        session.sinks |= sinks
        if lookout := open_lookout(settings, pipeline.engine.classes):
            session.observers["ahead"] = lookout
        session.film = Film(settings.captions, road=settings.draw_ahead)
        if auditor:
            session.auditor = session.observers["audit"] = auditor
        if not settings.benchmark:  # which counts those after its warm-up
            session.max_frames = settings.max_frames
        yield session
