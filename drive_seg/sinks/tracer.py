"""Writes what became of each frame: a line of JSON that a run can be replayed from, or a trace for ui.perfetto.dev; and reads the lines."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from drive_seg.contracts import Decision, Reason, Result, Span
from drive_seg.errors import UsageError
from drive_seg.files import Beside
from drive_seg.reading import parse_json
from drive_seg.sinks.background import BackgroundWriter
from drive_seg.workers import Overflow

LONGEST_LINE = 1 << 20  # bytes: what has none, such as a video, is not read to its end
PERFETTO = ".perfetto.json"
TRACKS = ("capture", "pipeline", "high")


class Tracer(BackgroundWriter):
    """A Sink. What the file holds is decided by its name: Chrome's trace events where it ends with PERFETTO, else JSON lines.

    Written in a thread of its own, as files.Beside says; a killed process leaves whole lines. One without a frame leaves no file. Raises
    UsageError for a file that is there unless it is to be overwritten, SinkError when it cannot be made, and from `put` or `close` when it
    cannot be written.
    """

    def __init__(self, path: Path, overwrite: bool = False, camera: Mapping[str, object] | None = None) -> None:
        """`camera`: what each line says of the camera, where there are several."""
        self._camera = dict(camera or {})
        self._chrome = path.name.endswith(PERFETTO)
        self._beside = Beside(path, overwrite)
        self._begun = False
        super().__init__(str(self._beside.part), Overflow.WAIT)

    def _write(self, result: Result) -> None:
        if not self._chrome:
            self._append(json.dumps(self._camera | line(result)) + "\n")
        elif self._begun:
            self._append("".join(f",\n{json.dumps(event)}" for event in slices(result)))
        else:
            named = [{"ph": "M", "name": "process_name", "pid": 1, "args": {"name": str(self._camera["source"])}}] if self._camera else []
            events = [*named, *track_names(), *slices(result)]
            self._append('{"traceEvents": [\n' + ",\n".join(json.dumps(event) for event in events))
        self._begun = True

    def _finish(self, whole: bool) -> None:
        try:
            if not self._begun:
                self._beside.drop()
            elif whole:
                if self._chrome:
                    self._append("\n]}\n")
                self._beside.keep()
        finally:
            self._beside.leave()

    def _append(self, text: str) -> None:
        self._beside.file.write(text.encode())
        self._beside.file.flush()


def line(result: Result) -> dict[str, Any]:
    """What is known of a frame, without its pictures."""
    decision = result.decision
    return {
        "index": result.frame.index,
        "segment": result.frame.segment,
        "time_s": round(result.frame.time_s, 6),
        "key": decision.run_high,
        "mid": decision.run_mid,
        "reason": decision.reason,
        "text": decision.text,
        "score": decision.score,
        "threshold": decision.threshold,
        "age_frames": result.age_frames,
        "age_ms": round(result.age_ms, 3),
        "cold": result.cold,
        "confidence": None if result.confidence is None else round(result.confidence.mean, 4),
        "latency_ms": {name: round(ms, 4) for name, ms in result.latency_ms.items()},
        "dropped": result.dropped,
        **({"ahead": asdict(result.ahead)} if result.ahead else {}),
    }


def read_decisions(path: Path) -> dict[tuple[int | None, int], Decision]:
    """By segment and index, from the lines of an earlier run; by None and index where they do not tell the segment yet.

    Raises UsageError naming the line that is none.
    """
    decisions = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
                try:
                    kept = parse_json(line)
                    segment = kept.get("segment")
                    decisions[None if segment is None else int(segment), int(kept["index"])] = _decision(kept)
                except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                    said = f"line {number} is no frame's; give the lines that --trace wrote, not {PERFETTO}"
                    raise UsageError(f"--replay {path}: {said}") from error
    except OSError as error:
        raise UsageError(f"--replay {path}: cannot be read; give the file that --trace wrote") from error
    return decisions


def _decision(kept: Mapping[str, Any]) -> Decision:
    if kept["reason"] not in get_args(Reason):
        raise ValueError(kept["reason"])
    run_mid = bool(kept.get("mid"))  # of which earlier traces say nothing
    return Decision(bool(kept["key"]), kept["reason"], str(kept["text"]), _number(kept["score"]), _number(kept["threshold"]), run_mid)


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)):
        raise TypeError(value)
    return float(value)


def track_names() -> list[dict[str, Any]]:
    return [{"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": track}} for number, track in enumerate(TRACKS, 1)]


def slices(result: Result) -> list[dict[str, Any]]:
    """A frame's spans as Chrome's complete events, a track for each thread; times in microseconds."""

    def event(span: Span) -> dict[str, Any]:
        return {
            "ph": "X", "name": span.name, "pid": 1, "tid": TRACKS.index(span.track) + 1, "ts": round(span.start_s * 1e6, 1),
            "dur": round(span.ms * 1e3, 1), "args": {"shown with frame": result.frame.index, "age": result.age_frames},
        }  # fmt: skip

    return [event(span) for span in result.spans]
