"""Several configurations measured in turns within one run, over the same frames, each turn in a process of its own."""

import itertools
import json
import reprlib
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drive_seg.bench.compare import ratio
from drive_seg.bench.measure import DRIFT
from drive_seg.bench.tally import spread
from drive_seg.contracts import KINDS
from drive_seg.errors import BackendError, DriveSegError, UsageError
from drive_seg.lab.evaluate.accuracy import evaluate, from_source
from drive_seg.reading import read_toml
from drive_seg.redaction import redacted
from drive_seg.session.figures import percentiles
from drive_seg.session.opening import find_model, open_engine, open_schedule, pipeline_on
from drive_seg.settings import DEFAULT_SOURCE, FOREIGN, PRODUCT, Settings
from drive_seg.sources import open_source

ROUNDS = 3
MOST_ROUNDS = 10_000
LIMIT_S = 1800.0  # of one turn, which may have to build its engines first

Turn = Callable[[Mapping[str, Any]], dict[str, Any]]  # from flags to what --json of a benchmark has


@dataclass(frozen=True, slots=True)
class Combination:
    flags: Mapping[str, Any]  # of Settings, as a person gives them
    name: str = ""  # within its matrix, for people

    @property
    def command(self) -> list[str]:
        """What measures it alone."""
        return ["drive-seg", "bench", *(word for name, value in self.flags.items() for word in _words(name, value))]

    @property
    def shown(self) -> str:
        """The same as a line for people, without passwords."""
        return shlex.join(map(redacted, self.command))


def _words(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag] if value else []
    return [flag, ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)]


@dataclass(frozen=True, slots=True)
class Matrix:
    name: str  # of its files, and of the block in a document
    title: str
    combinations: tuple[Combination, ...]
    rounds: int = ROUNDS


def multiplied(flags: Mapping[str, Any]) -> list[Combination]:
    """Every combination of the values of PRODUCT's fields, named by what differs among them."""
    several = {name: value if isinstance(value, list) else [value] for name, value in flags.items() if name in PRODUCT}
    made = []
    for values in itertools.product(*several.values()):
        one = {**flags, **dict(zip(several, values, strict=True))}
        foreign = str(one.get("model", "")).endswith(".onnx")
        made.append(Combination({name: value for name, value in one.items() if foreign or name not in FOREIGN}))
    return named(made)


def named(combinations: Sequence[Combination]) -> list[Combination]:
    """By the model, and what differs; a network's file by its stem."""
    varied = [field for field in PRODUCT if field != "model" and len({str(one.flags.get(field)) for one in combinations}) > 1]
    return [
        Combination(one.flags, ", ".join((_model(one), *(str(one.flags[field]) for field in varied if field in one.flags))))
        for one in combinations
    ]


def _model(combination: Combination) -> str:
    model = Settings.load(None, {"model": combination.flags.get("model")}).model
    return Path(model).stem if model.endswith(".onnx") else model.rstrip("/")


def read_matrix(path: Path, given: Mapping[str, Any]) -> Matrix:
    """A TOML file: title, rounds, and what `run` takes, where PRODUCT's fields may be lists; then perhaps tables [[combination]] of the
    same, each multiplied over that. `given` wins over the file. Raises UsageError."""
    told = read_toml(path)
    base = {key.replace("-", "_"): value for key, value in told.items()} | dict(given)
    title, rounds, tables = base.pop("title", path.stem), base.pop("rounds", ROUNDS), base.pop("combination", [{}])
    if not isinstance(rounds, int) or not 1 <= rounds <= MOST_ROUNDS:
        raise UsageError(f"{path}: rounds: give a whole number from 1 to {MOST_ROUNDS}, not {reprlib.repr(rounds)}")
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise UsageError(f"{path}: combination: give tables, each beginning with [[combination]], not {reprlib.repr(tables)}")
    made: list[Combination] = []
    for one in tables:
        own = {key.replace("-", "_"): value for key, value in one.items()}
        made += multiplied({**base, **own, **given})
    for combination in made:
        checked(combination, str(path))
    return Matrix(path.stem, str(title), tuple(named(made)), rounds)


def checked(combination: Combination, where: str) -> Settings:
    """Raises UsageError for a key or value that cannot be meant."""
    try:
        return Settings.load(None, combination.flags)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def order(count: int, turn: int) -> list[int]:
    """The order of the configurations in this round: rotated by one each, so that none always meets a warm or busy machine."""
    return [(place + turn) % count for place in range(count)]


def run_matrix(matrix: Matrix, measure: Turn, tell: Callable[[str], None]) -> dict[str, Any]:
    """All rounds, and the accuracy of each combination where the source knows the truth. What cannot run is left out with its reason."""
    combinations = matrix.combinations
    turns: list[list[dict[str, Any]]] = [[] for _ in combinations]
    failed: dict[int, str] = {}
    for turn in range(matrix.rounds):
        for place in order(len(combinations), turn):
            if place in failed:
                continue
            combination = combinations[place]
            try:
                turns[place].append(measure(_share(combination.flags, matrix.rounds)))
            except DriveSegError as error:
                failed[place] = str(error)
                tell(f"round {turn + 1}: {combination.name}: cannot run: {error}")
            else:
                total = turns[place][-1]["latency_ms"]["total"]
                tell(f"round {turn + 1}: {combination.name}: p50 {total['p50']:.2f} ms, p99 {total['p99']:.2f} ms")
    good = [place for place in range(len(combinations)) if place not in failed]
    rows = [pooled(combinations[place], turns[place]) | _accuracy_of(combinations[place]) for place in good]
    for row in rows:
        row["against_first"] = {name: ratio(all_ms(rows[0]), all_ms(row), name) for name in ("p50", "p99")}
    return {
        "title": matrix.title,
        "name": matrix.name,
        "rounds": matrix.rounds,
        "rows": rows,
        "cannot_run": [
            {"name": combinations[place].name, "command": combinations[place].shown, "reason": reason}
            for place, reason in sorted(failed.items())
        ],
    }


def _share(flags: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    """What one round measures of what is wanted of all."""
    settings = Settings.load(None, flags)
    return {**flags, "min_frames": -(-settings.min_frames // rounds), "min_time": settings.min_time / rounds}


def all_ms(row: Mapping[str, Any]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Frame to labels of every counted frame, turn after turn."""
    return np.concatenate([turn["per_frame"]["total_ms"] for turn in row["turns"]])


def pooled(combination: Combination, turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all turns together."""
    frames, seconds = sum(turn["frames"] for turn in turns), sum(turn["seconds"] for turn in turns)
    by_kind: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in turns:
        for kind, ms in zip(turn["per_frame"]["kind"], turn["per_frame"]["total_ms"], strict=True):
            by_kind[kind].append(ms)
    memory = [turn["memory_mib"] for turn in turns if turn["memory_mib"] is not None]
    counters = turns[0]["energy"]["joules"]
    return {
        "name": combination.name,
        "command": combination.shown,
        **{key: turns[0][key] for key in ("model", "backend", "precision", "device", "schedule", "mode", "propagation", "source")},
        "frames": frames,
        "seconds": seconds,
        "fps": frames / seconds,
        "key_frame_rate": sum(turn["key_frame_rate"] * turn["frames"] for turn in turns) / frames,
        "dropped": sum(turn["dropped"] for turn in turns),
        "latency_ms": percentiles([ms for values in by_kind.values() for ms in values]),
        "total_ms": {kind: {"frames": len(values), **percentiles(values)} for kind, values in by_kind.items()},
        "p50_by_round": [turn["latency_ms"]["total"]["p50"] for turn in turns],
        "labels_ms": percentiles([ms for turn in turns for ms in turn["per_frame"]["labels_ms"]]),
        "deadline": _missed(turns),
        "cores": sum(turn["cpu"]["cores"] * turn["seconds"] for turn in turns) / seconds,
        "memory_mib": max(memory, default=None),
        "joules_per_frame": {name: sum(turn["energy"]["joules"][name] for turn in turns) / frames for name in counters},
        "energy_not_measured": turns[0]["energy"]["not_measured"],
        "notes": _notes(turns),
        "turns": list(turns),
    }


def _missed(turns: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    late = [turn["deadline"] for turn in turns if turn["deadline"]]
    if not late:
        return None
    missed, due = (sum(one[key] for one in late) for key in ("missed", "due"))
    return {**late[0], "missed": missed, "due": due, "share": missed / due}


def _notes(turns: Sequence[dict[str, Any]]) -> list[str]:
    """What each turn says of itself, and whether they agree."""
    said = [f"round {number}: {note}" for number, turn in enumerate(turns, 1) for note in turn["notes"]]
    medians = [turn["latency_ms"]["total"]["p50"] for turn in turns]
    if spread(medians) > DRIFT:
        said.append(f"unstable: the medians of the rounds were {', '.join(f'{ms:.2f}' for ms in medians)} ms")
    return said


def _accuracy_of(combination: Combination) -> dict[str, Any]:
    """mIoU, or why there is none; counted by a pass of its own, after all that is timed."""
    try:
        return {"miou": accuracy(combination), "no_miou": ""}
    except DriveSegError as error:
        return {"miou": None, "no_miou": str(error)}


def accuracy(combination: Combination) -> float:
    """mIoU over the whole source, frame by frame as it was timed. Raises UsageError where there is no truth to count by."""
    settings = Settings.load(None, combination.flags)
    uri = settings.source or DEFAULT_SOURCE
    with open_source(uri) as source:
        info = source.info
    if not info.labelled or info.frame_count is None:
        raise UsageError(f"{info.name}: {'has no end' if info.labelled else 'has no labels'}; accuracy needs a labelled source with an end")
    schedule = open_schedule(settings)
    with open_engine(find_model(settings), settings) as engine, closing(pipeline_on(engine, schedule, settings)) as pipeline:
        scores = evaluate(pipeline, from_source(uri, engine.classes), (), info.fps, realtime=settings.mode == "async")
    return float(scores["miou"])


def measure_in_process(flags: Mapping[str, Any]) -> dict[str, Any]:
    """One turn by `drive-seg bench` in a process of its own, whose memory, threads and crashes are nobody else's. Raises BackendError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "turn.json"
        words = [*Combination(flags).command[1:], "--json", str(file)]
        try:
            called = [sys.executable, "-m", "drive_seg", *words]
            ended = subprocess.run(called, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            raise BackendError(f"was not done within {LIMIT_S:.0f} s") from None
        if ended.returncode:
            raise BackendError(why_it_ended(ended.returncode, ended.stderr))
        return dict(json.loads(file.read_text()))


def why_it_ended(code: int, said: str) -> str:
    """In one line: its own error's, or the signal that killed it."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    lines = [line for line in said.splitlines() if line.strip()]
    own = [line.removeprefix("drive-seg: ") for line in lines if line.startswith("drive-seg: ")]
    return (own or lines or [f"ended with {code}"])[-1]
