"""Small drives, a network that takes no time, and workers that are no processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_seg.contracts import Image
from drive_seg.fleet import workers
from drive_seg.fleet.labelling import Labeller, Order
from drive_seg.fleet.records import Records
from drive_seg.fleet.workers import Crew
from drive_seg.session.opening import open_session
from drive_seg.settings import Settings
from tests.fakes import FakeBackend, make_two_rate_bundle
from tests.sources.clips import write_video

SCENES = 0, 21, 22, 43  # where the scene is another one: not where a clock is due


def drawn(number: int, size_hw: tuple[int, int]) -> Image:
    """A plane whose blue grows by one a frame, which the labels tell; another scene is much darker or brighter."""
    scene = sum(number >= cut for cut in SCENES) % 2
    return np.full((*size_hw, 3), (number + (10, 150)[scene], 90, 90), np.uint8)


def write_drive(path: Path, frames: int = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, [number / 30 for number in range(frames)], draw=drawn)


@pytest.fixture(scope="session")
def a_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames, 2 seconds, 4 scenes."""
    return write_drive(tmp_path_factory.mktemp("drives") / "a.mp4")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bundle with two cached stages that FakeBackend runs, whatever backend is asked for."""
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda *_, **__: FakeBackend())
    make_two_rate_bundle(folder := tmp_path / "engines" / "two")
    return str(folder)


@pytest.fixture
def order(model: str, tmp_path: Path) -> Callable[..., Order]:
    """In pieces of half a second."""

    def make(save: tuple[str, ...] = ("masks", "areas", "trace"), cut_s: float = 0.5, **settings: object) -> Order:
        Records(out := tmp_path / "out").make()
        return Order(Settings.load(None, {"model": model, "threads": 1, **settings}), out, save, cut_s)

    return make


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The flags of a network that any process can run at once: a pixel's class is its brightest colour."""
    onnx = pytest.importorskip("onnx")
    from tests.backends.graphs import save

    folder = tmp_path_factory.mktemp("tiny")
    kind = onnx.TensorProto.FLOAT
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[1, 1])
    weights = np.eye(3, dtype=np.float32)[..., None, None]
    net = save(folder / "tiny.onnx", [node], {"x": (kind, [1, 3, None, None])}, {"y": kind}, {"w": weights})
    (folder / "names.txt").write_text("red\ngreen\nblue\n")
    names = str(folder / "names.txt")
    return ("--model", net, "--class-names", names, "--backend", "openvino", "--input-size", "96x64")


class Inline:
    """A Worker without a process: what it is asked for it has done when it answers."""

    def __init__(self, order: Order) -> None:
        self.order, self.asked = order, list[tuple[str, Any]]()
        self.before: Callable[[str, tuple[Any, ...]], None] = lambda job, args: None  # raises, and the worker has ended
        self.again()

    def do(self, job: str, *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.asked.append((job, args[1] if job == "label" else None))
        try:
            self.before(job, args)
            future.set_result(self.labeller.do(job, *args))
        except Exception as error:
            future.set_exception(error)
        return future

    def again(self) -> None:
        self.labeller = Labeller(self.order)

    def close(self) -> None:
        pass

    def count(self, job: str) -> int:
        return sum(name == job for name, _ in self.asked)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> list[Inline]:
    """Whom `drive-seg batch` has hired: these work in this process."""
    hired = list[Inline]()

    @contextmanager
    def hire(order: Order, count: int | None, where: str | None) -> Iterator[Crew]:
        hired.extend(Inline(order) for _ in range(count or 2))
        yield Crew(tuple(hired), "nobody")

    monkeypatch.setattr(workers, "hired", hire)
    return hired


def single(order: Order, drive: Path, into: Path) -> Path:
    """What `drive-seg run` writes of a drive by the same settings."""
    into.mkdir()
    flags = {"masks": "save_masks", "trace": "trace", "overlay": "output"}
    places = {flags[what]: into / place for what, place in order.places.items() if what in flags}
    with open_session(order.settings.model_copy(update={"source": str(drive), **places})) as session:
        session.run()
    return into
