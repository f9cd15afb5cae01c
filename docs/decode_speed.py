"""CPU time of decoding each frame of a video and converting it to BGR, by OpenCV and by this program, on one thread, in turns.

`taskset -c 0 python docs/decode_speed.py drive.mp4 …`
"""

import resource
import statistics
import sys
from collections.abc import Callable

import cv2

from drive_seg.sources import video
from drive_seg.sources.file import FileSource

TURNS = 6  # of which the first warms up


def by_opencv(path: str) -> int:
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    count = 0
    while capture.read()[0]:
        count += 1
    return count


def by_pyav(path: str) -> int:
    with FileSource(path) as source:
        return sum(1 for _ in iter(source.read, None))


def ms_a_frame(play: Callable[[str], int], path: str) -> float:
    start_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    count = play(path)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_utime - start_s) * 1e3 / count


cv2.setNumThreads(1)
video.DECODERS = 1
for path in sys.argv[1:]:
    turns = [(ms_a_frame(by_opencv, path), ms_a_frame(by_pyav, path)) for _ in range(TURNS)]
    theirs_ms, ours_ms = (statistics.median(column) for column in zip(*turns[1:], strict=True))
    print(f"{path}: OpenCV {theirs_ms:.2f} ms, PyAV {ours_ms:.2f} ms a frame, {theirs_ms / ours_ms:.0%} of its speed")
