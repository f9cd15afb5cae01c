"""Writes all frames' labels into one file, as the tools in which people label take it: COCO, CVAT, Label Studio."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_seg.classes import ClassName, palette
from drive_seg.contracts import Labels, Result
from drive_seg.errors import UsageError
from drive_seg.files import Beside, free
from drive_seg.network.postprocess import at_size
from drive_seg.sinks.background import BackgroundWriter
from drive_seg.workers import Overflow

Region = NDArray[np.bool_]  # HxW: where a class is
WHO = "drive-seg"


class Document(ABC):
    """The text of a file for one set of classes; a class that is called void has no regions."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        names = [ClassName(name) for name in classes]
        colours = ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in palette(names)]
        self.classes, self._begun = classes, False
        self.named = [(at, *both) for at, both in enumerate(zip(classes, colours, strict=True)) if not names[at].void]

    @abstractmethod
    def head(self) -> str: ...

    @abstractmethod
    def frame(self, index: int, labels: Labels) -> str:
        """Of a frame that comes once; labels at its size."""

    @abstractmethod
    def tail(self) -> str: ...

    def _regions(self, labels: Labels) -> Iterator[tuple[int, str, Region]]:
        """Of the classes that are there: id, name and region."""
        there = np.bincount(labels.ravel(), minlength=256)
        yield from ((at, name, labels == at) for at, name, _ in self.named if there[at])

    def _listed(self, items: list[dict[str, Any]]) -> str:
        """A line each, as the next ones of the JSON list that is under way."""
        lines = ",\n".join(json.dumps(item) for item in items)
        between, self._begun = ",\n" * bool(self._begun and items), self._begun or bool(items)
        return between + lines


class Coco(Document):
    """https://cocodataset.org/#format-data: of each frame an annotation a class, its region as RLE, as COCO-Stuff has them.

    A category's id is the class id + 1, an image's the frame's number + 1.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        super().__init__(classes)
        self._mask, self._images = _pycocotools(), list[dict[str, Any]]()

    def head(self) -> str:
        categories = [{"id": at + 1, "name": name, "supercategory": ""} for at, name, _ in self.named]
        known = json.dumps({"info": {"description": f"labelled by {WHO}"}, "licenses": [], "categories": categories})
        return f'{known[:-1]}, "annotations": [\n'

    def frame(self, index: int, labels: Labels) -> str:
        height, width = labels.shape
        self._images.append({"id": index + 1, "file_name": picture_of(index), "width": width, "height": height})
        return self._listed([self._annotation(index, at, region) for at, _, region in self._regions(labels)])

    def _annotation(self, index: int, at: int, region: Region) -> dict[str, Any]:
        rle = self._mask.encode(np.asfortranarray(region, np.uint8))
        known = {"id": index * 256 + at + 1, "image_id": index + 1, "category_id": at + 1, "iscrowd": 0}
        segmentation = {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()}
        return known | {"segmentation": segmentation, "area": int(self._mask.area(rle)), "bbox": self._mask.toBbox(rle).tolist()}

    def tail(self) -> str:
        self._begun = False
        return '\n], "images": [\n' + self._listed(self._images) + "\n]}\n"


class Cvat(Document):
    """`CVAT for images 1.1` (https://docs.cvat.ai/docs/manual/advanced/xml_format/): of each frame a mask a class.

    Runs are counted along the rows of the mask's box, beginning with one outside.
    """

    def head(self) -> str:
        labels = "".join(
            f"<label><name>{_xml(name)}</name><color>{colour}</color><type>mask</type><attributes></attributes></label>\n"
            for _, name, colour in self.named
        )
        meta = f"<meta><task><name>{WHO}</name><mode>annotation</mode><labels>\n{labels}</labels></task></meta>"
        return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n{meta}\n'

    def frame(self, index: int, labels: Labels) -> str:
        height, width = labels.shape
        masks = "".join(self._mask(name, region) for _, name, region in self._regions(labels))
        return f'<image id="{index}" name="{picture_of(index)}" width="{width}" height="{height}">\n{masks}</image>\n'

    def _mask(self, name: str, region: Region) -> str:
        left, top, width, height = cv2.boundingRect(region.view(np.uint8))
        rle = ", ".join(map(str, runs(region[top : top + height, left : left + width])))
        place = f'left="{left}" top="{top}" width="{width}" height="{height}"'
        return f'<mask label={quoteattr(_printable(name))} source="auto" occluded="0" rle="{rle}" {place} z_order="0"></mask>\n'

    def tail(self) -> str:
        return "</annotations>\n"


class LabelStudio(Document):
    """Tasks with predictions (https://labelstud.io/guide/predictions): of each frame a brush region a class.

    For `<BrushLabels name="label" toName="image">` and `<Image name="image" value="$image"/>`; the pictures are those of a local
    storage whose root has the folder `images`.
    """

    def head(self) -> str:
        return "[\n"

    def frame(self, index: int, labels: Labels) -> str:
        regions = [self._region(index, at, name, region) for at, name, region in self._regions(labels)]
        predictions = [{"model_version": WHO, "result": regions}]
        return self._listed([{"data": {"image": f"/data/local-files/?d=images/{picture_of(index)}"}, "predictions": predictions}])

    def _region(self, index: int, at: int, name: str, region: Region) -> dict[str, Any]:
        height, width = region.shape
        value = {"format": "rle", "rle": brush(region), "brushlabels": [name]}
        about = {"id": f"{index}-{at}", "type": "brushlabels", "from_name": "label", "to_name": "image"}
        return about | {"original_width": width, "original_height": height, "image_rotation": 0, "value": value}

    def tail(self) -> str:
        return "\n]\n"


class AnnotationWriter(BackgroundWriter):
    """`path` with the labels of all frames, at their size; written as files.Beside says, and whole when a run is stopped.

    A frame that comes again is in it once. Other classes, of another network that takes over, begin NAME-2. Without a frame there is no
    file; after a kill or a failure NAME.part has those until then. Raises UsageError for a file that is there,
    SinkError when it cannot be made, and from `put` or `close` when it could not be written.
    """

    def __init__(
        self, path: Path, document: Callable[[tuple[str, ...]], Document], overflow: Overflow = Overflow.WAIT, overwrite: bool = False
    ) -> None:
        self._path, self._make = path, document
        self._document: Document | None = None
        self._own: set[int] = set()
        self._beside = Beside(path, overwrite)
        super().__init__(str(self._beside.part), overflow)

    def _write(self, result: Result) -> None:
        if self._document and result.classes != self._document.classes:
            self._complete()
            self._beside = Beside(free(self._path.with_suffix(""), self._path.suffix))
        if self._document is None:
            self._document = self._make(result.classes)
            self._add(self._document.head())
        if (index := result.frame.index) not in self._own:
            self._own.add(index)
            self._add(self._document.frame(index, at_size(result.labels, result.frame.size_hw)))

    def _add(self, text: str) -> None:
        self._beside.file.write(text.encode())

    def _complete(self) -> None:
        assert self._document is not None
        self._add(self._document.tail())
        self._beside.keep()
        self._document, self._own = None, set()

    def _finish(self, whole: bool) -> None:
        try:
            if self._document is None:
                self._beside.drop()
            elif whole:
                self._complete()
        finally:
            self._beside.leave()


def picture_of(index: int) -> str:
    """What a frame's picture is called, and its mask."""
    return f"{index:06d}.png"


def runs(region: Region) -> list[int]:
    """The lengths of its runs along the rows, by turns outside and inside; 0 first where it begins inside."""
    flat = region.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return [0] * int(flat[0]) + [*map(int, np.diff(changes, prepend=0, append=len(flat)))]


_SIZES = (3, 4, 8, 16)  # bits in which a run's length may be told


def brush(region: Region) -> list[int]:
    """Label Studio's bytes for RGBA pixels that are 255 or 0: the number of values (32 bits), a value's bits - 1 (5), of each of _SIZES
    the bits - 1 (4); then for each run 1, which of _SIZES (2), its length - 1 in so many, and its value (8). The format is that of
    rle-pack in https://github.com/thi-ng/umbrella.
    """
    told = 4 * np.array(runs(region), np.int64)
    value = np.tile(np.array([0, 255]), (len(told) + 1) // 2)[: len(told)]
    parts = -(-told >> _SIZES[-1])  # a longer run is told as several
    last, length = np.cumsum(parts) - 1, np.full(int(parts.sum()), 1 << _SIZES[-1], np.int64)
    length[last[parts > 0]] = (told - (np.maximum(parts, 1) - 1 << _SIZES[-1]))[parts > 0]
    size = np.searchsorted([1 << bits for bits in _SIZES], length)
    bits = np.array(_SIZES)[size]
    word = (((4 + size) << bits) + length - 1 << 8) + np.repeat(value, parts)
    count, columns = bits + 11, np.arange(27)
    text = (word << 27 - count)[:, None] >> 26 - columns & 1
    head = f"{4 * region.size:032b}{7:05b}" + "".join(f"{bits - 1:04b}" for bits in _SIZES)
    told_bits = np.concatenate([np.array(list(head), np.uint8), text[columns < count[:, None]].astype(np.uint8)])
    return [*map(int, np.packbits(told_bits))]


def _pycocotools() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise UsageError("COCO's masks need a package; pip install 'drive-seg[coco]'") from error
    return mask


def _printable(name: str) -> str:
    return "".join(one if one.isprintable() else " " for one in name)


def _xml(name: str) -> str:
    return escape(_printable(name))
