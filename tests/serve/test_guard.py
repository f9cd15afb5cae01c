"""Who is let in, and who is not: by the names that are asked for, by who asks, and by the token."""

import asyncio
import socket
from typing import Any

import pytest

from tests.serve.conftest import TOKEN, Served, Serving

ROUTES = ("/", "/page.js", "/page.css", "/metrics", "/healthz", "/snapshot.png")


def asked(address: str, host: str, origin: str | None = None, name: str = "", kind: str = "http") -> int:
    """The status of an answer, of a server that is bound to this address and was given this name."""
    from drive_seg.serve.guard import Guard

    said: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    headers = [(b"host", host.encode()), *([(b"origin", origin.encode())] if origin is not None else [])]
    scope = {"type": kind, "path": "/healthz", "method": "GET", "query_string": b"", "headers": headers}
    asyncio.run(Guard(app, name or address, (address, 8080), None)(scope, None, send))  # type: ignore[arg-type]
    return int(said[0].get("status", said[0].get("code", 0)))


@pytest.mark.parametrize(
    ("address", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1:8080", 200),
        ("127.0.0.1", "localhost:9000", 200),  # through ssh -L 9000:127.0.0.1:8080
        ("127.0.0.1", "LOCALHOST", 200),
        ("127.0.0.1", "[::1]:8080", 200),
        ("127.0.0.1", "car.example:8080", 200),  # as --serve was given
        ("127.0.0.1", "rebound.example:8080", 421),
        ("127.0.0.1", "127.0.0.1.rebound.example", 421),
        ("127.0.0.1", "192.168.1.7:8080", 421),
        ("127.0.0.1", "", 421),
        ("127.0.0.1", "[::1", 421),
        ("0.0.0.0", "192.168.1.7:8080", 200),
        ("0.0.0.0", "rebound.example", 421),
        ("0.0.0.0", f"{socket.gethostname()}:8080", 200),
        ("0.0.0.0", f"{socket.gethostname()}.local", 200),
        ("127.0.0.1", f"{socket.gethostname()}:8080", 421),
    ],
)
def test_it_answers_to_addresses_and_to_its_own_names(serve: Serving, address: str, host: str, status: int) -> None:
    assert asked(address, host, name="car.example") == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8080", 200),
        ("https://127.0.0.1:8080", 200),  # what ends TLS before it
        ("http://127.0.0.1:9000", 403),
        ("http://evil.example", 403),
        ("http://127.0.0.1:8080.evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_other_origins_are_refused(serve: Serving, origin: str, status: int) -> None:
    assert asked("127.0.0.1", "127.0.0.1:8080", origin) == status
    assert asked("127.0.0.1", "127.0.0.1:8080", origin, kind="websocket") == {200: 200, 403: 1008}[status]


def refused_page(served: Served, **headers: str) -> int:
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as refused, served.page(additional_headers=headers):
        pass
    return refused.value.response.status_code


def test_without_the_token_there_is_no_way_in(serve: Serving) -> None:
    served = serve(token=TOKEN)
    for wrong in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Basic {TOKEN}"}, {"Cookie": f"drive_seg_0={TOKEN}"}):
        served.headers = wrong
        assert {served.get(path).status for path in ROUTES} == {401}
        assert served.get(f"/?token={TOKEN[:-1]}").status == 401
        assert refused_page(served, **wrong) == 403
    assert served.get(f"/?token={TOKEN}", Host="rebound.example").status == 421
    assert served.server.viewers == 0


def test_a_browser_gives_the_token_once(serve: Serving) -> None:
    served = serve(token=TOKEN)
    served.headers = {}
    answer = served.get(f"/?token={TOKEN}")
    cookie, *attributes = (answer.getheader("Set-Cookie") or "").split("; ")
    assert (answer.status, set(attributes)) == (200, {"Path=/", "HttpOnly", "SameSite=Strict"})
    assert TOKEN not in cookie
    served.headers = {"Cookie": f"other=1; {cookie}"}
    assert {served.get(path).status for path in ROUTES} == {200}
    with served.page() as page:
        assert page.take()[0]
    assert refused_page(served, **served.headers, Origin="http://evil.example") == 403


def test_programs_send_it_as_a_header(serve: Serving) -> None:
    served = serve(token=TOKEN)
    assert {served.get(path).status for path in ROUTES} == {200}


def test_every_answer_tells_browsers_to_be_careful(serve: Serving) -> None:
    served = serve(play=False)
    for path in (*ROUTES, "/none"):
        answer = served.get(path)
        assert (answer.getheader("Content-Security-Policy") or "").startswith("default-src 'self'; ")
        assert answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Cache-Control") == "no-store"
        assert answer.getheader("Set-Cookie") is None  # where there is no token
    assert served.get("/none").status == 404
