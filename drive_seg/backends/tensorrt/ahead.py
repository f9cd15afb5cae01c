"""TensorRT's engines without a GPU's memory: built for another machine, or for later on this one."""

from collections.abc import Mapping
from pathlib import Path

from drive_seg.backends.tensorrt.build import Progress
from drive_seg.backends.tensorrt.cuda import Gpu, find_gpu
from drive_seg.backends.tensorrt.flavour import find_flavour
from drive_seg.backends.tensorrt.obtain import Tell, Wanted, Workshop
from drive_seg.backends.tensorrt.paint import paint_network
from drive_seg.backends.tensorrt.store import Entry, Store
from drive_seg.backends.validation import PRECISIONS, check_options
from drive_seg.contracts import Array, Image, Labels, Stage, Tensors, TensorSpec
from drive_seg.errors import BackendError

QUANTISED = tuple(name for name, precision in PRECISIONS.items() if precision.quantised)


class AheadOfTime:
    """A Backend (contracts.py) whose stages are built and cannot be called. What is kept already is not built again."""

    name = "tensorrt"

    def __init__(self, precision: str, tell: Tell | None, progress: Progress | None = None, workshop: Workshop | None = None) -> None:
        """With nobody to tell nothing is built: what is not kept is a BackendError. `workshop`: what is here, unless it is given.

        Raises UsageError for a precision.
        """
        workshop = workshop or workshop_here()
        flavour, gpu = workshop.flavour, workshop.gpu
        self.device = gpu.name if gpu else "no GPU"
        self.what = f"{flavour.title}, for {gpu.name if gpu and not flavour.ahead_of_time else 'any GPU that it knows'}"
        check_options(self.name, precision, None, flavour.precisions, self.device)
        self.precision = precision
        self.int8: bool | None = precision in QUANTISED
        self.entries: list[Entry] = []
        self.folder = workshop.store.folder
        self._workshop, self._tell, self._progress = workshop, tell, progress

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> "BuiltStage":
        return self._build(Wanted(onnx_path, input_shapes, self.precision))

    def load_reducing(
        self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]], picture: str, frame_hw: tuple[int, int]
    ) -> "BuiltStage":
        return self._build(Wanted(onnx_path, input_shapes, self.precision, {picture: frame_hw}))

    def load_painter(self, stage: Stage, picture: str, labels_hw: tuple[int, int]) -> "BuiltPainter":
        self._build(painter_of(self.folder, stage.inputs, picture, labels_hw, self.precision))
        return BuiltPainter()

    def _build(self, wanted: Wanted) -> "BuiltStage":
        entry = self._workshop.engine(wanted, self._tell, self._progress)
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


class BuiltPainter:
    """A PaintStage that is there to be closed."""

    def __call__(self, labels: Labels, colours: Array, shares: Array) -> Image:
        raise BackendError("what paints was built, not loaded; run it with --backend tensorrt")

    def close(self) -> None:
        pass


def painter_of(folder: Path, inputs: tuple[TensorSpec, ...], picture: str, labels_hw: tuple[int, int], precision: str) -> Wanted:
    """What paints over the picture that a stage with these inputs is given; the folder is where its ONNX is kept. Raises BackendError."""
    shape = next(spec.shape for spec in inputs if spec.name == picture)
    path = paint_network(folder, (shape[1], shape[2]), labels_hw)
    shapes = {"image": shape, "labels": (1, *labels_hw), "colours": (256, 3), "shares": (256, 1)}
    return Wanted(path, shapes, "fp32" if precision == "fp32" else "fp16")


def with_shares(tell: Tell) -> tuple[Tell, Progress]:
    """The same, and what tells the last line again with every further percent that is done."""
    last = ["", -1.0]

    def say(line: str) -> None:
        last[:] = line, -1.0
        tell(line)

    def progress(phase: str, share: float) -> None:
        if round(share, 2) != last[1]:
            last[1] = round(share, 2)
            tell(f"{last[0]} {share:.0%}")

    return say, progress


def workshop_here(store: Store | None = None) -> Workshop:
    """For the GPU that is here; where there is none, TensorRT for RTX for every GPU that it knows.

    Raises BackendError when there is no TensorRT that can.
    """
    gpu = _gpu_or_none()
    return Workshop(find_flavour(here=gpu is not None), gpu, store or Store())


def _gpu_or_none() -> Gpu | None:
    try:
        return find_gpu()
    except BackendError:
        return None
