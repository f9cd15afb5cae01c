"""A run that is watched by browsers as a terminal sees it: it plays as in a window, and ends where no person could have it go on."""

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich.text import Text

from drive_seg.cli.flags import err
from drive_seg.cli.headless import print_note, said_by, salvage
from drive_seg.errors import DriveSegError, SinkError
from drive_seg.serve.address import listen, require_packages, written
from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.workers import ended_by_signals

if TYPE_CHECKING:
    from drive_seg.serve.server import Server
    from drive_seg.session.status import Status, Trouble

POLL_S = 0.2
WRITES = ("recorder", "masks", "trace")


def run_served(settings: Settings, host: str, port: int) -> dict[str, object] | None:
    """Until the source ends, a signal comes, or it fails for good. Returns what ran and how fast; None where nothing did.

    Raises UsageError before anything is opened, what opening it raises, and DriveSegError, at the end, where something failed that nobody
    can mend from a browser: source, network, or what is written.
    """
    require_packages()
    token = settings.token.get_secret_value() if settings.token else None
    listening = listen(host, port, token is not None)
    from drive_seg.serve.server import Server

    player, over = Player(settings), threading.Event()
    with ExitStack() as stack:
        stack.callback(player.close)
        server = stack.enter_context(Server(player, listening, host, token, print_note))
        stack.enter_context(ended_by_signals(lambda _: over.set(), lambda: salvage(player)))
        behind = "?token=…" if token else ""
        err.print(f"serving http://{written(host, server.port)}/{behind}", soft_wrap=True)
        failed = _watch(player, server, over)
    if failed:
        raise failed
    return player.summary() if player.status().runs else None


def _watch(player: Player, server: "Server", over: threading.Event) -> DriveSegError | None:
    """Tells the terminal how it stands. Returns what it failed with."""
    told, unwritten = set[str](), None
    with err.status("opening …") as line:
        player.open()
        connecting = said_by(line)
        while True:
            ended, status = over.wait(POLL_S), player.status()
            server.check()
            if status.state == "failed":
                return DriveSegError(status.trouble.text if status.trouble else "it failed; start it with --debug")
            began = status.headline and f"{status.source.name} · {status.headline}"
            for said in (began, status.note, status.trouble and status.trouble.text):
                if said and said not in told:
                    told.add(said)
                    print_note(said)
            unwritten = unwritten or _unwritten(status.trouble)
            if ended or status.state == "ended":
                return unwritten
            if status.away:
                connecting(f"{status.away.name}: connecting since {status.away.since}, try {status.away.tries}")
            else:
                line.update(_how(status, server.viewers))


def _unwritten(trouble: "Trouble | None") -> DriveSegError | None:
    return SinkError(trouble.text) if trouble and trouble.what in WRITES else None


def _how(status: "Status", viewers: int) -> Text:
    return Text(f"{status.state}, frame {status.position}, {status.numbers.p50_ms:.1f} ms, {viewers} watching")
