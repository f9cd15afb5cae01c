"""Folders and globs of pictures: their order, their kinds, their labels, and the one that is broken."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg.contracts import Frame, Seekable
from drive_seg.errors import SourceError
from drive_seg.sources.images import ImagesSource
from drive_seg.sources.pictures import natural_key
from tests.sources.clips import DATA, needs_data, picture, write_palette_png


def play(pattern: Path) -> list[Frame]:
    with ImagesSource(pattern) as source:
        return list(iter(source.read, None))


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def test_natural_order_and_nominal_time(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        save(tmp_path / f"frame{number}.png", np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    frames = play(tmp_path)
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2, 10]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 1 / 30, 2 / 30])
    assert [frame.image[0, 0, 0] for frame in play(tmp_path / "frame1*.png")] == [1, 10]


def test_names_of_every_shape_can_be_sorted() -> None:
    names = ["a", "1", "1a", "a1", "10", "2", "a1b2", "²", "01"]
    assert [path.name for path in sorted(map(Path, names), key=natural_key)][:4] == ["01", "1", "1a", "2"]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp", ".jpg", ".JPEG"])
def test_kinds(tmp_path: Path, suffix: str) -> None:
    image = picture(1)
    save(tmp_path / f"1{suffix}", image)
    (frame,) = play(tmp_path)
    assert np.abs(frame.image.astype(int) - image).mean() < 12


def test_grey_alpha_and_16_bit_become_bgr(tmp_path: Path) -> None:
    image = picture(1)
    save(tmp_path / "1.png", image[..., 0])
    save(tmp_path / "2.png", np.dstack([image, np.full(image.shape[:2], 7, np.uint8)]))
    save(tmp_path / "3.png", image.astype(np.uint16) * 256 + 9)
    grey, alpha, deep = (frame.image for frame in play(tmp_path))
    assert {(part.dtype, part.shape) for part in (grey, alpha, deep)} == {(np.dtype(np.uint8), image.shape)}
    assert (grey == image[..., :1]).all()
    assert (alpha == image).all()
    assert (deep == image).all()


def test_another_size_is_another_frame(tmp_path: Path) -> None:
    save(tmp_path / "1.png", picture())
    save(tmp_path / "2.png", picture(size_hw=(32, 48)))
    assert [frame.image.shape for frame in play(tmp_path)] == [(64, 96, 3), (32, 48, 3)]


@pytest.mark.parametrize("named", ["clip", "clip/images", "clip/images/*.png"])
def test_labels_beside_the_pictures(tmp_path: Path, named: str) -> None:
    labels = np.arange(64 * 96, dtype=np.uint8).reshape(64, 96) % 12
    for stem in ("a", "b"):
        save(tmp_path / "clip" / "images" / f"{stem}.png", picture())
    save(tmp_path / "clip" / "labels" / "b.png", labels)
    first, second = play(tmp_path / named)
    assert first.labels is None
    assert second.labels is not None
    assert (second.labels == labels).all()


@pytest.mark.parametrize("wrong", [np.zeros((64, 96, 3), np.uint8), np.zeros((32, 96), np.uint8), np.zeros((64, 96), np.uint16), None])
def test_labels_of_another_form_are_left_out_and_named(tmp_path: Path, wrong: np.ndarray | None) -> None:
    save(tmp_path / "images" / "a.png", picture())
    save(tmp_path / "images" / "b.png", picture(1))
    save(tmp_path / "labels" / "b.png", np.full((64, 96), 3, np.uint8))
    if wrong is None:
        (tmp_path / "labels" / "a.png").write_bytes(b"no picture")
    else:
        save(tmp_path / "labels" / "a.png", wrong)
    with ImagesSource(tmp_path) as source:
        assert not source.info.labelled
        first, second = source.read(), source.read()
        note = source.note
    assert first is not None
    assert first.labels is None
    assert second is not None
    assert second.labels is not None
    assert note.startswith(f"{tmp_path / 'labels' / 'a.png'}: labels left out: ")
    assert "\n" not in note


def test_labels_with_a_palette_are_their_indexes(tmp_path: Path) -> None:
    labels = np.arange(64 * 96, dtype=np.uint8).reshape(64, 96) % 12
    save(tmp_path / "images" / "a.png", picture())
    write_palette_png(tmp_path / "labels" / "a.png", labels)
    with ImagesSource(tmp_path) as source:
        assert source.info.labelled
        frame = source.read()
        assert source.note == ""
    assert frame is not None
    assert frame.labels is not None
    assert np.array_equal(frame.labels, labels)


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    """macOS puts one beside each file on a disk that is not its own."""
    save(tmp_path / "IMG_0.jpg", picture())
    (tmp_path / "._IMG_0.jpg").write_bytes(b"\0\5\x16\7" + bytes(100))
    assert len(play(tmp_path)) == len(play(tmp_path / "*.jpg")) == 1


def test_drives_are_played_one_after_the_other(tmp_path: Path) -> None:
    for drive in (10, 2, 1):
        for number in (10, 2):
            save(tmp_path / f"drive_{drive}" / "images" / f"{number}.png", np.full((8, 8, 3), 10 * drive + number, np.uint8))
            save(tmp_path / f"drive_{drive}" / "labels" / f"{number}.png", np.full((8, 8), drive, np.uint8))
    frames = play(tmp_path / "drive_*" / "images" / "*.png")
    assert [frame.image[0, 0, 0] for frame in frames] == [12, 20, 22, 30, 102, 110]
    assert [frame.segment for frame in frames] == [0, 0, 1, 1, 2, 2]
    assert [frame.labels[0, 0] for frame in frames if frame.labels is not None] == [1, 1, 2, 2, 10, 10]
    with ImagesSource(tmp_path / "drive_*" / "images" / "*.png") as source:
        source.seek(4)
        frame = source.read()
    assert frame is not None
    assert (frame.index, frame.segment) == (4, 2)


def test_a_thumbnail_among_videos_is_not_what_is_meant(tmp_path: Path) -> None:
    save(tmp_path / "thumb.jpg", picture())
    for name in ("b.mp4", "a2.MOV", "a10.mov"):
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match=r"a folder of videos; give one of them, such as .*a2\.MOV"):
        ImagesSource(tmp_path)
    for number in range(4):
        save(tmp_path / f"{number}.jpg", picture())
    assert len(play(tmp_path)) == 5


def test_no_picture(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no picture in it"):
        ImagesSource(tmp_path)
    with pytest.raises(SourceError, match=r"no picture has such a name.*PNG, JPEG"):
        ImagesSource(tmp_path / "*.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_the_broken_one_is_named(tmp_path: Path, suffix: str, share: float, capfd: pytest.CaptureFixture[str]) -> None:
    for stem in "123":
        save(tmp_path / f"{stem}{suffix}", picture())
    broken = tmp_path / f"2{suffix}"
    data = broken.read_bytes()
    broken.write_bytes(data[: int(share * len(data))])
    with ImagesSource(tmp_path) as source:
        assert source.read()
        with pytest.raises(SourceError, match="cut short" if share else "is empty") as caught:
            source.read()
    assert str(broken) in str(caught.value)
    assert capfd.readouterr() == ("", "")


@needs_data
def test_the_camvid_clip_is_labelled_throughout() -> None:
    with ImagesSource(DATA / "camvid" / "clip") as source:
        assert source.info.frame_count == 101
        assert source.info.size_hw == (360, 480)
        frames = [source.read() for _ in range(3)]
    assert all(frame and frame.labels is not None and frame.labels.max() <= 11 for frame in frames)


def test_any_picture_can_be_gone_to(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / "images" / f"{number}.png", np.full((8, 8, 3), number, np.uint8))
        save(tmp_path / "labels" / f"{number}.png", np.full((8, 8), number, np.uint8))
    frames = play(tmp_path)
    with ImagesSource(tmp_path) as source:
        assert isinstance(source, Seekable)
        for target, there in ((7, 7), (2, 2), (2, 2), (-4, 0), (99, 9)):
            source.seek(target)
            frame = source.read()
            assert frame is not None
            assert frame.labels is not None
            assert (frame.index, frame.time_s, frame.image[0, 0, 0], frame.labels[0, 0]) == (there, frames[there].time_s, there, there)
        assert source.read() is None
        source.seek(3)
        assert [frame.index for frame in iter(source.read, None)] == [3, 4, 5, 6, 7, 8, 9]
