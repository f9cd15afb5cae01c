"""Teaches a bundle what happens between key frames: heads for stale contexts, held or warped, the embedding, the forecast, and the learned
propagations with a head each, all at once on the same clips. Its `high` stays as it is, and so do `low` and `head` unless `learn_low`.

The teacher is the bundle itself on every frame. Each propagation learns the labels where they are known (cross-entropy), the teacher's
scores (Kullback-Leibler divergence) and the true context (mean square), after Li, Shi, Lin 2018, section 3.4.
"""

import copy
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
from pydantic import Field
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.backends import open_backend
from drive_seg.contracts import Array
from drive_seg.errors import UsageError
from drive_seg.lab.evaluate.pairs import plain_pairs, read_all
from drive_seg.lab.models.deeplab import DeepLab
from drive_seg.lab.models.efficientnet_lite import EfficientNetLite
from drive_seg.lab.models.staged import IMAGE, Staged
from drive_seg.lab.models.temporal import PROPAGATIONS, STRIDE, Attend, Embedding, PropagatingHead, Recurrent, Selector
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.clips import KINDS, Clips
from drive_seg.lab.train.data import prefetch, pseudo_samples
from drive_seg.lab.train.learner import Learner, half_precision, pick_device, training_run
from drive_seg.lab.train.losses import class_weights, combined
from drive_seg.lab.train.recipe import TomlRecipe, one_of
from drive_seg.network.card import Bundle, Card
from drive_seg.network.engine import Engine
from drive_seg.network.preprocess import to_input
from drive_seg.network.propagate import FOR_ALL, Flow, composed, make_propagation, origins

SAVE_EVERY_S = 60.0


class TemporalRecipe(TomlRecipe):
    """Everything that the result depends on but the bundle."""

    kind = "temporal"

    images: Path
    labels: Path
    videos: tuple[Path, ...] = ()  # unlabelled
    pseudo: tuple[Path, ...] = ()  # folders with images/ and labels/ of a teacher's, as in a recipe
    clips: int = Field(500, ge=1)  # made, and run through the bundle, before the training; each frame takes 1.5 MB of memory
    frames: int = Field(4, ge=2)  # of a clip
    shares: dict[Annotated[str, one_of(KINDS, "kind of clip")], float] = Field(
        {"still": 0.4, "demo": 0.25, "video": 0.2, "neighbours": 0.15}
    )
    propagations: tuple[Annotated[str, one_of(PROPAGATIONS, "learned propagation")], ...] = tuple(PROPAGATIONS)
    heads: tuple[Annotated[str, one_of(FOR_ALL, "propagation without a network of its own")], ...] = FOR_ALL  # that get a taught head
    learn_low: bool = False  # `low` and every head too; for networks whose `high` reads the picture and not what `low` makes of it
    steps: int = Field(500, ge=1)
    batch: int = Field(8, ge=1)
    seed: int = 0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.05
    ema: float = 0.99
    cross_entropy: float = 0.3  # factors of the three that are learned from
    divergence: float = 1.0
    mimicry: float = 1.0
    weight_floor: float = 1.1


class Temporal(nn.Module):
    """The trainable modules: copies of the bundle's low and head, and embedding, selector and propagations from scratch.

    Unless `learn_low`, low and the head for fresh contexts stay as they are, and so does the head behind a learned propagation: taught with
    it, it forgets more of what it knew than it gains.
    """

    def __init__(self, network: Staged, recipe: TemporalRecipe) -> None:
        super().__init__()
        context = int(network.config.context)
        self.embedding, self.selector = Embedding(int(network.config.detail)), Selector()
        self.learn_low = recipe.learn_low
        self.low, self.head = copy.deepcopy(network.low), copy.deepcopy(network.head)
        for stage in (self.low, self.head):
            stage.requires_grad_(recipe.learn_low)
        self.heads = nn.ModuleDict({name: copy.deepcopy(network.head) for name in recipe.heads})
        self.propagating = nn.ModuleDict(
            {name: PropagatingHead(PROPAGATIONS[name](context), copy.deepcopy(self.head)) for name in recipe.propagations}
        )


@dataclass(frozen=True, slots=True, eq=False)
class FeaturePool:
    """The bundle's contexts and labels of every frame of every clip, as arrays (clips, frames, ...)."""

    images: Array  # uint8 BGR
    context: Array  # float16
    seen: Array  # what the flow is found from
    truth: Array  # uint8 class ids of the pictures, VOID where none is known
    full: Array  # uint8 class ids that the bundle gives, at its label size


def collect_features(bundle: Bundle, clips: Clips, count: int, bar: Progress) -> FeaturePool:
    """Runs `count` clips through the bundle on the default backend."""
    flow = Flow()
    rows: dict[str, list[list[Array]]] = {name: [] for name in FeaturePool.__slots__}
    with closing(Engine(bundle, open_backend(None, device=None, precision=None, threads=None))) as engine:
        engine.fit(clips.size_hw)
        task = bar.add_task("clips", total=count, said="")
        for n, clip in prefetch(clips, 0, count):
            for into in rows.values():
                into.append([])
            for image, truth in zip(clip.images, clip.labels, strict=True):
                fed = to_input(image, engine.input_hw)
                low = engine.low(fed, {})
                context = engine.deep("high", low)
                rows["images"][-1].append(fed[0])
                rows["context"][-1].append(context["context"][0].astype(np.float16))
                rows["seen"][-1].append(flow.see(fed))
                rows["truth"][-1].append(truth)
                rows["full"][-1].append(engine.head(low, context, fresh=True))
            bar.update(task, completed=n + 1)
        bar.remove_task(task)
    return FeaturePool(**{name: np.array(values) for name, values in rows.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """N frames with the frames before them, the key frame among them."""

    images: Tensor  # (N, T, 360, 480, 3) uint8 BGR of the clip
    key: Tensor  # (N,) places of the key frame and of the frame in the clip
    now: Tensor
    held: Tensor  # (N, c, h, w) the key frame's context
    true: Tensor  # and the frame's own
    source: Tensor  # (N, h, w, 2) where in the key frame each cell of the context was, as grid_sample wants it
    key_source: Tensor  # (N, 23, 30, 2) the same for the embedding's
    truth: Tensor  # (N, 360, 480) class ids
    differs: Tensor  # (N, 1, 23, 30) share of the labels of a cell that are not the key frame's


class Batches:
    """Step n's batch is a pure function of the pool, the seed and n."""

    def __init__(self, pool: FeaturePool, recipe: TemporalRecipe) -> None:
        self.pool, self.recipe, self._flow = pool, recipe, Flow()

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self.recipe.seed, step, 1))
        pool, frames = self.pool, self.recipe.frames
        coarse_hw = tuple(-(-side // STRIDE) for side in pool.images.shape[2:4])
        chosen, keys, nows, sources, key_sources, differing = [], [], [], [], [], []
        for _ in range(self.recipe.batch):
            clip = int(rng.integers(len(pool.images)))
            now = int(rng.integers(1, frames))
            key = int(rng.integers(now))
            motion = self._motion(pool.seen[clip], key, now)
            sources.append(sampled(motion, pool.context.shape[-2:]))
            key_sources.append(sampled(motion, coarse_hw))
            differs = (pool.full[clip, now] != pool.full[clip, key]).astype(np.float32)
            differing.append(cv2.resize(differs, coarse_hw[::-1], interpolation=cv2.INTER_AREA)[None])
            chosen.append(clip)
            keys.append(key)
            nows.append(now)
        at_key, at_now = (chosen, keys), (chosen, nows)
        return Batch(
            images=torch.from_numpy(pool.images[chosen]),
            key=torch.tensor(keys),
            now=torch.tensor(nows),
            held=torch.from_numpy(pool.context[at_key]).float(),
            true=torch.from_numpy(pool.context[at_now]).float(),
            source=torch.from_numpy(np.stack(sources)).float(),
            key_source=torch.from_numpy(np.stack(key_sources)).float(),
            truth=torch.from_numpy(pool.truth[at_now]),
            differs=torch.from_numpy(np.stack(differing)),
        )

    def _motion(self, seen: Array, key: int, now: int) -> Array:
        """As Flow finds it: from frame to frame back to the key frame."""
        motion = self._flow.motion(seen[key + 1], seen[key])
        for t in range(key + 2, now + 1):
            motion = composed(self._flow.motion(seen[t], seen[t - 1]), motion)
        return motion

    def __call__(self, first_step: int) -> Iterator[tuple[int, Batch]]:
        return prefetch(self.batch, first_step, self.recipe.steps)


class Distillation(Learner):
    """Everything that a step needs."""

    network: Temporal
    average: Temporal

    def __init__(self, network: Staged, pool: FeaturePool, recipe: TemporalRecipe, path: Path, identity: str) -> None:
        self.recipe, self.device = recipe, pick_device()
        torch.manual_seed(recipe.seed)
        self.teacher = copy.deepcopy(network).to(self.device).requires_grad_(False)
        made = Temporal(network, recipe)
        super().__init__(made.to(self.device), recipe, recipe.steps, path, identity)
        truths = list(pool.truth.reshape(-1, *pool.truth.shape[2:]))
        self.weights = class_weights(truths, network.config.classes, recipe.weight_floor).to(self.device)
        self.spread = float(
            pool.context[:: max(1, len(pool.context) // 50)].astype(np.float32).var()
        )  # what a mean square of contexts is measured by

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of each learned part, by its name."""
        network, place = self.network, torch.arange(len(batch.now))
        image = batch.images[place, batch.now]
        fine, detail = network.low(image)
        now, key = network.embedding(detail), network.embedding(self._details(batch.images[place, batch.key]))
        with torch.no_grad():
            teacher = self.teacher.head(*(self.teacher.low(image) if network.learn_low else (fine, detail)), batch.true).float()
        found = {}

        def add_loss(name: str, scores: Tensor, context: Tensor | None) -> None:
            scores = scores.float()
            found[name] = self.recipe.divergence * divergence(teacher, scores, self.weights)
            found[name] += self.recipe.cross_entropy * combined({"weighted_cross_entropy": 1.0}, scores, batch.truth, self.weights)
            if context is not None:
                found[name] += self.recipe.mimicry * F.mse_loss(context.float(), batch.true) / self.spread

        held = {"context": batch.held, "key_embedding": key}
        warped = {"context": warp_context(batch.held, batch.source), "key_embedding": warp_context(key, batch.key_source)}
        arrives = {name: warped if isinstance(make_propagation(name), Flow) else held for name in (*network.heads, *network.propagating)}
        if network.learn_low:
            add_loss("fresh", network.head(fine, detail, batch.true), None)
        for name, head in network.heads.items():
            add_loss(name, head(fine, detail, arrives[name]["context"]), None)
        for name, head in network.propagating.items():
            assert isinstance(head, PropagatingHead)
            context, kept = arrives[name]["context"], arrives[name]["key_embedding"]
            if isinstance(head.propagate, Recurrent):
                for t in range(1, batch.images.shape[1]):  # every frame after the key frame moves the state by one step
                    under_way = ((batch.key < t) & (t <= batch.now)).view(-1, 1, 1, 1)
                    step = head.propagate(context, network.embedding(self._details(batch.images[:, t])), kept)
                    context = torch.where(under_way, step, context)
            else:
                context = head.propagate(context, now, kept)
            add_loss(name, head.head(fine, detail, context), context)
        odds = network.selector.cells(now, key).float()
        found["score"] = (
            F.binary_cross_entropy_with_logits(odds, batch.differs) + 4 * (odds.sigmoid() - batch.differs).mean((1, 2, 3)).abs().mean()
        )
        return found

    @torch.no_grad()
    def _details(self, images: Tensor) -> Tensor:
        """What `low` tells of other frames than the one that is learned from."""
        detail: Tensor = self.network.low(images)[1]
        return detail

    def step(self, step: int, batch: Batch) -> dict[str, float]:
        """One update; returns the losses."""
        on_device = Batch(*(getattr(batch, name).to(self.device) for name in Batch.__slots__))
        with half_precision(self.device):
            found = self.losses(on_device)
        self.update(step, torch.stack(list(found.values())).sum())
        return {name: float(loss.detach()) for name, loss in found.items()}


def divergence(teacher: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the scores' class shares (N, C, h, w) from the teacher's, by pixel; the mean, with the weight of the
    class that the teacher gives."""
    apart = F.kl_div(scores.log_softmax(1), teacher.log_softmax(1), reduction="none", log_target=True).sum(1)
    return (apart * weights[teacher.argmax(1)]).mean()


def sampled(motion: Array, size_hw: tuple[int, int]) -> Array:
    """float32 (h, w, 2): where each cell of a map of this size was, from -1 to 1, as grid_sample wants it; see Flow for `motion`."""
    return np.asarray(origins(motion, size_hw) / (np.array(size_hw[::-1], np.float32) - 1) * 2 - 1)


def warp_context(context: Tensor, source: Tensor) -> Tensor:
    """The map (N, C, h, w) fetched from `source`, as propagate.warp does."""
    return F.grid_sample(context.float(), source, mode="bilinear", padding_mode="border", align_corners=True)


@dataclass(frozen=True, slots=True)
class Distilled:
    checkpoint: Path
    losses: dict[str, float]  # of the last steps, by what was taught


def identity(bundle: Bundle, recipe: TemporalRecipe) -> str:
    """What a checkpoint belongs to, as JSON: the recipe, and the bundle by its deep stage."""
    return json.dumps(json.loads(recipe.model_dump_json()) | {"bundle": bundle.card.name, "high": bundle.card.stages["high"].sha256})


def check_learnable(card: Card, network: Staged, recipe: TemporalRecipe) -> None:
    """Raises UsageError where the recipe asks for what this network cannot learn."""
    if not isinstance(network, DeepLab | EfficientNetLite):
        named = card.network["architecture"]
        raise UsageError(f"{card.name}: is a {named}, and propagation is learned for deeplab and efficientnet_lite alone")
    if recipe.learn_low and IMAGE not in network.wiring.high_takes:
        raise UsageError(f"learn_low: the context of {card.name} is made of what low tells, and would change with it")
    if isinstance(network, EfficientNetLite) and any(PROPAGATIONS[kind] is Attend for kind in recipe.propagations):
        raise UsageError(f"attend is for contexts at 1/{STRIDE}, and that of {card.name} is finer; give the recipe other propagations")


def distill(
    bundle: Bundle, network: Staged, recipe: TemporalRecipe, out: Path, quiet: bool = False, save_every_s: float = SAVE_EVERY_S
) -> Distilled:
    """Teaches, or goes on where the checkpoint in `out` stands. `network` is the bundle's own in torch. Writes checkpoint.safetensors and
    log.jsonl there.

    Raises UsageError for a network whose features this is not made for; DataError for pictures that cannot be used and for a checkpoint of
    something else; Stopped after SIGINT or SIGTERM, with the checkpoint of that moment written.
    """
    check_learnable(bundle.card, network, recipe)
    out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    card = bundle.card
    pairs = plain_pairs(recipe.images, recipe.labels, len(card.classes))
    size_hw = (card.input.height, card.input.width)
    pseudo = pseudo_samples(recipe.pseudo, card.classes)
    samples, videos = list(read_all(pairs)), list(recipe.videos)
    clips = Clips(recipe.shares, pairs, samples, videos, card.classes, recipe.frames, size_hw, recipe.seed, pseudo)
    with training_run(out, quiet) as run:
        pool = collect_features(bundle, clips, recipe.clips, run.bar)
        learner = Distillation(network, pool, recipe, out / "checkpoint.safetensors", identity(bundle, recipe))
        first, recent = learner.resume(), list[dict[str, float]]()
        for step, batch in run.steps(learner, Batches(pool, recipe)(first), first, save_every_s, "steps"):
            recent = [*recent[-49:], learner.step(step, batch)]
            if (step + 1) % 50 == 0 or step + 1 == recipe.steps:
                means = _means(recent)
                run.log_row({"step": step + 1, **means}, "steps", ", ".join(f"{name} {loss:.3f}" for name, loss in means.items()))
    return Distilled(learner.save(recipe.steps), _means(recent))


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in (rows[0] if rows else {})}


def load_temporal(path: Path, network: Staged, recipe: TemporalRecipe) -> Temporal:
    """The averaged weights of a checkpoint. Raises DataError."""
    made = Temporal(network, recipe)
    checkpoint.load_average(path, made)
    return made.eval()
