"""A session that is steered while it runs, as a window does it: everything can be changed, and a failure never ends it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from drive_seg.contracts import Away, Frame, Result, Source, SourceInfo
from drive_seg.errors import Absent, DriveSegError, UsageError
from drive_seg.overlay import Look, Painter, usual_look
from drive_seg.redaction import redacted
from drive_seg.session import opening
from drive_seg.session.audit import Agreement
from drive_seg.session.awaited import Awaited
from drive_seg.session.commands import Commands, checked
from drive_seg.session.figures import Figures
from drive_seg.session.film import Film, filmed
from drive_seg.session.history import History, Moment, moment_of
from drive_seg.session.live import FIELDS, LivePipeline, differing_fields, with_pipeline
from drive_seg.session.paths import check_apart, check_paths
from drive_seg.session.session import Session
from drive_seg.session.status import Shown, Status, Trouble
from drive_seg.session.unlike import Unlike
from drive_seg.settings import Settings
from drive_seg.sources import open_source
from drive_seg.sources.capture import Capture
from drive_seg.workers import Closed, Worker, give_back, on_all_cpus

CLOSE_LIMIT_S = 60.0  # the frame under way, and a recording's end, on a machine that is busy
OPENING_LIMIT_S = 5.0  # what is being opened ends by itself, where nobody waits any more
POLL_S = 0.05  # a command waits no longer, when no frame comes
CHANGEABLE = FIELDS | {"source", "loop", "corridor"}


class Player:
    """Commands come from any thread, never wait and take effect between two frames; of several of a kind, the newest counts.

    All pipelines are opened, used and closed in the player's own thread. A command that fails is a Trouble, and what ran before runs on.
    """

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        self.on_new: Callable[[], None] | None = None  # called from the player's thread, at most once until `take`
        self._settings = settings  # what no pipeline decides is in force; for those see `_main`
        self._main, self._other = LivePipeline(leads=True, check=self._check), LivePipeline(leads=False, check=self._check)
        self._session = self._new_session()
        self._figures, self._history = Figures(), History()
        self._unlike = Unlike(None)
        self._commands = Commands()
        self._obey: dict[str, tuple[str, Callable[[Any], None]]] = {  # by the command: what its failure is called, and what it does
            "change": ("change", self._change),
            "compare": ("comparison", self._compare),
            "audit": ("audit", self._audit),
            "record": ("recorder", self._record),
            "refresh": ("network", lambda _: self._refresh()),
            "seek": ("source", self._seek_again),
        }
        self._source = SourceInfo(redacted(settings.source), (0, 0), 0.0, live=False)
        self._awaited: Awaited | None = None  # a stream that will be played once it is there
        self._source_failed = self._over = False  # over: as many frames as were asked for have come
        self._segment = self._last_segment = 0  # added to the frames of this source, and the last frame's, so that no segment comes twice
        self._frame_hw, self._count = (0, 0), 0  # of this source
        self._held = False  # it waits for another network, and was not paused before
        self._speed = 1.0
        self._recording: Path | None = None
        # The comparison's settings, where they are not the pipeline's: as they are wanted, and as they are in force.
        self._compared: Mapping[str, object] | None = None
        self._compares: Mapping[str, object] | None = None
        self._network: tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]] = (), ()  # classes and palette of the pipeline
        self._last: Shown | None = None
        self._ending: list[Worker] = []  # closing what a camera or a slow network may hold up
        self.look, self.film = Look((), settings.opacity), Film(settings.captions)  # how it is drawn, and recorded; set by any thread
        self._lock = threading.Lock()  # guards the next three
        self._newest: Shown | None = None
        self._told = False
        self._trouble: Trouble | None = None
        self._opened, self._closing = threading.Event(), threading.Event()
        self._refused: BaseException | None = None
        self._worker = Worker("pipeline", self._run, on_error=lambda error: self._tell_trouble("network", error))

    # -- what any thread may ask

    def open(self) -> None:
        """Starts to play; returns once source, network and what is written are open, or a stream's server is waited for.

        Raises what they raise; nothing is left open then.
        """
        self._worker.start()
        self._opened.wait()
        if self._refused:
            self.close()
            raise self._refused

    def close(self) -> None:
        """Ends everything, a recording properly, and waits for its threads; idempotent. `on_new` is not called afterwards."""
        deadline_s = time.monotonic() + CLOSE_LIMIT_S
        self.on_new = None
        self._closing.set()
        if self._capture:
            self._capture.close()
        self._stop_waiting()
        while not self._worker.wait(POLL_S) and time.monotonic() < deadline_s:
            pass  # where it hangs, another one takes its place
        for worker in self._ending:
            worker.wait(max(0.0, deadline_s - time.monotonic()))
        for live in (self._main, self._other):
            live.wait(OPENING_LIMIT_S)

    def take(self) -> Shown | None:
        """The newest that was not taken yet."""
        with self._lock:
            shown, self._newest, self._told = self._newest, None, False
            return shown

    def status(self) -> Status:
        main, other, capture = self._main.pipeline, self._session.comparison, self._capture
        numbers, other_numbers = self._figures.numbers()
        return Status(
            state=self._state(),
            settings=with_pipeline(self._settings, self._main.settings) if self._main.settings else self._settings,
            runs=main.runs if main else {},
            headline=main.headline if main else "",
            away=self._away,
            note="; ".join(filter(None, (main.engine.note if main else "", getattr(capture and capture.source, "note", "")))),
            classes=main.engine.classes if main else (),
            palette=main.engine.palette if main else (),
            source=self._source,
            seekable=capture is not None and capture.seekable,
            position=self._last.result.frame.index if self._last else None,
            paused=capture is not None and capture.pace.paused,
            speed=self._speed,
            dropped=self._session.dropped,
            recording=self.recording,
            comparison=other.runs if other else None,
            differing=self._figures.differing(),
            auditing="audit" in self._session.observers,
            numbers=numbers,
            comparison_numbers=other_numbers if other else None,
            trouble=self._trouble,
            unlike=self._unlike.mean,
        )

    def history(self, last: int = 600) -> tuple[Moment, ...]:
        """What became of the last frames, the oldest first."""
        return self._history.last(last)

    def agreement(self) -> tuple[Agreement, ...]:
        """With the full network, by age; empty while nothing was audited."""
        return self._session.auditor.agreement() if self._session.auditor else ()

    def summary(self) -> dict[str, object]:
        """What ran last and how fast, as a run without a window says it. Raises UsageError before anything was opened."""
        return self._session.summary()

    @property
    def look(self) -> Look:
        """How labels are drawn, in a recording too. Where it has a network's usual colours, it takes the next network's."""
        return self.painter.look

    @look.setter
    def look(self, look: Look) -> None:
        self._session.painter = Painter(look)

    @property
    def painter(self) -> Painter:
        """What draws them so."""
        assert self._session.painter is not None
        return self._session.painter

    def change(self, **settings: object) -> None:
        """Other settings, by their fields (CHANGEABLE). Raises UsageError at once for what cannot be meant."""
        self._commands.put("change", checked(settings, CHANGEABLE))

    def compare(self, changes: Mapping[str, object] | None) -> None:
        """A second pipeline with these of the settings changed, for the same frames; None ends it. Raises UsageError as `change` does."""
        self._commands.put("compare", None if changes is None else checked(changes, FIELDS))

    def audit(self, on: bool) -> None:
        """Compares some frames' labels with the full network's, from the beginning; what was found stays to be read."""
        self._commands.put("audit", on)

    def record(self, path: Path | None) -> None:
        """The overlay, with the look; None ends it. What is jumped over is not in it."""
        self._commands.put("record", path)

    def refresh(self) -> None:
        """The next frame is a key frame, for the reason `manual`, once no refresh is under way."""
        self._commands.put("refresh", None)

    def pause(self) -> None:
        if self._capture:
            self._capture.pace.pause()

    def resume(self) -> None:
        if self._capture:
            self._capture.pace.resume()

    def step(self) -> None:
        """Pauses, and lets one more frame come."""
        if self._capture:
            self._capture.pace.step()

    def speed(self, factor: float) -> None:
        """A file's. Raises UsageError for one that cannot be played."""
        if self._capture:
            self._capture.pace.speed = factor
        self._speed = factor

    def seek(self, index: int) -> None:
        """Goes on from this frame, also of a source that has failed. Raises UsageError where the source cannot."""
        if self._source_failed:
            self._commands.put("seek", index)
        elif self._capture is None:
            raise UsageError(f"{self._source.name}: is not open yet; seek once it plays")
        else:
            self._capture.seek(index)

    def salvage(self, limit_s: float) -> None:
        """Finishes what is written as far as that goes, in a process that will be ended at once."""
        self._session.salvage(limit_s)

    # -- the player's thread

    def _run(self) -> None:
        try:
            self._open()
        except BaseException as error:
            self._refused = error
            self._close()
            return
        finally:
            self._opened.set()
        self._play(self._session)

    def _play(self, session: Session) -> None:
        try:
            for result, comparison in session.results():
                self._came(result, comparison)
        finally:
            if session is self._session:
                self._close()
            else:  # it came back after all
                for pipeline in (session.comparison, session.pipeline):
                    if pipeline:
                        pipeline.close()

    def _new_session(self) -> Session:
        session = Session(None, self._frames())
        session.failed, session.hung, session.films = self._failed, self._hung, self._filmed
        return session

    def _open(self) -> None:
        """Raises what source, network and sinks raise; `_close` has to follow all the same."""
        check_paths(self._settings)
        opening.open_schedule(self._settings)  # what cannot be meant shows before a source is waited for
        opening.find_model(self._settings)
        try:
            self._begin(self._settings, self._settings)
        except Absent:
            self._wait_for(self._settings)

    def _close(self) -> None:
        """Finishes what is written and closes everything; idempotent."""
        self._session.end_sinks()
        for what, live in (("comparison", self._other), ("network", self._main)):
            self._try(what, live.close)
        if self._session.auditor:
            self._session.auditor.close()
        if self._capture:
            self._capture.close()

    def _frames(self) -> Iterator[Frame]:
        """Those of the sources, one after the other; between two of them commands are obeyed."""
        while not self._closing.is_set():
            commands = self._commands.take()
            if commands or self._main.opened or self._other.opened:
                with on_all_cpus():  # what is opened starts threads
                    for command, argument in commands.items():
                        what, action = self._obey[command]
                        self._try(what, partial(action, argument))
                    self._try("change", lambda: self._adopt() if self._main.tick() else None)
                    self._try("comparison", self._take_comparison)
            if self._awaited and self._awaited.over:
                self._try("source", self._arrive)
            if self._waits:
                self._session.latencies.stand()
            if self._over or self._main.broken or self._source_failed or self._capture is None:
                self._commands.wait(POLL_S)
            elif frame := self._next():
                yield frame

    def _next(self) -> Frame | None:
        """The source's next frame, or None when none came in time or it broke. Raises Closed."""
        assert self._capture is not None
        try:
            frame = self._capture.next(POLL_S)
        except Closed:
            raise
        except Exception as error:
            self._source_failed = True
            self._tell_trouble("source", error)
            return None
        if frame is None:
            return None
        self._last_segment = self._segment + frame.segment
        return replace(frame, segment=self._last_segment)

    def _came(self, result: Result, comparison: Result | None) -> None:
        self._history.add(moment_of(result, len(self._network[0])))
        self._figures.add(result, comparison)
        self._unlike.on_result(result, comparison)
        self._frame_hw = result.frame.size_hw
        self._present(result, comparison)
        self._count += 1
        if self._count == self._settings.max_frames:
            self._over = True
            self._session.end_sinks()
            self.pause()

    def _present(self, result: Result, comparison: Result | None) -> None:
        if comparison and self._other.pipeline and self._other.pipeline.engine.classes == self._network[0]:
            self._figures.compare(result, comparison)
        self._last = Shown(result, comparison)
        with self._lock:
            self._newest = self._last
            tell, self._told = not self._told, True
        if tell and (on_new := self.on_new):
            on_new()

    # -- what the commands do

    def _change(self, updates: Mapping[str, object]) -> None:
        pipeline = self._main.wanted or self._settings
        wanted = with_pipeline(self._settings, pipeline).model_copy(update=updates)
        if updates.keys() & {"source", "model", "class_names"}:
            check_apart(wanted.model_copy(update={"output": self.recording}))
        if "source" in updates or (
            wanted.loop != self._settings.loop and not (self._source.live or (self._capture and self._capture.seekable))
        ):
            self._try("source", lambda: self._open_source(wanted, pipeline))
        elif self._capture is None:
            self._settings = wanted
        elif wanted.loop != self._settings.loop and self._capture:
            self._capture.looping = wanted.loop
            self._settings = self._settings.model_copy(update={"loop": wanted.loop})
        if "corridor" in updates and "source" not in updates:  # else it is that source's, once it plays
            self._settings = self._settings.model_copy(update={"corridor": wanted.corridor})
            self._try("ahead", self._look_ahead)
            if self._last and self._waits:
                self._present(self._session.completed(replace(self._last.result, ahead=None)), self._last.comparison)
        if self._main.broken or (self._main.wanted and differing_fields(wanted, pipeline)):
            self._try("change", lambda: self._change_pipeline(wanted))

    def _open_source(self, settings: Settings, pipeline: Settings) -> None:
        """Plays another source, or as soon as its server is there; until then what played before plays on."""
        self._stop_waiting()
        try:
            self._begin(settings, pipeline)
        except Absent as error:
            self._wait_for(settings)
            raise Absent(f"{error}; it will be played once it is there") from error

    def _wait_for(self, settings: Settings) -> None:
        """For its source, until another one is opened."""
        self._awaited = Awaited(settings)
        if self._capture is None:
            self._settings, self._source_failed = settings, False
            self._source = replace(self._source, name=redacted(settings.source))

    def _stop_waiting(self) -> None:
        if awaited := self._awaited:
            self._awaited = None
            self._end("stop waiting", awaited.close)

    def _arrive(self) -> None:
        """Plays what was waited for, by what was asked for meanwhile."""
        awaited, self._awaited = self._awaited, None
        assert awaited is not None
        self._source_failed = self._source_failed or self._capture is None  # until it plays
        wanted = self._settings.model_copy(update={"source": awaited.settings.source, "loop": awaited.settings.loop})
        self._begin(wanted, self._main.wanted or self._settings, awaited.take())

    def _begin(self, settings: Settings, pipeline: Settings, source: Source | None = None) -> None:
        """Plays the settings' source by the wanted pipeline. The source before is closed in a thread of its own, as it may hang.

        `source`: where it is open already.
        """
        source = source or open_source(settings.source, loop=settings.loop, give_up_s=settings.give_up)
        try:
            other = self._main.want(with_pipeline(settings, pipeline), source.info.size_hw)
        except BaseException:
            source.close()
            raise
        before, self._session.capture = self._capture, opening.open_capture(source, paced=True, loop=settings.loop, stay=True)
        if before:
            self._session.dropped_before += before.dropped
            self._end("close source", before.close)
        self._session.capture.pace.speed = self._speed
        self._source, self._source_failed, self._segment = source.info, False, self._last_segment + 1 if before else 0
        if settings.source != self._settings.source:
            self._history.clear()  # another source's frames have the same numbers, and are others
        self._settings, self._frame_hw = settings, source.info.size_hw
        self._last, self._count, self._over, self._held = None, 0, False, False
        if other:
            self._adopt()
        else:
            self._try("ahead", self._look_ahead)
        if before is None:
            self._session.sinks |= opening.open_sinks(settings, self._source)
            self._recording = settings.output
            self._audit(settings.audit)

    def _change_pipeline(self, wanted: Settings) -> None:
        if self._main.want(wanted, self._frame_hw):
            self._adopt()
        else:
            self._try("comparison", self._follow)

    def _adopt(self) -> None:
        """What has to follow when another pipeline runs."""
        pipeline = self._main.pipeline
        assert pipeline is not None
        before, self._session.pipeline = self._network, pipeline
        self._network, self._unlike = (pipeline.engine.classes, pipeline.engine.palette), Unlike(pipeline.engine.sure)
        if self.look.palette == usual_look(*before).palette:
            hidden = self.look.hidden if self._network[0] == before[0] else frozenset[int]()
            self.look = replace(usual_look(*self._network, self.look.opacity), hidden=hidden, contours=self.look.contours)
        if "audit" in self._session.observers:
            self._audit(True)
        self._try("ahead", self._look_ahead)
        if self._held:
            self._held = False
            self.resume()
        self._try("comparison", self._follow)
        if self._last and self._waits and (result := self._session.step(self._last.result.frame)):
            self._present(result, self._last.comparison)

    def _compare(self, changes: Mapping[str, object] | None) -> None:
        """Raises what opening it raises, and the comparison before stays."""
        before, self._compared = self._compared, changes
        try:
            self._follow()
        except BaseException:
            self._compared = before
            raise

    def _follow(self) -> None:
        """Brings the comparison to what it is asked to be, which depends on the pipeline. Raises what opening it raises."""
        self._figures.forget_comparison()
        if self._compared is None:
            self._other.clear()
        elif self._main.settings:
            self._other.want(self._main.settings.model_copy(update=self._compared), self._frame_hw)
        # what another pipeline is being opened for is compared with nothing meanwhile
        self._session.comparison = None if self._other.outdated else self._other.pipeline
        if not self._other.outdated:
            self._compares = self._compared

    def _take_comparison(self) -> None:
        """What has been opened meanwhile. Where that failed, what was compared with before is, if that is something else."""
        try:
            if not self._other.tick():
                return
        except Closed:
            raise
        except Exception:
            self._compared = self._compares if self._compares != self._compared else None
            self._try("comparison", self._follow)
            raise
        self._follow()
        if self._last and self._waits:
            self._present(self._last.result, self._session.step_comparison(self._last.result.frame))

    def _audit(self, on: bool) -> None:
        """From the beginning; what was found before stays to be read once it is off."""
        before = self._session.observers.pop("audit", None)
        if on and self._main.settings:
            self._session.auditor = self._session.observers["audit"] = opening.open_auditor(self._main.settings, self._frame_hw)
        if before:
            self._end("close audit", before.close)

    def _look_ahead(self) -> None:
        """From the beginning, or not at all. Raises UsageError where the network knows no road."""
        self._session.observers.pop("ahead", None)
        self._session.observers |= opening.open_lookout(self._settings, self._network[0])

    def _record(self, path: Path | None) -> None:
        """Raises UsageError, also for a file that is there, and SinkError; a recording before this one is finished then."""
        if path == self.recording:
            return
        if path and self._capture is None:
            raise UsageError(f"{self._source.name}: is not open yet; record once it plays")
        self._session.end_sinks("recorder")
        if path:
            settings = self._settings.model_copy(update={"overwrite": False})
            self._session.sinks["recorder"] = opening.open_recorder(path, settings, self._source)
            self._recording = path

    def _filmed(self, result: Result, comparison: Result | None) -> Result:
        session = self._session
        assert session.pipeline is not None
        return filmed(result, session.pipeline, comparison, session.comparison, self.painter, self.film)

    def _refresh(self) -> None:
        if self._session.pipeline:
            self._session.pipeline.refresh()

    def _seek_again(self, index: int) -> None:
        """In a source that has failed, which is opened anew."""
        if self._source_failed and self._main.wanted:
            self._begin(self._settings, self._main.wanted)
        if self._capture:
            self._capture.seek(index)

    # -- what fails

    def _failed(self, what: str, error: Exception) -> None:
        """The session lives on without it."""
        if what == "network":
            self._held = not (self._capture and self._capture.pace.paused)
            self._main.broken = True
            self.pause()
        elif what == "comparison":
            self._compared = None
            self._try("comparison", self._follow)
        elif sink := self._session.sinks.pop(what, None):
            with suppress(Exception):  # the first failure is the one to tell
                sink.close()
        else:
            self._session.observers.pop(what, None)
        self._tell_trouble(what, error)

    def _hung(self, what: str, error: DriveSegError) -> None:
        """The player's thread is stuck in a stage: it is left alone with its pipelines, and another one plays on. Called from a third."""
        stuck, session = self._session, self._new_session()
        session.capture, session.sinks, session.observers = stuck.capture, stuck.sinks, stuck.observers
        session.painter, session.auditor, session.dropped_before = stuck.painter, stuck.auditor, stuck.dropped_before
        self._main.abandon()
        self._other.abandon()
        self._session = session

        def play_on() -> None:
            if what == "network":
                self._failed(what, error)
            else:  # the pipeline itself has to be another one too: it is used by one thread
                self._compared = None
                self._tell_trouble(what, error)
                wanted = self._main.wanted
                assert wanted is not None
                self._try("change", lambda: self._change_pipeline(wanted))
            self._play(session)

        self._worker = Worker("pipeline", play_on, on_error=lambda error: self._tell_trouble("network", error)).start()

    def _try(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Closed:
            raise
        except Exception as error:
            self._tell_trouble(what, error)

    def _tell_trouble(self, what: str, error: BaseException) -> None:
        with self._lock:
            self._trouble = Trouble.of(what, error, self._trouble)

    # -- how it stands

    def _state(self) -> str:
        if not self._opened.is_set():
            return "opening"
        loading = self._main.loading or self._other.loading
        if self._worker.error or self._source_failed or (self._main.broken and not self._main.loading):
            return "failed"
        return f"loading {loading}" if loading else "ended" if self._over else self._source_state

    @property
    def _away(self) -> Away | None:
        awaited, capture = self._awaited, self._capture
        return awaited.away if awaited else capture.away if capture else None

    @property
    def _source_state(self) -> str:
        if self._capture is None:
            return "connecting" if self._awaited else "opening"
        state = self._capture.state
        return "paused" if self._capture.pace.paused and state in ("opening", "playing") else state

    @property
    def _waits(self) -> bool:
        """No frame is coming until something is changed."""
        return self._over or self._main.broken or self._source_failed or self._source_state in ("paused", "ended")

    @property
    def _capture(self) -> Capture | None:
        return self._session.capture

    @property
    def recording(self) -> Path | None:
        return self._recording if "recorder" in self._session.sinks else None

    def _check(self) -> None:
        if self._closing.is_set():
            raise Closed

    def _end(self, name: str, close: Callable[[], None]) -> None:
        """In a thread of its own, where it may hang; then it is forgotten, and its memory given back."""
        closing = [close]

        def end() -> None:
            closing.pop()()
            give_back()

        self._ending = [worker for worker in self._ending if worker.alive] + [Worker(name, end).start()]
