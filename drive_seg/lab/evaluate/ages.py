"""What age costs: mIoU on the same labelled frames, with the key frame moved back from them frame by frame."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_seg.contracts import Network
from drive_seg.lab.evaluate.accuracy import as_frames
from drive_seg.lab.evaluate.pairs import Sample
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.postprocess import at_size
from drive_seg.network.propagate import make_propagation
from drive_seg.network.schedule import Replay
from drive_seg.network.score import Confusion
from drive_seg.session.session import Session

AGES = 12  # 0 to 11 frames


@dataclass(frozen=True, slots=True)
class AgeCurve:
    miou: tuple[float | None, ...]  # by age, from 0; None where no label is a class
    label_frames: int  # behind each

    @property
    def average(self) -> float | None:
        known = self._known
        return sum(known) / len(known) if known else None

    @property
    def minimum(self) -> float | None:
        return min(self._known, default=None)

    @property
    def _known(self) -> list[float]:
        return [miou for miou in self.miou if miou is not None]


def age_curve(network: Network, propagation: str, samples: Sequence[Sample], hz: float, ages: int = AGES) -> AgeCurve:
    """mIoU by the age of what is cached, over the frames that can be reached at every one of the ages: those with so many before them.

    From each frame in turn as the only key frame the drive is played `ages` frames long, so that what is handed on from frame to frame,
    where a network has that, is handed on. A scene cut ends the stretch: what follows has no key frame before it. Raises BackendError.
    """
    counts: dict[int, dict[int, NDArray[np.int64]]] = defaultdict(dict)  # by label frame, then by age
    for key in range(len(samples)):
        with closing(Pipeline(network, Replay({}, "one key frame"), propagation=make_propagation(propagation))) as pipeline:
            for result, _ in Session(pipeline, as_frames(samples[key : key + ages], hz)).results():
                age, truth = result.frame.index, samples[key + result.frame.index][1]
                if result.age_frames != age:
                    break
                counts[key + age][age] = Confusion(network.classes).add(truth, at_size(result.labels, truth.shape))
    reached = [by_age for by_age in counts.values() if len(by_age) == ages and by_age[0][:-1].any()]
    totals = [np.sum([by_age[age] for by_age in reached], axis=0) for age in range(ages)] if reached else []
    return AgeCurve(tuple(Confusion.of(network.classes, total).miou for total in totals), len(reached))
