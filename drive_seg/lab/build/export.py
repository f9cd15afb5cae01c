"""From a trained network to a bundle: one ONNX file per stage with fp16 weights, and the card."""

import hashlib
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from drive_seg.classes import ClassName, palette
from drive_seg.errors import DataError
from drive_seg.files import write_all
from drive_seg.lab.models.staged import Head, Staged
from drive_seg.lab.models.stored import HALF, fold_batch_norms
from drive_seg.lab.train import checkpoint
from drive_seg.lab.train.recipe import Recipe
from drive_seg.network.card import CARD, Card, InputCard, StageCard
from drive_seg.network.preprocess import input_size

OPSET = 18
TRAINED_HW = (360, 480)


class LabelHead(nn.Module):
    """Wraps a head so that `forward` gives uint8 labels (N, h, w)."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, *features: Tensor) -> Tensor:
        return self.head.labels(*features)


@dataclass(frozen=True, slots=True)
class StageModule:
    """A stage as a module, with example inputs and its outputs' names."""

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]


@torch.no_grad()
def stage_modules(network: Staged) -> dict[str, StageModule]:
    """The stages in the order in which they run, with example inputs at the size that the card names."""
    wiring, (height, width) = network.wiring, input_hw(network)
    image = torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8)
    features = network.features(image)
    mid = {} if network.mid is None else {"mid": StageModule(network.mid, {name: features[name] for name in wiring.mid_takes}, wiring.mid)}
    return {
        "low": StageModule(network.low, {"image": image}, wiring.low),
        **mid,
        "high": StageModule(network.high, {name: features[name] for name in wiring.high_takes}, wiring.high),
        "head": StageModule(LabelHead(network.head), {name: features[name] for name in wiring.head_takes}, ("labels",)),
    }


def input_hw(network: Staged) -> tuple[int, int]:
    """The input's height and width: about 360x480, in multiples of the network's own."""
    return input_size(TRAINED_HW, TRAINED_HW, network.wiring.multiple)


def _dynamic(stage: StageModule) -> dict[str, dict[int, str]]:
    """Height and width are left open: the engine fixes them to the frames' shape."""
    return {
        name: ({1: "height", 2: "width"} if value.dtype == torch.uint8 else {2: f"{name}_height", 3: f"{name}_width"})
        for name, value in stage.inputs.items()
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


def export_stage(stage: StageModule) -> bytes:
    """The stage as an ONNX file with fp16 weights and open heights and widths, checked."""
    with warnings.catch_warnings(), TemporaryDirectory(prefix="drive-seg-") as folder:
        path = Path(folder, "stage.onnx")
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            stage.module.eval(),
            tuple(stage.inputs.values()),
            str(path),
            input_names=list(stage.inputs),
            output_names=list(stage.outputs),
            dynamic_axes=_dynamic(stage),
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(path)
    name_weights(model, stage.module)
    halve_weights(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def gflop(stage: StageModule) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        stage.module(*stage.inputs.values())
    return round(float(counter.get_total_flops()) / 1e9, 3)


def export_bundle(trained: Path, out: Path) -> Card:
    """Turns a training's checkpoint into the bundle folder `out`, which takes its name. Raises DataError for a damaged checkpoint."""
    try:
        recipe = Recipe.model_validate_json(checkpoint.read_recipe(trained))
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{trained}: its recipe's {'.'.join(map(str, first['loc']))}: {first['msg']}; train again to make one") from error
    network = recipe.make_network()
    steps = checkpoint.load_average(trained, network)
    out.mkdir(parents=True, exist_ok=True)
    files = dict[str, bytes]()
    stages = {name: stage_card(f"{name}.onnx", stage, files) for name, stage in stage_modules(fold_batch_norms(network)).items()}
    card = Card(
        format=1,
        name=out.name,
        classes=recipe.classes,
        palette=palette([ClassName(name) for name in recipe.classes]),
        input=InputCard(name="image", height=input_hw(network)[0], width=input_hw(network)[1], multiple=network.wiring.multiple),
        labels="labels",
        change=network.wiring.change,
        cut=network.wiring.cut,
        stages=stages,  # type: ignore[arg-type]
        network={"architecture": recipe.architecture, **network.describe()},
        parameters=network.parameter_count(),
        training={"steps": steps, "recipe": json.loads(recipe.model_dump_json())},
        licence=recipe.licence,
        limits=recipe.limits,
        measured={},
    )
    write_card(card, out, files)
    return card


def stage_card(file: str, stage: StageModule, files: dict[str, bytes]) -> StageCard:
    """Exports the stage into `files`, under this name, and describes it."""
    files[file] = content = export_stage(stage)
    digest = hashlib.sha256(content).hexdigest()
    return StageCard(file=file, sha256=digest, inputs=tuple(stage.inputs), outputs=stage.outputs, gflop=gflop(stage))


def write_card(card: Card, folder: Path, files: Mapping[str, bytes] | None = None) -> None:
    """Writes card.json into the folder, and before it the files that it names anew, over those that are there. Raises SinkError.

    A bundle that was there stays as it is until all of the new one is written beside it.
    """
    told = json.dumps(json.loads(card.model_dump_json()), indent=2) + "\n"
    write_all({**{folder / name: content for name, content in (files or {}).items()}, folder / CARD: told}, overwrite=True)
