"""What masks can be written as: the registry of `--save-masks-format`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from drive_seg.classes import VOID, ClassName, colours_of, counterpart
from drive_seg.contracts import Sink
from drive_seg.sinks.annotations import AnnotationWriter, Coco, Cvat, Document, LabelStudio
from drive_seg.sinks.masks import MaskWriter, Table
from drive_seg.workers import Overflow

# The ids of Cityscapes' own labels.py that its files come with and its server takes; 0 is unlabelled.
CITYSCAPES_IDS = {
    "dynamic": 5, "ground": 6, "road": 7, "sidewalk": 8, "parking": 9, "rail track": 10, "building": 11, "wall": 12, "fence": 13,
    "guard rail": 14, "bridge": 15, "tunnel": 16, "pole": 17, "traffic light": 19, "traffic sign": 20, "vegetation": 21, "terrain": 22,
    "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27, "bus": 28, "caravan": 29, "trailer": 30, "train": 31, "motorcycle": 32,
    "bicycle": 33,
}  # fmt: skip
Values = dict[str, tuple[int, ...]]  # by a data set's class: its id, or its blue, green and red


@dataclass(frozen=True, slots=True)
class MaskFormat:
    help: str
    suffix: str = ""  # of the one file that it is; empty for a folder with a PNG a frame
    document: Callable[[tuple[str, ...]], Document] | None = None
    values: Callable[[], Values] | None = None  # of the data set whose classes it has

    def check(self) -> None:
        """Raises UsageError where a package is missing."""
        if self.document:
            self.document(())

    def open(self, path: Path, overflow: Overflow, overwrite: bool) -> Sink:
        """Raises UsageError, SinkError."""
        self.check()
        if self.document:
            return AnnotationWriter(path, self.document, overflow, overwrite)
        return MaskWriter(path, overflow, overwrite, partial(_table, self.values) if self.values else None)

    def lost(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Those for which the data set has no class, which become void."""
        return tuple(name for name in classes if self.values and not ClassName(name).void and not counterpart(name, self.values()))


@cache
def _table(values: Callable[[], Values], classes: tuple[str, ...]) -> Table:
    known = values()
    found = [known[their] if (their := counterpart(name, known)) else (0,) * len(next(iter(known.values()))) for name in classes]
    rest = [(0,) * len(found[0])] * (VOID + 1 - len(found))
    return np.array(found + rest, np.uint8).squeeze()


def _colours(palette: str) -> Values:
    return {name: colour[::-1] for name, colour in colours_of(palette).items()}


def _ids() -> Values:
    return {name: (number,) for name, number in CITYSCAPES_IDS.items()}


FORMATS = {
    "ids": MaskFormat("a folder with an 8-bit PNG of class ids a frame"),
    "cityscapes": MaskFormat("the same in Cityscapes' colours", values=partial(_colours, "cityscapes")),
    "cityscapes-ids": MaskFormat("the same with Cityscapes' label ids", values=_ids),
    "camvid": MaskFormat("the same in the colours of CamVid's 32 classes", values=partial(_colours, "camvid32")),
    "coco": MaskFormat("one JSON file with COCO's RLE masks; takes pycocotools", ".json", Coco),
    "cvat": MaskFormat("one XML file, CVAT for images 1.1", ".xml", Cvat),
    "label-studio": MaskFormat("one JSON file with Label Studio's predictions", ".json", LabelStudio),
}
