"""What is recorded as a bag is read back by the real library, and by us."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg.contracts import SourceInfo
from drive_seg.errors import UsageError
from drive_seg.sinks.bag import TOPICS, BagRecorder
from drive_seg.sources import open_source
from tests.fakes import make_result

reading = pytest.importorskip("mcap_ros2.reader", reason="ROS 2 bags need a package: pip install 'drive-seg[mcap]'")
EPOCH_NS = 1_700_000_000_000_000_000
SOURCE = SourceInfo("bag.mcap?topic=/front", (48, 64), 30.0, live=False, epoch_ns=EPOCH_NS)


def record(path: Path, count: int = 5, source: SourceInfo = SOURCE) -> None:
    with closing(BagRecorder(path, source)) as recorder:
        for n in range(count):
            labels = np.full((12, 16), 3, np.uint8)
            labels[:6] = 1
            result = make_result(n, labels=labels, age=n % 2)
            recorder.put(replace(result, overlay=np.full((48, 64, 3), 10 * n, np.uint8), classes=("sky", "building", "pole", "road")))


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    record(tmp_path / "out.mcap")
    found: dict[str, list[object]] = {}
    for message in reading.read_ros2_messages(str(tmp_path / "out.mcap")):
        found.setdefault(message.channel.topic, []).append(message)
    assert {topic: len(messages) for topic, messages in found.items()} == dict.fromkeys(TOPICS.values(), 5)
    frame, labels = found[TOPICS["frame"]][3], found[TOPICS["labels"]][3]  # type: ignore[assignment]
    known = frame.ros_msg
    assert (known.index, known.key, known.age_frames, known.reason) == (3, False, 1, "clock")
    assert known.classes == ["sky", "building", "pole", "road"]
    assert known.areas == pytest.approx([0, 0.5, 0, 0.5])
    assert frame.log_time_ns == EPOCH_NS + round(3 / 30 * 1e9)
    assert (known.header.stamp.sec, known.header.stamp.nanosec) == divmod(frame.log_time_ns, 10**9)
    ids = cv2.imdecode(np.frombuffer(labels.ros_msg.data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert ids.shape == (48, 64)
    assert (ids[:24] == 1).all()
    assert (ids[24:] == 3).all()


def test_it_plays_here_too_with_its_times(tmp_path: Path) -> None:
    record(tmp_path / "out.mcap")
    with open_source(f"{tmp_path / 'out.mcap'}?topic={TOPICS['overlay']}") as source:
        frames = list(iter(source.read, None))
        assert source.info.epoch_ns == EPOCH_NS
    assert [frame.time_s for frame in frames] == pytest.approx([n / 30 for n in range(5)], abs=1e-6)
    assert [int(frame.image.mean()) for frame in frames] == pytest.approx([10 * n for n in range(5)], abs=2)


def test_a_source_without_a_date_begins_now(tmp_path: Path) -> None:
    record(tmp_path / "out.mcap", source=replace(SOURCE, epoch_ns=None))
    (first, *_) = reading.read_ros2_messages(str(tmp_path / "out.mcap"))
    assert abs(first.log_time_ns / 1e9 - os.stat(tmp_path / "out.mcap").st_mtime) < 600  # noqa: PTH116


def test_one_without_a_frame_leaves_no_file_and_one_that_is_there_stays(tmp_path: Path) -> None:
    record(tmp_path / "none.mcap", count=0)
    assert list(tmp_path.iterdir()) == []
    record(tmp_path / "out.mcap")
    before = (tmp_path / "out.mcap").read_bytes()
    with pytest.raises(UsageError, match="--overwrite"):
        BagRecorder(tmp_path / "out.mcap", SOURCE)
    assert (tmp_path / "out.mcap").read_bytes() == before
