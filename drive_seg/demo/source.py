"""The demo drive as a Source: rendered ahead in a thread of its own, as a file is decoded ahead."""

import math
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from drive_seg.contracts import Closing, Frame, SourceInfo
from drive_seg.demo.drive import DemoDrive
from drive_seg.demo.labels import CLASSES
from drive_seg.errors import UsageError
from drive_seg.workers import Closed, Mailbox, Overflow, Worker

SIZE_LIMITS = (64, 4096)
_AHEAD_FRAMES = 2
_FORM = "demo:?seed=0&size=640x480&fps=30&frames=300&crossing=0"


class DemoSource(Closing):
    """The drive from its first frame, in order, each with its exact labels. Ends after `frames` frames; None goes on for ever."""

    def __init__(
        self, seed: int = 0, size_hw: tuple[int, int] = (480, 640), fps: float = 30.0, frames: int | None = None, crossing: int = 0
    ) -> None:
        """`size_hw` in pixels. `crossing`: 1 where people cross in front of the car. The thread runs from here until the end or `close`."""
        self._drive = DemoDrive(seed, size_hw, fps, bool(crossing))
        self._frames = frames
        name = _name(seed, size_hw, fps, frames, crossing)
        self.info = SourceInfo(name, size_hw, fps, live=False, frame_count=frames, labelled=True, classes=CLASSES)
        self._start(0)

    def _start(self, index: int) -> None:
        """Renders from this frame on. The old mailbox stays the old thread's."""
        self._mailbox = mailbox = Mailbox[Frame](_AHEAD_FRAMES, Overflow.WAIT)
        self._worker = Worker("demo-renderer", lambda: self._render(index, mailbox), on_error=mailbox.close).start()

    def read(self) -> Frame | None:
        """The next frame, or None at the end and after `close`. Raises what went wrong in the renderer."""
        try:
            return self._mailbox.get()
        except Closed:
            return None

    def seek(self, index: int) -> None:
        """As Seekable says: every frame is rendered from its index alone."""
        self.close()
        self._start(max(0, index if self._frames is None else min(index, self._frames - 1)))

    def close(self) -> None:
        """Ends the thread; idempotent."""
        self._mailbox.discard()
        while self._worker.alive:
            try:
                self._worker.join(1.0)
            except TimeoutError:
                continue

    def _render(self, index: int, mailbox: Mailbox[Frame]) -> None:
        while self._frames is None or index < self._frames:
            start = time.perf_counter()
            image, labels = self._drive.frame(index)
            decode_ms = (time.perf_counter() - start) * 1000
            mailbox.put(Frame(image, index, index / self._drive.fps, decode_ms, labels))
            index += 1
        mailbox.close()


def _name(seed: int, size_hw: tuple[int, int], fps: float, frames: int | None, crossing: int) -> str:
    """The shortest address that means the same drive."""
    told = []
    if seed:
        told.append(f"seed={seed}")
    if size_hw != (480, 640):
        told.append(f"size={size_hw[1]}x{size_hw[0]}")
    if fps != 30.0:
        told.append(f"fps={fps:g}")
    if frames is not None:
        told.append(f"frames={frames}")
    if crossing:
        told.append("crossing=1")
    return "demo:" + ("?" + "&".join(told) if told else "")


def _size(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.lower().split("x"))
    return height, width


_KEYS: dict[str, tuple[str, Callable[[str], Any], float, float, str]] = {  # in the address: argument, parser, least, most, what it wants
    "seed": ("seed", int, 0, math.inf, "a whole number from 0"),
    "size": ("size_hw", _size, *SIZE_LIMITS, f"WIDTHxHEIGHT, each from {SIZE_LIMITS[0]} to {SIZE_LIMITS[1]}"),
    "fps": ("fps", float, 1, 1000, "a number from 1 to 1000"),
    "frames": ("frames", int, 1, math.inf, "a whole number from 1"),
    "crossing": ("crossing", int, 0, 1, "1 where people cross in front of the car, else 0"),
}


def parse_demo_uri(uri: str) -> DemoSource:
    """Opens `demo:` or `demo:?seed=3&size=640x480&fps=30&frames=300`. Raises UsageError for what cannot be meant."""
    scheme, _, query = uri.partition("?")
    if scheme != "demo:":
        raise UsageError(f"{uri!r} is no demo source: write {_FORM}")
    arguments: dict[str, object] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key not in _KEYS:
            raise UsageError(f"{uri!r}: unknown key {key!r}; the keys are {', '.join(_KEYS)}, as in {_FORM}")
        argument, parse, least, most, wants = _KEYS[key]
        try:
            value = arguments[argument] = parse(text)
            valid = all(least <= one <= most for one in (value if isinstance(value, tuple) else (value,)))
        except ValueError:
            valid = False
        if not valid:
            raise UsageError(f"{uri!r}: {key}={text} cannot be meant; {key} is {wants}, as in {_FORM}")
    return DemoSource(**arguments)  # type: ignore[arg-type]
