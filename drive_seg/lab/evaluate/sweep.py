"""A drive once through every schedule, mode and propagation of a bundle, beside what each has to beat, in one run over the same frames."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from drive_seg.contracts import Labels, Network
from drive_seg.errors import UsageError
from drive_seg.lab.evaluate.accuracy import CLIP_HZ, Meter, Scored, as_frames, evaluate, from_pairs, without_void
from drive_seg.lab.evaluate.ages import AGES, AgeCurve, age_curve
from drive_seg.lab.evaluate.baselines import LabelCache, Oracle
from drive_seg.lab.evaluate.boundary import BoundaryF1
from drive_seg.lab.evaluate.consistency import Consistency, motions
from drive_seg.lab.evaluate.pairs import Sample
from drive_seg.network.card import load_bundle
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.propagate import KINDS as PROPAGATIONS
from drive_seg.network.propagate import make_propagation
from drive_seg.network.schedule import EveryFrame, find_kind, parse_schedule
from drive_seg.session.opening import open_engine, pipeline_on
from drive_seg.session.session import Session
from drive_seg.settings import Settings

SHARES = (0.05, 0.08, 0.12, 0.18)  # of the labels that differ: on CamVid's clip from two thirds of the frames to a tenth of them
CHANGED = (0.02, 0.03, 0.05, 0.07)  # of those that change while the key frame stays, which are fewer
EVERY = "every-frame"
SCHEDULES = (*(f"clockwork:{n}" for n in (2, 3, 4, 6, 8)), *(f"clockwork:adaptive={s}" for s in CHANGED), "async:1", "async:2", "async:3")
SCORED = tuple(f"keyframe:{s}" for s in SHARES)  # where the bundle forecasts
BASELINES = {name: kind.labels for name, kind in PROPAGATIONS.items() if kind.labels}  # without a network between key frames
WARMUP = 10  # frames that nobody counts, whenever an engine was opened

Kind = Literal["run", "oracle", "labels", "other"]  # of rows: the bundle's own, and what stands beside it


@dataclass(frozen=True, slots=True)
class Row:
    """One way through the drive. Times are in ms, frame to labels; `work_ms` has the deep stage's in it, whenever that ran."""

    kind: Kind
    family: str
    model: str
    schedule: str
    mode: str
    propagation: str
    miou: float
    pixel_accuracy: float
    boundary_f1: float | None
    temporal_consistency: float | None
    truth_consistency: float | None
    flicker: float | None
    key_frame_rate: float
    gflop: float  # a frame, on average
    work_ms: float  # a frame, on average
    latency_ms: dict[str, float | None]  # p50, p95, p99, max, mean over all frames
    key_ms: dict[str, float | None]  # the same, and `frames`, over key frames; the first of the drive is in neither
    other_ms: dict[str, float | None]
    iou: dict[str, float | None]  # by class

    @property
    def name(self) -> str:
        """For people, within one sweep."""
        if self.kind == "other":
            return f"{self.model}, {self.schedule}"
        ran = self.mode if self.family == "async" else self.schedule
        return f"{ran}, {self.family if self.kind == 'labels' else self.propagation}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """`rows[0]` is the bundle at every frame, with its first propagation: the scale for all others."""

    clip: str
    frames: int
    hz: float
    model: str
    backend: str
    precision: str
    device: str
    rows: tuple[Row, ...]
    ages: dict[str, AgeCurve]  # by propagation, and by BASELINES for the baselines

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "ages": {name: asdict(curve) | {"average": curve.average, "minimum": curve.minimum} for name, curve in self.ages.items()}
        }


class Kept:
    """A meter (accuracy.py) that keeps what was predicted."""

    def __init__(self) -> None:
        self.labels: list[Labels] = []

    def add(self, frame: Scored) -> None:
        self.labels.append(frame.predicted)

    def figures(self) -> dict[str, Any]:
        return {}


class Drive:
    """The frames of a clip, decoded once, with their optical flow."""

    def __init__(self, clip: Path, classes: Sequence[str]) -> None:
        """Raises DataError for a clip that is none."""
        pairs = from_pairs((clip / "images", clip / "labels"), classes)
        self.samples: list[Sample] = [(image, without_void(labels, classes)) for image, labels in pairs]
        self._motions = motions([image for image, _ in self.samples])

    def warm(self, engine: Network) -> None:
        Session(Pipeline(engine, EveryFrame()), as_frames(self.samples[:WARMUP], CLIP_HZ)).run()

    def play(self, pipeline: Pipeline, kind: Kind, gflop: float | None = None, kept: Sequence[Meter] = ()) -> Row:
        """One row; `gflop`: of a key frame, where all of the arithmetic is in those. Closes the pipeline."""
        with closing(pipeline):
            classes = pipeline.engine.classes
            scores = evaluate(pipeline, self.samples, (BoundaryF1(classes), Consistency(self._motions), *kept), CLIP_HZ)
        rate, latency_ms, schedule, mode = scores["key_frame_rate"], scores["latency_ms"], scores["schedule"], scores["mode"]
        work_ms = latency_ms["total"]["mean"]
        if mode != "sync":  # there the deep stage's time counts for no frame
            work_ms += rate * sum(latency_ms[stage]["mean"] or 0.0 for stage in pipeline.engine.cached)
        same = (
            "model",
            "schedule",
            "mode",
            "propagation",
            "miou",
            "pixel_accuracy",
            "temporal_consistency",
            "truth_consistency",
            "flicker",
            "iou",
        )
        return Row(
            kind=kind,
            family=BASELINES[scores["propagation"]] if kind == "labels" else family(schedule, mode),
            boundary_f1=scores["mean_boundary_f1"],
            key_frame_rate=rate,
            gflop=gflop * rate if gflop else scores["gflop_per_frame"],
            work_ms=work_ms,
            latency_ms=latency_ms["total"],
            key_ms=scores["total_ms"]["key"],
            other_ms=scores["total_ms"]["other"],
            **{name: scores[name] for name in same},
        )


def family(schedule: str, mode: str = "sync") -> str:
    """What rows that differ by a number alone have in common: clockwork, clockwork by stage, adaptive, pipelined, keyframe, async …"""
    if mode.startswith("async"):
        return "async"
    found = find_kind(schedule)
    return found[0].name if found else schedule.partition(":")[0]  # an oracle, which nobody can ask for


def sweep(
    clip: Path,
    models: Sequence[str],
    settings: Settings,
    propagations: Sequence[str] = (),
    schedules: Sequence[str] = (),
    tell: Callable[[Row], None] = lambda row: None,
) -> Sweep:
    """The first model's rows and age curves; the others are measured at every frame, as what stands at its place without a cache.

    `clip`: a drive at CLIP_HZ as DIR/images and DIR/labels. `settings`: backend, device, precision and threads are used. `schedules`: as
    a user writes them, or async:K: a refresh begins as soon as the last one is done. Every frame is a key frame in the first row, asked
    for or not. Rows are told as they come; no frame waits for its time. What cannot be run raises UsageError before anything is; also
    raises DataError, BundleError, BackendError.
    """
    bundle, *others = [load_bundle(model) for model in models]
    for other in others:
        if other.card.classes != bundle.card.classes:
            raise UsageError(f"--model {other.card.name}: has other classes than {bundle.card.name}; sweep it alone")
    wanted = schedules or (*SCHEDULES, *(SCORED if bundle.card.score else ()))
    runs = [_parsed(text) for text in wanted if text != EVERY]
    rows, ages = list[Row](), dict[str, AgeCurve]()

    def note(row: Row) -> None:
        rows.append(row)
        tell(row)

    with ExitStack() as stack:  # what cannot be run shows here
        each = [settings.model_copy(update={"propagation": propagation}) for propagation in propagations or bundle.card.propagations]
        engines = [stack.enter_context(open_engine(bundle, one)) for one in each]
        beside = [stack.enter_context(open_engine(other, settings)) for other in others]
        pipelines = [
            [pipeline_on(engine, parse_schedule(text), one.model_copy(update={"mode": mode})) for text, mode in runs]
            for engine, one in zip(engines, each, strict=True)
        ]
        drive = Drive(clip, bundle.card.classes)
        length = min(AGES, len(drive.samples))
        for engine, one, ready in zip(engines, each, pipelines, strict=True):
            propagation, full = one.propagation, Kept()
            drive.warm(engine)
            note(drive.play(Pipeline(engine, EveryFrame(), propagation=make_propagation(propagation)), "run", kept=[full]))
            for pipeline in ready:
                note(drive.play(pipeline, "run"))
            for share in SHARES:
                note(drive.play(Pipeline(engine, Oracle(full.labels, share), propagation=make_propagation(propagation)), "oracle"))
            ages[propagation] = age_curve(engine, propagation, drive.samples, CLIP_HZ, length)
        labels = LabelCache(engines[0])
        for propagation, name in BASELINES.items():
            for text, _ in runs:
                if family(text) == "clockwork":
                    pipeline = Pipeline(labels, parse_schedule(text), propagation=make_propagation(propagation))
                    note(drive.play(pipeline, "labels", gflop=rows[0].gflop))
            ages[name] = age_curve(labels, propagation, drive.samples, CLIP_HZ, length)
        for engine in beside:
            drive.warm(engine)
            note(drive.play(Pipeline(engine, EveryFrame()), "other"))
        backend = engines[0].backend
    return Sweep(
        clip=str(clip),
        frames=len(drive.samples),
        hz=CLIP_HZ,
        model=bundle.card.name,
        backend=backend.name,
        precision=backend.precision,
        device=backend.device,
        rows=tuple(rows),
        ages=ages,
    )


def _parsed(text: str) -> tuple[str, str]:
    """(schedule, mode)"""
    if text.startswith("async:"):
        Settings.checked({"mode": text})
        return EVERY, text
    parse_schedule(text)
    return text, "sync"


def ways(swept: Sweep) -> dict[str, Any]:
    """What a card keeps of it for session/auto.py: what each way to run the bundle gave."""
    own = [row for row in swept.rows if row.kind == "run"]
    kept = ("schedule", "mode", "propagation", "miou")
    rows = [{name: getattr(row, name) for name in kept} | {"key_frames": round(row.key_frame_rate, 4)} for row in own]
    return {"clip": swept.clip, "hz": swept.hz, "precision": swept.precision, "ways": rows}
