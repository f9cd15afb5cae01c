"""Decodes the video that a container is about: the right track, damage gone over, fields woven, every frame with its pts."""

import heapq
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from drive_seg.contracts import Image
from drive_seg.sources.appearance import MOST_PIXELS, Appearance, Deinterlacer
from drive_seg.sources.opencv import NOMINAL_FPS

if TYPE_CHECKING:
    AnyPacket = Packet[Any]  # which no index makes of it when it runs
else:
    AnyPacket = Packet

PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
BAD_READS = 64  # in a row: then there is no more to come
DECODERS = 4  # threads at most: 720p of H.264 takes one of them 4 to 8 ms, as much as the network, which needs the other cores
SOME_UNSEEN = ("vp8", "libvpx", "vp9", "libvpx-vp9")  # codecs with packets that only later frames need
PROBED_PACKETS = 400  # of all tracks, to tell a drive from a thumbnail


class Unplayable(Exception):
    """What is wrong with a container that can be opened."""


class Video:
    """The frames of the video in `address` in the order in which they are shown, from the first one on.

    `live`: frames come out as soon as they can, and the container is only read forward. `options` are FFmpeg's, `timeout_s` those of
    opening and reading. Owns container and decoder until `close`; belongs to one thread. Raises av.error.FFmpegError when it cannot be
    opened, Unplayable that says why where there is nothing in it that can be decoded.
    """

    def __init__(
        self,
        address: str,
        live: bool = False,
        options: Mapping[str, str] | None = None,
        timeout_s: tuple[float, float] | None = None,
    ) -> None:
        self._container = av.open(address, options=dict(options or {}), metadata_errors="ignore", timeout=timeout_s)
        try:
            self._track = _drive(self._container, probe=not live)
            if self._track.width * self._track.height > MOST_PIXELS:
                raise Unplayable(f"its pictures have {self._track.width}x{self._track.height} pixels, which is too many")
        except BaseException:
            self._container.close()
            raise
        context = self._track.codec_context
        # Frame threads hold frames back until all of them have one, which a live picture has no time for; slices do not.
        context.thread_type = "SLICE" if live else "AUTO"
        context.thread_count = min(DECODERS, os.cpu_count() or 1)
        self.rate = _rate(self._track)
        self.time_base = Fraction(self._track.time_base or Fraction(1, 90_000))
        self.tick_s = float(self.time_base)
        self.uncounted = False  # more packets than frames: fields that come one by one, or frames that are not shown
        self._deinterlacer, self._appearance = Deinterlacer(), Appearance()
        self._ends: dict[int, int] = {}  # of the packets so far, by track
        self._reset()

    def _reset(self) -> None:
        self._reading = self._read()
        self._frames: list[VideoFrame] = []  # decoded, the next one last
        # Heaps of the pts of packets of which no frame has come yet: one, and one more where times have begun anew.
        self._promised: deque[list[int]] = deque([[]])
        self._dts = self._given = -math.inf  # the times of the last packet and of the last frame
        self._begun = self._over = self._trouble = False
        self._broken: av.error.FFmpegError | None = None

    @property
    def start_s(self) -> float:
        return float((self._track.start_time or 0) * self.time_base)

    @property
    def container_start_s(self) -> float:
        return float((self._container.start_time or 0) / av.time_base)

    @property
    def counted(self) -> int | None:
        """How many frames the header counts, of which an edit list may hide some; None where it does not."""
        return self._track.frames or None

    @property
    def may_hide(self) -> bool:
        """Whether the container is of a kind that has edit lists."""
        return str(self._container.format.name) != "avi"

    @property
    def own_s(self) -> float | None:
        """How long the picture lasts by its own header, whatever the sound does."""
        if self._track.duration:
            return float(self._track.duration * self.time_base)
        parts = self._track.metadata.get("DURATION", "").split(":")  # Matroska's
        try:
            return sum(float(part) * 60**place for place, part in enumerate(reversed(parts))) if len(parts) == 3 else None
        except ValueError:
            return None

    @property
    def whole_s(self) -> float | None:
        """How long the longest of its tracks lasts."""
        return self._container.duration / av.time_base if self._container.duration else None

    @property
    def frame_count(self) -> int | None:
        """As far as the headers know; an edit list may hide some."""
        if self.counted and not self.may_hide:
            return self.counted
        by_time = round(duration_s * self.rate) if (duration_s := self.own_s or self.whole_s) else None
        return min(self._track.frames, by_time or self._track.frames) if self._track.frames else by_time

    @property
    def bytes(self) -> int | None:
        """Of the file that the address names; None where it has no end."""
        return self._container.size if self._container.size > 0 else None

    @property
    def endless(self) -> bool:
        """Whether it is a form that only cameras send."""
        return self._container.format.name in ("mpjpeg", "mjpeg")

    @property
    def end_s(self) -> float:
        """When the last packet read so far is over, of whichever track, from the beginning of the container."""
        return max((float(end * self._container.streams[track].time_base) for track, end in self._ends.items()), default=0.0)

    @property
    def interlaced(self) -> bool:
        return self._deinterlacer.on

    def next(self) -> tuple[list[int], VideoFrame | None]:
        """The next frame, None at the end, and the pts of those that damage took before it.

        Raises av.error.FFmpegError where it cannot be read on.
        """
        while True:
            if self._frames:
                if not self._comes_late(frame := self._frames.pop()):
                    return self._lost_before(frame), frame
            elif self._broken:
                raise self._broken
            elif self._over:
                return self._lost_before(None), None
            else:
                self._frames = [*reversed(self._decoded())]

    def picture(self, frame: VideoFrame) -> Image:
        """HxWx3 BGR uint8, upright, of square pixels. Raises av.error.FFmpegError."""
        return self._appearance.picture(frame, self._pixel_shape(frame.height, frame.width))

    def go(self, dts: int, pts: int) -> bool:
        """To the key frame with these times; False where the container does not find it: then it has to be opened anew."""
        self._track.codec_context.flush_buffers()
        self._deinterlacer.reset()
        for earlier_s in (0, 2, 16, 64):
            self._reset()
            try:
                self._container.seek(dts - int(earlier_s / self.time_base), stream=self._track)
                for packet in self._reading:
                    if packet.size and packet.pts == pts and packet.is_keyframe:
                        self._frames = [*reversed(self._filtered(self._fed(packet)))]
                        return True
                    if packet.dts is not None and packet.dts > dts:
                        break
            except av.error.FFmpegError:
                continue
        return False

    def close(self) -> None:
        self._frames = []
        self._container.close()

    def _pixel_shape(self, height: int, width: int) -> Fraction | None:
        """The container's word counts before the codec's, as long as the pictures are of the size that it speaks of."""
        context = self._track.codec_context
        of = self._track if (height, width) == (self._track.height, self._track.width) else context
        return of.sample_aspect_ratio or context.sample_aspect_ratio

    def _decoded(self) -> list[VideoFrame]:
        """The frames that the next packet brings; `_over` after the last."""
        try:
            if (packet := next(self._reading, None)) is not None:
                return self._filtered(self._fed(packet))
        except av.error.FFmpegError as error:  # what has come so far is given first
            self._broken = error
        self._over = True
        rest = self._fed(None)
        for frame in rest:
            frame.time_base = self.time_base  # which those have not that come after the last packet
        rest = self._filtered(rest)
        return rest + self._deinterlacer.push(None)

    def _read(self) -> Iterator[AnyPacket]:
        """The track's packets; those that cannot be read are left out."""
        # The others tell how far the file goes, where the picture's own length is not known.
        tracks = (self._track,) if self.own_s else [track for track in self._container.streams if track.type in ("video", "audio")]
        packets, bad = self._container.demux(*tracks), 0
        while bad < BAD_READS:
            try:
                packet = next(packets, None)
            except av.error.InvalidDataError:
                packets, self._trouble = self._container.demux(*tracks), True
                bad += 1
                continue
            if packet is None:
                return
            bad = 0
            if packet.size:
                at = packet.dts if packet.pts is None else packet.pts
                if at is not None:
                    track, end = packet.stream_index, at + (packet.duration or 0)
                    self._ends[track] = max(self._ends.get(track, end), end)
                if packet.stream_index == self._track.index:
                    yield packet

    def _fed(self, packet: AnyPacket | None) -> list[VideoFrame]:
        """What the decoder has ready after this packet; after None all of it."""
        if packet is not None:
            self._promise(packet)
        frames: list[VideoFrame] = []
        while True:
            try:
                frames += self._track.codec_context.decode(packet)
            except EOFError:
                return frames
            except av.error.InvalidDataError:
                self._trouble = True
            if packet is not None:
                return frames

    def _filtered(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        return [done for frame in frames for done in self._deinterlacer.push(frame)]

    def _promise(self, packet: AnyPacket) -> None:
        if packet.dts is not None:
            if packet.dts < self._dts and self._promised[-1]:
                self._promised.append([])
            self._dts = packet.dts
        if packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._promised[-1], packet.pts)

    def _comes_late(self, frame: VideoFrame) -> bool:
        """After damage some come when others that are shown after them have been given."""
        late = frame.pts is not None and frame.pts < self._given and not any(frame.pts in heap for heap in list(self._promised)[1:])
        self._given = self._given if late or frame.pts is None else frame.pts
        return late

    def _lost_before(self, frame: VideoFrame | None) -> list[int]:
        """Of which packets a frame should have come by now."""
        if frame is not None and frame.pts is None:
            self._promised = deque([[]])
            return []
        pts = math.inf if frame is None or frame.pts is None else frame.pts
        lost: list[int] = []
        while len(self._promised) > 1 and pts not in self._promised[0]:
            lost += sorted(self._promised.popleft())
        while (promised := self._promised[0]) and promised[0] <= pts:
            lost.append(heapq.heappop(promised))
        if lost and lost[-1] == pts:
            lost.pop()
        if not self._begun and frame is not None:  # it may begin with frames that need what is not there
            self._begun = True
            return []
        if lost and not self._trouble and (self.interlaced or self._track.codec_context.name in SOME_UNSEEN):
            self.uncounted = True
        return [] if self.uncounted else lost


def _drive(container: av.container.InputContainer, probe: bool) -> VideoStream:
    """The track that the container is about. Raises Unplayable."""
    tracks = [track for track in container.streams.video if track.codec_context is not None]
    if not tracks:
        names = sorted({getattr(track, "name", "") or track.type for track in container.streams})  # one of an unknown codec has no name
        raise Unplayable(f"it holds no picture that can be decoded here, only {', '.join(names) or 'nothing'}")
    moving = [track for track in tracks if not track.disposition & PICTURES] or tracks
    if len(moving) > 1 and probe:
        moving = _longer_than_one(container, moving)
    best = container.streams.best("video")
    chosen = max(moving, key=lambda track: (bool(track.disposition & Disposition.default), best is not None and track.index == best.index))
    assert isinstance(chosen, VideoStream)
    return chosen


@dataclass(frozen=True, slots=True)
class Plan:
    """What the packets of a file say of its frames."""

    pts: list[int]  # of those that are shown, growing
    keys: list[tuple[int, int]]  # pts and dts of the packets that decoding can begin with, growing


def plan_of(address: str) -> Plan | None:
    """Reads the file once from end to end (some 10 microseconds a frame, and the disk) and decodes nothing.

    None where its packets do not say it: they have no times, or those begin again.
    """
    pts: list[int] = []
    keys: list[tuple[int, int]] = []
    last_dts = -math.inf
    try:
        with av.open(address, metadata_errors="ignore") as container:
            for packet in container.demux(_drive(container, probe=True)):
                if not packet.size:
                    continue
                dts = packet.pts if packet.dts is None else packet.dts
                if packet.pts is None or dts < last_dts:
                    return None
                last_dts = dts if packet.dts is not None else last_dts
                if packet.is_keyframe:
                    keys.append((packet.pts, dts))
                if not packet.is_discard:  # an edit list hides those
                    pts.append(packet.pts)
    except (av.error.FFmpegError, Unplayable):
        return None
    return Plan(sorted(pts), sorted(keys)) if pts and keys and len(set(pts)) == len(pts) else None


def _longer_than_one(container: av.container.InputContainer, tracks: list[VideoStream]) -> list[VideoStream]:
    """Those of more than one picture."""
    found = {track.index: 0 for track in tracks}
    try:
        for number, packet in enumerate(container.demux(*tracks)):
            found[packet.stream_index] += packet.size > 0
            if number >= PROBED_PACKETS or min(found.values()) > 1:
                break
        container.seek(0)
    except av.error.FFmpegError:
        pass
    return [track for track in tracks if found[track.index] > 1] or tracks


def _rate(track: VideoStream) -> float:
    """Frames a second, nominal; NOMINAL_FPS where none, or nonsense such as a time base, is given."""
    for rate in (track.guessed_rate, track.average_rate):  # a hole in the recording makes nonsense of the average
        if rate and 0 < rate <= 1000:
            return float(rate)
    return NOMINAL_FPS
