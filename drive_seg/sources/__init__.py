"""Where frames come from: one grammar for cameras, files, pictures, streams and the demo."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drive_seg.contracts import Away, Seekable, Source
from drive_seg.errors import SourceError, UsageError
from drive_seg.files import expanded

PLAYLIST_BYTES = 1 << 20
NAMED_IN = {  # how a playlist begins, and where it names files
    "ffconcat version": r"^\s*file\s+(?:'([^'\n]+)'|\"([^\"\n]+)\"|(\S+))",
    "#EXTM3U": r"^([^#\s][^\n]*)$|^#[^\n]*URI=\"([^\"\n]+)\"",
    "<MPD": r"<BaseURL[^>]*>([^<]+)<",
}
CAMERA, STREAM, SCHEME = r"(/dev/video)?[0-9]+", r"(?i:rtsps?|https?)://[^/?#\s]", r"[A-Za-z][A-Za-z0-9+.-]*://"
BAG = r"(?i:(?!\w+://).*\.mcap)(\?topic=.*)?$"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a user can write, and what it means. OpenCV is imported by the source that needs it."""

    form: str  # as it is written
    help: str
    means: Callable[[str], object]  # true of its URIs; opens nothing
    open: Callable[[str, float | None, Callable[[Away], None] | None], Source]  # as `open_source`
    files: Callable[[str], list[Path]] = lambda uri: []  # what is read of the file system
    live: bool = False  # its frames come when they come


def _open_camera(uri: str, *_: object) -> Source:
    from drive_seg.sources.camera import CameraSource

    return CameraSource(int(uri.removeprefix("/dev/video")))


def _open_demo(uri: str, *_: object) -> Source:
    from drive_seg.demo import parse_demo_uri

    return parse_demo_uri(uri)


def _open_stream(uri: str, give_up_s: float | None, tell: Callable[[Away], None] | None) -> Source:
    from drive_seg.sources.stream import StreamSource

    return StreamSource(uri, give_up_s, tell)


def _open_pictures(uri: str, *_: object) -> Source:
    from drive_seg.sources.images import ImagesSource

    return ImagesSource(expanded(uri))


def _open_file(uri: str, *_: object) -> Source:
    from drive_seg.sources.file import FileSource

    return FileSource(expanded(uri))


def _open_bag(uri: str, *_: object) -> Source:
    from drive_seg.sources.bag import BagSource

    path, topic = _bag(uri)
    return BagSource(path, topic)


def _bag(uri: str) -> tuple[Path, str]:
    """The file, and the topic behind `?topic=`, which may be empty."""
    name, _, topic = uri.partition("?topic=")
    return expanded(name), topic


def _bag_file(uri: str) -> list[Path]:
    return [_bag(uri)[0]]


def _has_pictures(uri: str) -> bool:
    from drive_seg.sources.pictures import is_picture

    if re.match(SCHEME, uri):
        return False
    if (path := expanded(uri)).exists():
        return path.is_dir() or is_picture(path)
    return any(mark in uri for mark in "*?[")


def _pictures(uri: str) -> list[Path]:
    from drive_seg.sources.images import pictures_of

    return pictures_of(expanded(uri))


def _played(uri: str) -> list[Path]:
    path = expanded(uri)
    return [path, *_listed_in(path)]


KINDS = (  # the first that is meant is opened
    Kind("0, /dev/video0", "a camera", lambda uri: re.fullmatch(CAMERA, uri), _open_camera, live=True),
    Kind("demo:", "the drive that the program draws", lambda uri: uri.startswith("demo:"), _open_demo),
    Kind("rtsp://…, http://…", "a network stream", lambda uri: re.match(STREAM, uri), _open_stream, live=True),
    Kind("bag.mcap?topic=/front", "a camera in a ROS 2 bag", lambda uri: re.match(BAG, uri), _open_bag, _bag_file),
    Kind("DIR, 'DIR/*.png'", "a folder or quoted glob of pictures", _has_pictures, _open_pictures, _pictures),
    Kind("drive.mp4", "a video file", lambda uri: not re.match(SCHEME, uri), _open_file, _played),
)
GRAMMAR = ", ".join(f"{kind.help} ({kind.form})" for kind in KINDS)


def open_source(uri: str, *, loop: bool = False, give_up_s: float | None = None, tell: Callable[[Away], None] | None = None) -> Source:
    """The source that `uri` names (GRAMMAR), opened; the caller closes it.

    With `loop`, what has an end and is not seekable starts again there; what is seekable is looped by its capture. `give_up_s` and
    `tell` are for streams, as StreamSource says. Raises UsageError when `uri` cannot be meant, SourceError when what it names cannot be
    opened.
    """
    uri = _meant(uri)
    kind = _kind(uri)
    source = kind.open(uri, give_up_s, tell)
    if not loop or source.info.live or isinstance(source, Seekable):
        return source
    from drive_seg.sources.looping import Looping

    return Looping(source, lambda: kind.open(uri, give_up_s, tell))


def _meant(uri: str) -> str:
    """Blanks around it are no part of it, unless that is how a file is called."""
    try:
        return uri if os.path.exists(os.path.expanduser(uri)) else uri.strip()  # noqa: PTH110, PTH111 (they take any text, also what is no path)
    except ValueError:  # but for ~ and a NUL, which opening tells
        return uri


def _kind(uri: str) -> Kind:
    """Raises UsageError for what is none."""
    if not uri or uri.startswith("-"):
        raise UsageError(f"{uri!r} is no source; give {GRAMMAR}")
    try:
        if kind := next((kind for kind in KINDS if kind.means(uri)), None):
            return kind
    except (OSError, ValueError) as error:
        raise UsageError(f"{uri!r:.80}: is no path ({getattr(error, 'strerror', None) or error}); give {GRAMMAR}") from error
    raise UsageError(f"{uri}: {uri.partition(':')[0]}:// is no source; give {GRAMMAR}")


def is_live(uri: str) -> bool:
    """Whether the frames of `uri` come when they come. Opens nothing. Raises UsageError for what is no source."""
    return _kind(_meant(uri)).live


def files_of(uri: str) -> list[Path]:
    """What is read of the file system when `uri` is played: the files, and the folders that pictures lie in. Opens and raises nothing."""
    uri = _meant(uri)
    try:
        return _kind(uri).files(uri)
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
