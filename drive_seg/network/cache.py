"""Whether the cache may be used for a frame, and what is remembered from frame to frame to tell a schedule how it has aged."""

import numpy as np

from drive_seg.contracts import Array, Decision, Frame, Key, Labels, Phrase, Reason, Tensors, View

# A longer silence of the source, per frame of its own count, or a step back in its time, and the scene may be another one. Frames that came
# and were dropped, because computing took longer, are counted and so no silence.
MAX_GAP_S, GAP_PERIODS = 1.0, 3  # whichever is longer; a source that gives a picture every two seconds has its own idea of a silence
CUT = 1.1  # of `change`, unless the card says another: it is the network's own, as its features are (docs/measured.md)

TEXTS: dict[Reason, Phrase] = {
    "first": Phrase("first frame"),
    "size": Phrase("frame size changed"),
    "jump": Phrase("source jumped or reconnected"),
    "gap": Phrase("gap in time"),
    "cut": Phrase("scene cut"),
}


def why_invalid(key: Key | None, frame: Frame, last_index: int, last_time_s: float) -> Reason | None:
    """Why the cache may not be used for this frame, as far as can be told before looking at the picture; None when it may.

    `last_index` and `last_time_s`: of the frame before.
    """
    if key is None:
        return "first"
    if key.size_hw != frame.size_hw:
        return "size"
    if key.segment != frame.segment:
        return "jump"
    silence_s = (frame.time_s - last_time_s) / max(1, frame.index - last_index)
    return None if 0 <= silence_s <= max(MAX_GAP_S, GAP_PERIODS * frame.period_s) else "gap"


def change(before: Array, now: Array) -> float:
    """How much a feature map (1, C, h, w) differs from the last frame's: mean |difference| over mean magnitude, on a coarse grid."""
    a, b = before[..., ::4, ::4].astype(np.float32), now[..., ::4, ::4].astype(np.float32)
    return float(np.abs(a - b).mean() / (0.5 * (np.abs(a).mean() + np.abs(b).mean()) + 1e-6))


class Cache:
    """The key in use, and the last frame's traces. Owned by the pipeline."""

    def __init__(self, cut: float) -> None:
        """`cut`: a larger `change` is another scene."""
        self.key: Key | None = None
        self.refused: Decision | None = None  # why the frame that is under way has to make its own key
        self._cut = cut
        self._index, self._time_s = 0, 0.0  # of the last frame
        self._features: Array | None = None
        self._first: Labels | None = None  # shown with this key
        self._last: Labels | None = None
        self._last_ms = self._key_ms = 0.0
        self._other_ms: float | None = None

    @property
    def own(self) -> Tensors:
        return self.key.own if self.key else {}

    def in_use(self) -> Key:
        """The key of the frame that is under way, once it has been decided on."""
        assert self.key is not None
        return self.key

    def swap(self, key: Key | None) -> None:
        """Uses another key from now on; None: no other one is ready."""
        if key:
            self.key, self._first = key, None

    def check(self, frame: Frame) -> None:
        """Drops a key that may not be used for this frame, before the frame is looked at."""
        self._refuse(why_invalid(self.key, frame, self._index, self._time_s))
        self._index, self._time_s = frame.index, frame.time_s

    def check_features(self, features: Array) -> None:
        """The same once the network's features of the frame are known: drops the key at a scene cut. To be called for every frame."""
        before, self._features = self._features, np.array(features)
        if self.key is not None and before is not None and change(before, features) > self._cut:
            self._refuse("cut")

    def view(self, frame: Frame, score: float | None) -> View:
        """What a schedule is told of this frame. The key has to be valid."""
        changed = 0.0
        if self._first is not None and self._last is not None:
            changed = float(np.count_nonzero(self._last != self._first) / self._last.size)
        age, mid_age = (frame.index - part.index for part in (self.in_use(), self.in_use().parts[-1]))
        return View(frame.index, age, score, changed, self._last_ms, self._key_ms, self._other_ms, mid_age, frame.segment)

    def shown(self, labels: Labels, ms: float, refreshing: bool) -> None:
        """What became of the frame: its labels (kept, not copied), how long it took, and whether a refresh was in it or beside it."""
        self._last, self._last_ms = labels, ms
        if self._first is None:
            self._first = labels
        if refreshing:
            self._key_ms = ms
        else:
            self._other_ms = ms

    def _refuse(self, reason: Reason | None) -> None:
        self.refused = Decision(True, reason, TEXTS[reason]) if reason else None
        if reason:
            self.key = None
