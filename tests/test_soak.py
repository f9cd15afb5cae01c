"""What a soak says of a run: that it ended as it began, or what grew."""

import pytest

from tests.soak import EIGHTHS, Held, Part, allocated

STEADY = Held(rss_mib=400.0, heap_mib=144.0, threads=28, files=9)
GOES_UP_AND_DOWN = [400.0, 437.0, 412.0, 432.0, 409.0, 436.0, 420.0, 433.0]


def part(held: list[Held], p99_ms: list[float | None]) -> Part:
    return Part("window", [10] * EIGHTHS, p99_ms, held)


def grown(name: str, by: float) -> list[Held]:
    """By as much in each eighth."""
    values = {one: getattr(STEADY, one) for one in Held.__slots__}
    return [Held(**{**values, name: values[name] + by * number}) for number in range(EIGHTHS)]


def test_what_is_steady_passes() -> None:
    assert part([STEADY] * EIGHTHS, [5.0] * EIGHTHS).broken == []
    held = [Held(rss_mib, 144.0, 28, 9) for rss_mib in GOES_UP_AND_DOWN]
    assert part(held, [5.0, 9.0, 4.0, None, 5.0, 8.0, 6.0, 5.0]).broken == []


@pytest.mark.parametrize(("name", "by"), [("rss_mib", 6.0), ("heap_mib", 2.0), ("threads", 1), ("files", 1)])
def test_what_grows_by_little_all_the_time_is_named(name: str, by: float) -> None:
    (said,) = part(grown(name, by), [5.0] * EIGHTHS).broken
    assert said.startswith(f"{name} grew from ")


def test_what_becomes_slow_or_gives_no_frames_is_named() -> None:
    assert "p99 grew" in part([STEADY] * EIGHTHS, [5.0] * 4 + [11.0] * 4).broken[0]
    assert "without a frame" in part([STEADY] * EIGHTHS, [5.0] * 4 + [None] * 4).broken[0]


def test_what_is_allocated_is_what_somebody_holds() -> None:
    if not (before := allocated()):
        pytest.skip("there is no glibc")
    held = bytearray(50 << 20)
    assert 45 << 20 < allocated() - before < 60 << 20
    del held
    assert allocated() - before < 10 << 20
