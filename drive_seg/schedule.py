"""The schedules: pure decisions whether the deep stage runs on this frame, and the rules that make a cache invalid."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from drive_seg.contracts import Array, Frame, Key
from drive_seg.errors import UsageError

MAX_GAP_S = 1.0  # a longer silence, or a step back in time, and the scene may be another one
CUT = 1.1  # of `change`: neighbours in 15 to 30 fps drives stayed under .91, cuts lay at 1.28 and above (docs/measured.md)


@dataclass(frozen=True, slots=True)
class Decision:
    run_high: bool
    reason: str


class Schedule(Protocol):
    @property
    def name(self) -> str:
        """As the user writes it."""

    def decide(self, age_frames: int) -> Decision:
        """`age_frames` (>= 1): frames from the one that the valid cache was computed from to this one."""


@dataclass(frozen=True, slots=True)
class EveryFrame:
    name: str = "every-frame"

    def decide(self, age_frames: int) -> Decision:
        return Decision(True, "every frame")


@dataclass(frozen=True, slots=True)
class Clockwork:
    """A key frame every `period` frames (Shelhamer et al. 2016, https://arxiv.org/abs/1608.03609, fixed rates)."""

    period: int

    @property
    def name(self) -> str:
        return f"clockwork:{self.period}"

    def decide(self, age_frames: int) -> Decision:
        due = age_frames >= self.period
        return Decision(due, f"age {age_frames} of {self.period}")


def _clockwork(argument: str) -> Schedule:
    if not argument.isdecimal() or int(argument) < 1:
        raise UsageError(f"clockwork:{argument}: give how many frames apart key frames are, such as clockwork:4")
    return Clockwork(int(argument))


def _every_frame(argument: str) -> Schedule:
    if argument:
        raise UsageError(f"every-frame:{argument}: every-frame takes no argument")
    return EveryFrame()


SCHEDULES: dict[str, Callable[[str], Schedule]] = {"every-frame": _every_frame, "clockwork": _clockwork}
SYNTAX = "every-frame, clockwork:N"


def parse_schedule(text: str) -> Schedule:
    """Raises UsageError that names the schedules there are."""
    name, _, argument = text.partition(":")
    if name not in SCHEDULES:
        raise UsageError(f"{text}: no such schedule; there are {SYNTAX}")
    return SCHEDULES[name](argument)


def why_invalid(key: Key, frame: Frame, last_time_s: float) -> str | None:
    """Why the cache may not be used for this frame, as far as can be told before looking at the picture; None when it may."""
    if key.size_hw != frame.image.shape[:2]:
        return "frame size changed"
    if key.take != frame.take:
        return "source jumped or reconnected"
    if not 0 <= frame.time_s - last_time_s <= MAX_GAP_S:
        return "gap in time"
    return None


def change(before: Array, now: Array) -> float:
    """How much a feature map (1, C, h, w) differs from the last frame's: mean |difference| over mean magnitude, on a coarse grid."""
    a, b = before[..., ::4, ::4].astype(np.float32), now[..., ::4, ::4].astype(np.float32)
    return float(np.abs(a - b).mean() / (0.5 * (np.abs(a).mean() + np.abs(b).mean()) + 1e-6))
