"""The one frame loop: from a frame to everybody who wants to know what became of it."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import TypeVar

import cv2

from drive_seg import watchdog
from drive_seg.contracts import Frame, Image, Labels, Result, Sink
from drive_seg.errors import DriveSegError, UsageError
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.refresh import hangs
from drive_seg.overlay import Painter
from drive_seg.session.audit import Auditor
from drive_seg.session.figures import Latencies
from drive_seg.session.film import Film, filmed
from drive_seg.session.observer import Observer
from drive_seg.sources.capture import Capture
from drive_seg.watchdog import Watched
from drive_seg.workers import Closed, Worker

T = TypeVar("T")


def play(sessions: Sequence["Session"], frames: Iterable[tuple["Session", Frame]]) -> Iterator[tuple["Session", Result, Result | None]]:
    """The one frame loop: each frame is its session's, and its result is handed out, with its comparison's. Ends with the frames, or when
    all sessions are over."""
    # The network has the cores. OpenCV's own pool, woken for a millisecond of resize or blend, only gets in its way: at 1280x720 on two
    # cores 82 frames a second with it and 89 without.
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        for session in sessions:
            session.over, session.count = False, 0
            stack.enter_context(session.watched)
        for session, frame in frames:
            if came := session.take(frame):
                yield session, *came
            if all(one.over for one in sessions):
                break
    for session in sessions:
        session.finish()


class Session:
    """Frames through a pipeline, and what became of them to sinks and observers. Used by one thread.

    Pipelines, sinks, observers and capture may be exchanged between two frames. All of them stay their owner's to close; what is
    written and watched is finished when the frames end.
    """

    def __init__(
        self,
        pipeline: Pipeline | None,
        frames: Iterable[Frame],
        observers: dict[str, Observer] | None = None,
        comparison: Pipeline | None = None,
        limit_s: float | None = None,
    ) -> None:
        """`limit_s`: of a stage's run, by default watchdog.LIMIT_S."""
        self.pipeline, self.comparison, self.frames = pipeline, comparison, frames
        self.capture = frames if isinstance(frames, Capture) else None
        self.sinks: dict[str, Sink] = {}
        self.observers: dict[str, Observer] = observers or {}
        self.failed: Callable[[str, Exception], None] | None = None  # lives on with a failure, told of what; else it ends the session
        # told that this thread is stuck, and where, from another one; else watchdog.last_resort
        self.hung: Callable[[str, DriveSegError], None] | None = None
        self.painter: Painter | None = None  # draws the overlay, on every frame or where a sink wants it
        self.paints_always = False
        self.film = Film()  # what a recording shows beside the labels; set by any thread
        self.max_frames: int | None = None
        self.over, self.count = False, 0  # no other frame is wanted; those that came
        self.auditor: Auditor | None = None  # one of the observers, or was: what it found can still be read
        self.watched, self._stage_of = Watched(self._hung, limit_s), "network"
        self._returning, self._abandoned = threading.Lock(), False  # with `hung` told: the stage that comes back all the same is the last
        self.latencies, self._runs = Latencies(), dict[str, str]()  # since the pipeline ran as it ran for the last frame, and how it did

    @property
    def dropped(self) -> int:
        """Frames that came and were overtaken by newer ones."""
        return int(getattr(self.frames, "dropped", 0))

    def run(self) -> None:
        """Until the frames end, as many as were asked for have come, or an observer has enough. Raises what nobody lives on with."""
        for _ in self.results():
            pass

    def results(self) -> Iterator[tuple[Result, Result | None]]:
        """The same, handing out each frame's result, and its comparison's."""
        for _, result, comparison in play([self], ((self, frame) for frame in self.frames)):
            yield result, comparison

    def take(self, frame: Frame) -> tuple[Result, Result | None] | None:
        """One frame to everybody who wants to know what became of it, and its comparison's; None where nothing did."""
        if not all(observer.wants(frame) for observer in self.observers.values()):
            self.over = True
            return None
        if (result := self.step(frame)) is None:
            return None
        comparison = self.step_comparison(frame)
        written = self._filmed(result, comparison) if "recorder" in self.sinks else result
        for name, sink in tuple(self.sinks.items()):
            self._attempt(name, partial(sink.put, written))
        self._count(result)
        for name, observer in tuple(self.observers.items()):
            self._attempt(name, partial(observer.on_result, result, comparison))
        self.count += 1
        self.over = self.count == self.max_frames
        return result, comparison

    def step(self, frame: Frame) -> Result | None:
        """One frame through the pipeline alone; None when that failed and the session lives on."""
        pipeline = self.pipeline
        assert pipeline is not None
        wanted = self.painter and (self.paints_always or any(sink.wants_overlay for sink in self.sinks.values()))
        pipeline.paint = self._paint if wanted else None
        result = self._watch("network", pipeline, lambda: pipeline.step(frame, self.dropped))
        return result and self.completed(result)

    def completed(self, result: Result) -> Result:
        """With what the observers know of it."""
        for name, observer in tuple(self.observers.items()):
            result = self._attempt(name, partial(observer.complete, result)) or result
        return result

    def _filmed(self, result: Result, comparison: Result | None) -> Result:
        """As it is recorded; as it is where that fails, which is the recorder's failure."""
        pipeline, painter = self.pipeline, self.painter
        if pipeline is None or painter is None:
            return result
        return self._attempt("recorder", lambda: filmed(result, pipeline, comparison, self.comparison, painter, self.film)) or result

    def step_comparison(self, frame: Frame) -> Result | None:
        """The same by the comparison, where there is one."""
        return self._watch("comparison", self.comparison, partial(self.comparison.step, frame)) if self.comparison else None

    def _watch(self, what: str, pipeline: Pipeline, step: Callable[[], Result]) -> Result | None:
        self._stage_of, pipeline.watched = what, self.watched
        try:
            return self._attempt(what, step)
        finally:
            self._returns()

    def _returns(self) -> None:
        """Raises Closed where nobody waits for the stage any more."""
        with self._returning:
            self.watched.end()
            if self._abandoned:
                raise Closed

    def _hung(self, text: str) -> None:
        with self._returning:
            if not (self.watched.hangs and (self.hung or watchdog.last_resort)):
                return
            self._abandoned = True
        pipeline = self.comparison if (what := self._stage_of) == "comparison" else self.pipeline
        if pipeline and self.hung:
            self.hung(what, hangs(pipeline.engine, text))
        elif pipeline and watchdog.last_resort:
            watchdog.last_resort(hangs(pipeline.engine, text))

    def finish(self) -> None:
        """Closes what watches and what is written, which raises what went wrong at the very end of a recording."""
        for name, observer in tuple(self.observers.items()):
            self._attempt(name, observer.close)
        self.end_sinks()

    def end_sinks(self, *names: str) -> None:
        """Finishes what these write, or all of them."""
        for name in names or tuple(self.sinks):
            if sink := self.sinks.pop(name, None):
                self._attempt(name, sink.close)

    def salvage(self, limit_s: float) -> None:
        """Finishes what is written as far as that goes within the limit, in a process that will be ended at once. Of any thread."""
        deadline_s = time.monotonic() + limit_s
        for worker in [Worker(f"finish {name}", sink.close).start() for name, sink in tuple(self.sinks.items())]:
            worker.wait(max(0.0, deadline_s - time.monotonic()))

    def summary(self) -> dict[str, object]:
        """What ran for the last frame, and how fast since it has run so: the content of --json. Of any thread. Raises UsageError."""
        if self.pipeline is None:
            raise UsageError("nothing was played yet; open it first")
        agreement = {"agreement": [asdict(one) for one in self.auditor.agreement()]} if self.auditor else {}
        watched = {name: value for observer in tuple(self.observers.values()) for name, value in observer.figures().items()}
        return {**(self._runs or self.pipeline.runs), **self.latencies.summary(), **agreement, **watched}

    def _paint(self, image: Image, labels: Labels) -> Image:
        """Where the network runs, if that can be."""
        assert self.pipeline is not None
        assert self.painter is not None
        made, engine = None, self.pipeline.engine
        if isinstance(engine, Engine) and (tables := self.painter.tables):
            made = engine.overlay(self.painter.outlined(labels), *tables)
        return self.painter.paint(image, labels) if made is None else made

    def _count(self, result: Result) -> None:
        assert self.pipeline is not None
        if (runs := self.pipeline.runs) != self._runs:
            if self._runs:  # what ran before is not credited to this
                self.latencies = Latencies(dropped_before=self.latencies.dropped)
            self._runs = runs
        self.latencies.add(result, time.perf_counter())

    def _attempt(self, what: str, action: Callable[[], T]) -> T | None:
        try:
            return action()
        except Closed:
            raise
        except Exception as error:
            if self.failed is None or self._abandoned:
                raise
            self.failed(what, error)
            return None
