"""What can be asked for: the page, its pictures as they come, and what programs ask of a service. All of it only reads, but for `/live`."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from drive_seg.serve.live import Live
from drive_seg.serve.metrics import CONTENT_TYPE, Metrics
from drive_seg.serve.viewer import Viewer

PAGE = {"/": ("page.html", "text/html"), "/page.js": ("page.js", "text/javascript"), "/page.css": ("page.css", "text/css")}
FULL = 1013  # WebSocket's "try again later"


def application(live: Live, metrics: Metrics) -> Any:
    """As ASGI has it."""

    async def healthz(_: Request) -> Response:
        well, state = live.health()
        return PlainTextResponse(f"{state}\n", 200 if well else 503)

    async def snapshot(_: Request) -> Response:
        if (shown := live.newest) is None:
            return PlainTextResponse("there is no frame yet; ask again\n", 503)
        return Response(await live.png(shown, live.player.painter), media_type="image/png")

    async def counted(_: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    async def watch(socket: WebSocket) -> None:
        await socket.accept()
        if live.full:
            await socket.close(FULL, "too many watch already; close another page")
            return
        live.watchers.add(viewer := Viewer(socket, live))
        try:
            await viewer.stay()
        finally:
            live.leave(viewer)

    told = [Route("/healthz", healthz), Route("/snapshot.png", snapshot), Route("/metrics", counted)]
    return Starlette(routes=[*(Route(path, _file(*file)) for path, file in PAGE.items()), *told, WebSocketRoute("/live", watch)])


def _file(name: str, media_type: str) -> Callable[[Request], Any]:
    text = (files("drive_seg.serve") / "page" / name).read_text(encoding="utf-8")

    async def answer(_: Request) -> Response:
        return Response(text, media_type=media_type)

    return answer
