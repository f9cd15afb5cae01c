"""A session that is steered while it plays, in a thread of its own, and that no failure ends: frames, and between two of them commands."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from drive_seg.contracts import Frame, Result, Source
from drive_seg.errors import Absent, DriveSegError, UsageError
from drive_seg.overlay import Look, Painter, usual_look
from drive_seg.session import opening
from drive_seg.session.commands import Commands
from drive_seg.session.comparison import Comparison
from drive_seg.session.current import CurrentSource
from drive_seg.session.figures import Figures
from drive_seg.session.film import Film
from drive_seg.session.history import History, moment_of
from drive_seg.session.live import LivePipeline, differing_fields, with_pipeline
from drive_seg.session.lookout import Lookout
from drive_seg.session.paths import check_apart, check_paths
from drive_seg.session.session import Session
from drive_seg.session.spare import Spare
from drive_seg.session.status import News, Shown
from drive_seg.session.unlike import Unlike
from drive_seg.settings import Settings
from drive_seg.sources import open_source
from drive_seg.workers import Closed, Worker, give_back, on_all_cpus

CLOSE_LIMIT_S = 60.0  # the frame under way, and a recording's end, on a machine that is busy
OPENING_LIMIT_S = 5.0  # what is being opened ends by itself, where nobody waits any more
POLL_S = 0.05  # a command waits no longer, when no frame comes


class Steered:
    """All pipelines are opened, used and closed in its thread. Any may read the fields without underscore, and put commands."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        self.settings = settings  # what no pipeline decides is in force; for those see `main`
        self.news, self.commands = News(), Commands()
        self.source = CurrentSource(settings.source, self._end)
        self.main, self.comparison = LivePipeline(leads=True, check=self._check), Comparison(self._check)
        self.figures, self.history, self.unlike = Figures(), History(), Unlike(None)
        self.lookout: Lookout | None = None  # the last one that looked at the road ahead, on or off
        self._spare = Spare()
        self.session = self._new_session()
        self.session.painter, self.session.film = Painter(Look((), settings.opacity)), Film(settings.captions, road=settings.draw_ahead)
        self._obey: dict[str, Callable[[Any], object]] = {  # by what a command is called, and its failure
            "change": self._change,
            "comparison": self._compare,
            "audit": self._audit,
            "recorder": self._record,
            "network": self._refresh,
            "source": self._seek_again,
        }
        self._network: tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]] = (), ()  # classes and palette of the pipeline
        self._frame_hw, self._count = (0, 0), 0  # of this source
        self._held = False  # it waits for another network, and was not paused before
        self._recording: Path | None = None
        self._ending: list[Worker] = []  # closing what a camera or a slow network may hold up
        self._opened, self._closing = threading.Event(), threading.Event()
        self._refused: BaseException | None = None
        self._worker = self._thread(self._run)

    # -- its thread

    def open(self) -> None:
        """Begins; returns once source, network and what is written are open, or a stream is waited for. Raises what they raise."""
        self._worker.start()
        self._opened.wait()
        if self._refused:
            self.close()
            raise self._refused

    def close(self) -> None:
        """Ends everything, a recording properly, and waits for its threads; idempotent."""
        deadline_s = time.monotonic() + CLOSE_LIMIT_S
        self._closing.set()
        self.source.close()
        self.source.stop_waiting()
        while not self._worker.wait(POLL_S) and time.monotonic() < deadline_s:
            pass  # where it hangs, another one takes its place
        for worker in self._ending:
            worker.wait(max(0.0, deadline_s - time.monotonic()))
        for live in (self.main, self.comparison.live):
            live.wait(OPENING_LIMIT_S)

    def _run(self) -> None:
        try:
            self._open()
        except BaseException as error:
            self._refused = error
            self._close()
            return
        finally:
            self._opened.set()
        self._play(self.session)

    def _play(self, session: Session) -> None:
        try:
            for result, comparison in session.results():
                self._came(result, comparison)
        finally:
            if session is self.session:
                self._close()
            else:  # it came back after all
                for pipeline in (session.comparison, session.pipeline):
                    if pipeline:
                        pipeline.close()

    def _open(self) -> None:
        """Raises what source, network and sinks raise; `_close` has to follow all the same."""
        check_paths(self.settings)
        opening.open_schedule(self.settings)  # what cannot be meant shows before a source is waited for
        opening.find_model(self.settings)
        try:
            self._begin(self.settings, self.settings)
        except Absent:
            self.source.wait_for(self.settings)

    def _close(self) -> None:
        """Finishes what is written and closes everything; idempotent."""
        self.session.end_sinks()
        for what, live in (("comparison", self.comparison.live), ("network", self.main)):
            self.news.attempt(what, live.close)
        if self.session.auditor:
            self.session.auditor.close()
        self.source.close()

    def _thread(self, work: Callable[[], None]) -> Worker:
        return Worker("pipeline", work, on_error=partial(self.news.tell, "network"))

    def _end(self, name: str, close: Callable[[], None]) -> None:
        """In a thread of its own, where it may hang; then it is forgotten, and its memory given back."""
        closing = [close]

        def end() -> None:
            closing.pop()()
            give_back()

        self._ending = [worker for worker in self._ending if worker.alive] + [Worker(name, end).start()]

    def _check(self) -> None:
        if self._closing.is_set():
            raise Closed

    # -- frames

    def _new_session(self) -> Session:
        session = Session(None, self)
        session.failed, session.hung = self._failed, self._hung
        return session

    @property
    def dropped(self) -> int:
        """Frames that came and were overtaken by newer ones."""
        return self.source.dropped

    def __iter__(self) -> Iterator[Frame]:
        """Those of the sources, one after the other; between two of them commands are obeyed."""
        while not self._closing.is_set():
            commands = self.commands.take()
            if commands or self.main.opened or self.comparison.live.opened:
                with on_all_cpus():  # what is opened starts threads
                    for what, argument in commands.items():
                        self.news.attempt(what, partial(self._obey[what], argument))
                    self.news.attempt("change", lambda: self._adopt() if self.main.tick() else None)
                    self.news.attempt("comparison", self._take_comparison)
            if self.source.awaited and self.source.awaited.over:
                self.news.attempt("source", self._arrive)
            if self.stands:
                self.session.latencies.stand()
            if self.source.over or self.main.broken or self.source.failed or self.source.capture is None:
                self.commands.wait(POLL_S)
            elif frame := self.news.attempt("source", lambda: self.source.next(POLL_S)):
                yield frame

    def _came(self, result: Result, comparison: Result | None) -> None:
        self.history.add(moment_of(result, len(self._network[0]), self._spare.add(result)))
        self.figures.add(result, comparison)
        self.unlike.on_result(result, comparison)
        self._frame_hw = result.frame.size_hw
        self._show(result, comparison)
        self._count += 1
        if self._count == self.settings.max_frames:
            self.source.over = True
            self.session.end_sinks()
            self.source.pace.pause()

    def _show(self, result: Result, comparison: Result | None) -> None:
        other = self.comparison.live.pipeline
        if comparison and other and other.engine.classes == self._network[0]:
            self.figures.compare(result, comparison)
        self.news.show(Shown(result, comparison))

    @property
    def stands(self) -> bool:
        """No frame is coming until something is changed."""
        return self.main.broken or self.source.stands

    @property
    def _still(self) -> Shown | None:
        """What is looked at, while no other frame comes."""
        return self.news.last if self.stands else None

    @property
    def state(self) -> str:
        """Status.state."""
        if not self._opened.is_set():
            return "opening"
        loading = self.main.loading or self.comparison.live.loading
        if self._worker.error or self.source.failed or (self.main.broken and not self.main.loading):
            return "failed"
        return f"loading {loading}" if loading else self.source.state

    # -- another source

    def _change(self, updates: Mapping[str, object]) -> None:
        pipeline, source = self.main.wanted or self.settings, self.source
        wanted = with_pipeline(self.settings, pipeline).model_copy(update=updates)
        if updates.keys() & {"source", "model", "class_names"}:
            check_apart(wanted.model_copy(update={"output": self.recording}))
        if "source" in updates or (wanted.loop != self.settings.loop and not (source.info.live or source.seekable)):
            self.news.attempt("source", lambda: self._open_source(wanted, pipeline))
        elif source.capture is None:
            self.settings = wanted
        elif wanted.loop != self.settings.loop:
            source.capture.looping = wanted.loop
            self._keep(loop=wanted.loop)
        if "corridor" in updates and "source" not in updates:  # else it is that source's, once it plays
            self._keep(corridor=wanted.corridor)
            self.news.attempt("ahead", self._look_ahead)
            if still := self._still:
                self._show(self.session.completed(replace(still.result, ahead=None)), still.comparison)
        if self.main.broken or (self.main.wanted and differing_fields(wanted, pipeline)):
            self.news.attempt("change", lambda: self._change_pipeline(wanted))

    def _keep(self, **changes: object) -> None:
        self.settings = self.settings.model_copy(update=changes)

    def _open_source(self, settings: Settings, pipeline: Settings) -> None:
        """Plays another source, or as soon as its server is there; until then what played before plays on."""
        self.source.stop_waiting()
        try:
            self._begin(settings, pipeline)
        except Absent as error:
            self.source.wait_for(settings)
            if self.source.capture is None:
                self.settings = settings
            raise Absent(f"{error}; it will be played once it is there") from error

    def _arrive(self) -> None:
        """Plays what was waited for, by what was asked for meanwhile."""
        awaited, self.source.awaited = self.source.awaited, None
        assert awaited is not None
        self.source.failed = self.source.failed or self.source.capture is None  # until it plays
        wanted = self.settings.model_copy(update={"source": awaited.settings.source, "loop": awaited.settings.loop})
        self._begin(wanted, self.main.wanted or self.settings, awaited.take())

    def _begin(self, settings: Settings, pipeline: Settings, source: Source | None = None) -> None:
        """Plays the settings' source by the wanted pipeline. `source`: where it is open already."""
        source = source or open_source(settings.source, loop=settings.loop, give_up_s=settings.give_up)
        try:
            other = self.main.want(with_pipeline(settings, pipeline), source.info.size_hw)
        except BaseException:
            source.close()
            raise
        first = self.source.exchange(source, settings.loop)
        if settings.source != self.settings.source:
            self.history.clear()  # another source's frames have the same numbers, and are others
            self.lookout = None
        self.settings, self._frame_hw = settings, source.info.size_hw
        self.news.last, self._count, self._held = None, 0, False
        if other:
            self._adopt()
        else:
            self.news.attempt("ahead", self._look_ahead)
        if first:
            self.session.sinks |= opening.open_sinks(settings, source.info)
            self._recording = settings.output
            self._audit(settings.audit)

    def _seek_again(self, index: int) -> None:
        """In a source that has failed, which is opened anew."""
        if self.source.failed and self.main.wanted:
            self._begin(self.settings, self.main.wanted)
        self.source.seek(index)

    # -- another pipeline, and another comparison

    def _change_pipeline(self, wanted: Settings) -> None:
        if self.main.want(wanted, self._frame_hw):
            self._adopt()
        else:
            self.news.attempt("comparison", self._follow)

    def _adopt(self) -> None:
        """What has to follow when another pipeline runs."""
        pipeline = self.main.pipeline
        assert pipeline is not None
        before, self.session.pipeline = self._network, pipeline
        self._network, self.unlike = (pipeline.engine.classes, pipeline.engine.palette), Unlike(pipeline.engine.sure)
        if self.painter.look.palette == usual_look(*before).palette:
            look = self.painter.look
            hidden = look.hidden if self._network[0] == before[0] else frozenset[int]()
            self.session.painter = Painter(replace(usual_look(*self._network, look.opacity), hidden=hidden, contours=look.contours))
        if "audit" in self.session.observers:
            self._audit(True)
        self.news.attempt("ahead", self._look_ahead)
        if self._held:
            self._held = False
            self.source.pace.resume()
        self.news.attempt("comparison", self._follow)
        if (still := self._still) and (result := self.session.step(still.result.frame)):
            self._show(result, still.comparison)

    @property
    def painter(self) -> Painter:
        assert self.session.painter is not None
        return self.session.painter

    def _refresh(self, _: object) -> None:
        if self.session.pipeline:
            self.session.pipeline.refresh()

    def _compare(self, changes: Mapping[str, object] | None) -> None:
        """Raises what opening it raises, and the comparison before stays."""
        before, self.comparison.changes = self.comparison.changes, changes
        try:
            self._follow()
        except BaseException:
            self.comparison.changes = before
            raise

    def _follow(self) -> None:
        """The comparison depends on the pipeline. Raises what opening it raises."""
        self.figures.forget_comparison()
        self.comparison.follow(self.main.settings, self._frame_hw)
        self.session.comparison = self.comparison.pipeline

    def _take_comparison(self) -> None:
        """What has been opened meanwhile."""
        try:
            if not self.comparison.tick():
                return
        except Closed:
            raise
        except Exception:
            self.news.attempt("comparison", self._follow)
            raise
        self._follow()
        if still := self._still:
            self._show(still.result, self.session.step_comparison(still.result.frame))

    # -- who watches, and what is written

    def _audit(self, on: bool) -> None:
        """From the beginning; what was found before stays to be read once it is off."""
        before = self.session.observers.pop("audit", None)
        if on and self.main.settings:
            self.session.auditor = self.session.observers["audit"] = opening.open_auditor(self.main.settings, self._frame_hw)
        if before:
            self._end("close audit", before.close)

    def _look_ahead(self) -> None:
        """Or not at all; the figures of the source go on. Raises UsageError where the network knows no road."""
        self.session.observers.pop("ahead", None)
        if found := opening.open_lookout(self.settings, self._network[0], self.lookout):
            self.session.observers["ahead"] = self.lookout = found
        elif self.lookout:
            self.lookout.forget()

    @property
    def recording(self) -> Path | None:
        return self._recording if "recorder" in self.session.sinks else None

    def _record(self, path: Path | None) -> None:
        """Raises UsageError, also for a file that is there, and SinkError; a recording before this one is finished then."""
        if path == self.recording:
            return
        if path and self.source.capture is None:
            raise UsageError(f"{self.source.info.name}: is not open yet; record once it plays")
        self.session.end_sinks("recorder")
        if path:
            settings = self.settings.model_copy(update={"overwrite": False})
            self.session.sinks["recorder"] = opening.open_recorder(path, settings, self.source.info)
            self._recording = path

    # -- what fails

    def _failed(self, what: str, error: Exception) -> None:
        """The session lives on without it."""
        if what == "network":
            self._held = not self.source.pace.paused
            self.main.broken = True
            self.source.pace.pause()
        elif what == "comparison":
            self.news.attempt("comparison", lambda: self._compare(None))
        elif sink := self.session.sinks.pop(what, None):
            with suppress(Exception):  # the first failure is the one to tell
                sink.close()
        else:
            self.session.observers.pop(what, None)
        self.news.tell(what, error)

    def _hung(self, what: str, error: DriveSegError) -> None:
        """Its thread is stuck in a stage: it is left alone with its pipelines, and another one plays on. Called from a third."""
        stuck, session = self.session, self._new_session()
        session.sinks, session.observers, session.auditor = stuck.sinks, stuck.observers, stuck.auditor
        session.painter, session.film = stuck.painter, stuck.film
        for live in (self.main, self.comparison.live):
            live.abandon()
        self.session = session

        def play_on() -> None:
            self._failed(what, error)
            if what != "network" and (wanted := self.main.wanted):  # the pipeline has to be another one too: it is used by one thread
                self.news.attempt("change", lambda: self._change_pipeline(wanted))
            self._play(session)

        self._worker = self._thread(play_on).start()
