"""Page: which network runs on what, in which precision, and what its card says of it."""

from drive_seg.network.card import Card
from drive_seg.session.history import Moment
from drive_seg.ui.pages.page import Page
from drive_seg.ui.widgets import NONE, Facts, heading


class EnginePage(Page):
    def build(self) -> None:
        self.facts = Facts(
            [
                ("model", self.tr("Bundle")), ("backend", self.tr("Backend")), ("precision", self.tr("Precision")),
                ("device", self.tr("Device")),
            ],
            prose=True,
        )  # fmt: skip
        self.about = Facts(
            [
                ("parameters", self.tr("Parameters")), ("input", self.tr("Trained at")), ("gflop", self.tr("GFLOP a stage")),
                ("classes", self.tr("Classes")), ("miou", self.tr("Measured mIoU")), ("propagations", self.tr("Propagations")),
                ("licence", self.tr("Licence")), ("limits", self.tr("Limits")),
            ],
            prose=True,
        )  # fmt: skip
        self.add(heading(self.tr("What really runs")), self.facts, heading(self.tr("The bundle's card")), self.about)
        self._of = ""

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        status = self.cockpit.status
        for key in self.facts.values:
            self.facts.set(key, status.runs.get(key, NONE))
        if self._of != status.settings.model:
            self._of = status.settings.model
            self._show_card(self.cockpit.card())

    def _show_card(self, card: Card | None) -> None:
        set_ = self.about.set
        if card is None:
            for key in self.about.values:
                set_(key, NONE)
            return
        set_("parameters", self.tr("{0:.1f} million").format(card.parameters / 1e6))
        set_("input", f"{card.input.width} × {card.input.height}")
        set_("gflop", "\n".join(f"{name} {stage.gflop:.1f}" for name, stage in card.stages.items()))
        set_("classes", ", ".join(card.classes))
        measured = (f"{key} {value['miou']:.3f}" for key, value in card.measured.items() if isinstance(value, dict) and "miou" in value)
        set_("miou", "\n".join(measured) or NONE)
        set_("propagations", ", ".join(card.propagations))
        set_("licence", card.licence)
        set_("limits", card.limits)
