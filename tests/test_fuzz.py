"""Whatever the bytes are that a reader is given: it returns, or raises the error that it documents.

Every reader gets real files with bytes changed, left out and put in, and what hypothesis thinks of. About 10^4 inputs, always the same;
`make fuzz` (FUZZ=10) takes ten times as many, other ones each time.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from safetensors.numpy import save

from drive_seg.backends import read_onnx
from drive_seg.bench.compare import compare_files
from drive_seg.bench.matrix import read_matrix
from drive_seg.classes import read_class_names
from drive_seg.errors import DriveSegError
from drive_seg.lab.evaluate.datasets import find_pairs
from drive_seg.lab.train.checkpoint import read_recipe
from drive_seg.lab.train.recipe import Recipe
from drive_seg.network.card import load_bundle
from drive_seg.network.foreign import describe
from drive_seg.network.schedule import parse_schedule, read_schedule
from drive_seg.redaction import redacted
from drive_seg.settings import FLAGS, Settings
from drive_seg.sinks.tracer import read_decisions
from drive_seg.sources import files_of
from drive_seg.sources.file import FileSource
from drive_seg.sources.pictures import BadPicture, read_bgr, read_stored
from tests.bench.test_matrix import turn
from tests.fakes import KEYED, make_bundle
from tests.sources.clips import write_video

ROOT = Path(__file__).parents[1]
TIMES = int(os.environ.get("FUZZ", "1"))
LINE = '{"index": 0, "segment": 0, "key": true, "reason": "age", "text": "", "score": 0.5, "threshold": null}\n'
TOKENS = [
    b"1e999",
    b"-1",
    b"nan",
    b"[[",
    b"{",
    b'"',
    b"\xff",
    b"\0",
    b"9" * 5000,
    b"[" * 5000,
    b"null",
    b"0",
    b"true",
    b"\xef\xbb\xbf",
    b"../",
    b"\n",
]


def fuzz(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(
        max_examples=examples * TIMES, derandomize=TIMES == 1, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


def like(real: bytes) -> st.SearchStrategy[bytes]:
    """The real file with up to six places changed, or anything at all."""
    piece = st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4))
    edits = st.lists(st.tuples(st.integers(0, len(real)), st.integers(0, 9), piece), min_size=1, max_size=6)

    def edited(changes: list[tuple[int, int, bytes]]) -> bytes:
        made = real
        for at, left_out, put_in in changes:
            made = made[:at] + put_in + made[at + left_out :]
        return made

    cut = st.integers(0, len(real)).map(lambda end: real[:end])
    return st.one_of(edits.map(edited), cut, st.binary(max_size=200))


def network() -> bytes:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("image", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["y"])], "g", [ports[0]], [ports[1]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"mean": "0.1,0.2,0.3", "std": "1,1,1"})
    return bytes(model.SerializeToString())


def picture(ending: str) -> bytes:
    return cv2.imencode(ending, np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))[1].tobytes()


CONFIG = b'source = "demo:"\nmean = [0.4, 0.4, 0.4]\ninput-size = "64x48"\nschedule = "clockwork:4"\nmax-frames = 5\ndeadline = "30fps"\n'
MATRIX = b'title = "a"\nrounds = 2\nmodel = ["camvid"]\n[[combination]]\nschedule = ["every-frame", "clockwork:4"]\n'
PLAYLIST = b"#EXTM3U\na.mp4\nfile://b.mp4\n"


def _network(path: Path) -> None:
    describe(read_onnx(str(path)), read_class_names(("a", "b", "c")))


def _pictures(path: Path) -> None:
    for read in (read_bgr, lambda path: read_stored(path, ids=True), lambda path: read_stored(path, ids=False)):
        with suppress(BadPicture):
            read(path)


def _video(path: Path) -> None:
    with FileSource(path) as source:
        for index in (0, 3):
            source.seek(index)
            for _ in range(20):
                if source.read() is None:
                    break


def video(ending: str) -> bytes:
    with TemporaryDirectory() as folder:
        return write_video(Path(folder) / f"v{ending}", [index / 30 for index in range(6)], size_hw=(32, 48)).read_bytes()


def checkpoint() -> bytes:
    return bytes(save({"average.x": np.zeros(3, np.float32)}, {"step": "3", "recipe": json.dumps({"classes": ["road", "car"]})}))


READERS: dict[str, tuple[str, bytes, Callable[[Path], object], int]] = {  # the file's name, a real one, who reads it, how many
    "settings": ("f.toml", CONFIG, lambda path: Settings.load(path, {}), 1200),
    "recipe": ("f.toml", (ROOT / "recipes" / "camvid.toml").read_bytes(), Recipe.load, 1000),
    "matrix": ("f.toml", MATRIX, lambda path: read_matrix(path, {}), 800),
    "replay": ("f.jsonl", LINE.encode() * 3, read_decisions, 1200),
    "measurement": ("f.json", json.dumps(turn(10.0) | {"machine": {}}).encode(), lambda path: compare_files(path, path, anyway=True), 500),
    "class names": ("f.txt", b"road #804080\nvoid\ncar\n", read_class_names, 1200),
    "playlist": ("f.m3u", PLAYLIST, lambda path: files_of(str(path)), 600),
    "network": ("f.onnx", network(), _network, 600),
    "PNG": ("f.png", picture(".png"), _pictures, 400),
    "JPEG": ("f.jpg", picture(".jpg"), _pictures, 300),
    "WebP": ("f.webp", picture(".webp"), _pictures, 300),
    "MP4": ("f.mp4", video(".mp4"), _video, 200),
    "TS": ("f.ts", video(".ts"), _video, 200),
    "checkpoint": ("f.safetensors", checkpoint(), read_recipe, 200),
}


@pytest.mark.parametrize("kind", READERS)
def test_files(kind: str, tmp_path: Path) -> None:
    name, real, read, examples = READERS[kind]
    path = tmp_path / name

    @fuzz(examples)
    @given(like(real))
    @example(real)
    def returns_or_says(content: bytes) -> None:
        path.write_bytes(content)
        with suppress(DriveSegError):
            read(path)

    returns_or_says()


def test_cards(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", **{key: value for key, value in KEYED.items() if key == "key_inputs"})
    card = bundle.folder / "card.json"

    @fuzz(1000)
    @given(like(card.read_bytes()))
    def returns_or_says(content: bytes) -> None:
        card.write_bytes(content)
        with suppress(DriveSegError):
            load_bundle(bundle.folder)

    returns_or_says()


TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                "clockwork:",
                "keyframe:",
                "budget:",
                "adaptive=",
                "pipelined=",
                ".1",
                "1",
                ",",
                "max_age=",
                "ms",
                "fps",
                "9" * 400,
                "٣",
                "rtsp://",
                "http://",
                "me:pw@",
                "cam",
                "?token=x",
                "[",
                "~",
                "*",
                "..",
                "/",
                "\0",
                "demo:?",
                "size=",
                "x",
                "&",
                "camvid11:",
                "x" * 300,
            ]
        ),
        max_size=6,
    ).map("".join),
)


@fuzz(1200)
@given(TEXTS)
def test_schedules(text: str) -> None:
    read_schedule(text)
    with suppress(DriveSegError):
        parse_schedule(text)


@fuzz(800)
@given(TEXTS)
def test_addresses_and_data_sets(text: str) -> None:
    redacted(text)
    files_of(text)
    with suppress(DriveSegError):
        find_pairs(text, ("road", "car"))


@fuzz(1500)
@given(st.sampled_from(sorted(FLAGS.keys() - {"config"})), TEXTS)
def test_flags(name: str, text: str) -> None:
    with suppress(DriveSegError):
        Settings.load(None, {name: text})
