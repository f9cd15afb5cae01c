"""From which mean confidence on a drive is unlike what a bundle learned, and how often that is right on drives that this was not chosen on.

    python docs/unlike.py BUNDLE... [--data ../shared/data] [--keep]

Chosen on what the bundle learned: `sure` is the lowest mean confidence of a few seconds of it, rounded down. `--keep` writes that into the
bundle's card. Told of the rest: mean confidence, the share of stretches of SPAN pictures that are called unlike, and mIoU where the truth
is known; a drive is worse where its mIoU is below GOAL of the clean clip's. All in int8, labels and corruptions as of `drive-seg evaluate`.
"""

import argparse
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

import drive_seg
from drive_seg.contracts import Image, Labels
from drive_seg.lab.build.export import write_card
from drive_seg.lab.evaluate.corruptions import CORRUPTIONS, GOAL, STRENGTHS, corrupt
from drive_seg.network.card import load_bundle
from drive_seg.network.score import Confusion

EVERY, SPAN = 12, 4  # every so many frames of the clip, which is of 15 a second, and so many of them: about session.unlike.SPAN_S
Pictures = Iterable[tuple[Image, Labels | None]]
LEARNED = {  # beside CamVid's train split
    "city": ("unlabelled/driveai/images", "unlabelled/kitti_road/images"),
    "camvid": ("demo:?seed=3&frames=450", "demo:?seed=5&frames=450"),
    "camvid-large": ("demo:?seed=3&frames=450", "demo:?seed=5&frames=450"),
}
DRIVES = {  # told of, and how many frames lie between two that are taken
    "demo:?seed=7&frames=450": 36,
    "demo:?seed=8&frames=450": 36,
    "video/solidWhiteRight.mp4": 15,
    "video/vehicle_test_video.mp4": 4,
    "video/kitti_2011_09_26_city.mp4": 6,
    "unlabelled/driveai/images": 12,
    "unlabelled/kitti_road/images": 58,
}


def paired(folder: Path, stride: int, prefix: str = "") -> Iterator[tuple[Image, Labels]]:
    for path in sorted((folder / "images").glob(f"{prefix}*"))[::stride]:
        yield cv2.imread(str(path)), cv2.imread(str(folder / "labels" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)  # type: ignore[misc]


def played(source: str, data: Path, stride: int) -> Iterator[tuple[Image, Labels | None]]:
    uri = source if source.startswith("demo:") else data / source
    with drive_seg.frames(uri) as frames:
        yield from ((frame.image, frame.labels) for frame in islice(frames, 0, None, stride))


def measured(segmenter: drive_seg.Segmenter, pictures: Pictures) -> tuple[list[float], float | None]:
    """Mean confidence by picture, and mIoU where the truth is known."""
    confidences, confusion = list[float](), Confusion(segmenter.classes)
    for image, truth in pictures:
        result = segmenter(image)
        assert result.details.confidence is not None
        confidences.append(result.details.confidence.mean)
        if truth is not None:
            confusion.add(truth, result.labels)
    return confidences, confusion.miou


def stretches(confidences: list[float]) -> list[float]:
    """Their means; of fewer pictures than SPAN the one of all."""
    span = min(SPAN, len(confidences))
    return [float(np.mean(confidences[at : at + span])) for at in range(len(confidences) - span + 1)]


def learned(name: str, data: Path) -> Iterator[tuple[str, Pictures]]:
    for prefix in ("0001TP", "0006R0", "0016E5"):
        yield f"CamVid train {prefix}", paired(data / "camvid/train", 8, prefix)
    for source in LEARNED.get(name, ()):
        yield source, played(source, data, DRIVES.get(source, 36))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args()
    for name in asked.bundles:
        with drive_seg.load(name, confidence=True, precision="int8", threads=1) as segmenter:
            sure = choose(name, segmenter, asked.data)
            tell(name, segmenter, asked.data, sure)
        if asked.keep:
            bundle = load_bundle(name)
            write_card(bundle.card.model_copy(update={"sure": sure}), bundle.folder)


def choose(name: str, segmenter: drive_seg.Segmenter, data: Path) -> float:
    """Below what was learned: the lowest of its stretches, in steps of .005."""
    print(f"\n{name}, chosen on | mean confidence | lowest stretch")
    lowest = 1.0
    for drive, pictures in learned(name, data):
        confidences, _ = measured(segmenter, pictures)
        print(f"{drive} | {np.mean(confidences):.3f} | {min(stretches(confidences)):.3f}", flush=True)
        lowest = min(lowest, *stretches(confidences))
    sure = math.floor(200 * lowest) / 200
    print(f"sure = {sure:.3f}")
    return sure


def others(name: str, data: Path) -> Iterator[tuple[str, Pictures]]:
    clip = list(paired(data / "camvid/clip", EVERY))
    yield "CamVid's clip", clip
    for corruption in CORRUPTIONS:
        for by in STRENGTHS:
            spoiled = ((corrupt(image, corruption, by, at), truth) for at, (image, truth) in enumerate(clip))
            yield f"clip, {corruption} {by}", spoiled
    for source, stride in DRIVES.items():
        if source not in LEARNED.get(name, ()):
            yield source, played(source, data, stride)


def tell(name: str, segmenter: drive_seg.Segmenter, data: Path, sure: float) -> None:
    print(f"\n{name}, told of | mean confidence | called unlike | mIoU")
    clean = 0.0
    right: dict[bool, list[float]] = {False: [], True: []}  # by whether the drive is worse, the share of its stretches called unlike
    for drive, pictures in others(name, data):
        confidences, miou = measured(segmenter, pictures)
        share = float(np.mean([one < sure for one in stretches(confidences)]))
        print(f"{drive} | {np.mean(confidences):.3f} | {share:.0%} | {'' if miou is None else f'{miou:.3f}'}", flush=True)
        clean = clean or miou or 0.0
        if miou is not None:
            right[miou < GOAL * clean].append(share)
    for worse, shares in right.items():
        said = f"of {len(shares)} drives with {'less than' if worse else 'at least'} {GOAL:.0%} of the clean mIoU"
        print(f"{name}: {np.mean(shares):.0%} of the stretches {said} are called unlike" if shares else f"{name}: none {said}")


if __name__ == "__main__":
    main()
