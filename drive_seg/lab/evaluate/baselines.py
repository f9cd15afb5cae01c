"""What the cache has to beat: the labels themselves kept instead of the context, and a schedule that knows what it cannot know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drive_seg.contracts import Array, Backend, Closing, Decision, Deep, Image, Key, Labels, Network, StageName, Tensors, View
from drive_seg.network.refresh import completed


class LabelCache(Closing):
    """A Network (contracts.py) whose deep stage is the whole of another, and whose context is its labels: held they are copied, with `flow`
    they are warped. The other one stays the caller's."""

    note, change, cut, sure, score = "", "still", float("inf"), None, None  # no tensor to tell a cut by: a drive without one
    cached: tuple[StageName, ...] = ("high",)
    deep_takes, deep_gives = ("image",), ("labels",)

    def __init__(self, network: Network) -> None:
        self._network = network
        self.name, self.classes, self.palette, self.backend = network.name, network.classes, network.palette, network.backend

    @property
    def input_hw(self) -> tuple[int, int]:
        return self._network.input_hw

    confidence = None  # which is not held or warped here

    def fit(self, frame_hw: tuple[int, int]) -> None:
        self._network.fit(frame_hw)

    def low(self, image: Image, own: Tensors) -> Tensors:
        return {"image": image, "still": np.ones((1, 1, 1, 1), np.float32)}

    def keep(self, low: Tensors) -> Tensors:
        return {}

    def deep(self, stage: StageName, tensors: Tensors) -> Tensors:
        low = self._network.low(tensors["image"], {})
        key = completed(Key(0, 0.0, 0, self.input_hw, self._network.keep(low)), low, self._network)
        return {"labels": self._network.head(low, {**key.own, **key.context}, fresh=True)}

    def copy_deep(self, backend: Backend) -> Deep:
        raise NotImplementedError("a baseline does not run beside itself")

    def head(self, low: Tensors, context: Tensors, fresh: bool) -> Labels:
        return np.array(context["labels"], np.uint8)

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Oracle:
    """A schedule (schedule.py) that knows the labels which the full network would give: a key frame when more of them than `share` differ
    from the key frame's. What KeyFrames forecasts, it knows: the upper end of what a selector by that rule can do."""

    labels: Sequence[Array]  # of every frame, by index
    share: float
    needs_score: ClassVar[bool] = False
    needs_cached: ClassVar[int | None] = None

    @property
    def name(self) -> str:
        return f"oracle:{self.share:g}"

    def decide(self, view: View) -> Decision:
        now, key = self.labels[view.index], self.labels[view.index - view.age_frames]
        differ = float(np.count_nonzero(now != key) / now.size)
        return Decision(differ > self.share, "score", f"differ {differ:.3f} of {self.share:.3f}", differ, self.share)
