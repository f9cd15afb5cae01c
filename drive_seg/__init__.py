"""Real-time semantic segmentation of driving video.

`load` gives a segmenter, `frames` the frames of a camera, file, folder, stream or the demo; see docs/library.md. Nothing is imported
until one of the names is used.
"""

TYPE_CHECKING = False  # typing's own, whose import takes as long as a person takes for Ctrl-C
if TYPE_CHECKING:
    from typing import Any

    from drive_seg.library import DriveSegError, Frame, Frames, Result, Segmenter, frames, load

__version__ = "0.1.0"
__all__ = ["DriveSegError", "Frame", "Frames", "Result", "Segmenter", "frames", "load"]


def __getattr__(name: str) -> "Any":
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from drive_seg import library

    return getattr(library, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
