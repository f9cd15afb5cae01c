"""How steady the labels of a drive are from frame to frame: agreement along the optical flow, and flicker where the truth stands still."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from drive_seg.classes import VOID
from drive_seg.contracts import Array, Image, Labels
from drive_seg.lab.evaluate.accuracy import Scored
from drive_seg.network.preprocess import input_size
from drive_seg.network.propagate import Flow, origins

# Finer than the propagation's own flow, so that this one is not its judge. On CamVid's clip the truth agrees with itself to .974 along it,
# .967 along the propagation's, .975 along one at full size, which takes 28 ms a frame instead of 7.
FLOW_HW = (180, 240)


class Consistency:
    """A meter (accuracy.py) of consecutive frames. Both figures are shares of all pixels whose truth is known in both frames.

    Agreement: those whose flow is sure and whose label is that of the frame before, fetched along the flow (Varghese et al. 2020,
    "Unsupervised Temporal Consistency Metric for Video Segmentation in Highly-Automated Driving", with DIS for the flow); the truth's own
    tells how much of the rest is the flow's fault and what comes into view. Flicker: those whose truth stays and whose label changes.
    """

    def __init__(self, motions: Sequence[Array] | None = None) -> None:
        """`motions`: what `motions` gave for the same frames, where it is known already."""
        self._motions = motions
        self._last: Scored | None = None
        self._sure = self._agree = self._truth_agrees = self._still = self._flickers = 0

    def add(self, frame: Scored) -> None:
        last, self._last = self._last, frame
        if last is None or last.truth.shape != frame.truth.shape:
            return
        motion = self._motions[frame.index - 1] if self._motions else motions([last.image, frame.image])[0]
        sure = cv2.resize(motion[..., 2], frame.truth.shape[::-1], interpolation=cv2.INTER_AREA) >= 0.5
        source = origins(motion, (frame.truth.shape[0], frame.truth.shape[1]))
        truth_was, label_was = _fetched(last.truth, source), _fetched(last.predicted, source)
        counted = sure & (frame.truth != VOID) & (truth_was != VOID)
        self._sure += int(np.count_nonzero(counted))
        self._agree += int(np.count_nonzero(counted & (frame.predicted == label_was)))
        self._truth_agrees += int(np.count_nonzero(counted & (frame.truth == truth_was)))
        still = (frame.truth == last.truth) & (frame.truth != VOID)
        self._still += int(np.count_nonzero(still))
        self._flickers += int(np.count_nonzero(still & (frame.predicted != last.predicted)))

    def figures(self) -> dict[str, Any]:
        """temporal_consistency, truth_consistency and flicker, each None where there was nothing to compare."""
        return {
            "temporal_consistency": self._agree / self._sure if self._sure else None,
            "truth_consistency": self._truth_agrees / self._sure if self._sure else None,
            "flicker": self._flickers / self._still if self._still else None,
        }


def motions(images: Sequence[Image]) -> list[Array]:
    """From each BGR picture but the first back to the one before it, all of one size: see propagate.Flow.motion."""
    flow = Flow(preset=cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return [flow.motion(now, before) for before, now in pairwise(map(_grey, images))]


def _grey(image: Image) -> Array:
    size_hw = input_size((image.shape[0], image.shape[1]), FLOW_HW, 1)
    return np.asarray(cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size_hw[::-1], interpolation=cv2.INTER_AREA))


def _fetched(labels: Labels, source: Array) -> Labels:
    """Each pixel from where it was; VOID where that is outside."""
    outside = cv2.BORDER_CONSTANT
    return np.asarray(cv2.remap(labels, source, None, cv2.INTER_NEAREST, borderMode=outside, borderValue=VOID), np.uint8)  # type: ignore[call-overload]
