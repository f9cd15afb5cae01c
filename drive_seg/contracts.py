"""What crosses a border in the live program, and the Protocols of the parts that a frame meets. READ FIRST.

Arrays that cross a thread are never written again by whoever sent them; the dataclasses are frozen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # HxWx3, BGR
Labels = NDArray[np.uint8]  # HxW class ids; an id that is not in the card's classes is void
Array = NDArray[Any]
Tensors = Mapping[str, Array]  # by the tensor's name in the card

STAGES = ("low", "high", "head")
TIMED = ("decode", "preprocess", *STAGES, "refine", "overlay")  # what the benchmark lists, in the order that a frame meets them


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from a source."""

    image: Image
    index: int  # the source's own count from 0; a gap means frames that were dropped
    time_s: float  # the source's own clock: presentation time of a file, capture time of a camera
    decode_ms: float = 0.0
    labels: Labels | None = None  # the truth at the image's size, where the source knows it
    take: int = 0  # counts loops, reconnects and seeks; when it changes, nothing cached may be used again


@dataclass(frozen=True, slots=True)
class Key:
    """The cache: the deep context, and the frame that it was computed from."""

    context: Tensors
    index: int
    time_s: float
    take: int
    size_hw: tuple[int, int]  # of the frame


@dataclass(frozen=True, slots=True)
class Result:
    """What the program knows about one frame, for every sink."""

    frame: Frame
    labels: Labels  # at the network's label size, or refined at the frame's; enlarge by nearest neighbour
    overlay: Image | None  # at the frame's size; None when no sink wants it
    is_key: bool
    age_frames: int  # frames between the cached context and this one
    age_ms: float
    reason: str  # why `high` ran or did not
    latency_ms: Mapping[str, float] = field(default_factory=dict)  # by TIMED, and "total": frame to labels
    dropped: int = 0  # frames that the source lost so far

    @property
    def total_ms(self) -> float:
        return self.latency_ms["total"]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    name: str  # what a person calls it: the path, "camera 0", "demo:"
    size_hw: tuple[int, int]
    fps: float  # nominal; frames carry their own times
    live: bool  # a camera or stream that does not wait: late frames are dropped
    frame_count: int | None = None  # None when it is not known or has no end
    labelled: bool = False  # frames carry the truth
    classes: tuple[str, ...] = ()  # names behind its ids; empty when the source does not know them and they are taken for the model's


class Source(Protocol):
    """A context manager; `read` blocks, and is called from the capture thread alone."""

    @property
    def info(self) -> SourceInfo: ...

    def read(self) -> Frame | None:
        """The next frame, or None at the end. Raises SourceError when the source breaks."""

    def close(self) -> None:
        """Idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Sink(Protocol):
    """Takes results in order; `put` is called from the pipeline thread and raises SinkError when it cannot go on."""

    wants_overlay: bool

    def put(self, result: Result) -> None: ...

    def close(self) -> None:
        """Finishes what was written; idempotent."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    name: str
    dtype: str  # numpy's name
    shape: tuple[int, ...]  # fixed, once a stage is loaded


class Stage(Protocol):
    """One compiled piece of a network, at one input size."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __call__(self, tensors: Tensors) -> Tensors:
        """Runs the stage. The outputs belong to the stage and are overwritten by its next call."""

    def close(self) -> None: ...


class Backend(Protocol):
    """What executes stages. A context manager is not needed: what it holds hangs on its stages."""

    name: str
    device: str  # what really runs, for people: "CPU (AMD EPYC, 2 threads)"
    precision: str  # what really runs: "fp32", "bf16", "fp16", "int8"
    int8: bool | None  # whether quantised stages are to run: None leaves it to the bundle's card, where they would be faster

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> Stage:
        """Compiles one stage with its inputs fixed to the shapes given. Raises BackendError."""


class Network(Protocol):
    """A network as the pipeline sees it: between a picture and its labels it stops twice. Owned by one thread."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def palette(self) -> tuple[tuple[int, int, int], ...]:
        """RGB by class."""

    @property
    def backend(self) -> Backend: ...

    @property
    def note(self) -> str:
        """What a person has to know about the way of a frame into this network, once it is fitted; empty for a bundle."""

    @property
    def input_hw(self) -> tuple[int, int]:
        """The size of `low`'s picture, since the last `fit`."""

    @property
    def change(self) -> str:
        """The tensor of `low` that is compared from frame to frame (schedule.change)."""

    @property
    def cut(self) -> float:
        """A larger change than this is another scene."""

    def fit(self, frame_hw: tuple[int, int]) -> None:
        """Makes ready for frames of this size; free when the input stays the same. Raises BackendError, UsageError."""

    def low(self, image: Image) -> Tensors:
        """What is computed on every frame, from a picture (1, H, W, 3); good until the next call."""

    def high(self, low: Tensors) -> Tensors:
        """What is computed on key frames and may be kept; the caller's own."""

    def head(self, low: Tensors, context: Tensors) -> Labels:
        """(h, w) class ids at the network's label size; the caller's own."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of an ONNX file."""

    name: str
    dtype: str  # numpy's name
    dims: tuple[int | None, ...] | None  # None is open: one size, or even their number

    def __str__(self) -> str:
        dims = "of open rank" if self.dims is None else f"[{', '.join('?' if dim is None else str(dim) for dim in self.dims)}]"
        return f"{self.name!r} ({self.dtype} {dims})"


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """What an ONNX file says about itself."""

    path: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]  # its metadata_props
