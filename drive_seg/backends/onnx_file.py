"""Reads what an ONNX file says about itself, before anything is compiled: for networks that come without a card.

OpenVINO reads it for every backend: it is the one reader that is always installed, and it keeps an ONNX file's metadata_props
in its model's runtime information, under "framework".
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from drive_seg.backends.openvino import result_name, the_core
from drive_seg.backends.validation import check_file, one_line
from drive_seg.contracts import OnnxFile, Port
from drive_seg.errors import BackendError
from drive_seg.reading import external_data, leads_elsewhere

MOST_BYTES = 1 << 33  # of one tensor: no network that sees pictures has such a one


def read_onnx(onnx_path: str) -> OnnxFile:
    """Raises BackendError for a file that is absent or no ONNX network, or that asks for files elsewhere or for absurd memory."""
    name = check_file(onnx_path)
    if (elsewhere := next(filter(leads_elsewhere, external_data(Path(onnx_path).read_bytes())), None)) is not None:
        raise BackendError(f"{name}: takes its weights from {elsewhere!r}, which is not beside it; export it again as one file")
    if lost := next((path for path in external_files(onnx_path) if not path.is_file()), None):
        raise BackendError(f"{name}: its weights are in {lost}, which is not there; put that file beside it, or export it as one file")
    try:
        model = the_core().read_model(onnx_path)
        inputs = tuple(_port(parameter.get_friendly_name(), parameter.output(0)) for parameter in model.get_parameters())
        outputs = tuple(_port(result_name(result), result.output(0)) for result in model.get_results())
        _check_sizes(name, model)
        return OnnxFile(onnx_path, inputs, outputs, _metadata(model))
    except BackendError:
        raise
    except Exception as error:  # names that are no UTF-8, tensors of text, outputs without a name: each has an error of its own
        raise BackendError(f"{name} cannot be read as an ONNX network: {one_line(error)}; export it again") from error


def external_files(onnx_path: str) -> list[Path]:
    """The files beside an ONNX network that hold its weights, as it names them; none of one that cannot be read."""
    try:
        names = external_data(Path(onnx_path).read_bytes())
    except OSError:
        return []
    return [Path(onnx_path).parent / name for name in names if not leads_elsewhere(name)]


def _check_sizes(name: str, model: Any) -> None:
    """Whoever compiles it computes what is constant in it, whatever that takes. Raises BackendError."""
    for op in model.get_ops():
        for port in op.outputs():
            if not port.get_partial_shape().is_static:
                continue
            dims = [*port.get_shape()]
            if (size := math.prod(dims) * port.get_element_type().size) > MOST_BYTES:
                raise BackendError(f"{name}: its tensor {op.get_friendly_name()!r} {dims} would take {size / 1e9:.0f} GB; export it again")


def _port(name: str, port: Any) -> Port:
    shape = port.get_partial_shape()
    dims = None if shape.rank.is_dynamic else tuple(dim.get_length() if dim.is_static else None for dim in shape)
    return Port(name, np.dtype(port.get_element_type().to_dtype()).name, dims)


def _metadata(model: Any) -> dict[str, str]:
    if not model.has_rt_info(["framework"]):
        return {}
    return {key: str(value) for key, value in model.get_rt_info(["framework"]).value.items()}
