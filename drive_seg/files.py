"""No file of a user's is harmed: what is written comes into being beside its name, and no two paths of a run hurt each other."""

import errno
import os
import re
import stat
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

from drive_seg.errors import SinkError, UsageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PART = ".part"
LONGEST = 255  # bytes of a name, on about every file system
MASK = re.compile(r"\d{6,}\.png", re.IGNORECASE)  # what sinks.masks writes into a folder
ANOTHER = "give another name, or --overwrite"

_FREE_SPACE = "free space there, or choose another place"
_ALLOWED = "choose a place where this user may write"
REMEDIES = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EFBIG: _FREE_SPACE,
    errno.ENOENT: "make its folder first, or choose another place",
    errno.EACCES: _ALLOWED,
    errno.EPERM: _ALLOWED,
    errno.EROFS: _ALLOWED,
}
_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_FAR = 1 << 30  # Windows locks bytes and not files: one that nothing is written to


def as_sink_error(target: object, error: OSError) -> SinkError:
    """One line: what could not be written, why, and what to do."""
    remedy = REMEDIES.get(error.errno or 0, "choose another place")
    sink_error = SinkError(f"{target}: cannot be written: {error.strerror or error}; {remedy}")
    sink_error.__cause__ = error
    return sink_error


def expanded(path: str | Path) -> Path:
    """With a leading ~ or ~user as the folder that it stands for; any other name stays as the file system has it, with its blanks.

    Raises UsageError for a name that no file system has room for.
    """
    try:
        found = Path(path).expanduser()
    except RuntimeError:  # there is no such user: as in a shell, it is a name like any other
        found = Path(path)
    if long := next((part for part in found.parts if len(os.fsencode(part)) > LONGEST), None):
        raise UsageError(f"{long[:40]}…: a name has at most {LONGEST} bytes; give a shorter one")
    return found


def part_of(path: Path) -> Path:
    """Where it is written until it is whole: beside the file itself, not beside a link to it."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + PART)


def require_new(path: Path, overwrite: bool, who: str = "") -> None:
    """Raises UsageError where a file is there that is not to be overwritten, or anything that no file can replace."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # nothing there, or nothing that can be known: opening tells
    said = f"{who} {path}".strip()
    if stat.S_ISDIR(mode):
        raise UsageError(f"{said}: is a folder; give the name of a file")
    if stat.S_ISBLK(mode):
        raise UsageError(f"{said}: is a whole disk; give the name of a file")
    if stat.S_ISREG(mode) and not overwrite:
        raise UsageError(f"{said}: is there already; {ANOTHER}")
    if stat.S_ISREG(mode) and not os.access(path, os.W_OK):
        raise UsageError(f"{said}: is write-protected; give another name")


def require_no_masks(folder: Path, overwrite: bool, who: str = "") -> None:
    """Raises UsageError where masks lie in the folder that are not to be overwritten, or links by the names of masks."""
    there = masks_in(folder)
    if link := next((path for path in there if path.is_symlink()), None):
        raise UsageError(f"{who} {link}: is a link, and no mask is written through one; give another folder".strip())
    if there and not overwrite:
        raise UsageError(f"{who} {folder}: has masks already, such as {there[0].name}; give another folder, or --overwrite".strip())


def masks_in(folder: Path) -> list[Path]:
    """The files that masks written into the folder could replace, by name; none where it cannot be read, which writing tells."""
    try:
        return sorted(path for path in folder.iterdir() if MASK.fullmatch(path.name))
    except OSError:
        return []


class Held:
    """A file that one process has at a time. It is empty: what a killed process left under the name is kept under another one.

    Raises UsageError while somebody else has it, OSError where it cannot be made.
    """

    def __init__(self, path: Path, target: Path) -> None:
        """`target`: what it stands for, for the message."""
        self.path = path
        while True:
            if path.is_symlink():
                _set_aside(path)
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0), 0o666)
            try:
                self._lock(target)
                if self.is_mine and os.fstat(self.fd).st_size == 0:
                    return
                left = self.is_mine  # else it was moved or removed by the one that had it, just now
            except BaseException:
                os.close(self.fd)
                raise
            os.close(self.fd)
            if left:
                _set_aside(path)

    @property
    def is_mine(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.fd), os.lstat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Removes it."""
        if sys.platform != "win32" and self.is_mine:
            self.path.unlink(missing_ok=True)
        os.close(self.fd)
        if sys.platform == "win32":  # which removes no open file
            self.path.unlink(missing_ok=True)

    def _lock(self, target: Path) -> None:
        try:
            if sys.platform == "win32":
                os.lseek(self.fd, _FAR, os.SEEK_SET)
                try:
                    msvcrt.locking(self.fd, msvcrt.LK_NBLCK, 1)
                finally:
                    os.lseek(self.fd, 0, os.SEEK_SET)
            else:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                raise UsageError(f"{target}: is being written by another run; give another name, or wait for its end") from error
            # Some network file systems have no locks; `is_mine` still keeps one run from moving another's file.


def _set_aside(path: Path) -> None:
    """To the next free name: x.mp4.part is x.mp4.2.part then."""
    path.rename(free(path.with_suffix(""), path.suffix, "."))


def free(stem: Path, ending: str, between: str = "-", taken: Callable[[Path], bool] = os.path.lexists) -> Path:
    """STEM-2ENDING, or the next number that nobody has."""
    return next(path for number in count(2) if not taken(path := stem.with_name(f"{stem.name}{between}{number}{ending}")))


class Beside:
    """`file`, which is written as NAME.part and gets its name by `keep`; a context that ends without it removes the part.

    One process at a time has a name, and has it from the beginning. What is there stays as it is until `keep`, and is only
    replaced with `overwrite`; a file that has come into being meanwhile is not. A symbolic link stays one. What a killed
    process wrote stays as NAME.part, and under a further name once somebody writes NAME again. A device or pipe is written
    directly. Raises UsageError, SinkError.
    """

    def __init__(self, path: Path, overwrite: bool = False, buffering: int = -1) -> None:
        """`buffering` as `open` takes it."""
        require_new(path, overwrite)
        self._overwrite, self._real = overwrite, Path(os.path.realpath(path))
        self._held: Held | None = None
        self.part = part_of(path)  # what is written to, for messages
        try:
            if path.exists() and not path.is_file():
                self.part = path
                self.file: BinaryIO = path.open("wb", buffering)
                return
            self._held = Held(self.part, path)
            if hasattr(os, "fchmod") and self._real.exists():
                with suppress(OSError):
                    os.fchmod(self._held.fd, stat.S_IMODE(self._real.stat().st_mode))
            self.file = os.fdopen(self._held.fd, "wb", buffering)
        except OSError as error:
            raise as_sink_error(path, error) from error

    def put(self, content: str | bytes) -> None:
        """All that is to be written, text as UTF-8. Raises SinkError."""
        try:
            self.file.write(content.encode() if isinstance(content, str) else content)
            self.file.flush()
        except OSError as error:
            raise as_sink_error(self._real, error) from error

    def fill(self, content: str | bytes) -> None:
        """The same, and keeps it."""
        self.put(content)
        self.keep()

    def keep(self) -> None:
        """Gives it its name. Raises SinkError; what was written stays as the part then."""
        if self.file.closed:
            return
        try:
            self.file.flush()
            if self._held is None:
                self.file.close()
                return
            if not self._held.is_mine:
                raise SinkError(f"{self.part}: was moved away by somebody while it was written; write to another place")
            if sys.platform == "win32":  # which moves no open file
                self.file.close()
            self._move()
            self.file.close()
        except OSError as error:
            raise as_sink_error(self.part, error) from error
        finally:
            self.leave()

    def _move(self) -> None:
        if self._overwrite:
            self.part.replace(self._real)
            return
        try:
            self._real.hardlink_to(self.part)  # unlike a move it fails where something is
        except FileExistsError:
            raise SinkError(f"{self._real}: has come into being meanwhile; what was written is {self.part}") from None
        except OSError:  # the file system has no hard links
            if os.path.lexists(self._real):
                raise SinkError(f"{self._real}: has come into being meanwhile; what was written is {self.part}") from None
            self.part.rename(self._real)
        else:
            self.part.unlink()

    def leave(self) -> None:
        """Closes the part as it is; idempotent."""
        with suppress(OSError):
            self.file.close()

    def drop(self) -> None:
        """Removes the part; nothing once it was kept or left."""
        if self.file.closed:
            return
        if self._held and self._held.is_mine and sys.platform != "win32":
            self.part.unlink(missing_ok=True)
        self.leave()
        if self._held and sys.platform == "win32":
            self.part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        _begun.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.drop()
        _begun.discard(self)


_begun: set[Beside] = set()  # as contexts


def drop_begun() -> None:
    """For a process that ends without leaving its contexts: what a context of Beside was to fill is removed."""
    for beside in tuple(_begun):
        beside.drop()


def write(path: Path, content: str | bytes, overwrite: bool = False) -> None:
    """The whole file or nothing of it, text as UTF-8. Raises UsageError, SinkError."""
    write_all({path: content}, overwrite)


def write_all(contents: Mapping[Path, str | bytes], overwrite: bool = False) -> None:
    """Files that belong together: the first one gets its name when all of them are whole, and the last one last. Raises as `write`."""
    with ExitStack() as stack:
        made = [(stack.enter_context(Beside(path, overwrite)), content) for path, content in contents.items()]
        for beside, content in made:
            beside.put(content)
        for beside, _ in made:
            beside.keep()


@dataclass(frozen=True, slots=True)
class Use:
    """A path of a run, and what becomes of it there."""

    who: str  # the flag that names it, for people
    path: Path
    # A folder that is read has pictures. Written: a new file. Filled: a folder that gets pictures. Updated: a file that is there, in place.
    does: Literal["read", "write", "fill", "update"]


def require_apart(uses: Iterable[Use]) -> None:
    """Raises UsageError where something is written that another flag reads or writes: the same path, or a link to it of any kind.

    Names that differ in case alone are taken for one where neither exists, as some folders do.
    """
    read, written = [], dict[object, Use]()
    for use in uses:
        if use.does == "read":
            read.append(use)
            continue
        for mark in {_mark(use.path)} | ({_mark(part_of(use.path))} if use.does == "write" else set()):
            if mark in written:
                raise UsageError(f"{use.who} {use.path}: is where {written[mark].who} writes; {_other(use)}")
            written[mark] = use
    replaced = {_mark(path): use for use in written.values() if use.does == "fill" for path in masks_in(use.path)}
    for use in written.values():
        for folder in (_mark(parent) for parent in use.path.absolute().parents):
            if (other := written.get(folder)) and other.does != "fill":
                raise UsageError(f"{use.who} {use.path}: lies in {other.path}, the file that {other.who} writes; give another name")
    marked = [(use, _mark(use.path)) for use in read] if written else []
    for use, mark in marked:
        if writer := written.get(mark):
            raise UsageError(f"{writer.who} {writer.path}: is what {use.who} reads; {_other(writer)}")
    for use, mark in marked:
        if writer := replaced.get(mark):
            said = f"{writer.who} {writer.path}: has {use.path}, which {use.who} reads, by the name of a mask"
            raise UsageError(f"{said}; choose another folder")
    for folder in [use for use in written.values() if use.does == "fill"]:
        for use in written.values():
            if MASK.fullmatch(use.path.name) and _mark(use.path.parent) == _mark(folder.path):
                raise UsageError(f"{use.who} {use.path}: is where {folder.who} writes; give another name")


def _other(use: Use) -> str:
    return "choose another folder" if use.does == "fill" else "give another name"


def require_writable(uses: Iterable[Use], overwrite: bool) -> None:
    """Raises UsageError for what is there and not to be overwritten, SinkError for a place where nothing can be written."""
    for use in uses:
        if use.does == "write":
            require_new(use.path, overwrite, use.who)
            folder = part_of(use.path).parent
            if not use.path.exists() and (not folder.is_dir() or not os.access(folder, os.W_OK)):
                number = errno.ENOENT if not folder.exists() else errno.EACCES if folder.is_dir() else errno.ENOTDIR
                raise as_sink_error(f"{use.who} {use.path}", OSError(number, os.strerror(number)))
        elif use.does == "fill":
            require_no_masks(use.path, overwrite, use.who)
            place = use.path.absolute()
            there = next(path for path in (place, *place.parents) if path.exists())
            if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
                number = errno.EACCES if there.is_dir() else errno.ENOTDIR
                raise as_sink_error(f"{use.who} {use.path}", OSError(number, os.strerror(number)))


def _mark(path: Path) -> object:
    """The same for all names of one file."""
    try:
        found = path.stat()
        return found.st_dev, found.st_ino
    except (OSError, ValueError):
        real = Path(os.path.realpath(path))
    if real == real.parent:
        return str(real)
    return _mark(real.parent), unicodedata.normalize("NFC", real.name).casefold()
