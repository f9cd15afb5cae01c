"""Recordings: the times and pictures that come back, and what survives a kill and a full disk."""

import resource
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from drive_seg.contracts import Frame, Image, Result
from drive_seg.errors import SinkError, UsageError
from drive_seg.sinks.recorder import Recorder, fit
from drive_seg.sinks.timeline import Timeline
from drive_seg.sources.file import FileSource
from drive_seg.workers import Overflow
from tests.fakes import make_result
from tests.sources.clips import picture
from tests.waiting import PATIENCE_S, until

ROOT = Path(__file__).parents[2]


def result(index: int, time_s: float, overlay: Image | None = None) -> Result:
    made = make_result(index, picture(99))
    return replace(made, frame=replace(made.frame, time_s=time_s), overlay=picture(index) if overlay is None else overlay)


def record(path: Path, times_s: list[float]) -> Path:
    with closing(Recorder(path, fps_hint=30)) as recorder:
        for index, time_s in enumerate(times_s):
            recorder.put(result(index, time_s))
    return path


def play(path: Path) -> tuple[list[float], list[Image]]:
    with FileSource(path) as source:
        frames = list(iter(source.read, None))
    return [frame.time_s for frame in frames if frame], [frame.image for frame in frames if frame]


def key_times_s(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [
            float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.pts is not None and packet.is_keyframe
        ]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_overlay_comes_back_at_its_times(tmp_path: Path, suffix: str) -> None:
    times_s = [5.0, 5.033, 5.066, 5.2, 5.4, 6.0, 6.9, 7.0, 7.05, 7.3]
    times, images = play(record(tmp_path / f"out{suffix}", times_s))
    assert times == pytest.approx([time_s - 5 for time_s in times_s], abs=0.0015)
    for index, image in enumerate(images):
        assert np.abs(image.astype(int) - picture(index)).mean() < 25
        assert np.abs(image.astype(int) - picture(index)).mean() < np.abs(image.astype(int) - picture(index + 1)).mean() / 2


def test_times_that_stand_still_or_go_back_still_grow(tmp_path: Path) -> None:
    times, _ = play(record(tmp_path / "out.mp4", [0.0, 0.1, 0.1, 0.05, 0.2]))
    assert len(times) == 5
    assert all(a < b for a, b in pairwise(times))
    assert times[-1] == pytest.approx(0.2)


def test_a_player_can_seek_to_every_second(tmp_path: Path) -> None:
    keys = key_times_s(record(tmp_path / "out.mp4", [i / 8 for i in range(40)]))
    assert keys == pytest.approx([0, 1, 2, 3, 4])


def test_sizes(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with closing(Recorder(path)) as recorder:
        for index, size_hw in enumerate([(63, 95), (63, 95), (32, 32), (200, 100)]):
            recorder.put(result(index, index / 10, np.full((*size_hw, 3), 200, np.uint8)))
    _, images = play(path)
    assert {image.shape for image in images} == {(64, 96, 3)}
    assert images[1].min() > 180  # padded with its own edge
    assert images[2][:, :12].max() < 30  # black beside a square
    assert images[2][:, 20:76].min() > 180


def test_fit() -> None:
    image = picture()
    assert fit(image, (64, 96)) is image
    assert fit(image[:, ::-1], (64, 96)).flags.c_contiguous
    assert (fit(image[:63, :95], (64, 96))[:63, :95] == image[:63, :95]).all()


def test_a_result_without_an_overlay_records_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with closing(Recorder(path)) as recorder:
        recorder.put(replace(result(0, 0), overlay=None))
    assert np.abs(play(path)[1][0].astype(int) - picture(99)).mean() < 25


@pytest.mark.parametrize("name", ["out.avi", "out", "out.webm"])
def test_another_suffix_names_those_accepted(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}: recordings end with \.mp4, \.mov, \.mkv"):
        Recorder(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"out\.mp4: cannot be written: No such file or directory; make its folder first"):
        Recorder(tmp_path / "none" / "out.mp4")


def test_no_frame_leaves_no_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "out.mp4")
    recorder.close()
    recorder.close()
    assert not (tmp_path / "out.mp4").exists()
    with pytest.raises(SinkError, match="is closed already"):
        recorder.put(result(0, 0))


def test_a_live_recording_that_cannot_keep_up_says_so(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "out.mp4", overflow=Overflow.DROP_OLDEST)
    big = np.zeros((1080, 1920, 3), np.uint8)
    for index in range(40):
        recorder.put(result(index, index / 30, big))
    recorder.close()
    assert recorder.dropped > 0
    times, _ = play(tmp_path / "out.mp4")
    assert len(times) + recorder.dropped == 40


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.mp4"
    path.symlink_to("/dev/full")
    recorder = Recorder(path)

    def record_on() -> None:
        until(lambda: recorder.put(result(0, time.monotonic())))

    with pytest.raises(SinkError, match=r"out\.mp4: cannot be written: No space left on device; free space"):
        record_on()
    recorder.close()
    assert capfd.readouterr().err == ""


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that has `record(path, index)` at hand: noisy pictures at 30 fps."""
    prelude = """
    import signal, sys
    import numpy as np
    from drive_seg.sinks.recorder import Recorder
    from tests.sinks.test_recorder import result
    rng = np.random.default_rng(0)
    recorder = Recorder(sys.argv[1], 30)
    def record(index):
        recorder.put(result(index, index / 30, rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)))
    """
    command = [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_killed_recording_plays_up_to_its_last_second(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    code = """
    import time
    for index in range(150):  # 5 s
        record(index)
    while recorder._mailbox._items:
        time.sleep(0.01)
    print("recorded", flush=True)
    time.sleep(1000)
    """
    with child(code, path) as process:
        assert process.stdout
        assert process.stdout.readline() == "recorded\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not path.exists()
    times, _ = play(path.with_name(f"{path.name}.part"))
    assert times[-1] > 4.5
    assert times == pytest.approx([i / 30 for i in range(len(times))], abs=0.001)


def test_what_was_recorded_before_the_disk_was_full_plays(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    code = f"""
    import resource
    from drive_seg.errors import SinkError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, {resource.RLIM_INFINITY}))
    try:
        for index in range(1000):
            record(index)
    except SinkError as error:
        print(error)
    recorder.close()
    """
    with child(code, path) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    part = path.with_name(f"{path.name}.part")
    assert out == f"{part}: cannot be written: File too large; free space there, or choose another place\n"
    assert not path.exists()
    with FileSource(part) as source:
        frames = [source.read() for _ in range(10)]
    assert all(frames)


@pytest.mark.parametrize("size_hw", [(64, 96), (720, 1280)])
def test_colours_come_back_and_are_tagged(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    """Whatever its size: a player that is told nothing guesses by that."""
    colour = np.full((*size_hw, 3), (50, 20, 200), np.uint8)
    path = tmp_path / "out.mp4"
    with closing(Recorder(path)) as recorder:
        for index in range(2):
            recorder.put(result(index, index / 30, colour))
    _, images = play(path)
    assert np.abs(images[0].reshape(-1, 3).mean(0) - (50, 20, 200)).max() < 6
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)


def times(*frames: tuple[int, float]) -> list[float]:
    timeline, image = Timeline(10.0), np.zeros((2, 2, 3), np.uint8)
    return [round(timeline.time_s(Frame(image, 0, time_s, segment=segment)), 6) for segment, time_s in frames]


def test_a_drive_that_is_played_through_keeps_its_times() -> None:
    assert times((0, 3.0), (0, 3.1), (0, 3.5)) == [3.0, 3.1, 3.5]


def test_after_a_jump_the_recording_goes_on_with_the_next_frame() -> None:
    assert times((0, 3.0), (1, 90.0), (1, 90.1), (2, 1.0), (2, 1.3)) == [3.0, 3.1, 3.2, 3.3, 3.6]
