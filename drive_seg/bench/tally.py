"""Which frames of a benchmark are counted, by a stated rule, and what is kept of each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from drive_seg.contracts import KINDS, Frame, Result
from drive_seg.session.figures import work_s
from drive_seg.settings import Settings

# The warm-up is over when in the last WINDOWS windows the medians of frame to labels lie within WARM_TOLERANCE of each other, for each kind
# of frame apart that every window has FEWEST of; at the latest after WARMUP_FRAMES or WARMUP_S.
WINDOW, WINDOWS, WARM_TOLERANCE, FEWEST = 24, 3, 0.05, 5
WARMUP_FRAMES, WARMUP_S = 600, 15.0
LONGEST_S = 60.0  # of counting, where the minimum of frames is not reached sooner and no number of frames was asked for
ROUND_FRAMES = 1800  # of a looped source; longer ones are not counted in whole rounds


@dataclass(frozen=True, slots=True)
class Timing:
    """One counted frame."""

    at_s: float  # when everything of it was done, from the beginning of counting
    kind: str  # of contracts.KINDS
    is_key: bool
    wait_ms: float  # of the pipeline, for this frame to come; 0 where a looped source was opened anew
    labels_ms: float  # from the beginning of its decoding to its labels, waiting included
    overlay_ms: float | None  # and to its overlay
    ms: Mapping[str, float]  # Result.latency_ms
    tracks_ms: Mapping[str, float]  # what was done for it, by Span.track; tracks overlap each other


def timing(result: Result, wait_ms: float, at_s: float) -> Timing:
    """From the spans' own clocks."""
    captured_s = result.frame.captured_s
    ends_s = {span.name: span.start_s + span.ms / 1e3 for span in result.spans if span.track == "pipeline"}
    labels_s = max((end_s for name, end_s in ends_s.items() if name in ("head", "refine")), default=captured_s)
    tracks: dict[str, float] = defaultdict(float)
    for span in result.spans:
        tracks[span.track] += span.ms
    return Timing(
        at_s=at_s,
        kind=result.kind,
        is_key=result.is_key,
        wait_ms=wait_ms,
        labels_ms=(labels_s - captured_s) * 1e3,
        overlay_ms=(ends_s["overlay"] - captured_s) * 1e3 if "overlay" in ends_s else None,
        ms=result.latency_ms,
        tracks_ms=dict(tracks),
    )


class _Round:
    """Whether the frames so far are a whole number of rounds of a looped source, wherever in it they began."""

    def __init__(self) -> None:
        self._segment, self._position = -1, 0
        self._from: int | None = None  # where counting began
        self._in_later_segment = self.restarted = False

    def see(self, frame: Frame) -> None:
        self.restarted = frame.segment != self._segment
        if self.restarted:
            self._segment, self._in_later_segment = frame.segment, self._from is not None
        self._position = frame.index

    def begin(self) -> None:
        """With the frame that was seen last."""
        self._from = self._position

    def whole_before(self) -> bool:
        """The frame that was seen last is the first of another round; frames may have been lost."""
        assert self._from is not None
        whole = self._in_later_segment and self._position >= self._from
        if whole:
            self._in_later_segment = False
        return whole


class Tally:
    """Which frames are counted. Pure: whoever owns the clock says what time it is, in seconds.

    Whatever the frames take, some are counted: a warm-up that does not settle has an end, and where the frames end within it, it is what
    is counted.
    """

    def __init__(self, settings: Settings, round_frames: int | None, now_s: float) -> None:
        """`realtime` of the settings: frames come at their own time, as a camera's do. `round_frames`: of a looped source; None for one
        without an end."""
        self._settings, self._start_s, self._seen = settings, now_s, 0
        self.round_frames = round_frames if round_frames and round_frames <= ROUND_FRAMES else None
        self._round = _Round()
        self._dropped_before = 0
        self._warmed_s = now_s
        self.ready = settings.warmup == 0  # to count the next frame that comes
        self.counting = False  # until then it is the warm-up
        self.warm = settings.warmup is not None  # or found to be
        self.warmup, self.rounds, self.whole = 0, 0, False
        self.began_s = now_s
        self.timings: list[Timing] = []  # of the warm-up while that lasts
        self._rewound_s = 0.0
        self.dropped = 0

    @property
    def seconds(self) -> float:
        """Of the timings, without what it took to open a looped source anew."""
        return self.timings[-1].at_s - self._rewound_s if self.timings else 0.0

    def wants(self, frame: Frame, now_s: float) -> bool:
        """Whether this frame is still needed; asked once for each, before its work."""
        settings, count = self._settings, len(self.timings)
        self._round.see(frame)
        if not self.counting:
            if self.ready:
                self._begin()
            return True
        whole = self.round_frames is not None and self._round.whole_before()
        self.rounds += whole
        elapsed_s = now_s - self.began_s
        if settings.max_frames is not None:
            self.whole = whole and count >= settings.max_frames
            return count < settings.max_frames
        enough = count >= settings.min_frames and elapsed_s >= settings.min_time
        if enough and (whole or self.round_frames is None):
            self.whole = whole
            return False
        return elapsed_s < max(LONGEST_S, settings.min_time)

    def add(self, result: Result, wait_ms: float, now_s: float) -> None:
        self._seen += 1
        if self._seen == 1:  # the clock starts with the first frame's own work
            self.began_s = now_s - work_s(result)
        if self._round.restarted and self.timings and not self._settings.realtime:
            self._rewound_s += wait_ms / 1e3
            wait_ms = 0.0
        self.timings.append(timing(result, wait_ms, now_s - self.began_s))
        self.dropped = result.dropped - self._dropped_before
        if not self.ready and self._warmed_up(now_s):
            self.ready, self._warmed_s = True, now_s

    def _begin(self) -> None:
        """With the frame that was seen last; only now is the warm-up thrown away."""
        self._round.begin()
        self.counting, self.warmup, self.began_s = True, self._seen, self._warmed_s
        self._dropped_before += self.dropped
        self.timings, self._rewound_s, self.dropped = [], 0.0, 0

    def _warmed_up(self, now_s: float) -> bool:
        if self._settings.warmup is not None:
            return self._seen >= self._settings.warmup
        if self._seen % (WINDOW // 2) == 0 and is_stable([(one.kind, one.ms["total"]) for one in self.timings[-WINDOW * WINDOWS :]]):
            self.warm = True
            return True
        return self._seen >= WARMUP_FRAMES or now_s - self._start_s >= WARMUP_S


def is_stable(totals: Sequence[tuple[str, float]]) -> bool:
    """The rule above, of the kinds of the frames so far and their ms."""
    if len(totals) < WINDOW * WINDOWS:
        return False
    last = totals[-WINDOW * WINDOWS :]
    windows = [last[at : at + WINDOW] for at in range(0, len(last), WINDOW)]
    compared = False
    for kind in KINDS:
        values = [[ms for one, ms in window if one == kind] for window in windows]
        if min(map(len, values)) >= FEWEST:
            compared = True
            if spread([median(one) for one in values]) > WARM_TOLERANCE:
                return False
    return compared


def spread(values: Sequence[float]) -> float:
    """The largest less the smallest, of their median."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0
