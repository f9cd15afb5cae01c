"""What --confidence and --refine cost: the same frames by each way in turns, milliseconds a frame, medians.

    python docs/confidence_cost.py [--data ../shared/data] [--model city] [--frames 200] [--threads 2]

To be run on an otherwise idle machine.
"""

import argparse
from collections import defaultdict
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import drive_seg

WAYS: dict[str, dict[str, object]] = {
    "plain": {},
    "--confidence": {"confidence": True},
    "--refine edges": {"refine": "edges"},
    "--refine smooth": {"refine": "smooth"},
}
SOURCES = ("camvid/clip/images", "video/vehicle_test_video.mp4")
WARM_UP = 10  # frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="city")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--threads", type=int)
    asked = parser.parse_args()
    for source in SOURCES:
        images = [frame.image for frame in islice(drive_seg.frames(asked.data / source), 60)]
        took: dict[tuple[str, str], list[float]] = defaultdict(list)
        with ExitStack() as stack:
            segmenters = {
                name: stack.enter_context(drive_seg.load(asked.model, threads=asked.threads, **way))  # type: ignore[arg-type]
                for name, way in WAYS.items()
            }
            for at, image in enumerate(islice(cycle(images), WARM_UP + asked.frames)):
                for name, segmenter in segmenters.items():
                    ms = segmenter(image).details.latency_ms
                    for stage in ("head", "refine", "total"):
                        took[name, stage] += [ms.get(stage, 0.0)] * (at >= WARM_UP)
            height, width = images[0].shape[:2]
            runs = segmenters["plain"].runs
        print(f"\n{asked.model}, {runs['backend']} {runs['precision']}, {runs['device']}, {width}x{height}, {asked.frames} frames each")
        print("way | head | refine | frame to labels")
        for name in WAYS:
            print(" | ".join([name, *(f"{median(took[name, stage]):.2f}" for stage in ("head", "refine", "total"))]))


if __name__ == "__main__":
    main()
