"""`make soak`: whether a long run ends as it began.

Frames through a fake network, as many as fit through the real one, and a window in which source, bundle, backend, schedule and recording
are switched all the time. Memory, threads, open files and the slowest frames of each eighth of each part are written into one table.
"""

import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from drive_seg.bench.machine import describe, provenance
from drive_seg.contracts import Frame
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import parse_schedule
from drive_seg.session import figures, history
from drive_seg.session.opening import open_session
from drive_seg.session.player import Player
from drive_seg.session.session import Session
from drive_seg.settings import Settings
from tests.fakes import FakeBackend, make_bundle
from tests.waiting import PATIENCE_S

FRAMES, SECONDS, EIGHTHS = 1_000_000, 600.0, 8
MORE, SLOWER = 0.05, 2.0
RULE = (
    f"memory, what is allocated of it, threads and open files of the last eighth are at most {MORE:.0%} above the most of the second "
    "to fourth, "
    f"and the median of p99 of the last four eighths at most {SLOWER:g} times that of the first four"
)
HELD = {"rss_mib": "MiB", "heap_mib": "MiB allocated", "threads": "threads", "files": "open files"}
SWITCHES: dict[str, tuple[dict[str, object], dict[str, object]]] = {  # there, and back again
    "source": ({"source": "demo:?size=320x240&seed=2"}, {"source": "demo:?size=320x240&seed=1"}),
    "bundle": ({"model": "camvid-large"}, {"model": "camvid"}),
    "backend": ({"backend": "onnxruntime"}, {"backend": "openvino"}),
    "schedule": ({"schedule": "clockwork:4", "mode": "sync"}, {"schedule": "every-frame", "mode": "async"}),
}


@dataclass(frozen=True, slots=True)
class Held:
    """What the process has."""

    rss_mib: float
    heap_mib: float  # of it, what was allocated and not freed: unlike all of it, it goes up and down by one per cent alone. 0: not known
    threads: int
    files: int

    @classmethod
    def now(cls) -> "Held":
        me = psutil.Process()
        files = me.num_fds() if hasattr(me, "num_fds") else me.num_handles()
        return cls(me.memory_info().rss / 2**20, allocated() / 2**20, me.num_threads(), files)


class _Mallinfo2(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    )


def allocated() -> int:
    """Bytes that glibc's malloc has given out; 0 where there is another one."""
    try:
        told = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return 0
    told.restype = _Mallinfo2
    info = told()
    return int(info.uordblks + info.hblkhd)


@dataclass
class Part:
    """One of the three, by eighth."""

    name: str
    frames: list[int] = field(default_factory=list)
    p99_ms: list[float | None] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    def end_eighth(self, ms: list[float]) -> None:
        self.frames.append(len(ms))
        self.p99_ms.append(float(np.percentile(ms, 99)) if ms else None)
        self.held.append(Held.now())
        ms.clear()

    @property
    def broken(self) -> list[str]:
        """What the rule forbids."""
        found = []
        for name in HELD:
            values = [getattr(one, name) for one in self.held]
            if values[-1] > (1 + MORE) * (most := max(values[1:4])):
                found.append(f"{name} grew from {most:.0f} to {values[-1]:.0f}")
        first, last = ([ms for ms in half if ms is not None] for half in (self.p99_ms[:4], self.p99_ms[4:]))
        if not first or not last:
            found.append("there are eighths without a frame")
        elif np.median(last) > SLOWER * np.median(first):
            found.append(f"p99 grew from {np.median(first):.2f} to {np.median(last):.2f} ms")
        return found


def fake(count: int) -> Part:
    """As fast as they go through."""
    part, images = Part("fake network"), [np.full((24, 32, 3), 100 + shade, np.uint8) for shade in range(20)]
    frames = (Frame(images[i % len(images)], i, i / 30) for i in range(count))
    with tempfile.TemporaryDirectory() as folder, Engine(make_bundle(Path(folder) / "net"), FakeBackend()) as engine:
        results = Session(Pipeline(engine, parse_schedule("clockwork:4")), frames).results()
        for _ in range(EIGHTHS):
            part.end_eighth([result.total_ms for result, _ in islice(results, count // EIGHTHS)])
    return part


def real(seconds: float) -> Part:
    part = Part("real network")
    with open_session(Settings.load(None, {"source": "demo:?size=320x240", "model": "camvid", "mode": "async"})) as session:
        results = session.results()
        for end_s in eighths(seconds):
            ms = []
            while not ms or time.monotonic() < end_s:
                ms.append(next(results)[0].total_ms)
            part.end_eighth(ms)
        results.close()
    return part


def eighths(seconds: float) -> Iterator[float]:
    """When each of them ends. One that takes too long takes no time from the next."""
    for _ in range(EIGHTHS):
        yield time.monotonic() + seconds / EIGHTHS


class Switched:
    """A player, most often with a window over it, in which things are switched: when they are switched back all should be as it was."""

    def __init__(self, player: Player, folder: Path, turn: Callable[[], None] = lambda: None) -> None:
        """`turn` lets the window do what it has to."""
        self.player, self.ms = player, list[float]()
        self._folder, self._turn, self._seen, self._recordings = folder, turn, (-1, -1), 0

    def there_and_back(self, name: str) -> None:
        for changes in SWITCHES[name]:
            self.player.change(**changes)
            self._wait(lambda changes=changes: self._are(changes))  # type: ignore[misc]
            self.play()

    def record(self) -> None:
        self._recordings += 1
        path = self._folder / f"{self._recordings}.mp4"
        self.player.record(path)
        self._wait(lambda: self.player.recording == path)
        self.play()
        self.player.record(None)
        self._wait(lambda: self.player.recording is None)
        path.unlink(missing_ok=True)

    def play(self, frames: int = 3) -> None:
        """Until so many more have come."""
        came = len(self.ms)
        self._wait(lambda: len(self.ms) >= came + frames)

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            self._turn()
            time.sleep(0.005)
            for moment in self.player.history(50):
                if (place := (moment.segment, moment.index)) > self._seen:
                    self._seen = place
                    self.ms.append(moment.total_ms)
            status = self.player.status()
            if status.trouble or time.monotonic() > deadline_s:
                raise RuntimeError(status.trouble.text if status.trouble else f"{status.state}: it never came")

    def _are(self, changes: Mapping[str, object]) -> bool:
        status = self.player.status()
        return status.state == "playing" and all(getattr(status.settings, name) == value for name, value in changes.items())


@contextmanager
def window() -> Iterator[Switched]:
    """Over the demo and camvid, as SWITCHES leave it."""
    from PyQt6.QtCore import QEvent, QSettings
    from PyQt6.QtWidgets import QApplication

    from drive_seg.ui.keeping import Memory
    from drive_seg.ui.window import MainWindow

    app = QApplication.instance() or QApplication(["soak"])
    as_left = {name: value for _, back in SWITCHES.values() for name, value in back.items()}
    player = Player(Settings.load(None, {**as_left, "threads": 1}))
    with tempfile.TemporaryDirectory() as folder:
        player.open()
        shown = MainWindow(player, "soak", Memory(QSettings(f"{folder}/window.ini", QSettings.Format.IniFormat)))
        shown.show()
        try:
            yield Switched(player, Path(folder), app.processEvents)
        finally:
            shown.close()
            shown.deleteLater()
            app.sendPostedEvents(shown, QEvent.Type.DeferredDelete)  # which processEvents leaves to an event loop, and none runs here


def switched(seconds: float) -> Part:
    """In whole rounds, each with every switch: the first, which loads libraries, is not counted, and an eighth has at least one."""
    part = Part("window, switched")
    with window() as switches:

        def go_round() -> None:
            for name in SWITCHES:
                switches.there_and_back(name)
            switches.record()

        go_round()
        switches.ms.clear()
        for end_s in eighths(seconds):
            go_round()
            while time.monotonic() < end_s:
                go_round()
            part.end_eighth(switches.ms)
    return part


def soak(seconds: float) -> dict[str, Any]:
    """The fake network has its share of FRAMES, however long they take; the others share what they leave, and no less than half."""
    figures.HISTORY, history.LENGTH = 10_000, 100  # frames that are summed up, and shown: what is bounded shall be full in the first eighth
    start_s = time.monotonic()
    parts = [fake(round(FRAMES * min(1.0, seconds / SECONDS)))]
    left_s = max(seconds / 2, seconds - (time.monotonic() - start_s))
    parts += [real(left_s / 2), switched(left_s / 2)]
    return {
        "seconds": round(time.monotonic() - start_s, 1),
        "rule": RULE,
        "passed": not any(part.broken for part in parts),
        "parts": [{**asdict(part), "broken": part.broken} for part in parts],
        "machine": describe(),
        **provenance(f"make soak SECONDS={seconds:g}"),
    }


def table(found: Mapping[str, Any]) -> str:
    """As Markdown."""
    rows = ["| | | " + " | ".join(f"{number}/8" for number in range(1, EIGHTHS + 1)) + " |", "|---" * (EIGHTHS + 2) + "|"]
    for part in found["parts"]:
        held = {said: [one[name] for one in part["held"]] for name, said in HELD.items()}
        p99 = ["–" if ms is None else f"{ms:.2f}" for ms in part["p99_ms"]]
        lines = {"frames": part["frames"], "p99 ms": p99, **{said: [f"{value:.0f}" for value in values] for said, values in held.items()}}
        for number, (said, values) in enumerate(lines.items()):
            rows.append(f"| {part['name'] if number == 0 else ''} | {said} | {' | '.join(map(str, values))} |")
    return "\n".join(rows)


def main() -> None:
    found = soak(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
    Path("out").mkdir(exist_ok=True)
    Path("out/soak.json").write_text(json.dumps(found, indent=2) + "\n")
    print(table(found))
    for part in found["parts"]:
        for said in part["broken"]:
            print(f"{part['name']}: {said}")
    print(f"{'passed' if found['passed'] else 'failed'} after {found['seconds']:.0f} s: {RULE}; wrote out/soak.json")
    sys.exit(not found["passed"])


if __name__ == "__main__":
    main()
