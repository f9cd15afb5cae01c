"""How the cached context is propagated to the frame that is shown: held as it is, or warped along the optical flow.

Propagations that the network has learned are in its head; outside of it their context is held, or warped for `netwarp`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np

from drive_seg.contracts import Array, Image, Key, Tensors
from drive_seg.network.preprocess import input_size

FLOW_HW = (90, 120)  # DIS takes 0.07 ms at this size on one core; a pixel is four of the network's at 480x360
ASTRAY = 0.01, 0.5  # the flow there and back may differ by this share of its square, and this many squared pixels (Sundaram et al. 2010)


class Propagation(Protocol):
    """Owned by the pipeline's thread."""

    @property
    def name(self) -> str:
        """As the user writes it."""

    def see(self, image: Image) -> Array | None:
        """What a key has to remember of a picture (1, H, W, 3); the caller's own."""

    def propagate(self, key: Key, seen: Array | None) -> Tensors:
        """The key's context for the frame that was seen so."""


class Hold:
    """The context stays where it was; this frame's own features are the head's (Shelhamer et al. 2016)."""

    def __init__(self, name: str = "hold") -> None:
        self.name = name

    def see(self, image: Image) -> Array | None:
        return None

    def propagate(self, key: Key, seen: Array | None) -> Tensors:
        return key.context


class Flow:
    """The context is warped along DIS optical flow (Kroeger et al. 2016, https://arxiv.org/abs/1603.03590) from the key frame, as in Deep
    Feature Flow (Zhu et al. 2017); where the flow there and back do not agree, it stays where it was."""

    def __init__(self, name: str = "flow", own: bool = False, preset: int = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST) -> None:
        """`own`: the key's own tensors are warped too."""
        self.name, self._own = name, own
        self._dis = cv2.DISOpticalFlow.create(preset)

    def see(self, image: Image) -> Array:
        """The picture in grey, of about FLOW_HW and of its shape."""
        size_hw = input_size((image.shape[1], image.shape[2]), FLOW_HW, 1)
        return np.asarray(cv2.resize(cv2.cvtColor(image[0], cv2.COLOR_BGR2GRAY), size_hw[::-1], interpolation=cv2.INTER_AREA))

    def propagate(self, key: Key, seen: Array | None) -> Tensors:
        assert key.seen is not None
        assert seen is not None
        if seen is key.seen:
            return key.context
        motion = self.motion(seen, key.seen)
        return {name: warp(tensor, motion) for name, tensor in ({**key.own, **key.context} if self._own else key.context).items()}

    def motion(self, now: Array, before: Array) -> Array:
        """float32 (h, w, 3): x and y in pixels from where something is `now` to where it was `before`, and 1 where that is sure, else 0."""
        there = self._dis.calc(now, before, None)  # type: ignore[call-overload]
        back = self._dis.calc(before, now, None)  # type: ignore[call-overload]
        again = cv2.remap(back, there + _grid(now.shape), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        x, y = cv2.split(there)
        again_x, again_y = cv2.split(again)
        length = x**2 + y**2 + again_x**2 + again_y**2
        sure = (x + again_x) ** 2 + (y + again_y) ** 2 <= ASTRAY[0] * length + ASTRAY[1]
        return np.asarray(cv2.merge((x * sure, y * sure, sure.astype(np.float32))))


def warp(tensor: Array, motion: Array) -> Array:
    """A context (1, C, h, w), or a map (h, w) of class ids, with each cell fetched from where most of it was; see Flow for `motion`."""
    height, width = tensor.shape[-2:]
    source = origins(motion, (height, width))
    if tensor.ndim == 2:
        return np.asarray(cv2.remap(tensor, source, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE))  # type: ignore[call-overload]
    # With the channels last all of them take one call: for 128 of 30x23 0.02 ms, and 0.01 to turn them; a call for each takes 0.45.
    channels = tensor.shape[1]
    last = cv2.transpose(tensor.reshape(channels, -1)).reshape(height, width, channels)
    moved = cv2.remap(last, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(cv2.transpose(moved.reshape(-1, channels)).reshape(tensor.shape))


def origins(motion: Array, size_hw: tuple[int, int]) -> Array:
    """float32 (h, w, 2): x and y of where each cell of a map of this size was; see Flow for `motion`.

    Half of a cell's pixels have to be sure of their motion; otherwise it stays.
    """
    (height, width), (rows, columns) = size_hw, motion.shape[:2]
    x, y, sure = cv2.split(cv2.resize(motion, (width, height), interpolation=cv2.INTER_AREA))
    scale = (sure >= 0.5) / np.maximum(sure, 0.5)
    return np.asarray(_grid(size_hw) + cv2.merge((x * scale * np.float32(width / columns), y * scale * np.float32(height / rows))))


@lru_cache(maxsize=8)
def _grid(size_hw: tuple[int, int]) -> Array:
    """float32 (h, w, 2): each cell's own x and y."""
    return np.dstack(np.meshgrid(np.arange(size_hw[1], dtype=np.float32), np.arange(size_hw[0], dtype=np.float32)))


@dataclass(frozen=True, slots=True)
class Kind:
    """What a user can choose, and what it means."""

    help: str  # how the context gets there
    make: Callable[[str], Propagation]
    learned: bool = True  # by a head of its own (lab/models/temporal.py), which the bundle has to have; else every network can use it
    labels: str = ""  # what an evaluation calls the baseline that does the same to labels, where that can be done


KINDS: dict[str, Kind] = {
    "hold": Kind("it stays where it was; this frame's own features make the best of it", Hold, False, "copied labels"),
    "flow": Kind("it is warped along optical flow (DIS), checked there and back", Flow, False, "warped labels"),
    "netwarp": Kind("warped; each channel is weighed against this frame's own features", lambda name: Flow(name, own=True)),
    "attend": Kind("each cell gathers it from where the key frame looked as the cell looks now", Hold),
    "recurrent": Kind("a gated unit moves it on by a step a frame", Hold),
}
FOR_ALL = tuple(name for name, kind in KINDS.items() if not kind.learned)
HOLD = FOR_ALL[0]  # unless another one is asked for


def make_propagation(name: str) -> Propagation:
    """Whether a network can use it, the network says; what is none of KINDS is done by its head alone."""
    return KINDS[name].make(name) if name in KINDS else Hold(name)
