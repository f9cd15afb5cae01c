"""What a player writes beside showing it: recording, masks, trace. One that fails is closed and left out, and the others go on."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from drive_seg import assemble
from drive_seg.contracts import Frame, Result, Sink, SourceInfo
from drive_seg.settings import Settings


class Timeline:
    """The times of a recording: what was jumped over, in a drive or to another one, is not in it."""

    def __init__(self) -> None:
        self._segment: int | None = None
        self._shift_s = self._last_s = 0.0

    def time_s(self, frame: Frame, fps: float) -> float:
        if self._segment not in (None, frame.segment):
            self._shift_s = self._last_s + 1 / max(1.0, fps) - frame.time_s
        self._segment, self._last_s = frame.segment, frame.time_s + self._shift_s
        return self._last_s


class Outputs:
    """Belongs to the player's thread; `recording` may be read by any."""

    def __init__(self, trouble: Callable[[str, BaseException], None]) -> None:
        """`trouble` is told which output failed, and with what."""
        self.recording: Path | None = None
        self._trouble = trouble
        self._sinks: dict[str, Sink] = {}
        self._timeline = Timeline()

    def open(self, settings: Settings, source: SourceInfo) -> None:
        """What is asked for. Raises UsageError, SinkError."""
        self._sinks = assemble.open_sinks(settings, source)
        self.recording = settings.output

    def record(self, path: Path | None, settings: Settings, source: SourceInfo) -> None:
        """Raises UsageError, also for a file that is there, and SinkError; a recording before this one is finished then."""
        if path == self.recording:
            return
        self._close("recorder")
        if path:
            self._sinks["recorder"] = assemble.open_recorder(path, settings.model_copy(update={"overwrite": False}), source)
            self.recording, self._timeline = path, Timeline()

    @property
    def wants_overlay(self) -> bool:
        return any(sink.wants_overlay for sink in self._sinks.values())

    def put(self, result: Result, source: SourceInfo) -> None:
        for name, sink in tuple(self._sinks.items()):
            if name == "recorder":
                result_then = replace(result, frame=replace(result.frame, time_s=self._timeline.time_s(result.frame, source.fps)))
            else:
                result_then = result
            try:
                sink.put(result_then)
            except Exception as error:
                self._forget(name)
                with suppress(Exception):  # the first failure is the one to tell
                    sink.close()
                self._trouble(name, error)

    def close(self) -> None:
        """Finishes what is written; idempotent."""
        for name in tuple(self._sinks):
            self._close(name)

    def _close(self, name: str) -> None:
        if sink := self._forget(name):
            try:
                sink.close()
            except Exception as error:
                self._trouble(name, error)

    def _forget(self, name: str) -> Sink | None:
        if name == "recorder":
            self.recording = None
        return self._sinks.pop(name, None)
