"""Where frames come from: one grammar for cameras, files, pictures, streams and the demo."""

import re
from collections.abc import Callable
from pathlib import Path

from drive_seg.contracts import Source
from drive_seg.errors import UsageError

GRAMMAR = "a camera number or /dev/videoN, a video file, a folder or quoted glob of pictures, rtsp://…, http://…, or demo:"
STREAMS = ("rtsp", "rtsps", "http", "https")


def open_source(uri: str, *, loop: bool = False) -> Source:
    """The source that `uri` names (GRAMMAR), opened; the caller closes it.

    With `loop`, what has an end starts again there. Raises UsageError when `uri` cannot be meant, SourceError when what
    it names cannot be opened.
    """
    opener = _opener(uri.strip())
    source = opener()
    if not loop or source.info.live:
        return source
    from drive_seg.sources.looping import Looping

    return Looping(source, opener)


def _opener(uri: str) -> Callable[[], Source]:
    """Decides what is meant, opens nothing. OpenCV is imported by the source that needs it."""
    if camera := re.fullmatch(r"(?:/dev/video)?([0-9]+)", uri):
        from drive_seg.sources.camera import CameraSource

        return lambda: CameraSource(int(camera[1]))
    if uri.startswith("demo:"):
        from drive_seg.sources.demo import parse_demo_uri

        return lambda: parse_demo_uri(uri)
    if scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", uri):
        if scheme[1].lower() not in STREAMS:
            raise UsageError(f"{uri}: {scheme[1]}:// is no source; give {GRAMMAR}")
        from drive_seg.sources.stream import StreamSource

        return lambda: StreamSource(uri)
    if not uri or uri.startswith("-"):
        raise UsageError(f"{uri!r} is no source; give {GRAMMAR}")
    return _path_opener(uri)


def _path_opener(uri: str) -> Callable[[], Source]:
    from drive_seg.sources.file import FileSource
    from drive_seg.sources.images import ImagesSource, is_picture

    path = Path(uri).expanduser()
    glob = not path.exists() and any(mark in uri for mark in "*?[")
    if path.is_dir() or glob or (path.exists() and is_picture(path)):
        return lambda: ImagesSource(uri)
    return lambda: FileSource(uri)
