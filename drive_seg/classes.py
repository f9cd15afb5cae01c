"""Class names of a foreign network, read from a text file, and colours for classes: the usual ones, unlike ones, colour-blind-safe ones."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from drive_seg.errors import UsageError
from drive_seg.reading import text_of

VOID = 255  # the id of what is no class
VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore"})
MOST = VOID  # ids are uint8, and 255 is taken

RGB = tuple[int, int, int]
# Okabe and Ito's seven (Color Universal Design, 2008), then the five that lie farthest in CIELAB from all before them and from black,
# as people see them without and with protanopia, deuteranopia or tritanopia (simulated as in Machado et al. 2009).
SAFE: tuple[RGB, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
    (128, 0, 255), (223, 255, 255), (96, 32, 0), (0, 32, 128), (96, 64, 96),
)  # fmt: skip
# What drives show, told apart as drawn half over a picture, with and without protanopia, deuteranopia and tritanopia: found by simulated
# annealing of the smallest CIEDE2000 distance over CamVid's pixels (tests/test_palettes.py judges it), people, riders and cars vivid,
# sky and building quiet.
CLEAR: dict[str, RGB] = {
    "sky": (171, 191, 214), "building": (104, 93, 89), "pole": (219, 204, 148), "road": (113, 52, 116), "pavement": (63, 19, 255),
    "tree": (55, 149, 76), "sign": (232, 255, 93), "fence": (102, 22, 3), "car": (142, 110, 245), "pedestrian": (240, 43, 8),
    "bicyclist": (254, 141, 0),
}  # fmt: skip
SAME_AS = {
    "person": "pedestrian", "rider": "bicyclist", "cyclist": "bicyclist", "sidewalk": "pavement", "vegetation": "tree",
    "traffic sign": "sign",
}  # fmt: skip
PEOPLE = frozenset({"pedestrian", "bicyclist", "motorcyclist", "other rider", "child", "people", "human"})
ROAD = frozenset({"road", "street", "drivable", "drivable area", "lane marking", "road marking", "crosswalk", "lanemkgsdriv"})
_LINE = re.compile(r"(?P<name>[^#]*[^#\s])(?:\s+#(?P<colour>[0-9a-fA-F]{6}))?")


@dataclass(frozen=True, slots=True)
class ClassName:
    name: str
    colour: RGB | None = None  # None: one is chosen

    @property
    def void(self) -> bool:
        return self.name.lower() in VOID_NAMES


def read_class_names(given: Path | Sequence[str]) -> tuple[ClassName, ...]:
    """The lines of a file, or the same as they are: `name` or `name #rrggbb`, in the order of the network's ids; blank ones are skipped.

    A line named void, unlabelled, unlabeled or ignore keeps its id, which then means no class. Raises UsageError naming the line.
    """
    where, lines = (str(given), _lines(given)) if isinstance(given, Path) else ("class names", given)
    names = tuple(_parse(line.strip(), f"{where}, line {number}") for number, line in enumerate(lines, 1) if line.strip())
    seen = [entry.name for entry in names]
    if twice := [name for name in seen if seen.count(name) > 1]:
        raise UsageError(f"{where}: {twice[0]!r} stands there twice; give each class a name of its own")
    count = sum(not entry.void for entry in names)
    if count < 2 or len(names) > MOST:
        raise UsageError(f"{where}: has {count} classes on {len(names)} lines; 2 to {MOST} are possible, one a line")
    return names


def _lines(path: Path) -> list[str]:
    try:
        return text_of(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); give a text file with one class a line") from error


def _parse(line: str, where: str) -> ClassName:
    if not (match := _LINE.fullmatch(line)):
        raise UsageError(f"{where}: {line!r} is no class; write a name, or a name and its colour as in `road #804080`")
    colour = match["colour"]
    return ClassName(match["name"], (int(colour[:2], 16), int(colour[2:4], 16), int(colour[4:], 16)) if colour else None)


def void_ids(classes: Sequence[str]) -> list[int]:
    """The ids whose names say that they are no class."""
    return [i for i, name in enumerate(classes) if ClassName(name).void]


def palette(names: Sequence[ClassName]) -> tuple[RGB, ...]:
    """An RGB colour for each: its own, or the usual one of a known name, or one that is unlike all others. Void is black.

    The usual ones are those of the data set (palettes/) that knows most of the names, so that one picture has one set's colours.
    """
    usual = max(_known_palettes(), key=lambda known: sum(_key(entry.name) in known for entry in names))
    chosen = [(0, 0, 0) if entry.void else entry.colour or usual.get(_key(entry.name)) for entry in names]
    spare = iter(_unlike([(0, 0, 0), *(colour for colour in chosen if colour)], chosen.count(None)))
    return tuple(colour or next(spare) for colour in chosen)


def _known_palettes() -> list[dict[str, RGB]]:
    return [colours_of(name) for name in ("cityscapes", "camvid")]


def colours_of(palette: str) -> dict[str, RGB]:
    """The RGB colours of a data set by its classes, under every name that they have: `palettes/` has cityscapes, camvid and camvid32."""
    text = (files("drive_seg") / "palettes" / f"{palette}.txt").read_text(encoding="utf-8")
    return {entry.name: entry.colour for entry in (_parse(line, palette) for line in text.splitlines()) if entry.colour}


def counterpart(name: str, theirs: Iterable[str]) -> str | None:
    """Which of their classes has this one's name, in another spelling or by another word for the same; None where none has."""
    known = {make(their): their for make in (_plain, _key) for their in theirs}
    return known.get(_key(name)) or known.get(_plain(name))


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).lower()


def _unlike(taken: Sequence[RGB], count: int) -> list[RGB]:
    """`count` colours, each the one of a 9x9x9 grid that lies farthest in CIELAB from all before it."""
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 1, 3)
    lab = cv2.cvtColor(grid, cv2.COLOR_RGB2LAB)[:, 0]
    mine = cv2.cvtColor(np.asarray(taken, np.float32)[:, None] / 255, cv2.COLOR_RGB2LAB)[:, 0]
    distance = np.linalg.norm(lab[:, None] - mine[None], axis=2).min(1)
    found: list[RGB] = []
    for _ in range(count):
        best = int(distance.argmax())
        red, green, blue = (round(float(value) * 255) for value in grid[best, 0])
        found.append((red, green, blue))
        distance = np.minimum(distance, np.linalg.norm(lab - lab[best], axis=1))
    return found


def clear_palette(classes: Sequence[str]) -> tuple[RGB, ...]:
    """An RGB colour for each class: of CLEAR for what drives show, else of `safe_palette`."""
    known = [CLEAR.get(_plain(name)) for name in classes]
    rest = iter(safe_palette(known.count(None)))
    return tuple(colour or next(rest) for colour in known)


def drawn_palette(classes: Sequence[str], own: tuple[RGB, ...]) -> tuple[RGB, ...]:
    """The colours of overlays: the clear ones, unless somebody gave the classes colours of their own beside the usual ones."""
    return clear_palette(classes) if own == palette([ClassName(name) for name in classes]) else own


def people(classes: Sequence[str]) -> frozenset[int]:
    """The ids of who walks and who rides."""
    return frozenset(number for number, name in enumerate(classes) if _first(name) in PEOPLE)


def roads(classes: Sequence[str]) -> frozenset[int]:
    """The ids of what is driven on: the road and what is painted on it."""
    return frozenset(number for number, name in enumerate(classes) if _first(name) in ROAD)


def _first(name: str) -> str:
    """Of `road, route` and `Lane Marking - General` what stands first."""
    return _plain(re.split(r"[,;]| - ", name)[0].strip())


def _plain(name: str) -> str:
    return SAME_AS.get(_key(name), _key(name))


def safe_palette(count: int) -> tuple[RGB, ...]:
    """`count` RGB colours that colour-blind people tell apart: those of SAFE, then the same darker, lighter, still darker and so on."""
    return tuple(_shaded(SAFE[number % len(SAFE)], number // len(SAFE)) for number in range(count))


def _shaded(colour: RGB, turn: int) -> RGB:
    """Mixed with black in odd turns, with white in even ones, every time with more of it; turn 0 is the colour itself."""
    kept, into = 0.6 ** ((turn + 1) // 2), 0 if turn % 2 else 255
    red, green, blue = (round(into + (value - into) * kept) for value in colour)
    return red, green, blue
