"""The controls at the right: the run's numbers, what computes and when, how it is drawn, and the classes."""

from collections.abc import Mapping

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from drive_seg.backends import BACKENDS
from drive_seg.contracts import Result
from drive_seg.network.postprocess import KINDS as BORDERS
from drive_seg.network.propagate import KINDS as PROPAGATIONS
from drive_seg.session.compose import View
from drive_seg.session.figures import Numbers
from drive_seg.ui import presets
from drive_seg.ui.choices import explained, said, translate
from drive_seg.ui.cockpit import Cockpit
from drive_seg.ui.legend import Legend
from drive_seg.ui.schedulebox import ScheduleBox
from drive_seg.ui.widgets import NONE, Choice, Facts, Section, Slider, action_button, column, label, named, row, scrolled

WIDTH_PX = 306
CELLS = "none"  # where nothing refines the labels
BEST = "best"  # the backend's name where none is asked for


class Panel(QWidget):
    """Shows what is in force and tells the cockpit what a person wants; it decides nothing."""

    def __init__(self, cockpit: Cockpit, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        self.setObjectName("column")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(290)  # its widest row, in the longest language
        self._cockpit = cockpit
        self.preset = Choice("")
        self.model = Choice(self.tr("The bundle: a trained network with everything it needs"))
        self.backend = Choice(explained(self.tr("What executes the network"), BACKENDS))
        self.propagation = Choice(explained(self.tr("How features of the last key frame are propagated to this one"), PROPAGATIONS))
        self.refine = Choice(explained(self.tr("Where the borders between labels are drawn"), BORDERS))
        self.schedule = ScheduleBox()
        self.mode = Choice(self.tr("Whether a key frame waits for its own deep stage"))
        self.view = Choice(self.tr("What the picture area shows"))
        self.opacity = Slider(20, self.tr("How much of the picture the labels cover"))
        self.legend = Legend()
        self.big = {name: label(NONE, "big") for name in ("fps", "p50", "p95")}
        self.facts = Facts(wrap=False)
        self.sections = {
            "network": Section(self.tr("Network"), self._network(actions)),
            "schedule": Section(self.tr("Key frames"), self._schedule()),
            "look": Section(self.tr("Overlay"), self._look(actions)),
            "classes": Section(self.tr("Classes · share of the picture"), self._classes(actions)),
        }
        inside = column(
            self._numbers(), self.facts, named(self.tr("Preset"), self.preset), *self.sections.values(), margins=(14, 8, 14, 10), spacing=7
        )
        inside.layout().addStretch(1)  # type: ignore[union-attr]
        outside = QVBoxLayout(self)
        outside.setContentsMargins(0, 0, 0, 0)
        outside.addWidget(scrolled(inside))
        self._wire()

    def _numbers(self) -> QWidget:
        made = QWidget()
        grid = QGridLayout(made)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(0)
        units = {"fps": self.tr("frames / s"), "p50": self.tr("ms p50"), "p95": self.tr("ms p95")}
        for at, (name, unit) in enumerate(units.items()):
            grid.addWidget(self.big[name], 0, at)
            grid.addWidget(label(unit, "unit"), 1, at)
        made.setToolTip(self.tr("The last second: frames shown, and how long half and 95 % of them took from frame to labels"))
        return made

    def _network(self, actions: Mapping[str, QAction]) -> QWidget:
        return column(
            named(self.tr("Bundle"), self.model),
            named(self.tr("Backend"), self.backend),
            named(self.tr("Propagation"), self.propagation),
            named(self.tr("Borders"), self.refine),
            action_button(actions["confidence"]),
        )

    def _schedule(self) -> QWidget:
        return column(self.schedule, named(self.tr("Mode"), self.mode))

    def _look(self, actions: Mapping[str, QAction]) -> QWidget:
        self.opacity_says = label("", "unit")
        self.opacity_says.setFixedWidth(38)
        self.boxes = {name: action_button(actions[name]) for name in ("contours", "clear")}
        slider = row(self.opacity, self.opacity_says, stretch=0)
        return column(named(self.tr("Show"), self.view), named(self.tr("Opacity"), slider), row(*self.boxes.values(), QWidget(), stretch=2))

    def _classes(self, actions: Mapping[str, QAction]) -> QWidget:
        hint = label(self.tr("click: hide   ·   shift + click: alone"), "unit")
        self.all_button = action_button(actions["all"])
        return column(self.legend, hint, self.all_button)

    def _wire(self) -> None:
        cockpit = self._cockpit
        self.preset.chosen.connect(self.choose)
        self.model.chosen.connect(cockpit.set_model)
        self.model.opening.connect(self._look_for_models)
        self.backend.chosen.connect(lambda name: cockpit.change(backend=None if name == BEST else name))
        self.propagation.chosen.connect(lambda name: cockpit.change(propagation=name))
        self.refine.chosen.connect(lambda name: cockpit.change(refine=None if name == CELLS else name))
        self.schedule.chosen.connect(lambda text: cockpit.change(schedule=text))
        self.mode.chosen.connect(lambda name: cockpit.change(mode=name))
        self.view.chosen.connect(lambda name: cockpit.set_view(View(name)))
        self.opacity.slid.connect(lambda tick: cockpit.set_opacity(tick / 20))
        self.legend.toggled.connect(cockpit.toggle_class)
        self.legend.soloed.connect(cockpit.solo)
        for name, section in self.sections.items():
            section.fold(cockpit.memory.flag(f"fold/{name}", False))
            section.folded.connect(lambda away, name=name: cockpit.memory.keep(**{f"fold__{name}": away}))

    def show_state(self) -> None:
        """The controls as things are in force, or asked for."""
        cockpit, wanted, look = self._cockpit, self._cockpit.wanted, self._cockpit.look
        self._show_preset()
        self.model.offer([(name, name) for name in cockpit.models()], wanted("model"))
        best = (
            self.tr("best here ({0})").format(cockpit.status.runs.get("backend", NONE))
            if wanted("backend") is None
            else self.tr("best here")
        )
        self.backend.offer([(BEST, best), *((name, name) for name in BACKENDS)], wanted("backend") or BEST, cockpit.barred)
        self.propagation.offer([(name, name) for name in cockpit.propagations()], wanted("propagation"))
        self.refine.offer([(name, name) for name in (CELLS, *BORDERS)], wanted("refine") or CELLS)
        self.schedule.show_schedule(wanted("schedule"), wanted("model"), cockpit.card())
        self.mode.offer([("sync", self.tr("key frames wait (sync)")), ("async", self.tr("never wait (async)"))], wanted("mode"))
        views = {View.OVERLAY: self.tr("overlay"), View.MASK: self.tr("mask alone"), View.PICTURE: self.tr("picture alone")}
        views |= {View.ERRORS: self.tr("errors"), View.DOUBT: self.tr("doubt")}
        self.view.offer([(view.value, views[view]) for view in cockpit.views], cockpit.view.value)
        self.opacity.put(round(look.opacity * 20))
        self.opacity.setEnabled(not look.contours)
        self.opacity_says.setText(f"{look.opacity:.0%}")
        self.all_button.setVisible(bool(look.hidden))
        self.legend.show_classes(cockpit.status.classes, look.palette, look.hidden)

    def _look_for_models(self) -> None:
        self._cockpit.look_for_models()
        self.show_state()

    def _show_preset(self) -> None:
        """With what each sets for this bundle; `custom` only while none of them is in force."""
        of = presets.choices(self._cockpit.wanted("model"), self._cockpit.card())
        current = presets.preset_of({name: self._cockpit.wanted(name) for name in ("schedule", "mode", "propagation")}, of)
        titles = {name: translate("ui", preset.title) for name, preset in presets.PRESETS.items()}
        custom = [(presets.CUSTOM, self.tr("custom"))] if current == presets.CUSTOM else []
        self.preset.offer([*titles.items(), *custom], current)
        told = (f"{titles[name]}: " + " · ".join(f"--{key} {value}" for key, value in chosen.items()) for name, chosen in of.items())
        tip = "\n".join((self.tr("Sets schedule, mode and propagation together, as this bundle can:"), *told))
        if self.preset.toolTip() != tip:
            self.preset.setToolTip(tip)

    def choose(self, name: str) -> None:
        """`custom` is what is there already."""
        if chosen := presets.choices(self._cockpit.wanted("model"), self._cockpit.card()).get(name):
            self._cockpit.change(**chosen)

    def show_numbers(self, numbers: Numbers, miou: float | None) -> None:
        """The last second; a dash where nothing arrived in it. `miou`: None where the source knows no truth."""
        known = numbers.count > 0
        self.big["fps"].setText(f"{numbers.fps:.0f}" if known else NONE)
        self.big["p50"].setText(short(numbers.p50_ms) if known else NONE)
        self.big["p95"].setText(short(numbers.p95_ms) if known else NONE)
        cold = self.tr(" · {0} cold").format(numbers.cold) if numbers.cold else ""
        age = self.tr("{0:.1f} mean · {1} max").format(numbers.age_mean, numbers.age_max)
        result, frame = self._cockpit.shown.result if self._cockpit.shown else None, None
        if result:
            kind = self.tr("key") if result.is_key else self.tr("age {0}").format(result.age_frames)
            frame = f"#{result.frame.index} · {result.total_ms:.1f} ms · {kind}"
        rows = {
            self.tr("This frame"): frame,
            self.tr("Decision"): said(result.decision.text) if result else None,
            self.tr("Key frames"): f"{numbers.key_share:.0%}{cold}" if known else None,
            self.tr("Feature age"): age if known else None,
            self.tr("Dropped"): str(self._cockpit.status.dropped),
        }
        if result and result.confidence:
            rows[self.tr("Confidence")] = f"{result.confidence.mean:.1%}"
        rows |= self._ahead(result)
        self.facts.tell(rows if miou is None else {**rows, self.tr("mIoU, live"): f"{miou:.1%}"})

    def _ahead(self, result: Result | None) -> dict[str, str | None]:
        """Of the ego corridor, while somebody looks at the road ahead."""
        if self._cockpit.corridor is None:
            return {}
        road = free = None
        if result and (ahead := result.ahead):
            classes = self._cockpit.status.classes
            road = NONE if ahead.share is None else f"{ahead.share:.0%}"
            free = self.tr("its top")
            if ahead.row is not None:
                what = classes[ahead.obstacle] if ahead.obstacle is not None and ahead.obstacle < len(classes) else NONE
                free = self.tr("row {0} · {1}").format(ahead.row, what)
            road += self.tr(" · person") if ahead.person else ""
        return {self.tr("Road in corridor"): road, self.tr("Free up to"): free}


def short(ms: float) -> str:
    """Three digits."""
    return f"{ms:.1f}" if ms < 99.95 else f"{ms:.0f}"
