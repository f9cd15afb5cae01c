"""Which precision runs is found out on the machine, once for each bundle, runtime and device; and no cache can end a run."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from drive_seg.network.card import Bundle
from drive_seg.session.opening import find_model, open_engine
from drive_seg.session.precision import int8_is_faster
from drive_seg.settings import Settings
from tests.fakes import FakeBackend, FakeStage, make_bundle


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class TimedBackend(FakeBackend):
    """Each call of a stage takes as long on the clock as its precision does here."""

    def __init__(self, clock: Clock, int8_s: float, float_s: float) -> None:
        super().__init__()
        self._clock, self._costs = clock, {True: int8_s, False: float_s}

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> FakeStage:
        stage = super().load(onnx_path, input_shapes)
        cost, compute = self._costs[".int8." in onnx_path], stage._compute

        def timed(*args: object) -> None:
            self._clock.now_s += cost
            compute(*args)  # type: ignore[arg-type]

        stage._compute = timed
        return stage


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("drive_seg.session.precision._found", {})  # as in a new process
    return user_cache_path("drive-seg", appauthor=False) / "precision.json"


def ask(bundle: Bundle, int8_s: float, float_s: float) -> tuple[bool, int]:
    """The answer, and how many backends were opened for it."""
    clock, opened = Clock(), list[TimedBackend]()

    def open_backend() -> TimedBackend:
        opened.append(TimedBackend(clock, int8_s, float_s))
        return opened[-1]

    answer = int8_is_faster(bundle, open_backend, clock)
    assert all(stage.closed for backend in opened for stages in backend.loaded.values() for stage in stages)
    return answer, len(opened)


@pytest.mark.parametrize(
    ("int8_s", "float_s", "faster"), [(0.001, 0.002, True), (0.002, 0.001, False), (0.00199, 0.002, False), (1.0, 2.0, True)]
)
def test_the_faster_one_runs_and_a_draw_is_the_floats(tmp_path: Path, int8_s: float, float_s: float, faster: bool) -> None:
    assert ask(make_bundle(tmp_path / "net", int8=("low", "high", "head")), int8_s, float_s)[0] is faster


def test_it_is_timed_once_and_again_for_other_files(tmp_path: Path, cache: Path) -> None:
    bundle = make_bundle(tmp_path / "net", int8=("low", "high", "head"))
    assert ask(bundle, 0.001, 0.002) == (True, 3)
    assert ask(bundle, 0.002, 0.001) == (True, 1)  # remembered, whatever it would be now
    other = make_bundle(tmp_path / "net", int8=("low", "high"))
    assert ask(other, 0.002, 0.001) == (False, 3)
    assert sorted(json.loads(cache.read_text()).values()) == [False, True]


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 3}', "\x00"])
def test_a_cache_that_makes_no_sense_is_made_anew(tmp_path: Path, cache: Path, content: str) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(content)
    assert ask(make_bundle(tmp_path / "net", int8=("low",)), 0.001, 0.002)[0]
    assert list(json.loads(cache.read_text()).values()) == [True]


def test_where_the_cache_cannot_be_written_it_is_timed_once_a_process(tmp_path: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    bundle = make_bundle(tmp_path / "net", int8=("low",))
    assert ask(bundle, 0.001, 0.002) == (True, 3)
    assert ask(bundle, 0.001, 0.002) == (True, 1)


def test_a_run_asks_only_where_the_card_leaves_it_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(bundle: Bundle, *_: object) -> bool:
        asked.append(bundle.card.name)
        return False

    monkeypatch.setattr("drive_seg.session.opening.int8_is_faster", answer)
    open_one = FakeBackend()
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda *_, **__: open_one)
    for name, precision in (("open", "int8"), ("floats", None)):
        folder = make_bundle(tmp_path / name, int8=("low", "high", "head"), precision=precision).folder
        settings = Settings(model=str(folder))
        with open_engine(find_model(settings), settings) as engine:
            engine.fit((24, 32))
    assert asked == ["open"]
    assert all("int8" not in path for path in open_one.paths)
    open_one.int8 = True  # asked for
    settings = Settings(model=str(tmp_path / "open"), precision="int8")
    with open_engine(find_model(settings), settings) as engine:
        engine.fit((24, 32))
    assert asked == ["open"]
    assert all("int8" in path for path in open_one.paths[-3:])
