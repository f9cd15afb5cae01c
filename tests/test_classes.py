"""What stands in a file of class names, and which colours the classes get."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from drive_seg.classes import ClassName, palette, people, read_class_names, roads, safe_palette, void_ids
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


# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009: full severity
SEEN = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("eyes", SEEN)
def test_the_safe_colours_are_told_apart_by_everybody(eyes: str) -> None:
    colours = np.array([*safe_palette(12), (0, 0, 0)]) / 255  # black is void
    light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(light @ np.array(SEEN[eyes]).T, 0, 1)
    seen = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = cv2.cvtColor(seen.astype(np.float32)[:, None], cv2.COLOR_RGB2LAB)[:, 0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2) + 999 * np.eye(len(lab))
    assert apart.min() > 15  # CamVid's own come as near as 6


def test_more_classes_than_safe_colours_change_their_lightness() -> None:
    colours = safe_palette(60)
    assert len(set(colours)) == 60
    assert colours[:12] == safe_palette(12)
    lightness = cv2.cvtColor(np.array(colours, np.float32)[:, None] / 255, cv2.COLOR_RGB2LAB)[:, 0, 0].reshape(5, 12)
    assert (np.diff(lightness[[3, 1, 0, 2, 4]], axis=0) > 0).all()
    assert safe_palette(0) == ()


@pytest.mark.parametrize(
    ("classes", "roads_", "people_"),
    [
        (
            ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"),
            {3},
            {9, 10},
        ),  # CamVid
        (("Road", "LaneMkgsDriv", "LaneMkgsNonDriv", "RoadShoulder", "Child"), {0, 1}, {4}),  # CamVid, all of it
        (("road", "sidewalk", "person", "rider", "bicycle"), {0}, {2, 3}),  # Cityscapes
        (("Lane Marking - General", "Crosswalk - Plain", "Person", "Other Rider", "Service Lane"), {0, 1}, {2, 3}),  # Mapillary
        (("wall", "road, route", "person, individual, someone"), {1}, {2}),  # ADE20K
        (("apple", "crossroad", "salesperson"), set(), set()),
    ],
)
def test_what_is_driven_on_and_who_can_be_hurt_are_known_by_any_data_sets_names(
    classes: tuple[str, ...], roads_: set[int], people_: set[int]
) -> None:
    assert (roads(classes), people(classes)) == (roads_, people_)
