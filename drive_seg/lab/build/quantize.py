"""Post-training quantisation: int8 files beside a bundle's float ones, calibrated on pictures, and the record of what they were made from.

Weights are int8, symmetric, with a scale for each output channel (Jacob et al. 2018, https://arxiv.org/abs/1712.05877). Activations
are uint8, and have a zero point other than 0 where values are negative. They are rounded where a convolution or a sum takes them and
nowhere else, so that a runtime melts convolution, ReLU and rounding into one int8 kernel; OpenVINO moves the rounding before
concatenations by itself.

int8 activations without zero points, the only ones that TensorRT knows, waste a bit behind every ReLU: on CamVid's clip .694 instead
of .700 mIoU, 8 % slower on OpenVINO and half as fast on ONNX Runtime; and behind a concatenation that is rounded to int8, OpenVINO
2026.4 computes nonsense.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData

from drive_seg.contracts import Array, Image, StageName
from drive_seg.errors import DataError, UsageError
from drive_seg.lab.build.export import write_card
from drive_seg.lab.evaluate.pairs import listed, read_picture
from drive_seg.network.card import Bundle, Card, FileCard, InputCard, StageCard, load_bundle, sha256
from drive_seg.network.engine import key_shapes
from drive_seg.network.preprocess import input_size, to_input

FRAMES = 64  # of calibration; 16, 32 and 128 gave the same mIoU within .0005
ROUNDED = ("Conv", "Add")  # the operators whose inputs are rounded
MEANS_APART = 4.0  # grey levels

Ranges = dict[str, tuple[float, float]]  # lowest and highest value by tensor


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the int8 files were made from, ready for JSON."""

    frames: dict[str, Any]
    ranges: dict[str, dict[str, dict[str, Any]]]  # by stage or propagation, and tensor


def quantize_bundle(folder: Path, images: Path, count: int = FRAMES, floats: Collection[str] = ()) -> Calibration:
    """Writes an int8 file for every stage and every propagation's head but those in `floats`, and names them in the card, which then
    prefers no precision.

    `count` pictures of the folder, evenly spread over it by name, go through the stages in floats, each stage calibrated on what the
    one before put out. Raises BundleError, UsageError for a name that is neither, DataError for pictures that cannot be used.
    """
    bundle = load_bundle(folder)
    card, names = bundle.card, (*bundle.card.stages, *bundle.card.heads)
    if unknown := set(floats) - set(names):
        raise UsageError(f"{', '.join(sorted(unknown))}: no such stage or learned propagation; there are {', '.join(names)}")
    paths = spread(images, count)
    tensors = [_as_fed(read_picture(path), card.input) for path in paths]
    files, ranges = dict[str, onnx.ModelProto](), dict[str, dict[str, dict[str, Any]]]()

    def make(name: str, model: onnx.ModelProto, fed: Sequence[dict[str, Array]]) -> None:
        found = calibrate(model, fed)
        if name not in floats:
            files[name] = quantize(model, found, in_floats(model, card.score))
            ranges[name] = _describe(files[name], found)

    for stage in card.stages:
        model = float_model(bundle, stage)
        if stage == "low" and card.key_inputs:
            _tell_keys(model, card, tensors)
        make(stage, model, tensors)
    for propagation in card.heads:
        make(propagation, float_model(bundle, "head", propagation), _between_keys(card, tensors))
    written = dict[str, bytes]()
    stages, heads = _with_int8(card.stages, files, written), _with_int8(card.heads, files, written)
    made = card.model_copy(update={"stages": stages, "heads": heads, "precision": None})
    write_card(made, bundle.folder, written)
    for left in {entry.file for entry in card.files()} - {entry.file for entry in made.files()}:
        (bundle.folder / left).unlink(missing_ok=True)
    hashes = {path.name: sha256(path) for path in paths}
    return Calibration({"folder": images.resolve().name, "frames": hashes}, ranges)


def _with_int8(cards: Mapping[Any, StageCard], files: Mapping[str, onnx.ModelProto], written: dict[str, bytes]) -> dict[str, StageCard]:
    """The cards, each with its int8 file where there is one, which is put into `written` by its name."""
    made = {}
    for name, card in cards.items():
        file, int8 = f"{Path(card.file).stem}.int8.onnx", None
        if name in files:
            written[file] = content = files[name].SerializeToString()
            int8 = FileCard(file=file, sha256=hashlib.sha256(content).hexdigest())
        made[name] = card.model_copy(update={"int8": int8})
    return made


def _key_of(place: int) -> int:
    """Which picture is another one's key: the one before, then itself, in turns, so that what differs much and little is calibrated."""
    return max(0, place - 1) if place % 2 == 0 else place


def _tell_keys(low: onnx.ModelProto, card: Card, tensors: Sequence[dict[str, Array]]) -> None:
    """Adds the key inputs to every picture's tensors: what low makes of its key while it is told of none."""
    run = _session(low)
    made = []
    for frame in tensors:
        blank = {name: np.zeros(shape, np.float32) for name, shape in key_shapes(card, frame[card.input.name].shape[1:3]).items()}
        made.append(run([name.removeprefix("key_") for name in blank], {**frame, **blank}))
    for place, frame in enumerate(tensors):
        frame |= zip(card.key_inputs, made[_key_of(place)], strict=True)


def _between_keys(card: Card, tensors: Sequence[dict[str, Array]]) -> list[dict[str, Array]]:
    """Every picture's tensors, but the context is its key's, and so is the state with which a propagation begins."""
    cached = [name for stage, made in card.stages.items() if stage not in ("low", "head") for name in made.outputs]
    contexts = [{name: tensors[_key_of(place)][name] for name in cached} for place in range(len(tensors))]
    return [
        {**frame, **held, **{f"last_{name}": value for name, value in held.items()}} for frame, held in zip(tensors, contexts, strict=True)
    ]


def spread(images: Path, count: int) -> list[Path]:
    """`count` pictures of a folder, evenly spread over it by name, the first and the last among them. Raises DataError."""
    paths = [path for _, path in sorted(listed([images]).items())]
    if not paths:
        raise DataError(f"{images}: holds no picture; give a folder of training pictures")
    chosen = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    return [paths[i] for i in chosen]


def _as_fed(image: Image, card: InputCard) -> dict[str, Array]:
    """The first stage's input (1, H, W, 3), as the engine gives it."""
    return {card.name: to_input(image, input_size((image.shape[0], image.shape[1]), (card.height, card.width), card.multiple))}


# ---- the graph in floats


def float_model(bundle: Bundle, stage: StageName, propagation: str | None = None) -> onnx.ModelProto:
    """The stage with its weights as fp32 and what can be folded into the first convolution folded."""
    model = onnx.load(bundle.onnx(stage, propagation=propagation))
    unfold_weights(model)
    fold_normalisation(model)
    return onnx.shape_inference.infer_shapes(model)


def unfold_weights(model: onnx.ModelProto) -> None:
    """Undoes export.halve_weights: the Cast behind an fp16 weight goes, and the weight is fp32."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type == "Cast" and node.input[0] in stored:
            tensor = stored[node.input[0]]
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), node.output[0]))
            model.graph.node.remove(node)


def fold_normalisation(model: onnx.ModelProto) -> None:
    """Cast, Transpose, Sub, Div, Conv become Cast, Sub of one number, Transpose, Conv: channels stay last up to the convolution.

    A seventh less time for `low` in int8: OpenVINO turns the picture around twice for constants of one value per channel, and not at
    all for one number. The means' differences go into the bias, which is exact but for the padding: its zeros now stand for the mean of
    the means. Where these lie further apart than MEANS_APART, or the picture goes elsewhere too, the graph stays as it is.
    """
    graph = model.graph
    maker = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for conv in graph.node:
        chain = _upwards(conv, ("Div", "Sub", "Transpose", "Cast"), maker)
        if conv.op_type != "Conv" or not chain or len(conv.input) != 3:
            continue
        div, sub, transpose, cast = chain
        mean, std, weight, bias = (constants.get(name) for name in (sub.input[1], div.input[1], *conv.input[1:]))
        if not (mean and std and weight and bias) or sum(div.output[0] in node.input for node in graph.node) > 1:
            return
        means, stds, weights = (numpy_helper.to_array(tensor) for tensor in (mean, std, weight))
        if np.ptp(means) > MEANS_APART or weights.shape[1] != means.size:
            return
        centre = means.mean()
        scaled = weights / stds.reshape(-1, 1, 1)
        shift = (scaled * (centre - means).reshape(-1, 1, 1)).sum((1, 2, 3))
        for tensor, value in ((mean, centre), (weight, scaled), (bias, numpy_helper.to_array(bias) + shift)):
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), tensor.name))
        sub.input[0], transpose.input[0], conv.input[0] = cast.output[0], sub.output[0], transpose.output[0]
        others = [node for node in graph.node if node not in (cast, sub, transpose, div)]
        del graph.node[:]
        graph.node.extend([cast, sub, transpose, *others])
        graph.initializer.remove(std)
        return


def _upwards(node: onnx.NodeProto, operators: Sequence[str], maker: Mapping[str, onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes above this one along first inputs, if they are these operators; else none."""
    chain: list[onnx.NodeProto] = []
    for operator in operators:
        above = maker.get(node.input[0]) if node.input else None
        if above is None or above.op_type != operator:
            return []
        chain.append(above)
        node = above
    return chain


# ---- ranges and rounding


def in_floats(model: onnx.ModelProto, score: str | None) -> list[str]:
    """The names of the nodes whose inputs are not rounded: what a Softmax takes, back to the products, and what is for the score alone.

    A step of attention's logits is a factor of its weights; the score is one number near 0 that is compared with a threshold.
    """
    outputs = {output.name for output in model.graph.output}
    taken = [name for node in model.graph.node if node.op_type == "Softmax" for name in node.input]
    attention = _above(model, taken, stop="MatMul")
    forecast = _above(model, outputs & {score}) - _above(model, outputs - {score})
    return sorted(attention | forecast)


def _above(model: onnx.ModelProto, tensors: Iterable[str], stop: str = "") -> set[str]:
    """The names of the nodes that these tensors come from, up to operators `stop`, which are not among them."""
    maker = {name: node for node in model.graph.node for name in node.output}
    found, wanted = set[str](), list(tensors)
    while wanted:
        node = maker.get(wanted.pop())
        if node is not None and node.op_type != stop and node.name not in found:
            found.add(node.name)
            wanted += node.input
    return found


def _session(model: onnx.ModelProto) -> Callable[[Sequence[str], Mapping[str, Array]], list[Array]]:
    """Runs the model: the outputs of these names, from inputs among which there may be others."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = [info.name for info in model.graph.input]
    return lambda outputs, values: list(session.run(list(outputs), {name: values[name] for name in inputs}))


def calibrate(model: onnx.ModelProto, tensors: Sequence[dict[str, Array]]) -> Ranges:
    """Runs the stage on every picture's `tensors`, adds its outputs to them, and gives each value's range: the mean of the pictures' own.

    The mean over pictures, not the extreme of them all: one glaring pixel does not coarsen every step (.7008 instead of .6992 mIoU).
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    known = {output.name for output in model.graph.output}
    inside = [info for info in model.graph.value_info if info.type.tensor_type.elem_type == TensorProto.FLOAT and info.name not in known]
    watched.graph.output.extend(inside)
    inputs, outputs = [info.name for info in model.graph.input], [info.name for info in watched.graph.output]
    run = _session(watched)
    seen: dict[str, list[tuple[float, float]]] = {}
    for frame in tensors:
        values = {name: frame[name] for name in inputs}
        values |= dict(zip(outputs, run(outputs, values), strict=True))
        for name, value in values.items():
            if value.dtype == np.float32:
                seen.setdefault(name, []).append((float(value.min()), float(value.max())))
        frame |= {name: values[name] for name in known}
    return {name: (float(low), float(high)) for name, found in seen.items() for low, high in [np.mean(found, 0)]}


def quantize(model: onnx.ModelProto, ranges: Ranges, floats: Sequence[str] = ()) -> onnx.ModelProto:
    """A copy with QuantizeLinear and DequantizeLinear where values are rounded, and int8 weights; heights and widths stay open.

    Nodes of the names in `floats` are left as they are.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    found = TensorsData(CalibrationMethod.MinMax, {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()})
    options = {
        "WeightSymmetric": True,
        "ActivationSymmetric": False,
        "QuantizeBias": False,  # fp32: as fast, and TensorRT takes no int32
        "OpTypesToExcludeOutputQuantization": list(ROUNDED),
    }
    quantizer = QDQQuantizer(made, True, False, QuantType.QInt8, QuantType.QUInt8, found, [], list(floats), list(ROUNDED), options)
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    made = quantizer.model.model
    del made.graph.value_info[:]  # shapes at the size of calibration
    onnx.checker.check_model(made, full_check=True)
    return made


def _describe(made: onnx.ModelProto, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """By tensor that is rounded: its range, and the scale and zero point of the uint8 that came of it."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    rows: dict[str, dict[str, Any]] = {}
    for node in made.graph.node:
        if node.op_type == "QuantizeLinear":
            name = node.input[0].removesuffix("_QuantizeLinear_Input")
            scale, zero = constants[node.input[1]], constants[node.input[2]]
            low, high = ranges[name]
            rows[name] = {"low": round(low, 5), "high": round(high, 5), "scale": float(f"{scale:.9g}"), "zero_point": int(zero)}
    return rows
