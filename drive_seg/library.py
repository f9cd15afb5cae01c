"""The program as a library: frames in, labels out, by the source, engine, cache and schedule with which the program itself runs."""

import itertools
import warnings
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg import contracts
from drive_seg.contracts import Closing, Frame, Image, Labels, SourceInfo
from drive_seg.errors import DriveSegError, UsageError
from drive_seg.network.card import Bundle
from drive_seg.network.foreign import Foreign
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.postprocess import at_size, shares
from drive_seg.network.refresh import hangs
from drive_seg.overlay import Painter, usual_look
from drive_seg.session import opening
from drive_seg.settings import DEFAULT_MODEL, Settings
from drive_seg.sources import open_source
from drive_seg.watchdog import Aside

__all__ = ["DriveSegError", "Frame", "Frames", "Result", "Segmenter", "frames", "load"]

ARRAYS_FPS = 30.0  # of arrays given with stream=True, which have no time of their own
_segments = itertools.count(1)  # every drive that `frames` gives, and every still picture, has its own: nothing cached passes between them


def load(
    model: str | Path = DEFAULT_MODEL,
    *,
    labels: str | Path | Sequence[str] | None = None,
    schedule: str = "every-frame",
    mode: str = "sync",
    propagation: str = "hold",
    backend: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    input_size: tuple[int, int] | None = None,
    refine: bool | str = False,
    confidence: bool = False,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    channels: Literal["rgb", "bgr"] | None = None,
    scale: float | None = None,
) -> "Segmenter":
    """A network, made ready to label frames. Every argument is the program's flag of the same name (`drive-seg run --help`).

    `model` is the name of a bundle (`drive-seg models` lists them), its folder (with a slash in it, or a Path), or an ONNX network:
    then `labels` are its classes, a file with one a line or the lines themselves, `name` or `name #rrggbb`; `mean`, `std`, `channels`
    and `scale` are what its input wants. `input_size` is (width, height) in pixels, `refine` "edges" (or True) or "smooth". Everything
    is checked here, but compiled when the first frame comes, whose size it is for.

    Raises UsageError for what cannot be meant, BundleError for a bundle that is not whole, BackendError for a backend that cannot run:
    all of them DriveSegErrors, one line that says what to do. Warns where the name means one of several bundles.

    >>> import drive_seg
    >>> with drive_seg.load(schedule="clockwork:4") as segmenter:
    ...     print(*segmenter.classes[:4])
    sky building pole road
    """
    given = {
        "model": str(model.absolute()) if isinstance(model, Path) else model,  # a Path is never a name
        "class_names": Path(labels) if isinstance(labels, str) else labels,
        "schedule": schedule, "mode": mode, "propagation": propagation, "backend": backend, "device": device, "precision": precision,
        "threads": threads, "input_size": input_size, "refine": refine, "confidence": confidence,
        "mean": mean, "std": std, "channels": channels,
        "scale": scale,
    }  # fmt: skip
    settings = Settings.load(None, given)
    opening.open_schedule(settings)  # what cannot be meant is told before the bundle is read
    found = opening.find_model(settings)
    if isinstance(found, Bundle) and found.note:
        warnings.warn(found.note, stacklevel=2)
    return Segmenter(found, settings)


def frames(source: str | int | Path, *, loop: bool = False, realtime: bool = False) -> "Frames":
    """The frames of a source, read one ahead in a thread of its own.

    `source` is what --source takes: a camera's number or /dev/videoN, a video file, a folder or glob of pictures, rtsp://…, http://…,
    or demo:. With `loop` what has an end begins again there, its frames' indices and times too. With `realtime` a file keeps its own
    pace, and what comes too late is lost, as it always is with cameras and streams. Raises UsageError, and SourceError for what cannot
    be opened.

    >>> import drive_seg
    >>> for frame in drive_seg.frames("demo:?seed=7&size=320x240&frames=2"):
    ...     print(frame.index, round(frame.time_s, 3), frame.image.shape, frame.image.dtype)
    0 0.0 (240, 320, 3) uint8
    1 0.033 (240, 320, 3) uint8
    """
    return Frames(opening.open_capture(open_source(str(source), loop=loop), paced=realtime, loop=loop))


class Frames(Closing):
    """An iterator of Frame, until the source ends; raises SourceError when it breaks. Closed by its end, `with`, or when it is forgotten.

    A Frame has `image`, uint8 HxWx3 BGR, which may not be written to; `index`, the source's count from 0, with gaps where frames were
    lost; `time_s`, seconds on the source's own clock; and `labels`, the truth as uint8 HxW ids, where the source knows it.

    >>> import drive_seg
    >>> with drive_seg.frames("demo:?size=320x240&frames=90") as drive:
    ...     print(drive.info.size_hw, drive.info.fps, next(drive).index)
    (240, 320) 30.0 0
    """

    def __init__(self, capture: Any) -> None:
        self._capture, self._frames = capture, iter(capture)
        self._theirs: int | None = None
        self._segment = 0

    @property
    def info(self) -> SourceInfo:
        """Name, size_hw (height, width), fps, live, frame_count (None when unknown), and whether frames are labelled."""
        info: SourceInfo = self._capture.source.info
        return info

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        frame: Frame = next(self._frames)
        if frame.segment != self._theirs:
            self._theirs, self._segment = frame.segment, next(_segments)
        return replace(frame, segment=self._segment)

    def close(self) -> None:
        """Ends the thread and closes the source. Idempotent."""
        self._capture.close()

    def __del__(self) -> None:
        self.close()


class Segmenter(Closing):
    """A loaded network with its cache and schedule: call it with one frame after the other. Made by `load`; used by one thread at a time.

    >>> import drive_seg
    >>> with drive_seg.load(schedule="clockwork:2", propagation="flow") as segmenter:
    ...     for frame in drive_seg.frames("demo:?seed=7&size=320x240&frames=4"):
    ...         print(frame.index, segmenter(frame).is_key)
    0 True
    1 False
    2 True
    3 False
    """

    def __init__(self, model: Bundle | Foreign, settings: Settings) -> None:
        """Raises UsageError, BackendError."""
        network = opening.check(model, settings)
        self.classes: tuple[str, ...] = network.classes  # by id
        self.palette: tuple[tuple[int, int, int], ...] = network.palette  # RGB by id
        self._model, self._settings = model, settings
        self._pipeline: Pipeline | None = None
        self._aside = Aside("segmenter", partial(hangs, network))  # where the network runs: one that never returns would keep the caller's
        weakref.finalize(self, self._aside.leave)
        self._closed = self._streaming = False
        self._segment, self._count = 0, itertools.count()  # of arrays

    def __call__(self, frame: Frame | Image, *, stream: bool = False) -> "Result":
        """The labels of one frame.

        A Frame is taken for the next one of its drive: what is cached is used unless it jumped, and its own count and time tell how
        old that is. A bare array, uint8 HxWx3 BGR (what OpenCV reads) of any size, is one still picture for which nothing cached is
        used; with `stream` it is the next frame of a drive at 30 a second. It is copied: the caller may write to it again.

        Raises UsageError for another kind of array, or when closed; BackendError when the network fails, or hangs for 10 seconds.

        >>> import drive_seg, numpy
        >>> picture = numpy.full((240, 320, 3), 128, numpy.uint8)
        >>> with drive_seg.load(schedule="clockwork:2") as segmenter:
        ...     print([segmenter(picture).is_key for _ in range(3)], [segmenter(picture, stream=True).is_key for _ in range(3)])
        [True, True, True] [True, False, True]
        """
        if self._closed:
            raise UsageError("this segmenter is closed; load another")
        if isinstance(frame, Frame):
            frame = replace(frame, image=np.ascontiguousarray(check_picture(frame.image)))  # not a copy where OpenCV can read it
            self._streaming = False
        else:
            frame = self._numbered(np.array(check_picture(frame), order="C"), stream)
        return Result(self._aside(partial(self._step, frame)), self.classes, self.palette)

    def _step(self, frame: Frame) -> contracts.Result:
        if self._pipeline is None:
            self._pipeline = opening.open_pipeline(self._model, self._settings, frame.size_hw)
            self._pipeline.watched = self._aside.watched
        return self._pipeline.step(frame)

    def _numbered(self, image: Image, stream: bool) -> Frame:
        if not (stream and self._streaming):
            self._segment = next(_segments)
        self._streaming = stream
        index = next(self._count)
        return Frame(image, index, index / ARRAYS_FPS, segment=self._segment)

    @property
    def runs(self) -> Mapping[str, str]:
        """What really runs: model, backend, precision, device, schedule, mode, propagation. Empty before the first frame."""
        return self._pipeline.runs if self._pipeline else {}

    def close(self) -> None:
        """Frees the network, unless it hangs. Idempotent."""
        pipeline, self._pipeline, self._closed = self._pipeline, None, True
        if pipeline and not self._aside.hangs:
            self._aside(pipeline.close)
        self._aside.close()


class Result:
    """What is known of one frame. In a notebook it shows itself as the overlay.

    >>> import drive_seg
    >>> with drive_seg.load() as segmenter:
    ...     result = segmenter(next(drive_seg.frames("demo:?seed=7&size=320x240")))
    >>> result.labels.shape, result.labels.dtype, result.network_labels.shape
    ((240, 320), dtype('uint8'), (180, 240))
    >>> result.overlay().shape, result.masks()["road"].dtype
    ((240, 320, 3), dtype('bool'))
    >>> 0.1 < result.areas["road"] < 0.9, result.is_key, result.latency_ms > 0
    (True, True, True)
    """

    def __init__(self, details: contracts.Result, classes: tuple[str, ...], palette: tuple[tuple[int, int, int], ...]) -> None:
        self.details = details  # all that the program itself knows: the decision and its reason, times by stage, the age (contracts.py)
        self.classes = classes  # by id
        self.palette = palette  # RGB by id

    @property
    def frame(self) -> Frame:
        """What was labelled."""
        return self.details.frame

    @property
    def network_labels(self) -> Labels:
        """uint8 (h, w) ids as the network gives them, most often at half its input's size (with `refine` at the frame's); read-only."""
        labels = self.details.labels.view()
        labels.flags.writeable = False
        return labels

    @property
    def labels(self) -> Labels:
        """uint8 HxW ids at the frame's size, by nearest neighbour: `classes[id]`; another id is no class. Each time a new array."""
        return np.array(at_size(self.details.labels, self.frame.size_hw))

    def overlay(self, opacity: float = 0.5) -> Image:
        """The frame under its labels, uint8 HxWx3 BGR, the caller's own. `opacity`: 0 is the frame, 1 the mask. Raises UsageError.

        In the colours of the program's window and recordings: clear ones for what drives show, unless the classes have their own.
        """
        if not 0 <= opacity <= 1:
            raise UsageError(f"an opacity of {opacity}: give 0 to 1")
        return Painter(usual_look(self.classes, self.palette, opacity)).paint(self.frame.image, self.details.labels)

    @property
    def confidence(self) -> NDArray[np.float32] | None:
        """float32 HxW at the frame's size, by nearest neighbour: the probability, 0 to 1, that the network gives its label there (with
        `refine` the one before that). None unless it was asked for with `load(confidence=True)`. Each time a new array."""
        told = self.details.confidence
        return None if told is None else at_size(told.steps, self.frame.size_hw).astype(np.float32) / np.float32(contracts.STEPS)

    @property
    def runner_up(self) -> Labels | None:
        """uint8 HxW ids as `labels`: the class that came second. None as for `confidence`."""
        told = self.details.confidence
        return None if told is None else np.array(at_size(told.runner_up, self.frame.size_hw))

    @property
    def areas(self) -> dict[str, float]:
        """By class name its share of the picture, 0 to 1; what is missing to 1 is no class."""
        return dict(zip(self.classes, map(float, shares(self.details.labels, len(self.classes))), strict=True))

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """By class name where it is, bool HxW at the frame's size: every class in the order of the ids, also one that is nowhere."""
        labels = self.labels
        return {name: labels == i for i, name in enumerate(self.classes)}

    @property
    def is_key(self) -> bool:
        """Whether the deep stage ran for this frame, or was started."""
        return self.details.is_key

    @property
    def age_frames(self) -> int:
        """Frames between the one of which the deep features are and this one; 0 for its own."""
        return self.details.age_frames

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the frame to its labels; by stage in `details.latency_ms`."""
        return self.details.total_ms

    def _repr_png_(self) -> bytes:
        return cv2.imencode(".png", self.overlay())[1].tobytes()

    def __repr__(self) -> str:
        largest = sorted(self.areas.items(), key=lambda item: -item[1])[:3]
        said = ", ".join(f"{name} {share:.0%}" for name, share in largest if share)
        return f"<drive_seg.Result of frame {self.frame.index}: {said}; {'key frame, ' if self.is_key else ''}{self.latency_ms:.1f} ms>"


def check_picture(picture: object) -> Image:
    """The same, if it is a uint8 HxWx3 array with pixels in it. Raises UsageError that says how to make one of it."""
    if not isinstance(picture, np.ndarray):
        how = "of a PIL image numpy.asarray(image.convert('RGB'))[..., ::-1]"
        raise UsageError(f"a {type(picture).__name__} is no picture; give a Frame, or a uint8 HxWx3 BGR array ({how})")
    what = f"an array {picture.dtype} {'x'.join(map(str, picture.shape)) or 'without axes'}"
    remedy = None
    if picture.ndim == 2:
        remedy = "cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) makes colours of grey"
    elif picture.ndim == 4:
        remedy = "give one picture after the other"
    elif picture.ndim == 3 and picture.shape[2] == 4:
        remedy = "picture[..., :3] leaves the fourth channel out"
    elif picture.ndim == 3 and picture.shape[0] == 3 != picture.shape[2]:
        remedy = "picture.transpose(1, 2, 0) puts the channels last"
    elif picture.ndim != 3 or picture.shape[2] != 3:
        remedy = "give a uint8 HxWx3 array in BGR"
    elif picture.size == 0:
        remedy = "it has no pixels; look at where it comes from"
    elif picture.dtype != np.uint8:
        remedy = "give uint8 of 0 to 255; of 0 to 1 (picture * 255).round().astype('uint8') makes it"
    if remedy:
        raise UsageError(f"{what} is no picture (uint8 HxWx3, BGR): {remedy}")
    return picture
