"""The training learns, resumes to the very same weights, and refuses a checkpoint that is not its own."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from drive_seg.errors import DataError
from drive_seg.lab.train import checkpoint, learner, loop
from drive_seg.lab.train.recipe import Recipe


def test_it_learns_a_tiny_street(recipe: Recipe, tmp_path: Path) -> None:
    still = {"epochs": 40, "scale": (0.9, 1.1), "stretch": 0.0, "rotate_deg": 0.0, "colour": 0.1, "ema": 0.9, "hold_out": ("B",)}
    trained = loop.train(recipe.model_copy(update=still), tmp_path / "run", quiet=True)
    assert trained.miou is not None
    assert trained.miou > 0.8
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, 41))
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert rows[-1]["miou"] == pytest.approx(trained.miou, abs=1e-4)


def test_a_training_killed_midway_resumes_to_the_same_result(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.train(recipe, tmp_path / "whole", quiet=True)
    learn, steps = loop.Training.step, []

    def killed(self: loop.Training, step: int, images: torch.Tensor, labels: torch.Tensor) -> float:
        if step == 9 and not steps.count(9):
            steps.append(step)
            raise KeyboardInterrupt
        steps.append(step)
        return learn(self, step, images, labels)

    monkeypatch.setattr(loop.Training, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        loop.train(recipe, tmp_path / "parts", quiet=True, save_every_s=0)
    loop.train(recipe, tmp_path / "parts", quiet=True)
    assert steps == [*range(10), *range(9, 16)]
    one, two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "parts"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "parts")]
    logged = [[json.loads(row)["step"] for row in log.splitlines()] for log in logs]
    assert logged == [[4, 8, 12, 16]] * 2


def test_a_checkpoint_of_another_recipe_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    short = recipe.model_copy(update={"epochs": 1})
    loop.train(short, tmp_path / "run", quiet=True)
    with pytest.raises(DataError, match=r"another recipe \(seed differ"):
        loop.train(short.model_copy(update={"seed": 1}), tmp_path / "run", quiet=True)
    assert loop.train(short.model_copy(update={"seed": 1}), tmp_path / "run", restart=True, quiet=True).steps == 4


def test_a_damaged_checkpoint_is_named(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(DataError, match=r"checkpoint\.safetensors: not a whole checkpoint"):
        loop.train(recipe, tmp_path / "run", quiet=True)


def test_the_learning_rate_warms_up_and_ends_at_nothing(recipe: Recipe) -> None:
    warm = recipe.model_copy(update={"warm_up": 0.1, "learning_rate": 1.0})
    rates = [learner.learning_rate(step, 100, warm) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert max(rates) == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


def test_the_rate_warms_up_stays_and_cools_down(recipe: Recipe) -> None:
    plan = recipe.model_copy(update={"warm_up": 0.1, "cool_down": 0.2, "learning_rate": 1.0})
    rates = [learner.learning_rate(step, 100, plan) for step in range(100)]
    assert rates[:2] == [0.1, 0.2]
    assert rates[10:81] == [1.0] * 71
    assert rates[80:] == sorted(rates[80:], reverse=True)
    assert 0 < rates[99] < 0.02


def test_a_training_begins_with_another_ones_weights(recipe: Recipe, tmp_path: Path) -> None:
    start = loop.train(recipe.model_copy(update={"epochs": 1}), tmp_path / "start", quiet=True).checkpoint
    more = recipe.model_copy(update={"start": start, "network": recipe.network | {"deep_blocks": 2}})
    begun, network = loop.Training(more, tmp_path / "more").network.state_dict(), recipe.make_network()
    checkpoint.load_average(start, network)
    for name, value in network.state_dict().items():
        assert torch.equal(begun[name], value), name
    assert any(name.startswith("high.deep.2.") for name in begun)
    smaller = recipe.model_copy(update={"start": start, "network": recipe.network | {"deep": 8}})
    with pytest.raises(DataError, match="no place"):
        loop.Training(smaller, tmp_path / "smaller")


def test_a_checkpoint_is_older_than_a_key_of_the_recipe(recipe: Recipe, tmp_path: Path) -> None:
    path = loop.train(recipe.model_copy(update={"epochs": 1}), tmp_path / "run", quiet=True).checkpoint
    with safe_open(path, "pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    older = json.loads(about["recipe"])
    assert older.pop("losses") == {"weighted_cross_entropy": 1.0}
    save_file(tensors, path, about | {"recipe": json.dumps(older)})
    assert loop.train(recipe.model_copy(update={"epochs": 1}), tmp_path / "run", quiet=True).steps == 4
    with pytest.raises(DataError, match=r"another recipe \(losses differ"):
        loop.train(recipe.model_copy(update={"epochs": 1, "losses": {"dice": 1.0}}), tmp_path / "run", quiet=True)
    save_file(tensors, path, about | {"recipe": json.dumps(older | {"forgotten": 1})})
    with pytest.raises(DataError, match=r"another recipe \(forgotten, losses differ"):
        loop.train(recipe.model_copy(update={"epochs": 1}), tmp_path / "run", quiet=True)


def test_it_learns_by_any_mix_of_losses(recipe: Recipe, tmp_path: Path) -> None:
    mix = {"cross_entropy": 0.5, "lovasz": 1.0, "boundary": 0.2}
    still = {"epochs": 25, "scale": (0.9, 1.1), "stretch": 0.0, "rotate_deg": 0.0, "colour": 0.1, "ema": 0.9, "hold_out": ("B",)}
    trained = loop.train(recipe.model_copy(update=still | {"losses": mix}), tmp_path / "run", quiet=True)
    assert trained.miou is not None
    assert trained.miou > 0.7
