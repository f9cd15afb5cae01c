"""TensorRT's engines without a GPU's memory: built for another machine, or for later on this one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from drive_seg.backends.tensorrt.build import Progress
from drive_seg.backends.tensorrt.cuda import gpu_here
from drive_seg.backends.tensorrt.flavour import find_flavour
from drive_seg.backends.tensorrt.paint import paint_network
from drive_seg.backends.tensorrt.provider import EngineProvider, EngineRequest, Tell
from drive_seg.backends.tensorrt.store import Entry, Store
from drive_seg.backends.validation import PRECISIONS, check_options
from drive_seg.contracts import Stage, TensorSpec
from drive_seg.errors import BackendError
from drive_seg.network.card import Bundle
from drive_seg.network.engine import Engine

QUANTISED = tuple(name for name, precision in PRECISIONS.items() if precision.quantised)


class AheadOfTime:
    """A Backend (contracts.py) whose stages are built and cannot be called. What is kept already is not built again."""

    name = "tensorrt"

    def __init__(self, precision: str, tell: Tell | None, progress: Progress | None = None, provider: EngineProvider | None = None) -> None:
        """With `tell` None nothing is built: an engine that is not stored raises BackendError. `provider`: local_provider() by default.

        Raises UsageError for a precision.
        """
        provider = provider or local_provider()
        flavour, gpu = provider.flavour, provider.gpu
        self.device = gpu.name if gpu else "no GPU"
        self.what = f"{flavour.title}, for {gpu.name if gpu and not flavour.ahead_of_time else 'any GPU that it knows'}"
        check_options(self.name, precision, None, flavour.precisions, self.device)
        self.precision = precision
        self.int8: bool | None = precision in QUANTISED
        self.entries: list[Entry] = []
        self.folder = provider.store.folder
        self._provider, self._tell, self._progress = provider, tell, progress

    def build(self, bundle: Bundle, about_hw: tuple[int, int] | None = None, frame_hw: tuple[int, int] | None = None) -> None:
        """Every stage of a bundle and the head of every propagation, for frames of `frame_hw` (default: `about_hw`, else the card's size).

        Raises UsageError for an int8 that the bundle does not have, BackendError.
        """
        card = bundle.card
        for propagation in card.propagations:
            with Engine(bundle, self, propagation, about_hw) as engine:
                engine.fit(frame_hw or about_hw or (card.input.height, card.input.width))

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> "BuiltStage":
        return self._build(EngineRequest(onnx_path, input_shapes, self.precision))

    def load_reducing(
        self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]], picture: str, frame_hw: tuple[int, int]
    ) -> "BuiltStage":
        return self._build(EngineRequest(onnx_path, input_shapes, self.precision, {picture: frame_hw}))

    def load_painter(self, stage: Stage, picture: str, labels_hw: tuple[int, int]) -> "BuiltStage":
        return self._build(painter_of(self.folder, stage.inputs, picture, labels_hw, self.precision))

    def _build(self, wanted: EngineRequest) -> "BuiltStage":
        entry = self._provider.engine(wanted, self._tell, self._progress)
        if entry.about.key not in [known.about.key for known in self.entries]:  # propagations share stages
            self.entries.append(entry)
        return BuiltStage(entry)


class BuiltStage:
    """A Stage, or a PaintStage, that knows its tensors and cannot be called."""

    def __init__(self, entry: Entry) -> None:
        self.inputs, self.outputs = entry.about.inputs, entry.about.outputs
        self._name = entry.about.key.source

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise BackendError(f"{self._name} was built, not loaded; run it with --backend tensorrt")

    def close(self) -> None:
        pass


def painter_of(folder: Path, inputs: tuple[TensorSpec, ...], picture: str, labels_hw: tuple[int, int], precision: str) -> EngineRequest:
    """The request for the engine that paints labels over a stage's input picture; its ONNX is kept in `folder`. Raises BackendError."""
    shape = next(spec.shape for spec in inputs if spec.name == picture)
    path = paint_network(folder, (shape[1], shape[2]), labels_hw)
    shapes = {"image": shape, "labels": (1, *labels_hw), "colours": (256, 3), "shares": (256, 1)}
    return EngineRequest(path, shapes, "fp32" if precision == "fp32" else "fp16")


def with_shares(tell: Tell) -> tuple[Tell, Progress]:
    """`tell`, and a progress callback that repeats its last line with the percentage that is done."""
    last = ["", -1.0]

    def say(line: str) -> None:
        last[:] = line, -1.0
        tell(line)

    def progress(phase: str, share: float) -> None:
        if round(share, 2) != last[1]:
            last[1] = round(share, 2)
            tell(f"{last[0]} {share:.0%}")

    return say, progress


def local_provider(store: Store | None = None) -> EngineProvider:
    """A provider for this machine's GPU; without one, TensorRT for RTX building for every GPU that it supports.

    Raises BackendError when there is no TensorRT that can.
    """
    gpu = gpu_here()
    return EngineProvider(find_flavour(here=gpu is not None), gpu, store or Store())
