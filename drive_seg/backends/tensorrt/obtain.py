"""An engine for a stage: from the store where it still fits, else built now, with the sentence why."""

from collections.abc import Callable, Mapping
from pathlib import Path

from drive_seg.backends.border import check_file
from drive_seg.backends.tensorrt.build import Progress, build_engine
from drive_seg.backends.tensorrt.cuda import Gpu
from drive_seg.backends.tensorrt.flavour import Flavour
from drive_seg.backends.tensorrt.store import ANY_GPU, TYPING, Entry, Key, Sidecar, Store
from drive_seg.card import sha256
from drive_seg.errors import BackendError

Tell = Callable[[str], None]


def make_key(onnx_path: str, shapes: Mapping[str, tuple[int, ...]], precision: str, flavour: Flavour, gpu: Gpu | None) -> Key:
    """`gpu` is None where there is none: the flavour then has to build ahead of time."""
    bound = None if flavour.ahead_of_time else gpu
    path = Path(onnx_path).resolve()
    return Key(
        source=f"{path.parent.name}/{path.name}",
        onnx=sha256(path),
        inputs=dict(sorted(shapes.items())),
        precision=precision,
        typing=TYPING,
        flavour=flavour.package,
        version=flavour.version,
        gpu=bound.name if bound else ANY_GPU,
        compute_capability=bound.compute_capability if bound else ANY_GPU,
        driver=bound.driver if bound else ANY_GPU,
    )


def engine_for(
    onnx_path: str,
    shapes: Mapping[str, tuple[int, ...]],
    precision: str,
    flavour: Flavour,
    gpu: Gpu | None,
    store: Store,
    tell: Tell,
    progress: Progress | None = None,
) -> Entry:
    """Tells why an engine that is here is not run, that one is built, and what came of it. Raises BackendError."""
    name = check_file(onnx_path)
    if gpu is None and not flavour.ahead_of_time:
        raise BackendError(f"{flavour.title} builds on the GPU that will run the engine, and there is none; build with TensorRT for RTX")
    key = make_key(onnx_path, shapes, precision, flavour, gpu)
    found = store.find(key)
    if isinstance(found, Entry):
        return found
    if found.why:
        tell(f"{found.why}; it is built again")
    try:
        from drive_seg.backends.tensorrt.typed import typed_network  # a machine that only runs what is built needs no onnx
    except ImportError as error:
        raise BackendError(f"{name}: to build its engine takes the package onnx; pip install 'drive-seg[tensorrt]'") from error
    typed = typed_network(onnx_path, shapes, precision)
    tell(f"building {key.source} in {typed.precision} with {flavour.title} …")
    built = build_engine(flavour, name, typed.model, typed.precision, progress)
    try:
        entry = store.put(key, built)
    except OSError as error:
        raise BackendError(f"{store.folder}: the engine of {key.source} cannot be written ({error.strerror}); make room there") from error
    tell(said(entry.about))
    return entry


def said(about: Sidecar) -> str:
    """One line about an engine."""
    kinds = "; ".join(f"{kind} {', '.join(f'{n} {p}' for p, n in sorted(counts.items()))}" for kind, counts in about.layers.items())
    return f"{about.key.source}: {about.precision}, {about.bytes / 2**20:.1f} MiB in {about.build_s:.1f} s ({kinds})"
