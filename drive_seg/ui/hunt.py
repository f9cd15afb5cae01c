"""The hunt for the next frame of a kind, playing on to it: where it began, and when a round of a drive that loops has been played."""

from collections.abc import Sequence

from drive_seg.session.history import Moment


class Hunt:
    """`what` is hunted for: a frame with a large "error", or one with which a "person" comes into the corridor; empty: nothing."""

    def __init__(self) -> None:
        self.what = ""
        self._begun: tuple[int, int] | None = None  # segment and index of the first frame of it
        self._last: Moment | None = None  # that was looked at

    def begin(self, what: str, last: Moment | None) -> None:
        """`last`: of what was played until now."""
        self.what, self._begun, self._last = what, (last.segment, last.index) if last else None, last

    def end(self) -> None:
        self.what = ""

    def is_round(self, segment: int, index: int) -> bool:
        """Whether with this frame it is again where the hunt began: everything has been looked at."""
        if self._begun is None:
            self._begun = segment, index
        since, begin = self._begun
        return segment > since and (index >= begin or segment > since + 1)

    def next(self, moments: Sequence[Moment]) -> list[Moment]:
        """Those that have come since they were asked for last; the oldest first."""
        new: list[Moment] = []
        for moment in reversed(moments):
            if moment is self._last:
                break
            new.append(moment)
        self._last = new[0] if new else self._last
        return new[::-1]


def arrivals(moments: Sequence[Moment]) -> list[Moment]:
    """With which a person came into the corridor. After a jump to somebody who is there already, people begin anew: those are none."""
    amid = {moment.index for moment in moments if moment.ahead and moment.ahead.person and moment.ahead.event is None}
    return [moment for moment in moments if moment.ahead and moment.ahead.event == "begin" and moment.index not in amid]
