"""Where frames come from: one grammar for cameras, files, pictures, streams and the demo."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from drive_seg.contracts import Seekable, Source
from drive_seg.errors import SourceError, UsageError
from drive_seg.files import expanded

GRAMMAR = "a camera number or /dev/videoN, a video file, a folder or quoted glob of pictures, rtsp://…, http://…, or demo:"
PLAYLIST_BYTES = 1 << 20
NAMED_IN = {  # how a playlist begins, and where it names files
    "ffconcat version": r"^\s*file\s+(?:'([^'\n]+)'|\"([^\"\n]+)\"|(\S+))",
    "#EXTM3U": r"^([^#\s][^\n]*)$|^#[^\n]*URI=\"([^\"\n]+)\"",
    "<MPD": r"<BaseURL[^>]*>([^<]+)<",
}
STREAMS = ("rtsp", "rtsps", "http", "https")


def open_source(uri: str, *, loop: bool = False) -> Source:
    """The source that `uri` names (GRAMMAR), opened; the caller closes it.

    With `loop`, what has an end and cannot be sought starts again there; what can be sought is looped by its capture. Raises
    UsageError when `uri` cannot be meant, SourceError when what it names cannot be opened.
    """
    opener = _opener(_meant(uri))
    source = opener()
    if not loop or source.info.live or isinstance(source, Seekable):
        return source
    from drive_seg.sources.looping import Looping

    return Looping(source, opener)


def _meant(uri: str) -> str:
    """Blanks around it are no part of it, unless that is how a file is called."""
    return uri if os.path.exists(os.path.expanduser(uri)) else uri.strip()  # noqa: PTH110, PTH111 (they take any text, also what is no path)


def _opener(uri: str) -> Callable[[], Source]:
    """Decides what is meant, opens nothing. OpenCV is imported by the source that needs it."""
    if camera := re.fullmatch(r"(?:/dev/video)?([0-9]+)", uri):
        from drive_seg.sources.camera import CameraSource

        return lambda: CameraSource(int(camera[1]))
    if uri.startswith("demo:"):
        from drive_seg.demo import parse_demo_uri

        return lambda: parse_demo_uri(uri)
    if scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", uri):
        if scheme[1].lower() not in STREAMS:
            raise UsageError(f"{uri}: {scheme[1]}:// is no source; give {GRAMMAR}")
        from drive_seg.sources.stream import StreamSource

        return lambda: StreamSource(uri)
    if not uri or uri.startswith("-"):
        raise UsageError(f"{uri!r} is no source; give {GRAMMAR}")
    return _path_opener(expanded(uri))


def _path_opener(path: Path) -> Callable[[], Source]:
    from drive_seg.sources.file import FileSource
    from drive_seg.sources.images import ImagesSource

    return (lambda: ImagesSource(path)) if _has_pictures(path) else lambda: FileSource(path)


def _has_pictures(path: Path) -> bool:
    from drive_seg.sources.images import is_picture

    if path.exists():
        return path.is_dir() or is_picture(path)
    return any(mark in str(path) for mark in "*?[")


def files_of(uri: str) -> list[Path]:
    """What is read of the file system when `uri` is played: the files, and the folders that pictures lie in. Opens and raises nothing."""
    uri = _meant(uri)
    if re.match(r"demo:|[A-Za-z][A-Za-z0-9+.-]*://|[0-9]+$", uri):
        return []
    from drive_seg.sources.images import pictures_of

    try:
        path = expanded(uri)
        return pictures_of(path) if _has_pictures(path) else [path, *_listed_in(path)]
    except (SourceError, UsageError, OSError, ValueError):  # opening it tells
        return []


def _listed_in(playlist: Path, depth: int = 3) -> list[Path]:
    """The files that a playlist names (ffconcat, M3U, DASH), and those of playlists among them; none of any other file."""
    try:
        with playlist.open("rb") as file:
            head = file.read(PLAYLIST_BYTES).decode(errors="replace")
    except OSError:
        return []
    kind = next((kind for kind in NAMED_IN if re.match(rf"\ufeff?\s*(<\?xml[^>]*>\s*)?{kind}", head)), None)
    names = [name for found in re.finditer(NAMED_IN[kind], head, re.MULTILINE) for name in found.groups() if name] if kind else []
    files = [playlist.parent / name.strip().removeprefix("file://") for name in names]
    return [*files, *(inner for file in files if depth for inner in _listed_in(file, depth - 1))]
