"""A training in a process of its own, killed or told to stop at any moment, goes on to the very same weights."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from drive_seg.errors import DataError, Stopped
from drive_seg.lab.train import loop
from drive_seg.lab.train.recipe import Recipe
from tests.waiting import PATIENCE_S

EPOCHS = 30
STEPS = 4 * EPOCHS


@pytest.fixture
def recipe_file(recipe: Recipe, tmp_path: Path) -> Path:
    path = tmp_path / "street.toml"
    values = recipe.model_copy(update={"epochs": EPOCHS}).model_dump(mode="json", exclude_defaults=True)
    network = values.pop("network")
    lines = [*(f"{key} = {json.dumps(value)}" for key, value in values.items()), "[network]"]
    path.write_text("\n".join([*lines, *(f"{key} = {value}" for key, value in network.items())]) + "\n")
    return path


def start(recipe_file: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "drive_seg", "train", str(recipe_file), "--out", str(out), *options]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})


def wait_until_saved(checkpoint: Path, process: subprocess.Popen[str], times: int) -> None:
    """Until the checkpoint has been written anew so often."""
    deadline, seen = time.monotonic() + PATIENCE_S, checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    while times and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
        now = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        times, seen = times - (now != seen), now


def saved_steps(checkpoint: Path) -> int:
    with safe_open(checkpoint, "pt") as file:
        return int(file.metadata()["step"])


def assert_same_weights(one: Path, other: Path) -> None:
    mine, its = load_file(one), load_file(other)
    assert mine.keys() == its.keys()
    assert all(torch.equal(mine[name], its[name]) for name in mine)


def test_killed_at_random_moments_it_ends_with_the_same_weights(recipe_file: Path, tmp_path: Path) -> None:
    out, moments = tmp_path / "parts", random.Random(time.time_ns())
    checkpoint, steps = out / "checkpoint.safetensors", [0]
    for _ in range(2):  # the second one goes on from the first
        process = start(recipe_file, out, "--save-every", "0")
        wait_until_saved(checkpoint, process, moments.randint(1, 12))
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == -signal.SIGKILL, said
        steps.append(saved_steps(checkpoint))
    assert steps == sorted(set(steps))  # each went on from where the one before it was killed
    assert steps[-1] < STEPS

    process = start(recipe_file, out)
    said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    whole = loop.train(Recipe.load(recipe_file), tmp_path / "whole", quiet=True)
    assert_same_weights(whole.checkpoint, checkpoint)
    assert [json.loads(row)["epoch"] for row in (out / "log.jsonl").read_text().splitlines()] == [*range(1, EPOCHS + 1)]


def test_told_to_stop_it_saves_at_once_and_says_how_to_go_on(recipe_file: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    epochs = 100 * EPOCHS  # so that it is never done before it is told
    wait_until_saved(checkpoint, process := start(recipe_file, tmp_path / "run", "--save-every", "0.2", "--epochs", str(epochs)), 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    (line,) = err.splitlines()
    steps = f"{saved_steps(checkpoint)} of {4 * epochs} steps"
    assert line == f"drive-seg: {checkpoint}: stopped and saved after {steps}; the same command goes on"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_goes_on_to_the_same_weights(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    whole, before = loop.train(recipe, tmp_path / "whole", quiet=True), signal.getsignal(number)
    learn = loop.Training.step

    def signalled(self: loop.Training, step: int, images: torch.Tensor, labels: torch.Tensor) -> float:
        if step == 9:
            os.kill(os.getpid(), number)
        return learn(self, step, images, labels)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "step", signalled)
        with pytest.raises(Stopped, match="after 10 of 16 steps; the same command without --restart goes on"):
            loop.train(recipe, tmp_path / "parts", restart=True, quiet=True)
    assert saved_steps(tmp_path / "parts" / "checkpoint.safetensors") == 10
    assert signal.getsignal(number) is before
    assert_same_weights(whole.checkpoint, loop.train(recipe, tmp_path / "parts", quiet=True).checkpoint)


def test_a_log_whose_last_row_was_cut_is_taken_up(recipe: Recipe, tmp_path: Path) -> None:
    trained = loop.train(recipe, tmp_path / "run", quiet=True)
    log = tmp_path / "run" / "log.jsonl"
    whole = log.read_text()
    log.write_text(whole + '{"epoch": 5, "st')
    loop.keep_rows(log, trained.steps)
    assert log.read_text() == whole


def test_a_training_leaves_out_what_cannot_be_used_on_demand(
    recipe: Recipe, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (street / "labels" / "A_000.png").unlink()
    (street / "images" / "A_001.png").write_bytes(b"?")
    (street / "images" / "B_007.png").write_bytes(b"?")
    held = recipe.model_copy(update={"epochs": 1, "hold_out": ("B",)})
    with pytest.raises(DataError, match=r"A_000\.png: has no partner"):
        loop.train(held, tmp_path / "run")
    capsys.readouterr()
    loop.train(held, tmp_path / "run", skip_bad=True)
    assert "left out 3 that cannot be used" in (said := capsys.readouterr().out)
    assert all(name in said for name in ("A_000.png", "A_001.png", "B_007.png"))
    for path in (street / "images").glob("A_*"):
        path.write_bytes(b"?")
    with pytest.raises(DataError, match="no pair can be used: left out 5"):
        loop.train(held, tmp_path / "none", quiet=True, skip_bad=True)


def test_a_checkpoint_from_before_data_sets_goes_on(recipe: Recipe, tmp_path: Path) -> None:
    trained = loop.train(recipe.model_copy(update={"epochs": 1}), tmp_path / "run", quiet=True)
    with safe_open(trained.checkpoint, "pt") as file:
        about = file.metadata()
    old = {key: value for key, value in json.loads(about["recipe"]).items() if key not in ("data", "validate_data")}
    save_file(load_file(trained.checkpoint), trained.checkpoint, about | {"recipe": json.dumps(old)})
    assert loop.Training(recipe.model_copy(update={"epochs": 1}), tmp_path / "run").resume() == trained.steps
