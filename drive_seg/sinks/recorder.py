"""Records the overlay as H.264 with the frames' real times, so that a killed process leaves a playable file."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from drive_seg.contracts import Image, Result
from drive_seg.errors import SinkError, UsageError
from drive_seg.files import Beside, as_sink_error
from drive_seg.sinks.background import BackgroundWriter
from drive_seg.sinks.timeline import Timeline
from drive_seg.workers import Overflow

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
BT709 = 1  # matrix, primaries and transfer characteristic alike, as H.273 counts them
TIME_BASE = Fraction(1, 90_000)
KEY_INTERVAL_S = 1.0  # a player can seek to every second
FLUSH_MS = 250  # what a kill costs at most, beside the frame being encoded

# Every 250 ms becomes a fragment of its own in the file; without them an mp4 has no index until it is closed.
_FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
_HYBRID_SINCE = (61, 7)  # libavformat that can turn the fragments into an ordinary mp4 when the file is closed
_X264 = {"preset": "veryfast", "crf": "20", "tune": "zerolatency", "forced-idr": "1"}  # zerolatency: no frame waits in the encoder


class Recorder(BackgroundWriter):
    """`path` (.mp4, .mov or .mkv) with each result's overlay, at the first one's size; written as files.Beside says.

    A file that is there is only replaced with `overwrite`, and once the new one is whole. After a kill or a failure what was
    recorded is left as `path` with .part behind it, and can be played. One without a frame leaves no file.

    Presentation times are the frames' own, from the first one on; what was jumped over, in a drive or to another one, is not in it;
    a time that does not grow is moved 1/90000 s behind its predecessor. Odd sizes are padded by one pixel. A picture of another size
    is scaled into the first size with its shape kept, black beside it. Where a result has no overlay, its frame is recorded.

    Encodes in a thread of its own; with `Overflow.DROP_OLDEST` a slow encoder loses frames, `dropped` counts them.
    `fps_hint` is only the nominal rate in the file's header. Raises UsageError for another suffix and for a file that is there
    or being written by another process, SinkError when it cannot be made, and from `put` or `close` when it could not be written.
    """

    wants_overlay: bool = True

    def __init__(self, path: str | Path, fps_hint: float = 30.0, overflow: Overflow = Overflow.WAIT, overwrite: bool = False) -> None:
        self._path = Path(path)
        self._format = container_of(self._path)
        self._beside = Beside(self._path, overwrite, buffering=0)  # unbuffered: what is encoded survives the process
        self._fps = Fraction(fps_hint if fps_hint > 0 else 30.0).limit_denominator(1001)
        self._timeline = Timeline(float(self._fps))
        self._container: av.container.OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._size_hw = (0, 0)
        self._first_s = 0.0
        self._reformatter = VideoReformatter()
        self._pts = -1
        self._key_pts = 0
        super().__init__(str(self._beside.part), overflow)

    def _write(self, result: Result) -> None:
        image = result.frame.image if result.overlay is None else result.overlay
        time_s = self._timeline.time_s(result.frame)
        try:
            if self._stream is None:
                self._start(image, time_s)
            self._encode(image, time_s)
        except av.error.FFmpegError as error:
            raise self._failed(error) from error

    def _start(self, image: Image, time_s: float) -> None:
        height, width = image.shape[:2]
        self._size_hw = (height + height % 2, width + width % 2)  # 4:2:0 has one colour for 2x2 pixels
        self._first_s = time_s
        self._container = av.open(self._beside.file, "w", format=self._format, options=_muxer_options(self._format))
        codec, options = ("libx264", _X264) if "libx264" in av.codecs_available else ("mpeg4", {"qscale": "3"})
        stream = self._container.add_stream(codec, rate=self._fps, options=options)
        stream.height, stream.width = self._size_hw
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        # Players take what says nothing for BT.601 or BT.709 by its size: said, it is the same everywhere.
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = ColorRange.MPEG
        stream.codec_context.gop_size = 10 * int(self._fps + 1)  # the key frames are set by time, this is the limit
        self._stream = stream

    def _encode(self, image: Image, time_s: float) -> None:
        bgr = VideoFrame.from_ndarray(fit(image, self._size_hw), format="bgr24")
        picture = self._reformatter.reformat(
            bgr, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )
        picture.color_primaries = picture.color_trc = BT709
        first = self._pts < 0
        self._pts = max(round((time_s - self._first_s) / TIME_BASE), self._pts + 1)
        picture.pts, picture.time_base = self._pts, TIME_BASE
        if first or (self._pts - self._key_pts) * TIME_BASE >= KEY_INTERVAL_S:
            picture.pict_type = PictureType.I
            self._key_pts = self._pts
        self._mux(picture)

    def _mux(self, picture: VideoFrame | None) -> None:
        assert self._stream is not None
        assert self._container is not None
        for packet in self._stream.encode(picture):
            self._container.mux(packet)

    def _finish(self, whole: bool) -> None:
        """Completes the file; after a failure as far as that goes."""
        try:
            if self._container is not None:
                self._mux(None)
                self._container.close()
            if self._pts < 0:
                self._beside.drop()
            elif whole:
                self._beside.keep()
        except av.error.FFmpegError as error:
            raise self._failed(error) from error
        finally:
            self._container = self._stream = None  # in them are the encoder's threads, and whoever recorded may hold us still
            self._beside.leave()

    def _failed(self, error: Exception) -> SinkError:
        if isinstance(error, OSError):
            return as_sink_error(self._beside.part, error)
        return SinkError(f"{self._path}: cannot be recorded: {error}; choose another format or place")


def container_of(path: Path) -> str:
    """By the path's suffix, as FFmpeg calls it. Raises UsageError for one that is not recorded into."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: recordings end with {', '.join(FORMATS)} or .mcap; choose one of these")
    return FORMATS[path.suffix.lower()]


def fit(image: Image, size_hw: tuple[int, int]) -> Image:
    """HxWx3 at `size_hw`: unchanged, padded by the odd pixel, or scaled with its shape kept and black beside it."""
    height, width = size_hw
    h, w = image.shape[:2]
    if (h, w) == size_hw:
        return np.ascontiguousarray(image)
    if 0 <= height - h <= 1 and 0 <= width - w <= 1:
        return np.asarray(cv2.copyMakeBorder(image, 0, height - h, 0, width - w, cv2.BORDER_REPLICATE), np.uint8)
    scale = min(height / h, width / w)
    h, w = max(1, round(h * scale)), max(1, round(w * scale))
    top, left = (height - h) // 2, (width - w) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + h, left : left + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    return canvas


def _muxer_options(container_format: str) -> dict[str, str]:
    if container_format == "matroska":
        return {"flush_packets": "1", "cluster_time_limit": str(FLUSH_MS)}
    hybrid = "hybrid_fragmented+" if av.library_versions["libavformat"] >= _HYBRID_SINCE else ""
    return {"flush_packets": "1", "frag_duration": str(FLUSH_MS * 1000), "movflags": hybrid + _FRAGMENTS}
