"""What every training has: a network with its average and its optimizer, a checkpoint, a bar, a log, and an end at a signal."""

import copy
import json
import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from drive_seg.errors import Stopped
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.recipe import TomlRecipe
from drive_seg.workers import ended_by_signals

Made = TypeVar("Made")


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


def learning_rate(step: int, steps: int, recipe: TomlRecipe) -> float:
    """Linear warm-up, a plateau, then half a cosine to zero over the cool-down, which takes no more than the warm-up leaves."""
    warm = max(1, round(recipe.warm_up * steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    cool = max(1, min(steps - warm, round(recipe.cool_down * steps)))
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * max(0, step - (steps - cool)) / cool))


def make_optimizer(network: nn.Module, recipe: TomlRecipe, slower: Sequence[nn.Parameter] = (), share: float = 1.0) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; those in `slower` learn at `share` of the rate, which each group keeps as `share`.

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
def update_average(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Moves the averaged weights towards the network's; the batch norms' statistics too, which smooths them further."""
    for slow, fast in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if slow.dtype.is_floating_point:
            slow.lerp_(fast, 1 - keep)
        else:
            slow.copy_(fast)


class Learner:
    """A network in training, its averaged weights and its optimizer: what a checkpoint holds."""

    def __init__(
        self,
        network: nn.Module,
        recipe: TomlRecipe,
        steps: int,
        path: Path,
        identity: str,
        slower: Sequence[nn.Parameter] = (),
        share: float = 1.0,
    ) -> None:
        """`path`: of the checkpoint. `identity`: what that belongs to, as JSON. `slower`, `share`: see make_optimizer."""
        self.network, self.plan, self.steps, self.path, self.identity = network, recipe, steps, path, identity
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.optimizer = make_optimizer(network, recipe, slower, share)

    def update(self, step: int, loss: Tensor) -> None:
        """Backpropagates the loss and updates network and average, at this step's learning rate."""
        rate = learning_rate(step, self.steps, self.plan)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        # The average is young at first: it follows more closely, so that it forgets the random start.
        update_average(self.average, self.network, min(self.plan.ema, (1 + step) / (10 + step)))

    def save(self, step: int) -> Path:
        checkpoint.save(self.path, step, self.identity, self.network, self.average, self.optimizer)
        return self.path

    def resume(self) -> int:
        """Restores the checkpoint and returns the next step; 0 without one. Raises DataError for one of another recipe."""
        if not self.path.exists():
            return 0
        return checkpoint.load(self.path, self.identity, self.network, self.average, self.optimizer)


class TrainingRun:
    """The loop around a training's steps: progress bar, log.jsonl, periodic checkpoints and a stop on a signal."""

    def __init__(self, bar: Progress, log: TextIO, stop: threading.Event) -> None:
        self.bar, self._log, self._stop = bar, log, stop

    def steps(
        self, learner: Learner, batches: Iterable[tuple[int, Made]], first: int, every_s: float, what: str, again: str = "the same command"
    ) -> Iterator[tuple[int, Made]]:
        """Yields (step, batch); a batch counts as learned when the next is asked for. Saves every `every_s` seconds.

        Raises Stopped after a signal, with the checkpoint written; `again` says how to go on.
        """
        self._task = self.bar.add_task(what, total=learner.steps, completed=first, said="")
        saved = time.monotonic()
        for step, batch in batches:
            yield step, batch
            self.bar.update(self._task, completed=step + 1)
            stopped = self._stop.is_set() and step + 1 < learner.steps
            if stopped or time.monotonic() - saved >= every_s:
                path, saved = learner.save(step + 1), time.monotonic()
                if stopped:
                    raise Stopped(f"{path}: stopped and saved after {step + 1} of {learner.steps} steps; {again} goes on")

    def log_row(self, row: Mapping[str, Any], what: str, said: str) -> None:
        """Appends a row to log.jsonl and updates the text beside the bar."""
        self._log.write(json.dumps(row) + "\n")
        self._log.flush()
        self.bar.update(self._task, description=what, said=said)


@contextmanager
def training_run(out: Path, quiet: bool) -> Iterator[TrainingRun]:
    """Opens the progress bar and appends to log.jsonl in `out`. Main thread only, which alone receives signals."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    stop = threading.Event()
    with Progress(*columns, disable=quiet) as bar, (out / "log.jsonl").open("a") as log, ended_by_signals(lambda _: stop.set()):
        yield TrainingRun(bar, log, stop)
