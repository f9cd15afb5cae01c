"""Teaches a bundle what happens between key frames, its stages as they are: heads for stale contexts, held or warped, the embedding, the
forecast, and the learned propagations with a head each, all at once on the same clips.

The teacher is the bundle itself on every frame. Each propagation learns the labels where they are known (cross-entropy), the teacher's
scores (Kullback-Leibler divergence) and the true context (mean square), after Li, Shi, Lin 2018, section 3.4.
"""

import copy
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from pydantic import Field, field_validator
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.backends import open_backend
from drive_seg.contracts import Array
from drive_seg.errors import Stopped, UsageError
from drive_seg.lab.evaluate.pairs import plain_pairs, read_all
from drive_seg.lab.models.deeplab import DeepLab
from drive_seg.lab.models.staged import Staged
from drive_seg.lab.models.temporal import PROPAGATIONS, Embedding, PropagatingHead, Selector
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.clips import KINDS, Clips
from drive_seg.lab.train.data import ahead
from drive_seg.lab.train.loop import follow, half_precision, learning_rate, make_optimizer, pick_device
from drive_seg.lab.train.losses import class_weights, combined
from drive_seg.lab.train.recipe import TomlRecipe
from drive_seg.network.card import Bundle
from drive_seg.network.engine import Engine
from drive_seg.network.preprocess import to_input
from drive_seg.network.propagate import FOR_ALL, Flow, make_propagation, origins
from drive_seg.workers import ended_by_signals

SAVE_EVERY_S = 60.0


class TemporalRecipe(TomlRecipe):
    """Everything that the result depends on but the bundle."""

    kind = "temporal"

    images: Path
    labels: Path
    videos: tuple[Path, ...] = ()  # unlabelled
    clips: int = Field(500, ge=1)  # made, and run through the bundle, before the training; each frame takes 1.5 MB of memory
    frames: int = Field(4, ge=2)  # of a clip
    shares: dict[str, float] = Field({"still": 0.4, "demo": 0.25, "video": 0.2, "neighbours": 0.15})
    propagations: tuple[str, ...] = tuple(PROPAGATIONS)
    steps: int = Field(500, ge=1)
    batch: int = Field(8, ge=1)
    seed: int = 0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.05  # share of the training
    cool_down: float = Field(1.0, ge=0, le=1)
    ema: float = 0.99
    cross_entropy: float = 0.3  # factors of the three that are learned from
    divergence: float = 1.0
    mimicry: float = 1.0
    weight_floor: float = 1.1

    @field_validator("shares")
    @classmethod
    def _kinds(cls, shares: dict[str, float]) -> dict[str, float]:
        if unknown := [name for name in shares if name not in KINDS]:
            raise ValueError(f"{', '.join(unknown)} is no kind of clip; there are {', '.join(KINDS)}")
        return shares

    @field_validator("propagations")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in PROPAGATIONS]:
            raise ValueError(f"{', '.join(unknown)} is not learned; there are {', '.join(PROPAGATIONS)}")
        return names


class Temporal(nn.Module):
    """All that is learned: copies of the bundle's own head, and the rest from scratch.

    Behind a learned propagation the head stays as it is: taught with it, it forgets more of what it knew than it gains.
    """

    def __init__(self, network: Staged, propagations: tuple[str, ...]) -> None:
        super().__init__()
        context = int(network.config.context)
        self.embedding, self.selector = Embedding(int(network.config.detail)), Selector()
        self.heads = nn.ModuleDict({name: copy.deepcopy(network.head) for name in FOR_ALL})
        self.propagating = nn.ModuleDict(
            {name: PropagatingHead(PROPAGATIONS[name](context), copy.deepcopy(network.head).requires_grad_(False)) for name in propagations}
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What the bundle makes of every frame of every clip, on every one of them: arrays (clips, frames, ...)."""

    fine: Array  # float16, as the following two
    detail: Array
    context: Array
    seen: Array  # what the flow is found from
    truth: Array  # uint8 class ids of the pictures, VOID where none is known
    full: Array  # uint8 class ids that the bundle gives, at its label size


def fill(bundle: Bundle, clips: Clips, count: int, bar: Progress) -> Pool:
    """Runs `count` clips through the bundle, as it runs here by itself."""
    flow = Flow()
    rows: dict[str, list[list[Array]]] = {name: [] for name in Pool.__slots__}
    with closing(Engine(bundle, open_backend(None, device=None, precision=None, threads=None))) as engine:
        engine.fit(clips.size_hw)
        task = bar.add_task("", total=count, what="clips", said="")
        for n, clip in ahead(clips, 0, count):
            for into in rows.values():
                into.append([])
            for image, truth in zip(clip.images, clip.labels, strict=True):
                fed = to_input(image, engine.input_hw)
                low = engine.low(fed, {})
                context = engine.deep("high", low)
                rows["fine"][-1].append(low["fine"][0].astype(np.float16))
                rows["detail"][-1].append(low["detail"][0].astype(np.float16))
                rows["context"][-1].append(context["context"][0].astype(np.float16))
                rows["seen"][-1].append(flow.see(fed))
                rows["truth"][-1].append(truth)
                rows["full"][-1].append(engine.head(low, context, fresh=True))
            bar.update(task, completed=n + 1)
        bar.remove_task(task)
    return Pool(**{name: np.array(values) for name, values in rows.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """N frames with the frames before them, the key frame among them."""

    fine: Tensor  # (N, c, 90, 120) of the frame
    details: Tensor  # (N, T, c, 45, 60) of the clip
    key: Tensor  # (N,) places of the key frame and of the frame in the clip
    now: Tensor
    held: Tensor  # (N, c, 23, 30) the key frame's context
    true: Tensor  # and the frame's own
    source: Tensor  # (N, 23, 30, 2) where in the key frame each cell was, as grid_sample wants it
    truth: Tensor  # (N, 360, 480) class ids
    differs: Tensor  # (N, 1, 23, 30) share of the labels of a cell that are not the key frame's


class Batches:
    """Step n's batch is a pure function of the pool, the seed and n."""

    def __init__(self, pool: Pool, recipe: TemporalRecipe) -> None:
        self.pool, self.recipe, self._flow = pool, recipe, Flow()

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self.recipe.seed, step, 1))
        pool, frames = self.pool, self.recipe.frames
        chosen, keys, nows, sources, differing = [], [], [], [], []
        for _ in range(self.recipe.batch):
            clip = int(rng.integers(len(pool.fine)))
            now = int(rng.integers(1, frames))
            key = int(rng.integers(now))
            cells_hw = pool.context.shape[-2:]
            there = origins(self._flow.motion(pool.seen[clip, now], pool.seen[clip, key]), cells_hw)
            sources.append(there / (np.array(cells_hw[::-1], np.float32) - 1) * 2 - 1)
            differs = (pool.full[clip, now] != pool.full[clip, key]).astype(np.float32)
            differing.append(cv2.resize(differs, cells_hw[::-1], interpolation=cv2.INTER_AREA)[None])
            chosen.append(clip)
            keys.append(key)
            nows.append(now)
        at_key, at_now = (chosen, keys), (chosen, nows)
        return Batch(
            fine=torch.from_numpy(pool.fine[at_now]).float(),
            details=torch.from_numpy(pool.detail[chosen]).float(),
            key=torch.tensor(keys),
            now=torch.tensor(nows),
            held=torch.from_numpy(pool.context[at_key]).float(),
            true=torch.from_numpy(pool.context[at_now]).float(),
            source=torch.from_numpy(np.stack(sources)).float(),
            truth=torch.from_numpy(pool.truth[at_now]),
            differs=torch.from_numpy(np.stack(differing)),
        )

    def __call__(self, first_step: int) -> Iterator[tuple[int, Batch]]:
        return ahead(self.batch, first_step, self.recipe.steps)


class Teaching:
    """Everything that a step needs."""

    def __init__(self, network: Staged, pool: Pool, recipe: TemporalRecipe) -> None:
        self.pool, self.recipe, self.device = pool, recipe, pick_device()
        torch.manual_seed(recipe.seed)
        self.teacher = copy.deepcopy(network.head).to(self.device).requires_grad_(False)
        self.network = Temporal(network, recipe.propagations).to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = make_optimizer(self.network, recipe)
        self.weights = class_weights(list(pool.truth.reshape(-1, *pool.truth.shape[2:])), network.config.classes, recipe.weight_floor).to(
            self.device
        )
        self.spread = float(pool.context.astype(np.float32).var())  # what a mean square of contexts is measured by

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """By what is taught."""
        network, place = self.network, torch.arange(len(batch.now))
        embeddings = network.embedding(batch.details.flatten(0, 1)).unflatten(0, batch.details.shape[:2])
        now, key, detail = embeddings[place, batch.now], embeddings[place, batch.key], batch.details[place, batch.now]
        teacher = self.teacher(batch.fine, detail, batch.true).float()
        found = {}

        def judge(name: str, scores: Tensor, context: Tensor | None) -> None:
            scores = scores.float()
            found[name] = self.recipe.divergence * divergence(teacher, scores, self.weights)
            found[name] += self.recipe.cross_entropy * combined({"weighted_cross_entropy": 1.0}, scores, batch.truth, self.weights)
            if context is not None:
                found[name] += self.recipe.mimicry * F.mse_loss(context.float(), batch.true) / self.spread

        held = {"context": batch.held, "key_embedding": key}
        warped = {what: moved_by(tensor, batch.source) for what, tensor in held.items()}
        arrives = {name: warped if isinstance(make_propagation(name), Flow) else held for name in (*FOR_ALL, *network.propagating)}
        for name, head in network.heads.items():
            judge(name, head(batch.fine, detail, arrives[name]["context"]), None)
        for name, head in network.propagating.items():
            assert isinstance(head, PropagatingHead)
            context, kept = arrives[name]["context"], arrives[name]["key_embedding"]
            if "last_context" in head.propagate.takes:
                for t in range(1, embeddings.shape[1]):  # every frame after the key frame moves the state by one step
                    under_way = ((batch.key < t) & (t <= batch.now)).view(-1, 1, 1, 1)
                    context = torch.where(under_way, head.propagate(context, embeddings[:, t], kept), context)
            else:
                context = head.propagate(context, now, kept)
            judge(name, head.head(batch.fine, detail, context), context)
        odds = network.selector.cells(now, key).float()
        found["score"] = (
            F.binary_cross_entropy_with_logits(odds, batch.differs) + 4 * (odds.sigmoid() - batch.differs).mean((1, 2, 3)).abs().mean()
        )
        return found

    def step(self, step: int, batch: Batch) -> dict[str, float]:
        """One update; returns the losses."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.recipe.steps, self.recipe)
        on_device = Batch(*(getattr(batch, name).to(self.device) for name in Batch.__slots__))
        with half_precision(self.device):
            found = self.losses(on_device)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        follow(self.average, self.network, min(self.recipe.ema, (1 + step) / (10 + step)))
        return {name: float(loss.detach()) for name, loss in found.items()}


def divergence(teacher: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the scores' class shares (N, C, h, w) from the teacher's, by pixel; the mean, with the weight of the
    class that the teacher gives."""
    apart = F.kl_div(scores.log_softmax(1), teacher.log_softmax(1), reduction="none", log_target=True).sum(1)
    return (apart * weights[teacher.argmax(1)]).mean()


def moved_by(context: Tensor, source: Tensor) -> Tensor:
    """The map (N, C, h, w) fetched from `source`, as propagate.warp does."""
    return F.grid_sample(context.float(), source, mode="bilinear", padding_mode="border", align_corners=True)


@dataclass(frozen=True, slots=True)
class Taught:
    checkpoint: Path
    losses: dict[str, float]  # of the last steps, by what was taught


def identity(bundle: Bundle, recipe: TemporalRecipe) -> str:
    """What a checkpoint belongs to, as JSON: the recipe, and the bundle by its deep stage."""
    return json.dumps(json.loads(recipe.model_dump_json()) | {"bundle": bundle.card.name, "high": bundle.card.stages["high"].sha256})


def teach(
    bundle: Bundle, network: Staged, recipe: TemporalRecipe, out: Path, quiet: bool = False, save_every_s: float = SAVE_EVERY_S
) -> Taught:
    """Teaches, or goes on where the checkpoint in `out` stands. `network` is the bundle's own in torch. Writes checkpoint.safetensors and
    log.jsonl there.

    Raises UsageError for a network that is not `deeplab`, whose features this is made for; DataError for pictures that cannot be used and
    for a checkpoint of something else; Stopped after SIGINT or SIGTERM, with the checkpoint of that moment written.
    """
    if not isinstance(network, DeepLab):
        raise UsageError(f"{bundle.card.name}: is a {bundle.card.network['architecture']}, and propagation is learned for deeplab alone")
    out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    card, path = bundle.card, out / "checkpoint.safetensors"
    pairs = plain_pairs(recipe.images, recipe.labels, len(card.classes))
    size_hw = (card.input.height, card.input.width)
    clips = Clips(recipe.shares, pairs, list(read_all(pairs)), list(recipe.videos), card.classes, recipe.frames, size_hw, recipe.seed)
    columns = (
        TextColumn("{task.fields[what]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    stop, saved = threading.Event(), time.monotonic()
    with Progress(*columns, disable=quiet) as bar, (out / "log.jsonl").open("a") as log, ended_by_signals(stop.set):
        teaching = Teaching(network, fill(bundle, clips, recipe.clips, bar), recipe)
        named = identity(bundle, recipe)
        first = checkpoint.load(path, named, teaching.network, teaching.average, teaching.optimizer) if path.exists() else 0
        task, recent = bar.add_task("", total=recipe.steps, completed=first, what="steps", said=""), list[dict[str, float]]()
        for step, batch in Batches(teaching.pool, recipe)(first):
            recent = [*recent[-49:], teaching.step(step, batch)]
            if (step + 1) % 50 == 0 or step + 1 == recipe.steps:
                row = {"step": step + 1, **_means(recent)}
                log.write(json.dumps(row) + "\n")
                log.flush()
                bar.update(task, said=", ".join(f"{name} {loss:.3f}" for name, loss in _means(recent).items()))
            bar.update(task, completed=step + 1)
            if (stopped := stop.is_set() and step + 1 < recipe.steps) or time.monotonic() - saved >= save_every_s:
                checkpoint.save(path, step + 1, named, teaching.network, teaching.average, teaching.optimizer)
                saved = time.monotonic()
                if stopped:
                    raise Stopped(f"{path}: stopped and saved after {step + 1} of {recipe.steps} steps; the same command goes on")
    checkpoint.save(path, recipe.steps, named, teaching.network, teaching.average, teaching.optimizer)
    return Taught(path, _means(recent))


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in (rows[0] if rows else {})}


def load_taught(path: Path, network: Staged, propagations: tuple[str, ...]) -> Temporal:
    """The averaged weights of a checkpoint. Raises DataError."""
    made = Temporal(network, propagations)
    checkpoint.load_average(path, made)
    return made.eval()
