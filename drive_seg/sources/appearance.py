"""How a decoded frame is shown: upright, with square pixels, without comb teeth, in BT.709's colours as BGR uint8."""

from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from drive_seg.contracts import Array, Image

MOST_PIXELS = 1 << 28  # 16384 squared; more is a damaged or a hostile header
SHAPES = (Fraction(1, 4), Fraction(4))  # of pixels; what lies outside them is a damaged header
UNTAGGED, BT2020 = 2, 9  # as H.273 counts matrices and primaries
HD_HW = (720, 1280)  # from here on what does not say its matrix is taken for BT.709, as players do, and below for BT.601
PQ, HLG = 16, 18  # transfer characteristics of HDR, as H.273 counts them
WHITE_NITS, PEAK_NITS = 203.0, 1000.0  # BT.2408's white of HDR, and what is as bright as an SDR picture gets
KNEE = 0.5  # of the SDR white: up to there HDR is shown as it is, above it is compressed
_FROM_2020 = np.array([[1.1187, -0.1006, -0.0182], [-0.0083, 1.1329, -0.1246], [-0.0728, -0.5876, 1.6605]], np.float32)  # linear BGR
_FROM_SQRT = np.round(255 * (np.arange(256) / 255) ** (2 / 2.2)).astype(np.uint8)  # the root is fast, a screen's gamma is 2.2


class Appearance:
    """Turns decoded frames into pictures. Belongs to one thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._linear: dict[int, Array] = {}  # by transfer characteristic

    def picture(self, frame: VideoFrame, pixel_shape: Fraction | None) -> Image:
        """HxWx3 BGR uint8 as a player shows the frame. `pixel_shape`: a pixel's width by its height.

        Raises av.error.FFmpegError for a pixel format that cannot be converted.
        """
        height, width = shown_hw((frame.height, frame.width), pixel_shape)
        matrix = frame.colorspace
        if matrix == UNTAGGED and (frame.height >= HD_HW[0] or frame.width >= HD_HW[1]):
            matrix = Colorspace.ITU709
        # One thread: the network has the cores, and waking a pool costs more than the third of a millisecond that it shares.
        bgr = self._reformatter.reformat(
            frame, width, height, "bgr24", matrix, interpolation=Interpolation.BILINEAR, dst_color_range=ColorRange.JPEG, threads=1
        )
        image = np.ascontiguousarray(bgr.to_ndarray(), np.uint8)
        if frame.color_trc in (PQ, HLG) or frame.color_primaries == BT2020:
            image = self._standard(image, frame.color_trc)
        return turned(image, display_matrix(frame))

    def _standard(self, image: Image, transfer: int) -> Image:
        """Tone-mapped where it is HDR, and in BT.709's primaries."""
        if transfer not in self._linear:
            self._linear[transfer] = linear_light(transfer).astype(np.float32)
        linear = cv2.transform(cv2.LUT(image, self._linear[transfer]), _FROM_2020)
        rooted = np.sqrt(np.maximum(linear, 0, out=linear), out=linear)
        return np.asarray(cv2.LUT(cv2.convertScaleAbs(rooted, alpha=255), _FROM_SQRT), np.uint8)


def shown_hw(stored_hw: tuple[int, int], pixel_shape: Fraction | None) -> tuple[int, int]:
    """The size with square pixels, before it is turned: no side becomes shorter."""
    height, width = stored_hw
    if not pixel_shape or pixel_shape == 1 or not SHAPES[0] <= pixel_shape <= SHAPES[1]:
        return height, width
    return (height, round(width * pixel_shape)) if pixel_shape > 1 else (round(height / pixel_shape), width)


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """a, b, c, d: a stored pixel (x, y) is shown at (ax + cy, bx + dy). Those of a picture that is shown as it is, where there is none."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).tolist()  # type: ignore[call-overload]
    return a, b, c, d


def turned(image: Image, matrix: tuple[int, int, int, int]) -> Image:
    """Turned by quarters and mirrored as the matrix says; of other angles the nearest."""
    a, b, c, d = matrix
    if abs(a) + abs(d) < abs(b) + abs(c):
        image = np.asarray(cv2.transpose(image), np.uint8)
        a, d = c, b
    if a < 0 or d < 0:
        image = np.asarray(cv2.flip(image, -1 if a < 0 and d < 0 else int(a < 0)), np.uint8)
    return image


def linear_light(transfer: int) -> Array:
    """256 float64: for each 8-bit value the light that it stands for, 1 being the SDR white; that of HDR compressed to fit (Möbius)."""
    value = np.arange(256) / 255
    if transfer == PQ:  # SMPTE ST 2084
        root = value ** (1 / 78.84375)
        nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    elif transfer == HLG:  # BT.2100, with its system gamma of 1.2 channel by channel
        scene = np.where(value <= 0.5, value**2 / 3, (np.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        nits = PEAK_NITS * scene**1.2
    else:
        return np.asarray(value**2.2)
    light, peak = np.minimum(nits, PEAK_NITS) / WHITE_NITS, PEAK_NITS / WHITE_NITS
    a = -(KNEE**2) * (peak - 1) / (KNEE**2 - 2 * KNEE + peak)
    b = (KNEE**2 - 2 * KNEE * peak + peak) / (peak - 1)
    bent = (b**2 + 2 * b * KNEE + KNEE**2) / (b - a) * (light + a) / (light + b)
    return np.where(light > KNEE, bent, light)


class Deinterlacer:
    """Takes decoded frames, and gives each back without comb teeth, one later: it looks at its neighbours. Frames that are not interlaced
    pass as they are. Belongs to one thread."""

    def __init__(self) -> None:
        self.on = False  # from the first interlaced frame on
        self._graph: av.filter.Graph | None = None
        self._form: tuple[object, ...] = ()
        self._before: VideoFrame | None = None  # while it is off: the last one

    def push(self, frame: VideoFrame | None) -> list[VideoFrame]:
        """What is ready now; None ends them. Raises av.error.FFmpegError."""
        if not self.on:
            if frame is None or not frame.interlaced_frame:
                self._before = frame
                return [] if frame is None else [frame]
            self.on = True
            if self._before is not None and self._form_of(self._before) == self._form_of(frame):
                self._start(self._before)
                assert self._graph is not None
                self._graph.vpush(self._before)
                return self._pulled_but(self._before, self.push(frame))
        done: list[VideoFrame] = []
        if self._graph is not None and (frame is None or self._form_of(frame) != self._form):
            self._graph.vpush(None)
            done, self._graph = self._pulled(), None
        if frame is not None:
            if self._graph is None:
                self._start(frame)
            assert self._graph is not None
            self._graph.vpush(frame)
            done += self._pulled()
        return done

    def reset(self) -> None:
        """What comes next is no neighbour of what came."""
        self._graph = self._before = None

    @staticmethod
    def _pulled_but(passed: VideoFrame, done: list[VideoFrame]) -> list[VideoFrame]:
        """Without the one that has passed already."""
        return [frame for frame in done if frame.pts != passed.pts]

    @staticmethod
    def _form_of(frame: VideoFrame) -> tuple[object, ...]:
        return frame.width, frame.height, frame.format.name, frame.time_base

    def _start(self, frame: VideoFrame) -> None:
        self._form = self._form_of(frame)
        self._graph = graph = av.filter.Graph()
        graph.threads = 1
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
        graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")).configure()

    def _pulled(self) -> list[VideoFrame]:
        done: list[VideoFrame] = []
        while self._graph is not None:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                break
            base = self._form[-1]
            if frame.pts is not None and frame.time_base != base:
                frame.pts, frame.time_base = round(frame.pts * frame.time_base / base), base
            done.append(frame)
        return done
