"""Reads what an ONNX file says about itself, before anything is compiled: for networks that come without a card.

OpenVINO reads it for every backend: it is the one reader that is always installed, and it keeps an ONNX file's metadata_props
in its model's runtime information, under "framework".
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from drive_seg.backends.openvino import result_name, the_core
from drive_seg.backends.validation import check_file, one_line
from drive_seg.contracts import OnnxFile, Port
from drive_seg.errors import BackendError


def read_onnx(onnx_path: str) -> OnnxFile:
    """Raises BackendError for a file that is absent or no ONNX network."""
    name = check_file(onnx_path)
    if lost := next((path for path in external_files(onnx_path) if not path.is_file()), None):
        raise BackendError(f"{name}: its weights are in {lost}, which is not there; put that file beside it, or export it as one file")
    try:
        model = the_core().read_model(onnx_path)
        inputs = tuple(_port(parameter.get_friendly_name(), parameter.output(0)) for parameter in model.get_parameters())
        outputs = tuple(_port(result_name(result), result.output(0)) for result in model.get_results())
        return OnnxFile(onnx_path, inputs, outputs, _metadata(model))
    except Exception as error:  # names that are no UTF-8, tensors of text, outputs without a name: each has an error of its own
        raise BackendError(f"{name} cannot be read as an ONNX network: {one_line(error)}; export it again") from error


def external_files(onnx_path: str) -> list[Path]:
    """The files beside an ONNX network that hold its weights, as it names them; none of one that cannot be read.

    Each is a protobuf entry of the key "location" (ONNX's external_data). It is searched for rather than parsed: it costs no package, and a
    network that is damaged cannot hide one.
    """
    try:
        content = Path(onnx_path).read_bytes()
    except OSError:
        return []
    found: dict[Path, None] = {}
    for match in re.finditer(rb"\x0a\x08location\x12([\x01-\x7f]|[\x80-\xff]\x01)", content):
        size = match[1][0] & 127 | (match[1][1] << 7 if len(match[1]) > 1 else 0)
        name = content[match.end() : match.end() + size].decode(errors="replace")
        found[Path(onnx_path).parent / name] = None
    return list(found)


def _port(name: str, port: Any) -> Port:
    shape = port.get_partial_shape()
    dims = None if shape.rank.is_dynamic else tuple(dim.get_length() if dim.is_static else None for dim in shape)
    return Port(name, np.dtype(port.get_element_type().to_dtype()).name, dims)


def _metadata(model: Any) -> dict[str, str]:
    if not model.has_rt_info(["framework"]):
        return {}
    return {key: str(value) for key, value in model.get_rt_info(["framework"]).value.items()}
