"""What one configuration costs on this machine: every figure about the frames that tally.py counts, and every doubt about them."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from drive_seg.bench.machine import Gauges, Usage
from drive_seg.bench.tally import Tally, Timing, spread
from drive_seg.contracts import KINDS, TIMED, Frame, Result, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.session.audit import Agreement
from drive_seg.session.figures import percentiles
from drive_seg.session.observer import Observer
from drive_seg.session.session import Session
from drive_seg.settings import Settings

SAMPLE_S = 1.0  # between two looks at the clocks
DRIFT, DRIFT_FRAMES = 0.10, 30  # between the thirds of a run, for a kind of which each third has so many
OTHERS, THROTTLED, WAITED = 0.10, 0.90, 0.20  # from where the notes begin: shares of CPU time, of the first third's clock, of the time


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was counted, and what the machine said meanwhile."""

    ran: Mapping[str, str]  # Pipeline.runs
    source: SourceInfo
    settings: Settings  # with `realtime` for a live source too
    timings: tuple[Timing, ...]
    seconds: float  # of counting
    warmup: int
    warm: bool  # by the rule, or told how long
    cut: bool  # the frames ended within the warm-up, which is what was counted
    round_frames: int | None  # of a looped source that is counted in whole rounds
    rounds: int  # whole ones that were counted
    whole: bool  # and nothing beside them
    dropped: int
    usage: Usage
    agreement: tuple[Agreement, ...] | None = None  # of an audited run

    def summary(self) -> dict[str, Any]:
        """The content of --json: Latencies.summary's keys with more figures, and the frames one by one for whoever compares."""
        frames, by_stage, by_kind = len(self.timings), _by_stage(self.timings), _by_kind(self.timings)
        return {
            **self.ran,
            "frames": frames,
            "warmup": self.warmup,
            "fps": frames / self.seconds if frames and self.seconds > 0 else None,
            "key_frame_rate": sum(one.is_key for one in self.timings) / frames if frames else None,
            "dropped": self.dropped,
            "latency_ms": {stage: percentiles(by_stage.get(stage, ())) for stage in ("total", *TIMED)},
            "total_ms": {kind: {"frames": len(by_kind[kind]), **percentiles(by_kind[kind])} for kind in KINDS},
            "capture_to_labels_ms": percentiles([one.labels_ms for one in self.timings]),
            "capture_to_overlay_ms": percentiles([one.overlay_ms for one in self.timings if one.overlay_ms is not None]),
            "wait_ms": percentiles([one.wait_ms for one in self.timings]),
            "deadline": deadline(self.timings, self.settings, self.dropped),
            "tracks": tracks(self.timings, self.seconds),
            "cpu": {"cores": self.usage.cores, "share": self.usage.cpu_share, "others": self.usage.others_share},
            "memory_mib": self.usage.peak_mib,
            "energy": _energy(self.usage, frames),
            "clock": {"mhz": list(self.usage.mhz), "throttles": self.usage.throttles, "slowdowns": list(self.usage.slowdowns)},
            "seconds": self.seconds,
            "source": self._source(),
            "notes": notes(self),
            **({} if self.agreement is None else {"agreement": [asdict(one) for one in self.agreement]}),
            "per_frame": {
                "at_s": [round(one.at_s, 4) for one in self.timings],
                "total_ms": [round(one.ms["total"], 4) for one in self.timings],
                "labels_ms": [round(one.labels_ms, 4) for one in self.timings],
                "kind": [one.kind for one in self.timings],
            },
        }

    def _source(self) -> dict[str, Any]:
        height, width = self.source.size_hw
        return {
            "name": self.source.name, "width": width, "height": height, "paced": self.settings.realtime, "round_frames": self.round_frames,
            "rounds": self.rounds, "whole": self.whole,
        }  # fmt: skip


def _by_stage(timings: Iterable[Timing]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = defaultdict(list)
    for one in timings:
        for stage, ms in one.ms.items():
            values[stage].append(ms)
    return values


def _by_kind(timings: Iterable[Timing]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for one in timings:
        values[one.kind].append(one.ms["total"])
    return values


def deadline(timings: Sequence[Timing], settings: Settings, dropped: int) -> dict[str, Any] | None:
    """Frames that came too late: by frame to labels; where frames come at their own time by capture to labels, and lost ones are missed."""
    if settings.deadline is None:
        return None
    late = sum((one.labels_ms if settings.realtime else one.ms["total"]) > settings.deadline for one in timings)
    missed, due = (late + dropped, len(timings) + dropped) if settings.realtime else (late, len(timings))
    by = "capture to labels" if settings.realtime else "frame to labels"
    return {"ms": settings.deadline, "by": by, "missed": missed, "due": due, "share": missed / due if due else None}


def tracks(timings: Iterable[Timing], seconds: float) -> dict[str, float]:
    """The share of the time in which each track was at work, 0..1. Tracks overlap, so that the shares may sum to more than 1."""
    ms: dict[str, float] = defaultdict(float)
    for one in timings:
        for track, value in one.tracks_ms.items():
            ms[track] += value
    return {track: value / 1e3 / seconds for track, value in ms.items()} if seconds > 0 else {}


def _energy(usage: Usage, frames: int) -> dict[str, Any]:
    per_frame = {name: joules / frames for name, joules in usage.joules.items()} if frames else {}
    return {"joules": dict(usage.joules), "per_frame": per_frame, "not_measured": dict(usage.not_measured)}


def notes(measured: Measurement) -> list[str]:
    """What a reader of the figures has to know, in sentences; none for a quiet run."""
    return [
        text
        for text in (
            _not_warm(measured),
            _drifted(measured.timings),
            _disturbed(measured.usage),
            _throttled(measured.usage),
            _decoding(measured),
            _cut(measured),
        )
        if text
    ]


def _not_warm(measured: Measurement) -> str:
    if measured.cut:
        return "unstable: the frames ended within the warm-up, which is counted here"
    return "" if measured.warm else f"unstable: the warm-up ended at its bound, after {measured.warmup} frames"


def _drifted(timings: Sequence[Timing]) -> str:
    """Thirds of the run against each other, each kind of frame apart."""
    third = len(timings) // 3
    for kind in ("other", "key"):
        parts = [[one.ms["total"] for one in timings[at * third : (at + 1) * third] if one.kind == kind] for at in range(3)]
        if min(map(len, parts)) >= DRIFT_FRAMES and spread(medians := [median(part) for part in parts]) > DRIFT:
            said = ", ".join(f"{value:.2f}" for value in medians)
            return f"unstable: the median of {kind} frames was {said} ms in the thirds of the run"
    return ""


def _disturbed(usage: Usage) -> str:
    return f"unstable: other processes took {usage.others_share:.0%} of the CPUs" if usage.others_share > OTHERS else ""


def _throttled(usage: Usage) -> str:
    if usage.throttles:
        return f"throttled: the CPU was slowed for its heat {usage.throttles} times"
    if usage.slowdowns:
        return f"throttled: the GPU's clock was held back ({', '.join(usage.slowdowns)})"
    third = len(usage.mhz) // 3
    if third:
        first, last = median(usage.mhz[:third]), median(usage.mhz[-third:])
        if last < THROTTLED * first:
            return f"throttled: the CPU's clock fell from {first:.0f} to {last:.0f} MHz"
    return ""


def _decoding(measured: Measurement) -> str:
    if not measured.timings:
        return ""
    decode, total = (median(one.ms.get(name, 0.0) for one in measured.timings) for name in ("decode", "total"))
    waited = sum(one.wait_ms for one in measured.timings) / 1e3 / measured.seconds if measured.seconds > 0 else 0.0
    if measured.settings.realtime:  # waiting is what it should do
        if decode <= 1e3 / measured.source.fps:
            return ""
        return f"bound by decoding: a frame takes {decode:.1f} ms to decode and comes every {1e3 / measured.source.fps:.1f} ms"
    if waited <= WAITED:
        return ""
    return f"bound by decoding: {waited:.0%} of the time was waited for frames (decoding {decode:.1f} ms, frame to labels {total:.1f})"


def _cut(measured: Measurement) -> str:
    if measured.round_frames is None or measured.whole or not measured.timings:
        return ""
    return f"not whole rounds of the source: {len(measured.timings)} frames of rounds of {measured.round_frames}"


class Benchmark(Observer):
    """Counts a session's frames as Tally says, and reads the machine's gauges meanwhile."""

    def __init__(self, tally: Tally, gauges: Gauges, clock: Callable[[], float]) -> None:
        self.tally, self._gauges, self._clock = tally, gauges, clock
        self.usage: Usage | None = None  # since counting began, once that is over
        self._began = self._before = gauges.read()
        self._asked_s = self._came_s = self._sampled_s = clock()

    def wants(self, frame: Frame) -> bool:
        self._came_s = self._clock()
        if not (wanted := self.tally.wants(frame, self._came_s)):
            self.close()
        return wanted

    def on_result(self, result: Result, comparison: Result | None) -> None:
        was_ready = self.tally.ready
        self.tally.add(result, (self._came_s - self._asked_s) * 1e3, self._clock())
        if self.tally.ready and not was_ready:
            self._gauges.forget_samples()
            self._before = self._gauges.read()
        if self._clock() - self._sampled_s >= SAMPLE_S:
            self._gauges.sample()
            self._sampled_s = self._clock()
        self._asked_s = self._clock()

    def close(self) -> None:
        """Reads the gauges, before a recording is finished."""
        self.usage = self.usage or self._gauges.usage(self._before if self.tally.counting else self._began, self._gauges.read())


def measure(session: Session, settings: Settings, gauges: Gauges, clock: Callable[[], float] = time.perf_counter) -> Measurement:
    """Runs a session until enough was counted or the frames ended.

    A source with an end is looped, and whole rounds of it are counted (unless longer than tally.ROUND_FRAMES), so that each of its frames
    weighs the same. How long anything takes ends a run or makes a note, and is never an error. Raises what broke the source, the network
    or a recording, and SourceError when no frame came at all.
    """
    assert session.capture is not None
    source = session.capture.source
    settings = settings.model_copy(update={"realtime": settings.realtime or source.info.live})
    loops = session.capture.looping and not source.info.live
    benchmark = Benchmark(Tally(settings, source.info.frame_count if loops else None, clock()), gauges, clock)
    session.observers = {"benchmark": benchmark, **session.observers}  # the first to be asked, and to be closed
    session.run()
    tally = benchmark.tally
    if not tally.timings or session.pipeline is None or benchmark.usage is None:
        raise SourceError(f"{source.info.name}: no frame came; give a longer source")
    return Measurement(
        ran=session.pipeline.runs,
        source=source.info,
        settings=settings,
        timings=tuple(tally.timings),
        seconds=tally.seconds,
        warmup=tally.warmup,
        warm=tally.warm,
        cut=not tally.counting,
        round_frames=tally.round_frames,
        rounds=tally.rounds,
        whole=tally.whole,
        dropped=tally.dropped,
        usage=benchmark.usage,
        agreement=session.auditor.agreement() if session.auditor else None,
    )
