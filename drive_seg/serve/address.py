"""Where the page is served: found out, refused and bound before anything else of a run is opened."""

import errno
import socket
from importlib.util import find_spec
from ipaddress import ip_address

from drive_seg.errors import UsageError

PACKAGES = ("starlette", "uvicorn", "websockets", "prometheus_client")
REMEDIES = {
    errno.EADDRINUSE: "the port is in use; give another one, or 0 for any that is free",
    errno.EACCES: "this user may not serve there; give a port above 1023",
    errno.EADDRNOTAVAIL: "that is no address of this machine; give one that is, such as 127.0.0.1",
}


def require_packages() -> None:
    """Raises UsageError."""
    if lacks := [package for package in PACKAGES if find_spec(package) is None]:
        raise UsageError(f"--serve: {', '.join(lacks)} not installed; pip install 'drive-seg[serve]'")


def listen(host: str, port: int, token: bool) -> socket.socket:
    """Bound and listening, the caller's to close. `token`: there is one, which other machines than this have to give.

    Raises UsageError.
    """
    place = f"--serve {written(host, port)}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # a name may be none that can be asked for
        why = getattr(error, "strerror", None) or "no name of a machine"
        raise UsageError(f"{place}: {host} is not known here ({why}); give an address of this machine, such as 127.0.0.1") from error
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    if not (token or is_loopback(str(where[0]))):
        raise UsageError(f"{place}: can be reached from other machines; give a --token for them to know, or serve 127.0.0.1:{port}")
    try:
        return socket.create_server(where, family=family)
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, f"nothing can be served there ({error.strerror}); give another address")
        raise UsageError(f"{place}: {remedy}") from error


def is_loopback(address: str) -> bool:
    """Nobody but this machine reaches it."""
    return ip_address(address).is_loopback


def written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
