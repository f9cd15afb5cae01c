"""mIoU by age with the context moved along a decoder's motion vectors and along the program's flow: docs/adr/0021.

`python docs/decoder_motion.py ../shared/data/camvid/clip city-large camera` encodes the clip's pictures with H.264 as a camera does (no
B-frames, 2 Mbit/s) or as people do (`usual`: x264's medium, crf 23), and scores every third frame as the only key frame.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
from av.codec.context import Flags2

from drive_seg.backends import open_backend
from drive_seg.contracts import Key
from drive_seg.lab.evaluate.accuracy import CLIP_HZ, from_pairs, without_void
from drive_seg.network.card import load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.postprocess import at_size
from drive_seg.network.preprocess import to_input
from drive_seg.network.propagate import Flow, composed, warp
from drive_seg.network.score import Confusion

CELL = 8  # pixels: H.264's blocks are as FFmpeg tells them
AGES, EVERY = (1, 3, 5, 7), 3
ENCODINGS = {
    "camera": {"preset": "veryfast", "tune": "zerolatency", "refs": "1", "b": "2M", "g": "30"},
    "usual": {"preset": "medium", "crf": "23"},
}
INTRA, PREDICTED = 1, 2  # FFmpeg's picture types


def encode(pictures, path, options):
    with av.open(str(path), "w") as file:
        track = file.add_stream("libx264", rate=int(CLIP_HZ), options=options)
        track.height, track.width = pictures[0].shape[:2]
        track.pix_fmt = "yuv420p"
        for picture in (*pictures, None):
            file.mux(track.encode(picture if picture is None else av.VideoFrame.from_ndarray(picture, format="bgr24")))


def decode(path):
    """In the order in which they are shown: picture, type, whether others may refer to it, and its vectors."""
    frames, spare = [], {}
    with av.open(str(path)) as file:
        track = file.streams.video[0]
        track.codec_context.flags2 |= Flags2.export_mvs
        for packet in file.demux(track):
            spare[packet.pts] = packet.is_disposable
            for frame in packet.decode():
                vectors = frame.side_data.get("MOTION_VECTORS")
                frames.append((frame.to_ndarray(format="bgr24"), int(frame.pict_type), frame.pts, vectors and vectors.to_ndarray().copy()))
    return [(picture, kind, not spare[pts], vectors) for picture, kind, pts, vectors in frames]


def step(frames, at):
    """(h, w, 2) in cells to the frame shown before. FFmpeg tells the direction of a block's reference and not which frame it is: the
    nearest is taken, and motion for even. What has no vector stays."""
    picture, kind, _, vectors = frames[at]
    rows, columns = (-(-side // CELL) for side in picture.shape[:2])
    total = np.zeros((rows, columns, 3), np.float32)
    if vectors is None:
        return total[..., :2]
    refers = (INTRA, PREDICTED) if kind == PREDICTED else (INTRA, PREDICTED, 3)
    past = next((at - i for i in reversed(range(at)) if frames[i][2] and frames[i][1] in refers), 1)
    future = next((i - at for i in range(at + 1, len(frames)) if frames[i][2]), 1)
    away = np.where(vectors["source"] < 0, past, -future) * vectors["motion_scale"] * CELL
    moved = np.stack([vectors["motion_x"] / away, vectors["motion_y"] / away, np.ones(len(away))], -1)
    for width, height in {*zip(vectors["w"].tolist(), vectors["h"].tolist(), strict=True)}:
        of = (vectors["w"] == width) & (vectors["h"] == height)
        left, top = (vectors["dst_x"][of] - width // 2) // CELL, (vectors["dst_y"][of] - height // 2) // CELL
        for y in range(height // CELL):
            for x in range(width // CELL):
                inside = (top + y >= 0) & (top + y < rows) & (left + x >= 0) & (left + x < columns)
                np.add.at(total, ((top + y)[inside], (left + x)[inside]), moved[of][inside])
    return np.ascontiguousarray(total[..., :2] / np.maximum(total[..., 2:], 1))


def main(clip, model, encoding):
    cv2.setNumThreads(1)
    bundle = load_bundle(model)
    classes = bundle.card.classes
    pairs = list(from_pairs((clip / "images", clip / "labels"), classes))
    with TemporaryDirectory() as folder:
        encode([picture for picture, _ in pairs], path := Path(folder) / "clip.mp4", ENCODINGS[encoding])
        frames = decode(path)
    truths = [without_void(truth, classes) for _, truth in pairs]
    counts = {}
    with Engine(bundle, open_backend(None, device=None, precision=None, threads=1), "flow") as engine:
        engine.fit(truths[0].shape)
        for first in range(0, len(frames) - max(AGES), EVERY):
            flow, by_vectors = Flow(), None
            for age in range(max(AGES) + 1):
                image = to_input(frames[first + age][0], engine.input_hw)
                seen, low = flow.see(image), engine.low(image, {})
                if age == 0:
                    key = Key(0, 0.0, 0, truths[0].shape, engine.keep(low), seen, engine.deep("high", low))
                    contexts = {"own": key.context}
                else:
                    now = step(frames, first + age)
                    by_vectors = now if by_vectors is None else composed(now, by_vectors)
                    moved = {name: warp(tensor, by_vectors) for name, tensor in key.context.items()}
                    contexts = {"held": key.context, "vectors": moved, "flow": flow.propagate(key, seen)}
                for name, context in contexts.items() if age in (0, *AGES) else ():
                    labels = engine.head(low, {**key.own, **context}, fresh=age == 0)
                    counts.setdefault((name, age), Confusion(classes)).add(truths[first + age], at_size(labels, truths[0].shape))
    for (name, age), confusion in sorted(counts.items()):
        print(f"{name:8} {age}: {confusion.miou:.4f}")


main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
