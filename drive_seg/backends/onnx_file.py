"""Reads what an ONNX file says about itself, before anything is compiled: for networks that come without a card.

OpenVINO reads it for every backend: it is the one reader that is always installed, and it keeps an ONNX file's metadata_props
in its model's runtime information, under "framework".
"""

from typing import Any

import numpy as np

from drive_seg.backends.border import check_file, one_line
from drive_seg.backends.openvino import the_core
from drive_seg.contracts import OnnxFile, Port
from drive_seg.errors import BackendError


def read_onnx(onnx_path: str) -> OnnxFile:
    """Raises BackendError for a file that is absent or no ONNX network."""
    name = check_file(onnx_path)
    try:
        model = the_core().read_model(onnx_path)
    except RuntimeError as error:
        raise BackendError(f"{name} cannot be read as an ONNX network: {one_line(error)}") from error
    inputs = tuple(_port(parameter.get_friendly_name(), parameter.output(0)) for parameter in model.get_parameters())
    outputs = tuple(_port(result.get_friendly_name().removesuffix("/sink_port_0"), result.output(0)) for result in model.get_results())
    return OnnxFile(onnx_path, inputs, outputs, _metadata(model))


def _port(name: str, port: Any) -> Port:
    shape = port.get_partial_shape()
    dims = None if shape.rank.is_dynamic else tuple(dim.get_length() if dim.is_static else None for dim in shape)
    return Port(name, np.dtype(port.get_element_type().to_dtype()).name, dims)


def _metadata(model: Any) -> dict[str, str]:
    if not model.has_rt_info(["framework"]):
        return {}
    return {key: str(value) for key, value in model.get_rt_info(["framework"]).value.items()}
