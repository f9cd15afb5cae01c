"""Page: which network runs on what, in which precision, and what its card says of it."""

from drive_seg.network.card import Card
from drive_seg.session.history import Moment
from drive_seg.ui.pages.page import Page
from drive_seg.ui.widgets import Facts, heading


class EnginePage(Page):
    def build(self) -> None:
        self.facts, self.about = Facts(prose=True), Facts(prose=True)
        self.add(heading(self.tr("What really runs")), self.facts, heading(self.tr("The bundle's card")), self.about)
        self._of = ""

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        settings, runs = self.cockpit.status.settings, self.cockpit.status.runs
        names = {"model": self.tr("Bundle"), "backend": self.tr("Backend"), "precision": self.tr("Precision"), "device": self.tr("Device")}
        self.facts.tell({name: runs.get(key) for key, name in names.items()})
        if self._of != settings.model:
            self._of = settings.model
            card = self.cockpit.card()
            self.about.tell(self._card(card) if card else {})

    def _card(self, card: Card) -> dict[str, str | None]:
        measured = (f"{key} {value['miou']:.3f}" for key, value in card.measured.items() if isinstance(value, dict) and "miou" in value)
        return {
            self.tr("Parameters"): self.tr("{0:.1f} million").format(card.parameters / 1e6),
            self.tr("Trained at"): f"{card.input.width} × {card.input.height}",
            self.tr("GFLOP a stage"): "\n".join(f"{name} {stage.gflop:.1f}" for name, stage in card.stages.items()),
            self.tr("Classes"): ", ".join(card.classes),
            self.tr("Measured mIoU"): "\n".join(measured),
            self.tr("Propagations"): ", ".join(card.propagations),
            self.tr("Licence"): card.licence,
            self.tr("Limits"): card.limits,
        }
