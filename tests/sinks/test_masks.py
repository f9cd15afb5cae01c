"""Masks: ids at the frame's size under the frame's number, and what happens when one cannot be written."""

import errno
import io
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg.errors import SinkError, UsageError
from drive_seg.sinks.masks import MaskWriter
from tests.fakes import make_result


def test_ids_at_the_frames_size_under_its_number(tmp_path: Path) -> None:
    labels = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16) % 12
    with closing(MaskWriter(tmp_path / "new" / "masks")) as sink:
        assert not sink.wants_overlay
        for index in (0, 7, 1234567):
            sink.put(make_result(index, labels=labels))
    assert sorted(path.name for path in (tmp_path / "new" / "masks").iterdir()) == ["000000.png", "000007.png", "1234567.png"]
    mask = cv2.imread(str(tmp_path / "new" / "masks" / "000007.png"), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    assert (mask == labels.repeat(4, 0).repeat(4, 1)).all()


def test_nothing_is_lost_however_fast_they_come(tmp_path: Path) -> None:
    sink = MaskWriter(tmp_path)
    for index in range(60):
        sink.put(make_result(index))
    sink.close()
    sink.close()
    assert len(list(tmp_path.glob("*.png"))) == 60
    assert sink.dropped == 0


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"masks: cannot be written: Not a directory"):
        MaskWriter(tmp_path / "file" / "masks")
    with pytest.raises(SinkError, match=r"file: cannot be written: File exists"):
        MaskWriter(tmp_path / "file")


def test_a_full_disk_is_told_once_and_leaves_no_half_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, data: object) -> int:
            super().write(bytes(data)[:10])  # type: ignore[call-overload]
            raise OSError(errno.ENOSPC, "No space left on device")

    sink = MaskWriter(tmp_path)
    monkeypatch.setattr("drive_seg.files.os.fdopen", lambda fd, mode, buffering: Full(fd, mode))
    sink.put(make_result(0))
    with pytest.raises(SinkError, match="cannot be written: No space left on device; free space there") as caught:
        sink.close()
    assert str(tmp_path) in str(caught.value)
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_mask_that_is_there_is_only_replaced_when_that_is_asked_for(tmp_path: Path) -> None:
    with closing(MaskWriter(tmp_path)) as sink:
        for _ in range(2):  # a frame that was seeked again
            sink.put(make_result(3))
    before = (tmp_path / "000003.png").read_bytes()
    with pytest.raises(UsageError, match=r"has masks already, such as 000003\.png; give another folder, or --overwrite"):
        MaskWriter(tmp_path)
    assert (tmp_path / "000003.png").read_bytes() == before
    with closing(MaskWriter(tmp_path, overwrite=True)) as sink:
        sink.put(make_result(3, labels=np.full((12, 16), 9, np.uint8)))
    assert (tmp_path / "000003.png").read_bytes() != before


def test_a_file_that_comes_into_being_meanwhile_is_left(tmp_path: Path) -> None:
    sink = MaskWriter(tmp_path)
    (tmp_path / "000003.png").write_text("somebody else's")
    sink.put(make_result(3))
    with pytest.raises(UsageError, match="is there already"):
        sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["000003.png"]
    assert (tmp_path / "000003.png").read_text() == "somebody else's"


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with closing(MaskWriter(tmp_path, overwrite=True)), pytest.raises(UsageError, match="is being written by another run"):
        MaskWriter(tmp_path, overwrite=True)
    MaskWriter(tmp_path).close()
