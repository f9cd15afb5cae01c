"""What stands in a file of class names, and which colours the classes get."""

from pathlib import Path

import numpy as np
import pytest

from drive_seg.classes import ClassName, palette, read_class_names, void_ids
from drive_seg.errors import UsageError
from tests.fakes import CAMVID


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "names.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_keep_their_order_their_colours_and_voids_place(tmp_path: Path) -> None:
    names = read_class_names(written(tmp_path, "void\nroad\n\n  traffic light #FAaa1e  \nÜberweg\t#010203\r\n"))
    assert names == (
        ClassName("void"),
        ClassName("road"),
        ClassName("traffic light", (250, 170, 30)),
        ClassName("Überweg", (1, 2, 3)),
    )
    assert void_ids([entry.name for entry in names]) == [0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("road\ncar #12\n", "line 2: 'car #12'"),
        ("road\n#102030\n", "line 2: '#102030'"),
        ("road\ncar\nroad\n", "'road' stands there twice"),
        ("road\nvoid\n", "has 1 classes on 2 lines"),
        ("\n".join(map(str, range(256))), "has 256 classes"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"names\.txt") as caught:
        read_class_names(written(tmp_path, text))
    assert said in str(caught.value)


def test_a_missing_file_and_one_that_is_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.txt"):
        read_class_names(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00road")
    with pytest.raises(UsageError, match=r"binary\.txt"):
        read_class_names(tmp_path / "binary.txt")


def test_known_names_get_the_colours_of_the_set_that_knows_most_of_them() -> None:
    assert palette([ClassName(name) for name in CAMVID]) == tuple(CAMVID.values())
    cityscapes = palette([ClassName(name) for name in ("Road", "sky", "traffic_light", "person", "car")])
    assert cityscapes == ((128, 64, 128), (70, 130, 180), (250, 170, 30), (220, 20, 60), (0, 0, 142))


def test_a_colour_that_is_given_wins_and_void_is_black() -> None:
    assert palette([ClassName("road", (1, 2, 3)), ClassName("void"), ClassName("sky")]) == ((1, 2, 3), (0, 0, 0), (70, 130, 180))


def test_names_that_nobody_knows_get_colours_that_can_be_told_apart() -> None:
    colours = np.array(palette([ClassName("road"), *(ClassName(f"thing {i}") for i in range(24))]), float)
    apart = np.abs(colours[:, None] - colours[None]).max(2) + 999 * np.eye(len(colours))
    assert apart.min() >= 60
