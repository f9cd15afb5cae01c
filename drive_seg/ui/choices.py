"""The schedules as a person chooses them: a kind, and for most of them one number on a slider."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from PyQt6.QtCore import QCoreApplication

translate = QCoreApplication.translate


@dataclass(frozen=True, slots=True)
class Kind:
    """`form` makes what drive_seg.network.schedule parses; the slider's ticks are `step` apart."""

    pattern: str
    form: str
    low: float = 0.0
    high: float = 0.0
    step: float = 1.0
    default: float = 0.0

    @property
    def ticks(self) -> int:
        return round((self.high - self.low) / self.step)

    def tick(self, value: float) -> int:
        """The nearest one on the slider."""
        return min(max(round((value - self.low) / self.step), 0), self.ticks)

    def value(self, tick: int) -> float:
        return self.low + tick * self.step

    def text(self, value: float, rest: str = "") -> str:
        return self.form.format(value) + rest


_REST = r"(?P<rest>,max_age=\d+)?"
KINDS: dict[str, Kind] = {
    "every": Kind(r"every-frame", "every-frame"),
    "clock": Kind(r"clockwork:(?P<value>\d+)", "clockwork:{:.0f}", 2, 30, 1, 4),
    "pipelined": Kind(r"clockwork:pipelined(=2)?", "clockwork:pipelined"),
    "adaptive": Kind(rf"clockwork:adaptive=(?P<value>\d*\.\d+){_REST}", "clockwork:adaptive={:.3g}", 0.005, 0.3, 0.005, 0.1),
    "selector": Kind(rf"keyframe:(?P<value>\d*\.\d+){_REST}", "keyframe:{:.3g}", 0.005, 0.3, 0.005, 0.08),
    "budget": Kind(rf"budget:(?P<value>\d+(\.\d+)?)(?P<unit>ms|fps){_REST}", "budget:{:.0f}ms", 2, 100, 1, 30),
}


def kind_name(kind: str) -> str:
    """For people."""
    names: dict[str, Callable[[], str]] = {
        "every": lambda: translate("ui", "every frame"),
        "clock": lambda: translate("ui", "fixed clock"),
        "pipelined": lambda: translate("ui", "pipelined"),
        "adaptive": lambda: translate("ui", "when labels change"),
        "selector": lambda: translate("ui", "learned selector"),
        "budget": lambda: translate("ui", "time budget"),
    }
    return names[kind]()


def kind_says(kind: str, value: float) -> str:
    """What the number means, for people; empty where there is none."""
    says: dict[str, Callable[[], str]] = {
        "clock": lambda: translate("ui", "refresh every {0:.0f} frames"),
        "adaptive": lambda: translate("ui", "refresh at {0:.1%} changed labels"),
        "selector": lambda: translate("ui", "refresh at a score of {0:.3f}"),
        "budget": lambda: translate("ui", "{0:.0f} ms a frame on average"),
    }
    return says[kind]().format(value) if kind in says else ""


def read_schedule(text: str) -> tuple[str, float, str] | None:
    """Kind, number and what follows it; None for one that has no slider, such as clockwork:1,2,4."""
    for name, kind in KINDS.items():
        if match := re.fullmatch(kind.pattern, text):
            found = match.groupdict()
            value = float(found.get("value") or kind.default)
            return name, 1e3 / value if found.get("unit") == "fps" else value, found.get("rest") or ""
    return None


def nudged(text: str, ticks: int) -> str | None:
    """The same schedule with its slider moved; None where there is no slider."""
    read = read_schedule(text)
    if read is None or not KINDS[read[0]].ticks:
        return None
    name, value, rest = read
    kind = KINDS[name]
    return kind.text(kind.value(min(max(kind.tick(value) + ticks, 0), kind.ticks)), rest)
