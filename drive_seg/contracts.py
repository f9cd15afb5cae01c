"""What crosses a border in the live program, and the Protocols of the parts that a frame meets. READ FIRST.

Arrays that cross a thread are never written again by whoever sent them; the dataclasses are frozen.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # HxWx3, BGR
Labels = NDArray[np.uint8]  # HxW class ids; an id that is not in the card's classes is void
Array = NDArray[Any]
Tensors = Mapping[str, Array]  # by the tensor's name in the card

StageName = Literal["low", "mid", "high", "head"]
STAGES: tuple[StageName, ...] = ("low", "mid", "high", "head")  # in the order in which they run; few bundles have a `mid`
TIMED = ("decode", "preprocess", "low", "mid", "high", "propagate", "head", "refine", "overlay")  # what is timed, as a frame meets it
KINDS = ("key", "other", "cold")  # of frames: with a refresh, without, and one that waited for it because nothing cached was valid

CONFIDENCE, RUNNER_UP = "confidence", "runner_up"  # what a network puts out beside its labels where that is asked for, of their size
STEPS = 255  # of confidence, from 0 to 1
# From an ONNX file and the name of its labels to one that puts out both, which is there while it is loaded. Raises BackendError.
Telling = Callable[[str, str], AbstractContextManager[str]]

# What decided whether `high` runs. The first five made the cache invalid, before any schedule was asked.
Reason = Literal["first", "size", "jump", "gap", "cut", "every", "clock", "age", "change", "score", "budget", "busy", "replay", "manual"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from a source."""

    image: Image
    index: int  # the source's own count from 0, again in each loop; what is missing was dropped. With `segment` it names the frame
    time_s: float  # the source's own clock: presentation time of a file, capture time of a camera
    decode_ms: float = 0.0
    labels: Labels | None = None  # the truth at the image's size, where the source knows it
    segment: int = 0  # counts loops, reconnects and seeks; when it changes, nothing cached may be used again
    decoded_s: float = field(default_factory=time.perf_counter)  # when decoding ended, on the clock of the spans
    released_s: float | None = None  # when the capture let it go on: a file's frame may have been decoded long before its time
    period_s: float = 0.0  # between two frames of the source, as it says itself; 0 where it is not known

    @property
    def captured_s(self) -> float:
        """When its way began, on the same clock: as long before it went on as its decoding took, as if it had come from a camera then."""
        return (self.decoded_s if self.released_s is None else self.released_s) - self.decode_ms / 1e3

    @property
    def size_hw(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True, slots=True)
class Span:
    """When something was done for a frame."""

    name: str  # of TIMED
    start_s: float  # by time.perf_counter
    ms: float
    track: str = "pipeline"  # whose time it was: capture, pipeline, or the worker of the deep stages


@dataclass(frozen=True, slots=True)
class Key:
    """The cache: the deep context, and what is remembered of the frame that it was computed from. The tensors are its own copies."""

    index: int
    time_s: float
    segment: int
    size_hw: tuple[int, int]  # of the frame
    own: Tensors = field(default_factory=dict)  # low's tensors of that frame that are fed back, by the name of the input that takes them
    seen: Array | None = None  # what the propagation remembers of its picture
    context: Tensors = field(default_factory=dict)  # empty while `high` has not run
    spans: tuple[Span, ...] = ()  # when the stages ran that made it
    newer: "Key | None" = None  # what `mid` alone has made since, of a later frame; the context is without it

    @property
    def parts(self) -> tuple["Key", ...]:
        """Whose contexts together are the cached one, the newest last."""
        return (self, self.newer) if self.newer else (self,)


@dataclass(frozen=True, slots=True)
class View:
    """All that a schedule may know of a frame for which the cache is valid."""

    index: int  # of the frame
    age_frames: int  # >= 1, from the frame that the cache was computed from to this one
    score: float | None  # predicted share of pixels whose label differs from the key frame's; None where the network does not say
    changed: float  # share of label pixels that differ between the last frame and the first one shown with this cache
    last_ms: float  # how long the last frame took, its overlay included
    key_ms: float  # the same of the last frame that had a refresh to bear, in it or beside it
    other_ms: float | None  # and of the last that had none
    mid_age_frames: int  # age_frames, or less where `mid` has run alone since
    segment: int = 0  # of the frame


class Phrase(str):
    """A line for people, in English, that remembers its form and its values, so that the window can say it in another language."""

    __slots__ = ("form", "values")  # a window keeps two of them for each of 18,000 frames
    form: str
    values: tuple[object, ...]

    def __new__(cls, form: str, *values: object) -> Self:
        made = super().__new__(cls, form.format(*values))
        made.form, made.values = form, values
        return made


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the deep stage runs for this frame, and why."""

    run_high: bool  # and with it every other stage whose output is cached
    reason: Reason
    text: str  # for people: a Phrase, but where it was read from the record of another run
    score: float | None = None  # what was compared
    threshold: float | None = None  # and with what
    run_mid: bool = False  # that stage alone


Corridor = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""Where the car is about to drive: its left foot, its right foot, and the apex in which both sides meet, each x and y from 0 to 1 of the
picture's width and height, counted from its top left corner."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the labels say of the road in front of the car; rows and points in the pixels of a picture of `size_hw`, from its top left."""

    size_hw: tuple[int, int]
    corridor: Corridor
    polygon: tuple[tuple[float, float], ...]  # x, y of the corners of the free space, along the pixels' edges; empty where there is none
    share: float | None  # 0..1, of the corridor's pixels those that are road, void left out; None where all are void
    row: int | None  # where the free part of the corridor ends: the lowest row that is not free; None where it is free up to its top
    obstacle: int | None  # the class that is there
    persons: int  # label pixels of people in the corridor
    person_row: int | None  # the lowest of them
    seen: bool  # so many that they are a person, in this frame alone (network.ahead.SEEN)
    person: bool = False  # somebody is there, by a rule that a flicker does not meet (network.ahead.Presence)
    event: Literal["begin", "end"] | None = None  # `person` is another one than in the frame before


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure the network is of a frame's labels, at its label size. The arrays are the result's own."""

    steps: Array  # uint8 (h, w): the label's softmax probability from 0 to 1 in STEPS, rounded down (Hendrycks, Gimpel 2017)
    runner_up: Labels  # (h, w) ids of the class that came second

    @property
    def mean(self) -> float:
        """0..1, over the picture."""
        return float(self.steps.mean()) / STEPS


@dataclass(frozen=True, slots=True)
class Result:
    """What the program knows about one frame, for every sink."""

    frame: Frame
    labels: Labels  # at the network's label size, or refined at the frame's; enlarge by nearest neighbour
    overlay: Image | None  # at the frame's size; None when no sink wants it
    decision: Decision
    age_frames: int  # frames between the one that the context in use was computed from and this one
    age_ms: float
    cold: bool = False  # nothing cached was valid: the frame had to wait for its own `high`, in every mode
    latency_ms: Mapping[str, float] = field(default_factory=dict)  # by TIMED, and "total": frame to labels
    spans: tuple[Span, ...] = ()
    dropped: int = 0  # frames that the source lost so far
    classes: tuple[str, ...] = ()  # the names behind the ids
    ahead: Ahead | None = None  # where a corridor is given
    confidence: Confidence | None = None  # of the labels as the network gave them; None where it is not asked for

    @property
    def is_key(self) -> bool:
        """`high` ran for this frame, or was started."""
        return self.decision.run_high

    @property
    def kind(self) -> str:
        """Of KINDS."""
        return "cold" if self.cold else "key" if self.is_key else "other"

    @property
    def total_ms(self) -> float:
        return self.latency_ms["total"]

    @property
    def high_ms(self) -> float | None:
        """Of the refresh whose context came into use with this frame; None when none did. In `total` only when the frame waited for it."""
        ms = self.latency_ms.get("high")
        return None if ms is None else ms + self.latency_ms.get("mid", 0.0)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    name: str  # what a person calls it: the path, "camera 0", "demo:"
    size_hw: tuple[int, int]
    fps: float  # nominal; frames carry their own times
    live: bool  # a camera or stream that does not wait: late frames are dropped
    frame_count: int | None = None  # None when it is not known or has no end
    labelled: bool = False  # frames carry the truth
    classes: tuple[str, ...] = ()  # names behind its ids; empty when the source does not know them and they are taken for the model's
    epoch_ns: int | None = None  # when `time_s` was 0, since 1970; None where the source does not know


class Closing(Protocol):
    """A context manager that closes itself at its end."""

    def close(self) -> None:
        """Idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Away:
    """A stream's server that cannot be reached, and is tried again and again."""

    name: str  # the source's, without passwords
    since_s: float  # by time.time
    tries: int  # so far

    @property
    def since(self) -> str:
        """As a clock on the wall shows it."""
        return time.strftime("%H:%M:%S", time.localtime(self.since_s))


class Source(Closing, Protocol):
    """`read` blocks, and is called from the capture thread alone."""

    @property
    def info(self) -> SourceInfo: ...

    def read(self) -> Frame | None:
        """The next frame, or None at the end. Raises SourceError when the source breaks."""


@runtime_checkable
class Seekable(Protocol):
    """A source that can go to any of its frames."""

    def seek(self, index: int) -> None:
        """The next `read` gives the frame of this index, clamped to 0..frame_count-1: the same picture and time as reading up to it.

        Called from the capture thread alone. Raises SourceError when the source breaks.
        """


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
    int8: bool | None  # whether quantised stages are to run: None leaves it to the bundle's card, and to what is faster here

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> Stage:
        """Compiles one stage with its inputs fixed to the shapes given. Raises BackendError."""


class Deep(Protocol):
    """The stages whose outputs are cached, at one input size. Called from one thread at a time."""

    def __call__(self, stage: StageName, tensors: Tensors) -> Tensors:
        """One of Network.cached, from what `low` gave (Network.deep_takes are enough) and those before it put out; the caller's own."""

    def close(self) -> None: ...


class Network(Closing, Protocol):
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
        """What a person has to know about which network this is and how a frame comes into it, once it is fitted; empty for nothing."""

    @property
    def input_hw(self) -> tuple[int, int]:
        """The size of `low`'s picture, since the last `fit`; the frames' own where the backend reduces them."""

    @property
    def change(self) -> str:
        """The tensor of `low` that is compared from frame to frame (cache.change)."""

    @property
    def cut(self) -> float:
        """A larger change than this is another scene."""

    @property
    def sure(self) -> float | None:
        """0..1: a drive with a smaller mean confidence is unlike what was learned; None where that is not known."""

    @property
    def score(self) -> str | None:
        """The tensor of `low` with View.score, a single number; None where there is none."""

    @property
    def cached(self) -> tuple[StageName, ...]:
        """The stages whose outputs are cached, in the order in which they run: `high`, and before it `mid` where there is one."""

    @property
    def confidence(self) -> Confidence | None:
        """In the labels that `head` gave last; None where it was not asked for."""

    @property
    def deep_takes(self) -> tuple[str, ...]:
        """The tensors of `low` that the cached stages read; the picture counts as one."""

    @property
    def deep_gives(self) -> tuple[str, ...]:
        """The tensors of the cached stages that are the context; what only the next of them reads is not."""

    def fit(self, frame_hw: tuple[int, int]) -> None:
        """Makes ready for frames of this size; free when the input stays the same. Raises BackendError, UsageError."""

    def low(self, image: Image, own: Tensors) -> Tensors:
        """What is computed on every frame, from a picture (1, H, W, 3) and the key's own tensors, {} for none; good until the next call.

        The picture itself is among it where the cached stages read it (deep_takes).
        """

    def keep(self, low: Tensors) -> Tensors:
        """A key's own tensors, should this frame become one: copies."""

    def deep(self, stage: StageName, tensors: Tensors) -> Tensors:
        """What is not computed on every frame, stage by stage, as Deep says."""

    def copy_deep(self, backend: Backend) -> Deep:
        """The same once more, compiled for the size that was fitted, for another thread; the caller's to close. Raises BackendError."""

    def head(self, low: Tensors, context: Tensors, fresh: bool) -> Labels:
        """(h, w) class ids at the network's label size, from low's tensors and the key's (context and own); the caller's own.

        `fresh`: the context was computed from this very frame.
        """


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
