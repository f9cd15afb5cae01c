"""A player that plays what a test gives it, and obeys every command at once."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from drive_seg.contracts import Reason, Result, SourceInfo
from drive_seg.errors import UsageError
from drive_seg.overlay import Look, Painter
from drive_seg.session.audit import Agreement
from drive_seg.session.figures import Numbers, Rolling
from drive_seg.session.film import Film
from drive_seg.session.history import Moment, moment_of
from drive_seg.session.spare import Spare
from drive_seg.session.status import Shown, Status, Trouble
from drive_seg.settings import Settings
from drive_seg.ui.window import MainWindow
from tests.fakes import CAMVID, make_result

Opened = Callable[[object], MainWindow]  # opens the window over this player

INFO = SourceInfo("drive.mp4", (48, 64), 30.0, live=False, frame_count=300)


class FakePlayer:
    """Its state is in `now`, a Status that a test may replace; `calls` remembers what leaves no trace there."""

    def __init__(self, info: SourceInfo = INFO, **settings: object) -> None:
        self.on_new: Callable[[], None] | None = None
        self.calls: list[object] = []
        self.closed = False
        self.audited: tuple[Agreement, ...] = ()
        self._rolling, self._moments, self._newest = Rolling(), list[Moment](), None
        self._spare = Spare()
        self._newest: Shown | None
        runs = {"model": "camvid", "backend": "openvino", "precision": "int8", "device": "CPU (2 threads)", "schedule": "every-frame",
                "mode": "sync", "propagation": "hold"}  # fmt: skip
        self.now = Status(
            state="playing", settings=Settings.load(None, settings), runs=runs, headline="camvid · openvino int8", away=None, note="",
            classes=tuple(CAMVID), palette=tuple(CAMVID.values()), source=info, seekable=not info.live, position=None, paused=False,
            speed=1.0, dropped=0, recording=None, comparison=None, differing=None, auditing=False, numbers=Numbers(),
            comparison_numbers=None, trouble=None,
        )  # fmt: skip
        self.look, self.film = Look(self.now.palette, self.now.settings.opacity), Film()

    @property
    def painter(self) -> Painter:
        return Painter(self.look)

    def put(self, result: Result | None = None, other: Result | None = None) -> None:
        """As the pipeline's thread would."""
        result = result or make_result()
        self._newest = Shown(result, other)
        self._rolling.add(result, result.frame.time_s)
        self._moments.append(moment_of(result, len(self.now.classes), self._spare.add(result)))
        self.now = replace(self.now, position=result.frame.index, numbers=self._rolling.numbers(result.frame.time_s))
        if self.on_new:
            self.on_new()

    def fail(self, text: str, state: str = "failed", what: str = "source") -> None:
        serial = self.now.trouble.serial + 1 if self.now.trouble else 1
        self.now = replace(self.now, state=state, trouble=Trouble(what, text, serial))

    def open(self) -> None:
        self.calls.append("open")

    def close(self) -> None:
        self.on_new, self.closed = None, True

    def take(self) -> Shown | None:
        taken, self._newest = self._newest, None
        return taken

    def status(self) -> Status:
        return self.now

    def history(self, last: int = 600) -> tuple[Moment, ...]:
        return tuple(self._moments[-last:])

    def agreement(self) -> tuple[Agreement, ...]:
        return self.audited

    def change(self, **settings: object) -> None:
        if "opacity" in settings or settings.get("backend") == "refused":
            raise UsageError("refused: cannot be changed; choose something else")
        changed = self.now.settings.model_copy(update=settings)
        runs = {**self.now.runs, **{key: str(value) for key, value in settings.items() if key in self.now.runs and value}}
        self.now = replace(self.now, settings=changed, runs=runs)

    def compare(self, changes: Mapping[str, object] | None) -> None:
        other = None if changes is None else {**self.now.runs, **{key: str(value) for key, value in changes.items()}}
        self.now = replace(self.now, comparison=other)

    def audit(self, on: bool) -> None:
        self.now = replace(self.now, auditing=on)

    def record(self, path: Path | None) -> None:
        self.now = replace(self.now, recording=path)

    def refresh(self) -> None:
        self.calls.append("refresh")

    def pause(self) -> None:
        self.now = replace(self.now, paused=True, state="paused")

    def resume(self) -> None:
        self.now = replace(self.now, paused=False, state="playing")

    def step(self) -> None:
        self.pause()
        self.calls.append("step")

    def seek(self, index: int) -> None:
        self.calls.append(("seek", index))

    def speed(self, factor: float) -> None:
        self.now = replace(self.now, speed=factor)


def decided(index: int, reason: Reason, key: bool, score: float | None = None, threshold: float | None = None, **about: object) -> Result:
    """A result for which the schedule had this reason."""
    made = make_result(index, age=0 if key else 2, **about)  # type: ignore[arg-type]
    decision = replace(made.decision, run_high=key, reason=reason, text=f"{reason} {score}", score=score, threshold=threshold)
    return replace(made, decision=decision)


def half_and_half(left: int, right: int) -> Result:
    """Labels with one class in the left half and another in the right."""
    labels = np.full((12, 16), left, np.uint8)
    labels[:, 8:] = right
    return make_result(labels=labels)
