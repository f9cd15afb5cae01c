"""What is switched or recorded again and again in the window leaves nothing behind: no thread, no open file, no memory."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from drive_seg.network.pipeline import Pipeline
from drive_seg.network.refresh import Async
from drive_seg.session import figures, history
from drive_seg.sinks.recorder import Recorder
from drive_seg.sources.capture import Capture
from tests.session.test_player import World, more
from tests.soak import MORE, SWITCHES, Held, window
from tests.waiting import until

TIMES = 50
FRAMES = 50  # that are remembered: what is bounded is full before the first look, or it would be taken for growth
LOOKS = 3  # a single one may come at a moment with some per cent more or less


@contextmanager
def without_the_collector() -> Iterator[None]:
    """Which may not come for minutes."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_what_was_switched_or_recorded_is_gone_without_the_collector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def there() -> Counter[type]:
        return Counter(kind for one in gc.get_objects() if (kind := type(one)) in (Capture, Pipeline, Async, Recorder))

    world = World(monkeypatch, tmp_path)
    with without_the_collector():
        before = there()  # what other tests have left to a thread that hangs
        with world.playing(mode="async") as player:
            for number in range(3):
                player.record(path := tmp_path / f"{number}.mp4")
                until(lambda path=path: player.recording == path)
                player.change(source="drive", model=str(tmp_path / ("other", "one")[number % 2]))
                until(lambda number=number: player.status().runs["model"] == ("other", "one")[number % 2])
                more(player)
                player.record(None)
                until(lambda: player.recording is None)
            until(lambda: max((there() - before).values()) == 1)  # the last recorder is still a variable of the frame loop's


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SWITCHES, "recording"])
def test_fifty_times_in_the_window_leave_nothing_behind(qapp: object, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(history, "LENGTH", FRAMES)
    monkeypatch.setattr(figures, "HISTORY", FRAMES)
    with without_the_collector(), window() as switches:
        once: Callable[[], None] = switches.record if name == "recording" else partial(switches.there_and_back, name)
        times = TIMES if name == "recording" else TIMES // 2

        def look() -> Held:
            once()
            return Held.now()

        before = [look() for _ in range(times // 5)][-LOOKS:]  # libraries are loaded, and room is made, once
        after = [look() for _ in range(times)][-LOOKS:]

        def is_as_before(now: Held) -> bool:
            return all(getattr(now, held) <= (1 + MORE) * max(getattr(one, held) for one in before) for held in ("threads", "files"))

        until(lambda: is_as_before(Held.now()))  # what was closed last may be about to end
        for held in ("rss_mib", "heap_mib"):
            assert min(getattr(one, held) for one in after) <= (1 + MORE) * max(getattr(one, held) for one in before), (held, before, after)
