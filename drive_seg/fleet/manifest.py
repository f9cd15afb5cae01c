"""Everything that a batch has found out, as two Parquet files that are made anew of the records: a row a drive and a piece, and a row a
second of each drive."""

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from drive_seg.errors import UsageError
from drive_seg.fleet.drives import BY_SECOND, MANIFEST
from drive_seg.fleet.records import OF_DRIVE, RECORD, SECONDS, Records, as_errors, read, whole

GROUP = 50_000  # rows that are held in memory


def write_manifest(records: Records) -> int:
    """The number of drives in it. Raises UsageError where pyarrow is absent, SinkError."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(f"{MANIFEST} needs pyarrow; pip install 'drive-seg[fleet]', and the same command writes it") from error
    classes = sorted({name for record in _records(records) for name in record["areas"] or ()})
    areas = pa.struct([(name, pa.float32()) for name in classes]) if classes else pa.null()  # Parquet has no empty struct
    text, whole_number, number = pa.string(), pa.int64(), pa.float64()
    latency = pa.struct([(name, number) for name in ("p50", "p95", "p99", "max")])
    runs = pa.struct([(name, text) for name in ("model", "backend", "precision", "schedule", "mode", "propagation")])
    about = [("row", text), ("drive", text), ("path", text), ("sha256", text), ("bytes", whole_number), ("width", pa.int32())]
    found = [("start", whole_number), ("frames", whole_number), ("key_frame_rate", number), ("areas", areas), ("latency_ms", latency)]
    rest = [("took_s", number), ("by", text), ("error", text), ("runs", runs)]
    rows = pa.schema([*about, ("height", pa.int32()), ("fps", number), *found, *rest])
    seconds = pa.schema([("drive", text), ("second", pa.int32()), ("frames", pa.int32()), ("areas", areas)])
    made = 0
    for name, schema, given in ((MANIFEST, rows, _rows(records)), (BY_SECOND, seconds, _seconds(records))):
        with ExitStack() as stack:
            part = stack.enter_context(whole(records.out / name))
            writer = stack.enter_context(parquet.ParquetWriter(part, schema, compression="zstd"))
            for group in _groups(given):
                made += sum(row.get("row") == "file" for row in group)
                writer.write_table(pa.Table.from_pylist(group, schema))
    return made


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group = list[dict[str, Any]]()
    for row in rows:
        group.append(row)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group


def _records(records: Records) -> Iterator[dict[str, Any]]:
    yield from (record for folder in records.all() if (record := read(folder / RECORD, *OF_DRIVE)))


def _rows(records: Records) -> Iterator[dict[str, Any]]:
    for record in _records(records):
        pieces = record.pop("pieces")
        yield {"row": "file", "start": 0, **record}
        for piece in pieces:
            yield {"row": "piece", **record, **piece}


def _seconds(records: Records) -> Iterator[dict[str, Any]]:
    for folder in records.all():
        drive = folder.relative_to(records.out).as_posix()
        with as_errors(folder / SECONDS), (folder / SECONDS).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                second, frames = int(row.pop("second")), int(row.pop("frames"))
                yield {"drive": drive, "second": second, "frames": frames, "areas": {name: float(area) for name, area in row.items()}}
