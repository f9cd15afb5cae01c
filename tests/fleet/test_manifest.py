"""The manifest is made of the records alone, and says what they say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drive_seg.fleet import manifest
from drive_seg.fleet.labelling import Order
from drive_seg.fleet.records import Records, read
from tests.fleet.test_labelling import labelled

Make = Callable[..., Order]
parquet = pytest.importorskip("pyarrow.parquet")


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found


def test_a_row_a_drive_a_piece_and_a_second(order: Make, a_drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "GROUP", 2)  # several groups of rows
    (bad := tmp_path / "bad.mp4").write_bytes(b"?")
    wanted = order(schedule="clockwork:4")
    record, _, _ = labelled(wanted, a_drive)
    labelled(wanted, bad)
    records = Records(wanted.out)
    assert manifest.write_manifest(records) == 2
    assert manifest.write_manifest(records) == 2  # again in its place

    made = rows(wanted.out / "manifest.parquet")
    assert [(row["row"], row["drive"], row["start"]) for row in made] == [
        ("file", "a", 0), *(("piece", "a", start) for start in (0, 16, 32, 48)), ("file", "bad", 0),
    ]  # fmt: skip
    whole, pieces, failed = made[0], made[1:5], made[5]
    assert (whole["sha256"], whole["frames"], whole["fps"], whole["key_frame_rate"]) == (
        record["sha256"], 60, 30.0, record["key_frame_rate"],
    )  # fmt: skip
    assert whole["latency_ms"]["p99"] > 0
    assert whole["runs"]["schedule"] == "clockwork:4"
    assert sum(piece["frames"] for piece in pieces) == 60
    for name, area in record["areas"].items():
        assert whole["areas"][name] == pytest.approx(area)
        assert sum(piece["areas"][name] * piece["frames"] for piece in pieces) / 60 == pytest.approx(area, abs=1e-5)
    assert (failed["frames"], failed["areas"], failed["error"]) == (0, None, read(wanted.out / "bad" / "record.json")["error"])  # type: ignore[index]

    seconds = rows(wanted.out / "seconds.parquet")
    assert [(row["drive"], row["second"], row["frames"]) for row in seconds] == [("a", 0, 30), ("a", 1, 30)]
    assert sum(sum(row["areas"].values()) for row in seconds) == pytest.approx(2 * sum(record["areas"].values()), abs=1e-4)


def test_without_a_single_frame_there_are_the_errors_alone(order: Make, tmp_path: Path) -> None:
    wanted = order()
    assert manifest.write_manifest(Records(wanted.out)) == 0
    assert (rows(wanted.out / "manifest.parquet"), rows(wanted.out / "seconds.parquet")) == ([], [])
    (bad := tmp_path / "bad.mp4").write_bytes(b"?")
    labelled(wanted, bad)
    assert manifest.write_manifest(Records(wanted.out)) == 1
    (row,) = rows(wanted.out / "manifest.parquet")
    assert str(bad) in row["error"]
