"""Small stand-ins for the Protocols, for every test."""

import json
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from drive_seg.contracts import CONFIDENCE, RUNNER_UP, Array, Decision, Frame, Image, Labels, Result, SourceInfo, Tensors, TensorSpec
from drive_seg.network.card import Bundle, load_bundle, sha256
from tests.waiting import PATIENCE_S

CAMVID = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}


def make_result(
    index: int = 0,
    image: Image | None = None,
    labels: Labels | None = None,
    truth: Labels | None = None,
    total_ms: float = 5.0,
    age: int = 0,
    classes: tuple[str, ...] = (),
) -> Result:
    """A grey picture of 48x64 and labels of 12x16 that are all road, unless told otherwise."""
    image = np.full((48, 64, 3), 100, np.uint8) if image is None else image
    labels = np.full((12, 16), 3, np.uint8) if labels is None else labels
    frame = Frame(image, index, index / 30, labels=truth)
    decision = Decision(age == 0, "clock", f"age {age} of 4")
    return Result(frame, labels, None, decision, age, age * 33.3, latency_ms={"total": total_ms}, classes=classes)


class FakeSource:
    """`count` grey frames at `fps`; then the end, or `error`. `reads` counts how often it was asked; `hang` makes the last read block."""

    def __init__(self, count: int = 5, fps: float = 30.0, live: bool = False, error: Exception | None = None, hang: bool = False) -> None:
        self.info = SourceInfo("fake", (48, 64), fps, live, count)
        self.count, self.error, self.hang = count, error, hang
        self.reads = 0
        self.closed = False
        self.released = threading.Event()  # lets a hanging read go

    def read(self) -> Frame | None:
        index, self.reads = self.reads, self.reads + 1
        if index < self.count:
            return Frame(np.full((48, 64, 3), index % 256, np.uint8), index, index / self.info.fps)
        if self.hang:
            self.released.wait(PATIENCE_S)
        if self.error:
            raise self.error
        return None

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class FakeFile(FakeSource):
    """A seekable FakeSource: `reads` is then the index that comes next. `seeked` remembers where to."""

    def __init__(self, count: int = 5, fps: float = 30.0) -> None:
        super().__init__(count, fps)
        self.seeked: list[int] = []

    def seek(self, index: int) -> None:
        self.seeked.append(index)
        self.reads = min(max(index, 0), self.count - 1)


class FakeVideoCapture:
    """cv2.VideoCapture over a list of pictures, each a connection's worth; `script` holds one entry per opening, None for a refusal."""

    script: ClassVar[list[list[Array] | None]] = []
    opened: ClassVar[list[tuple[object, ...]]] = []  # the arguments of every opening

    def __init__(self, *args: object) -> None:
        self.opened.append(args)
        self.pictures = self.script.pop(0) if self.script else None
        self.at = -1
        self.properties: dict[int, float] = {}
        self.released = False

    def isOpened(self) -> bool:
        return self.pictures is not None and not self.released

    def grab(self) -> bool:
        self.at += 1
        return self.isOpened() and self.at < len(self.pictures or ())

    def retrieve(self) -> tuple[bool, Array | None]:
        return (True, self.pictures[self.at]) if self.pictures else (False, None)

    def get(self, prop: int) -> float:
        return self.properties.get(prop, 0.0)

    def set(self, prop: int, value: float) -> bool:
        self.properties[prop] = value
        return True

    def release(self) -> None:
        self.released = True


CARD_CLASSES = ("road", "car", "sky")


def make_bundle(folder: Path, int8: Collection[str] = (), **overrides: object) -> Bundle:
    """A whole bundle of 3 classes for 32x24 pictures whose ONNX files only FakeBackend can run; `int8`: stages that have one in int8."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("low.onnx", "high.onnx", "head.onnx", *(f"{stage}.int8.onnx" for stage in int8)):
        (folder / name).write_bytes(name.encode())
    wiring = {"low": (["image"], ["detail"]), "high": (["detail"], ["context"]), "head": (["detail", "context"], ["labels"])}
    card = {
        "format": 1, "name": folder.name, "classes": CARD_CLASSES, "palette": [(128, 64, 128), (64, 0, 128), (128, 128, 128)],
        "input": {"name": "image", "height": 24, "width": 32, "multiple": 8}, "labels": "labels", "change": "detail",
        "stages": {
            stage: {"file": f"{stage}.onnx", "sha256": sha256(folder / f"{stage}.onnx"), "inputs": ins, "outputs": outs, "gflop": 1.0}
            | ({"int8": {"file": f"{stage}.int8.onnx", "sha256": sha256(folder / f"{stage}.int8.onnx")}} if stage in int8 else {})
            for stage, (ins, outs) in wiring.items()
        },
        "network": {}, "parameters": 1, "training": {}, "licence": "none", "limits": "none", "measured": {},
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card | overrides))
    return load_bundle(folder)


KEYED: dict[str, object] = {  # overrides for make_bundle: what a bundle with a selector and a propagation of its own has
    "score": "score",
    "key_inputs": {"key_detail": {"channels": 1, "stride": 8}},
    "propagations": ["hold", "flow", "attend"],
}


def make_keyed_bundle(folder: Path) -> Bundle:
    """make_bundle's, whose low also takes the key's detail and scores against it, and whose head for `attend` takes it as well."""
    folder.mkdir(parents=True)
    (folder / "attend.onnx").write_bytes(b"attend.onnx")
    made = json.loads(make_bundle(folder).card.model_dump_json())
    made["stages"]["low"] |= {"inputs": ["image", "key_detail"], "outputs": ["detail", "score"]}
    attend = {"file": "attend.onnx", "sha256": sha256(folder / "attend.onnx"), "inputs": ["key_detail", "detail", "context"]}
    heads = {"attend": attend | {"outputs": ["labels"], "gflop": 3.0}}
    return make_bundle(folder, stages=made["stages"], heads=heads, **KEYED)


def make_two_rate_bundle(folder: Path) -> Bundle:
    """make_bundle's with a `mid`, from detail to `part`, which is cached, and `pool`, which only high reads."""
    folder.mkdir(parents=True)
    (folder / "mid.onnx").write_bytes(b"mid.onnx")
    low, high, head = json.loads(make_bundle(folder).card.model_dump_json())["stages"].values()
    mid = {"file": "mid.onnx", "sha256": sha256(folder / "mid.onnx"), "inputs": ["detail"], "outputs": ["pool", "part"], "gflop": 2.0}
    high["inputs"], head["inputs"] = ["pool"], ["detail", "part", "context"]
    return make_bundle(folder, stages={"low": low, "mid": mid, "high": high, "head": head})


def make_picture_bundle(folder: Path) -> Bundle:
    """make_bundle's, whose high reads the picture itself."""
    stages = json.loads(make_bundle(folder).card.model_dump_json())["stages"]
    stages["high"]["inputs"] = ["image"]
    return make_bundle(folder, stages=stages)


Compute = Callable[[Tensors, dict[str, Array]], None]


class FakeStage:
    """Like a real runtime it writes into the same output arrays on every call. `compute(inputs, outputs)` fills them."""

    def __init__(self, specs: dict[str, TensorSpec], outputs: dict[str, Array], compute: Compute) -> None:
        self.inputs = tuple(specs.values())
        self.outputs = tuple(TensorSpec(name, str(value.dtype), value.shape) for name, value in outputs.items())
        self._outputs, self._compute = outputs, compute
        self.calls, self.closed = 0, False

    def __call__(self, tensors: Tensors) -> Tensors:
        assert set(tensors) == {spec.name for spec in self.inputs}
        self.calls += 1
        self._compute(tensors, self._outputs)
        return self._outputs

    def close(self) -> None:
        self.closed = True


class FakeBackend:
    """Runs make_bundle's stages: the features are the picture's blue mean, the context remembers it, and the labels are what the
    context remembers, so that a label tells which frame's context made it.

    A keyed bundle's score is the blue's distance from the key's, over 100; its `attend` labels are the key's own blue. The lower half of
    a two-rate bundle's labels is what `part` remembers.
    `noise` is added to the features; `before_high` is called by every run of `high`, in the thread that it runs in.
    """

    name, device, precision = "fake", "none", "fp32"

    def __init__(self, int8: bool | None = None, noise: float = 0.0, before_high: Callable[[], None] = lambda: None) -> None:
        self.int8, self.noise, self.before_high = int8, noise, before_high
        self.loaded: dict[str, list[FakeStage]] = {"low": [], "mid": [], "high": [], "head": [], "attend": []}
        self.paths: list[str] = []

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> FakeStage:
        self.paths.append(onnx_path)
        stage = Path(onnx_path).name.partition(".")[0]
        specs = {name: TensorSpec(name, "float32", shape) for name, shape in input_shapes.items()}
        make: dict[str, Callable[[FakeBackend, Mapping[str, tuple[int, ...]]], tuple[dict[str, Array], Compute]]] = {
            "low": FakeBackend._low, "mid": FakeBackend._mid, "high": FakeBackend._high,
            "head": FakeBackend._head, "attend": FakeBackend._head,
        }  # fmt: skip
        made = FakeStage(specs, *make[stage](self, input_shapes))
        self.loaded[stage].append(made)
        return made

    def _low(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Array], Compute]:
        _, height, width, _ = shapes["image"]
        outputs: dict[str, Array] = {"detail": np.zeros((1, 1, height // 8, width // 8), np.float32)}
        if "key_detail" in shapes:
            outputs["score"] = np.zeros((1, 1), np.float32)

        def compute(inputs: Tensors, outputs: dict[str, Array]) -> None:
            outputs["detail"][:] = inputs["image"][..., 0].mean() + self.noise
            if "key_detail" in inputs:
                outputs["score"][:] = abs(outputs["detail"] - inputs["key_detail"]).mean() / 100

        return outputs, compute

    def _high(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Array], Compute]:
        def compute(inputs: Tensors, outputs: dict[str, Array]) -> None:
            self.before_high()
            outputs["context"][:] = inputs["image"][..., 0].mean() if "image" in inputs else next(iter(inputs.values())).mean()

        (_, height, width, _), read = shapes.get("image", (0, 0, 0, 0)), next(iter(shapes.values()))
        return {"context": np.zeros((1, 1, height // 8, width // 8) if "image" in shapes else read, np.float32)}, compute

    def _mid(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Array], Compute]:
        def compute(inputs: Tensors, outputs: dict[str, Array]) -> None:
            for output in outputs.values():
                output[:] = inputs["detail"].mean()

        return {name: np.zeros(shapes["detail"], np.float32) for name in ("pool", "part")}, compute

    def _head(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Array], Compute]:
        _, _, height, width = shapes["detail"]
        source = next(iter(name for name in ("key_detail", "context") if name in shapes))

        def compute(inputs: Tensors, outputs: dict[str, Array]) -> None:
            outputs["labels"][:] = inputs[source].mean()
            if "part" in inputs:
                outputs["labels"][:, height * 2 :] = inputs["part"].mean()

        outputs = {name: np.zeros((1, height * 4, width * 4), np.uint8) for name in ("labels", CONFIDENCE, RUNNER_UP)}
        outputs[CONFIDENCE][:] = 204  # 80 %, which nobody reads who has not asked for it
        return outputs, compute

    def calls(self, stage: str) -> int:
        return sum(one.calls for one in self.loaded[stage])
