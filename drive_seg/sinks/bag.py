"""Records overlay, class ids and decisions as an MCAP file, which Foxglove and ROS 2 open as it is."""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from drive_seg.contracts import Image, Result, SourceInfo
from drive_seg.errors import SinkError, UsageError
from drive_seg.files import Beside
from drive_seg.network.postprocess import shares
from drive_seg.sinks.background import BackgroundWriter
from drive_seg.sinks.masks import FASTEST
from drive_seg.sinks.timeline import Timeline
from drive_seg.workers import Overflow

SUFFIX = ".mcap"
TOPICS = {"overlay": "/drive_seg/overlay", "labels": "/drive_seg/labels", "frame": "/drive_seg/frame"}
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]
HEADER_TEXT = """\
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
COMPRESSED = "sensor_msgs/msg/CompressedImage", f"std_msgs/Header header\nstring format\nuint8[] data\n{HEADER_TEXT}"
FRAME = (
    "drive_seg/msg/Frame",
    f"""\
std_msgs/Header header
uint32 index
uint32 segment
float64 time_s
bool key
bool cold
string reason
string text
uint32 age_frames
float64 age_ms
float64 total_ms
uint32 dropped
string[] classes
float32[] areas
{HEADER_TEXT}""",
)


class BagRecorder(BackgroundWriter):
    """`path` (.mcap) with, for each result: the overlay as JPEG, the class ids as PNG (8-bit, at the frame's size, enlarged by nearest
    neighbour), and what is known of the frame with each class's share of the picture. Written as files.Beside says.

    Messages carry the source's own time where it tells one (a bag's), else that of the recording's begin with the frames' times from
    there; what was jumped over is not in it. Encodes in a thread of its own; with `Overflow.DROP_OLDEST` a slow disk loses frames, which
    `dropped` counts. After a kill NAME.part holds what was written, without an index. Raises UsageError for a file that is there and
    where the package is missing, SinkError when it cannot be made, and from `put` or `close` when it could not be written.
    """

    wants_overlay: bool = True

    def __init__(self, path: Path, source: SourceInfo, overflow: Overflow = Overflow.WAIT, overwrite: bool = False) -> None:
        writer = writer_for(path)
        self._beside = Beside(path, overwrite)
        self._timeline, self._begun = Timeline(source.fps), False
        self._epoch_ns, self._frame_id = source.epoch_ns, source.name
        self._bag = writer(self._beside.file)
        self._schemas = {name: self._bag.register_msgdef(*text) for name, text in (("image", COMPRESSED), ("frame", FRAME))}
        super().__init__(str(self._beside.part), overflow)

    def _write(self, result: Result) -> None:
        frame, decision = result.frame, result.decision
        time_s = self._timeline.time_s(frame)
        if self._epoch_ns is None:
            self._epoch_ns = time.time_ns() - round(time_s * 1e9)
        at_ns = self._epoch_ns + round(time_s * 1e9)
        header = {"stamp": {"sec": at_ns // 10**9, "nanosec": at_ns % 10**9}, "frame_id": self._frame_id}
        height, width = frame.size_hw
        labels = np.asarray(cv2.resize(result.labels, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
        self._image("overlay", at_ns, header, "jpeg", frame.image if result.overlay is None else result.overlay, JPEG)
        self._image("labels", at_ns, header, "png", labels, FASTEST)
        known = {
            "header": header, "index": frame.index, "segment": frame.segment, "time_s": frame.time_s, "key": decision.run_high,
            "cold": result.cold, "reason": decision.reason, "text": decision.text, "age_frames": result.age_frames,
            "age_ms": result.age_ms, "total_ms": result.total_ms, "dropped": result.dropped, "classes": list(result.classes),
            "areas": shares(labels, len(result.classes)).tolist(),
        }  # fmt: skip
        self._message("frame", self._schemas["frame"], at_ns, known)
        self._begun = True

    def _image(self, name: str, at_ns: int, header: dict[str, Any], form: str, picture: Image, flags: list[int]) -> None:
        ok, data = cv2.imencode(f".{form}", picture, flags)
        if not ok:
            raise SinkError(f"{self._beside.part}: OpenCV could not encode the {name}")
        self._message(name, self._schemas["image"], at_ns, {"header": header, "format": form, "data": data.tobytes()})

    def _message(self, name: str, schema: Any, at_ns: int, message: dict[str, Any]) -> None:
        self._bag.write_message(TOPICS[name], schema, message, log_time=at_ns, publish_time=at_ns)

    def _finish(self, whole: bool) -> None:
        try:
            self._bag.finish()
            if not self._begun:
                self._beside.drop()
            elif whole:
                self._beside.keep()
        finally:
            self._beside.leave()


def writer_for(path: Path) -> Any:
    """The package's. Raises UsageError where it is missing."""
    try:
        from mcap_ros2.writer import Writer
    except ImportError as error:
        raise UsageError(f"{path}: MCAP files need a package; pip install 'drive-seg[mcap]'") from error
    return Writer
