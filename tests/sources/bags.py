"""Writes small ROS 2 bags with the real library."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from drive_seg.sinks.bag import COMPRESSED, HEADER_TEXT

pytest.importorskip("mcap_ros2", reason="ROS 2 bags need a package: pip install 'drive-seg[mcap]'")

IMAGE = (
    "sensor_msgs/msg/Image",
    f"std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\nuint8[] data\n{HEADER_TEXT}",
)
EPOCH_NS = 1_700_000_000_000_000_000
HEADER = {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": "camera"}
STRING = "std_msgs/msg/String", "string data\n"


def raw(image: Any, encoding: str, step: int | None = None, big: int = 0) -> dict[str, Any]:
    height, width = image.shape[:2]
    row = image.nbytes // height
    return {
        "header": HEADER, "height": height, "width": width, "encoding": encoding, "is_bigendian": big, "step": step or row,
        "data": b"".join(line.tobytes().ljust(step or row, b"\7") for line in image),
    }  # fmt: skip


def write_bag(path: Path, messages: Iterable[tuple[str, tuple[str, str], float, dict[str, Any]]], finish: bool = True) -> None:
    """Topic, schema, seconds after EPOCH_NS and content of each."""
    from mcap_ros2.writer import Writer

    with path.open("wb") as file:
        writer, schemas = Writer(file, chunk_size=4096), {}
        for topic, schema, at_s, content in messages:
            if schema not in schemas:
                schemas[schema] = writer.register_msgdef(*schema)
            writer.write_message(topic, schemas[schema], content, log_time=EPOCH_NS + round(at_s * 1e9))
        if finish:
            writer.finish()


__all__ = ["COMPRESSED", "EPOCH_NS", "HEADER", "IMAGE", "STRING", "raw", "write_bag"]
