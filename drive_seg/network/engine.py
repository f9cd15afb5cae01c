"""A bundle's stages on a backend, fitted to the frame's size, and the rule of who owns their buffers.

Stages overwrite their outputs on their next call. `low`'s tensors are therefore good until the next frame only; the
context and the labels, which live longer, are copied here, in one place.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext

import numpy as np

from drive_seg.capabilities import PaintStage, StageBeside, Streaming, TakingFrames
from drive_seg.contracts import (
    CONFIDENCE,
    RUNNER_UP,
    Array,
    Backend,
    Closing,
    Confidence,
    Image,
    Labels,
    Stage,
    StageName,
    Telling,
    Tensors,
)
from drive_seg.errors import BackendError, BundleError, UsageError
from drive_seg.network.card import Bundle, Card, StageCard
from drive_seg.network.loaded import Loaded
from drive_seg.network.preprocess import input_size
from drive_seg.network.propagate import HOLD


def run_int8(bundle: Bundle, backend: Backend) -> bool:
    """Whether the bundle's quantised stages run on this backend: as asked for, else as the card prefers."""
    if backend.int8 and not bundle.card.quantised:
        raise UsageError(f"{bundle.card.name} has no int8 stages; make them with `drive-seg quantize {bundle.folder} --images DIR`")
    return bundle.card.precision == "int8" if backend.int8 is None else backend.int8


def key_shapes(card: Card, input_hw: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Of the key frame's tensors that are fed back, by the inputs' names."""
    return {name: (1, key.channels, *(-(-side // key.stride) for side in input_hw)) for name, key in card.key_inputs.items()}


class DeepStages:
    """A bundle's cached stages as a Deep (contracts.py)."""

    def __init__(
        self,
        stages: Mapping[StageName, Stage],
        cards: Mapping[StageName, StageCard],
        loaded: Loaded,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """`loaded`: where the stages are from. `turn` is held while one runs."""
        self._stages, self._cards, self._loaded, self._turn = dict(stages), cards, loaded, turn or nullcontext()

    def __call__(self, stage: StageName, tensors: Tensors) -> Tensors:
        with self._turn:
            made = self._stages[stage]({name: tensors[name] for name in self._cards[stage].inputs})
            return {name: np.array(value) for name, value in made.items()}

    def close(self) -> None:
        while self._stages:
            self._loaded.close(self._stages.popitem()[1])


class DeepBeside:
    """The same as a Beside (capabilities.py)."""

    def __init__(self, stages: Mapping[StageName, StageBeside]) -> None:
        self._stages = stages

    def start(self) -> None:
        for stage in self._stages.values():
            stage.start()

    def take(self) -> tuple[Tensors, Mapping[StageName, float]] | None:
        made: dict[str, Array] = {}
        took: dict[StageName, float] = {}
        for name, stage in self._stages.items():
            if (taken := stage.take()) is None:
                return None
            made |= {tensor: np.array(value) for tensor, value in taken[0].items()}
            took[name] = taken[1]
        return made, took

    def close(self) -> None:
        for stage in self._stages.values():
            stage.close()


class Engine(Closing):
    """A Network (contracts.py) of a bundle. `fit` has to come first, and again when the frames' size changes."""

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        propagation: str = HOLD,
        about_hw: tuple[int, int] | None = None,
        int8: bool | None = None,
        telling: Telling | None = None,
        loaded: Loaded | None = None,
    ) -> None:
        """Frames are reduced to about as many pixels as `about_hw` has, the card's input by default. `int8`: whether the quantised stages
        run; unless told, as the backend was asked, else as the card prefers. `telling`: what makes the heads tell their
        confidence; without it they do not. `loaded`: where other engines of this bundle and backend, in this thread, have their stages.

        Raises UsageError when the backend was asked for int8 and the bundle has none, or for a propagation that the bundle cannot.
        """
        card = bundle.card
        if propagation not in card.propagations:
            raise UsageError(f"--propagation {propagation}: {card.name} has no such; it has {', '.join(card.propagations)}")
        self.bundle, self.backend, self.note = bundle, backend, bundle.note
        self.name, self.classes, self.palette, self.change, self.score = card.name, card.classes, card.palette, card.change, card.score
        self.cut, self.sure = card.cut, card.sure
        self.stages = card.stages
        self.stale = card.heads.get(propagation, card.stages["head"])  # the head of frames that are not the key frame
        self.cached = card.cached
        read = dict.fromkeys(tensor for name in self.cached for tensor in self.stages[name].inputs)
        made = [tensor for name in self.cached for tensor in self.stages[name].outputs]
        self.deep_takes = tuple(tensor for tensor in read if tensor not in made)
        self.deep_gives = tuple(tensor for tensor in made if tensor not in read or tensor in self.stages["head"].inputs)
        self._carried = tuple(name.removeprefix("last_") for name in self.stale.inputs if name.startswith("last_"))
        self._began: Tensors = {}  # the key's context from which the head's state began
        self._state: Tensors = {}  # what the head left for its next frame, by the name of the input that takes it
        self.input_hw = (0, 0)
        self.confidence: Confidence | None = None
        self._telling = telling
        self._loaded = loaded or Loaded()
        self._about_hw = about_hw or (card.input.height, card.input.width)
        self._propagation = propagation
        self._int8 = run_int8(bundle, backend) if int8 is None else int8
        self._shapes: dict[str, tuple[int, ...]] = {}  # of every tensor
        self._stages: dict[StageName, Stage] = {}
        self._stale: Stage | None = None  # where it is not the key frame's
        self._painter: PaintStage | None = None  # loaded when it is first asked for
        self._paints = False
        self._nothing: dict[str, Array] = {}  # what low is told of the key while there is none

    def again(self) -> "Engine":
        """Another one, for the frames of another camera: where it is fitted to the same size it runs the very stages of this one."""
        return Engine(self.bundle, self.backend, self._propagation, self._about_hw, self._int8, self._telling, self._loaded)

    def fit(self, frame_hw: tuple[int, int]) -> None:
        """Compiles the stages for frames of this size; free when the network's input stays the same. Raises BackendError."""
        card = self.bundle.card
        size_hw = input_size(frame_hw, self._about_hw, card.input.multiple)
        wanted = frame_hw if isinstance(self.backend, TakingFrames) else size_hw
        if wanted == self.input_hw:
            return
        self.close()
        self._shapes = {card.input.name: (1, *size_hw, 3), **key_shapes(card, size_hw)}
        for name in ("low", *self.cached, "head"):
            self._stages[name] = self._load(name, self.backend, wanted)
            self._shapes |= {before + spec.name: spec.shape for spec in self._stages[name].outputs for before in ("", "last_")}
        if self.stale != card.stages["head"]:
            self._stale = self._load("head", self.backend, wanted, self._propagation)
        for key in card.key_inputs:
            if self._shapes[key] != (found := self._shapes[key.removeprefix("key_")]):
                raise BundleError(f"{card.name}: {key} is {self._shapes[key]} by the card, but low puts out {found}; export it again")
        self._deep = DeepStages({name: self._stages[name] for name in self.cached}, self.stages, self._loaded)
        self._nothing = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self._stages["low"].inputs if spec.name in card.key_inputs}
        self._paints = isinstance(self.backend, TakingFrames)
        self.input_hw = wanted

    def _load(self, name: StageName, backend: Backend, picture_hw: tuple[int, int], propagation: str | None = None) -> Stage:
        card, image = self.bundle.card, self.bundle.card.input.name
        shapes = {tensor: self._shapes[tensor] for tensor in card.stage(name, propagation).inputs}
        path = self.bundle.onnx(name, self._int8, propagation)

        def load() -> Stage:
            with self._telling(path, card.labels) if self._telling and name == "head" else nullcontext(path) as file:
                if image not in shapes or shapes[image] == (1, *picture_hw, 3) or not isinstance(backend, TakingFrames):
                    return backend.load(file, shapes)
                return backend.load_reducing(file, shapes, image, picture_hw)

        return self._loaded.load((backend, path, picture_hw, *shapes.items()), load)

    def low(self, image: Image, own: Tensors) -> Tensors:
        """(1, H, W, 3) to this frame's features, good until the next call; the picture among them where the cached stages read it."""
        key = {name: own.get(name, none) for name, none in self._nothing.items()}
        made = self._stages["low"]({(picture := self.bundle.card.input.name): image, **key})
        return {**made, picture: image} if picture in self.deep_takes else made

    def keep(self, low: Tensors) -> Tensors:
        return {name: np.array(low[name.removeprefix("key_")]) for name in self.bundle.card.key_inputs}

    def deep(self, stage: StageName, tensors: Tensors) -> Tensors:
        """This frame's features towards the context; copies, which the caller owns."""
        return self._deep(stage, tensors)

    def copy_deep(self, backend: Backend) -> DeepStages:
        stages = {name: self._load(name, backend, self.input_hw) for name in self.cached}
        return DeepStages(stages, self.stages, self._loaded, self._loaded.turn)

    def beside(self, backend: Streaming) -> DeepBeside:
        """The cached stages once more, fed by this engine's `low` where it runs. `backend` is its own; the caller's to close, before it.

        Raises BackendError.
        """
        made: dict[StageName, StageBeside] = {}
        picture = self.bundle.card.input.name
        sources: dict[str, Stage | StageBeside] = dict.fromkeys((picture, *self.stages["low"].outputs), self._stages["low"])
        with ExitStack() as stack:
            for name in self.cached:
                path = self.bundle.onnx(name, self._int8)
                taken = {tensor: sources[tensor] for tensor in self.stages[name].inputs}
                made[name] = backend.load_beside(path, taken, {picture: self._shapes[picture]} if picture in taken else {})
                stack.callback(made[name].close)
                sources |= dict.fromkeys(self.stages[name].outputs, made[name])
            stack.pop_all()
        return DeepBeside(made)

    def head(self, low: Tensors, context: Tensors, fresh: bool) -> Labels:
        """(h, w) class ids at the network's label size; a copy, which the caller owns."""
        if fresh:
            return self._labels(self._stages["head"], {**low, **context})
        if any(context[name] is not self._began.get(name) for name in self._carried):  # another key's
            self._began = {name: context[name] for name in self._carried}
            self._state = {f"last_{name}": value for name, value in self._began.items()}
        return self._labels(self._stale or self._stages["head"], {**low, **context, **self._state})

    def _labels(self, head: Stage, tensors: Tensors) -> Labels:
        outputs = head({spec.name: tensors[spec.name] for spec in head.inputs})
        self._state = {f"last_{name}": np.array(outputs[f"next_{name}"]) for name in self._carried if f"next_{name}" in outputs}
        if self._telling:
            self.confidence = Confidence(np.array(outputs[CONFIDENCE][0], np.uint8), np.array(outputs[RUNNER_UP][0], np.uint8))
        return np.array(outputs[self.bundle.card.labels][0], np.uint8)

    def overlay(self, labels: Labels, colours: Array, shares: Array) -> Image | None:
        """The labels over the frame that `low` was given last, as PaintStage says, where the stages run; None where that cannot be."""
        if labels.shape != self._shapes[self.bundle.card.labels][1:]:
            return None
        self.load_painter()
        return self._painter(labels, colours, shares) if self._painter else None

    def load_painter(self) -> None:
        """Makes ready for `overlay`, which does it otherwise, when it is called first."""
        backend, card = self.backend, self.bundle.card
        if self._painter or not self._paints or not isinstance(backend, TakingFrames):
            return
        labels = self._shapes[card.labels]
        try:
            self._painter = backend.load_painter(self._stages["low"], card.input.name, (labels[1], labels[2]))
        except BackendError:  # the CPU paints the same
            self._paints = False

    def close(self) -> None:
        if self._painter:
            self._painter.close()
        for stage in (*self._stages.values(), self._stale):
            if stage:
                self._loaded.close(stage)
        self._stages, self._stale, self._painter, self.input_hw, self._began = {}, None, None, (0, 0), {}
