"""Lays labels over the frame that a stage was given last, where both are, so that one copy leaves the GPU: overlay.Painter as an engine."""

from pathlib import Path

import cv2
import numpy as np

from drive_seg.backends.tensorrt.runtime import EngineRunner
from drive_seg.contracts import Array, Image, Labels
from drive_seg.errors import BackendError, DriveSegError
from drive_seg.files import write

PAINTING = 1  # counts the changes of what is written here
INPUTS = ("image", "labels", "colours", "shares")


class TensorRtPainter:
    """A PaintStage (capabilities.py). Call it from the thread that runs the stage whose frames it paints, and close it before that one."""

    def __init__(self, runner: EngineRunner, source: EngineRunner, tensor: str) -> None:
        """`tensor`: the source's input with the frame. `runner` takes INPUTS, in this order."""
        self._runner, self._source, self._tensor = runner, source, tensor

    def __call__(self, labels: Labels, colours: Array, shares: Array) -> Image:
        own = self._runner
        if self._source.closed:
            raise BackendError(f"{self._source.name}, whose frames are painted, is closed")
        with own.active():
            own.launch([self._source.addresses[self._tensor], labels[None], colours, shares])
            own.cuda.wait(own.done)
            return np.array(own.results["overlay"][0])

    def close(self) -> None:
        self._runner.close()


def paint_network(folder: Path, frame_hw: tuple[int, int], labels_hw: tuple[int, int]) -> str:
    """The path of its ONNX, which is written into the folder unless it is there. Raises BackendError.

    image uint8 (1, H, W, 3), labels uint8 (1, h, w), colours float32 (256, 3) and shares float32 (256, 1) by id -> overlay uint8
    (1, H, W, 3), in which each pixel is its id's share of its id's colour, and for the rest the image. Labels are enlarged as cv2 does it.
    """
    (height, width), (rows, columns) = frame_hw, labels_hw
    path = folder / f"paint{PAINTING}-{width}x{height}-{columns}x{rows}.onnx"
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write(path, _made(frame_hw, labels_hw), overwrite=True)
        except ImportError as error:
            raise BackendError("to build the engine that paints takes the package onnx; pip install 'drive-seg[tensorrt]'") from error
        except OSError as error:
            raise BackendError(f"{path}: cannot be written ({error.strerror}); make room there") from error
        except DriveSegError as error:
            raise BackendError(str(error)) from error
    return str(path)


def _made(frame_hw: tuple[int, int], labels_hw: tuple[int, int]) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    sources = {f"source.{axis}": _sources(labels_hw[axis], frame_hw[axis]) for axis in (0, 1)}
    nodes = [
        helper.make_node("Cast", ["labels"], ["small"], to=TensorProto.INT32),
        helper.make_node("Gather", ["small", "source.0"], ["tall"], axis=1),
        helper.make_node("Gather", ["tall", "source.1"], ["ids"], axis=2),
        helper.make_node("Gather", ["colours", "ids"], ["mask"], axis=0),
        helper.make_node("Gather", ["shares", "ids"], ["share"], axis=0),
        helper.make_node("Cast", ["image"], ["picture"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["mask", "picture"], ["apart"]),
        helper.make_node("Mul", ["apart", "share"], ["step"]),
        helper.make_node("Add", ["picture", "step"], ["blend"]),
        helper.make_node("Round", ["blend"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["overlay"], to=TensorProto.UINT8),
    ]
    for node in nodes:
        node.name = node.output[0]
    picture = (TensorProto.UINT8, [1, *frame_hw, 3])
    kinds = dict(zip(INPUTS, [picture, (TensorProto.UINT8, [1, *labels_hw]), (TensorProto.FLOAT, [256, 3]), (TensorProto.FLOAT, [256, 1])],
                     strict=True))  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "paint",
        [helper.make_tensor_value_info(name, *kind) for name, kind in kinds.items()],
        [helper.make_tensor_value_info("overlay", *picture)],
        [numpy_helper.from_array(indices, name) for name, indices in sources.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString(deterministic=True))


def _sources(small: int, large: int) -> Array:
    """For each place along a side, which of the small side's it shows."""
    return np.asarray(cv2.resize(np.arange(small, dtype=np.float32)[None], (large, 1), interpolation=cv2.INTER_NEAREST)[0], np.int64)
