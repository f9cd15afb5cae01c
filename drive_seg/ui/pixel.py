"""What is known of one pixel of the picture."""

from collections.abc import Sequence

from drive_seg.contracts import STEPS, Labels, Result
from drive_seg.session.status import Shown
from drive_seg.ui.choices import translate


def in_words(shown: Shown, x: float, y: float, classes: Sequence[str], others: Sequence[str], true: Sequence[str]) -> str:
    """The pixel at these shares of the picture's width and height, 0 <= x, y < 1.

    `classes`, `others`, `true`: the names behind the ids of the frame's labels, of the comparison's, and of the truth's.
    """
    result, other = shown.result, shown.comparison
    frame, height, width = result.frame, *result.frame.size_hw
    said = [labelled(result, x, y, classes)]
    if other:
        said = [f"A {said[0]}", f"B {labelled(other, x, y, others)}"]
    if frame.labels is not None:
        said.append(translate("ui", "truth {0}").format(named(frame.labels, x, y, true)))
    said.append(translate("ui", "x {0}, y {1}").format(int(x * width), int(y * height)))
    said.append(translate("ui", "frame {0}").format(frame.index))
    said.append(translate("ui", "feature age {0} ({1:.0f} ms)").format(result.age_frames, result.age_ms))
    return " · ".join(said)


def labelled(result: Result, x: float, y: float, classes: Sequence[str]) -> str:
    """The label there, and where the network tells its confidence how sure it was and what came second."""
    said, told = named(result.labels, x, y, classes), result.confidence
    if told is None:
        return said
    share = float(at(told.steps, x, y)) / STEPS
    return translate("ui", "{0}, {1:.0%} sure, then {2}").format(said, share, named(told.runner_up, x, y, classes))


def named(labels: Labels, x: float, y: float, classes: Sequence[str]) -> str:
    """Class and id there; labels of any size, enlarged by nearest neighbour as they are drawn."""
    number = at(labels, x, y)
    return f"{classes[number] if number < len(classes) else translate('ui', 'void')} ({number})"


def at(values: Labels, x: float, y: float) -> int:
    return int(values[int(y * values.shape[0]), int(x * values.shape[1])])
