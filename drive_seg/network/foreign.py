"""Any ONNX segmentation network as the pipeline's engine: no card, no stages, one picture in and one score map or label map out.

The whole network is `high`, so that every-frame and clockwork:N work: between key frames the labels are held.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from drive_seg.classes import VOID, ClassName, palette
from drive_seg.contracts import (
    CONFIDENCE,
    RUNNER_UP,
    STEPS,
    Array,
    Backend,
    Closing,
    Confidence,
    Image,
    Labels,
    OnnxFile,
    Port,
    Stage,
    StageName,
    Telling,
    Tensors,
    TensorSpec,
)
from drive_seg.errors import BackendError, UsageError
from drive_seg.network.card import MOST
from drive_seg.network.loaded import Loaded
from drive_seg.network.postprocess import argmax
from drive_seg.network.preprocess import input_size, to_input
from drive_seg.network.propagate import FOR_ALL, HOLD

MULTIPLE = 32  # of an open input's height and width: the deepest stride that is common
SCENE_HW = (48, 64)
EXACT = 1e-2  # by which half precision may leave the range of probabilities
CUT = 0.6  # of `cache.change` between `scene`s: neighbours at 5 to 30 Hz reached .41, cuts began at .77 (docs/measured.md)
PIXEL_FORMAT = "image.bitmappixelformat"  # ONNX's own key for the channels' order (docs/MetadataProps.md), in lower case
Channels = Literal["rgb", "bgr"]
Three = tuple[float, float, float]
Layout = Literal["NCHW", "NHWC"]
DTYPES = ("float32", "float16", "uint8")


@dataclass(frozen=True, slots=True)
class Foreign:
    """A network and what its file does not have to say, put together by `describe`."""

    file: OnnxFile
    names: tuple[ClassName, ...]  # by id, as far as the last that is a class
    outputs: range  # how many scores a pixel may have: void's lines at the names' end may have one, or none
    layout: Layout
    channels: Channels
    mean: Three  # of the input's channels, in its own range: (value - mean) / std
    std: Three
    scale: float  # of the brightest pixel, before mean and std
    size_hw: tuple[int, int] | None  # of an open input; None: the frame's own, rounded to MULTIPLE

    @property
    def input(self) -> Port:
        return self.file.inputs[0]

    @property
    def name(self) -> str:
        return Path(self.file.path).name

    @property
    def fixed_hw(self) -> tuple[int | None, int | None]:
        dims = self.input.dims or ()
        return (dims[2], dims[3]) if self.layout == "NCHW" else (dims[1], dims[2])


def is_onnx(model: str) -> bool:
    """Whether --model names such a network's file."""
    return Path(model).suffix.lower() == ".onnx"


def describe(
    file: OnnxFile,
    names: tuple[ClassName, ...],
    mean: Three | None = None,
    std: Three | None = None,
    channels: Channels | None = None,
    size_hw: tuple[int, int] | None = None,
    scale: float | None = None,
) -> Foreign:
    """What is given wins over the file's metadata, and that over RGB from 0 to 1, or to 255 where a mean or deviation is above 1.

    Metadata: `mean` and `std`, three numbers with commas, in the order of the network's channels; `Image.BitmapPixelFormat` Rgb8 or
    Bgr8. Raises BackendError for a network of another kind, naming the tensor, and UsageError for options that do not fit it.
    """
    where = Path(file.path).name
    for what, ports in (("input", file.inputs), ("output", file.outputs)):
        if len(ports) != 1:
            raise BackendError(f"{where} has {len(ports)} {what}s, {', '.join(map(str, ports))}; export it again with one")
    image = file.inputs[0]
    layout = _layout(where, image)
    if image.dtype not in DTYPES:
        raise BackendError(f"{where}: the input {image} is none of {', '.join(DTYPES)}; export it again with one of them")
    metadata = {key.lower(): value for key, value in file.metadata.items()}
    mean = mean or _three(where, metadata, "mean")
    std = std or _three(where, metadata, "std")
    if std and not (min(std) > 0 and all(map(math.isfinite, std))):
        raise UsageError(f"{where}: std is {_numbers(std)}; give three numbers above 0 with --std")
    if mean and not all(map(math.isfinite, mean)):
        raise UsageError(f"{where}: mean is {_numbers(mean)}; give three numbers with --mean")
    if image.dtype == "uint8" and (mean or std or scale):
        raise UsageError(f"{where}: mean, std and scale are not for a uint8 input, {image}, which normalises by itself; leave them out")
    pixels: Channels = "bgr" if metadata.get(PIXEL_FORMAT, "").lower().startswith("bgr") else "rgb"
    known = max(i for i, entry in enumerate(names, 1) if not entry.void)
    outputs = range(known, len(names) + 1)
    mean, std = mean or (0.0, 0.0, 0.0), std or (1.0, 1.0, 1.0)
    scale = scale or (255.0 if max(*mean, *std) > 1 else 1.0)
    foreign = Foreign(file, names[:known], outputs, layout, channels or pixels, mean, std, scale, size_hw)
    if size_hw and any(fixed not in (None, wanted) for fixed, wanted in zip(foreign.fixed_hw, size_hw, strict=True)):
        raise UsageError(f"--input-size {size_hw[1]}x{size_hw[0]}: {where} takes {image} only; leave the flag out")
    return foreign


def _layout(where: str, image: Port) -> Layout:
    dims = image.dims or ()
    if any(dim is not None and not 1 <= dim <= MOST for dim in dims):
        raise BackendError(
            f"{where}: the input {image} has a side that is not from 1 to {MOST}; export it again with one that fits a picture"
        )
    if len(dims) == 4 and dims[0] in (None, 1):
        if dims[1] == 3:
            return "NCHW"
        if dims[3] == 3:
            return "NHWC"
    raise BackendError(f"{where}: the input {image} is not one picture of 3 channels, [1, 3, h, w] or [1, h, w, 3]; export it again as one")


def _three(where: str, metadata: Mapping[str, str], key: str) -> Three | None:
    if key not in metadata:
        return None
    try:
        one, two, three = (float(part) for part in metadata[key].strip("[]() ").split(","))
    except ValueError as error:
        raise BackendError(f"{where}: its metadata {key!r} is {metadata[key]!r}, not three numbers with commas; give --{key}") from error
    return one, two, three


@dataclass(frozen=True, slots=True)
class Output:
    """How class ids are read from the network's only output at one input size."""

    tensor: str
    classes_axis: int | None  # of the scores; None for labels, and for one probability
    void: tuple[int, ...]  # ids that mean no class
    probability: bool = False  # one channel from 0 to 1: that of the second of two classes

    def labels(self, value: Array, least_hw: tuple[int, int]) -> Labels:
        """(h, w) ids. Scores smaller than `least_hw` are enlarged to it before they are compared: labels' edges would be coarse."""
        if self.probability:
            return self.ids(self._half(value, least_hw) > 0.5)
        return self.ids(flat(value) if self.classes_axis is None else argmax(self._planes(value, least_hw)))

    def ids(self, ids: Array) -> Labels:
        """Whole numbers (h, w) as labels: what is no class is void."""
        labels = np.where((ids >= 0) & (ids < VOID), ids, VOID).astype(np.uint8)
        for void in self.void:
            labels[labels == void] = VOID
        return labels

    def confidence(self, value: Array, least_hw: tuple[int, int]) -> tuple[Array, Labels]:
        """Of `labels` from scores, or one probability: uint8 (h, w) in STEPS, and the class that came second."""
        if self.probability:
            half = self._half(value, least_hw)
            share, second = np.maximum(half, 1 - half), half <= 0.5
        else:
            share, second = second_best(np.stack(list(self._planes(value, least_hw))))
        return (share * STEPS).clip(0, STEPS).astype(np.uint8), self.ids(second)

    def _planes(self, value: Array, least_hw: tuple[int, int]) -> Iterator[Array]:
        assert self.classes_axis is not None
        scores = np.moveaxis(value[0], self.classes_axis - 1, 0)
        size_hw = (max(scores.shape[1], least_hw[0]), max(scores.shape[2], least_hw[1]))
        return (_plane(plane, size_hw) for plane in scores)

    def _half(self, value: Array, least_hw: tuple[int, int]) -> Array:
        plane = flat(value)
        least, most = float(plane.min()), float(plane.max())
        if not -EXACT <= least <= most <= 1 + EXACT:
            raise BackendError(
                f"the output {self.tensor!r} has values from {least:.3g} to {most:.3g}, which are no probabilities; export it again with a "
                "sigmoid behind it, or with a channel for each class"
            )
        size_hw = (max(plane.shape[0], least_hw[0]), max(plane.shape[1], least_hw[1]))
        return _plane(plane, size_hw)


def read_output(foreign: Foreign, spec: TensorSpec, input_hw: tuple[int, int]) -> Output:
    """Which of the forms that are understood the output has, and whether the names fit it.

    One channel of floats is the probability of the second of two classes. Raises BackendError naming the tensor, UsageError
    naming both counts.
    """
    shape, whole = spec.shape, np.issubdtype(np.dtype(spec.dtype), np.integer)
    void = tuple(i for i, entry in enumerate(foreign.names) if entry.void)
    if not all(1 <= size <= MOST for size in shape):
        raise BackendError(
            f"{foreign.name}: the output {spec.name!r} {list(shape)} has a side that is not from 1 to {MOST}; export it again"
        )
    if whole and shape[:1] == (1,) and (len(shape) == 3 or (len(shape) == 4 and 1 in (shape[1], shape[3]))):
        return Output(spec.name, None, void)
    if whole or len(shape) != 4 or shape[0] != 1:
        raise BackendError(
            f"{foreign.name}: the output {spec.name!r} ({spec.dtype} {list(shape)}) is neither scores [1, classes, h, w] or "
            "[1, h, w, classes] nor whole-numbered labels [1, h, w]; export it again as one of them"
        )
    if 1 in (shape[1], shape[3]) and 2 in foreign.outputs:
        return Output(spec.name, None, void, probability=True)
    fitting = [axis for axis in (1, 3) if shape[axis] in foreign.outputs]
    axis = min(fitting or (1, 3), key=lambda axis: _distortion(shape, axis, input_hw))
    if not fitting:
        raise UsageError(
            f"{foreign.name}: the output {spec.name!r} ({spec.dtype} {list(shape)}) has {shape[axis]} classes, but there are "
            f"{foreign.outputs[-1]} class names; give one a line for each"
        )
    return Output(spec.name, axis, void)


def flat(value: Array) -> Array:
    """(1, h, w), (1, 1, h, w) or (1, h, w, 1) as (h, w)."""
    return value[0] if value.ndim == 3 else np.squeeze(value, (0, 1 if value.shape[1] == 1 else 3))


def second_best(scores: Array) -> tuple[Array, Array]:
    """Of float32 (classes, h, w), which are overwritten: the best one's probability, and the position of the second.

    Scores that are probabilities already (0 to 1, together 1) are taken as they are, others by softmax.
    """
    best, sums = scores.max(0), scores.sum(0)
    known = scores.min() >= -EXACT and np.abs(sums - 1).max() <= EXACT
    share = best / sums if known else 1 / np.exp(scores - best).sum(0)
    np.put_along_axis(scores, scores.argmax(0)[None], -np.inf, 0)
    return share, scores.argmax(0)


def _distortion(shape: Sequence[int], axis: int, input_hw: tuple[int, int]) -> float:
    height, width = (shape[2], shape[3]) if axis == 1 else (shape[1], shape[2])
    return abs(math.log(height / width * input_hw[1] / input_hw[0]))


def _plane(plane: Array, size_hw: tuple[int, int]) -> Array:
    plane = np.ascontiguousarray(plane, np.float32)
    return plane if plane.shape == size_hw else np.asarray(cv2.resize(plane, size_hw[::-1], interpolation=cv2.INTER_LINEAR))


class Normaliser:
    """A BGR picture to the network's input. Owns the array that it returns, and overwrites it on the next call."""

    def __init__(self, foreign: Foreign, size_hw: tuple[int, int]) -> None:
        self._planar = foreign.layout == "NCHW"
        self._reverse = foreign.channels == "rgb"
        self._tables = None if foreign.input.dtype == "uint8" else tables(foreign.mean, foreign.std, foreign.scale)
        self.input = np.zeros((1, 3, *size_hw) if self._planar else (1, *size_hw, 3), foreign.input.dtype)

    def __call__(self, image: Image) -> Array:
        """From (1, H, W, 3)."""
        planes: list[Array] = list(cv2.split(image[0]))[:: -1 if self._reverse else 1]
        if self._tables:
            # a pixel has 256 values: a table takes a tenth of the time of numpy's arithmetic on interleaved channels
            planes = [np.asarray(cv2.LUT(plane, table)) for plane, table in zip(planes, self._tables, strict=True)]
        if self._planar:
            np.stack(planes, out=self.input[0], casting="same_kind")
        else:
            self.input[0] = cv2.merge(planes)
        return self.input


def tables(mean: Three, std: Three, scale: float) -> list[Array]:
    """For each channel what 0..255 become: pixels from 0 to `scale`, less the mean, by the deviation."""
    pixels = np.arange(256) * (scale / 255)
    return [((pixels - m) / s).astype(np.float32) for m, s in zip(mean, std, strict=True)]


def scene(image: Image) -> Array:
    """(1, H, W, 3) to float32 (1, 1, 48, 64): the picture's brightness, coarse, without its mean and contrast."""
    grey = cv2.cvtColor(to_input(image[0], SCENE_HW)[0], cv2.COLOR_BGR2GRAY).astype(np.float32)
    return np.asarray((grey - grey.mean()) / (grey.std() + 8), np.float32)[None, None]


class Whole:
    """The whole network as a Deep (contracts.py): {"labels": (h, w) uint8}, and where it tells them CONFIDENCE and RUNNER_UP."""

    def __init__(
        self,
        foreign: Foreign,
        backend: Backend,
        size_hw: tuple[int, int],
        telling: Telling | None,
        loaded: Loaded,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """`loaded` and `turn`: as for engine.DeepStages."""
        self._loaded, self._turn = loaded, turn or nullcontext()
        self._input, self._normalise, self._tells = foreign.input.name, Normaliser(foreign, size_hw), telling is not None
        self._whole = np.issubdtype(np.dtype(foreign.file.outputs[0].dtype), np.integer)  # which compares scores itself
        path, labels = foreign.file.path, foreign.file.outputs[0].name
        shape = self._normalise.input.shape

        def load() -> Stage:
            with telling(path, labels) if telling and self._whole else nullcontext(path) as file:
                return backend.load(file, {self._input: shape})

        self._stage: Stage | None = loaded.load((backend, path, shape), load)
        spec = next(spec for spec in self._stage.outputs if spec.name == labels)
        self._output = read_output(foreign, spec, size_hw)
        self._least_hw = (size_hw[0] // 2, size_hw[1] // 2)  # half size costs less than .001 mIoU, and full size four times as much

    def __call__(self, stage: StageName, tensors: Tensors) -> Tensors:
        assert self._stage is not None
        with self._turn:
            return self._read(self._stage({self._input: self._normalise(tensors["image"])}))

    def _read(self, outputs: Tensors) -> Tensors:
        labels = self._output.labels(scores := outputs[self._output.tensor], self._least_hw)
        if not self._tells:
            return {"labels": labels}
        if self._whole:
            steps, second = flat(outputs[CONFIDENCE]).astype(np.uint8), self._output.ids(flat(outputs[RUNNER_UP]))
        else:
            steps, second = self._output.confidence(scores, self._least_hw)
        return {"labels": labels, CONFIDENCE: steps, RUNNER_UP: second}

    def close(self) -> None:
        if self._stage:
            self._loaded.close(self._stage)
            self._stage = None


class ForeignEngine(Closing):
    """A Network (contracts.py) of one ONNX file. Owned by one thread."""

    change, cut, sure, score = "scene", CUT, None, None
    cached: tuple[StageName, ...] = ("high",)
    deep_takes = ("image",)

    def __init__(
        self,
        foreign: Foreign,
        backend: Backend,
        propagation: str = HOLD,
        telling: Telling | None = None,
        loaded: Loaded | None = None,
    ) -> None:
        """`telling` and `loaded`: as for an Engine. Raises UsageError for a propagation that needs a network of its own."""
        if propagation not in FOR_ALL:  # its labels are the context
            raise UsageError(f"--propagation {propagation}: {foreign.name} has no such; it has {', '.join(FOR_ALL)}")
        self.foreign, self.backend = foreign, backend
        self.name, self.input_hw = foreign.name, (0, 0)
        self.classes = tuple(entry.name for entry in foreign.names)
        self.palette = palette(foreign.names)
        self.deep_gives = ("labels", CONFIDENCE, RUNNER_UP) if telling else ("labels",)
        self.confidence: Confidence | None = None
        self._propagation, self._telling, self._loaded = propagation, telling, loaded or Loaded()
        self._whole: Whole | None = None

    def again(self) -> "ForeignEngine":
        """As Engine.again."""
        return ForeignEngine(self.foreign, self.backend, self._propagation, self._telling, self._loaded)

    def fit(self, frame_hw: tuple[int, int]) -> None:
        foreign = self.foreign
        open_hw = foreign.size_hw or input_size(frame_hw, frame_hw, MULTIPLE)
        wanted = (foreign.fixed_hw[0] or open_hw[0], foreign.fixed_hw[1] or open_hw[1])
        if wanted != self.input_hw:
            self.close()
            self._whole = Whole(foreign, self.backend, wanted, self._telling, self._loaded)
            self.input_hw = wanted
        self._frame_hw = frame_hw

    @property
    def note(self) -> str:
        """How this network sees the frames that it was fitted to."""
        foreign, (height, width), (frame_height, frame_width) = self.foreign, self.input_hw, self._frame_hw
        floats = f"0 to {foreign.scale:g}, mean {_numbers(foreign.mean)}, std {_numbers(foreign.std)}"
        values = "uint8" if foreign.input.dtype == "uint8" else floats
        keeps_shape = 0.95 < frame_width / frame_height * height / width < 1.05
        squeezed = "" if keeps_shape else f"; frames of {frame_width}x{frame_height} are squeezed to that"
        return f"{foreign.name} sees {width}x{height} {foreign.channels.upper()}, {values}{squeezed}"

    def low(self, image: Image, own: Tensors) -> Tensors:
        """Nothing of the network: the picture itself, and what tells a scene cut."""
        return {"image": image, "scene": scene(image)}

    def keep(self, low: Tensors) -> Tensors:
        return {}

    def deep(self, stage: StageName, tensors: Tensors) -> Tensors:
        if self._whole is None:
            raise BackendError(f"{self.name} was not fitted to a frame's size")
        return self._whole(stage, tensors)

    def copy_deep(self, backend: Backend) -> Whole:
        return Whole(self.foreign, backend, self.input_hw, self._telling, self._loaded, self._loaded.turn)

    def head(self, low: Tensors, context: Tensors, fresh: bool) -> Labels:
        if self._telling:
            self.confidence = Confidence(np.array(context[CONFIDENCE], np.uint8), np.array(context[RUNNER_UP], np.uint8))
        return np.array(context["labels"], np.uint8)

    def close(self) -> None:
        if self._whole:
            self._whole.close()
        self._whole, self.input_hw = None, (0, 0)


def _numbers(three: Three) -> str:
    return ",".join(f"{value:g}" for value in three)
