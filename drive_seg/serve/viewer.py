"""One page that is open somewhere: it gets the newest picture whenever it has taken the one before, and what is asked for there is done."""

import asyncio
import json
import struct
import time
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from drive_seg.errors import UsageError
from drive_seg.serve.live import Live, Watcher
from drive_seg.serve.told import TELL_S
from drive_seg.session.compose import View

UNDER_WAY = 2  # messages that it has not taken yet: one to draw, and one on its way meanwhile. What lies in sockets grows old
MOST_ASKED = 4096  # bytes of what it asks for at a time

Share = Annotated[float, Field(ge=0, le=1)]


class Asked(BaseModel):
    """What a page sends, as JSON: that it has taken a message, how it wants to see the frames, or what shall become of the run."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    got: Literal[True] | None = None
    view: Literal["overlay", "mask", "picture", "doubt"] | None = None
    divider: Share | None = None  # of the width, what is A's
    opacity: Share | None = None
    schedule: str | None = None
    compare: str | None = None  # another schedule for the same frames, B; an empty one ends it
    paused: bool | None = None
    refresh: Literal[True] | None = None


class Viewer(Watcher):
    """Of the server's thread."""

    def __init__(self, socket: WebSocket, live: Live) -> None:
        self.news = asyncio.Event()  # something for it has come
        self._socket, self._live = socket, live
        self._view, self._divider = View.OVERLAY, 0.5
        self._under_way = 0
        self._picture: object = None  # what the one that was sent last was made of
        self._before = self._number = live.newest.number - 1 if live.newest else 0  # of the last picture before it came, and that it got
        self._pictures = 0  # it got, each frame counted once
        self._told_s = 0.0
        self._trouble = ""

    async def stay(self) -> None:
        """Until it leaves."""
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send())
            await self._listen()
            sending.cancel()

    @property
    def missed(self) -> int:
        newest = self._live.newest
        came = newest.number - self._before if newest else 0
        return max(0, came - self._pictures - (newest is not None and newest.number != self._number))

    # -- what it gets

    async def _send(self) -> None:
        with suppress(WebSocketDisconnect):
            await self._send_on()

    async def _send_on(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TELL_S):  # wait_for of Python 3.11 may lose that it is told to end
                    await self.news.wait()
            self.news.clear()
            if self._under_way < UNDER_WAY and (message := await self._message()):
                self._under_way += 1
                await self._socket.send_bytes(message)

    async def _message(self) -> bytes:
        """The length of a JSON text in four bytes, the text, and a JPEG; nothing of what it knows already, and empty where that is all."""
        told: dict[str, object] = {}
        if (now_s := time.monotonic()) - self._told_s >= TELL_S:
            self._told_s = now_s
            told = {"status": self._live.told(), "missed": self.missed, "view": self._view.value, "divider": self._divider}
        if self._trouble:
            told["trouble"], self._trouble = self._trouble, ""
        picture = await self._new_picture()
        if not (told or picture):
            return b""
        text = json.dumps(told, allow_nan=False).encode()
        return struct.pack(">I", len(text)) + text + picture

    async def _new_picture(self) -> bytes:
        shown, painter = self._live.newest, self._live.player.painter
        if shown is None or (made_of := (shown.number, painter, self._view, self._divider)) == self._picture:
            return b""
        self._picture = made_of
        picture = await self._live.jpeg(shown, painter, self._view, self._divider)
        self._pictures += shown.number != self._number
        self._number = shown.number
        return picture

    # -- what it asks for

    async def _listen(self) -> None:
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            try:
                self._obey(Asked.model_validate_json(message.get("text") or ""))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                self._trouble = f"{'.'.join(map(str, first['loc'])) or 'this'}: {first['msg']}"
            except UsageError as error:
                self._trouble = str(error)
            self.news.set()

    def _obey(self, asked: Asked) -> None:
        """By the commands that a window has. Raises UsageError."""
        if asked.got:
            self._under_way = max(0, self._under_way - 1)
            return
        self._view = View(asked.view) if asked.view else self._view
        self._divider = self._divider if asked.divider is None else asked.divider
        player = self._live.player
        if asked.opacity is not None:
            player.look = replace(player.look, opacity=asked.opacity)
        if asked.paused is not None:
            (player.pause if asked.paused else player.resume)()
        if asked.refresh:
            player.refresh()
        if asked.schedule is not None:
            player.change(schedule=asked.schedule)
        if asked.compare is not None:
            player.compare({"schedule": asked.compare} if asked.compare else None)
        self._live.wake()
