"""Page: how well the frames are labelled, class by class, where the source knows the truth."""

from drive_seg.session.history import Moment
from drive_seg.ui.pages.page import Page
from drive_seg.ui.widgets import Facts, action_button, heading, label


class AccuracyPage(Page):
    def build(self) -> None:
        self.says = label(
            self.tr("This source knows no true labels. Pictures of a data set with labels beside them do, and the demo drive."), "dim"
        )
        self.says.setWordWrap(True)
        self.facts, self.classes = Facts(), Facts()
        self.add(self.says, self.facts, action_button(self.actions_by_name["errors"]), action_button(self.actions_by_name["next-error"]))
        self.add(heading(self.tr("IoU by class, so far")), self.classes)

    def refresh(self, moments: tuple[Moment, ...]) -> None:
        truth = self.cockpit.truth
        self.says.setVisible(not self.cockpit.knows_truth)
        miou, accuracy = truth.total.miou, truth.total.pixel_accuracy
        self.facts.tell(
            {
                self.tr("Frames counted"): str(truth.frames),
                self.tr("mIoU"): None if miou is None else f"{miou:.1%}",
                self.tr("Pixels right"): None if accuracy is None else f"{accuracy:.1%}",
            }
        )
        self.classes.tell({name: None if iou is None else f"{iou:.1%}" for name, iou in truth.total.iou().items()})
