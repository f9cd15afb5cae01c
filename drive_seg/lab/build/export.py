"""From a trained network to a bundle: one ONNX file per stage with fp16 weights, and the card."""

import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from drive_seg.errors import DataError
from drive_seg.files import write
from drive_seg.lab.models.staged import Head, Staged
from drive_seg.lab.models.stored import HALF, fold_batch_norms
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.recipe import Recipe
from drive_seg.network.card import CARD, Card, InputCard, StageCard, sha256
from drive_seg.network.preprocess import input_size

OPSET = 18
TRAINED_HW = (360, 480)
# CamVid's own colours, as the field prints them.
PALETTE = {
    "sky": (128, 128, 128), "building": (128, 0, 0), "pole": (192, 192, 128), "road": (128, 64, 128), "pavement": (60, 40, 222),
    "tree": (128, 128, 0), "sign": (192, 128, 128), "fence": (64, 64, 128), "car": (64, 0, 128), "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}  # fmt: skip


class Labelling(nn.Module):
    """The head as it runs: down to the labels."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, *features: Tensor) -> Tensor:
        return self.head.labels(*features)


@dataclass(frozen=True, slots=True)
class Piece:
    """One stage, ready to be exported."""

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]


@torch.no_grad()
def pieces(network: Staged) -> dict[str, Piece]:
    """The stages in the order in which they run, with example inputs at the size that the card names."""
    wiring, (height, width) = network.wiring, input_hw(network)
    image = torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8)
    features = network.features(image)
    mid = {} if network.mid is None else {"mid": Piece(network.mid, {name: features[name] for name in wiring.mid_takes}, wiring.mid)}
    return {
        "low": Piece(network.low, {"image": image}, wiring.low),
        **mid,
        "high": Piece(network.high, {name: features[name] for name in wiring.high_takes}, wiring.high),
        "head": Piece(Labelling(network.head), {name: features[name] for name in wiring.head_takes}, ("labels",)),
    }


def input_hw(network: Staged) -> tuple[int, int]:
    """About 480x360, in the network's whole multiples."""
    return input_size(TRAINED_HW, TRAINED_HW, network.wiring.multiple)


def _dynamic(piece: Piece) -> dict[str, dict[int, str]]:
    """Height and width are left open: the engine fixes them to the frames' shape."""
    return {
        name: ({1: "height", 2: "width"} if value.dtype == torch.uint8 else {2: f"{name}_height", 3: f"{name}_width"})
        for name, value in piece.inputs.items()
    }


def name_weights(model: onnx.ModelProto, module: nn.Module) -> None:
    """Gives the weights that the exporter reshaped, a PReLU's slopes, their own names again, by which they are read back."""
    stored = {tensor.name for tensor in model.graph.initializer} | {name for node in model.graph.node for name in node.output}
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    by_value = {numpy_helper.to_array(tensor).tobytes(): tensor for tensor in floats}
    for name, value in module.state_dict().items():
        tensor = by_value.get(value.numpy().tobytes())
        if name in stored or tensor is None:
            continue
        if "::" in tensor.name:
            for node in model.graph.node:
                node.input[:] = [name if taken == tensor.name else taken for taken in node.input]
            tensor.name = name
        else:  # the exporter stores equal ones once
            model.graph.initializer.append(numpy_helper.from_array(value.numpy(), name))


def halve_weights(model: onnx.ModelProto) -> None:
    """Stores the weights as fp16 behind a Cast, which every runtime folds away: half the file, and fp32 arithmetic as before."""
    casts = []
    for tensor in model.graph.initializer:
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < 16:
            continue
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + HALF))
        casts.append(helper.make_node("Cast", [name + HALF], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def trace(piece: Piece, path: Path, open_axes: Mapping[str, Mapping[int, str]] | None = None) -> onnx.ModelProto:
    """What torch's exporter makes of it, at the size of its inputs but for `open_axes`; `path` is overwritten."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            piece.module.eval(),
            tuple(piece.inputs.values()),
            str(path),
            input_names=list(piece.inputs),
            output_names=list(piece.outputs),
            dynamic_axes=open_axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load(path)


def export_stage(piece: Piece, path: Path) -> None:
    """Writes one ONNX file, checked."""
    model = trace(piece, path, _dynamic(piece))
    name_weights(model, piece.module)
    halve_weights(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def gflop(piece: Piece) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        piece.module(*piece.inputs.values())
    return round(float(counter.get_total_flops()) / 1e9, 3)


def export_bundle(trained: Path, out: Path) -> Card:
    """Turns a training's checkpoint into the bundle folder `out`, which takes its name. Raises DataError for a damaged checkpoint."""
    recipe = Recipe.model_validate_json(checkpoint.read_recipe(trained))
    network = recipe.make_network()
    steps = checkpoint.load_average(trained, network)
    if missing := [name for name in recipe.classes if name not in PALETTE]:
        raise DataError(f"{trained}: no colour is known for the classes {', '.join(missing)}")
    out.mkdir(parents=True, exist_ok=True)
    staged = pieces(fold_batch_norms(network))
    stages = {}
    for name, piece in staged.items():
        path = out / f"{name}.onnx"
        export_stage(piece, path)
        stages[name] = StageCard(file=path.name, sha256=sha256(path), inputs=tuple(piece.inputs), outputs=piece.outputs, gflop=gflop(piece))
    card = Card(
        format=1,
        name=out.name,
        classes=recipe.classes,
        palette=tuple(PALETTE[name] for name in recipe.classes),
        input=InputCard(name="image", height=input_hw(network)[0], width=input_hw(network)[1], multiple=network.wiring.multiple),
        labels="labels",
        change=network.wiring.change,
        stages=stages,  # type: ignore[arg-type]
        network={"architecture": recipe.architecture, **network.describe()},
        parameters=network.parameter_count(),
        training={"steps": steps, "recipe": json.loads(recipe.model_dump_json())},
        licence=recipe.licence,
        limits=recipe.limits,
        measured={},
    )
    write_card(card, out)
    return card


def write_card(card: Card, folder: Path) -> None:
    """Over the one that is there. Raises SinkError."""
    write(folder / CARD, json.dumps(json.loads(card.model_dump_json()), indent=2) + "\n", overwrite=True)
