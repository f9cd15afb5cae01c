"""Who may ask: the token on every way in, and no page of another origin, by whatever name it calls this machine."""

import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse

from drive_seg.serve.address import is_loopback

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {  # of every answer
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",  # no other page shows the snapshot
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
REFUSED = 1008  # RFC 6455: a policy is violated


class Guard:
    """Around an ASGI application. Where there is a token, a browser gives it once in the page's address and has a cookie from then on."""

    def __init__(self, app: App, host: str, address: tuple[str, int], token: str | None) -> None:
        """`host`: as --serve names it. `address`: what that was bound to."""
        self._app, self._token = app, token
        self._local = is_loopback(address[0])
        self._names = {host.lower(), "localhost", *({(own := socket.gethostname().lower()), f"{own}.local"} if not self._local else ())}
        # Of this run alone: what a browser keeps is not the token. Browsers send a cookie to every port of its host.
        self._cookie, self._pass = f"drive_seg_{address[1]}", secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if refused := self._refused(headers) or self._unknown(scope, headers):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": REFUSED})
            else:
                await PlainTextResponse(refused[1], refused[0], HEADERS)(scope, receive, send)
            return

        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                told.update(HEADERS)
                if self._token and scope["path"] == "/":
                    told.append("set-cookie", f"{self._cookie}={self._pass}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        await self._app(scope, receive, marked)

    def _refused(self, headers: Headers) -> tuple[int, str] | None:
        """A page elsewhere has its visitor's browser ask, or lets a name of its own lead here (DNS rebinding)."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_here(host):
            return 421, f"this is not {host}; ask for it by an address of this machine, or by the name that --serve gives\n"
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return 403, "another page asks for this; open it by itself\n"
        return None

    def _is_here(self, host: str) -> bool:
        """Of `Host`: an address, which no name can be led to, or a name that this machine has."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            ip_address(name)
        except ValueError:
            return name in self._names
        return is_loopback(name) or not self._local

    def _unknown(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if self._token is None:
            return None
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        tokens = [QueryParams(scope["query_string"]).get("token", ""), credentials if scheme.lower() == "bearer" else ""]
        if any([*(_same(given, self._token) for given in tokens), *(_same(given, self._pass) for given in self._passes(headers))]):
            return None
        return 401, "give the token: open the page as /?token=…, or send the header Authorization: Bearer …\n"

    def _passes(self, headers: Headers) -> Iterable[str]:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return []
        return [morsel.value] if morsel else []


def _same(given: str, secret: str) -> bool:
    """In a time that tells nothing of where they differ."""
    return secrets.compare_digest(given.encode(), secret.encode())
