"""Ratios of measurements: samples whose ratio is known, and what must not be compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drive_seg import cli
from drive_seg.bench.compare import compare_files, ratio
from drive_seg.errors import UsageError
from tests.bench.test_matrix import turn


def noisy(seed: int, count: int = 1500, scale: float = 1.0) -> NDArray[np.float64]:
    """Latencies as a machine has them: skewed, each like its neighbours."""
    rng = np.random.default_rng(seed)
    slow = np.repeat(rng.normal(0, 0.03, -(-count // 25)), 25)[:count]
    return scale * 10 * np.exp(slow + rng.normal(0, 0.05, count) + 0.2 * (rng.random(count) < 0.03))


@pytest.mark.parametrize("figure", ["p50", "p99"])
@pytest.mark.parametrize("known", [1.0, 1.25, 0.5])
def test_the_interval_covers_the_known_ratio(figure: str, known: float) -> None:
    found = ratio(noisy(1), noisy(2, scale=known), figure)
    assert found["low"] <= known <= found["high"]
    assert found["low"] <= found["ratio"] <= found["high"]
    assert found["high"] - found["low"] < 0.25 * known


def test_it_covers_about_as_often_as_it_says() -> None:
    """Neighbours that are alike make an interval that takes each frame for itself far too narrow."""
    covered = sum((one := ratio(noisy(seed, 800), noisy(seed + 500, 800), "p50", seed))["low"] <= 1 <= one["high"] for seed in range(25))
    assert covered >= 21


def test_the_same_samples_are_no_difference() -> None:
    found = ratio(noisy(3), noisy(3), "p50")
    assert (found["ratio"], found["low"] < 1 < found["high"]) == (1.0, True)


def written(path: Path, **changes: Any) -> Path:
    made = turn(changes.pop("ms", 10.0), changes.pop("frames", 40))
    source = made["source"] | changes.pop("source", {})
    path.write_text(json.dumps(made | {"source": source, "machine": {"cpu": "one"}} | changes))
    return path


def test_two_files_of_the_same_clip_are_compared(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a.json"), written(tmp_path / "b.json", ms=7.5, frames=80, schedule="clockwork:4", notes=["throttled: x"])
    found = compare_files(a, b, anyway=False)  # 2 and 4 whole rounds of the same 20 frames
    (row,) = found["rows"]
    assert row["p50"]["ratio"] == pytest.approx(0.75)
    assert row["frames"] == [40, 80]
    assert "clockwork:4" in row["name"]
    assert found["notes"] == ["B: throttled: x"]
    assert found["differences"] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": {"name": "another"}}, "the source is clip and another"),
        ({"source": {"width": 128}}, "width is 64 and 128"),
        ({"source": {"paced": True}}, "paced is False and True"),
        ({"source": {"whole": False}, "frames": 36}, "40 and 36 frames were counted"),
        ({"source": {"round_frames": 30}, "frames": 60}, "40 and 60 frames were counted"),
    ],
)
def test_other_frames_are_not_compared_without_saying_so(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    a, b = written(tmp_path / "a.json"), written(tmp_path / "b.json", **changes)
    with pytest.raises(UsageError, match="--anyway") as refused:
        compare_files(a, b, anyway=False)
    assert said in str(refused.value)
    assert said in "; ".join(compare_files(a, b, anyway=True)["differences"])


def test_rows_of_two_matrices_meet_by_name(tmp_path: Path) -> None:
    def matrix(path: Path, **ms: float) -> Path:
        rows = [{"name": name, "turns": [turn(value), turn(value)]} for name, value in ms.items()]
        path.write_text(json.dumps({"rows": rows, "machine": {"cpu": path.name}}))
        return path

    found = compare_files(matrix(tmp_path / "a", one=10.0, two=4.0), matrix(tmp_path / "b", two=8.0, three=1.0), anyway=False)
    assert [(row["name"], row["p50"]["ratio"]) for row in found["rows"]] == [("two", 2.0)]
    assert found["notes"] == ["A and B were measured on different machines"]
    with pytest.raises(UsageError, match="no configuration in common"):
        compare_files(matrix(tmp_path / "a", one=1.0, x=1.0), matrix(tmp_path / "b", two=2.0), anyway=False)


@pytest.mark.parametrize("text", ["{", "[]", '{"frames": 3}', '{"rows": []}'])
def test_what_is_no_measurement_is_refused(tmp_path: Path, text: str) -> None:
    good = written(tmp_path / "a.json")
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(UsageError, match=r"b\.json"):
        compare_files(good, tmp_path / "b.json", anyway=False)


def test_the_command_prints_the_ratio_and_its_interval(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    a, b = written(tmp_path / "a.json"), written(tmp_path / "b.json", ms=5.0)
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", "--compare", str(a), str(b), "--json", str(tmp_path / "found.json")])
    assert end.value.code == 0
    assert "0.500 (0.500 to" in " ".join(capsys.readouterr().out.split())
    assert json.loads((tmp_path / "found.json").read_text())["rows"][0]["p50"]["ratio"] == 0.5
