"""The schedules: pure decisions whether the deep stage runs for a frame whose cache is valid."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Protocol

from drive_seg.contracts import Decision, Network, Reason, View
from drive_seg.errors import UsageError

MAX_AGE = 30  # frames, unless told otherwise: a second at 30 fps
SYNTAX = (
    "every-frame, clockwork:N, clockwork:1,2,4, clockwork:adaptive=0.1, clockwork:pipelined, clockwork:pipelined=3, keyframe:0.08,"
    " budget:30ms, budget:30fps; adaptive, keyframe and budget also take a largest age, such as keyframe:0.08,max_age=30"
)


class Schedule(Protocol):
    """Asked for every frame with a valid cache, in order; a frame without one is a key frame unasked."""

    needs_score: ClassVar[bool]  # nothing can be decided without View.score

    @property
    def name(self) -> str:
        """As the user writes it."""

    @property
    def needs_cached(self) -> int | None:
        """How many cached stages it tells apart; None where they all run together, however many there are."""

    def decide(self, view: View) -> Decision: ...


@dataclass(frozen=True, slots=True)
class EveryFrame:
    name: str = "every-frame"
    needs_score: ClassVar[bool] = False
    needs_cached: ClassVar[int | None] = None

    def decide(self, view: View) -> Decision:
        return Decision(True, "every", "every frame")


@dataclass(frozen=True, slots=True)
class Clockwork:
    """A key frame every so many frames, the last of `rates` (Shelhamer et al. 2016, https://arxiv.org/abs/1608.03609, fixed rates).

    One rate is for everything that is cached; several are those of the stages one by one, `low` with its 1 included.
    """

    rates: tuple[int, ...]
    name: str
    needs_score: ClassVar[bool] = False

    @property
    def needs_cached(self) -> int | None:
        return len(self.rates) - 1 or None

    def decide(self, view: View) -> Decision:
        run_high, text = view.age_frames >= self.rates[-1], f"age {view.age_frames} of {self.rates[-1]}"
        if self.needs_cached == 2 and not run_high and view.mid_age_frames >= self.rates[1]:
            return Decision(False, "clock", f"mid due, {text}", run_mid=True)
        return Decision(run_high, "clock", text)


@dataclass(frozen=True, slots=True)
class Pipelined:
    """Every frame is a key frame, but its context is used `stages` - 1 frames later (Shelhamer et al. 2016, pipelining).

    The delay is the refresher's: with two stages the head sees the context of the frame before, with three of the one before that.
    """

    stages: int
    name: str
    needs_score: ClassVar[bool] = False
    needs_cached: ClassVar[int | None] = None

    def decide(self, view: View) -> Decision:
        return Decision(True, "every", f"pipelined in {self.stages} stages")


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A key frame when more of the labels have changed since the last one than `share` (Shelhamer et al. 2016, adaptive clockwork)."""

    share: float
    max_age: int
    name: str
    needs_score: ClassVar[bool] = False
    needs_cached: ClassVar[int | None] = None

    def decide(self, view: View) -> Decision:
        return _too_old(view, self.max_age) or _compare("change", "changed", view.changed, self.share)


@dataclass(frozen=True, slots=True)
class KeyFrames:
    """A key frame when the network predicts that more labels than `share` differ from the last one's (Li, Shi, Lin 2018,
    https://arxiv.org/abs/1804.00389)."""

    share: float
    max_age: int
    name: str
    needs_score: ClassVar[bool] = True
    needs_cached: ClassVar[int | None] = None

    def decide(self, view: View) -> Decision:
        assert view.score is not None
        return _too_old(view, self.max_age) or _compare("score", "score", view.score, self.share)


@dataclass(slots=True)
class Budget:
    """As many key frames as fit into `target_ms` a frame on average, and where there is a score, on the frames that need them most.

    What a frame takes less than the target is saved, and a key frame's excess is paid from that: with the last key frame's time K and
    another's O, one frame in (K - O) / (target - O) can be one. The score that a key frame needs falls from DEAR, when one can just be
    paid, to nothing, when SAVED of them could: it finds its own level, nothing saved is lost, and nothing swings from all to none.
    """

    DEAR: ClassVar[float] = 0.25  # share of labels; at 15 to 30 fps those after which a refresh is worth it lie at .05 to .12
    SAVED: ClassVar[float] = 2.0  # refreshes

    target_ms: float
    max_age: int
    name: str
    needs_score: ClassVar[bool] = False
    needs_cached: ClassVar[int | None] = None
    _saved_ms: float = field(default=0.0, init=False)

    def decide(self, view: View) -> Decision:
        plain_ms = view.key_ms if view.other_ms is None else view.other_ms
        most_ms = self.SAVED * max(0.0, view.key_ms - plain_ms)
        self._saved_ms = min(max(self._saved_ms + self.target_ms - view.last_ms, -most_ms), most_ms + self.target_ms)
        price_ms = view.key_ms - self.target_ms
        left_ms = self._saved_ms - price_ms
        if old := _too_old(view, self.max_age):
            return old
        if price_ms <= 0:
            return Decision(True, "budget", f"fits into {self.target_ms:.0f} ms")
        if left_ms < 0 or view.score is None:
            return Decision(left_ms >= 0, "budget", f"{self._saved_ms:.0f} ms saved of {price_ms:.0f}")
        return _compare("budget", "score", view.score, self.DEAR * max(0.0, 1 - left_ms / max(most_ms - price_ms, 1e-9)))


@dataclass(frozen=True, slots=True)
class Replay:
    """The decisions of another run, frame by frame; what it did not see is no key frame."""

    recorded: Mapping[tuple[int | None, int], Decision]  # by segment and index; segment None: by the index alone
    name: str
    needs_score: ClassVar[bool] = False

    @property
    def needs_cached(self) -> int | None:
        return 2 if any(decision.run_mid for decision in self.recorded.values()) else None

    def decide(self, view: View) -> Decision:
        found = self.recorded.get((view.segment, view.index)) or self.recorded.get((None, view.index))
        return found or Decision(False, "replay", "not in the record")


def _too_old(view: View, max_age: int) -> Decision | None:
    return Decision(True, "age", f"age {view.age_frames} of {max_age}") if view.age_frames >= max_age else None


def _compare(reason: Reason, what: str, score: float, threshold: float) -> Decision:
    return Decision(score > threshold, reason, f"{what} {score:.3f} of {threshold:.3f}", score, threshold)


_SHARE, _OLD = r"(?P<share>0?\.\d*[1-9]\d*)", r"(,max_age=(?P<age>[1-9]\d*))?"

# What a user can write, and what it means; the first that fits the whole text counts.
GRAMMAR: dict[str, Callable[[re.Match[str]], Schedule]] = {
    r"every-frame": lambda m: EveryFrame(),
    r"clockwork:(?P<rates>[1-9]\d*(,[1-9]\d*)*)": lambda m: _clockwork(tuple(map(int, m["rates"].split(","))), m[0]),
    rf"clockwork:adaptive={_SHARE}{_OLD}": lambda m: Adaptive(float(m["share"]), _age(m), m[0]),
    r"clockwork:pipelined(=(?P<stages>[23]))?": lambda m: Pipelined(int(m["stages"] or 2), m[0]),
    rf"keyframe:{_SHARE}{_OLD}": lambda m: KeyFrames(float(m["share"]), _age(m), m[0]),
    rf"budget:(?P<ms>[1-9]\d*(\.\d+)?)ms{_OLD}": lambda m: Budget(float(m["ms"]), _age(m), m[0]),
    rf"budget:(?P<fps>[1-9]\d*(\.\d+)?)fps{_OLD}": lambda m: Budget(1e3 / float(m["fps"]), _age(m), m[0]),
}


def _age(match: re.Match[str]) -> int:
    return int(match["age"] or MAX_AGE)


def _clockwork(rates: tuple[int, ...], text: str) -> Clockwork:
    if len(rates) > 1 and rates[0] != 1:
        raise UsageError(f"--schedule {text}: the first rate is low's, by which scene cuts are seen on every frame; give 1 there")
    for rate, slower in pairwise(rates):
        if slower % rate:
            raise UsageError(
                f"--schedule {text}: {slower} is no multiple of {rate}, and a stage needs what the one before it makes of the same frame"
            )
    return Clockwork(rates, text)


def parse_schedule(text: str) -> Schedule:
    """Raises UsageError that lists the schedules there are."""
    for pattern, make in GRAMMAR.items():
        if match := re.fullmatch(pattern, text):
            return make(match)
    raise UsageError(f"{text or 'an empty text'}: no such schedule; there are {SYNTAX}")


def check_fits(schedule: Schedule, network: Network) -> None:
    """Raises UsageError when the network lacks what the schedule decides by."""
    if schedule.needs_score and network.score is None:
        raise UsageError(f"--schedule {schedule.name}: {network.name} puts out no score to tell key frames by; use clockwork or budget")
    if schedule.needs_cached not in (None, len(network.cached)):
        has = "one cached stage: clockwork:1,N, that is clockwork:N" if len(network.cached) == 1 else "two cached stages: clockwork:1,M,N"
        raise UsageError(f"--schedule {schedule.name}: {network.name} has {has}")
