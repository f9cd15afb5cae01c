"""What implements the CUDA layer (cuda.py): a table, best first, of adapters that are imported when they are tried."""

from importlib import import_module

from drive_seg.backends.tensorrt.cuda import Cuda
from drive_seg.backends.validation import one_line
from drive_seg.errors import BackendError

ADAPTERS = {  # by package: module, class
    "cuda-bindings": ("cuda_bindings", "CudaBindings"),
    "pycuda": ("pycuda", "PyCuda"),
}


def open_cuda(ordinal: int) -> Cuda:
    """The first adapter whose package is here, for the GPU of this number. Raises BackendError listing what was tried."""
    reasons = []
    for package, (module, name) in ADAPTERS.items():
        try:
            adapter: Cuda = getattr(import_module(f"drive_seg.backends.tensorrt.{module}"), name)(ordinal)
            return adapter
        except (ImportError, OSError) as error:
            reasons.append(f"{package} ({one_line(error)})")
    raise BackendError(f"no package to drive CUDA with; tried {', '.join(reasons)}; pip install cuda-bindings")
