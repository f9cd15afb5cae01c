"""What can be chosen, as the window says it; and a schedule's number, moved."""

from collections.abc import Mapping
from typing import Protocol

from PyQt6.QtCore import QCoreApplication

from drive_seg.contracts import Phrase
from drive_seg.network.schedule import read_schedule

translate = QCoreApplication.translate


class Choosable(Protocol):
    @property
    def help(self) -> str: ...


def explained(tip: str, choices: Mapping[str, Choosable]) -> str:
    """A box's tip, with a line for each thing that can stand in it."""
    return "\n".join((tip, *(f"{name}: {translate('ui', choice.help)}" for name, choice in choices.items())))


def said(text: str) -> str:
    """In the window's language; what is no Phrase, as what another run has recorded, stays as it is."""
    if not isinstance(text, Phrase):
        return text
    return translate("ui", text.form).format(*(said(value) if isinstance(value, str) else value for value in text.values))


def nudged(text: str, ticks: int) -> str | None:
    """The same schedule with its slider moved; None where there is no slider."""
    if (read := read_schedule(text)) is None:
        return None
    slider, value, rest = read
    return slider.form.format(slider.value(min(max(slider.tick(value) + ticks, 0), slider.ticks))) + rest
