"""`--schedule auto`: of all that bundles can do within a frame's time on this machine, what was measured to be the most accurate.

How accurate each way is, the cards know (`drive-seg sweep --record`); how long it takes here, a few seconds of this machine tell.
"""

import math
import re
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count

import numpy as np

from drive_seg.contracts import Frame, Result
from drive_seg.errors import UsageError
from drive_seg.network.card import Bundle, load_bundle, names
from drive_seg.network.foreign import is_onnx
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import EveryFrame
from drive_seg.session.opening import open_pipeline
from drive_seg.settings import Settings
from drive_seg.sources import is_live

PATTERN = r"auto(:(?P<value>[1-9]\d{0,3}(\.\d+)?)(?P<unit>ms|fps))?"
USUAL_MS = 1e3 / 30
ROOM = 0.9  # of a frame's time: what else the machine does has to fit in too
SECONDS, WARM_UP, LEAST = 0.7, 2, 8  # of each pipeline; the first frames do not count
SWEEP = "sweep"  # under which a card has the ways that were measured
EVERY = EveryFrame().name


@dataclass(frozen=True, slots=True)
class Way:
    """What a bundle can be run by, and what that was measured to give. In mode async:K the context came K frames of `hz` late."""

    model: str  # as it is given
    schedule: str
    mode: str
    propagation: str
    miou: float
    key_frames: float  # 0 to 1, share of the frames
    hz: float

    @property
    def delay(self) -> int:
        """In frames; 0 where a key frame waits for its own context."""
        return int(self.mode.partition(":")[2] or 0)


@dataclass(frozen=True, slots=True)
class Timing:
    """Of a bundle, in ms, frame to labels."""

    key: float  # where the deep stage is waited for
    other: float
    beside: float = math.inf  # while the deep stage runs beside it; nine of ten frames are faster
    refresh: float = math.inf  # that it takes there

    def of(self, way: Way, paced: bool) -> float:
        """What one frame takes: the slowest where frames come when they come, else on average. inf for what cannot be said."""
        if way.delay:  # a context that comes later than it was measured to is another way
            return self.beside if paced and math.ceil(self.refresh * way.hz / 1e3) <= way.delay else math.inf
        return self.key if paced else way.key_frames * self.key + (1 - way.key_frames) * self.other


def period_ms(schedule: str) -> float | None:
    """The time of a frame that `auto`, `auto:25fps` or `auto:40ms` asks for; None for what is a schedule itself."""
    match = re.fullmatch(PATTERN, schedule)
    if not match or match["value"] is None:
        return USUAL_MS if match else None
    value = float(match["value"])
    return 1e3 / value if match["unit"] == "fps" else value


def choose(ways: Iterable[Way], timings: dict[str, Timing], limit_ms: float, paced: bool) -> tuple[Way, float]:
    """The most accurate of those that fit, else the fastest, and what a frame takes with it."""
    timed = [(way, timings[way.model].of(way, paced)) for way in ways if way.model in timings]
    fitting = [(way, ms) for way, ms in timed if ms <= ROOM * limit_ms]
    return max(fitting, key=lambda one: (one[0].miou, -one[1])) if fitting else min(timed, key=lambda one: (one[1], -one[0].miou))


def ways_of(model: str, bundle: Bundle) -> Iterator[Way]:
    """All that its card has measured."""
    swept = bundle.card.measured.get(SWEEP, {})
    for row in swept.get("ways", ()):
        yield Way(model, row["schedule"], row["mode"], row["propagation"], row["miou"], row["key_frames"], swept["hz"])


def resolved(settings: Settings, shown: bool, tell: Callable[[str], None]) -> Settings:
    """The settings with what `auto` chose; as they are where another schedule is asked for. `shown`: somebody looks, so that frames keep
    their own pace, as a camera's do and --realtime's.

    Several cameras share a frame's time. What was given of model, mode and propagation is kept to.

    Raises UsageError, BundleError, BackendError.
    """
    limit_ms = period_ms(settings.schedule)
    if limit_ms is None:
        return settings
    limit_ms /= len(settings.cameras)
    paced = shown or settings.realtime or any(is_live(one.source) for one in settings.cameras)
    if is_onnx(settings.model) or settings.replay:
        raise UsageError(f"--schedule {settings.schedule}: chooses for bundles by their cards; leave it out with net.onnx and --replay")
    fixed = {str(name): getattr(settings, name) for name in ("model", "mode", "propagation") if name in settings.model_fields_set}
    bundles = {name: load_bundle(name) for name in ([settings.model] if "model" in fixed else names())}
    ways = {name: [way for way in ways_of(name, bundle) if _keeps_to(way, fixed)] for name, bundle in bundles.items()}
    timings = dict[str, Timing]()
    for name, own in ways.items():
        if own:
            tell(f"{settings.schedule}: timing {name}")
            timings[name] = time_bundle(bundles[name], own, settings, paced)
    if not timings:
        asked = " ".join(f"--{name} {value}" for name, value in fixed.items())
        raise UsageError(f"--schedule {settings.schedule}: no card has figures of {asked}; leave that out, or drive-seg sweep --record")
    way, ms = choose([way for own in ways.values() for way in own], timings, limit_ms, paced)
    tell(said(way, ms, timings, limit_ms))
    chosen = {"model": way.model, "schedule": way.schedule, "mode": way.mode.partition(":")[0], "propagation": way.propagation}
    return settings.model_copy(update=chosen)


def _keeps_to(way: Way, fixed: dict[str, str]) -> bool:
    mode, propagation = fixed.get("mode", way.mode), fixed.get("propagation", way.propagation)
    return way.mode.partition(":")[0] == mode.partition(":")[0] and way.propagation == propagation


def said(way: Way, ms: float, timings: dict[str, Timing], limit_ms: float) -> str:
    """What was chosen, and why."""
    how = "async" if way.delay else way.schedule
    what = f"{way.model}, {how}" if how == EVERY else f"{way.model}, {how}, {way.propagation}"
    verdict = f"of {limit_ms:.0f} ms" if ms <= ROOM * limit_ms else f"where {limit_ms:.0f} ms were asked for: nothing is faster"
    others = [f"{name} on every frame {timing.key:.0f} ms" for name, timing in timings.items() if (name, how) != (way.model, EVERY)]
    return "; ".join((f"auto: {what}: {ms:.0f} ms a frame {verdict}", *others))


def time_bundle(bundle: Bundle, ways: list[Way], settings: Settings, paced: bool) -> Timing:
    """Runs it for a second or two: where key frames wait and, if `ways` want that and frames are paced, where none does.

    Raises BackendError.
    """

    def run(ways: list[Way], schedule: str, mode: str) -> list[Result]:
        best = max(ways, key=lambda way: (way.schedule != EVERY, way.miou))
        chosen = {"model": best.model, "schedule": schedule, "mode": mode, "propagation": best.propagation}
        size_hw = bundle.card.input.height, bundle.card.input.width
        with closing(open_pipeline(bundle, settings.model_copy(update=chosen), size_hw)) as pipeline:
            return list(play(pipeline, size_hw))

    delayed = [way for way in ways if way.delay]
    results = run([way for way in ways if not way.delay] or ways, "clockwork:2", "sync")
    key, other = (statistics.median(result.total_ms for result in results if result.is_key == is_key) for is_key in (True, False))
    if not delayed or not paced:
        return Timing(key, other)
    results = run(delayed, EVERY, "async")
    refreshes = [result.high_ms for result in results if result.high_ms is not None]
    beside = statistics.quantiles((result.total_ms for result in results), n=10)[-1]
    return Timing(key, other, beside, statistics.median(refreshes)) if refreshes else Timing(key, other)


def play(pipeline: Pipeline, size_hw: tuple[int, int], clock: Callable[[], float] = time.perf_counter) -> Iterator[Result]:
    """A picture in which nothing moves, for SECONDS and LEAST frames at least."""
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    end = clock() + SECONDS
    for index in count():
        result = pipeline.step(Frame(image, index, index / 30))
        if index >= WARM_UP:
            yield result
        if index >= LEAST and clock() > end:
            return
