"""The composition root: from settings to a network with its pipeline, a capture, sinks and an auditor; and a session without a window."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Condition

from drive_seg.backends import open_backend, read_onnx
from drive_seg.backends.confidence import with_confidence
from drive_seg.backends.validation import thread_count
from drive_seg.capabilities import Compiling, Streaming
from drive_seg.classes import read_class_names
from drive_seg.contracts import Away, Backend, Network, Sink, Source, SourceInfo
from drive_seg.errors import Absent, BackendError, UsageError
from drive_seg.network import postprocess
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.foreign import Foreign, ForeignEngine, describe, is_onnx
from drive_seg.network.pipeline import Pipeline, Refine
from drive_seg.network.propagate import make_propagation
from drive_seg.network.refresh import Async, Delayed, Refresher, Streamed, Sync
from drive_seg.network.schedule import EveryFrame, Pipelined, Replay, Schedule, check_fits, parse_schedule, share_budget
from drive_seg.overlay import Painter, usual_look
from drive_seg.redaction import redacted
from drive_seg.session.audit import Auditor
from drive_seg.session.cameras import Cameras
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
from drive_seg.sources.capture import Capture, Reconnecting
from drive_seg.sources.reopened import Reopened
from drive_seg.workers import Overflow, clocked

AUDIT_LIMIT_S = 60.0  # until the auditor's network is open, where there is no hurry
USUAL_HW = 480, 640  # what a network is fitted to while no camera says what it gives


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


def pipeline_on(
    engine: Network, schedule: Schedule, settings: Settings, owns_engine: bool = False, beside: Backend | None = None
) -> Pipeline:
    """In the mode and with the propagation that are asked for; what it holds is the caller's to close. `beside`: the backend of deep stages
    that run in a thread of their own, unless it is another one. Raises UsageError, BackendError."""
    refresher = _open_refresher(engine, schedule, settings, beside)
    return Pipeline(engine, schedule, None, refine_of(settings), refresher, make_propagation(settings.propagation), owns_engine)


def refine_of(settings: Settings) -> Refine | None:
    """What --refine names."""
    return postprocess.KINDS[settings.refine].refine if settings.refine else None


def _open_refresher(engine: Network, schedule: Schedule, settings: Settings, beside: Backend | None) -> Refresher:
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
    return Async(engine, beside or _open_backend(settings, 1, urgent=False))


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


def open_pipeline(model: Bundle | Foreign, settings: Settings, frame_hw: tuple[int, int], first: Pipeline | None = None) -> Pipeline:
    """With an engine of its own, fitted to frames of this size; the caller's to close, in this thread. `first`: another camera's, whose
    compiled network it uses too.

    Raises BackendError, UsageError; nothing is left open then.
    """
    with ExitStack() as stack:
        engine = stack.enter_context(_again(first.engine) if first else open_engine(model, settings))
        engine.fit(frame_hw)
        if settings.precision not in (None, engine.backend.precision):
            runs = engine.backend.precision
            raise UsageError(f"--precision {settings.precision}: {engine.name} runs in {runs} here; leave the flag out")
        beside = first.refresher.backend if first and isinstance(first.refresher, Async) else None
        pipeline = pipeline_on(engine, open_schedule(settings), settings, owns_engine=True, beside=beside)
        stack.callback(pipeline.close)
        pipeline.fit(frame_hw)
        stack.pop_all()
    return pipeline


def _again(engine: Network) -> Network:
    assert isinstance(engine, Engine | ForeignEngine)
    return engine.again()


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


def open_capture(source: Source, paced: bool, loop: bool, stay: bool = False, arrived: Condition | None = None) -> Capture:
    """Begins to read; the capture owns the source. `paced`: a file keeps its own pace, and what comes too late is lost."""
    overflow = Overflow.DROP_OLDEST if source.info.live or paced else Overflow.WAIT
    return Capture(source, overflow, realtime=paced, stay=stay, looping=loop, arrived=arrived)


def open_recorder(path: Path, settings: Settings, source: SourceInfo) -> Sink:
    """What its suffix says. Raises UsageError, SinkError."""
    check_apart(settings.model_copy(update={"output": path}))
    if path.suffix.lower() == bag.SUFFIX:
        return bag.BagRecorder(path, source, _patience(source), settings.overwrite)
    return Recorder(path, source.fps, _patience(source), settings.overwrite)


def open_sinks(settings: Settings, source: SourceInfo, camera: int | None = None) -> dict[str, Sink]:
    """What is asked for of recorder, masks and trace; the caller's to close. `camera`: its number, where there are several.

    Raises UsageError, SinkError; nothing is left open then.
    """
    sinks: dict[str, Sink] = {}
    with ExitStack() as stack:
        if settings.output:
            sinks["recorder"] = open_recorder(settings.output, settings, source)
            stack.callback(sinks["recorder"].close)
        if settings.save_masks:
            sinks["masks"] = FORMATS[settings.save_masks_format].open(settings.save_masks, _patience(source), settings.overwrite)
            stack.callback(sinks["masks"].close)
        if settings.trace:
            named = {} if camera is None else {"camera": camera, "source": source.name}
            sinks["trace"] = Tracer(settings.trace, settings.overwrite, named)
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


def _open_camera(settings: Settings, loop: bool, tell: Callable[[Away], None] | None, alone: bool) -> Source:
    """Where it is not alone, it is not waited for, and comes back by itself. Raises SourceError, UsageError."""

    def open_it() -> Source:
        return open_source(settings.source, loop=loop, give_up_s=settings.give_up, tell=tell if alone else None)

    if alone:
        return open_it()
    try:
        first = open_it()
    except Absent:
        first = None
    if first and (isinstance(first, Reconnecting) or not first.info.live):
        return first
    return Reopened(first.info.name if first else redacted(settings.source), open_it, first, settings.give_up)


def _check_several(settings: Settings) -> None:
    """Raises UsageError for what is for one source alone."""
    for name in ("audit", "benchmark"):
        if settings.beside and getattr(settings, name):
            raise UsageError(f"--{name}: is for one camera; give one --source, or leave it out")


@contextmanager
def open_cameras(settings: Settings, tell: Callable[[str], None] | None = None) -> Iterator[Cameras]:
    """Opens everything for a run without a window, in the order in which a mistake is cheapest to find; closes it in the reverse one.

    `tell` is given what is built first, as `prepare` says it, and that a stream's server is waited for, where it is the only source.
    """
    _check_several(settings)
    check_paths(settings)
    cameras = settings.cameras
    for one in cameras:
        open_schedule(one)  # what cannot be meant shows before a source is opened
    model = find_model(settings)
    with ExitStack() as stack:
        loop, alone = settings.loop or settings.benchmark, len(cameras) == 1

        def waits(away: Away) -> None:
            if tell:
                tell(f"{away.name}: connecting since {away.since}, try {away.tries}")

        sources = [stack.enter_context(_open_camera(one, loop, waits if tell else None, alone)) for one in cameras]
        usual_hw = next((source.info.size_hw for source in sources if source.info.size_hw != (0, 0)), USUAL_HW)
        sizes_hw = [usual_hw if source.info.size_hw == (0, 0) else source.info.size_hw for source in sources]
        for size_hw in dict.fromkeys(sizes_hw):
            if tell and not ready(settings, size_hw):
                prepare(settings, size_hw, tell)
        pipelines = list[Pipeline]()
        for one, size_hw in zip(cameras, sizes_hw, strict=True):
            pipelines.append(open_pipeline(model, one, size_hw, pipelines[0] if pipelines else None))
            stack.callback(pipelines[-1].close)
        share_budget(pipeline.schedule for pipeline in pipelines)
        sinks = list[dict[str, Sink]]()
        for at, (one, source) in enumerate(zip(cameras, sources, strict=True)):
            sinks.append(open_sinks(one, source.info, None if alone else at))
            for sink in sinks[-1].values():
                stack.callback(sink.close)
        auditor = open_auditor(settings, sizes_hw[0]) if settings.audit else None
        if auditor:
            stack.callback(auditor.close)
            auditor.wait(AUDIT_LIMIT_S)
        arrived, sessions = Condition(), list[Session]()
        for one, source, pipeline, written in zip(cameras, sources, pipelines, sinks, strict=True):
            capture = stack.enter_context(open_capture(source, settings.realtime, loop, arrived=arrived))
            sessions.append(_session(one, pipeline, capture, written))
        if auditor:
            sessions[0].auditor = sessions[0].observers["audit"] = auditor
        run = Cameras(sessions, arrived)
        stack.callback(run.wait)
        stack.callback(run.close)
        yield run


def _session(settings: Settings, pipeline: Pipeline, capture: Capture, sinks: Mapping[str, Sink]) -> Session:
    session, engine = Session(pipeline, capture), pipeline.engine
    session.painter = Painter(usual_look(engine.classes, engine.palette, settings.opacity))
    session.paints_always = settings.benchmark
    session.sinks |= sinks
    if lookout := open_lookout(settings, engine.classes):
        session.observers["ahead"] = lookout
    session.film = Film(settings.captions, road=settings.draw_ahead)
    if not settings.benchmark:  # which counts those after its warm-up
        session.max_frames = settings.max_frames
    return session


@contextmanager
def open_session(settings: Settings, tell: Callable[[str], None] | None = None) -> Iterator[Session]:
    """The same of one source."""
    with open_cameras(settings, tell) as cameras:
        yield cameras.sessions[0]
