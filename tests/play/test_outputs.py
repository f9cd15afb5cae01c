"""What is written while drives are jumped about in: the times of a recording."""

from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Frame, SourceInfo
from drive_seg.errors import SinkError
from drive_seg.play.outputs import Outputs, Timeline
from drive_seg.settings import Settings
from tests.fakes import make_result

SOURCE = SourceInfo("fake", (48, 64), 10.0, live=False)


def times(*frames: tuple[int, float]) -> list[float]:
    timeline, image = Timeline(), np.zeros((2, 2, 3), np.uint8)
    return [round(timeline.time_s(Frame(image, 0, time_s, segment=segment), 10.0), 6) for segment, time_s in frames]


def test_a_drive_that_is_played_through_keeps_its_times() -> None:
    assert times((0, 3.0), (0, 3.1), (0, 3.5)) == [3.0, 3.1, 3.5]


def test_after_a_jump_the_recording_goes_on_with_the_next_frame() -> None:
    assert times((0, 3.0), (1, 90.0), (1, 90.1), (2, 1.0), (2, 1.3)) == [3.0, 3.1, 3.2, 3.3, 3.6]


def test_a_recording_follows_another_one_and_starts_anew(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    outputs = Outputs(lambda what, error: told.append((what, str(error))))
    settings = Settings.load(None, {})
    for name in ("a.mp4", "b.mp4"):
        outputs.record(tmp_path / name, settings, SOURCE)
        assert outputs.wants_overlay
        assert outputs.recording == tmp_path / name
        outputs.put(make_result(), SOURCE)
        outputs.record(tmp_path / name, settings, SOURCE)  # goes on, and is not overwritten
        outputs.put(make_result(1), SOURCE)
    with pytest.raises(SinkError):
        outputs.record(tmp_path / "no" / "c.mp4", settings, SOURCE)
    assert (outputs.recording, outputs.wants_overlay, told) == (None, False, [])
    assert (tmp_path / "a.mp4").stat().st_size > 0
    assert (tmp_path / "b.mp4").stat().st_size > 0
    outputs.close()
