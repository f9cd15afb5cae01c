"""Runs typed networks on the CPU, stage after stage, to see what their types do to the labels."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from drive_seg.backends.tensorrt.typed import typed_network
from drive_seg.contracts import Array
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import key_shapes

BUNDLES = sorted(path.parent for path in (Path(__file__).parents[3] / "engines").glob("*/card.json"))
SIZE = (360, 480)


def run(model: bytes, tensors: Mapping[str, Array]) -> dict[str, Array]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # its optimiser rounds the biases of int8 convolutions through fp16, where they overflow: 5 % of the labels change
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {one.name: tensors[one.name] for one in session.get_inputs()}), strict=True))


def labels(bundle: Bundle, precision: str, image: Array, size_hw: tuple[int, int] | None = None) -> Array:
    """The labels of one picture (1, H, W, 3), every stage typed; with a size it is `low` that reduces the picture to it."""
    size_hw = size_hw or (image.shape[1], image.shape[2])
    none = {name: np.zeros(shape, np.float32) for name, shape in key_shapes(bundle.card, size_hw).items()}
    tensors: dict[str, Array] = {"image": image, **none}
    for stage in bundle.card.stages:
        path = bundle.onnx(stage, int8=precision in ("int8", "fp8"))
        shapes = {name: tensors[name].shape for name in bundle.card.stages[stage].inputs}
        frames = {"image": (image.shape[1], image.shape[2])} if stage == "low" and size_hw != image.shape[1:3] else {}
        shapes |= dict.fromkeys(frames, (1, *size_hw, 3))
        tensors |= run(typed_network(path, shapes, precision, frames).model, tensors)
    return tensors[bundle.card.labels]


def low_shapes(bundle: Bundle) -> dict[str, tuple[int, ...]]:
    shapes = {"image": (1, *SIZE, 3), **key_shapes(bundle.card, SIZE)}
    return {name: shapes[name] for name in bundle.card.stages["low"].inputs}


def bundle(folder: Path) -> Bundle:
    return load_bundle(str(folder))
