"""Built engines, each beside a JSON that says what it was built from; what does not fit is refused with the reason.

They lie in the user's cache folder, where nobody else may look or write.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, ValidationError

from drive_seg.backends.tensorrt.build import Built
from drive_seg.contracts import TensorSpec
from drive_seg.network.card import sha256

TYPING = 2  # counts the changes of what typed.py makes of an ONNX; engines of another count are stale
ANY_GPU = "any"  # an engine that is finished on the machine where it runs


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Key(_Strict):
    """Everything that an engine depends on; its digest names the files."""

    source: str  # bundle/file.onnx
    onnx: str  # its SHA-256
    inputs: dict[str, tuple[int, ...]]  # shapes
    frames: dict[str, tuple[int, int]]  # inputs that are given as frames of this height and width, and reduced to their shape
    precision: str  # as asked for
    typing: int  # TYPING
    flavour: str  # the package
    version: str
    gpu: str  # its name, or ANY_GPU
    compute_capability: str  # "8.9", or ANY_GPU
    driver: str  # the newest CUDA that it can, or ANY_GPU

    @property
    def name(self) -> str:
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]
        return f"{self.source.removesuffix('.onnx').replace('/', '-')}-{self.precision}-{digest}"


class Sidecar(_Strict):
    """The JSON beside an engine: its key, hash, tensors and layers."""

    format: int = 1
    key: Key
    sha256: str  # of the plan
    bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: str  # what it came to
    layers: dict[str, dict[str, int]]  # by type and precision, read from the network before the build
    build_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored engine that fits its key and is whole."""

    about: Sidecar
    plan: bytes


@dataclass(frozen=True, slots=True)
class StoredEngine:
    """A file of the store, and why it cannot be used."""

    path: Path
    about: Sidecar | None
    why: str  # it is of no use; empty


class Store:
    """The folder. Writing is atomic, so processes may share it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()

    def find(self, key: Key) -> Entry | str:
        """The engine of this key, read and checked against its SHA-256; or why there is none, for people.

        "" where there is nothing of the kind at all. Raises nothing.
        """
        path = self.folder / f"{key.name}.plan"
        if not path.is_file():
            return self._nearest(key)
        if stranger := next((one for one in (self.folder, path) if not _is_own(one)), None):
            return f"{stranger} belongs to somebody else, or others may write there: it is not run"
        try:
            about = _read(path)
            plan = path.read_bytes()
        except ValueError as error:
            return str(error)
        except OSError as error:
            return f"{path.name} cannot be read ({error.strerror})"
        if about.key != key:
            return f"{path.name} {mismatch(key, about.key)}"
        if hashlib.sha256(plan).hexdigest() != about.sha256:
            return f"{path.name} is damaged: it is not the engine that was written (SHA-256 differs)"
        return Entry(about, plan)

    def put(self, key: Key, built: Built) -> Entry:
        """Writes the engine and then its JSON, each at once or not at all. Raises OSError."""
        about = Sidecar(
            key=key,
            sha256=hashlib.sha256(built.plan).hexdigest(),
            bytes=len(built.plan),
            inputs=built.inputs,
            outputs=built.outputs,
            precision=built.precision,
            layers={kind: dict(counts) for kind, counts in built.layers.items()},
            build_s=round(built.build_s, 3),
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        path = self.folder / f"{key.name}.plan"
        _write(path, built.plan)
        _write(path.with_suffix(".json"), (about.model_dump_json(indent=2) + "\n").encode())
        return Entry(about, built.plan)

    def listed(self) -> Iterator[StoredEngine]:
        """Every engine, by name."""
        for path in sorted(self.folder.glob("*.plan")):
            try:
                about = _read(path)
                whole = sha256(path) == about.sha256
                yield StoredEngine(path, about, "" if whole else "damaged: SHA-256 differs")
            except (ValueError, OSError) as error:
                yield StoredEngine(path, None, str(error))

    def clear(self) -> tuple[int, int]:
        """Removes every engine. Returns how many, and their bytes. Raises OSError."""
        plans = list(self.folder.glob("*.plan"))
        size = sum(path.stat().st_size for path in plans)
        for path in (*plans, *self.folder.glob("*.json"), *self.folder.glob("*.onnx"), *self.folder.glob("*.part")):
            path.unlink(missing_ok=True)
        return len(plans), size

    def _nearest(self, key: Key) -> str:
        """Why the engines of this stage, size and precision that are here are not the one."""
        others = [one for one in self._of(key) if (one.inputs, one.frames, one.precision) == (key.inputs, key.frames, key.precision)]
        return f"the engine of {key.source} that is here {mismatch(key, others[-1])}" if others else ""

    def _of(self, key: Key) -> Iterator[Key]:
        for path in sorted(self.folder.glob(f"{key.source.removesuffix('.onnx').replace('/', '-')}-{key.precision}-*.plan")):
            try:
                yield _read(path).key
            except (ValueError, OSError):
                continue


def mismatch(wanted: Key, there: Key) -> str:
    """Why a stored engine does not fit the wanted key, as a half sentence that begins with a verb."""
    if wanted.flavour != there.flavour or wanted.version != there.version:
        return f"was built by {there.flavour} {there.version}, and {wanted.flavour} {wanted.version} would run it"
    if (wanted.gpu, wanted.compute_capability) != (there.gpu, there.compute_capability):
        fits = f"{there.gpu} (compute capability {there.compute_capability})"
        return f"is for another GPU: {fits}, not {wanted.gpu} ({wanted.compute_capability})"
    if wanted.driver != there.driver:
        return f"was built under a driver for CUDA {there.driver}, and this one is for {wanted.driver}"
    if wanted.source != there.source:
        return f"is of {there.source}, not of {wanted.source}"
    if wanted.onnx != there.onnx:
        return "is stale: the ONNX file has changed since"
    if wanted.typing != there.typing:
        return "is stale: another version of this program wrote its types"
    return "is of another size or precision"


def cache_folder() -> Path:
    """The user's own, wherever the program is started: an engine is machine code, and its SHA-256 does not say who made it."""
    return user_cache_path("drive-seg", appauthor=False) / "tensorrt"


def _is_own(path: Path) -> bool:
    """Nobody but this user, or the system's own, can have written it."""
    if not hasattr(os, "getuid"):
        return True
    found = path.stat()
    return found.st_uid in (0, os.getuid()) and not found.st_mode & 0o022


def _read(plan: Path) -> Sidecar:
    """Raises ValueError, in one line, for a JSON that is absent or not what `put` writes."""
    path = plan.with_suffix(".json")
    try:
        return Sidecar.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{plan.name} has no {path.name} beside it: nobody knows what it is") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        raise ValueError(f"{path.name} is damaged ({where}: {first['msg']})") from error


def _write(path: Path, content: bytes) -> None:
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
