"""What stands between a frame's time on a GPU and the GPU's limits: its kernels, its bytes and operations, and frames in batches."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drive_seg.backends.tensorrt.runtime import TensorRtStage
from drive_seg.backends.validation import PRECISIONS, one_line
from drive_seg.contracts import Array, Backend, Stage
from drive_seg.errors import BackendError, DriveSegError
from drive_seg.network.card import Bundle, Card
from drive_seg.network.engine import key_shapes, run_int8

WATCHED = 10  # frames under the profiler


def tried(what: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What it finds, or {"not_measured": why}."""
    try:
        return what()
    except DriveSegError as error:
        return {"not_measured": str(error)}
    except Exception as error:  # a vendor's own, whatever it is: the others are tried all the same
        return {"not_measured": f"{type(error).__name__}: {one_line(error)}"}


# ---- the GPU's limits


@dataclass(frozen=True, slots=True)
class Peaks:
    """By the maker's data sheet, without sparsity, at the boost clock."""

    gb_per_s: float
    tflops: Mapping[str, float]  # by precision, tensor cores but for fp32; TOPS for int8
    source: str


def _peaks(gb_per_s: float, fp32: float, half: float, int8: float, source: str, fp8: bool = True) -> Peaks:
    return Peaks(gb_per_s, {"fp32": fp32, "fp16": half, "bf16": half, "int8": int8} | ({"fp8": int8} if fp8 else {}), source)


_H100 = "NVIDIA H100 Tensor Core GPU data sheet"
_A100 = "NVIDIA A100 Tensor Core GPU data sheet"
PEAKS: dict[str, Peaks] = {  # by the name that the driver gives
    "NVIDIA H200": _peaks(4800, 67, 989.5, 1979, "NVIDIA H200 Tensor Core GPU data sheet"),
    "NVIDIA H100 80GB HBM3": _peaks(3350, 67, 989.5, 1979, _H100),
    "NVIDIA H100 PCIe": _peaks(2000, 51, 756.5, 1513, _H100),
    "NVIDIA A100-SXM4-80GB": _peaks(2039, 19.5, 312, 624, _A100, fp8=False),
    "NVIDIA A100-SXM4-40GB": _peaks(1555, 19.5, 312, 624, _A100, fp8=False),
    "NVIDIA A100 80GB PCIe": _peaks(1935, 19.5, 312, 624, _A100, fp8=False),
    "NVIDIA L4": _peaks(300, 30.3, 121, 242.5, "NVIDIA L4 Tensor Core GPU data sheet"),
    "NVIDIA L40S": _peaks(864, 91.6, 362, 733, "NVIDIA L40S data sheet"),
    "Tesla T4": _peaks(320, 8.1, 65, 130, "NVIDIA T4 data sheet; it has no bf16", fp8=False),
}


def shares(card: Card, precision: str, border_bytes: int, busy_ms: float, gpu: str) -> dict[str, Any]:
    """How much of the GPU's memory bandwidth and arithmetic a frame that takes `busy_ms` uses; all stages run, as on a key frame.

    Bytes are those that cannot be spared, weights once and what crosses the stages' borders; what goes through memory inside a stage is
    not counted.
    """
    flop = sum(stage.gflop for stage in card.stages.values()) * 1e9
    moved = card.parameters * PRECISIONS[precision].bytes + border_bytes
    found: dict[str, Any] = {"gflop": round(flop / 1e9, 3), "megabytes": round(moved / 1e6, 3)}
    peaks = PEAKS.get(gpu)
    if peaks is None or precision not in peaks.tflops:
        return {**found, "memory": None, "arithmetic": None, "peaks": "not known"}
    per_s = 1e3 / busy_ms
    return {
        **found,
        "memory": moved * per_s / (peaks.gb_per_s * 1e9),
        "arithmetic": flop * per_s / (peaks.tflops[precision] * 1e12),
        "peaks": {"gb_per_s": peaks.gb_per_s, "tflops": peaks.tflops[precision], "source": peaks.source},
    }


# ---- a bundle's stages, for one frame or several at once


def load_stages(bundle: Bundle, backend: Backend, batch: int, folder: Path) -> dict[str, Stage]:
    """Every stage of a key frame, for so many frames at once; files for more than one are written to `folder`. Raises BackendError."""
    card, int8 = bundle.card, run_int8(bundle, backend)
    size = card.input.height, card.input.width
    shapes: dict[str, tuple[int, ...]] = {card.input.name: (batch, *size, 3)}
    shapes |= {name: (batch, *shape[1:]) for name, shape in key_shapes(card, size).items()}
    loaded: dict[str, Stage] = {}
    try:
        for name in card.stages:
            path = bundle.onnx(name, int8)
            if batch > 1:
                path = write_batched(Path(path), batch, folder / f"{card.name}-batch{batch}")
            loaded[name] = backend.load(path, {tensor: shapes[tensor] for tensor in card.stages[name].inputs})
            shapes |= {spec.name: spec.shape for spec in loaded[name].outputs}
    except BaseException:
        close(loaded)
        raise
    return loaded


def close(loaded: Mapping[str, Stage]) -> None:
    for stage in loaded.values():
        stage.close()


def run_stages(card: Card, loaded: Mapping[str, Stage], images: Array) -> Array:
    """Labels (N, h, w) of uint8 images (N, H, W, 3); the last stage's own memory."""
    none = {name: np.zeros((len(images), *shape[1:]), np.float32) for name, shape in key_shapes(card, images.shape[1:3]).items()}
    tensors: dict[str, Array] = {card.input.name: images, **none}
    for stage in loaded.values():
        tensors |= stage({spec.name: tensors[spec.name] for spec in stage.inputs})
    return tensors[card.labels]


def write_batched(path: Path, batch: int, folder: Path) -> str:
    """The stage for so many frames at once: every input's first dimension, which an exported stage has fixed to 1."""
    import onnx

    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if first.dim_value == 1:
            first.dim_value = batch
    del model.graph.value_info[:]  # of one frame
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / path.name)
    return str(folder / path.name)


def border_bytes(loaded: Mapping[str, Stage]) -> int:
    """Bytes of all inputs and outputs of the stages."""
    specs = [spec for stage in loaded.values() for spec in (*stage.inputs, *stage.outputs)]
    return sum(int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize for spec in specs)


# ---- kernels


def count_kernels(step: Callable[[], object], loaded: Mapping[str, Stage]) -> dict[str, Any]:
    """Kernels and copies of one frame, and for how long they keep the GPU busy, by torch's profiler (CUPTI), whoever launches them.

    Without torch for CUDA, the layers of TensorRT's engines by its inspector. Raises BackendError.
    """
    try:
        import torch

        if not torch.cuda.is_available():
            raise ImportError(f"torch {torch.__version__} has no CUDA")
    except (ImportError, OSError) as error:
        layers = [stage.layers() for stage in loaded.values() if isinstance(stage, TensorRtStage)]
        if not layers:
            raise BackendError(f"kernels are counted by torch's profiler, which needs torch with CUDA: {one_line(error)}") from error
        return {"by": "TensorRT's inspector", "layers": sum(layers)}
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as watched:
        for _ in range(WATCHED):
            step()
        torch.cuda.synchronize()
    on_gpu = [event for event in watched.events() if str(event.device_type).endswith("CUDA")]
    return sum_events([(str(event.name), float(event.time_range.elapsed_us())) for event in on_gpu], WATCHED)


def sum_events(events: Iterable[tuple[str, float]], frames: int) -> dict[str, Any]:
    """What happened on the GPU, by name and microseconds, for a frame. Raises BackendError where nothing was seen."""
    listed = list(events)
    copies = [us for name, us in listed if name.startswith(("Memcpy", "Memset"))]
    kernels = [us for name, us in listed if not name.startswith(("Memcpy", "Memset"))]
    if not kernels:
        raise BackendError("the profiler saw no kernel; CUPTI may be closed to this user (NVIDIA: ERR_NVGPUCTRPERM)")
    return {
        "by": "torch's profiler (CUPTI)",
        "kernels": round(len(kernels) / frames, 1),
        "copies": round(len(copies) / frames, 1),
        "busy_ms": round(sum(kernels) / frames / 1e3, 4),
        "copies_ms": round(sum(copies) / frames / 1e3, 4),
    }
