"""The window's colours as people see them: half over real pictures, by eyes of every kind."""

import numpy as np
import pytest
from numpy.typing import NDArray

from drive_seg.classes import CLEAR, PEOPLE, ClassName, clear_palette, palette, people, safe_palette
from drive_seg.contracts import Array
from drive_seg.overlay import Look, usual_look
from tests.fakes import CAMVID

Floats = NDArray[np.float64]
# What lies under the labels: the median RGB of each class's pixels in every eighth picture of CamVid's train split ...
UNDER = {
    "sky": (247, 255, 255), "building": (71, 73, 75), "pole": (69, 71, 74), "road": (67, 72, 79), "pavement": (60, 61, 64),
    "tree": (81, 82, 77), "sign": (59, 56, 70), "fence": (45, 47, 44), "car": (58, 59, 66), "pedestrian": (27, 25, 30),
    "bicyclist": (30, 30, 33),
}  # fmt: skip
# ... and, where two areas meet, one grey under both: from shadow to bright wall, the same pictures' darkest and brightest fifths.
BOTH = (20, 70, 130, 200)

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009: full severity
SEEN = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])  # sRGB, D65


def lab(rgb: Array, eyes: str = "normal") -> Floats:
    """(..., 3) sRGB 0..255 as CIELAB under D65, as these eyes see it."""
    values = np.asarray(rgb, np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ SEEN[eyes].T, 0, 1) @ XYZ.T / XYZ.sum(1)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(one: Array, other: Array) -> Floats:
    """Of CIELAB colours (..., 3): Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula", 2005, equations 2 to 22."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0)
    mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(mean7 / (mean7 + 25.0**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
    delta_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    far = np.abs(h1 - h2) > 180
    mean_h = np.where(grey, h1 + h2, (h1 + h2 + np.where(far, np.where(h1 + h2 < 360, 360, -360), 0)) / 2)
    light, c = (l1 + l2) / 2, (c1 + c2) / 2

    def cos(degrees: Array) -> Floats:
        return np.asarray(np.cos(np.radians(degrees)))

    t = 1 - 0.17 * cos(mean_h - 30) + 0.24 * cos(2 * mean_h) + 0.32 * cos(3 * mean_h + 6) - 0.20 * cos(4 * mean_h - 63)
    s_l, s_c, s_h = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2), 1 + 0.045 * c, 1 + 0.015 * c * t
    rotation = -2 * np.sqrt(c**7 / (c**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2))))
    by_l, by_c, by_h = (l2 - l1) / s_l, (c2 - c1) / s_c, delta_h / s_h
    return np.asarray(np.sqrt(by_l**2 + by_c**2 + by_h**2 + rotation * by_c * by_h))


@pytest.mark.parametrize(
    ("one", "other", "apart"),  # of the paper's table 1: pairs 1, 7, 9, 13, 17, 21, 25 and 31
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425), ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.4900, -0.0010), (50, -2.4900, 0.0009), 7.1792), ((50, -0.0010, 2.4900), (50, 0.0009, -2.4900), 4.8045),
        ((50, 2.5, 0), (73, 25, -18), 27.1492), ((50, 2.5, 0), (50, 3.1736, 0.5854), 1.0),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ],
)  # fmt: skip
def test_the_formula_is_the_published_one(one: tuple[float, ...], other: tuple[float, ...], apart: float) -> None:
    assert float(ciede2000(np.array(one), np.array(other))) == pytest.approx(apart, abs=1e-4)


def apart(palette: Array, classes: list[str], eyes: str) -> float:
    """The smallest distance between any two of the classes at half opacity: each over its own pixels, and both over the same."""
    grounds = [np.array([UNDER[name] for name in classes]), *(np.full((len(classes), 3), grey) for grey in BOTH)]
    first, second = np.triu_indices(len(classes), 1)
    seen = [lab((np.asarray(palette, np.float64) + ground) / 2, eyes) for ground in grounds]
    return min(float(ciede2000(one[first], one[second]).min()) for one in seen)


@pytest.mark.parametrize(("eyes", "least"), [("normal", 10), ("protanopia", 8), ("deuteranopia", 8), ("tritanopia", 8)])
def test_any_two_classes_are_told_apart_over_real_pictures(eyes: str, least: float) -> None:
    classes = list(CAMVID)
    ours = apart(np.array(clear_palette(classes)), classes, eyes)
    assert ours >= least
    assert ours > apart(np.array(list(CAMVID.values())), classes, eyes)  # CamVid's own: 9.5, 2.0, 0.8 and 6.4
    assert ours > apart(np.array(safe_palette(len(classes))), classes, eyes) or eyes == "normal"


@pytest.mark.parametrize("name", ["dark", "light"])
def test_the_curves_of_the_class_areas_are_told_apart(name: str) -> None:
    QColor = pytest.importorskip("PyQt6.QtGui").QColor
    from drive_seg.ui.pages.areas import readable
    from drive_seg.ui.theme import THEMES

    theme = THEMES[name]
    drawn = lab(np.array([QColor(readable(QColor(*colour), theme)).getRgb()[:3] for colour in CLEAR.values()]))
    first, second = np.triu_indices(len(drawn), 1)
    assert ciede2000(drawn[first], drawn[second]).min() >= 8
    ground = lab(np.array(QColor(theme.panel).getRgb()[:3]))
    assert ciede2000(drawn, ground).min() >= 15


def test_who_can_be_hurt_is_vivid_and_what_only_surrounds_is_quiet() -> None:
    chroma = {name: float(np.hypot(*lab(np.array(colour))[1:])) for name, colour in CLEAR.items()}
    assert min(chroma[name] for name in ("pedestrian", "bicyclist", "car")) >= 60
    assert max(chroma["sky"], chroma["building"]) <= 25


def test_other_names_of_the_same_things_have_the_same_colours() -> None:
    cityscapes = ["road", "sidewalk", "Traffic_Sign", "vegetation", "person", "rider", "train", "bus"]
    colours = clear_palette(cityscapes)
    assert colours[:6] == tuple(CLEAR[name] for name in ("road", "pavement", "sign", "tree", "pedestrian", "bicyclist"))
    assert len(set(colours)) == len(cityscapes)
    assert clear_palette(["apple", "pear"]) == safe_palette(2)
    assert people(cityscapes) == {4, 5}
    assert people(list(CAMVID)) == {list(CAMVID).index(name) for name in PEOPLE & set(CAMVID)}


@pytest.mark.parametrize("classes", [list(CAMVID), ["apple", "pear"], ["road", "person", "sky"]])
def test_labels_are_drawn_in_the_clear_colours_unless_somebody_gave_the_classes_others(classes: list[str]) -> None:
    usual = palette([ClassName(name) for name in classes])
    assert usual_look(classes, usual, 0.3) == Look(clear_palette(classes), 0.3, outlined=people(classes))
    own = ((1, 2, 3), *usual[1:])
    assert usual_look(classes, own) == Look(own, 0.5, outlined=people(classes))
