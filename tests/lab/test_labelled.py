"""What a batch wrote is scored and learned from: the videos' own frames, and the masks of their numbers."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg.errors import DataError, UsageError
from drive_seg.fleet.labelling import Order
from drive_seg.lab.evaluate.datasets import find_pairs
from drive_seg.lab.evaluate.labelled import videos
from drive_seg.lab.evaluate.pairs import VOID, read_all
from drive_seg.lab.train.data import pseudo_samples, split
from drive_seg.lab.train.recipe import Recipe
from drive_seg.session.opening import open_session
from drive_seg.sources.file import FileSource
from tests.cli.test_cli import call
from tests.fleet.conftest import Inline, write_drive
from tests.fleet.conftest import a_drive as a_drive
from tests.fleet.conftest import inline as inline
from tests.fleet.conftest import model as model
from tests.fleet.conftest import order as order
from tests.fleet.conftest import tiny as tiny
from tests.fleet.test_labelling import labelled

Make = Callable[..., Order]


@pytest.fixture
def done(order: Make, a_drive: Path) -> tuple[Path, tuple[str, ...]]:
    """A folder in which a drive of 60 frames has been labelled, in pieces; and the classes."""
    wanted = order(("masks",))
    labelled(wanted, a_drive)
    with open_session(wanted.settings.model_copy(update={"source": str(a_drive)})) as session:
        assert session.pipeline
        return wanted.out, session.pipeline.engine.classes


def test_each_frame_of_the_video_has_the_labels_of_its_number(done: tuple[Path, tuple[str, ...]], a_drive: Path) -> None:
    out, classes = done
    samples = list(read_all(find_pairs(f"batch:{out}", classes)))
    with FileSource(a_drive) as source:
        frames = list(iter(source.read, None))
    assert len(samples) == len(frames) == 60
    for (image, labels), frame in zip(samples, frames, strict=True):
        assert (image == frame.image).all()
        assert labels.shape == frame.size_hw
    assert videos(out) == [a_drive]


def test_every_nth_is_found_in_any_order(done: tuple[Path, tuple[str, ...]], a_drive: Path) -> None:
    out, classes = done
    pairs = find_pairs(f"batch:{out}:17", classes)
    assert [pair.stem for pair in pairs] == ["a_000000", "a_000017", "a_000034", "a_000051"]
    with FileSource(a_drive) as source:
        frames = list(iter(source.read, None))
    for at in (0, 3, 2, 2, 3, 0, 1):
        assert (pairs[at].read()[0] == frames[17 * at].image).all()


def test_classes_are_found_by_name_and_the_rest_is_void(done: tuple[Path, tuple[str, ...]]) -> None:
    out, classes = done
    height, width = cv2.imread(str(mask := out / "a" / "masks" / "000000.png"), cv2.IMREAD_UNCHANGED).shape
    own = np.arange(height * width, dtype=np.uint8).reshape(height, width) % 5  # the last two are no class
    cv2.imwrite(str(mask), own)
    _, labels = find_pairs(f"batch:{out}", classes[2:0:-1])[0].read()
    assert (labels == np.array([VOID, 1, 0, VOID, VOID], np.uint8)[own]).all()
    with pytest.raises(UsageError, match="was labelled without tram, only with"):
        find_pairs(f"batch:{out}", (*classes, "tram"))


def test_a_training_takes_them_as_its_own_and_as_a_teachers(done: tuple[Path, tuple[str, ...]]) -> None:
    out, classes = done
    recipe = Recipe(data=f"batch:{out}:20", classes=classes, epochs=1, pseudo=(Path(f"batch:{out}:30"),))
    train, held = split(recipe)
    assert ([pair.stem for pair in train], held) == (["a_000000", "a_000020", "a_000040"], [])
    assert len(pseudo_samples(recipe.pseudo, recipe.classes)) == 2


def test_what_cannot_be_read_is_one_line(done: tuple[Path, tuple[str, ...]]) -> None:
    out, classes = done
    before = json.loads((record := out / "a" / "record.json").read_text())
    for known, said in (
        ({"masks": "coco"}, "its masks are coco; label it with --save masks and --save-masks-format ids"),
        ({"masks": None}, "no masks were saved"),
        ({"bytes": 3}, "is another file than the one that was labelled"),
        ({"path": "/none.mp4"}, "none.mp4: is not there any more; put it back"),
        ({"path": 3}, "is no record of a batch"),
    ):
        record.write_text(json.dumps(before | known))
        with pytest.raises(DataError, match=said):
            find_pairs(f"batch:{out}", classes)


def test_a_place_without_any_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no masks of a batch; give what --out was for"):
        find_pairs(f"batch:{tmp_path}", ("road",))
    with pytest.raises(DataError, match="none: cannot be read"):
        find_pairs(f"batch:{tmp_path / 'none'}", ("road",))
    with pytest.raises(UsageError, match="for every 15th frame"):
        find_pairs(f"batch:{tmp_path}:train", ("road",))


def test_the_network_that_labelled_them_is_right_everywhere(
    tiny: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], inline: list[Inline]
) -> None:
    """By the commands: the same network on the same frames, so that nothing but exact pairs gives 1."""
    drive = write_drive(tmp_path / "drives" / "x.mp4", 20)
    code, _, err = call(capsys, "batch", str(drive), "--out", str(tmp_path / "out"), *tiny, "--workers", "1")
    assert code == 0, err
    asked = ("evaluate", "--data", f"batch:{tmp_path / 'out'}", *tiny, "--json", str(tmp_path / "scores.json"))
    code, _, err = call(capsys, *asked)
    assert code == 0, err
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["frames"], scores["pixel_accuracy"]) == (20, 1.0)
    before = drive.read_bytes()
    code, _, err = call(capsys, *asked[:-1], str(drive), "--overwrite")
    assert (code, "is what --data reads" in err) == (2, True)
    assert drive.read_bytes() == before
