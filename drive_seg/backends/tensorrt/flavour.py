"""Finds the TensorRT that is installed: TensorRT 10 and 11 or TensorRT for RTX, told apart by what they can do."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from drive_seg.backends.validation import one_line
from drive_seg.errors import BackendError

TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}  # by package, the one for data centres first
INSTALL = "pip install 'drive-seg[tensorrt]', or 'drive-seg[tensorrt-rtx]' for a GeForce or RTX card (7.5, 8.x, 12.x)"


@dataclass(frozen=True, slots=True)
class Flavour:
    """An imported TensorRT package, and what it can do."""

    package: str
    api: Any  # the module

    @property
    def version(self) -> str:
        return str(self.api.__version__)

    @property
    def title(self) -> str:
        return f"{TITLES[self.package]} {self.version}"

    @property
    def ahead_of_time(self) -> bool:
        """Whether engines are built without a GPU and run on every GPU that the package supports."""
        return hasattr(self.api.IBuilderConfig, "set_compute_capability")

    @property
    def targets(self) -> tuple[str, ...]:
        """The compute capabilities that the package supports; empty where it does not say."""
        names = [name.removeprefix("SM") for name in dir(getattr(self.api, "ComputeCapability", None)) if name.startswith("SM")]
        return tuple(f"{int(name) // 10}.{int(name) % 10}" for name in sorted(names, key=int))

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions of typed networks; the first is the default."""
        return ("fp16", "fp32", "int8", *(["fp8"] if hasattr(self.api.DataType, "FP8") else []))

    @property
    def network_flags(self) -> int:
        """The flag for strongly typed networks; 0 where there is no other kind."""
        flag = getattr(self.api.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return 0 if flag is None else 1 << int(flag)

    def listener(self) -> Any:
        """A logger that prints nothing and keeps warnings and errors in `lines`, from now on."""
        log = _listener(self.api)
        log.lines.clear()
        return log


@cache
def _listener(api: Any) -> Any:
    """One for the process, never freed: TensorRT goes on using the first that it was given, whatever it is given later."""
    base = api.ILogger

    class Listener(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= base.Severity.WARNING:
                self.lines.append(message)

    return Listener()


def find_flavour(here: bool = True, package: str | None = None) -> Flavour:
    """The package called `package`, or the best: TensorRT to run on a GPU that is `here`, TensorRT for RTX to build for one elsewhere.

    Raises BackendError when there is none, one line with the command that installs it.
    """
    reasons = []
    for name in [package] if package else TITLES if here else ["tensorrt_rtx"]:
        if not installed(name):
            continue
        try:
            flavour = Flavour(name, import_module(name))
            flavour.api.Builder  # noqa: B018  (the wheel without its libraries imports as an empty package)
            return flavour
        except (ImportError, OSError, AttributeError, RuntimeError) as error:
            reasons.append(f"{TITLES[name]} does not start: {one_line(error)}")
    wanted = TITLES[package] if package else "TensorRT" if here else "TensorRT for RTX, the one that builds without a GPU,"
    remedy = INSTALL if here and not package else f"pip install 'drive-seg[{(package or 'tensorrt_rtx').replace('_', '-')}]'"
    raise BackendError(f"{', '.join(reasons) or f'{wanted} is not installed'}; {remedy}")


def installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # sys.modules holds None for it
        return False
