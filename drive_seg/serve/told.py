"""What a page is told of the run beside the picture: how it stands, its figures, and the strip of its last frames."""

from collections.abc import Iterable, Sequence

from drive_seg.network.schedule import KINDS
from drive_seg.redaction import redacted
from drive_seg.session.figures import percentiles
from drive_seg.session.history import Moment
from drive_seg.session.player import Player

TELL_S = 0.5  # between two times that it is told
LENGTH = 600  # frames, in the strip and in the percentiles
STANDS = ("paused", "ended", "failed")  # states in which no frame comes until somebody does something


def told(player: Player) -> dict[str, object]:
    """Ready for JSON, and without passwords."""
    status, moments = player.status(), player.history(LENGTH)
    look, numbers, other = player.look, status.numbers, status.comparison_numbers
    return {
        "state": status.state,
        "source": redacted(status.source.name),
        "headline": redacted(status.headline),
        "note": redacted(status.note),
        "away": f"connecting since {status.away.since}, try {status.away.tries}" if status.away else "",
        "trouble": [status.trouble.serial, redacted(status.trouble.text)] if status.trouble else None,
        "fps": round(numbers.fps, 1),
        "key_share": _mean([moment.is_key for moment in moments]),
        "age_mean": _mean([moment.age_frames for moment in moments]),
        "dropped": status.dropped,
        "position": status.position,
        "latency_ms": {name: ms and round(ms, 1) for name, ms in percentiles([moment.total_ms for moment in moments]).items()},
        "schedule": status.settings.schedule,
        "schedules": [[kind.start, kind.title, kind.help] for kind in KINDS.values()],
        "opacity": look.opacity,
        "views": ["overlay", "mask", "picture", *(["doubt"] if status.settings.confidence else [])],
        "classes": [[name, "#{:02x}{:02x}{:02x}".format(*colour)] for name, colour in zip(status.classes, look.palette, strict=False)],
        "comparison": status.comparison and status.comparison["schedule"],
        "comparison_p50_ms": round(other.p50_ms, 1) if other else None,
        "differing": status.differing and round(status.differing, 4),
        "strip": list(_strip(moments)),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


def _strip(moments: Iterable[Moment]) -> Iterable[tuple[int, float, int, str]]:
    """Of each frame its index, its latency in ms, its age in frames, and of a key frame the reason; the oldest first."""
    for moment in moments:
        yield moment.index, round(moment.total_ms, 1), moment.age_frames, moment.reason if moment.is_key else ""
