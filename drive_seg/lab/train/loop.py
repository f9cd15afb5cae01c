"""The training: one loop for CPU and GPU that can be stopped at any step and goes on to the same result."""

import copy
import json
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from drive_seg.errors import DataError, Stopped
from drive_seg.files import write
from drive_seg.lab.evaluate.pairs import Sample, how_many_left_out, read_all
from drive_seg.lab.models.staged import Staged
from drive_seg.lab.models.stored import unfold
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.data import Batches, demo_samples, pseudo_samples, split
from drive_seg.lab.train.losses import class_weights, combined
from drive_seg.lab.train.recipe import Recipe
from drive_seg.network.card import load_bundle
from drive_seg.network.postprocess import at_size
from drive_seg.network.score import Confusion
from drive_seg.workers import ended_by_signals

SAVE_EVERY_S = 120.0
BATCHES_FOR_STATISTICS = 4  # of a bundle that is learned on


@dataclass(frozen=True, slots=True)
class Trained:
    checkpoint: Path
    steps: int
    miou: float | None  # on the validation pairs, where there are any


def pick_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision(device: torch.device) -> torch.autocast:
    """bf16 where the hardware multiplies it; elsewhere it would be emulated, slower than fp32."""
    if device.type == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = torch.cpu.get_capabilities()
        has = bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
    return torch.autocast(device.type, torch.bfloat16, enabled=has)


class Rates(Protocol):
    """What a recipe says about how fast is learned."""

    @property
    def learning_rate(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...

    @property
    def warm_up(self) -> float: ...

    @property
    def cool_down(self) -> float: ...


def learning_rate(step: int, steps: int, recipe: Rates) -> float:
    """Linear warm-up, a plateau, then half a cosine to zero over the cool-down, which takes no more than the warm-up leaves."""
    warm = max(1, round(recipe.warm_up * steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    cool = max(1, min(steps - warm, round(recipe.cool_down * steps)))
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * max(0, step - (steps - cool)) / cool))


def make_optimizer(network: nn.Module, recipe: Rates, slower: Sequence[nn.Parameter] = (), share: float = 1.0) -> torch.optim.AdamW:
    """Of what is to be learned, `slower` at a share of the rate, which is each group's `share`.

    Weight decay on the dense convolutions only: not on biases, batch norm and depthwise layers, whose few weights have to stay large.
    """
    apart = {id(p) for p in slower}
    groups = []
    for its_share, own in ((1.0, False), (share, True)):
        chosen = [p for p in network.parameters() if p.requires_grad and (id(p) in apart) == own]
        dense = [p for p in chosen if p.ndim > 1 and p.shape[1] > 1]
        others = [p for p in chosen if p.ndim <= 1 or p.shape[1] == 1]
        groups += [{"params": dense, "weight_decay": recipe.weight_decay, "share": its_share}] if dense else []
        groups += [{"params": others, "weight_decay": 0.0, "share": its_share}] if others else []
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=torch.cuda.is_available() or None)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Moves the averaged weights towards the network's; the batch norms' statistics too, which smooths them further."""
    for slow, fast in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if slow.dtype.is_floating_point:
            slow.lerp_(fast, 1 - keep)
        else:
            slow.copy_(fast)


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


class Training:
    """Everything that a step needs, built from the recipe alone."""

    def __init__(self, recipe: Recipe, out: Path, skip_bad: bool = False) -> None:
        self.recipe, self.out = recipe, out
        self.left_out: list[Path] | None = [] if skip_bad else None
        self.device = pick_device()
        torch.manual_seed(recipe.seed)
        cv2.setNumThreads(1)  # the samples are made beside the learning: they must not take all its cores
        train, held = split(recipe, self.left_out)
        real, self.validation = list(read_all(train, self.left_out)), list(read_all(held, self.left_out))
        if not real:
            raise DataError(f"{train[0].image}: cannot be used, and no other training pair either; without --skip-bad you are told why")
        demo = demo_samples(recipe) if recipe.demo_share else []
        self.batches = Batches(recipe, real, demo, pseudo_samples(recipe, self.left_out))
        self.weights = class_weights([labels for _, labels in real], len(recipe.classes), recipe.weight_floor).to(self.device)
        network = recipe.make_network()
        if recipe.start and recipe.start.is_dir():
            images = torch.cat([self.batches.batch(step)[0] for step in range(BATCHES_FOR_STATISTICS)])
            unfold(network, load_bundle(recipe.start), images)
        elif recipe.start:
            checkpoint.begin_with(recipe.start, network)
        elif recipe.pretrained:
            network.load_pretrained()
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = make_optimizer(self.network, recipe, self.network.backbone_parameters(), recipe.backbone_rate)

    def step(self, step: int, images: Tensor, labels: Tensor) -> float:
        """One update; returns the loss."""
        self.network.train()
        rate = learning_rate(step, self.batches.steps, self.recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        with half_precision(self.device):
            scores, *auxiliaries = self.network.training_scores(images)
        loss = combined(self.recipe.losses, scores, labels, self.weights)
        for auxiliary in auxiliaries:
            loss = loss + self.recipe.auxiliary * combined(self.recipe.losses, auxiliary, labels, self.weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        # The average is young at first: it follows more closely, so that it forgets the random start.
        follow(self.average, self.network, min(self.recipe.ema, (1 + step) / (10 + step)))
        return float(loss.detach())

    def validate(self) -> float | None:
        return score(self.average, self.validation, self.recipe.classes, self.device) if self.validation else None

    def save(self, step: int) -> Path:
        path = self.out / "checkpoint.safetensors"
        checkpoint.save(path, step, self.recipe.model_dump_json(), self.network, self.average, self.optimizer)
        return path

    def resume(self) -> int:
        """The step to go on with; 0 where there is no checkpoint."""
        path = self.out / "checkpoint.safetensors"
        if not path.exists():
            return 0
        return checkpoint.load(path, self.recipe.model_dump_json(), self.network, self.average, self.optimizer)


def keep_rows(log: Path, steps: int) -> None:
    """Forgets the epochs after the checkpoint: they are learned, and logged, again."""
    if log.exists():
        whole = [row for row in log.read_text().splitlines() if row.endswith("}")]  # the last one may have been cut by the kill
        rows = [row for row in whole if json.loads(row)["step"] <= steps]
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
    first, steps, per_epoch = training.resume(), training.batches.steps, training.batches.steps_per_epoch
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    keep_rows(out / "log.jsonl", first)
    miou, losses, saved = None, [], time.monotonic()
    stop = threading.Event()
    with Progress(*columns, disable=quiet) as bar, (out / "log.jsonl").open("a") as log, ended_by_signals(stop.set):
        if training.left_out and not quiet:
            bar.console.print(how_many_left_out(training.left_out), soft_wrap=True, markup=False, highlight=False)
        task = bar.add_task("", total=steps, completed=first, epoch=first // per_epoch, said="")
        for step, images, labels in training.batches(first):
            losses.append(training.step(step, images, labels))
            epoch, ended = divmod(step + 1, per_epoch)
            if ended == 0:
                due = step + 1 == steps or epoch % recipe.validate_every == 0
                miou = training.validate() if due else None
                row = {"epoch": epoch, "step": step + 1, "loss": round(float(np.mean(losses)), 4), "miou": miou and round(miou, 4)}
                log.write(json.dumps(row) + "\n")
                log.flush()
                bar.update(task, epoch=epoch, said=f"loss {row['loss']}" + (f", mIoU {row['miou']}" if due else ""))
                losses = []
            bar.update(task, completed=step + 1)
            if stop.is_set() and step + 1 < steps:
                again = "the same command" + " without --restart" * restart
                raise Stopped(f"{training.save(step + 1)}: stopped and saved after {step + 1} of {steps} steps; {again} goes on")
            if time.monotonic() - saved >= save_every_s:
                training.save(step + 1)
                saved = time.monotonic()
    return Trained(training.save(steps), steps, miou if miou is not None else training.validate())
