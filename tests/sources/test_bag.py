"""A camera in a ROS 2 bag: its pictures in every encoding, its times, its topics, exact frames, and bags that are damaged."""

import tracemalloc
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from drive_seg.contracts import Frame, Seekable, SourceInfo
from drive_seg.errors import SourceError
from drive_seg.sinks.bag import BagRecorder
from drive_seg.sources import files_of, open_source
from drive_seg.sources.bag import image_of
from tests.fakes import make_result
from tests.sources.bags import COMPRESSED, EPOCH_NS, HEADER, IMAGE, STRING, raw, write_bag
from tests.sources.clips import picture

FRONT, REAR = "/front/image_raw", "/rear/compressed"


def grey(value: int) -> np.ndarray:
    return np.full((8, 12, 3), value, np.uint8)


def compressed(image: np.ndarray, suffix: str = ".png") -> dict[str, Any]:
    return {"header": HEADER, "format": suffix[1:], "data": cv2.imencode(suffix, image)[1].tobytes()}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Ten frames of two cameras, the front's not in order in the file, with other messages between."""
    order = [0, 1, 3, 2, 4, 5, 6, 7, 8, 9]
    messages = [
        message
        for n in order
        for message in (
            ("/talk", STRING, n / 10, {"data": "x" * 500}),
            (FRONT, IMAGE, n / 10, raw(grey(20 * n), "bgr8")),
            (REAR, COMPRESSED, n / 10 + 0.03, compressed(grey(200 - n))),
        )
    ]
    write_bag(tmp_path / "bag.mcap", messages)
    return tmp_path / "bag.mcap"


def play(uri: str, frames: list[Frame] | None = None) -> list[Frame]:
    """Appends them to `frames`, which holds those before a failure."""
    frames = [] if frames is None else frames
    with open_source(uri) as source:
        while frame := source.read():
            frames.append(frame)
    return frames


def test_frames_come_in_the_order_of_their_times_with_the_bags_own(bag: Path) -> None:
    with open_source(f"{bag}?topic={FRONT}") as source:
        frames = list(iter(source.read, None))
        assert source.info.frame_count == 10
        assert source.info.fps == pytest.approx(10)
        assert source.info.epoch_ns == EPOCH_NS
        assert not source.info.live
    assert [frame.image[0, 0, 0] for frame in frames] == [20 * n for n in range(10)]
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 10 for n in range(10)])
    assert files_of(f"{bag}?topic={FRONT}") == [bag]


def test_it_goes_to_any_frame(bag: Path) -> None:
    with open_source(f"{bag}?topic={REAR}") as source:
        assert isinstance(source, Seekable)
        for index in (7, 0, 9, 3, 3, 99):
            source.seek(index)
            frame = source.read()
            assert frame is not None
            assert (frame.index, frame.image[0, 0, 0]) == (min(index, 9), 200 - min(index, 9))


def test_frames_of_one_nanosecond_are_told_apart(tmp_path: Path) -> None:
    write_bag(tmp_path / "b.mcap", [(FRONT, IMAGE, n // 2, raw(grey(n), "bgr8")) for n in range(6)])
    with open_source(f"{tmp_path / 'b.mcap'}") as source:
        assert isinstance(source, Seekable)
        source.seek(3)
        frame = source.read()
        assert frame is not None
        assert frame.image[0, 0, 0] == 3


def test_which_topic_has_to_be_said_where_there_are_two(bag: Path) -> None:
    with pytest.raises(SourceError, match=rf"{FRONT}, {REAR}; choose one, as in '.*\?topic={FRONT}'"):
        open_source(f"{bag}")
    with pytest.raises(SourceError, match=f"no images under /talk; topics with images: {FRONT}, {REAR}"):
        open_source(f"{bag}?topic=/talk")


def test_a_camera_is_proposed_and_not_what_programs_read(tmp_path: Path) -> None:
    with closing(BagRecorder(tmp_path / "own.mcap", SourceInfo("fake", (48, 64), 30.0, False, None))) as sink:
        sink.put(make_result(0))
    with pytest.raises(SourceError, match=r"/drive_seg/labels, /drive_seg/overlay; choose one, as in '.*\?topic=/drive_seg/overlay'"):
        open_source(f"{tmp_path / 'own.mcap'}")
    write_bag(tmp_path / "b.mcap", [(topic, IMAGE, 0, raw(grey(9), "bgr8")) for topic in ("/cam/depth/image", "/cam/image_raw")])
    with pytest.raises(SourceError, match=r"as in '.*\?topic=/cam/image_raw'"):
        open_source(f"{tmp_path / 'b.mcap'}")


def test_a_bag_without_a_camera_says_so(tmp_path: Path) -> None:
    write_bag(tmp_path / "b.mcap", [("/talk", STRING, 0, {"data": "x"})])
    with pytest.raises(SourceError, match="no topic with"):
        open_source(f"{tmp_path / 'b.mcap'}")


ENCODINGS = {
    "bgr8": lambda image: image,
    "rgb8": lambda image: image[..., ::-1],
    "bgra8": lambda image: np.dstack([image, image[..., 0]]),
    "rgba8": lambda image: np.dstack([image[..., ::-1], image[..., 0]]),
    "bgr16": lambda image: image.astype("<u2") * 256 + 9,
    "rgb16": lambda image: image[..., ::-1].astype("<u2") * 256 + 9,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_raw_images_of_colour(tmp_path: Path, encoding: str) -> None:
    image = picture(1)
    stored = np.ascontiguousarray(ENCODINGS[encoding](image))
    write_bag(tmp_path / "b.mcap", [(FRONT, IMAGE, 0, raw(stored, encoding, step=stored.nbytes // len(stored) + 10))])
    (frame,) = play(f"{tmp_path / 'b.mcap'}")
    assert np.array_equal(frame.image, image)


def test_raw_images_of_grey_and_of_other_byte_orders(tmp_path: Path) -> None:
    image = picture(1)[..., 0]
    forms = [
        (image, "mono8", 0),
        ((image * np.uint16(256)).astype("<u2"), "mono16", 0),
        ((image * np.uint16(256)).astype(">u2"), "mono16", 1),
    ]
    write_bag(tmp_path / "b.mcap", [(FRONT, IMAGE, n, raw(one, name, big=big)) for n, (one, name, big) in enumerate(forms)])
    for frame in play(f"{tmp_path / 'b.mcap'}"):
        assert np.array_equal(frame.image, np.dstack([image] * 3))


@pytest.mark.parametrize("encoding", ["uyvy", "yuv422_yuy2", "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"])
def test_raw_images_as_sensors_give_them_keep_their_colour(tmp_path: Path, encoding: str) -> None:
    """An even orange, so that the mosaic's blur does not matter; red and blue changed round would be 150 apart."""
    blue, green, red = 40, 120, 220
    if encoding.startswith("bayer"):
        cells = {"r": red, "g": green, "b": blue}
        pattern = [cells[letter] for letter in encoding.removeprefix("bayer_").removesuffix("8")]
        stored = np.tile(np.array(pattern, np.uint8).reshape(2, 2), (16, 16))
    else:
        y, cr, cb = (int(v) for v in cv2.cvtColor(np.uint8([[[blue, green, red]]]), cv2.COLOR_BGR2YCrCb)[0, 0])
        y, cb, cr = round(y * 219 / 255 + 16), round((cb - 128) * 224 / 255 + 128), round((cr - 128) * 224 / 255 + 128)
        order = [cb, y, cr, y] if encoding == "uyvy" else [y, cb, y, cr]
        stored = np.tile(np.array(order, np.uint8).reshape(1, 2, 2), (32, 16, 1))
    write_bag(tmp_path / "b.mcap", [(FRONT, IMAGE, 0, raw(stored, encoding))])
    (frame,) = play(f"{tmp_path / 'b.mcap'}")
    assert frame.image.shape == (32, 32, 3)
    assert np.abs(frame.image[8:24, 8:24].reshape(-1, 3).mean(0) - (blue, green, red)).max() < 12


def test_what_is_no_picture_is_left_out_and_told(tmp_path: Path) -> None:
    depth = raw(np.zeros((4, 4), np.float32), "32FC1")
    short = {**raw(grey(9), "bgr8"), "height": 4000}
    write_bag(
        tmp_path / "b.mcap", [(FRONT, IMAGE, n, one) for n, one in enumerate([raw(grey(1), "bgr8"), depth, short, raw(grey(2), "bgr8")])]
    )
    with open_source(f"{tmp_path / 'b.mcap'}") as source:
        frames = list(iter(source.read, None))
        assert "image 1 is '32FC1'" in source.note  # type: ignore[attr-defined]
        assert "1 more" in source.note  # type: ignore[attr-defined]
    assert [frame.index for frame in frames] == [0, 3]


def test_a_single_row_takes_no_memory_for_the_step_that_it_claims() -> None:
    claimed = {"height": 1, "width": 4, "step": 2**32 - 1, "encoding": "mono8", "is_bigendian": 0, "data": bytes(range(4))}
    tracemalloc.start()
    assert image_of(IMAGE, SimpleNamespace(**claimed))[0, :, 0].tolist() == [0, 1, 2, 3]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 20


@pytest.mark.parametrize("content", [b"", b"x", b"SQLite format 3\0" * 99])
def test_what_is_no_bag_of_that_kind_is_called_that(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "b.mcap").write_bytes(content)
    with pytest.raises(SourceError, match=r"b\.mcap: is no MCAP file; give"):
        open_source(str(path))


def test_one_with_nothing_that_can_be_shown_says_why(tmp_path: Path) -> None:
    write_bag(tmp_path / "b.mcap", [(FRONT, IMAGE, 0, raw(np.zeros((4, 4), np.float32), "32FC1"))])
    with pytest.raises(SourceError, match=r"no image under /front/image_raw can be read.*32FC1"):
        open_source(f"{tmp_path / 'b.mcap'}")


def test_one_that_was_never_finished_plays_to_its_end(tmp_path: Path) -> None:
    """As a recorder that was killed leaves it: no index, no count."""
    write_bag(tmp_path / "b.mcap", [(FRONT, IMAGE, n, raw(grey(n), "bgr8")) for n in range(60)], finish=False)
    with open_source(f"{tmp_path / 'b.mcap'}") as source:
        assert source.info.frame_count is None
    seen: list[Frame] = []
    with pytest.raises(SourceError, match="cut short after"):
        play(f"{tmp_path / 'b.mcap'}", seen)
    assert len(seen) > 20
    with open_source(f"{tmp_path / 'b.mcap'}") as source:
        assert isinstance(source, Seekable)
        source.seek(17)
        frame = source.read()
        assert frame is not None
        assert frame.image[0, 0, 0] == 17
    assert [frame.image[0, 0, 0] for frame in seen] == list(range(len(seen)))


@pytest.mark.parametrize("keep", [0, 5, 100, 3000])
def test_damaged_ones_are_said_in_one_line(bag: Path, tmp_path: Path, keep: int) -> None:
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(bag.read_bytes()[:keep])
    with pytest.raises(SourceError, match=r"^\S+cut\.mcap"):
        play(f"{cut}?topic={FRONT}")


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        open_source(f"{tmp_path / 'none.mcap'}")
