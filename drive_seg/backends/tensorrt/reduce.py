"""Puts the reduction of a picture in front of a stage, so that frames go to the GPU as they are: what preprocess.to_input does, as ONNX."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def accept_frames(model: onnx.ModelProto, picture: str, frame_hw: tuple[int, int]) -> None:
    """Enlarges the fixed uint8 input called `picture` from (1, h, w, 3) to (1, *frame_hw, 3), in place.

    A large frame is averaged by a whole factor and then resized bilinearly, like to_input, without rounding to whole values in between.
    Where the factor leaves a rest, the frame is first made a few pixels smaller; to_input averages over parts of pixels.
    """
    graph = model.graph
    value = next(value for value in graph.input if value.name == picture)
    dims = value.type.tensor_type.shape.dim
    size_hw = (dims[1].dim_value, dims[2].dim_value)
    for dim, side in zip(dims[1:3], frame_hw, strict=True):
        dim.dim_value = side
    reduced = f"{picture}.reduced"
    for node in graph.node:
        node.input[:] = [reduced if name == picture else name for name in node.input]

    nodes: list[onnx.NodeProto] = []

    def then(operator: str, *constants: str, **attributes: object) -> None:
        before, after = nodes[-1].output[0] if nodes else picture, f"{picture}.frame.{len(nodes)}"
        nodes.append(helper.make_node(operator, [before, *constants], [after], name=after, **attributes))

    def resize(to_hw: tuple[int, int]) -> None:
        sizes = f"{picture}.sizes.{len(nodes)}"
        graph.initializer.append(numpy_helper.from_array(np.array([1, 3, *to_hw], np.int64), sizes))
        then("Resize", "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")

    then("Cast", to=TensorProto.FLOAT)  # a uint8 input may feed nothing else
    then("Transpose", perm=[0, 3, 1, 2])
    factor = max(1, min(frame_hw[0] // size_hw[0], frame_hw[1] // size_hw[1]))
    fewer_hw = frame_hw[0] // factor, frame_hw[1] // factor
    if factor > 1:
        if (whole_hw := (fewer_hw[0] * factor, fewer_hw[1] * factor)) != frame_hw:
            resize(whole_hw)
        then("AveragePool", kernel_shape=[factor] * 2, strides=[factor] * 2)
    if fewer_hw != size_hw:
        resize(size_hw)
    then("Transpose", perm=[0, 2, 3, 1])
    nodes[-1].output[0] = reduced
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
