"""The same real frames by several bundles: how many of the points in points.toml each labels right, and its overlays as one picture.

    python docs/looks/look.py BUNDLE... [--data ../shared/data] [--into docs/looks]

The pictures are not part of the project: where they are absent, the script says which one it misses.
"""

import argparse
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import drive_seg
from drive_seg.contracts import Image

POINTS = Path(__file__).with_name("points.toml")
TILE = (400, 260)  # width, height
COLUMNS = 3


@dataclass(frozen=True)
class Looked:
    """One frame and the points on it: x and y in percent, by class."""

    name: str
    image: Image
    points: dict[str, list[tuple[float, float]]]


def frames(data: Path) -> Iterator[Looked]:
    for points in tomllib.loads(POINTS.read_text())["frame"]:
        path = data / points.pop("file")
        index = points.pop("index", 0)
        frame = next((frame for frame in drive_seg.frames(path) if frame.index == index), None)
        if frame is None:
            raise SystemExit(f"{path}: has no frame {index}")
        yield Looked(f"{path.name} {index}", frame.image, points)


def hits(looked: Looked, labels: drive_seg.Result) -> Iterator[tuple[str, bool]]:
    """Each point's class, and whether it is the label there."""
    height, width = labels.labels.shape
    for name, places in looked.points.items():
        for x, y in places:
            found = labels.labels[int(y / 100 * height), int(x / 100 * width)]
            yield name, labels.classes[found] == name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--into", type=Path, help="a folder for BUNDLE.jpg")
    asked = parser.parse_args()
    all_looked = list(frames(asked.data))
    for bundle in asked.bundles:
        tiles, right, all_ = [], Counter[str](), Counter[str]()
        with drive_seg.load(bundle) as segmenter:
            for looked in all_looked:
                result = segmenter(looked.image)
                for name, hit in hits(looked, result):
                    all_[name] += 1
                    right[name] += hit
                tiles.append(cv2.resize(result.overlay(0.6), TILE, interpolation=cv2.INTER_AREA))
        by_class = ", ".join(f"{name} {right[name]}/{count}" for name, count in all_.items())
        print(f"{bundle}: {right.total()} of {all_.total()}, {right.total() / all_.total():.3f}; {by_class}")
        if asked.into:
            rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
            cv2.imwrite(str(asked.into / f"{Path(bundle).name}.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 80])


if __name__ == "__main__":
    main()
