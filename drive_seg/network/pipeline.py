"""A frame's way through the program, top to bottom. READ SECOND."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from drive_seg.contracts import Confidence, Decision, Frame, Image, Key, Labels, Network, Phrase, Result, Span, Tensors
from drive_seg.network.cache import Cache
from drive_seg.network.preprocess import to_input
from drive_seg.network.propagate import HOLD, Hold, Propagation
from drive_seg.network.refresh import Refresher, Sync, renewed
from drive_seg.network.schedule import Schedule, check_fits
from drive_seg.watchdog import Watched

Paint = Callable[[Image, Labels], Image]
Refine = Callable[[Labels, Image, Confidence | None], Labels]


class Stopwatch:
    """What a frame's time went into."""

    def __init__(self, watched: Watched) -> None:
        self.spans: list[Span] = []
        self._watched = watched
        self._start_s = time.perf_counter()

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        self._watched.begin(name)
        start_s = time.perf_counter()
        yield
        self.spans.append(Span(name, start_s, (time.perf_counter() - start_s) * 1e3))

    def passed_ms(self) -> float:
        """From the stopwatch's making until now."""
        return (time.perf_counter() - self._start_s) * 1e3


class Pipeline:
    """Owned by one thread, the only one that touches the engine. The refresher is its own to close; the engine is with `owns_engine`."""

    def __init__(
        self,
        engine: Network,
        schedule: Schedule,
        paint: Paint | None = None,
        refine: Refine | None = None,
        refresher: Refresher | None = None,
        propagation: Propagation | None = None,
        owns_engine: bool = False,
    ) -> None:
        """Unless told otherwise a key frame waits for its own `high`, and its context is held. Raises UsageError."""
        check_fits(schedule, engine)
        self.engine, self.schedule, self.paint, self.refine = engine, schedule, paint, refine
        self.refresher, self.propagation = refresher or Sync(engine), propagation or Hold()
        self._cache, self._asked, self._owns_engine = Cache(engine.cut), False, owns_engine
        self.watched = Watched(lambda text: None)  # told of each stage as it begins; who runs the pipeline gives its own, and ends the last

    @property
    def runs(self) -> dict[str, str]:
        """What really runs, as it is told to people and written into files."""
        backend = self.engine.backend
        return {
            "model": self.engine.name,
            "backend": backend.name,
            "precision": backend.precision,
            "device": backend.device,
            "schedule": self.schedule.name,
            "mode": self.refresher.name,
            "propagation": self.propagation.name,
        }

    @property
    def headline(self) -> str:
        """The same in one line."""
        what = self.runs
        propagated = "" if what["propagation"] == HOLD else f" {what['propagation']}"
        return f"{what['model']} · {what['backend']} {what['precision']} · {what['device']} · {what['schedule']} {what['mode']}{propagated}"

    def fit(self, frame_hw: tuple[int, int]) -> None:
        """Makes ready for frames of this size; free while the network's input stays the same. Raises BackendError."""
        self.engine.fit(frame_hw)
        self.refresher.fit()

    def refresh(self) -> None:
        """The next frame is a key frame, once no refresh is under way any more."""
        self._asked = True

    def step(self, frame: Frame, dropped: int = 0) -> Result:
        """Labels, and the overlay where one is wanted, for one frame. Raises BackendError."""
        cache, before = self._cache, self._cache.key
        self.fit(frame.size_hw)
        cache.check(frame)
        self.watched.begin("high")
        if cache.key:
            cache.swap(self.refresher.collect(frame.index))  # between two frames, whole
        watch = Stopwatch(self.watched)
        with watch.time("preprocess"):
            image = to_input(frame.image, self.engine.input_hw)
            seen = self.propagation.see(image)
        with watch.time("low"):
            low = self.engine.low(image, cache.own)
        cache.check_features(low[self.engine.change])
        decision = cache.refused or self._ask(frame, low)
        cold, self._asked = cache.key is None, self._asked and not decision.run_high
        if decision.run_high or decision.run_mid:
            self.watched.begin("high")
            bare = Key(frame.index, frame.time_s, frame.segment, frame.size_hw, self.engine.keep(low), seen)
            cache.swap(self.refresher.start(bare, low, wait=cold) if decision.run_high else renewed(cache.in_use(), bare, low, self.engine))
        key = cache.in_use()
        with watch.time("propagate"):
            context = dict(key.own)
            for part in key.parts:
                context |= self.propagation.propagate(part, seen)
        with watch.time("head"):
            shown = labels = self.engine.head(low, context, fresh=key.index == frame.index)
        if self.refine:
            with watch.time("refine"):
                labels = self.refine(labels, frame.image, self.engine.confidence)
        total_ms = watch.passed_ms()
        overlay = None
        if self.paint:
            with watch.time("overlay"):
                self.watched.end()  # where the network runs, what paints is built when it is first wanted
                overlay = self.paint(frame.image, labels)
        cache.shown(shown, watch.passed_ms(), refreshing=decision.run_high or self.refresher.busy)
        decoded = Span("decode", frame.decoded_s - frame.decode_ms / 1e3, frame.decode_ms, "capture")
        spans = (decoded, *watch.spans, *(() if key is before else key.parts[-1].spans))
        return Result(
            frame=frame,
            labels=labels,
            overlay=overlay,
            decision=decision,
            age_frames=frame.index - key.index,
            age_ms=(frame.time_s - key.time_s) * 1e3,
            cold=cold,
            latency_ms={**{span.name: span.ms for span in spans}, "total": total_ms},
            spans=spans,
            dropped=dropped,
            classes=self.engine.classes,
            confidence=self.engine.confidence,
        )

    def _ask(self, frame: Frame, low: Tensors) -> Decision:
        """What the schedule decides, unless the cache or the refresher has the last word."""
        score = None if self.engine.score is None else float(low[self.engine.score].item())
        decision = self.schedule.decide(self._cache.view(frame, score))
        if self._asked:
            decision = Decision(True, "manual", Phrase("asked for"), decision.score, decision.threshold)
        busy = decision.run_high and self.refresher.busy
        if not busy:
            return decision
        text = Phrase("a refresh is under way")
        if decision.reason == "age":  # what is shown is older than it was asked to be
            text = Phrase("a refresh is under way, {0}", decision.text)
        return replace(decision, run_high=False, reason="busy", text=text)

    def close(self) -> None:
        """Idempotent."""
        self.refresher.close()
        if self._owns_engine:
            self.engine.close()
