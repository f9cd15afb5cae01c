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
from drive_seg.network.propagate import grid

# Finer than the propagation's own flow, so that this one is not its judge. On CamVid's clip the truth agrees with itself to .974 along it,
# .967 along the propagation's, .975 along one at full size, which takes 28 ms a frame instead of 7.
FLOW_HW = (180, 240)
ASTRAY = 0.01, 0.5  # the flow there and back may differ by this share of its square, and this many squared pixels (Sundaram et al. 2010)


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
        source = _sources(motion, (frame.truth.shape[0], frame.truth.shape[1]))
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
    """From each BGR picture but the first back to the one before it, all of one size: float32 (h, w, 3), x and y in pixels of where things
    were, and 1 where that is sure because the flow there and back agree, else 0."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return [_checked(dis, now, before) for before, now in pairwise(map(_grey, images))]


def _checked(dis: cv2.DISOpticalFlow, now: Array, before: Array) -> Array:
    there = dis.calc(now, before, None)  # type: ignore[call-overload]
    back = dis.calc(before, now, None)  # type: ignore[call-overload]
    again = cv2.remap(back, there + grid(now.shape), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    x, y = cv2.split(there)
    again_x, again_y = cv2.split(again)
    length = x**2 + y**2 + again_x**2 + again_y**2
    sure = (x + again_x) ** 2 + (y + again_y) ** 2 <= ASTRAY[0] * length + ASTRAY[1]
    return np.asarray(cv2.merge((x * sure, y * sure, sure.astype(np.float32))))


def _sources(motion: Array, size_hw: tuple[int, int]) -> Array:
    """float32 (h, w, 2): x and y of where each pixel of a map of this size was, or where it is unless half of it is sure."""
    (height, width), (rows, columns) = size_hw, motion.shape[:2]
    x, y, sure = cv2.split(cv2.resize(motion, (width, height), interpolation=cv2.INTER_AREA))
    scale = (sure >= 0.5) / np.maximum(sure, 0.5)
    return np.asarray(grid(size_hw) + cv2.merge((x * scale * np.float32(width / columns), y * scale * np.float32(height / rows))))


def _grey(image: Image) -> Array:
    size_hw = input_size((image.shape[0], image.shape[1]), FLOW_HW, 1)
    return np.asarray(cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size_hw[::-1], interpolation=cv2.INTER_AREA))


def _fetched(labels: Labels, source: Array) -> Labels:
    """Each pixel from where it was; VOID where that is outside."""
    outside = cv2.BORDER_CONSTANT
    return np.asarray(cv2.remap(labels, source, None, cv2.INTER_NEAREST, borderMode=outside, borderValue=VOID), np.uint8)  # type: ignore[call-overload]
