"""A video played forward: its frames with index, time and segment, what of them was damaged, and whether its end comes early."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import replace

import av
from av.video.frame import VideoFrame

from drive_seg.contracts import Frame, Image
from drive_seg.errors import SourceError
from drive_seg.sources.video import Plan, Video

SLACK_FRAMES = 2  # headers are off by one or two
SLACK_SHARE = 0.05  # where only an estimate of the length is known
SLACK_S = 0.5
JUMP_S = 10.0  # a longer step than this, as in ffplay, …
JUMP_STEPS = 10  # … and than so many of the step before it, is a hole in the recording
BACK_S = 0.2  # a step so far back is a recording that begins anew; a smaller one is carelessness


class Playback:
    """The frames of `video`, which it owns until `close`. Belongs to one thread.

    `plan` says which frame has which index, and begins with the first one; else `make_plan` is asked where that has to be known: to go
    elsewhere, and where frames are missing. Where it does not know, and without it, frames are counted as they come.

    Raises SourceError, which begins with `name`, also where there is no first frame.
    """

    def __init__(self, video: Video, name: str, make_plan: Callable[[], Plan | None] = lambda: None, plan: Plan | None = None) -> None:
        self.video, self._name, self._make_plan = video, name, make_plan
        self.index = 0  # of the frame that comes next
        self.damaged: set[int] = set()
        self.plan: Plan | None = None
        self._planned = False
        self._clock = Clock(1 / video.rate)
        self._placed: list[tuple[float, int]] = []  # time and segment of the plan's frames
        self._waiting: tuple[list[int], VideoFrame | None] | None = None  # decoded, and not given yet
        try:
            self._waiting = _, frame = self._next()
            if frame is None:
                raise SourceError(f"{name}: no frame of it can be decoded; convert it with ffmpeg, or copy or record it again")
            picture = self._picture(frame)  # the headers do not say how it is turned
        except BaseException:
            video.close()
            raise
        self._first_pts, self.size_hw = frame.pts, (picture.shape[0], picture.shape[1])
        if plan:
            self.follow(plan)

    @property
    def note(self) -> str:
        """One line about damage; empty for none."""
        count = len(self.damaged)
        return f"{self._name}: {count} frame{'s' * (count > 1)} damaged; copy or record it again if they matter" if count else ""

    def read(self) -> Frame | None:
        """The next frame, `decode_ms` being the time that decoding and converting took; None at the end."""
        start = time.perf_counter()
        lost, frame = self._next()
        placed = self._place(lost, frame)
        if frame is None or placed is None:
            return None
        if frame.is_corrupt:
            self.damaged.add(self.index - 1)
        image = self._picture(frame)
        return Frame(image, self.index - 1, placed[0], decode_ms=(time.perf_counter() - start) * 1000, segment=placed[1])

    def plan_ahead(self) -> None:
        """Asks for the plan, once."""
        if self._planned:
            return
        self._planned, first = True, self._first_pts
        plan = None if self.video.uncounted else self._make_plan()
        if plan and first in plan.pts:  # the file may begin with frames that cannot be decoded
            self.follow(replace(plan, pts=plan.pts[plan.pts.index(first) :]))

    def follow(self, plan: Plan) -> None:
        """From now on this is the plan."""
        self._planned = True
        clock = Clock(1 / self.video.rate)
        self._placed = [clock.tick(pts * self.video.tick_s) for pts in plan.pts]
        self.plan = plan

    def go(self, index: int) -> bool:
        """To where this frame of the plan can be decoded from; False where the container does not find that."""
        assert self.plan
        needed = max(0, index - 1) if self.video.interlaced else index  # fields are woven with the neighbours'
        at = bisect_right(self.plan.keys, self.plan.pts[needed], key=lambda key: key[0]) - 1
        pts, dts = self.plan.keys[max(at, 0)]
        there = bisect_left(self.plan.pts, pts)
        if there <= self.index <= index and self._waiting is None:
            return True  # decoding on is nearer
        self._waiting = None
        if at < 0 or not self.video.go(dts, pts):
            return False
        self.index = there
        return True

    def pass_over(self, index: int) -> bool:
        """Decodes on up to this frame, or the first one after it that can be decoded, which comes next; False where there is none."""
        while self.index < index or self.plan:
            lost, frame = self._next()
            if frame is None:
                return False
            if ((frame.pts or 0) >= self.plan.pts[index]) if self.plan else (self.index + len(lost) >= index):
                self._waiting = lost, frame
                break
            self._place(lost, frame)
        return True

    def ends_early(self) -> bool:
        """At the end: whether the headers promise more than half a second of picture, or, where they count the frames, more than two."""
        video = self.video
        if video.counted and not video.may_hide:
            return video.counted - self.index > SLACK_FRAMES
        if own_s := video.own_s:
            slack_s = SLACK_FRAMES / video.rate if video.counted else max(SLACK_S, SLACK_SHARE * own_s)
            return video.start_s + own_s - video.end_s > slack_s
        if whole_s := video.whole_s:  # all tracks were read: the sound may go on longer than the picture
            return video.container_start_s + whole_s - video.end_s > max(SLACK_S, SLACK_SHARE * whole_s)
        return False

    def close(self) -> None:
        self._waiting = None
        self.video.close()

    def _next(self) -> tuple[list[int], VideoFrame | None]:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            return waiting
        try:
            return self.video.next()
        except av.error.FFmpegError as error:
            raise SourceError(f"{self._name}: cannot be read on: {error.strerror}; check it, and convert it with ffmpeg") from error

    def _picture(self, frame: VideoFrame) -> Image:
        try:
            return self.video.picture(frame)
        except av.error.FFmpegError as error:
            what = f"pictures of {frame.format.name} cannot be converted"
            raise SourceError(f"{self._name}: {what} ({error.strerror}); convert it with ffmpeg -pix_fmt yuv420p") from error

    def _place(self, lost: list[int], frame: VideoFrame | None) -> tuple[float, int] | None:
        """Time and segment of the frame; `index` is behind it then."""
        if lost:
            self.plan_ahead()
        if self.plan:
            self.damaged |= {bisect_left(self.plan.pts, pts) for pts in lost}
            if frame is None:
                return None
            at = min(bisect_left(self.plan.pts, frame.pts or 0), len(self._placed) - 1)
            self.index = at + 1
            return self._placed[at]
        self.damaged |= {self.index + number for number in range(len(lost))}
        if frame is None:
            return None
        for pts in lost:
            self._clock.tick(pts * self.video.tick_s)
        self.index += len(lost) + 1
        return self._clock.tick(None if frame.pts is None else frame.pts * self.video.tick_s)


class Clock:
    """A recording's own time as it is played: from 0, growing, without its holes and jumps, at each of which a segment begins."""

    def __init__(self, step_s: float) -> None:
        self._nominal_s = self._step_s = step_s
        self._origin_s = 0.0
        self._at_s: float | None = None
        self._last = -step_s, 0

    def tick(self, at_s: float | None) -> tuple[float, int]:
        """Time and segment of the frame that is to be shown `at_s`, by its container; None where that does not say."""
        time_s, segment = self._last
        next_s = time_s + self._nominal_s
        if at_s is not None:
            step_s = 0.0 if self._at_s is None else at_s - self._at_s
            if self._at_s is None or step_s > max(JUMP_S, JUMP_STEPS * self._step_s) or step_s < -BACK_S:
                segment += self._at_s is not None
                self._origin_s = at_s - next_s
            elif step_s > 0:
                self._step_s = step_s
            self._at_s = at_s
            if at_s - self._origin_s > time_s:
                next_s = at_s - self._origin_s
        self._last = next_s, segment
        return self._last
