"""Lets an ONNX file that ends in labels say how sure it is of them: two small outputs beside them, made where the scores are compared.

The file is changed as it is loaded, so that bundles and foreign networks need no other export, and whoever does not ask has the graph as
it was. What stands between the largest score and the labels, as the order of a sub-pixel convolution, is repeated for both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from drive_seg.backends.validation import check_file, one_line
from drive_seg.contracts import CONFIDENCE, RUNNER_UP, STEPS
from drive_seg.errors import BackendError

if TYPE_CHECKING:
    import onnx

LEAST_OPSET = 13  # from here on Softmax is of one axis
PASSES = ("Cast", "DepthToSpace", "Flatten", "Identity", "Reshape", "Resize", "Slice", "Squeeze", "Transpose", "Unsqueeze")


@contextmanager
def with_confidence(onnx_path: str, labels: str) -> Iterator[str]:
    """The path of a copy that puts out CONFIDENCE and RUNNER_UP beside `labels`, of its type and shape, until the context ends.

    Raises BackendError where the labels are not the largest of class scores, and where the package onnx is absent.
    """
    name = check_file(onnx_path)
    try:
        import onnx
    except ImportError as error:
        raise BackendError(
            f"to tell its confidence {name} needs the package onnx: {one_line(error)}; pip install 'drive-seg[confidence]'"
        ) from error
    try:
        model = onnx.load(onnx_path)
        add_confidence(model, labels)
        content = model.SerializeToString(deterministic=True)  # the same bytes every time: engines are kept by them
    except BackendError as error:
        raise BackendError(f"{name}: {error}; leave --confidence out") from error
    except Exception as error:  # protobuf's and onnx's share no base
        raise BackendError(f"{name} cannot be made to tell its confidence: {one_line(error)}; leave --confidence out") from error
    with TemporaryDirectory(prefix="drive-seg-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / Path(onnx_path).resolve().parent.name / f"{Path(onnx_path).stem}.confidence.onnx"
        path.parent.mkdir()
        path.write_bytes(content)
        yield str(path)


def add_confidence(model: "onnx.ModelProto", labels: str) -> None:
    """In place. CONFIDENCE is the label's softmax probability in STEPS, rounded down; RUNNER_UP the id of the second class."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < LEAST_OPSET:
        raise BackendError(f"is ONNX opset {opset}; export it with {LEAST_OPSET} or later to be told its confidence")
    best, behind = _chain(graph, labels)
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in best.attribute}
    axis, keeps = attributes.get("axis", 0), attributes.get("keepdims", 1)
    taken = np.array([0, 1]).reshape(2, 1) if keeps else np.array([0, 1])  # an index without an axis takes the classes' away
    constants = {"two": np.array([2]), "first": taken[0], "second": taken[1], "steps": np.array(STEPS, np.float32)}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), f"confidence.{name}") for name, value in constants.items())
    graph.node.extend(
        [
            helper.make_node("Cast", [best.input[0]], ["confidence.scores"], to=TensorProto.FLOAT),
            helper.make_node("Softmax", ["confidence.scores"], ["confidence.shares"], axis=axis),
            helper.make_node("TopK", ["confidence.shares", "confidence.two"], ["confidence.best", "confidence.ids"], axis=axis),
            helper.make_node("Gather", ["confidence.best", "confidence.first"], ["confidence.share"], axis=axis),
            helper.make_node("Mul", ["confidence.share", "confidence.steps"], ["confidence.stepped"]),
            helper.make_node("Cast", ["confidence.stepped"], ["confidence.whole"], to=TensorProto.INT64),
            helper.make_node("Gather", ["confidence.ids", "confidence.second"], ["confidence.other"], axis=axis),
        ]
    )
    declared = next(value for value in graph.output if value.name == labels)
    for made, output in (("confidence.whole", CONFIDENCE), ("confidence.other", RUNNER_UP)):
        _repeat(graph, behind, made, output)
        graph.output.add().CopyFrom(declared)
        graph.output[-1].name = output
    for node in graph.node:
        node.name = node.name or node.output[0]


def _chain(graph: "onnx.GraphProto", labels: str) -> tuple["onnx.NodeProto", list["onnx.NodeProto"]]:
    """The ArgMax that the labels come from, and what stands between, in the order in which it runs."""
    makers = {name: node for node in graph.node for name in node.output}
    behind: list[onnx.NodeProto] = []
    node = makers.get(labels)
    while node is not None and node.op_type in PASSES:
        behind.insert(0, node)
        node = makers.get(node.input[0])
    if node is None or node.op_type != "ArgMax":
        raise BackendError("its labels are not the largest of class scores (ArgMax)")
    return node, behind


def _repeat(graph: "onnx.GraphProto", nodes: list["onnx.NodeProto"], made: str, output: str) -> None:
    """The nodes once more, from `made` to `output`."""
    from onnx import helper

    for at, node in enumerate(nodes):
        again = graph.node.add()
        again.CopyFrom(node)
        again.input[0], again.output[0] = made, output if at + 1 == len(nodes) else f"{output}.{at}"
        again.name, made = f"{output}.{node.name or at}", again.output[0]
    if not nodes:
        graph.node.append(helper.make_node("Identity", [made], [output]))
