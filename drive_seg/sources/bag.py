"""A camera's topic in an MCAP file (ROS 2 bags, Foxglove) as a source: raw and compressed images, with the bag's times."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import cv2
import numpy as np

from drive_seg.contracts import Array, Closing, Frame, Image, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sources.opencv import NOMINAL_FPS, bgr8
from drive_seg.sources.pictures import MOST_PIXELS, BadPicture, decode_bgr

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
MAGIC = b"\x89MCAP0\r\n"
PROBED = 2000  # messages
NO_CAMERA = re.compile("depth|dispar|label|mask|semantic|segment", re.IGNORECASE)  # in the names of topics with pictures for programs
LARGEST_RECORD = 1 << 30  # a chunk is a few MB; what a damaged length asks for is not made
CODES = {  # of sensor_msgs/image_encodings: channels, type, and how OpenCV makes BGR of it
    "bgr8": (3, np.uint8, None),
    "8UC3": (3, np.uint8, None),
    "rgb8": (3, np.uint8, cv2.COLOR_RGB2BGR),
    "bgra8": (4, np.uint8, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, np.uint8, cv2.COLOR_RGBA2BGR),
    "mono8": (1, np.uint8, cv2.COLOR_GRAY2BGR),
    "8UC1": (1, np.uint8, cv2.COLOR_GRAY2BGR),
    "mono16": (1, np.uint16, cv2.COLOR_GRAY2BGR),
    "bgr16": (3, np.uint16, None),
    "rgb16": (3, np.uint16, cv2.COLOR_RGB2BGR),
    "uyvy": (2, np.uint8, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422": (2, np.uint8, cv2.COLOR_YUV2BGR_UYVY),
    "yuyv": (2, np.uint8, cv2.COLOR_YUV2BGR_YUYV),
    "yuv422_yuy2": (2, np.uint8, cv2.COLOR_YUV2BGR_YUYV),
    "bayer_rggb8": (1, np.uint8, cv2.COLOR_BayerRGGB2BGR),
    "bayer_bggr8": (1, np.uint8, cv2.COLOR_BayerBGGR2BGR),
    "bayer_gbrg8": (1, np.uint8, cv2.COLOR_BayerGBRG2BGR),
    "bayer_grbg8": (1, np.uint8, cv2.COLOR_BayerGRBG2BGR),
}


class BagSource(Closing):
    """The images of `topic`, or of the only topic that has some, in the order in which they were logged.

    `time_s` counts from the first one's logged time, which `info.epoch_ns` tells. An image that cannot be read is left out, which `note`
    tells; its index is. Owns the file until `close`. Raises SourceError when there is no such topic or no image that can be read, and
    from `read`, after the frames that are there, when the file ends in the middle.
    """

    def __init__(self, path: Path, topic: str = "") -> None:
        self._path, self._topic, self._index, self._first_ns = path, topic, 0, 0
        self._damaged: dict[int, str] = {}
        self._times: list[int] = []
        self._file = _opened(path)
        try:
            if self._file.read(len(MAGIC)) != MAGIC:
                raise SourceError(f"{path}: is no MCAP file; give a ROS 2 bag of that kind, which `ros2 bag convert` makes of others")
            self._libraries = _libraries(path)
            self._finished = self._is_finished()
            self._summary = self._reader().get_summary() if self._finished else None
            self._topic, count = self._chosen(topic)
            self._times = self._indexed()
            self._messages = self._from(None)
            first = self._next()
            if first is None:
                raise SourceError(f"{path}: no image under {self._topic} can be read; {self.note or 'there is none'}")
            self._rewind(0)
        except SourceError:
            self._file.close()
            raise
        except Exception as error:  # the libraries raise what Python raises at damaged bytes
            self._file.close()
            raise SourceError(f"{path}: no MCAP file, or a damaged one ({error!s:.80}); copy it again, or try mcap recover") from error
        name, spread_ns = f"{path}?topic={self._topic}", self._times[-1] - self._times[0] if self._times else 0
        rate = (len(self._times) - 1) * 1e9 / spread_ns if spread_ns else NOMINAL_FPS
        self.info = SourceInfo(name, first.size_hw, rate, live=False, frame_count=count, epoch_ns=self._first_ns)

    def _chosen(self, topic: str) -> tuple[str, int | None]:
        """The topic to play, and how many images it has, None where the file does not say."""
        counts = self._image_topics()
        names = ", ".join(sorted(counts)) or "none"
        if topic and topic not in counts:
            raise SourceError(f"{self._path}: no images under {topic}; topics with images: {names}")
        if not counts:
            raise SourceError(f"{self._path}: no topic with {RAW} or {COMPRESSED} in it; record a camera's")
        if not topic and len(counts) > 1:
            likely = min(counts, key=lambda name: (bool(NO_CAMERA.search(name)), name))
            raise SourceError(f"{self._path}: more than one topic with images: {names}; choose one, as in '{self._path}?topic={likely}'")
        return topic or min(counts), counts[topic or min(counts)]

    def _image_topics(self) -> dict[str, int | None]:
        if not self._summary:  # never finished: its beginning tells
            found: dict[str, int | None] = {}
            with suppress(Exception):  # its end, which is none
                for schema, channel, _ in islice(self._reader().iter_messages(log_time_order=False), PROBED):
                    if schema and schema.name in (RAW, COMPRESSED):
                        found[channel.topic] = None
            return found
        counts = self._summary.statistics.channel_message_counts if self._summary.statistics else None
        return {
            channel.topic: None if counts is None else counts.get(channel.id, 0)
            for channel in self._summary.channels.values()
            if (schema := self._summary.schemas.get(channel.schema_id)) and schema.name in (RAW, COMPRESSED)
        }

    def _indexed(self) -> list[int]:
        """When each image was logged, in order, by the index behind each chunk, without unpacking one; empty where the file has none."""
        from mcap.stream_reader import StreamReader

        summary: Any = self._summary
        times: list[int] = []
        for chunk in summary.chunk_indexes if summary else ():
            for channel, offset in chunk.message_index_offsets.items():
                if summary.channels[channel].topic == self._topic:
                    self._file.seek(offset)
                    times += [log_ns for log_ns, _ in next(iter(StreamReader(self._file, skip_magic=True).records)).records]
        return sorted(times)

    def _is_finished(self) -> bool:
        """Whether its recorder came to write the index."""
        self._file.seek(-min(len(MAGIC), self._path.stat().st_size), os.SEEK_END)
        return self._file.read() == MAGIC

    def _reader(self) -> Any:
        """Anew: what has no index can only be read once."""
        self._file.seek(0)
        kind = self._libraries.SeekingReader if self._finished else self._libraries.NonSeekingReader
        return kind(self._file, False, [self._libraries.DecoderFactory()], LARGEST_RECORD)

    def _from(self, start_ns: int | None) -> Iterator[Any]:
        ordered = self._finished  # to order what has no index, all of it would be held in memory
        return iter(self._reader().iter_decoded_messages(topics=self._topic, starting_at=start_ns, log_time_order=ordered))

    @property
    def note(self) -> str:
        """Which images were left out so far, in one line; empty for none."""
        if not self._damaged:
            return ""
        more = f", and {len(self._damaged) - 1} more" if len(self._damaged) > 1 else ""
        return f"{self._path}: left out{more}: {next(iter(self._damaged.values()))}"

    def read(self) -> Frame | None:
        try:
            return self._next()
        except Exception as error:
            if self._file.closed:
                return None
            raise SourceError(
                f"{self._path}: cut short after {self._index} images ({error!s:.80}); copy it again, or mcap recover it"
            ) from error

    def seek(self, index: int) -> None:
        """As Seekable says; what has no index is read once from beginning to end for it."""
        if not self._times:
            with suppress(Exception):  # its end, which is none
                self._times.extend(found.message.log_time for found in self._from(None))
        self._rewind(max(0, min(index, len(self._times) - 1)))

    def _rewind(self, index: int) -> None:
        self._index = index
        self._messages = self._from(self._times[index] if index else None)
        for _ in range(index - self._times.index(self._times[index]) if index else 0):  # of the same nanosecond
            next(self._messages)

    def _next(self) -> Frame | None:
        """The next image that can be read."""
        while True:
            start = time.perf_counter()
            if (found := next(self._messages, None)) is None:
                return None
            index, log_ns = self._index, found.message.log_time
            self._index += 1
            if index == 0:
                self._first_ns = log_ns
            try:
                image = image_of(found.schema.name, found.decoded_message)
            except BadPicture as error:
                self._damaged[index] = f"image {index} {error}"
                continue
            return Frame(image, index, (log_ns - self._first_ns) / 1e9, (time.perf_counter() - start) * 1000)

    def close(self) -> None:
        self._messages = iter(())
        self._file.close()


def image_of(schema: str, message: Any) -> Image:
    """HxWx3 BGR uint8 of a sensor_msgs Image or CompressedImage. Raises BadPicture."""
    if schema == COMPRESSED:
        return decode_bgr(bytes(message.data))
    if message.encoding not in CODES:
        raise BadPicture(f"is {message.encoding!r:.40}, which is no picture that can be shown ({', '.join(CODES)})")
    channels, dtype, code = CODES[message.encoding]
    height, width, step = message.height, message.width, message.step
    row = width * channels * np.dtype(dtype).itemsize
    if not 0 < height * width <= MOST_PIXELS or step < row or len(message.data) < step * (height - 1) + row:
        raise BadPicture(f"has {len(message.data)} bytes for {width}x{height} pixels of {message.encoding}")
    step = min(step, len(message.data))  # of a single row it may be anything
    rows = np.frombuffer(bytes(message.data).ljust(step * height, b"\0"), np.uint8, step * height).reshape(height, step)
    pixels: Array = np.ascontiguousarray(rows[:, :row]).view(np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<"))
    pixels = pixels.astype(dtype).reshape(height, width, channels)
    try:
        return bgr8(np.asarray(pixels if code is None else cv2.cvtColor(pixels, code)))
    except cv2.error as error:
        raise BadPicture(f"has {width}x{height} pixels, which {message.encoding} cannot have") from error


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; check the path and its permissions") from error


def _libraries(path: Path) -> SimpleNamespace:
    try:
        from mcap.reader import NonSeekingReader, SeekingReader
        from mcap_ros2.decoder import DecoderFactory
    except ImportError as error:
        raise SourceError(f"{path}: ROS 2 bags need a package; pip install 'drive-seg[mcap]'") from error
    return SimpleNamespace(SeekingReader=SeekingReader, NonSeekingReader=NonSeekingReader, DecoderFactory=DecoderFactory)
