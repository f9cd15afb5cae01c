"""TensorRT as a Backend (contracts.py) that hands tensors on, reduces frames and paints overlays on the GPU."""

import sys
from collections.abc import Mapping

from drive_seg.backends.tensorrt.adapters import open_cuda
from drive_seg.backends.tensorrt.ahead import QUANTISED, AheadOfTime, painter_of, with_shares
from drive_seg.backends.tensorrt.beside import TensorRtBeside
from drive_seg.backends.tensorrt.cuda import find_gpu
from drive_seg.backends.tensorrt.flavour import find_flavour
from drive_seg.backends.tensorrt.inspector import inspected_layers
from drive_seg.backends.tensorrt.paint import TensorRtPainter
from drive_seg.backends.tensorrt.provider import EngineProvider, EngineRequest, Tell
from drive_seg.backends.tensorrt.runtime import Engine, EngineRunner, Shared, TensorRtStage
from drive_seg.backends.tensorrt.store import Entry, Store
from drive_seg.backends.validation import BackendInfo, check_options
from drive_seg.capabilities import StageBeside
from drive_seg.contracts import Backend, Stage
from drive_seg.errors import BackendError, UsageError

FP8_FROM = (8, 9)  # compute capability: Ada and later multiply fp8


class TensorRtBackend:
    """TensorRT on one GPU. `precision` is what was asked for until a stage is loaded, then what runs: int8 (fp8) if any stage is."""

    name = "tensorrt"

    def __init__(
        self, device: str | None, precision: str | None, threads: int | None, *, package: str | None = None, urgent: bool = True
    ) -> None:
        """`device` is "cuda" (default) or "cuda:1"; `package` "tensorrt" or "tensorrt_rtx", the best by default; `threads` is for CPUs.

        Raises BackendError for what is missing, UsageError for a precision that this GPU does not run.
        """
        self._gpu = find_gpu(_ordinal(device))
        flavour = find_flavour(package=package)
        self._urgent = urgent
        open_cuda(self._gpu.ordinal).close()  # a machine without it is told so now
        can = tuple(one for one in flavour.precisions if one != "fp8" or _capability(self._gpu.compute_capability) >= FP8_FROM)
        self.device = f"{self._gpu.name} ({flavour.title}, CUDA {self._gpu.driver})"
        check_options(self.name, precision, threads, can, self.device)
        self._asked = precision or can[0]
        self.precision = self._asked
        self.int8: bool | None = self._asked in QUANTISED  # fp16 is exact enough and fast: int8 has to be asked for
        self._provider = EngineProvider(flavour, self._gpu, Store())
        self._shared: Shared = {}
        self._quantised = ""

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> TensorRtStage:
        """The stage's engine from the store, or built: seconds with TensorRT for RTX, minutes with TensorRT. Raises BackendError."""
        return self._stage(EngineRequest(onnx_path, input_shapes, self._asked))

    def load_reducing(
        self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]], picture: str, frame_hw: tuple[int, int]
    ) -> TensorRtStage:
        """Like `load`, but the input `picture` takes uint8 frames of `frame_hw` and reduces them on the GPU; one engine a frame size."""
        return self._stage(EngineRequest(onnx_path, input_shapes, self._asked, {picture: frame_hw}))

    def _stage(self, wanted: EngineRequest) -> TensorRtStage:
        return TensorRtStage(self._open(wanted, self._urgent, self._shared))

    def load_beside(
        self, onnx_path: str, sources: Mapping[str, Stage | StageBeside], pictures: Mapping[str, tuple[int, ...]]
    ) -> TensorRtBeside:
        """A stage on a low-priority stream, fed on the GPU by `sources`, which this backend loaded. Raises BackendError."""
        shapes, runners, frames = {}, {}, {}
        for tensor, source in sources.items():
            if not isinstance(source, TensorRtStage | TensorRtBeside):
                raise BackendError(f"{onnx_path}: {tensor!r} is made by another backend; load both with this one")
            shape = next(spec.shape for spec in (*source.outputs, *source.inputs) if spec.name == tensor)
            shapes[tensor], runners[tensor] = pictures.get(tensor, shape), source.runner
            if shapes[tensor] != shape:
                frames[tensor] = (shape[1], shape[2])
        own = self._open(EngineRequest(onnx_path, shapes, self._asked, frames), False, self._shared, timed=True)
        return TensorRtBeside(own, runners)

    def load_painter(self, stage: Stage, picture: str, labels_hw: tuple[int, int]) -> TensorRtPainter:
        if not isinstance(stage, TensorRtStage):
            raise BackendError("what is to be painted was loaded by another backend; load both with this one")
        wanted = painter_of(self._provider.store.folder, stage.inputs, picture, labels_hw, self._asked)
        return TensorRtPainter(self._open(wanted, self._urgent, {}), stage.runner, picture)

    def ahead(self, tell: Tell | None) -> AheadOfTime:
        """A backend that builds or finds the same engines without loading them; with `tell` None it builds none and raises BackendError."""
        say, progress = with_shares(tell) if tell else (None, None)
        return AheadOfTime(self._asked, say, progress, self._provider)

    def _open(self, wanted: EngineRequest, urgent: bool, shared: Shared, timed: bool = False) -> EngineRunner:
        entry = self._provider.engine(wanted, tell_stderr)
        name = entry.about.key.source
        cuda = open_cuda(self._gpu.ordinal)
        try:
            with cuda.current():
                engine = Engine(name, self._provider.flavour, entry.plan, self._gpu.name)
                try:
                    self._check(name, engine, entry)
                except BaseException:
                    engine.close()
                    raise
        except BaseException:
            cuda.close()
            raise
        self._quantised = self._quantised or (entry.about.precision if entry.about.precision in QUANTISED else "")
        self.precision = self._quantised or entry.about.precision
        return EngineRunner(name, entry.about.inputs, entry.about.outputs, engine, cuda, urgent, shared, timed)

    def _check(self, name: str, engine: Engine, entry: Entry) -> None:
        """That the engine has layers of its precision. What TensorRT does in fp32 on the way, such as a resize, is its own affair."""
        layers = inspected_layers(engine.inspect())
        if layers and not any(entry.about.precision in counts for counts in layers.values()):
            raise BackendError(f"{name}: {entry.about.precision} was asked for, and the engine has {layers}; ask for one of these")


def make(device: str | None, precision: str | None, threads: int | None, urgent: bool) -> Backend:
    return TensorRtBackend(device, precision, threads, urgent=urgent)


def describe() -> BackendInfo:
    """Version, GPU and precisions. Raises BackendError for what is missing."""
    gpu, flavour = find_gpu(), find_flavour()
    open_cuda(gpu.ordinal).close()
    return BackendInfo("tensorrt", flavour.title, (f"{gpu.name} (compute capability {gpu.compute_capability})",), flavour.precisions)


def tell_stderr(line: str) -> None:
    print(f"drive-seg: {line}", file=sys.stderr)


def _ordinal(device: str | None) -> int:
    kind, _, number = (device or "cuda").lower().partition(":")
    if kind != "cuda" or not (number or "0").isdecimal():
        raise UsageError(f"tensorrt has no device {device!r}; it has cuda, cuda:1 …")
    return int(number or 0)


def _capability(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
