"""The training: one loop for CPU and GPU that can be stopped at any step and goes on to the same result."""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from drive_seg.errors import DataError
from drive_seg.files import write
from drive_seg.lab.evaluate.pairs import Sample, how_many_left_out, read_all
from drive_seg.lab.models.staged import Staged
from drive_seg.lab.models.stored import unfold
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.data import Batches, demo_samples, pseudo_samples, split
from drive_seg.lab.train.learner import Learner, half_precision, pick_device, training_run
from drive_seg.lab.train.losses import class_weights, combined
from drive_seg.lab.train.recipe import Recipe
from drive_seg.network.card import load_bundle
from drive_seg.network.postprocess import at_size
from drive_seg.network.score import Confusion
from drive_seg.reading import parse_json

SAVE_EVERY_S = 120.0
BATCHES_FOR_STATISTICS = 4  # of a bundle that is learned on


@dataclass(frozen=True, slots=True)
class Trained:
    checkpoint: Path
    steps: int
    miou: float | None  # on the validation pairs, where there are any


@torch.no_grad()
def score(network: Staged, samples: list[Sample], classes: tuple[str, ...], device: torch.device) -> float | None:
    """mIoU of the network in torch; the figures that are reported come from the exported bundle instead."""
    network.eval()
    confusion = Confusion(classes)
    for image, truth in samples:
        with half_precision(device):
            half = network.labels(torch.from_numpy(image)[None].to(device))[0].cpu().numpy()
        confusion.add(truth, at_size(half, truth.shape))
    return confusion.miou


class Training(Learner):
    """Everything that a step needs, built from the recipe alone."""

    network: Staged
    average: Staged

    def __init__(self, recipe: Recipe, out: Path, skip_bad: bool = False) -> None:
        self.recipe = recipe
        self.left_out: list[Path] | None = [] if skip_bad else None
        self.device = pick_device()
        torch.manual_seed(recipe.seed)
        cv2.setNumThreads(1)  # the samples are made beside the learning: they must not take all its cores
        train, held = split(recipe, self.left_out)
        real, self.validation = list(read_all(train, self.left_out)), list(read_all(held, self.left_out))
        if not real:
            raise DataError(f"{train[0].image}: cannot be used, and no other training pair either; without --skip-bad you are told why")
        demo = demo_samples(recipe) if recipe.demo_share else []
        self.batches = Batches(recipe, real, demo, pseudo_samples(recipe.pseudo, recipe.classes, self.left_out))
        self.weights = class_weights([labels for _, labels in real], len(recipe.classes), recipe.weight_floor).to(self.device)
        network = recipe.make_network()
        if recipe.start and recipe.start.is_dir():
            images = torch.cat([self.batches.batch(step)[0] for step in range(BATCHES_FOR_STATISTICS)])
            unfold(network, load_bundle(recipe.start), images)
        elif recipe.start:
            checkpoint.begin_with(recipe.start, network)
        elif recipe.pretrained:
            network.load_pretrained()
        network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        steps, path = self.batches.steps, out / "checkpoint.safetensors"
        super().__init__(network, recipe, steps, path, recipe.model_dump_json(), network.backbone_parameters(), recipe.backbone_rate)

    def step(self, step: int, images: Tensor, labels: Tensor) -> float:
        """One update; returns the loss."""
        self.network.train()
        images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        with half_precision(self.device):
            scores, *auxiliaries = self.network.training_scores(images)
        loss = combined(self.recipe.losses, scores, labels, self.weights)
        for auxiliary in auxiliaries:
            loss = loss + self.recipe.auxiliary * combined(self.recipe.losses, auxiliary, labels, self.weights)
        self.update(step, loss)
        return float(loss.detach())

    def validate(self) -> float | None:
        return score(self.average, self.validation, self.recipe.classes, self.device) if self.validation else None


def _step(row: str) -> float:
    """At which a line of the log was written; after every other where it is none: the kill may have cut it, or a disk."""
    try:
        return int(parse_json(row)["step"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return math.inf


def keep_rows(log: Path, steps: int) -> None:
    """Forgets the epochs after the checkpoint: they are learned, and logged, again."""
    if log.exists():
        rows = [row for row in log.read_text(errors="replace").splitlines() if _step(row) <= steps]
        write(log, "".join(f"{row}\n" for row in rows), overwrite=True)


def train(
    recipe: Recipe, out: Path, restart: bool = False, quiet: bool = False, save_every_s: float = SAVE_EVERY_S, skip_bad: bool = False
) -> Trained:
    """Trains, or goes on where the checkpoint in `out` stands. Writes checkpoint.safetensors and log.jsonl there.

    Raises DataError for pairs that cannot be used, unless they are to be skipped, and for a checkpoint of another recipe; Stopped after
    SIGINT or SIGTERM, with the checkpoint of that moment written. Belongs in the main thread, which alone receives signals.
    """
    out.mkdir(parents=True, exist_ok=True)
    if restart:
        for name in ("checkpoint.safetensors", "log.jsonl"):
            (out / name).unlink(missing_ok=True)
    training = Training(recipe, out, skip_bad)
    first, steps, per_epoch = training.resume(), training.steps, training.batches.steps_per_epoch
    keep_rows(out / "log.jsonl", first)
    miou, losses, again = None, [], "the same command" + " without --restart" * restart
    with training_run(out, quiet) as run:
        if training.left_out and not quiet:
            run.bar.console.print(how_many_left_out(training.left_out), soft_wrap=True, markup=False, highlight=False)
        batches = training.batches(first)
        for step, (images, labels) in run.steps(training, batches, first, save_every_s, f"epoch {first // per_epoch}", again):
            losses.append(training.step(step, images, labels))
            epoch, ended = divmod(step + 1, per_epoch)
            if ended == 0:
                due = step + 1 == steps or epoch % recipe.validate_every == 0
                miou = training.validate() if due else None
                row = {"epoch": epoch, "step": step + 1, "loss": round(float(np.mean(losses)), 4), "miou": miou and round(miou, 4)}
                run.log_row(row, f"epoch {epoch}", f"loss {row['loss']}" + (f", mIoU {row['miou']}" if due else ""))
                losses = []
    return Trained(training.save(steps), steps, miou if miou is not None else training.validate())
