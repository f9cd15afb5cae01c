"""Builds an engine from a typed ONNX, and reads from the network what precision it came to."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from drive_seg.backends.tensorrt.flavour import Flavour
from drive_seg.contracts import TensorSpec
from drive_seg.errors import BackendError

Progress = Callable[[str, float], None]  # what is under way, and its share that is done
Layers = Mapping[str, Mapping[str, int]]  # how many layers of a type run in a precision

NUMPY = {"FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "INT64": "int64", "BOOL": "bool", "UINT8": "uint8"}
PRECISION = {"FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8", "FP8": "fp8"}
ARITHMETIC = ("convolution", "deconvolution", "matrix_multiply")  # where the time goes
_WORSE = ("Profile kMAX values are not self-consistent",)  # warnings that are errors
_NOISE = ("cudaError 35", "Begin node", "End node", "CUDA initialization failure", "ModelImporter.cpp:14")  # no driver; the parser's echo


@dataclass(frozen=True, slots=True)
class Built:
    """A serialised engine with its tensors, precision and layer counts."""

    plan: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: str
    layers: Layers
    build_s: float


def build_engine(flavour: Flavour, name: str, model: bytes, precision: str, progress: Progress | None = None) -> Built:
    """Compiles a typed ONNX with static shapes. The same model gives the same bytes where the flavour builds ahead of time.

    Raises BackendError naming the node that the parser cannot read, or why the build failed; and when the network did not come to
    `precision`.
    """
    trt, log = flavour.api, flavour.listener()
    start_s = time.perf_counter()
    try:
        builder = trt.Builder(log)
        network = builder.create_network(flavour.network_flags)
        parser = trt.OnnxParser(network, log)
        if not parser.parse(model):
            raise BackendError(f"{flavour.title} cannot read {name}: {_parser_error(parser)}")
        inputs, outputs = _specs(name, network)
        layers = layer_precisions(network)
        check_precision(name, precision, layers)
        config = builder.create_builder_config()
        raised = _configure(trt, config, progress)
        plan = builder.build_serialized_network(network, config)
    except (RuntimeError, TypeError) as error:  # TypeError: a Builder without CUDA is a nullptr
        raise BackendError(f"{flavour.title} cannot build {name}: {explain_log([*log.lines, str(error)])}") from error
    if raised:
        raise raised[0]
    if plan is None or any(worse in line for line in log.lines for worse in _WORSE):
        raise BackendError(f"{flavour.title} cannot build {name}: {explain_log(log.lines)}")
    return Built(bytes(plan), inputs, outputs, precision, layers, time.perf_counter() - start_s)


def _configure(trt: Any, config: Any, progress: Progress | None) -> list[BaseException]:
    """Returns where that goes which `progress` raises, and which ends the build."""
    raised: list[BaseException] = []
    if hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)  # on by default: ten bits of mantissa that would call themselves fp32
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # TensorRT for RTX allocates while it runs, which no CUDA graph can hold
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # or the inspector does not tell the types
    if progress is not None and hasattr(trt, "IProgressMonitor"):
        config.progress_monitor = _monitor(trt.IProgressMonitor, progress, raised)
    return raised


def _monitor(base: Any, progress: Progress, raised: list[BaseException]) -> Any:
    """Tells of the outermost phase alone: the inner ones begin again and again. No error may leave it: it is called by TensorRT."""

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)
            self._outer, self._steps = "", 1

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                self._outer, self._steps = phase_name, max(1, num_steps)
                self._tell(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tell(phase_name, (step + 1) / self._steps)
            return not raised

        def phase_finish(self, phase_name: str) -> None:
            self._tell(phase_name, 1.0)

        def _tell(self, phase_name: str, share: float) -> None:
            if phase_name == self._outer and not raised:
                try:
                    progress(phase_name, share)
                except BaseException as error:
                    raised.append(error)

    return Monitor()


def _parser_error(parser: Any) -> str:
    if not parser.num_errors:
        return "its parser gives no reason"
    error = parser.get_error(0)
    lines = [line for line in str(error.desc()).splitlines() if line and not any(noise in line for noise in _NOISE)]
    node = error.node_name() if hasattr(error, "node_name") else f"number {error.node()}"
    operator = f" ({error.node_operator()})" if hasattr(error, "node_operator") and error.node_operator() else ""
    return f"node {node!r}{operator}: {' '.join(lines)[:300]}" if node else " ".join(lines)[:300]


def _specs(name: str, network: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    inputs = tuple(_spec(name, network.get_input(i)) for i in range(network.num_inputs))
    return inputs, tuple(_spec(name, network.get_output(i)) for i in range(network.num_outputs))


def _spec(name: str, tensor: Any) -> TensorSpec:
    shape, kind = tuple(int(size) for size in tensor.shape), tensor.dtype.name
    if any(size < 0 for size in shape):
        raise BackendError(f"{name}: the shape of {tensor.name!r} is still open ({list(shape)}) with every input fixed")
    if kind not in NUMPY:
        raise BackendError(f"{name}: {tensor.name!r} is {kind}, which cannot leave an engine; cast it in the network")
    return TensorSpec(tensor.name, NUMPY[kind], shape)


# ---- what it came to


def layer_precisions(network: Any) -> dict[str, dict[str, int]]:
    """Layers by type and precision, before the build: a layer's precision is that of its first input, seen through DequantizeLinear."""
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    maker = {layer.get_output(i).name: layer for layer in layers for i in range(layer.num_outputs)}
    found: dict[str, Counter[str]] = {}
    for layer in layers:
        source = layer.get_input(0) if layer.num_inputs else None
        above = maker.get(source.name) if source is not None else None
        if above is not None and above.type.name == "DEQUANTIZE":
            source = above.get_input(0)
        precision = PRECISION.get(source.dtype.name) if source is not None else None
        if precision and layer.type.name not in ("QUANTIZE", "DEQUANTIZE", "CAST", "SHAPE"):
            found.setdefault(layer.type.name.lower(), Counter())[precision] += 1
    return {kind: dict(counts) for kind, counts in sorted(found.items())}


def check_precision(name: str, asked: str, layers: Layers) -> None:
    """Raises BackendError when convolutions and products are not in the precision asked for: other floats, or no int8 (fp8) at all."""
    came = Counter[str]()
    for kind in ARITHMETIC if any(kind in layers for kind in ARITHMETIC) else layers:
        came.update(layers.get(kind, {}))
    floats = {"fp32"} if asked == "fp32" else {"fp16"}
    quantised = {asked} - {"fp32", "fp16"}
    if came and (set(came) - floats - quantised or (quantised and not quantised & set(came))):
        counts = ", ".join(f"{count} in {precision}" for precision, count in sorted(came.items()))
        raise BackendError(f"{name}: {asked} was asked for, and its layers came to {counts}; ask for one of these, or export it again")


def explain_log(lines: list[str]) -> str:
    """One sentence from what TensorRT logged, with what to do."""
    text = " ".join(line for line in lines if not any(noise in line for noise in _NOISE))
    low = text.lower()
    if "out of memory" in low or "outofmemory" in low or "insufficient memory" in low:
        return "not enough memory on the GPU; close what else uses it, or give a smaller --input-size"
    if "compute capability" in low or "unsupported sm" in low or "no kernel image" in low:
        return f"this GPU's compute capability is none that it builds for ({text[:200]}); see docs/gpu.md for the package that does"
    if any(worse in text for worse in _WORSE):
        return "a size inside the network stays open; fix the network's input shapes"
    if not text:
        return "no NVIDIA driver that it can use" if any("cudaError" in line for line in lines) else "it gives no reason"
    return text[:300]
