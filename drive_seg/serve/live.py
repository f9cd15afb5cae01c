"""The newest frame and who watches it: frames come from the session's thread, which is never waited for and never waits."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

import cv2

from drive_seg.contracts import Image
from drive_seg.overlay import Painter
from drive_seg.serve.told import STANDS, TELL_S, told
from drive_seg.session.compose import View, compose
from drive_seg.session.film import Versus
from drive_seg.session.player import Player
from drive_seg.session.status import Shown
from drive_seg.sinks.masks import FASTEST

STALLED_S = 5.0  # without a frame; or so many frames' time, where they are rare:
STALLED_FRAMES = 3
MOST_WATCHERS = 16
MOST_ROWS = 720  # of a picture that is sent; larger ones are reduced
QUALITY = 80  # of its JPEG


class Watcher(Protocol):
    """Somebody who watches."""

    news: asyncio.Event  # set when something for it has come

    @property
    def missed(self) -> int:
        """Pictures that came while it watched and that it was too slow for."""


class Live:
    """Of the server's thread, whose loop runs while it is made. Pictures are encoded in another one, and only for somebody."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.newest: Shown | None = None
        self.watchers: set[Watcher] = set()
        self._missed = 0  # by those that are gone
        self._came_s = time.monotonic()
        self._told: tuple[float, dict[str, object]] = (0.0, {})
        self._encoder = ThreadPoolExecutor(1, "serve pictures")
        self._jpegs: dict[object, bytes] = {}  # of the frame that was encoded last, by what it was made with
        self._jpegs_of = 0
        loop = asyncio.get_running_loop()

        def come() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody watches any more
                loop.call_soon_threadsafe(self._come)

        player.on_new = come

    def close(self) -> None:
        self.player.on_new = None
        self._encoder.shutdown()

    def _come(self) -> None:
        if shown := self.player.take():
            self.newest, self._came_s = shown, time.monotonic()
            self.wake()

    def wake(self) -> None:
        """There is something new for those who watch."""
        for watcher in self.watchers:
            watcher.news.set()

    # -- who watches

    @property
    def full(self) -> bool:
        return len(self.watchers) >= MOST_WATCHERS

    def leave(self, watcher: Watcher) -> None:
        self.watchers.discard(watcher)
        self._missed += watcher.missed

    @property
    def missed(self) -> int:
        """By those who watch, and those who have."""
        return self._missed + sum(watcher.missed for watcher in self.watchers)

    def told(self) -> dict[str, object]:
        """To all alike, and found out once for all."""
        when_s, before = self._told
        if (now_s := time.monotonic()) - when_s < TELL_S / 2:
            return before
        self._told = now_s, {**told(self.player), "viewers": len(self.watchers)}
        return self._told[1]

    def health(self) -> tuple[bool, str]:
        """Whether frames come, or are not wanted at the moment; and how it stands, for people."""
        status = self.player.status()
        without_s = time.monotonic() - self._came_s
        limit_s = max(STALLED_S, STALLED_FRAMES / (status.source.fps * min(status.speed, 1.0)) if status.source.fps > 0 else 0.0)
        if status.state in STANDS:
            return status.state == "paused", status.state
        if self.newest is None or without_s > limit_s:
            return False, f"{status.state}, no frame for {without_s:.0f} s"
        return True, status.state

    # -- pictures

    async def jpeg(self, shown: Shown, painter: Painter, view: View, divider: float) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._encoder, self._jpeg, shown, painter, view, divider)

    async def png(self, shown: Shown, painter: Painter) -> bytes:
        """The overlay at the frame's size, without a comparison."""
        return await asyncio.get_running_loop().run_in_executor(self._encoder, self._png, shown, painter)

    def _jpeg(self, shown: Shown, painter: Painter, view: View, divider: float) -> bytes:
        """Once for all who see the same."""
        made_with = painter, view, divider if shown.comparison else None
        if shown.number != self._jpegs_of:
            self._jpegs_of = shown.number
            self._jpegs.clear()
        if made_with not in self._jpegs:
            height, width = shown.result.frame.size_hw
            room_hw = MOST_ROWS, max(1, round(width * MOST_ROWS / height))
            picture = compose(shown, painter, view, Versus.SPLIT, divider, room_hw)
            self._jpegs[made_with] = _encoded(".jpg", picture, cv2.IMWRITE_JPEG_QUALITY, QUALITY)
        return self._jpegs[made_with]

    def _png(self, shown: Shown, painter: Painter) -> bytes:
        return _encoded(".png", painter.paint(shown.result.frame.image, shown.result.labels), *FASTEST)


def _encoded(ending: str, picture: Image, *how: int) -> bytes:
    ok, data = cv2.imencode(ending, picture, how)
    assert ok  # in memory, of what is a picture
    return data.tobytes()
