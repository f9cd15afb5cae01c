"""A bundle's three stages on a backend, fitted to the frame's size, and the rule of who owns their buffers.

Stages overwrite their outputs on their next call. `low`'s tensors are therefore good until the next frame only; the
context and the labels, which live longer, are copied here, in one place.
"""

from types import TracebackType
from typing import Self

import numpy as np

from drive_seg.cache import CUT
from drive_seg.card import Bundle, Card, StageCard
from drive_seg.contracts import Array, Backend, Image, Labels, Stage, StageName, Tensors
from drive_seg.errors import BundleError, UsageError
from drive_seg.preprocess import input_size


def run_int8(bundle: Bundle, backend: Backend) -> bool:
    """Whether the bundle's quantised stages run on this backend: as asked for, else as the card prefers."""
    if backend.int8 and not bundle.card.quantised:
        raise UsageError(f"{bundle.card.name} has no int8 stages; make them with `drive-seg quantize {bundle.folder} --images DIR`")
    return bundle.card.precision == "int8" if backend.int8 is None else backend.int8


def key_shapes(card: Card, input_hw: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Of the key frame's tensors that are fed back, by the inputs' names."""
    return {name: (1, key.channels, *(-(-side // key.stride) for side in input_hw)) for name, key in card.key_inputs.items()}


class DeepStage:
    """A bundle's `high` as a High (contracts.py)."""

    def __init__(self, stage: Stage, takes: tuple[str, ...]) -> None:
        self._stage, self._takes = stage, takes

    def __call__(self, low: Tensors) -> Tensors:
        return {name: np.array(value) for name, value in self._stage({name: low[name] for name in self._takes}).items()}

    def close(self) -> None:
        self._stage.close()


class Engine:
    """A Network (contracts.py) of a bundle. `fit` has to come first, and again when the frames' size changes."""

    cut, note = CUT, ""

    def __init__(self, bundle: Bundle, backend: Backend, propagation: str = "hold") -> None:
        """Raises UsageError when the backend was asked for int8 and the bundle has none, or for a propagation that the bundle cannot."""
        card = bundle.card
        if propagation not in card.propagations:
            raise UsageError(f"--propagation {propagation}: {card.name} has no such; it has {', '.join(card.propagations)}")
        self.bundle, self.backend = bundle, backend
        self.name, self.classes, self.palette, self.change, self.score = card.name, card.classes, card.palette, card.change, card.score
        self.stages: dict[StageName, StageCard] = {**card.stages, "head": card.stage("head", propagation)}
        self.high_takes = card.stages["high"].inputs
        self.input_hw = (0, 0)
        self._propagation = propagation
        self._int8 = run_int8(bundle, backend)
        self._shapes: dict[str, tuple[int, ...]] = {}  # of every tensor
        self._stages: dict[str, Stage] = {}
        self._nothing: dict[str, Array] = {}  # what low is told of the key while there is none

    def fit(self, frame_hw: tuple[int, int]) -> None:
        """Compiles the stages for frames of this size; free when the network's input stays the same. Raises BackendError."""
        card = self.bundle.card
        wanted = input_size(frame_hw, (card.input.height, card.input.width), card.input.multiple)
        if wanted == self.input_hw:
            return
        self.close()
        self._shapes = {card.input.name: (1, *wanted, 3), **key_shapes(card, wanted)}
        for name in ("low", "high", "head"):
            self._stages[name] = self._load(name, self.backend)
            self._shapes |= {spec.name: spec.shape for spec in self._stages[name].outputs}
        for key in card.key_inputs:
            if self._shapes[key] != (found := self._shapes[key.removeprefix("key_")]):
                raise BundleError(f"{card.name}: {key} is {self._shapes[key]} by the card, but low puts out {found}; export it again")
        self._deep = DeepStage(self._stages["high"], self.high_takes)
        self._nothing = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self._stages["low"].inputs if spec.name in card.key_inputs}
        self.input_hw = wanted

    def _load(self, name: StageName, backend: Backend) -> Stage:
        path = self.bundle.onnx(name, self._int8, self._propagation)
        return backend.load(path, {tensor: self._shapes[tensor] for tensor in self.stages[name].inputs})

    def low(self, image: Image, own: Tensors) -> Tensors:
        """(1, H, W, 3) to this frame's features, good until the next call."""
        key = {name: own.get(name, none) for name, none in self._nothing.items()}
        return self._stages["low"]({self.bundle.card.input.name: image, **key})

    def keep(self, low: Tensors) -> Tensors:
        return {name: np.array(low[name.removeprefix("key_")]) for name in self.bundle.card.key_inputs}

    def high(self, low: Tensors) -> Tensors:
        """This frame's features to the context; a copy, which the caller owns."""
        return self._deep(low)

    def copy_high(self, backend: Backend) -> DeepStage:
        return DeepStage(self._load("high", backend), self.high_takes)

    def head(self, low: Tensors, context: Tensors) -> Labels:
        """(h, w) class ids at the network's label size; a copy, which the caller owns."""
        both = {**low, **context}
        outputs = self._stages["head"]({name: both[name] for name in self.stages["head"].inputs})
        return np.array(outputs[self.bundle.card.labels][0], np.uint8)

    def close(self) -> None:
        for stage in self._stages.values():
            stage.close()
        self._stages, self.input_hw = {}, (0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
