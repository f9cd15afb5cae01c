"""Scores a network against true labels through the pipeline that plays live."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from drive_seg.classes import VOID, void_ids
from drive_seg.contracts import Frame, Image, Labels, Network, Result
from drive_seg.errors import DataError
from drive_seg.lab.evaluate.datasets import Place, find_pairs
from drive_seg.lab.evaluate.pairs import Sample, ids_by_name, read_all
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.postprocess import at_size
from drive_seg.network.score import Confusion
from drive_seg.session.observer import Observer
from drive_seg.session.opening import open_capture
from drive_seg.session.session import Session
from drive_seg.sources import open_source
from drive_seg.sources.pace import Pace

CLIP_HZ = 15.0  # CamVid's clip; pictures do not say when they were taken


@dataclass(frozen=True, slots=True)
class Scored:
    """One frame with what is true of it and what was said of it."""

    index: int
    image: Image
    truth: Labels  # HxW, VOID where it is not known
    predicted: Labels  # HxW, enlarged to the truth's size
    miou: float | None  # of this frame alone; None when no class is known in it


class Meter(Protocol):
    """What is measured beside the confusion matrix, frame by frame."""

    def add(self, frame: Scored) -> None: ...

    def figures(self) -> dict[str, Any]:
        """What goes into the scores, ready for JSON."""


def from_pairs(place: Place, classes: Sequence[str], left_out: list[Path] | None = None) -> Iterator[Sample]:
    """The pairs of a data set or of two plain folders. One that cannot be used raises DataError, or is noted in the list and left out."""
    return read_all(find_pairs(place, classes, left_out), left_out)


def from_source(uri: str, classes: Sequence[str]) -> Iterator[Sample]:
    """The frames of a labelled source, its ids turned into the network's by name. Raises DataError for one without labels."""
    with open_capture(open_source(uri), paced=False, loop=False) as capture:
        table = ids_by_name(capture.source.info.classes or classes, classes)
        for frame in capture:
            if frame.labels is None:
                raise DataError(f"{uri}: frame {frame.index} has no labels; give a labelled source, or --data")
            yield frame.image, table[frame.labels]


def without_void(labels: Labels, classes: Sequence[str]) -> Labels:
    """The same ids, with VOID for those whose class is called void."""
    void = void_ids(classes)
    return np.where(np.isin(labels, void), np.uint8(VOID), labels) if void else labels


def gflop_per_frame(engine: Network, key_frame_rate: float, mid_alone_rate: float, fresh_rate: float) -> float | None:
    """By the card, at its input size: low and a head on every frame, what is cached on key frames, and `mid` also on those where it runs
    alone. `fresh_rate`: of the frames that were shown with their own context. None for a network without a card."""
    if not isinstance(engine, Engine):
        return None
    rates = {"low": 1.0, "mid": key_frame_rate + mid_alone_rate, "high": key_frame_rate, "head": fresh_rate}
    return sum(stage.gflop * rates[name] for name, stage in engine.stages.items()) + engine.stale.gflop * (1 - fresh_rate)


def as_frames(samples: Iterable[Sample], hz: float, realtime: bool = False) -> Iterator[Frame]:
    """Labelled frames `hz` apart; `realtime` waits for each one's time, which only an asynchronous refresher needs."""
    pace = Pace(realtime)
    for index, (image, truth) in enumerate(samples):
        pace.wait_for(index / hz)
        yield Frame(image, index, index / hz, labels=truth, period_s=1 / hz)


class Accuracy(Observer):
    """Compares a session's labels with its frames' true ones. Labels are enlarged to the truth's size by nearest neighbour."""

    def __init__(self, classes: Sequence[str], meters: Sequence[Meter]) -> None:
        self.confusion, self.miou_by_frame = Confusion(classes), list[float | None]()
        self.mid_alone = self.fresh = 0
        self._classes, self._meters = classes, meters

    def on_result(self, result: Result, comparison: Result | None) -> None:
        assert result.frame.labels is not None
        truth = without_void(result.frame.labels, self._classes)
        predicted = at_size(result.labels, truth.shape)
        self.mid_alone += result.decision.run_mid
        self.fresh += result.age_frames == 0
        self.miou_by_frame.append(Confusion.of(self._classes, self.confusion.add(truth, predicted)).miou)
        for meter in self._meters:
            meter.add(Scored(result.frame.index, result.frame.image, truth, predicted, self.miou_by_frame[-1]))


def evaluate(
    pipeline: Pipeline,
    samples: Iterable[Sample],
    meters: Sequence[Meter] = (),
    hz: float = 30.0,
    realtime: bool = False,
    observers: Mapping[str, Observer] | None = None,
) -> dict[str, Any]:
    """All that Confusion tells, by class name and over all; mIoU by frame, the meters' and observers' figures, how and what ran.

    `confusion` has the truth's classes down and the predicted ones across, and one column more for predictions that are no class. `hz` and
    `realtime` as for `as_frames`. Raises DataError where there is nothing to score.
    """
    engine, accuracy = pipeline.engine, Accuracy(pipeline.engine.classes, meters)
    session = Session(pipeline, as_frames(samples, hz, realtime), {"accuracy": accuracy, **(observers or {})})
    session.run()
    confusion, frames = accuracy.confusion, len(accuracy.miou_by_frame)
    if not frames:
        raise DataError("there is nothing to score: the source has no frames")
    if confusion.miou is None:
        raise DataError(f"there is nothing to score: no label is one of the model's classes ({', '.join(engine.classes)})")
    ran = session.latencies.summary()
    key_frame_rate = session.latencies.keys / frames
    return {
        "miou": confusion.miou,
        "pixel_accuracy": confusion.pixel_accuracy,
        "class_accuracy": confusion.class_accuracy,
        "frequency_weighted_iou": confusion.frequency_weighted_iou,
        "mean_f1": confusion.mean_f1,
        "pixels": confusion.pixels(),
        "iou": confusion.iou(),
        "accuracy": confusion.accuracy(),
        "f1": confusion.f1(),
        "confusion": confusion.counts[:-1].tolist(),
        **{name: value for meter in meters for name, value in meter.figures().items()},
        **{name: value for observer in (observers or {}).values() for name, value in observer.figures().items()},
        "miou_by_frame": accuracy.miou_by_frame,
        "frames": frames,
        "key_frame_rate": key_frame_rate,
        "gflop_per_frame": gflop_per_frame(engine, key_frame_rate, accuracy.mid_alone / frames, accuracy.fresh / frames),
        "latency_ms": ran["latency_ms"],
        "total_ms": ran["total_ms"],
        **pipeline.runs,
        "refined": pipeline.refine is not None,
    }
