"""Video files: the container's own times, exact seeks, and what is said of files that are missing, empty, broken or cut short."""

import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from drive_seg.contracts import Frame, Seekable
from drive_seg.errors import SourceError
from drive_seg.sources.file import FileSource
from drive_seg.sources.playback import Clock
from tests.sources.clips import DATA, cut, needs_data, picture, write_video


def play(path: Path) -> tuple[list[Frame], SourceError | None]:
    """All frames, and the error that they end with."""
    frames: list[Frame] = []
    with FileSource(path) as source:
        try:
            while frame := source.read():
                frames.append(frame)
        except SourceError as error:
            return frames, error
        assert source.read() is None
    return frames, None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_variable_rate_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    times_s = [0, 0.033, 0.066, 0.2, 0.4, 0.433, 1.0, 1.5, 1.533, 1.6]
    frames, error = play(write_video(tmp_path / f"drive{suffix}", times_s))
    assert error is None
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx(times_s, abs=0.0015)
    assert all(frame.image.shape == (64, 96, 3) and frame.decode_ms > 0 and frame.segment == 0 for frame in frames)


def test_what_the_container_says(tmp_path: Path) -> None:
    with FileSource(write_video(tmp_path / "drive.mp4", [i / 20 for i in range(40)])) as source:
        info = source.info
    assert (info.size_hw, info.live, info.frame_count, info.name) == ((64, 96), False, 40, str(tmp_path / "drive.mp4"))
    assert info.fps == pytest.approx(20, rel=0.03)


@needs_data
@pytest.mark.parametrize(
    ("name", "count", "fps"),
    [("kitti_2011_09_26_city", 78, 10), ("solidWhiteRight", 221, 25), ("vehicle_test_video", 38, 25)],
)
def test_real_drives(name: str, count: int, fps: int) -> None:
    frames, error = play(DATA / "video" / f"{name}.mp4")
    assert error is None
    assert [frame.time_s for frame in frames] == pytest.approx([i / fps for i in range(count)], abs=1e-6)


def test_rotation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.set_display_rotation(90)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(), format="bgr24")))
        container.mux(stream.encode(None))
    with FileSource(path) as source:
        frame = source.read()
        assert source.info.size_hw == (96, 64)
    assert frame is not None
    assert frame.image.shape == (96, 64, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cut_file_gives_what_is_there_and_then_says_how_much(tmp_path: Path, suffix: str) -> None:
    whole = write_video(tmp_path / f"drive{suffix}", [i / 30 for i in range(90)])
    frames, error = play(cut(whole))
    assert 10 < len(frames) < 80
    assert str(error) == f"{tmp_path / f'drive_cut{suffix}'}: cut short: {len(frames)} of 90 frames are there; copy or record it again"


def test_a_cut_avi(tmp_path: Path) -> None:
    whole = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64))
    for number in range(40):
        writer.write(picture(number))
    writer.release()
    assert play(whole)[1] is None
    frames, error = play(cut(whole))
    assert len(frames) >= 15
    assert "of 40 frames are there" in str(error)


def test_a_trimmed_phone_video_is_whole(tmp_path: Path) -> None:
    """Its edit list hides frames that its index counts."""
    whole, trimmed = write_video(tmp_path / "drive.mp4", [i / 30 for i in range(90)]), tmp_path / "trimmed.mp4"
    with av.open(str(whole)) as old, av.open(str(trimmed), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts - round(1 / packet.time_base), packet.dts - round(1 / packet.time_base)
                packet.stream = stream
                new.mux(packet)
    frames, error = play(trimmed)
    assert error is None
    assert len(frames) < 70


def test_a_file_without_its_index(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "drive.mp4", [i / 30 for i in range(90)], movflags="")
    with pytest.raises(SourceError, match=r"drive_cut\.mp4: cannot be played: not a video, or cut short"):
        FileSource(cut(whole))


def test_no_file_a_folder_nothing_and_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    for name, problem in {"none.mp4": "no such file; give", ".": "not a file", "empty.mp4": "is empty", "text.mp4": "not a video"}.items():
        with pytest.raises(SourceError, match=problem) as caught:
            FileSource(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_broken_pictures_within_make_no_noise(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_video(tmp_path / "drive.mp4", [i / 30 for i in range(60)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(data)
    frames, _ = play(path)
    assert len(frames) > 20
    assert capfd.readouterr().err == ""


def test_a_clock_grows_and_leaves_jumps_out() -> None:
    clock = Clock(0.1)
    at_s = (7, 7.05, 7.05, 7.04, 7.5, None, 7.8, 607.8, 607.9, 3.0, 3.1)
    ticks = [clock.tick(each) for each in at_s]
    assert [time_s for time_s, _ in ticks] == pytest.approx([0, 0.05, 0.15, 0.25, 0.5, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2])
    assert [segment for _, segment in ticks] == [0] * 7 + [1, 1, 2, 2]


def test_a_slow_series_has_no_jumps() -> None:
    clock = Clock(60.0)
    assert [clock.tick(60.0 * number) for number in range(4)] == [(60.0 * number, 0) for number in range(4)]


EVEN = tuple(i / 30 for i in range(300))
UNEVEN = (
    *(0, 0.033, 0.066, 0.2, 0.4, 0.433, 1.0, 1.5),
    *(2 + i / 5 for i in range(20)),
    *(8 + i / 50 for i in range(300)),
)  # most in a row


def check_seek(source: FileSource, frames: Sequence[Frame], target: int) -> None:
    """What comes then is what came when these frames were read in their order."""
    there = min(max(target, 0), len(frames) - 1)
    source.seek(target)
    for expected in frames[there : there + 2]:
        frame = source.read()
        assert frame is not None
        assert (frame.index, frame.time_s, frame.segment) == (expected.index, expected.time_s, 0)
        assert np.array_equal(frame.image, expected.image)


def check_seeks(path: Path) -> list[Frame]:
    """From the opening on, after the end, forward, backward and out of bounds. Returns all frames."""
    frames, _ = play(path)
    last = len(frames) - 1
    targets = random.Random(0).choices(range(last + 1), k=8)
    with FileSource(path) as source:
        assert isinstance(source, Seekable)
        for target in (*targets, 0, last, 1, last - 1, -3):
            check_seek(source, frames, target)
        with suppress(SourceError):  # a file that was cut short says so here too
            while source.read():
                pass
        for target in targets[:4]:
            check_seek(source, frames, target)
    return frames


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts"])
@pytest.mark.parametrize("times_s", [EVEN, UNEVEN])
def test_a_seek_is_exact_at_even_and_uneven_rates(tmp_path: Path, suffix: str, times_s: Sequence[float]) -> None:
    check_seeks(write_video(tmp_path / f"drive{suffix}", times_s))


@needs_data
@pytest.mark.parametrize("name", ["kitti_2011_09_26_city", "solidWhiteRight", "vehicle_test_video"])
def test_a_seek_is_exact_in_real_drives(name: str) -> None:
    """Few of them: each decodes the whole group, up to 78 pictures of 1242x375."""
    frames, _ = play(DATA / "video" / f"{name}.mp4")
    with FileSource(DATA / "video" / f"{name}.mp4") as source:
        for target in (len(frames) * 2 // 3, 35, 10**6):
            check_seek(source, frames, target)


@pytest.mark.parametrize("codec", ["MJPG", "mp4v"])
def test_a_seek_is_exact_in_an_avi(tmp_path: Path, codec: str) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "drive.avi"), cv2.VideoWriter.fourcc(*codec), 10, (96, 64))
    for number in range(100):
        writer.write(picture(number))
    writer.release()
    check_seeks(tmp_path / "drive.avi")


def write_bare(path: Path) -> Path:
    """Of open groups."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"x264-params": "open-gop=1:keyint=25:bframes=4"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for number in range(150):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def test_a_seek_is_exact_where_packets_have_no_times_and_key_frames_lead_nowhere(tmp_path: Path) -> None:
    """A bare H.264 stream, and one of open groups, whose key frames are followed by frames shown before them."""
    for name in ("bare.h264", "open.mkv"):
        check_seeks(write_bare(tmp_path / name))


def test_a_seek_is_exact_in_what_is_left_of_a_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "drive.mp4", EVEN)
    left = check_seeks(cut(path))
    with FileSource(cut(path)) as source:
        check_seek(source, left, 10**6)  # the last frame that can be decoded


def test_a_hole_is_gone_over_and_told(tmp_path: Path) -> None:
    """What lies behind it has the index and the time that it has in the whole file, read or seeked."""
    path = write_video(tmp_path / "drive.mp4", EVEN)
    whole, _ = play(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8000] = bytes(8000)
    path.write_bytes(data)
    left, error = play(path)
    assert error is None
    assert 200 < len(left) < 300
    assert [(frame.time_s, frame.segment) for frame in left] == [(whole[frame.index].time_s, 0) for frame in left]
    with FileSource(path) as source:
        for target in (295, 10**6, 40):
            check_seek(source, whole, target)
        gone = next(index for index in range(300) if index not in {frame.index for frame in left})
        source.seek(gone)
        frame = source.read()
        assert frame is not None
        assert frame.index == min(each.index for each in left if each.index > gone)


def test_reading_on_after_a_seek_ends_as_it_would_have(tmp_path: Path) -> None:
    path = write_video(tmp_path / "drive.mp4", EVEN)
    with FileSource(path) as source:
        source.seek(280)
        assert [frame.index for frame in iter(source.read, None)] == list(range(280, 300))
    with FileSource(cut(path)) as source:
        source.seek(10**9)
        frame = source.read()
        assert frame is not None
        with pytest.raises(SourceError, match=f"cut short: {frame.index + 1} of 300 frames are there"):
            source.read()


def test_a_file_that_is_gone_cannot_be_gone_back_in(tmp_path: Path) -> None:
    path = write_bare(tmp_path / "drive.h264")
    with FileSource(path) as source:
        source.seek(20)
        path.unlink()
        with pytest.raises(SourceError, match=r"drive\.h264: no such file"):
            source.seek(0)


def test_a_track_of_a_codec_that_nobody_knows(tmp_path: Path) -> None:
    path = write_video(tmp_path / "drive.mp4", [index / 30 for index in range(6)])
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(SourceError, match=r"drive\.mp4: it holds no picture that can be decoded here, only video; convert it"):
        FileSource(path)
