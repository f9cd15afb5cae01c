"""The composition root: from settings to a source, a pipeline and sinks, and the two ways to run them."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2

from drive_seg.backends import open_backend, read_onnx
from drive_seg.backends.border import thread_count
from drive_seg.card import Bundle, load_bundle
from drive_seg.classes import read_class_names
from drive_seg.contracts import Backend, Network, Result, Sink, SourceInfo
from drive_seg.engine import Engine
from drive_seg.errors import UsageError
from drive_seg.foreign import Foreign, ForeignEngine, describe
from drive_seg.overlay import Painter
from drive_seg.pipeline import Paint, Pipeline
from drive_seg.postprocess import refine
from drive_seg.propagate import make_propagation
from drive_seg.refresh import Async, Delayed, Refresher, Sync
from drive_seg.schedule import EveryFrame, Pipelined, Replay, Schedule, parse_schedule
from drive_seg.settings import FOREIGN, Settings
from drive_seg.sinks.masks import MaskWriter
from drive_seg.sinks.recorder import Recorder
from drive_seg.sinks.tracer import Tracer, read_decisions
from drive_seg.sinks.window import WindowSink
from drive_seg.sources import open_source
from drive_seg.sources.capture import Capture
from drive_seg.stats import Numbers
from drive_seg.trace import Latencies
from drive_seg.workers import Overflow, Worker

CLOSE_LIMIT_S = 10.0  # of a window that closes: the frame under way, and a recording's end
BENCHMARK_FRAMES = 600  # of a source without an end, unless told otherwise


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one run needs, opened. What it holds is closed by the context that made it."""

    settings: Settings
    engine: Network
    pipeline: Pipeline
    capture: Capture
    sinks: tuple[Sink, ...]
    latencies: Latencies

    @property
    def what_runs(self) -> dict[str, str]:
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
        what = self.what_runs
        brought = "" if what["propagation"] == "hold" else f" {what['propagation']}"
        return f"{what['model']} · {what['backend']} {what['precision']} · {what['device']} · {what['schedule']} {what['mode']}{brought}"

    def summary(self) -> dict[str, object]:
        """What ran and how fast, so far: the content of --json."""
        return {**self.what_runs, **self.latencies.summary()}


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


def open_engine(model: Bundle | Foreign, settings: Settings) -> Network:
    """The model on the backend that is asked for; what it holds is the caller's to close. Raises BackendError, UsageError."""
    threads = max(1, thread_count(settings.threads) - 1) if settings.mode == "async" else settings.threads  # the deep stage has its own
    backend = _open_backend(settings, threads)
    if isinstance(model, Bundle):
        return Engine(model, backend, settings.propagation, _about_hw(settings))
    return ForeignEngine(model, backend, settings.propagation)


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


def open_pipeline(engine: Network, schedule: Schedule, settings: Settings, paint: Paint | None = None) -> Pipeline:
    """In the mode and with the propagation that are asked for; what it holds is the caller's to close. Raises UsageError, BackendError."""
    sharpen = refine if settings.refine else None
    return Pipeline(engine, schedule, paint, sharpen, _open_refresher(engine, schedule, settings), make_propagation(settings.propagation))


def _open_refresher(engine: Network, schedule: Schedule, settings: Settings) -> Refresher:
    mode, _, frames = settings.mode.partition(":")
    if isinstance(schedule, Pipelined):
        if mode != "sync":
            raise UsageError(f"--mode {settings.mode}: {schedule.name} has a timing of its own; leave the flag out")
        return Delayed(engine, schedule.stages - 1, schedule.stages - 1, "pipelined")
    if mode != "sync" and (schedule.needs_cached or 1) > 1:
        raise UsageError(f"--mode {settings.mode}: {schedule.name} refreshes stage by stage, on the frame itself; leave the flag out")
    if frames:
        return Delayed(engine, int(frames), 1, settings.mode)
    return Async(engine, _open_backend(settings, 1, urgent=False)) if mode == "async" else Sync(engine)


def _sinks(settings: Settings, fps: float, overflow: Overflow, stack: ExitStack) -> tuple[Sink, ...]:
    sinks: list[Sink] = []
    if settings.output:
        if settings.output.exists() and Path(settings.source).exists() and settings.output.samefile(settings.source):
            raise UsageError(f"{settings.output}: is the source itself; record to another file")
        sinks.append(Recorder(settings.output, fps, overflow))
        stack.callback(sinks[-1].close)
    if settings.save_masks:
        sinks.append(MaskWriter(settings.save_masks, overflow))
        stack.callback(sinks[-1].close)
    if settings.trace:
        sinks.append(Tracer(settings.trace))
        stack.callback(sinks[-1].close)
    return tuple(sinks)


@contextmanager
def assembled(settings: Settings, window: bool) -> Iterator[Run]:
    """Opens everything in the order in which a mistake is cheapest to find, and closes it in the reverse one."""
    # The network has the cores. OpenCV's own pool, woken for a millisecond of resize or blend, only gets in its way: at 1280x720
    # on two cores 82 frames a second with it and 89 without.
    cv2.setNumThreads(1)
    schedule = open_schedule(settings)
    model = find_model(settings)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(settings.source, loop=settings.loop))
        engine = stack.enter_context(open_engine(model, settings))
        engine.fit(source.info.size_hw)
        if settings.precision not in (None, engine.backend.precision):
            runs = engine.backend.precision
            raise UsageError(f"--precision {settings.precision}: {engine.name} runs in {runs} here; leave the flag out")
        paced = settings.realtime or window
        overflow = Overflow.DROP_OLDEST if source.info.live or paced else Overflow.WAIT
        sinks = _sinks(settings, source.info.fps, Overflow.DROP_OLDEST if source.info.live else Overflow.WAIT, stack)
        painter = Painter(engine.palette)
        paint = None
        if settings.benchmark or any(sink.wants_overlay for sink in sinks):
            paint = lambda image, labels: painter.paint(image, labels, settings.opacity)  # noqa: E731
        capture = stack.enter_context(Capture(source, overflow, realtime=paced))
        latencies = Latencies(settings.warmup if settings.benchmark else 0)
        pipeline = open_pipeline(engine, schedule, settings, paint)
        stack.callback(pipeline.close)
        pipeline.fit(source.info.size_hw)
        yield Run(settings, engine, pipeline, capture, sinks, latencies)


def _results(run: Run) -> Iterator[Result]:
    """The run itself: frames in, results to every sink and to the caller, until the source ends or enough was seen.

    At the end the sinks are closed, which raises what went wrong at the very end of a recording.
    """
    limit = run.settings.max_frames
    if limit is None and run.settings.benchmark and run.capture.source.info.frame_count is None:
        limit = BENCHMARK_FRAMES
    for count, frame in enumerate(run.capture, 1):
        result = run.pipeline.step(frame, run.capture.dropped)
        for sink in run.sinks:
            sink.put(result)
        run.latencies.add(result, time.perf_counter())
        yield result
        if count == limit:
            break
    for sink in run.sinks:
        sink.close()


def run_headless(run: Run, on_result: Callable[[Result], None]) -> None:
    """Runs to the end; `on_result` is called after each frame.

    Raises what broke the source, the network or a recording; what was recorded until then is closed properly by `assembled`.
    """
    for result in _results(run):
        on_result(result)


class WindowPlayer:
    """A run in a thread of its own, as the window wants to see and steer it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._window = WindowSink()
        self._pipeline = Worker("pipeline", self._play, on_error=lambda _: self._tell())

    def _play(self) -> None:
        for result in _results(self._run):
            self._window.put(result)

    def _tell(self) -> None:
        if self._window.on_new:
            self._window.on_new()

    def start(self, on_new: Callable[[], None]) -> None:
        self._window.on_new = on_new
        self._pipeline.start()

    def stop(self) -> None:
        self._window.on_new = None
        self._run.capture.close()
        self._window.close()
        self._pipeline.wait(CLOSE_LIMIT_S)

    def take(self) -> Result | None:
        return self._window.take()

    def numbers(self) -> Numbers:
        return self._window.numbers()

    def pause(self) -> None:
        self._run.capture.pause()

    def resume(self) -> None:
        self._run.capture.resume()

    def step(self) -> None:
        self._run.capture.step()

    @property
    def paused(self) -> bool:
        return self._run.capture.paused

    @property
    def state(self) -> str:
        return "paused" if self.paused and not self.finished else self._run.capture.state

    @property
    def error(self) -> BaseException | None:
        return self._pipeline.error

    @property
    def finished(self) -> bool:
        return self._pipeline.ended

    @property
    def info(self) -> SourceInfo:
        return self._run.capture.source.info

    @property
    def classes(self) -> tuple[str, ...]:
        return self._run.engine.classes

    @property
    def palette(self) -> tuple[tuple[int, int, int], ...]:
        return self._run.engine.palette

    @property
    def headline(self) -> str:
        return self._run.headline

    @property
    def dropped(self) -> int:
        return self._run.capture.dropped

    @property
    def opacity(self) -> float:
        return self._run.settings.opacity
