"""TensorRT as a Backend (contracts.py), and the same that only builds, for machines without a GPU."""

import sys
from collections.abc import Mapping

from drive_seg.backends.border import BackendInfo, check_options
from drive_seg.backends.tensorrt.build import Progress
from drive_seg.backends.tensorrt.cuda import Gpu, find_gpu, open_cuda
from drive_seg.backends.tensorrt.flavour import find_flavour
from drive_seg.backends.tensorrt.inspector import inspected_layers
from drive_seg.backends.tensorrt.obtain import Tell, engine_for
from drive_seg.backends.tensorrt.runtime import Engine, TensorRtStage
from drive_seg.backends.tensorrt.store import Entry, Store
from drive_seg.contracts import Tensors, TensorSpec
from drive_seg.errors import BackendError, UsageError

FP8_FROM = (8, 9)  # compute capability: Ada and later multiply fp8
QUANTISED = ("int8", "fp8")


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
        self._flavour = find_flavour(package=package)
        self._urgent = urgent
        open_cuda(self._gpu.ordinal).close()  # a machine without it is told so now
        can = tuple(one for one in self._flavour.precisions if one != "fp8" or _capability(self._gpu.compute_capability) >= FP8_FROM)
        self.device = f"{self._gpu.name} ({self._flavour.title}, CUDA {self._gpu.driver})"
        check_options(self.name, precision, threads, can, self.device)
        self._asked = precision or can[0]
        self.precision = self._asked
        self.int8: bool | None = self._asked in QUANTISED  # fp16 is exact enough and fast: int8 has to be asked for
        self._store = Store()
        self._quantised = ""

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> TensorRtStage:
        """The stage's engine from the store, or built: seconds with TensorRT for RTX, minutes with TensorRT. Raises BackendError."""
        entry = engine_for(onnx_path, input_shapes, self._asked, self._flavour, self._gpu, self._store, tell_stderr)
        name = entry.about.key.source
        cuda = open_cuda(self._gpu.ordinal)
        try:
            with cuda.current():
                engine = Engine(name, self._flavour, entry.plan, self._gpu.name)
                try:
                    self._check(name, engine, entry)
                except BaseException:
                    engine.close()
                    raise
        except BaseException:
            cuda.close()
            raise
        stage = TensorRtStage(name, entry.inputs, entry.outputs, engine, cuda, self._urgent)
        self._quantised = self._quantised or (entry.about.precision if entry.about.precision in QUANTISED else "")
        self.precision = self._quantised or entry.about.precision
        return stage

    def _check(self, name: str, engine: Engine, entry: Entry) -> None:
        """That the engine has layers of its precision. What TensorRT does in fp32 on the way, such as a resize, is its own affair."""
        layers = inspected_layers(engine.inspect())
        if layers and not any(entry.about.precision in counts for counts in layers.values()):
            raise BackendError(f"{name}: {entry.about.precision} was asked for, and the engine has {layers}; ask for one of these")


class AheadOfTime:
    """A Backend whose stages are built and cannot be called: for another machine, or for later on this one."""

    name = "tensorrt"

    def __init__(self, precision: str, tell: Tell, progress: Progress | None = None, store: Store | None = None) -> None:
        """Builds for the GPU that is here; where there is none, with TensorRT for RTX for every GPU that it knows.

        Raises BackendError when there is no TensorRT that can, UsageError for a precision.
        """
        self._gpu = _gpu_or_none()
        self._flavour = find_flavour(here=self._gpu is not None)
        self.device = self._gpu.name if self._gpu else "no GPU"
        self.what = (
            f"{self._flavour.title}, for {self._gpu.name if self._gpu and not self._flavour.ahead_of_time else 'any GPU that it knows'}"
        )
        check_options(self.name, precision, None, self._flavour.precisions, self.device)
        self.precision = precision
        self.int8: bool | None = precision in QUANTISED
        self.entries: list[Entry] = []
        self._tell, self._progress, self._store = tell, progress, store or Store()
        self.folder = self._store.folder

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> "BuiltStage":
        entry = engine_for(onnx_path, input_shapes, self.precision, self._flavour, self._gpu, self._store, self._tell, self._progress)
        if entry.about.key not in [known.about.key for known in self.entries]:  # propagations share stages
            self.entries.append(entry)
        return BuiltStage(entry)


class BuiltStage:
    """A Stage that knows its tensors and nothing else."""

    def __init__(self, entry: Entry) -> None:
        self.inputs: tuple[TensorSpec, ...] = entry.inputs
        self.outputs: tuple[TensorSpec, ...] = entry.outputs
        self._name = entry.about.key.source

    def __call__(self, tensors: Tensors) -> Tensors:
        raise BackendError(f"{self._name} was built, not loaded; run it with --backend tensorrt")

    def close(self) -> None:
        pass


def describe() -> BackendInfo:
    """Version, GPU and precisions. Raises BackendError for what is missing."""
    gpu, flavour = find_gpu(), find_flavour()
    open_cuda(gpu.ordinal).close()
    return BackendInfo("tensorrt", flavour.title, (f"{gpu.name} (compute capability {gpu.compute_capability})",), flavour.precisions)


def _gpu_or_none() -> Gpu | None:
    try:
        return find_gpu()
    except BackendError:
        return None


def tell_stderr(line: str) -> None:
    print(f"drive-seg: {line}", file=sys.stderr)


def _ordinal(device: str | None) -> int:
    kind, _, number = (device or "cuda").lower().partition(":")
    if kind != "cuda" or not (number or "0").isdecimal():
        raise UsageError(f"tensorrt has no device {device!r}; it has cuda, cuda:1 …")
    return int(number or 0)


def _capability(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
