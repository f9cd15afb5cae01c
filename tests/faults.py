"""`make faults`: what becomes of a run when a part of it raises, hangs or is slow, and how long after the fault it ends."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from drive_seg import watchdog
from drive_seg.contracts import Frame, Sink
from drive_seg.errors import BackendError, DriveSegError, SourceError
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.refresh import Async
from drive_seg.network.schedule import EveryFrame
from drive_seg.session.session import Session
from drive_seg.sinks.masks import MaskWriter
from drive_seg.sinks.recorder import Recorder
from drive_seg.sinks.tracer import Tracer
from drive_seg.sources.capture import Capture
from drive_seg.workers import Overflow, Worker
from tests.fakes import FakeBackend, FakeSource, FakeStage, make_bundle
from tests.waiting import PATIENCE_S

KINDS = ("raise", "hang", "slow")
FRAMES = 20  # more than a writer's mailbox takes
SLOW_S = 0.02
SINKS: dict[str, tuple[Callable[[Path], Sink], type, str]] = {  # and what of them writes
    "recorder": (lambda folder: Recorder(folder / "out.mp4"), Recorder, "_encode"),
    "masks": (lambda folder: MaskWriter(folder / "masks"), MaskWriter, "_write"),
    "trace": (lambda folder: Tracer(folder / "run.jsonl"), Tracer, "_append"),
}


class Fault:
    """Something that raises, hangs until it is released, or is slow: from its second call on."""

    def __init__(self, kind: str, error: Exception) -> None:
        self.kind, self._error, self._calls, self._released = kind, error, 0, threading.Event()
        self.began_s = 0.0  # when it did so first

    def __call__(self) -> None:
        self._calls += 1
        if self._calls == 1:
            return
        self.began_s = self.began_s or time.monotonic()
        if self.kind == "raise":
            raise self._error
        if self.kind == "hang":
            assert self._released.wait(PATIENCE_S)
        if self.kind == "slow":
            time.sleep(SLOW_S)

    def release(self) -> None:
        self._released.set()


class FaultyBackend(FakeBackend):
    """Runs a fault before one of its stages."""

    def __init__(self, stage: str, fault: Fault) -> None:
        super().__init__()
        self.stage, self.fault = stage, fault

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> FakeStage:
        made = super().load(onnx_path, input_shapes)
        if Path(onnx_path).name.startswith(self.stage):
            compute = made._compute

            def faulty(inputs: Any, outputs: Any) -> None:
                self.fault()
                compute(inputs, outputs)

            made._compute = faulty
        return made


@dataclass(frozen=True, slots=True)
class Ended:
    line: str  # what was told; nothing where it went on to its end
    seconds: float  # from the fault on
    frames: int  # that came out


def frames(count: int = FRAMES) -> Iterator[Frame]:
    return (Frame(np.full((24, 32, 3), 100, np.uint8), i, i / 30) for i in range(count))


def paced(count: int) -> Iterator[Frame]:
    for frame in frames(count):
        time.sleep(0.002)
        yield frame


def ended(session: Session, fault: Fault) -> Ended:
    """Runs it as without a window."""
    told = list[tuple[str, float]]()

    def hung(_: str, error: DriveSegError) -> None:
        session.salvage(PATIENCE_S)
        told.append((str(error), time.monotonic()))  # where the process ends
        fault.release()

    session.hung = hung
    worker = Worker("session", session.run).start()
    assert worker.wait(PATIENCE_S)
    told.append((str(worker.error or ""), time.monotonic()))
    fault.release()
    return Ended(told[0][0], told[0][1] - fault.began_s, session.latencies.seen)


def a_stage(stage: str, kind: str, folder: Path, limit_s: float | None) -> Ended:
    """While it is recorded. Only its own limit is short: the first frame of a recording may take longer."""
    fault = Fault(kind, BackendError("out of order; choose another"))
    with Engine(make_bundle(folder / "net"), FaultyBackend(stage, fault)) as engine:
        session = Session(Pipeline(engine, EveryFrame()), frames(), limit_s=limit_s)
        session.sinks["recorder"] = recorder = Recorder(folder / "out.mp4")
        found = ended(session, fault)
        recorder.close()
    with av.open(str(folder / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == found.frames
    return found


def high_beside(kind: str, folder: Path, limit_s: float | None) -> Ended:
    fault = Fault(kind, BackendError("out of order; choose another"))
    with limited(limit_s), Engine(make_bundle(folder / "net"), FakeBackend()) as engine:
        fault()  # the first frame's is the engine's own
        pipeline = Pipeline(engine, EveryFrame(), refresher=Async(engine, FaultyBackend("high", fault)))
        found = ended(Session(pipeline, paced(10 * FRAMES if kind == "slow" else 100_000)), fault)
        pipeline.close()
    return found


def a_source(live: bool, kind: str, folder: Path, limit_s: float | None) -> Ended:
    class Drive(FakeSource):
        def read(self) -> Frame | None:
            fault()
            return super().read()

    fault = Fault(kind, SourceError("lens fell off; put it on again"))
    with Engine(make_bundle(folder / "net"), FakeBackend()) as engine:
        capture = Capture(Drive(FRAMES, live=live), Overflow.WAIT, realtime=False, limit_s=limit_s)
        found = ended(Session(Pipeline(engine, EveryFrame()), capture), fault)
        capture.close()
    return found


def a_writer(name: str, kind: str, folder: Path, limit_s: float | None) -> Ended:
    """It hangs while frames come, and with the mailbox full; the frames end with it."""
    make, owner, method = SINKS[name]
    fault, written = Fault(kind, OSError(28, "No space left on device")), getattr(owner, method)

    def write(self: object, *given: object) -> None:
        fault()
        written(self, *given)

    with limited(limit_s), Engine(make_bundle(folder / "net"), FakeBackend()) as engine:
        setattr(owner, method, write)
        try:
            session = Session(Pipeline(engine, EveryFrame()), frames())
            session.sinks[name] = sink = make(folder)
            found = ended(session, fault)
            sink.close()
        finally:
            setattr(owner, method, written)
    return found


PARTS: dict[str, Callable[[str, Path, float | None], Ended]] = {
    "file": partial(a_source, False),
    "camera": partial(a_source, True),
    **{stage: partial(a_stage, stage) for stage in ("low", "high", "head")},
    "high, async": high_beside,
    **{name: partial(a_writer, name) for name in SINKS},
}


@contextmanager
def limited(limit_s: float | None) -> Iterator[None]:
    before, watchdog.LIMIT_S = watchdog.LIMIT_S, limit_s or watchdog.LIMIT_S
    try:
        yield
    finally:
        watchdog.LIMIT_S = before


WINDOW = """
import sys, threading, time
from pathlib import Path
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtWidgets import QApplication
QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, sys.argv[2])
from drive_seg.session import opening
from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.ui import app
from drive_seg.ui.window import MainWindow
from tests.fakes import FakeBackend, make_bundle
opening.open_backend = lambda *_, **__: FakeBackend()
kind, folder, drawn, shown = sys.argv[1], Path(sys.argv[2]), MainWindow._draw, []

def draw(self, *given):
    shown.append(time.monotonic())
    if len(shown) == 30 or (kind == "slow" and len(shown) > 30):
        if len(shown) == 30:
            print("fault", flush=True)
        if kind == "raise":
            raise RuntimeError("out of order")
        if kind == "hang":
            while True:
                threading.Event().wait()
        time.sleep(0.1)
    drawn(self, *given)
    if len(shown) > 30 and (kind == "raise" and "out of order" in self.bar.text.text() or len(shown) == 40):
        print("on", flush=True)
        self.close()

MainWindow._draw = draw
app.run_window(Player(Settings.load(None, {
    "source": "demo:?size=64x64", "model": str(make_bundle(folder / "net").folder), "output": folder / "out.mp4"})))
"""


def a_window(kind: str) -> str:
    """Qt's thread, in a process of its own, which records."""
    with tempfile.TemporaryDirectory() as folder:
        asked = [sys.executable, "-c", WINDOW, kind, folder]
        with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "fault\n"
            start_s = time.monotonic()
            if kind == "hang":
                for _ in range(2):
                    time.sleep(1.0)
                    start_s = time.monotonic()
                    process.terminate()
                said = "no end; two signals end it, {0:.1f} s after the second"
            else:
                assert process.stdout.readline() == "on\n"
                said = "no end; said and played on after {0:.1f} s" if kind == "raise" else "no end; the newest frame is shown"
            passed_s = (process.wait(PATIENCE_S), time.monotonic() - start_s)[1] if kind == "hang" else time.monotonic() - start_s
            process.wait(PATIENCE_S)
        with av.open(f"{folder}/out.mp4") as container:
            count = len(list(container.decode(video=0)))
        return f"{said.format(passed_s)}; {count} frames recorded"


def cell(part: str, kind: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        found = PARTS[part](kind, Path(folder), None)
    said = found.line.replace(f"{folder}/", "")
    return f"{found.seconds:.2f} s: {said}" if said else f"no end; {found.frames} frames, {found.seconds:.2f} s"


def main() -> None:
    print("| what | raises | hangs | is slow |\n|---|---|---|---|")
    for part in PARTS:
        print(f"| {part} | {' | '.join(cell(part, kind) for kind in KINDS)} |", flush=True)
    print(f"| Qt | {' | '.join(map(a_window, KINDS))} |")


if __name__ == "__main__":
    main()
