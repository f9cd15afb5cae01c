"""Checkpoints that resume exactly: weights, their average and the optimizer's state as safetensors, never a pickle."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from drive_seg.errors import DataError
from drive_seg.lab.train.recipe import Recipe
from drive_seg.reading import parse_json


def save(path: Path, step: int, recipe_json: str, network: nn.Module, average: nn.Module, optimizer: Optimizer) -> None:
    """Saves atomically (a file beside it, renamed): a kill leaves the old checkpoint or the new one, whole."""
    tensors: dict[str, Tensor] = {}
    for part, module in (("network", network), ("average", average)):
        tensors |= {f"{part}.{name}": value.detach().contiguous().clone() for name, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value.contiguous().clone() for name, value in state.items()}
    beside = path.with_suffix(".part")
    save_file(tensors, beside, {"step": str(step), "recipe": recipe_json})
    beside.replace(path)


def load(path: Path, recipe_json: str, network: nn.Module, average: nn.Module, optimizer: Optimizer) -> int:
    """Restores weights, average and optimizer; returns the next step. Raises DataError when the file is damaged or of another recipe."""
    about, tensors = _open(path)
    mine, its = json.loads(recipe_json), _filled(about["recipe"])
    if mine != its:
        differ = sorted(key for key in mine.keys() | its.keys() if mine.get(key) != its.get(key))
        raise DataError(f"{path}: was made by another recipe ({', '.join(differ)} differ); give another --out, or --restart")
    for part, module in (("network", network), ("average", average)):
        _put(path, _part(tensors, part), module)
    state: dict[int, dict[str, Tensor]] = {}
    try:
        for name, value in _part(tensors, "optimizer").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: its optimizer's state is not this training's; give another --out, or --restart") from error
    return int(about["step"])


def _filled(recipe_json: str) -> Any:
    """The recipe's values, with their defaults for the keys that are younger than it."""
    try:
        return Recipe.model_validate_json(recipe_json).model_dump(mode="json")
    except ValidationError:  # it has a key that is known no more, and the caller says which
        return json.loads(recipe_json)


def _open(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What is said of it, `recipe` (JSON of a table) and `step` (a whole number) among it, and the tensors."""
    try:
        with safe_open(path, "pt") as file:
            about, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"{path}: not a whole checkpoint ({error}); train again to make one") from error
    try:
        if not isinstance(parse_json(about["recipe"]), dict) or int(about["step"]) < 0:
            raise ValueError
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: is no training checkpoint, it carries no recipe and step; train again to make one") from error
    return about, tensors


def _put(path: Path, tensors: dict[str, Tensor], module: nn.Module) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{path}: does not hold the weights of its recipe's network; train again to make one") from error


def read_recipe(path: Path) -> str:
    """The recipe's JSON. Raises DataError when the file is no checkpoint."""
    about, _ = _open(path)
    return about["recipe"]


def load_average(path: Path, network: nn.Module) -> int:
    """Loads the averaged weights into the network and returns the number of steps behind them. Raises DataError."""
    about, tensors = _open(path)
    _put(path, _part(tensors, "average"), network)
    return int(about["step"])


def begin_with(path: Path, network: nn.Module) -> None:
    """Loads the averaged weights of a checkpoint into a network that may have more layers, which keep their own beginning.

    Raises DataError when the checkpoint holds what the network has no place for.
    """
    _, tensors = _open(path)
    own, given = network.state_dict(), _part(tensors, "average")
    if strange := sorted(name for name, value in given.items() if name not in own or own[name].shape != value.shape):
        raise DataError(f"{path}: does not fit the recipe's network; {strange[0]} and {len(strange) - 1} more have no place in it")
    network.load_state_dict(own | given)


def _part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}
