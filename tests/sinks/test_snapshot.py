"""Snapshots: what the files hold when they are read back, and that none is ever overwritten."""

import errno
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg.contracts import Array, Result
from drive_seg.errors import SinkError
from drive_seg.overlay import Look, Painter
from drive_seg.sinks.snapshot import Labelled, save_snapshot, short_name
from tests.fakes import CAMVID, make_result

pillow = pytest.importorskip("PIL.Image")
LOOK = Look(tuple(CAMVID.values()), 0.4, frozenset({0}))
RUNS = {"model": "camvid", "schedule": "every-frame"}


def labelled(result: Result) -> Labelled:
    return Labelled(result, LOOK, RUNS, tuple(CAMVID))


def read(path: Path) -> Array:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture


def test_every_file_gives_back_what_was_seen(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    labels = np.full((12, 16), 3, np.uint8)
    labels[:6], labels[6, :8] = 0, 255
    result = make_result(42, image, labels, total_ms=7.5, age=2)
    *_, path = save_snapshot(tmp_path / "new" / "shots", "/data/drive.mp4", labelled(result))
    assert path == tmp_path / "new" / "shots" / "drive-000042.json"
    assert (read(path.with_suffix(".png")) == image).all()
    assert (read(path.with_name("drive-000042-overlay.png")) == Painter(LOOK).paint(image, labels)).all()
    large = labels.repeat(4, 0).repeat(4, 1)
    mask = path.with_name("drive-000042-mask.png")
    assert (read(mask) == Painter(Look(LOOK.palette)).colour(large, (48, 64))).all()  # looks like the mask
    with pillow.open(mask) as stored:
        assert (np.asarray(stored) == large).all()  # and is the ids
    said = json.loads(path.read_text(encoding="utf-8"))
    assert said["source"] == "/data/drive.mp4"
    assert "comparison" not in said
    assert (said["index"], said["time_s"], said["age_frames"], said["key"]) == (42, 1.4, 2, False)
    assert (said["reason"], said["text"], said["latency_ms"], said["runs"]) == ("clock", "age 2 of 4", {"total": 7.5}, RUNS)
    shares = {one["name"]: one["share"] for one in said["classes"]}
    assert shares.pop("sky") == 0.5
    assert shares.pop("road") == pytest.approx(88 / 192, abs=1e-6)  # the rest is void
    assert set(shares.values()) == {0.0}
    assert said["classes"][3] == {"id": 3, "name": "road", "colour": "#804080", "share": pytest.approx(88 / 192, abs=1e-6)}


def test_of_a_comparison_both_are_kept(tmp_path: Path) -> None:
    main, other = make_result(3), make_result(3, labels=np.full((12, 16), 8, np.uint8), age=4)
    paths = save_snapshot(tmp_path, "camera 0", labelled(main), Labelled(other, LOOK, {"schedule": "clockwork:9"}, tuple(CAMVID)))
    endings = [".png", "-overlay.png", "-mask.png", "-overlay-b.png", "-mask-b.png", ".json"]
    assert [path.name for path in paths] == [f"camera-0-000003{ending}" for ending in endings]
    assert (read(paths[3]) == Painter(LOOK).paint(main.frame.image, other.labels)).all()
    said = json.loads(paths[-1].read_text(encoding="utf-8"))
    assert (said["comparison"]["runs"], said["comparison"]["age_frames"]) == ({"schedule": "clockwork:9"}, 4)
    assert next(one["share"] for one in said["comparison"]["classes"] if one["name"] == "car") == 1


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/data/drive 7.mp4", "drive-7"), ("demo:", "demo"), ("demo:?seed=5", "demo"), ("camera 0", "camera-0"), ("folder/", "folder"),
        ("rtsp://me:secret@10.0.0.7:554/left", "10.0.0.7-554-left"), ("", "frame"),
    ],
)  # fmt: skip
def test_a_source_as_a_part_of_a_files_name(source: str, name: str) -> None:
    assert short_name(source) == name


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "demo-000007-mask.png").write_text("somebody else's")
    (tmp_path / "demo-000007-2.json").write_text("and this")
    saved = [save_snapshot(tmp_path, "demo:?seed=5", labelled(make_result(7)))[-1] for _ in range(2)]
    assert [path.name for path in saved] == ["demo-000007-3.json", "demo-000007-4.json"]
    assert (tmp_path / "demo-000007-mask.png").read_text() == "somebody else's"
    assert (tmp_path / "demo-000007-2.json").read_text() == "and this"
    assert len(list(tmp_path.iterdir())) == 2 + 2 * 4


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"shots: cannot be written: Not a directory; choose another place"):
        save_snapshot(tmp_path / "file" / "shots", "demo:", labelled(make_result()))


def test_a_full_disk_leaves_no_half_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.open

    def full(path: Path, *args: str) -> object:
        if path.suffix == ".json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, *args)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(SinkError, match="cannot be written: No space left on device; free space there"):
        save_snapshot(tmp_path, "demo:", labelled(make_result()))
    assert list(tmp_path.iterdir()) == []
