"""TensorRT 10's entropy calibration: ranges that TensorRT finds on pictures, kept in calib/<bundle>/, for int8 without Q/DQ nodes.

TensorRT 11 and TensorRT for RTX have no calibrators; whether there is one is told by what the package has. The network goes in as floats,
weakly typed, and TensorRT chooses int8 or fp16 for each layer.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from drive_seg.backends.tensorrt.cuda import Cuda
from drive_seg.backends.tensorrt.flavour import Flavour
from drive_seg.contracts import Array, Tensors
from drive_seg.errors import BackendError

SUFFIX = ".entropy.cache"


def can_calibrate(flavour: Flavour) -> bool:
    return hasattr(flavour.api, "IInt8EntropyCalibrator2") and hasattr(flavour.api.BuilderFlag, "INT8")


def floats_of(onnx_path: str) -> Path:
    """The stage in floats, of itself or of its int8 file."""
    path = Path(onnx_path).resolve()
    return path.with_name(path.name.replace(".int8.onnx", ".onnx"))


def cache_of(onnx_path: str) -> Path:
    """Where the stage's ranges are kept: engines/camvid/low.onnx has calib/camvid/low.entropy.cache."""
    path = floats_of(onnx_path)
    return path.parent.parent.parent / "calib" / path.parent.name / f"{path.stem}{SUFFIX}"


def calibrated(onnx_path: str, precision: str, flavour: Flavour) -> Path | None:
    """The ranges with which this stage is built; None where it has none, or they are of no use."""
    cache = cache_of(onnx_path)
    return cache if precision == "int8" and cache.is_file() and floats_of(onnx_path).is_file() and can_calibrate(flavour) else None


def fingerprint(onnx_path: str, cache: Path) -> str:
    """SHA-256 of the network in floats and its ranges, in one."""
    return hashlib.sha256(floats_of(onnx_path).read_bytes() + cache.read_bytes()).hexdigest()


def from_cache(flavour: Flavour, cache: Path) -> Any:
    """A calibrator that has seen its pictures before: TensorRT reads the ranges and asks for nothing."""
    return _calibrator(flavour, cache, lambda names: None, read=True)


@contextmanager
def from_pictures(flavour: Flavour, cuda: Cuda, batches: Iterable[Tensors], cache: Path) -> Iterator[Any]:
    """A calibrator that feeds `batches`, a frame each, by input; what TensorRT finds replaces `cache`.

    With the context of `cuda` current, where the engine is built too; what it has on the GPU is freed at the end. Raises BackendError
    where the flavour has no calibrator.
    """
    if not can_calibrate(flavour):
        raise BackendError(f"{flavour.title} has no entropy calibrator; leave --calibrate out: int8 comes from the bundle's int8 files")
    waiting, places = iter(batches), dict[str, tuple[int, Array]]()
    with ExitStack() as held:
        stream = cuda.stream(False)
        held.callback(cuda.destroy_stream, stream)

        def feed(names: list[str]) -> list[int] | None:
            tensors = next(waiting, None)
            if tensors is None:
                return None
            for name in names:
                if name not in places:
                    places[name] = _place(cuda, tensors[name], held)
                pointer, array = places[name]
                np.copyto(array, tensors[name])
                cuda.upload(pointer, array, stream)
            cuda.synchronize(stream)
            return [places[name][0] for name in names]

        yield _calibrator(flavour, cache, feed, read=False)


def _place(cuda: Cuda, tensor: Array, held: ExitStack) -> tuple[int, Array]:
    array = cuda.pinned(tensor.shape, tensor.dtype.name)
    held.callback(cuda.unpin, array)
    pointer = cuda.allocate(tensor.nbytes)
    held.callback(cuda.free, pointer)
    return pointer, array


def _calibrator(flavour: Flavour, cache: Path, feed: Any, read: bool) -> Any:
    base = flavour.api.IInt8EntropyCalibrator2

    class Calibrator(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: list[str], *_: Any) -> list[int] | None:
            answer: list[int] | None = feed(list(names))
            return answer

        def read_calibration_cache(self, *_: Any) -> bytes | None:
            return cache.read_bytes() if read else None

        def write_calibration_cache(self, content: Any, *_: Any) -> None:
            if not read:
                cache.parent.mkdir(parents=True, exist_ok=True)
                cache.write_bytes(bytes(content))

    return Calibrator()
