"""The demo drive: the same for the same seed, complete in its classes, honest in its times, and gone when it is closed."""

import itertools
import threading

import cv2
import numpy as np
import pytest

from drive_seg.contracts import Seekable
from drive_seg.demo import CLASSES, DemoDrive, DemoSource, parse_demo_uri
from drive_seg.demo import source as demo_source
from drive_seg.errors import UsageError

SMALL = (120, 160)


@pytest.fixture(scope="module")
def drive() -> DemoDrive:
    return DemoDrive(seed=0, size_hw=SMALL)


def renderers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "demo-renderer"]


def assert_same(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> None:
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[1], b[1])


def test_a_frame_depends_on_seed_and_index_alone(drive: DemoDrive) -> None:
    indexes = [400, 3, 250, 10_000, 3]
    first = {index: drive.frame(index) for index in indexes}
    fresh = DemoDrive(seed=0, size_hw=SMALL)
    for index in sorted(first):
        assert_same(first[index], fresh.frame(index))


def test_the_caller_owns_what_it_gets(drive: DemoDrive) -> None:
    image, labels = drive.frame(7)
    kept = image.copy(), labels.copy()
    image[:], labels[:] = 0, 0
    assert_same(drive.frame(7), kept)


def test_seeds_differ(drive: DemoDrive) -> None:
    other = DemoDrive(seed=1, size_hw=SMALL)
    assert other.cut_time_s != drive.cut_time_s
    assert (other.frame(30)[1] != drive.frame(30)[1]).mean() > 0.05


@pytest.mark.parametrize("size_hw", [(480, 640), (121, 163), (64, 64), (64, 400), (300, 70)])
def test_any_size_is_drawn_whole(size_hw: tuple[int, int]) -> None:
    drive = DemoDrive(seed=2, size_hw=size_hw)
    for index in (0, 500):
        image, labels = drive.frame(index)
        assert (image.shape, image.dtype) == ((*size_hw, 3), np.uint8)
        assert (labels.shape, labels.dtype) == (size_hw, np.uint8)
        assert labels.max() < len(CLASSES)


def test_the_rate_changes_which_moments_are_seen_not_the_drive(drive: DemoDrive) -> None:
    half_rate = DemoDrive(seed=0, size_hw=SMALL, fps=15.0)
    np.testing.assert_array_equal(half_rate.frame(40)[1], drive.frame(80)[1])


@pytest.mark.parametrize("seed", [0, 1, 2, 11])
def test_every_class_appears_in_every_ten_seconds(seed: int) -> None:
    drive = DemoDrive(seed, (240, 320))
    for start_s in (0, 10, 60):
        pixels = sum(np.bincount(drive.frame(30 * (start_s + second))[1].ravel(), minlength=11) for second in range(10))
        rare = {name: int(count) for name, count in zip(CLASSES, pixels, strict=True) if count < 300}
        assert not rare


def test_labels_follow_the_picture() -> None:
    """Where the label changes, the picture has an edge far more often than elsewhere."""
    image, labels = DemoDrive(seed=3).frame(45)
    border = labels[:, 1:] != labels[:, :-1]
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(int)
    step = np.abs(np.diff(grey, axis=1))
    assert step[border].mean() > 5 * step[~border].mean()


@pytest.mark.parametrize("seed", range(3))
def test_the_cut_is_plain_to_see_and_the_only_one(seed: int) -> None:
    drive = DemoDrive(seed, SMALL)
    assert 8.0 <= drive.cut_time_s <= 12.0
    after = int(np.ceil(drive.cut_time_s * drive.fps))
    tiny = [cv2.resize(drive.frame(n)[0], (32, 24), interpolation=cv2.INTER_AREA).astype(int) for n in range(after - 6, after + 6)]
    steps = [float(np.abs(b - a).mean()) for a, b in itertools.pairwise(tiny)]
    at_cut = steps.pop(5)
    assert at_cut > 3 * max(steps)


def test_frames_carry_index_time_and_truth() -> None:
    with DemoSource(seed=4, size_hw=SMALL, fps=25.0, frames=4) as source:
        frames = [source.read() for _ in range(5)]
        assert source.read() is None
    assert frames.pop() is None
    drive = DemoDrive(seed=4, size_hw=SMALL, fps=25.0)
    for index, frame in enumerate(frames):
        assert frame is not None
        assert frame.labels is not None
        assert (frame.index, frame.time_s, frame.segment) == (index, index / 25.0, 0)
        assert frame.decode_ms > 0
        assert_same((frame.image, frame.labels), drive.frame(index))


def test_people_cross_in_front_where_they_are_asked_for_and_what_is_drawn_without_them_stays(drive: DemoDrive) -> None:
    with parse_demo_uri("demo:?seed=7&size=160x120&crossing=1") as crossing, parse_demo_uri("demo:?size=160x120&crossing=0") as plain:
        assert (crossing.info.name, plain.info.name) == ("demo:?seed=7&size=160x120&crossing=1", "demo:?size=160x120")
        frame = plain.read()
    assert frame is not None
    assert frame.labels is not None
    assert_same((frame.image, frame.labels), drive.frame(0))
    middle = np.s_[60:90, 70:90]  # of the lane, over the road
    people = CLASSES.index("pedestrian")
    crossed, before = (DemoDrive(7, SMALL, crossing=one) for one in (True, False))
    assert max(np.count_nonzero(crossed.frame(index)[1][middle] == people) for index in range(228, 248, 4)) >= 20
    assert all(np.count_nonzero(before.frame(index)[1][middle] == people) == 0 for index in range(228, 248, 4))
    with pytest.raises(UsageError, match="crossing is 1 where people cross"):
        parse_demo_uri("demo:?crossing=2")


def test_info_tells_what_is_shown() -> None:
    with DemoSource() as plain, DemoSource(seed=3, size_hw=(90, 160), fps=12.5, frames=7) as special:
        assert plain.info.name == "demo:"
        assert (plain.info.size_hw, plain.info.fps, plain.info.frame_count) == ((480, 640), 30.0, None)
        assert (plain.info.live, plain.info.classes) == (False, CLASSES)
        assert special.info.name == "demo:?seed=3&size=160x90&fps=12.5&frames=7"
        assert special.info.frame_count == 7


def test_close_ends_a_renderer_that_waits() -> None:
    source = DemoSource(size_hw=SMALL)
    assert source.read() is not None
    assert renderers()  # ahead, and waiting for room, or about to
    source.close()
    source.close()
    assert not renderers()
    assert source.read() is None


def test_an_error_in_the_renderer_reaches_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(DemoDrive):
        def frame(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            raise RuntimeError("no paint left")

    monkeypatch.setattr(demo_source, "DemoDrive", Broken)
    with DemoSource(size_hw=SMALL) as source, pytest.raises(RuntimeError, match="no paint left"):
        source.read()
    assert not renderers()


def test_any_frame_can_be_gone_to(drive: DemoDrive) -> None:
    with DemoSource(size_hw=SMALL, frames=400) as source:
        assert isinstance(source, Seekable)
        for target, there in ((350, 350), (3, 3), (3, 3), (-1, 0), (1000, 399)):  # the second and third lie before the cut
            source.seek(target)
            frame = source.read()
            assert frame is not None
            assert frame.labels is not None
            assert (frame.index, frame.time_s, frame.segment) == (there, there / 30, 0)
            assert_same((frame.image, frame.labels), drive.frame(there))
        assert source.read() is None
        source.seek(398)
        assert [frame.index for frame in iter(source.read, None)] == [398, 399]
        source.seek(0)
        assert len(renderers()) == 1
    assert not renderers()


def test_an_address_means_its_parameters() -> None:
    with parse_demo_uri("demo:?seed=3&size=160x90&fps=12.5&frames=7") as source:
        assert source.info.name == "demo:?seed=3&size=160x90&fps=12.5&frames=7"
        assert source.info.size_hw == (90, 160)
    with parse_demo_uri("demo:") as source:
        assert source.info.name == "demo:"


@pytest.mark.parametrize(
    ("uri", "names"),
    [
        ("demo:?sed=3", "sed"),
        ("demo:?seed=x", "seed=x"),
        ("demo:?seed=-1", "seed=-1"),
        ("demo:?seed=", "seed="),
        ("demo:?size=640", "size=640"),
        ("demo:?size=32x32", "size=32x32"),
        ("demo:?size=640x9000", "4096"),
        ("demo:?fps=0", "fps=0"),
        ("demo:?fps=nan", "fps=nan"),
        ("demo:?frames=0", "frames=0"),
        ("demo:seed=3", "demo:?seed="),
        ("demos:", "demo:?seed="),
    ],
)
def test_what_cannot_be_meant_is_named_with_its_remedy(uri: str, names: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_demo_uri(uri)
    message = str(caught.value)
    assert names in message
    assert uri in message
    assert "\n" not in message
    assert not renderers()
