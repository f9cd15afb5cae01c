"""A bundle's three stages on a backend, fitted to the frame's size, and the rule of who owns their buffers.

Stages overwrite their outputs on their next call. `low`'s tensors are therefore good until the next frame only; the
context and the labels, which live longer, are copied here, in one place.
"""

from types import TracebackType
from typing import Self

import numpy as np

from drive_seg.card import Bundle
from drive_seg.contracts import Backend, Image, Labels, Stage, Tensors
from drive_seg.errors import UsageError
from drive_seg.preprocess import input_size
from drive_seg.schedule import CUT


def run_int8(bundle: Bundle, backend: Backend) -> bool:
    """Whether the bundle's quantised stages run on this backend: as asked for, else as the card prefers."""
    if backend.int8 and not bundle.card.quantised:
        raise UsageError(f"{bundle.card.name} has no int8 stages; make them with `drive-seg quantize {bundle.folder} --images DIR`")
    return bundle.card.precision == "int8" if backend.int8 is None else backend.int8


class Engine:
    """A Network (contracts.py) of a bundle. `fit` has to come first, and again when the frames' size changes."""

    cut, note = CUT, ""

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        """Raises UsageError when the backend was asked for int8 and the bundle has none."""
        self.bundle, self.backend = bundle, backend
        self.name, self.classes, self.palette, self.change = bundle.card.name, bundle.card.classes, bundle.card.palette, bundle.card.change
        self.input_hw = (0, 0)
        self._int8 = run_int8(bundle, backend)
        self._stages: dict[str, Stage] = {}

    def fit(self, frame_hw: tuple[int, int]) -> None:
        """Compiles the stages for frames of this size; free when the network's input stays the same. Raises BackendError."""
        card = self.bundle.card
        wanted = input_size(frame_hw, (card.input.height, card.input.width), card.input.multiple)
        if wanted == self.input_hw:
            return
        self.close()
        shapes: dict[str, tuple[int, ...]] = {card.input.name: (1, *wanted, 3)}
        for name in ("low", "high", "head"):
            stage = self.backend.load(self.bundle.onnx(name, self._int8), {tensor: shapes[tensor] for tensor in card.stages[name].inputs})
            self._stages[name] = stage
            shapes |= {spec.name: spec.shape for spec in stage.outputs}
        self.input_hw = wanted

    def low(self, image: Image) -> Tensors:
        """(1, H, W, 3) to this frame's features, good until the next call."""
        return self._stages["low"]({self.bundle.card.input.name: image})

    def high(self, low: Tensors) -> Tensors:
        """This frame's features to the context; a copy, which the caller owns."""
        wanted = self.bundle.card.stages["high"].inputs
        return {name: np.array(value) for name, value in self._stages["high"]({name: low[name] for name in wanted}).items()}

    def head(self, low: Tensors, context: Tensors) -> Labels:
        """(h, w) class ids at the network's label size; a copy, which the caller owns."""
        both = {**low, **context}
        outputs = self._stages["head"]({name: both[name] for name in self.bundle.card.stages["head"].inputs})
        return np.array(outputs[self.bundle.card.labels][0], np.uint8)

    def close(self) -> None:
        for stage in self._stages.values():
            stage.close()
        self._stages, self.input_hw = {}, (0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
