"""The kinds of video files that people have: what of each is shown, and when."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from drive_seg import cli
from drive_seg.contracts import Frame, Image
from drive_seg.errors import SourceError
from drive_seg.sources.appearance import PQ, linear_light, shown_hw, turned
from drive_seg.sources.file import FileSource
from tests.sources.clips import picture


def play(path: Path) -> tuple[list[Frame], str]:
    """All frames, and the note about them."""
    with FileSource(path) as source:
        frames = list(iter(source.read, None))
        return [frame for frame in frames if frame], source.note


def track(container: Any, codec: str = "libx264", size_hw: tuple[int, int] = (64, 96), **how: Any) -> av.VideoStream:
    stream = container.add_stream(codec, rate=30, options=how.pop("options", {}))
    stream.height, stream.width = size_hw
    stream.pix_fmt = how.pop("pix_fmt", "yuv420p")
    for name, value in how.items():
        setattr(stream.codec_context, name, value)
    return stream


def frame_of(image: Image, number: int, **tags: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, format="bgr24")
    frame.pts, frame.time_base = number, Fraction(1, 30)
    for name, value in tags.items():
        setattr(frame, name, value)
    return frame


def mux(container: Any, stream: av.VideoStream, frames: Sequence[av.VideoFrame]) -> None:
    for frame in frames:
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write(path: Path, images: Sequence[Image], prepare: Callable[[av.VideoStream], None] = lambda stream: None, **how: Any) -> Path:
    with av.open(str(path), "w") as container:
        stream = track(container, size_hw=(images[0].shape[0], images[0].shape[1]), **how)
        prepare(stream)
        mux(container, stream, [frame_of(image, number) for number, image in enumerate(images)])
    return path


def difference(a: Image, b: Image) -> float:
    return float(np.abs(a.astype(int) - b).mean())


DRIVE = [picture(number) for number in range(30)]


# ---- fields


@pytest.mark.parametrize(("codec", "options"), [("libx264", {"x264-params": "tff=1"}), ("mpeg2video", {"flags": "+ildct+ilme", "b": "2M"})])
def test_interlaced_pictures_are_shown_without_comb_teeth(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    """A bar that moves on from field to field, so that woven as they are its edges are teeth."""

    def bar(at: int) -> Image:
        image = np.full((64, 96, 3), 40, np.uint8)
        image[:, at : at + 16] = 220
        return image

    def woven(number: int) -> Image:
        image = bar(8 * number + 4)
        image[::2] = bar(8 * number)[::2]
        return image

    path = tmp_path / "camcorder.ts"
    with av.open(str(path), "w") as container:
        stream = track(container, codec, options=options)
        frames = [frame_of(woven(number), number) for number in range(9)]
        mux(container, stream, frames)
    frames_, note = play(path)
    assert note == ""
    assert [frame.index for frame in frames_] == list(range(9))
    assert [frame.time_s for frame in frames_] == pytest.approx([number / 30 for number in range(9)], abs=1e-3)
    for number, frame in enumerate(frames_):
        rows = frame.image[8:56].astype(int)
        teeth = np.abs(np.diff(rows, axis=0)).mean()
        assert teeth < 0.5 * np.abs(np.diff(woven(number)[8:56].astype(int), axis=0)).mean()
        assert 40 < frame.image.mean() < 130  # never black
    with FileSource(path) as source:
        for target in (5, 2, 8, 0):
            source.seek(target)
            frame = source.read()
            assert frame is not None
            assert frame.index == target
            assert np.array_equal(frame.image, frames_[target].image)


# ---- damage


@pytest.mark.parametrize("by", [bytes(256), b"\xff" * 8])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_damage_is_gone_over_and_told(tmp_path: Path, by: bytes, share: float) -> None:
    path = write(tmp_path / "drive.mp4", [picture(number % 7, (180, 240)) for number in range(60)])
    data = bytearray(path.read_bytes())
    data[int(len(data) * share) : int(len(data) * share) + len(by)] = by
    path.write_bytes(data)
    frames, note = play(path)
    assert len(frames) >= 55
    assert frames[-1].index >= 57
    if len(frames) < 60:
        lost = 60 - len(frames)
        assert note.startswith(f"{path}: ")
        assert int(note.removeprefix(f"{path}: ").split(" frame")[0]) >= lost


def test_a_whole_file_has_no_damage(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "libx264"), ("a.ts", "libx264"), ("a.webm", "libvpx"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4")):
        options = {"auto-alt-ref": "1", "lag-in-frames": "8"} if "vpx" in codec else {}
        frames, note = play(write(tmp_path / name, DRIVE * 2, codec=codec, options=options))
        assert ([frame.index for frame in frames], note) == (list(range(60)), ""), name


# ---- colours


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_what_their_tags_say(tmp_path: Path, matrix: str, full: bool) -> None:
    codes = {"bt709": 1, "smpte170m": 6, "bt2020nc": 9}
    swscale = {"bt709": 1, "smpte170m": 5, "bt2020nc": 9}
    colour = np.full((64, 96, 3), (50, 20, 200), np.uint8)
    path = tmp_path / "colour.mp4"
    with av.open(str(path), "w") as container:
        stream = track(container, colorspace=codes[matrix], color_range=2 if full else 1, options={"crf": "1"})
        frames = []
        for number in range(3):
            frame = frame_of(colour, number).reformat(format="yuv420p", dst_colorspace=swscale[matrix], dst_color_range=2 if full else 1)
            frame.colorspace, frame.color_range = codes[matrix], 2 if full else 1
            frames.append(frame)
        mux(container, stream, frames)
    frames_, _ = play(path)
    assert np.abs(frames_[1].image.reshape(-1, 3).mean(0) - (50, 20, 200)).max() < 6


@pytest.mark.parametrize(("size_hw", "matrix"), [((64, 96), 5), ((720, 1280), 1)])
def test_without_tags_hd_is_bt709_and_sd_bt601(tmp_path: Path, size_hw: tuple[int, int], matrix: int) -> None:
    colour = np.full((*size_hw, 3), (50, 20, 200), np.uint8)
    path = tmp_path / "colour.mp4"
    with av.open(str(path), "w") as container:
        stream = track(container, size_hw=size_hw, options={"crf": "1"})
        frame = frame_of(colour, 0).reformat(format="yuv420p", dst_colorspace=matrix)
        frame.colorspace = 2
        mux(container, stream, [frame])
    frames, _ = play(path)
    assert np.abs(frames[0].image.reshape(-1, 3).mean(0) - (50, 20, 200)).max() < 6


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_brought_into_range_without_delay(tmp_path: Path, transfer: int) -> None:
    """White, which HDR puts far below its brightest, is bright, grey stays grey, and what is darker stays darker."""
    ramp = np.repeat(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = track(container, colorspace=9, color_primaries=9, color_trc=transfer, color_range=1, options={"crf": "1"})
        frames = []
        for number in range(30):
            frame = frame_of(ramp, number).reformat(format="yuv420p", dst_colorspace=9, dst_color_range=1)
            frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = 9, 9, transfer, 1
            frames.append(frame)
        mux(container, stream, frames)
    frames_, note = play(path)
    assert (len(frames_), note) == (30, "")
    assert max(frame.decode_ms for frame in frames_) < 4000
    row = frames_[0].image[32].astype(int)
    assert np.ptp(row, axis=1).max() <= 14  # 8 bits are few for it
    assert (np.diff(row[:, 1]) >= -3).all()
    white = round(0.58 * 95) if transfer == 16 else round(0.75 * 95)  # BT.2408
    assert 190 < row[white, 1] <= 255
    assert row[5, 1] < 30


def test_light_grows_with_the_value_and_fits() -> None:
    for transfer in (PQ, 18, 1):
        light = linear_light(transfer)
        assert (np.diff(light) >= 0).all()
        assert light[0] == pytest.approx(0, abs=1e-3)
        assert light[-1] == pytest.approx(1, abs=1e-6)
    assert linear_light(PQ)[100] == pytest.approx(10_000 * 0.0032 / 203, rel=0.1)  # ST 2084: a code value of .392 is 32 nits


# ---- shape


@pytest.mark.parametrize(
    ("stored", "pixel", "shown"),
    [
        ((360, 240), Fraction(2), (360, 480)), ((360, 480), Fraction(1, 2), (720, 480)), ((576, 720), Fraction(16, 15), (576, 768)),
        ((360, 480), Fraction(1), (360, 480)), ((360, 480), None, (360, 480)), ((360, 480), Fraction(100), (360, 480)),
    ],
)  # fmt: skip
def test_the_size_with_square_pixels(stored: tuple[int, int], pixel: Fraction | None, shown: tuple[int, int]) -> None:
    assert shown_hw(stored, pixel) == shown


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("ratio", [Fraction(2), Fraction(1, 2)])
def test_pixels_become_square(tmp_path: Path, suffix: str, ratio: Fraction) -> None:
    wide = picture(3, (96, 96))
    stored = cv2.resize(wide, (48, 96) if ratio > 1 else (96, 48), interpolation=cv2.INTER_AREA)
    path = write(tmp_path / f"dv{suffix}", [np.asarray(stored, np.uint8)] * 5, sample_aspect_ratio=ratio)
    with FileSource(path) as source:
        assert source.info.size_hw == (96, 96)
    frames, _ = play(path)
    assert difference(frames[2].image, wide) < 20


ONE, ZERO, LAST = 1 << 16, 0, 1 << 30
MATRICES: dict[str, tuple[tuple[int, int, int, int], Callable[[Image], Image]]] = {
    "as it is": ((1, 0, 0, 1), lambda image: image),
    "mirrored": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down and mirrored": ((1, 0, 0, -1), lambda image: image[::-1]),
    "half a turn": ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
    "a quarter clockwise": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "a quarter the other way": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "transposed": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "transposed the other way": ((0, -1, -1, 0), lambda image: np.rot90(image.transpose(1, 0, 2), 2)),
}


@pytest.mark.parametrize("how", MATRICES)
def test_a_display_matrix_turns_and_mirrors(tmp_path: Path, how: str) -> None:
    (a, b, c, d), expected = MATRICES[how]
    image = picture(5)
    assert np.array_equal(turned(image, (a * ONE, b * ONE, c * ONE, d * ONE)), expected(image))
    path = tmp_path / "phone.mp4"
    matrix = [a * ONE, b * ONE, ZERO, c * ONE, d * ONE, ZERO, ZERO, ZERO, LAST]
    write(path, [image] * 3, lambda stream: stream.set_display_matrix(matrix))
    with FileSource(path) as source:
        frame = source.read()
        assert source.info.size_hw == expected(image).shape[:2]
    assert frame is not None
    assert difference(frame.image, expected(image)) < 12


# ---- tracks


def test_a_thumbnail_before_the_drive_is_not_played(tmp_path: Path) -> None:
    path = tmp_path / "action.mov"
    with av.open(str(path), "w") as container:
        thumb = track(container, "mjpeg", (32, 48), pix_fmt="yuvj420p")
        drive = track(container)
        mux(container, thumb, [frame_of(picture(99, (32, 48)), 0)])
        mux(container, drive, [frame_of(image, number) for number, image in enumerate(DRIVE)])
    frames, _ = play(path)
    assert len(frames) == 30
    assert frames[0].image.shape == (64, 96, 3)


def test_of_two_drives_the_one_that_is_marked_is_played(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        rear, front = track(container, size_hw=(64, 64)), track(container)
        rear.disposition, front.disposition = 0, av.stream.Disposition.default
        for stream in (rear, front):
            mux(container, stream, [frame_of(picture(number, (64, stream.width)), number) for number in range(10)])
    with FileSource(path) as source:
        assert source.info.size_hw == (64, 96)


def test_sound_alone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        mux_sound(container, container.add_stream("aac", rate=8000, layout="mono"), 1)
    with pytest.raises(SourceError, match="holds no picture that can be decoded here, only "):
        FileSource(path)


def mux_sound(container: Any, stream: av.AudioStream, seconds: int) -> None:
    for number in range(stream.rate * seconds // 1000):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = stream.rate, 1000 * number, Fraction(1, stream.rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@pytest.mark.parametrize("suffix", [".ts", ".flv", ".mp4", ".mkv"])
def test_sound_that_goes_on_longer_than_the_picture_cuts_nothing_short(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"long{suffix}"
    with av.open(str(path), "w") as container:
        stream, sound = track(container), container.add_stream("aac", rate=44100 if suffix == ".flv" else 8000, layout="mono")
        mux(container, stream, [frame_of(image, number) for number, image in enumerate(DRIVE)])
        mux_sound(container, sound, 6)
    frames, note = play(path)
    assert (len(frames), note) == (30, "")


# ---- changes on the way


@pytest.mark.parametrize("sizes", [((64, 96), (80, 160)), ((80, 160), (64, 96))])
def test_a_size_that_changes_on_the_way_is_the_frames_own(tmp_path: Path, sizes: Sequence[tuple[int, int]]) -> None:
    """Two recordings, one after the other in one transport stream: their times begin anew too."""
    path = tmp_path / "both.ts"
    parts = [write(tmp_path / f"{n}.ts", [picture(number, size_hw) for number in range(15)]) for n, size_hw in enumerate(sizes)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, note = play(path)
    assert [frame.image.shape[:2] for frame in frames] == [sizes[0]] * 15 + [sizes[1]] * 15
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx([number / 30 for number in range(30)], abs=2e-3)
    assert note == ""
    with FileSource(path) as source:
        for target in (20, 3):
            source.seek(target)
            frame = source.read()
            assert frame is not None
            assert (frame.index, frame.time_s, frame.segment) == (target, frames[target].time_s, frames[target].segment)
            assert np.array_equal(frame.image, frames[target].image)


@pytest.mark.parametrize("suffix", [".ts", ".mp4", ".mkv"])
def test_a_hole_in_time_is_a_new_segment_and_no_wait(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"jump{suffix}"
    with av.open(str(path), "w") as container:
        stream = track(container)
        mux(container, stream, [frame_of(image, number + (18_000 if number >= 15 else 0)) for number, image in enumerate(DRIVE)])
    frames, _ = play(path)
    assert [frame.segment for frame in frames] == [0] * 15 + [1] * 15
    assert [frame.time_s for frame in frames] == pytest.approx([number / 30 for number in range(30)], abs=2e-3)
    with FileSource(path) as source:
        source.seek(20)
        frame = source.read()
    assert frame is not None
    assert (frame.index, frame.time_s, frame.segment) == (20, frames[20].time_s, 1)
    assert np.array_equal(frame.image, frames[20].image)


def test_damage_is_told_at_the_end_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "drive.mp4", [picture(number, (180, 240)) for number in range(20)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    _, note = play(path)
    assert note
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "--headless", "--video", str(path), "--backend", "openvino", "--threads", "1"])
    assert end.value.code == 0
    assert note in capsys.readouterr().err.splitlines()
