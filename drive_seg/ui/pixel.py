"""What is known of one pixel of the picture."""

from collections.abc import Sequence

from drive_seg.contracts import Labels
from drive_seg.session.status import Shown
from drive_seg.ui.choices import translate


def in_words(shown: Shown, x: float, y: float, classes: Sequence[str], others: Sequence[str], true: Sequence[str]) -> str:
    """The pixel at these shares of the picture's width and height, 0 <= x, y < 1.

    `classes`, `others`, `true`: the names behind the ids of the frame's labels, of the comparison's, and of the truth's.
    """
    result, other = shown.result, shown.comparison
    frame, height, width = result.frame, *result.frame.size_hw
    said = [named(result.labels, x, y, classes)]
    if other:
        said = [f"A {said[0]}", f"B {named(other.labels, x, y, others)}"]
    if frame.labels is not None:
        said.append(translate("ui", "truth {0}").format(named(frame.labels, x, y, true)))
    said.append(translate("ui", "x {0}, y {1}").format(int(x * width), int(y * height)))
    said.append(translate("ui", "frame {0}").format(frame.index))
    said.append(translate("ui", "feature age {0} ({1:.0f} ms)").format(result.age_frames, result.age_ms))
    return " · ".join(said)


def named(labels: Labels, x: float, y: float, classes: Sequence[str]) -> str:
    """Class and id there; labels of any size, enlarged by nearest neighbour as they are drawn."""
    number = int(labels[int(y * labels.shape[0]), int(x * labels.shape[1])])
    return f"{classes[number] if number < len(classes) else translate('ui', 'void')} ({number})"
