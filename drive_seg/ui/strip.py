"""The strip under the picture: latency, refreshes and their reasons, score and threshold, feature age and confidence of the last frames."""

from html import escape
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent
from PyQt6.QtWidgets import QLabel, QVBoxLayout, QWidget

from drive_seg.session.history import Moment
from drive_seg.session.road import PERSON
from drive_seg.ui.choices import said, translate
from drive_seg.ui.meter import Meter
from drive_seg.ui.plots import Plot, pen, top_of
from drive_seg.ui.theme import DARK, Theme

LENGTH = 600  # frames
CONFIDENCE = 4  # its place among the fields: there while the network tells it
SEE_THROUGH, SPARED = 130, 70  # of 255
GROUPS: dict[str, tuple[tuple[str, ...], str]] = {  # reasons and a colour that every eye tells apart (Okabe, Ito 2008)
    "change": (("change", "score"), "#E69F00"),
    "age": (("age",), "#56B4E9"),
    "clock": (("every", "clock", "budget", "replay"), "#009E73"),
    "cut": (("cut",), "#D55E00"),
    "manual": (("manual",), "#F0E442"),
    "jump": (("jump", "gap", "size"), "#CC79A7"),
    "first": (("first",), "#999999"),
}
GROUP_OF = {reason: group for group, (reasons, _) in GROUPS.items() for reason in reasons}
RGBA_OF = {reason: (*bytes.fromhex(colour[1:]), 255) for reasons, colour in GROUPS.values() for reason in reasons}
FORCED = ("cut", "manual", "jump", "first")  # groups that say nothing of the schedule
RGBA = tuple[int, int, int, int]
NONE: RGBA = (0, 0, 0, 0)
VALUES = ("latency", "score", "threshold", "age", "confidence", "spared")


def group_name(group: str) -> str:
    """For people."""
    return {
        "change": translate("ui", "change, score"),
        "age": translate("ui", "age"),
        "clock": translate("ui", "clock, budget"),
        "cut": translate("ui", "scene cut"),
        "manual": translate("ui", "by hand"),
        "jump": translate("ui", "jump, reconnect"),
        "first": translate("ui", "first"),
    }[group]


def in_words(moment: Moment) -> str:
    """What a person wants to know of one frame."""
    what = translate("ui", "frame {0} · {1:.1f} ms").format(moment.index, moment.total_ms)
    if moment.cold:
        what += translate("ui", ", waited for the deep stage")
    group = GROUP_OF.get(moment.reason)
    why = f"{group_name(group)}: {said(moment.text)}" if group else said(moment.text)
    if moment.ahead and moment.ahead.person:
        what += translate("ui", " · person in the corridor")
    kind = translate("ui", "key frame ({0})") if moment.is_key else translate("ui", "no key frame ({0})")
    age = translate("ui", "feature age {0}").format(moment.age_frames)
    sure = "" if moment.confidence is None else " · " + translate("ui", "{0:.0%} sure").format(moment.confidence)
    kept, spare = "", moment.spare
    if spare and not spare.run_high:
        kept = " · " + translate("ui", "hardly any labels had changed: {0:.3f} of {1:.3f}").format(spare.score, spare.threshold)
    return f"{what} · {kind.format(why)} · {age}{sure}{kept}"


def mark(moment: Moment) -> RGBA:
    """A refresh in the colour of its reason, faint where another schedule would have spared it; nothing elsewhere."""
    colour = RGBA_OF.get(moment.reason, NONE) if moment.is_key else NONE
    return (*colour[:3], SPARED) if moment.spare and not moment.spare.run_high else colour


def ahead_mark(moment: Moment) -> RGBA:
    """A person in the corridor, so that the latency can be seen through it."""
    return (*PERSON, SEE_THROUGH) if moment.ahead and moment.ahead.person else NONE


def values(moment: Moment) -> tuple[float | None, ...]:
    """Of VALUES."""
    decided, spared = moment.spare or moment, None if moment.spare is None else float(not moment.spare.run_high)
    return moment.total_ms, decided.score, decided.threshold, moment.age_frames, moment.confidence, spared


class Columns:
    """What is drawn of each of the last frames, the newest at the right: only what is new is looked at again."""

    def __init__(self) -> None:
        self.moments: tuple[Moment, ...] = ()
        self.values: NDArray[np.float64] = np.full((len(VALUES), LENGTH), np.nan)
        self.marks: NDArray[np.uint8] = np.zeros((LENGTH, 1, 4), np.uint8)
        self.people: NDArray[np.uint8] = np.zeros((LENGTH, 1, 4), np.uint8)

    def show(self, moments: tuple[Moment, ...]) -> None:
        """At most LENGTH, the oldest first."""
        last, count = self.moments[-1] if self.moments else None, 0
        while count < len(moments) and moments[-1 - count] is not last:
            count += 1
        if count == len(moments):
            self.__init__()  # type: ignore[misc]  # others than before
        self.moments = moments
        if not count:
            return
        new = moments[-count:]
        for array, axis, made in (
            (self.values, 1, np.array([values(moment) for moment in new], np.float64).T),
            (self.marks, 0, np.array([[mark(moment)] for moment in new], np.uint8)),
            (self.people, 0, np.array([[ahead_mark(moment)] for moment in new], np.uint8)),
        ):
            array[:] = np.concatenate((array, made), axis=axis).take(range(count, count + LENGTH), axis=axis)


class Strip(QWidget):
    """Hovering says a frame in words; a click wants to stand there, and dragging goes along."""

    seeked = pyqtSignal(int)  # a frame's index
    wanted = pyqtSignal(str)  # the preset of this name

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._columns = Columns()
        self.head = QLabel()
        self.head.setTextInteractionFlags(Qt.TextInteractionFlag.LinksAccessibleByMouse)
        self.head.linkActivated.connect(self.wanted)
        self.head.setObjectName("dim")
        self.head.setContentsMargins(8, 3, 8, 0)
        self.head.setWordWrap(True)
        self.plot = Plot((10, -9, 7, 6, 6), axis_px=70, meter=meter)
        self.latency, self.marks, self.scores, self.ages, self.confidences = self.plot.areas
        self.plot.show_area(CONFIDENCE, False)
        self.seekable = False
        self._scrubbed: int | None = None  # the frame under a drag, during which the strip stands: each jump would move it on
        self._mouse_x: float | None = None  # over the plot; what is under it changes as the strip goes on
        self._theme = DARK
        self._lines = {
            "latency": self.latency.line("#fff"),
            "score": self.scores.line("#fff"),
            "threshold": self.scores.line("#fff", dash=True),
            "age": self.ages.line("#fff"),
            "confidence": self.confidences.line("#fff"),
        }
        self._band: Any = self.marks.add(pg.ImageItem(axisOrder="col-major"))
        self._people: Any = self.latency.add(pg.ImageItem(axisOrder="col-major"))
        self._people.setZValue(-5)
        self._hair = [area.add(pg.InfiniteLine(angle=90, movable=False)) for area in self.plot.areas]
        self._x = np.arange(LENGTH, dtype=np.float64)
        self.plot.x_range(-0.5, LENGTH - 0.5)
        self.marks.scale(0, 1, [(0.5, self.tr("key"))])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.head)
        column.addWidget(self.plot, 1)
        self.setMinimumHeight(96)
        viewport = self.plot.view.viewport()
        viewport.setMouseTracking(True)
        viewport.installEventFilter(self)
        self._hover(None)

    @property
    def moments(self) -> tuple[Moment, ...]:
        return self._columns.moments

    def paint(self, theme: Theme) -> None:
        self._theme = theme
        self.plot.paint(theme, theme.panel)
        self.setStyleSheet(f"Strip {{ background: {theme.panel}; }} QLabel {{ background: {theme.panel}; }}")
        for name, colour in (("latency", theme.accent), ("score", theme.text), ("age", theme.good), ("confidence", theme.accent)):
            self._lines[name].setPen(pen(colour))
        self._lines["threshold"].setPen(pen(theme.second, dash=True))
        for hair in self._hair:
            hair.setPen(pen(theme.dim))
        self._hover(None)

    def show_moments(self, moments: tuple[Moment, ...]) -> None:
        """At most LENGTH, the oldest first."""
        if self._scrubbed is not None:
            return
        self._columns.show(moments[-LENGTH:])
        begin = LENGTH - len(self.moments)
        x, drawn = self._x[begin:], dict(zip(VALUES, self._columns.values[:, begin:], strict=True))
        for name in ("latency", "score", "threshold", "age"):
            self._lines[name].setData(x, drawn[name])
        self._show_confidence(x, drawn["confidence"])
        self._band.setImage(self._columns.marks, autoLevels=False, levels=(0, 255), rect=(-0.5, 0, LENGTH, 1))
        self.latency.scale_to(top := top_of(drawn["latency"], 1.0), self.tr("{0:g} ms"))
        people = bool(self._columns.people.any())
        self._people.setVisible(people)
        if people:
            self._people.setImage(self._columns.people, autoLevels=False, levels=(0, 255), rect=(-0.5, 0, LENGTH, top))
        said = self.tr("score {0:g}") if np.isfinite(drawn["score"]).any() else self.tr("no score")
        self.scores.scale_to(top_of(np.concatenate([drawn["score"], drawn["threshold"]]), 0.01), said)
        self.ages.scale_to(top_of(drawn["age"], 4.0), self.tr("age {0:g}"))
        self._hover(None if self._mouse_x is None else self.at(self._mouse_x))

    def _show_confidence(self, x: NDArray[np.float64], told: NDArray[np.float64]) -> None:
        known = bool(np.isfinite(told).any())
        self.plot.show_area(CONFIDENCE, known)
        if known:
            self._lines["confidence"].setData(x, told)
            low = np.floor(10 * float(np.nanmin(told))) / 10  # or a drive's ups and downs are a flat line below 1
            self.confidences.scale(low, 1.0, [((1 + low) / 2, self.tr("sure {0:.0%}").format((1 + low) / 2))])

    def at(self, x_px: float) -> Moment | None:
        """The frame under a place of the plot, counted from the plot's left edge in pixels."""
        box = self.latency.box
        number = round(float(box.mapSceneToView(self.plot.view.mapToScene(round(x_px), 1)).x()))
        at = number - (LENGTH - len(self.moments))
        return self.moments[at] if 0 <= at < len(self.moments) else None

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event and event.type() == QEvent.Type.Leave:
            self._mouse_x = None
            self._hover(None)
        if isinstance(event, QMouseEvent):
            moment = self.at(event.position().x())
            if event.type() == QEvent.Type.MouseMove:
                self._mouse_x = event.position().x()
                self._hover(moment)
                if moment and self._scrubbed not in (None, moment.index):
                    self._scrub(moment)
            elif event.type() == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
                if moment and self.seekable:
                    self._scrub(moment)
                return True
            elif event.type() == QEvent.Type.MouseButtonRelease:
                self._scrubbed = None
        return super().eventFilter(watched, event)

    def _scrub(self, moment: Moment) -> None:
        self._scrubbed = moment.index
        self.seeked.emit(moment.index)

    def _hover(self, moment: Moment | None) -> None:
        """The words of one frame in the place of the legend."""
        for hair in self._hair:
            hair.setVisible(moment is not None)
            if moment:
                hair.setValue(self.moments.index(moment) + LENGTH - len(self.moments))
        if moment:
            click = self.tr("  —  click to stop there") if self.seekable else ""
            self._say(in_words(moment) + click, Qt.TextFormat.PlainText)
        else:
            self._say(self._spared() or self._legend(), Qt.TextFormat.RichText)

    def _say(self, text: str, form: Qt.TextFormat) -> None:
        if self.head.text() != text:  # told again a few times a second
            self.head.setTextFormat(form)
            self.head.setText(text)

    def _spared(self) -> str:
        """What would not have been computed, while every frame is; empty where features are kept."""
        told = self._columns.values[VALUES.index("spared")]
        told = told[np.isfinite(told)]
        chosen = next((moment.reason for moment in reversed(self.moments) if GROUP_OF.get(moment.reason) not in FORCED), "")
        if chosen != "every" or not len(told):
            return ""
        share = float(told.mean())
        line = self.tr("every frame is computed anew. Faint, {0:.0%}: hardly any labels had changed")
        link = f"<a style='color:{self._theme.accent}' href='balanced'>{translate('ui', 'balanced')}</a>"
        return escape(line.format(share)) + " · " + escape(self.tr("the preset {0} computes less, and is less accurate")).format(link)

    def _legend(self) -> str:
        dots = "&nbsp;&nbsp; ".join(
            f"<span style='color:{colour}'>■</span>&nbsp;{group_name(group).replace(' ', '&nbsp;')}"
            for group, (_, colour) in GROUPS.items()
        )
        if any(moment.ahead for moment in self.moments):
            person = self.tr("person in the corridor").replace(" ", "&nbsp;")
            dots += f"&nbsp;&nbsp; <span style='color:{QColor(*PERSON).name()}'>■</span>&nbsp;{person}"
        return self.tr("refreshed for:") + "&nbsp; " + dots
