"""What somebody chooses who does not want to know the schedules: each stands for a schedule, a mode and a propagation."""

from collections.abc import Mapping
from dataclasses import dataclass

from PyQt6.QtCore import QT_TRANSLATE_NOOP

from drive_seg.network.card import Card
from drive_seg.network.propagate import FOR_ALL, HOLD
from drive_seg.network.schedule import KINDS, lacks, parse_schedule

Settings = Mapping[str, str]
CUSTOM = "custom"
STEADIEST = ("netwarp", "flow", HOLD)  # what keeps most of the accuracy between key frames, by docs/sweeps; the first that a bundle has


@dataclass(frozen=True, slots=True)
class Preset:
    """What of several is the first that the bundle can be run by."""

    title: str
    schedules: tuple[str, ...]
    mode: str
    propagations: tuple[str, ...]


PRESETS: dict[str, Preset] = {
    "accurate": Preset(QT_TRANSLATE_NOOP("ui", "best accuracy"), (KINDS["every-frame"].start,), "sync", (HOLD,)),
    "balanced": Preset(QT_TRANSLATE_NOOP("ui", "balanced"), (KINDS["keyframe"].start, "clockwork:2"), "sync", STEADIEST),
    "least": Preset(QT_TRANSLATE_NOOP("ui", "least work"), ("clockwork:8",), "async", (HOLD,)),
    "budget": Preset(QT_TRANSLATE_NOOP("ui", "fixed budget"), (KINDS["budget"].start,), "sync", STEADIEST),
}


def choices(model: str, card: Card | None) -> dict[str, Settings]:
    """By the preset's name, the settings that it is for this bundle; `card`: None for a network without one."""
    scored, cached = bool(card and card.score), len(card.cached) if card else 1
    propagations = card.propagations if card else FOR_ALL
    return {
        name: {
            "schedule": next(text for text in preset.schedules if not lacks(parse_schedule(text), model, scored, cached)),
            "mode": preset.mode,
            "propagation": next(one for one in preset.propagations if one in propagations),
        }
        for name, preset in PRESETS.items()
    }


def preset_of(settings: Settings, of: Mapping[str, Settings]) -> str:
    """Which of `choices` these are; CUSTOM where they are none of them."""
    return next((name for name, chosen in of.items() if all(settings[key] == value for key, value in chosen.items())), CUSTOM)
