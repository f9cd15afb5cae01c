"""How the cached context is propagated to the frame that is shown: held as it is, or warped along the optical flow.

Propagations that the network has learned are in its head; outside of it their context is held, or warped for `netwarp`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np

from drive_seg.contracts import Array, Image, Key, Tensors
from drive_seg.network.preprocess import input_size

FLOW_HW = (90, 120)  # a pixel is four of the network's at 480x360
REMEMBERED = 32  # frames; a context that is older when it comes into use is fetched along one flow between the two


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


@dataclass(slots=True, eq=False)
class _Seen:
    """A frame that a flow has seen. Motions are as `Flow.motion` gives them."""

    picture: Array
    step: Array | None = None  # to the frame before it, once it was asked for
    sums: tuple[tuple[Array, Array], ...] = ()  # a key's picture, and the motion to it


class Flow:
    """The context is warped along DIS optical flow (Kroeger et al. 2016, https://arxiv.org/abs/1603.03590) from the key frame, as in Deep
    Feature Flow (Zhu et al. 2017).

    The flow is found from each frame to the one before it and followed back through all of them to the key frame: between frames far apart
    DIS misses what moves far (docs/temporal.md). It is one flow a frame, however old the context is, and none on key frames.
    """

    def __init__(self, name: str = "flow", own: bool = False) -> None:
        """`own`: the key's own tensors are warped too."""
        self.name, self._own = name, own
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._dis.setFinestScale(0)  # the preset ends at a quarter of the picture's resolution, where poles have no width
        self._trail: deque[_Seen] = deque(maxlen=REMEMBERED)  # the newest last

    def see(self, image: Image) -> Array:
        """The picture in grey, of about FLOW_HW and of its shape. To be called for every frame, in order."""
        size_hw = input_size((image.shape[1], image.shape[2]), FLOW_HW, 1)
        picture = np.asarray(cv2.resize(cv2.cvtColor(image[0], cv2.COLOR_BGR2GRAY), size_hw[::-1], interpolation=cv2.INTER_AREA))
        if len(self._trail) > 1:
            self._trail[-2].sums = ()  # nobody goes on from there any more
        self._trail.append(_Seen(picture))
        return picture

    def propagate(self, key: Key, seen: Array | None) -> Tensors:
        assert key.seen is not None
        if seen is key.seen:
            return key.context
        motion = self._followed(key.seen)
        return {name: warp(tensor, motion) for name, tensor in ({**key.own, **key.context} if self._own else key.context).items()}

    def _followed(self, before: Array) -> Array:
        """The motion from the frame that was seen last to an earlier one, by way of those between them."""
        steps, total = list[tuple[_Seen, _Seen]](), None
        for frame, older in pairwise(reversed(self._trail)):
            if (total := next((motion for picture, motion in frame.sums if picture is before), None)) is not None:
                break
            steps.append((frame, older))
            if older.picture is before:
                break
        else:
            steps, total = [], self.motion(self._trail[-1].picture, before)
        for frame, older in reversed(steps):
            if frame.step is None:
                frame.step = self.motion(frame.picture, older.picture)
            total = frame.step if total is None else composed(frame.step, total)
        assert total is not None
        self._trail[-1].sums += ((before, total),)
        return total

    def motion(self, now: Array, before: Array) -> Array:
        """float32 (h, w, 2): x and y in pixels from where something is `now` to where it was `before`."""
        return np.asarray(self._dis.calc(now, before, None))  # type: ignore[call-overload]


def composed(step: Array, earlier: Array) -> Array:
    """Two motions (h, w, 2) one after the other: `step` to where something was a frame ago, and from there on `earlier`."""
    there = step + grid(step.shape[:2])
    return step + np.asarray(cv2.remap(earlier, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))  # type: ignore[call-overload]


def warp(tensor: Array, motion: Array) -> Array:
    """A context (1, C, h, w), or a map (h, w) of class ids, with each cell fetched from where it was; see Flow for `motion`."""
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
    """float32 (h, w, 2): x and y of where each cell of a map of this size was; see Flow for `motion`."""
    (height, width), (rows, columns) = size_hw, motion.shape[:2]
    scale = np.array((width / columns, height / rows), np.float32)
    return np.asarray(grid(size_hw) + cv2.resize(motion, (width, height), interpolation=cv2.INTER_AREA) * scale)


@lru_cache(maxsize=8)
def grid(size_hw: tuple[int, int]) -> Array:
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
    "flow": Kind("it is warped along optical flow (DIS), followed from frame to frame", Flow, False, "warped labels"),
    "netwarp": Kind("warped; each channel is weighed against this frame's own features", lambda name: Flow(name, own=True)),
    "attend": Kind("each cell gathers it from where the key frame looked as the cell looks now", Hold),
    "recurrent": Kind("a gated unit moves it on by a step a frame", Hold),
}
FOR_ALL = tuple(name for name, kind in KINDS.items() if not kind.learned)
HOLD = FOR_ALL[0]  # unless another one is asked for


def make_propagation(name: str) -> Propagation:
    """Whether a network can use it, the network says; what is none of KINDS is done by its head alone."""
    return KINDS[name].make(name) if name in KINDS else Hold(name)
