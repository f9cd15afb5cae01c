"""All that a player plays with: source, lanes, outputs and auditor, and what is known of the frames."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from drive_seg import assemble
from drive_seg.audit import Auditor
from drive_seg.contracts import Frame, Image, Labels, Result
from drive_seg.errors import UsageError
from drive_seg.overlay import Look, Painter
from drive_seg.play.feed import Feed, open_for_player
from drive_seg.play.figures import Figures
from drive_seg.play.lanes import Slot, differing_fields, with_lane
from drive_seg.play.outputs import Outputs
from drive_seg.settings import Settings
from drive_seg.workers import Closed, Worker

BUILDING_LIMIT_S = 0.5

Show = Callable[[Result, Result | None], None]  # a frame, and the same by the rival
Tell = Callable[[str, BaseException], None]  # what failed, of player.Trouble, and with what


class Deck:
    """Belongs to the player's thread. What is public and not a method may be read by any, and the feed steered."""

    def __init__(self, settings: Settings, show: Show, trouble: Tell, check: Callable[[], None]) -> None:
        """Opens nothing. `check` raises Closed once the player is to end, and with it what takes minutes."""
        self.feed = Feed(settings.source)
        self.main, self.rival = Slot(standby=True, check=check), Slot(standby=False, check=check)
        self.outputs, self.figures = Outputs(trouble), Figures()
        self.note, self.over = "", False  # over: as many frames as were asked for have come
        self.auditing = False
        self.auditor: Auditor | None = None  # once off, what it found can still be read
        self.last: tuple[Result, Result | None] | None = None
        self._settings = settings  # what no lane decides is in force; for a lane's see `main`
        self._frame_hw = (0, 0)
        self._network: tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]] = (), ()  # classes and palette of the lane
        self._show, self._trouble = show, trouble
        self._changes: Mapping[str, object] | None = None  # the rival's
        self._count, self._held = 0, False  # frames of this source; and whether it waits for another network
        self._closing: list[Worker] = []
        self.look = Look((), settings.opacity)

    # what any thread may ask

    @property
    def settings(self) -> Settings:
        """In force."""
        return with_lane(self._settings, self.main.lane.settings) if self.main.lane else self._settings

    @property
    def look(self) -> Look:
        return self._look

    @look.setter
    def look(self, look: Look) -> None:
        self._look, self._painter = look, Painter(look)

    @property
    def state(self) -> str:
        loading = self.main.loading or self.rival.loading
        if self.feed.failed or (self.main.broken and not self.main.loading):
            return "failed"
        return f"loading {loading}" if loading else "ended" if self.over else self.feed.state

    def summary(self) -> dict[str, object]:
        if self.main.lane is None:
            raise UsageError("nothing was played yet; open the player first")
        return self.figures.summary(self.main.lane, self.auditor)

    # what the player's thread does

    def open(self) -> None:
        """Raises what source, network and outputs raise; `close` has to follow all the same."""
        assemble.calm_opencv()
        assemble.check_paths(self._settings)
        self._begin(self._settings, self._settings)
        self.outputs.open(self._settings, self.feed.info)
        self._wire()
        self.audit(self._settings.audit)

    def close(self) -> None:
        """Finishes what is written and closes everything; idempotent."""
        for what, end in (("recorder", self.outputs.close), ("comparison", self.rival.close), ("network", self.main.close)):
            self._attempt(what, end)
        if self.auditor:
            self.auditor.close()
        self.feed.close()

    def wait(self, deadline_s: float) -> None:
        """Until then (time.monotonic) for what is closed beside the player's thread, and a moment for what is built; of any thread."""
        for worker in (*self.feed.closing, *self._closing):
            worker.wait(max(0.0, deadline_s - time.monotonic()))
        for slot in (self.main, self.rival):
            if building := slot.building():
                building.wait(BUILDING_LIMIT_S)  # it ends where it next tells something, which may take minutes

    @property
    def wants_frames(self) -> bool:
        return not (self.over or self.main.broken or self.feed.failed)

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame, or None when none came in time. Raises Closed."""
        try:
            return self.feed.next(timeout_s)
        except Closed:
            raise
        except Exception as error:
            self._trouble("source", error)
            return None

    @property
    def waits(self) -> bool:
        """No frame is coming until something is changed."""
        return not self.wants_frames or self.feed.state in ("paused", "ended")

    def play(self, frame: Frame) -> None:
        """One frame's way to everybody who wants it."""
        result = self._step(frame)
        if result is None:
            return
        rival = self._step_rival(frame)
        self.outputs.put(result, self.feed.info)
        self.figures.add(result, rival, len(self._network[0]))
        if self.auditing:
            self._attempt("audit", lambda: self._offer(result))
        self._frame_hw = frame.size_hw
        self._present(result, rival)
        self._count += 1
        if self._count == self._settings.max_frames:
            self.over = True
            self.outputs.close()
            self.feed.pause()

    @property
    def built(self) -> bool:
        return self.main.built or self.rival.built

    def tick(self) -> None:
        """Takes over what has been built meanwhile."""
        self._attempt("change", lambda: self._adopt() if self.main.tick() else None)
        self._attempt("comparison", lambda: self._show_rival() if self.rival.tick() else None)

    def change(self, updates: Mapping[str, object]) -> None:
        assert self.main.wished is not None
        lane = self.main.wished
        wished = with_lane(self._settings, lane).model_copy(update=updates)
        if updates.keys() & {"source", "model", "class_names"}:
            assemble.check_apart(wished.model_copy(update={"output": self.outputs.recording}))
        if "source" in updates or (wished.loop != self._settings.loop and not (self.feed.seekable or self.feed.info.live)):
            self._attempt("source", lambda: self._begin(wished, lane))
        elif wished.loop != self._settings.loop:
            self.feed.loop(wished.loop)
            self._settings = self._settings.model_copy(update={"loop": wished.loop})
        if self.main.broken or differing_fields(wished, lane):
            self._attempt("change", lambda: self._change_lane(wished))

    def compare(self, changes: Mapping[str, object] | None) -> None:
        """None ends it. Raises what another rival raises, and the one before stays."""
        before, self._changes = self._changes, changes
        try:
            self._follow()
        except BaseException:
            self._changes = before
            raise

    def audit(self, on: bool) -> None:
        """From the beginning; what was found before stays to be read once it is off."""
        before, self.auditing = self.auditor, on
        if on and self.main.lane:
            self.auditor = assemble.open_auditor(self.main.lane.settings, self._frame_hw)
        if before:
            self._closing = [worker for worker in self._closing if worker.alive] + [Worker("close audit", before.close).start()]

    def record(self, path: Path | None) -> None:
        """None ends it. Raises UsageError, SinkError."""
        try:
            self.outputs.record(path, self._settings, self.feed.info)
        finally:
            self._wire()

    def refresh(self) -> None:
        if self.main.lane:
            self.main.lane.pipeline.refresh()

    def seek(self, index: int) -> None:
        """Also in a source that has failed, which is opened again."""
        if self.feed.failed and self.main.wished:
            self._begin(self._settings, self.main.wished)
        self.feed.seek(index)

    def _begin(self, settings: Settings, lane: Settings) -> None:
        """Plays the settings' source, on the lane that is wished."""
        source = open_for_player(settings)
        try:
            other = self.main.wish(with_lane(settings, lane), source.info.size_hw)
        except BaseException:
            source.close()
            raise
        self.feed.play(source, settings.loop)
        self.figures.forget_history()
        self._settings, self._frame_hw = settings, source.info.size_hw
        self.last, self._count, self.over, self._held = None, 0, False, False
        if other:
            self._adopt()
        elif self.main.lane:
            self.note = self.main.lane.engine.note

    def _change_lane(self, wished: Settings) -> None:
        if self.main.wish(wished, self._frame_hw):
            self._adopt()
        else:
            self.figures.forget_rival()
            self._attempt("comparison", self._follow)

    def _adopt(self) -> None:
        """What has to follow when another lane plays."""
        assert self.main.lane is not None
        engine, before = self.main.lane.engine, self._network
        self._network, self.note = (engine.classes, engine.palette), engine.note
        if self._look.palette == before[1]:
            hidden = self._look.hidden if engine.classes == before[0] else frozenset[int]()
            self.look = replace(self._look, palette=engine.palette, hidden=hidden)
        self._wire()
        if self.auditing:
            self.audit(True)
        if self._held:
            self._held = False
            self.feed.resume()
        self.figures.forget_rival()
        self._attempt("comparison", self._follow)
        if self.last and self.waits and (result := self._step(self.last[0].frame)):
            self._present(result, self.last[1])

    def _wire(self) -> None:
        if self.main.lane:
            self.main.lane.pipeline.paint = self._paint if self.outputs.wants_overlay else None

    def _paint(self, image: Image, labels: Labels) -> Image:
        lane = self.main.lane
        return lane.paint(self._painter, image, labels) if lane else self._painter.paint(image, labels)

    def _follow(self) -> None:
        """Brings the rival to what it is asked to be, which depends on the lane. Raises what opening it raises."""
        before = self.rival.lane
        if self._changes is None:
            self.rival.clear()
            self.figures.forget_rival()
        elif self.main.lane and self.rival.wish(self.main.lane.settings.model_copy(update=self._changes), self._frame_hw):
            self._show_rival()
        elif self.rival.lane is not before:
            self.figures.forget_rival()

    def _show_rival(self) -> None:
        self.figures.forget_rival()
        if self.last and self.waits:
            self._present(self.last[0], self._step_rival(self.last[0].frame))

    def _step(self, frame: Frame) -> Result | None:
        assert self.main.lane is not None
        try:
            return self.main.lane.pipeline.step(frame, self.feed.dropped)
        except Exception as error:
            self.main.broken, self._held = True, not self.feed.paused
            self.feed.pause()
            self._trouble("network", error)
            return None

    def _step_rival(self, frame: Frame) -> Result | None:
        if self.rival.lane is None:
            return None
        try:
            return self.rival.lane.pipeline.step(frame)
        except Exception as error:
            self._changes = None
            self._attempt("comparison", self._follow)
            self._trouble("comparison", error)
            return None

    def _offer(self, result: Result) -> None:
        assert self.auditor is not None
        try:
            self.auditor.offer(result)
        except BaseException:
            self.auditing = False
            raise

    def _present(self, result: Result, rival: Result | None) -> None:
        if rival and self.rival.lane and self.rival.lane.engine.classes == self._network[0]:
            self.figures.compare(result, rival)
        self.last = result, rival
        self._show(result, rival)

    def _attempt(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Closed:
            raise
        except Exception as error:
            self._trouble(what, error)
