"""The thread that serves a player's frames: begun before the player is opened, ended before it is closed."""

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn

from drive_seg.contracts import Closing
from drive_seg.serve.guard import Guard
from drive_seg.serve.live import Live
from drive_seg.serve.metrics import Metrics
from drive_seg.serve.routes import application
from drive_seg.serve.viewer import MOST_ASKED
from drive_seg.session.player import Player
from drive_seg.workers import Worker

NICE = 10  # its threads leave the CPU to those that label frames
MOST_AT_ONCE = 64  # connections that are answered
GRACE_S = 1.0  # for what is being sent when it ends; then it is cut off
CLOSE_LIMIT_S = 10.0


class Server(Closing):
    """Serves at once; `player` must not be open yet."""

    def __init__(
        self, player: Player, listening: socket.socket, host: str, token: str | None, tell: Callable[[str], object] = lambda line: None
    ) -> None:
        """Owns `listening`. `host`: as --serve names it. `tell` is given what goes wrong in it and ends nothing, in its thread.

        Raises what kept it from serving.
        """
        self._player, self._listening, self._host, self._token, self._tell = player, listening, host, token, tell
        self._metrics = Metrics(player, lambda: (len(self._live.watchers), self._live.missed) if self._live else (0, 0))
        player.watch("metrics", self._metrics)
        self._live: Live | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serves = threading.Event()
        self._over = asyncio.Event()
        self._worker = Worker("serve", self._run, on_error=lambda _: self._serves.set()).start()
        self._serves.wait()
        if self._worker.error:
            self.close()
            self.check()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    @property
    def viewers(self) -> int:
        return len(self._live.watchers) if self._live else 0

    def check(self) -> None:
        """Raises what ended it."""
        if self._worker.error:
            raise self._worker.error

    def close(self) -> None:
        if self._loop:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._over.set)
        self._worker.wait(CLOSE_LIMIT_S)
        self._listening.close()

    def _run(self) -> None:
        if sys.platform == "linux":  # where it is this thread's, and that of those that it starts
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        log = _Log(self._tell)
        logger = logging.getLogger("uvicorn")
        logger.addHandler(log)
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        finally:
            logger.removeHandler(log)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, said: self._tell(f"serve: {said['message']}: {said.get('exception')!r}"))
        self._live = live = Live(self._player)
        try:
            await self._answer(Guard(application(live, self._metrics), self._host, self._listening.getsockname()[:2], self._token))
        finally:
            live.close()

    async def _answer(self, app: Any) -> None:
        """Until it is over. Addresses, where a token may stand, are logged nowhere."""
        server = uvicorn.Server(
            uvicorn.Config(
                app, loop="asyncio", http="h11", ws="websockets-sansio", lifespan="off", log_config=None, log_level="error",
                access_log=False, proxy_headers=False, server_header=False, limit_concurrency=MOST_AT_ONCE,
                ws_max_size=MOST_ASKED, ws_per_message_deflate=False,
            )
        )  # fmt: skip
        answering = asyncio.create_task(server.serve([self._listening]))
        self._serves.set()
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait({answering, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        server.should_exit = True
        await asyncio.wait({answering}, timeout=GRACE_S)
        for connection in list(server.server_state.connections):  # of who does not take what was sent
            connection.transport.abort()
        await answering


class _Log(logging.Handler):
    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__(logging.ERROR)
        self._say = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._say(self.format(record))
