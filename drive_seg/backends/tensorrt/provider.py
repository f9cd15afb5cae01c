"""An engine for a stage: from the store where it still fits, else built now, with the sentence why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drive_seg.backends.tensorrt.build import Progress, build_engine
from drive_seg.backends.tensorrt.cuda import Gpu
from drive_seg.backends.tensorrt.flavour import Flavour
from drive_seg.backends.tensorrt.store import ANY_GPU, TYPING, Entry, Key, Sidecar, Store
from drive_seg.backends.validation import check_file
from drive_seg.errors import BackendError
from drive_seg.network.card import sha256

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """A stage, its input shapes and its precision: what an engine is asked for by."""

    onnx_path: str
    shapes: Mapping[str, tuple[int, ...]]  # of the inputs, as the stage's ONNX has them
    precision: str
    frames: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # height and width of the frames that pictures are reduced from


@dataclass(frozen=True, slots=True)
class EngineProvider:
    """Finds engines in the store or builds them, with one TensorRT for one GPU."""

    flavour: Flavour
    gpu: Gpu | None  # None where there is none: the flavour then has to build ahead of time
    store: Store

    def key(self, wanted: EngineRequest) -> Key:
        bound = None if self.flavour.ahead_of_time else self.gpu
        path = Path(wanted.onnx_path).resolve()
        return Key(
            source=f"{path.parent.name}/{path.name}",
            onnx=sha256(path),
            inputs=dict(sorted(wanted.shapes.items())),
            frames=dict(sorted(wanted.frames.items())),
            precision=wanted.precision,
            typing=TYPING,
            flavour=self.flavour.package,
            version=self.flavour.version,
            gpu=bound.name if bound else ANY_GPU,
            compute_capability=bound.compute_capability if bound else ANY_GPU,
            driver=bound.driver if bound else ANY_GPU,
        )

    def engine(self, wanted: EngineRequest, tell: Tell | None, progress: Progress | None = None) -> Entry:
        """The stored engine, or a new one; `tell` gets why a stored one does not fit, that one is built, and the result.

        With `tell` None nothing is built. Raises BackendError.
        """
        name = check_file(wanted.onnx_path)
        if self.gpu is None and not self.flavour.ahead_of_time:
            here = f"{self.flavour.title} builds on the GPU that will run the engine, and there is none"
            raise BackendError(f"{here}; build with TensorRT for RTX")
        key = self.key(wanted)
        found = self.store.find(key)
        if isinstance(found, Entry):
            return found
        if tell is None:
            raise BackendError(f"{key.source} is not built: {found or 'there is no such engine'}; run `drive-seg build`")
        if found:
            tell(f"{found}; it is built again")
        return self._build(name, key, wanted, tell, progress)

    def _build(self, name: str, key: Key, wanted: EngineRequest, tell: Tell, progress: Progress | None) -> Entry:
        try:
            from drive_seg.backends.tensorrt.typed import typed_network  # a machine that only runs what is built needs no onnx
        except ImportError as error:
            raise BackendError(f"{name}: to build its engine takes the package onnx; pip install 'drive-seg[tensorrt]'") from error
        typed = typed_network(wanted.onnx_path, wanted.shapes, wanted.precision, wanted.frames)
        tell(f"building {key.source} in {typed.precision} with {self.flavour.title} …")
        built = build_engine(self.flavour, name, typed.model, typed.precision, progress)
        try:
            entry = self.store.put(key, built)
        except OSError as error:
            folder = self.store.folder
            raise BackendError(f"{folder}: the engine of {key.source} cannot be written ({error.strerror}); make room there") from error
        tell(describe_engine(entry.about))
        return entry


def describe_engine(about: Sidecar) -> str:
    """One line about an engine."""
    kinds = "; ".join(f"{kind} {', '.join(f'{n} {p}' for p, n in sorted(counts.items()))}" for kind, counts in about.layers.items())
    return f"{about.key.source}: {about.precision}, {about.bytes / 2**20:.1f} MiB in {about.build_s:.1f} s ({kinds})"
