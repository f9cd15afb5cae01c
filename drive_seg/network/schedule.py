"""The schedules: pure decisions whether the deep stage runs for a frame whose cache is valid."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Protocol

from drive_seg.contracts import Decision, Network, Phrase, Reason, View
from drive_seg.errors import UsageError

MAX_AGE = 30  # frames, unless told otherwise: a second at 30 fps
CHANGED, SCORE = "changed {0:.3f} of {1:.3f}", "score {0:.3f} of {1:.3f}"  # forms of a Phrase


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
        return Decision(True, "every", Phrase("every frame"))


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
        run_high, text = view.age_frames >= self.rates[-1], Phrase("age {0} of {1}", view.age_frames, self.rates[-1])
        if self.needs_cached == 2 and not run_high and view.mid_age_frames >= self.rates[1]:
            return Decision(False, "clock", Phrase("mid due, {0}", text), run_mid=True)
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
        return Decision(True, "every", Phrase("pipelined in {0} stages", self.stages))


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A key frame when more of the labels have changed since the last one than `share` (Shelhamer et al. 2016, adaptive clockwork)."""

    share: float
    max_age: int
    name: str
    needs_score: ClassVar[bool] = False
    needs_cached: ClassVar[int | None] = None

    def decide(self, view: View) -> Decision:
        return _too_old(view, self.max_age) or _compare("change", CHANGED, view.changed, self.share)


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
        return _too_old(view, self.max_age) or _compare("score", SCORE, view.score, self.share)


class Purse:
    """What frames have saved of a budget's time: those of one camera, or of several that have one budget together."""

    LATELY: ClassVar[int] = 8  # frames of each camera: which has not asked among them, being slower or away, leaves its share to the others

    def __init__(self) -> None:
        self.saved_ms = 0.0
        self._asks, self._asked, self._refreshed = 0, dict[int, int](), dict[int, int]()  # by who asks, the number of the ask
        self._scores: dict[int, float] = {}

    def ask(self, who: int, score: float | None = None) -> int:
        """By how many cameras, this one counted, the budget is shared. `score`: View.score."""
        self._asks += 1
        self._asked[who], self._scores[who] = self._asks, score or 0.0
        oldest = self._asks - self.LATELY * len(self._asked)
        self._asked = {one: at for one, at in self._asked.items() if at > oldest}
        return len(self._asked)

    def comes_first(self, who: int) -> bool:
        """No other one needs a refresh more, or as much and for longer: else one could always be the one that asks when enough is saved."""
        return self._need(who) == max(self._need(one) for one in self._asked)

    def _need(self, who: int) -> tuple[float, int]:
        return self._scores[who], -self._refreshed.get(who, 0)

    def refresh(self, who: int) -> None:
        self._refreshed[who], self._scores[who] = self._asks, 0.0


@dataclass(slots=True)
class Budget:
    """As many key frames as fit into `target_ms` a frame on average, and where there is a score, on the frames that need them most.

    What a frame takes less than the target is saved, and a key frame's excess is paid from that: with the last key frame's time K and
    another's O, one frame in (K - O) / (target - O) can be one. The score that a key frame needs falls from DEAR, when one can just be
    paid, to nothing, when SAVED of them could: it finds its own level, nothing saved is lost, and nothing swings from all to none.

    Cameras that share a purse have the target for a frame of each, together.
    """

    DEAR: ClassVar[float] = 0.25  # share of labels; at 15 to 30 fps those after which a refresh is worth it lie at .05 to .12
    SAVED: ClassVar[float] = 2.0  # refreshes

    target_ms: float
    max_age: int
    name: str
    needs_score: ClassVar[bool] = False
    needs_cached: ClassVar[int | None] = None
    purse: Purse = field(default_factory=Purse, init=False, repr=False, compare=False)
    _paid_ms: float | None = field(default=None, init=False, compare=False)  # for the last frame, by what it was expected to take

    def decide(self, view: View) -> Decision:
        target_ms = self.target_ms / self.purse.ask(id(self), view.score)
        plain_ms = view.key_ms if view.other_ms is None else view.other_ms
        decision = self._decided(view, target_ms, plain_ms)
        if decision.run_high:
            self.purse.refresh(id(self))
        self._paid_ms = view.key_ms if decision.run_high else plain_ms  # at once: others who share the purse are asked before it is known
        self.purse.saved_ms += target_ms - self._paid_ms
        return decision

    def _decided(self, view: View, target_ms: float, plain_ms: float) -> Decision:
        most_ms, paid_ms = self.SAVED * max(0.0, view.key_ms - plain_ms), target_ms if self._paid_ms is None else self._paid_ms
        saved_ms = min(max(self.purse.saved_ms + paid_ms - view.last_ms, -most_ms), most_ms + self.target_ms)  # of a frame of each camera
        self.purse.saved_ms, price_ms = saved_ms, view.key_ms - target_ms
        left_ms = saved_ms - price_ms
        if old := _too_old(view, self.max_age):
            return old
        if price_ms <= 0:
            return Decision(True, "budget", Phrase("fits into {0:.0f} ms", target_ms))
        first = self.purse.comes_first(id(self))
        if left_ms < 0 or view.score is None:
            return Decision(left_ms >= 0 and first, "budget", Phrase("{0:.0f} ms saved of {1:.0f}", saved_ms, price_ms))
        found = _compare("budget", SCORE, view.score, self.DEAR * max(0.0, 1 - left_ms / max(most_ms - price_ms, 1e-9)))
        return found if first else replace(found, run_high=False, text=Phrase("{0}, another camera needs it more", found.text))


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
        return found or Decision(False, "replay", Phrase("not in the record"))


def _too_old(view: View, max_age: int) -> Decision | None:
    return Decision(True, "age", Phrase("age {0} of {1}", view.age_frames, max_age)) if view.age_frames >= max_age else None


def _compare(reason: Reason, form: str, score: float, threshold: float) -> Decision:
    return Decision(score > threshold, reason, Phrase(form, score, threshold), score, threshold)


@dataclass(frozen=True, slots=True)
class Slider:
    """The bounds of a schedule's number, for whoever moves it."""

    form: str  # makes of a value what is parsed to it again
    says: str  # what a value means, for people
    low: float
    high: float
    step: float
    start: float

    @property
    def ticks(self) -> int:
        return round((self.high - self.low) / self.step)

    def tick(self, value: float) -> int:
        """The nearest one, from 0."""
        return min(max(round((value - self.low) / self.step), 0), self.ticks)

    def value(self, tick: int) -> float:
        return self.low + tick * self.step


@dataclass(frozen=True, slots=True)
class Kind:
    """What a user can write, and what it means."""

    name: str
    title: str  # in the window
    form: str  # as it is written
    help: str  # which frames become key frames
    pattern: str  # of the whole text; its groups: see `_number`, `_age` and `read_schedule`
    make: Callable[[re.Match[str]], Schedule]
    slider: Slider | None = None
    example: str = ""  # where the form is none

    @property
    def start(self) -> str:
        """What somebody who chooses this kind begins with."""
        return self.slider.form.format(self.slider.start) if self.slider else self.example or self.form


_COUNT = r"[1-9]\d{0,8}"
_SHARE, _OLD = r"(?P<value>0?\.\d*[1-9]\d*)", rf"(?P<rest>,max_age=(?P<age>{_COUNT}))?"

KINDS = {
    kind.name: kind
    for kind in (
        Kind("every-frame", "every frame", "every-frame", "every frame", r"every-frame", lambda m: EveryFrame()),
        Kind(
            "clockwork", "fixed clock", "clockwork:N", "every Nth frame",
            rf"clockwork:(?P<value>{_COUNT})", lambda m: _clockwork(m["value"], m[0]),
            Slider("clockwork:{:.0f}", "refresh every {0:.0f} frames", 2, 30, 1, 4),
        ),
        Kind(
            "clockwork by stage", "a clock a stage", "clockwork:1,M,N",
            "every Nth for `high`, every Mth for `mid`, in networks with a second cached stage; each a multiple of the one before",
            rf"clockwork:(?P<rates>{_COUNT}(,{_COUNT})+)", lambda m: _clockwork(m["rates"], m[0]), example="clockwork:1,2,4",
        ),
        Kind(
            "pipelined", "pipelined", "clockwork:pipelined", "every frame, but its context is used one frame later; with `=3` two",
            r"clockwork:pipelined(=(?P<stages>[23]))?", lambda m: Pipelined(int(m["stages"] or 2), m[0]),
        ),
        Kind(
            "adaptive", "when labels change", "clockwork:adaptive=0.1",
            "when more than this share of the labels has changed since the last one",
            rf"clockwork:adaptive={_SHARE}{_OLD}", lambda m: Adaptive(_number(m), _age(m), m[0]),
            Slider("clockwork:adaptive={:.3g}", "refresh at {0:.1%} changed labels", 0.005, 0.3, 0.005, 0.1),
        ),
        Kind(
            "keyframe", "learned selector", "keyframe:0.08",
            "when the network forecasts that more labels than this share differ from the last key frame's",
            rf"keyframe:{_SHARE}{_OLD}", lambda m: KeyFrames(_number(m), _age(m), m[0]),
            Slider("keyframe:{:.3g}", "refresh at a score of {0:.3f}", 0.005, 0.3, 0.005, 0.08),
        ),
        Kind(
            "budget", "time budget", "budget:30ms", "as many as fit into this time, or `30fps`, on average, those first that need it most",
            rf"budget:(?P<value>{_COUNT}(\.\d+)?)(?P<unit>ms|fps){_OLD}", lambda m: Budget(_number(m), _age(m), m[0]),
            Slider("budget:{:.0f}ms", "{0:.0f} ms a frame on average", 2, 100, 1, 30),
        ),
    )
}  # fmt: skip
AGED = "adaptive, keyframe and budget also take a largest age, such as keyframe:0.08,max_age=30"
SYNTAX = f"{', '.join(kind.form for kind in KINDS.values())}; {AGED}"


def _number(match: re.Match[str]) -> float:
    """What a slider moves; a time in ms."""
    value = float(match["value"])
    return 1e3 / value if match.groupdict().get("unit") == "fps" else value


def _age(match: re.Match[str]) -> int:
    return int(match["age"] or MAX_AGE)


def _clockwork(told: str, text: str) -> Clockwork:
    rates = tuple(map(int, told.split(",")))
    if len(rates) > 1 and rates[0] != 1:
        raise UsageError(f"--schedule {text}: the first rate is low's, by which scene cuts are seen on every frame; give 1 there")
    for rate, slower in pairwise(rates):
        if slower % rate:
            raise UsageError(
                f"--schedule {text}: {slower} is no multiple of {rate}, and a stage needs what the one before it makes of the same frame"
            )
    return Clockwork(rates, text)


@lru_cache(maxsize=64)
def find_kind(text: str) -> tuple[Kind, re.Match[str]] | None:
    """The kind that a text is of; None for what is no schedule."""
    return next(((kind, match) for kind in KINDS.values() if (match := re.fullmatch(kind.pattern, text))), None)


def parse_schedule(text: str) -> Schedule:
    """Raises UsageError that lists the schedules there are."""
    if found := find_kind(text):
        kind, match = found
        return kind.make(match)
    raise UsageError(f"{text or 'an empty text'}: no such schedule; there are {SYNTAX}")


def read_schedule(text: str) -> tuple[Slider, float, str] | None:
    """Slider, number and what follows it; None for one that has no slider, such as clockwork:1,2,4."""
    kind, match = find_kind(text) or (None, None)
    return (kind.slider, _number(match), match.groupdict().get("rest") or "") if kind and match and kind.slider else None


def lacks(schedule: Schedule, name: str, scored: bool, cached: int) -> str:
    """What a network lacks for this schedule that puts out a score or not and has so many cached stages; empty if nothing."""
    if schedule.needs_score and not scored:
        return f"{name} puts out no score to tell key frames by; use clockwork or budget"
    if schedule.needs_cached not in (None, cached):
        return (
            f"{name} has {'one cached stage: clockwork:1,N, that is clockwork:N' if cached == 1 else 'two cached stages: clockwork:1,M,N'}"
        )
    return ""


def share_budget(schedules: Iterable[Schedule]) -> None:
    """Budgets among them have one purse from now on."""
    budgets = [one for one in schedules if isinstance(one, Budget)]
    for one in budgets[1:]:
        one.purse = budgets[0].purse


def check_fits(schedule: Schedule, network: Network) -> None:
    """Raises UsageError when the network lacks what the schedule decides by."""
    if lacking := lacks(schedule, network.name, network.score is not None, len(network.cached)):
        raise UsageError(f"--schedule {schedule.name}: {lacking}")
