"""How much of one measurement's time another takes, with an interval that knows that neighbouring frames are alike."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from drive_seg.errors import UsageError
from drive_seg.reading import parse_json, text_of
from drive_seg.session.figures import PERCENTILES

BLOCK = 32  # frames that are drawn together, a second of them: what disturbs a machine lasts longer than a frame
DRAWS = 1000
CELLS = 1_000_000  # that are drawn at once, to bound the memory
LEVEL = 95.0  # percent of the draws that lie within the interval
SAME = {"name": "the source", "width": "the pictures' width", "height": "the pictures' height", "paced": "whether frames were paced"}


def ratio(a_ms: NDArray[np.float64], b_ms: NDArray[np.float64], figure: str, seed: int = 0) -> dict[str, float]:
    """Ratio of B's percentile to A's with its confidence interval, by a circular block bootstrap (Politis and Romano 1992) of both."""
    q = PERCENTILES[figure]
    a, b = float(np.percentile(a_ms, q)), float(np.percentile(b_ms, q))
    rng = np.random.default_rng(seed)
    drawn = _drawn(b_ms, q, rng) / _drawn(a_ms, q, rng)
    low, high = np.percentile(drawn, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return {"a": a, "b": b, "ratio": b / a, "low": float(low), "high": float(high)}


def _drawn(values: NDArray[np.float64], q: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The percentile of each of DRAWS samples, made of blocks of frames in a row."""
    count, block = len(values), min(BLOCK, max(1, len(values) // 8))
    at_once = max(1, CELLS // count)
    found = []
    for done in range(0, DRAWS, at_once):
        starts = rng.integers(0, count, (min(at_once, DRAWS - done), -(-count // block)))
        places = (starts[..., None] + np.arange(block)).reshape(len(starts), -1)[:, :count] % count
        found.append(np.percentile(values[places], q, axis=1))
    return np.concatenate(found)


def compare_files(first: Path, second: Path, anyway: bool) -> dict[str, Any]:
    """Two files of `bench` or --benchmark; of two matrices the rows of the same name.

    Raises UsageError for what is no such file, and, unless `anyway`, for different frames.
    """
    a, b = _rows(first), _rows(second)
    names = [(name, name) for name in a if name in b] or ([(next(iter(a)), next(iter(b)))] if len(a) == len(b) == 1 else [])
    if not names:
        raise UsageError(f"{first} and {second} have no configuration in common; A has {', '.join(a)}, B has {', '.join(b)}")
    differences = list(dict.fromkeys(line for one, other in names for line in different_frames(a[one], b[other])))
    if differences and not anyway:
        raise UsageError(f"{second} was not measured on {first}'s frames: {'; '.join(differences)}; give --anyway to compare them still")
    return {
        "a": str(first),
        "b": str(second),
        "differences": differences,
        "notes": list(dict.fromkeys(line for one, other in names for line in _notes(a[one], b[other]))),
        "rows": [_compared(one if one == other else f"{one} → {other}", a[one], b[other]) for one, other in names],
    }


def _compared(name: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    a_ms, b_ms = (np.concatenate([turn["per_frame"]["total_ms"] for turn in one["turns"]]) for one in (a, b))
    return {"name": name, "frames": [len(a_ms), len(b_ms)], **{figure: ratio(a_ms, b_ms, figure) for figure in ("p50", "p99")}}


class _PerFrame(BaseModel):
    total_ms: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]]


class _Source(BaseModel):
    name: str
    width: int
    height: int
    paced: bool
    whole: bool
    round_frames: int | None


class _Turn(BaseModel):
    frames: int
    per_frame: _PerFrame
    source: _Source
    notes: list[str]


class _Row(BaseModel):
    """What of a measurement is compared."""

    turns: list[_Turn] = Field(min_length=1)


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    """By name, each with its `turns`; a single measurement is its own only turn."""
    try:
        told = parse_json(text_of(path, 1 << 30))
        rows = told["rows"] if "rows" in told else [{**told, "name": _name(told), "turns": [told]}]
        found = {row["name"]: {"machine": told.get("machine"), **row} for row in rows}
        for row in found.values():
            _Row.model_validate(row)
        whole = found and all(turn["per_frame"]["total_ms"] for row in found.values() for turn in row["turns"])
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give what --json or a matrix wrote") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # pydantic's is a ValueError
        raise UsageError(f"{path}: is no measurement of `drive-seg bench`; give what --json or a matrix wrote") from error
    if not whole:
        raise UsageError(f"{path}: holds no measured frame; measure again")
    return found


def _name(told: Mapping[str, Any]) -> str:
    return " ".join(str(told[key]) for key in ("model", "backend", "precision", "schedule", "mode", "propagation"))


def different_frames(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Why two rows did not see the same frames, in words. Whole rounds of one source are the same frames, however many there were."""
    one, other = a["turns"][0]["source"], b["turns"][0]["source"]
    found = [f"{said} is {one[key]} and {other[key]}" for key, said in SAME.items() if one[key] != other[key]]
    whole = all(turn["source"]["whole"] for row in (a, b) for turn in row["turns"]) and one["round_frames"] == other["round_frames"]
    counts = [sum(turn["frames"] for turn in row["turns"]) for row in (a, b)]
    if not whole and counts[0] != counts[1]:
        found.append(f"{counts[0]} and {counts[1]} frames were counted, not whole rounds of the same length")
    return found


def _notes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    said = [f"{letter}: {note}" for letter, row in (("A", a), ("B", b)) for turn in row["turns"] for note in turn["notes"]]
    if a["machine"] != b["machine"]:
        said.append("A and B were measured on different machines")
    return said
