"""Several cameras in one run: whose frame comes next, what is theirs alone and what they share, and how each ends."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Condition
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from drive_seg.contracts import Frame, Result, Source
from drive_seg.errors import Absent, SourceError, UsageError
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import Budget, EveryFrame
from drive_seg.session import opening
from drive_seg.session.cameras import Cameras
from drive_seg.session.opening import open_cameras
from drive_seg.session.session import Session
from drive_seg.settings import Settings
from drive_seg.sources import open_source
from drive_seg.workers import Closed
from tests.fakes import FakeBackend, FakeSource, make_bundle
from tests.session.conftest import Stand
from tests.waiting import until


class Grey(FakeSource):
    """Frames of which each has a shade of its own, from `first` on."""

    def __init__(self, first: int, count: int = 6, **how: Any) -> None:
        super().__init__(count, **how)
        self.first = first

    def read(self) -> Frame | None:
        frame = super().read()
        return frame and Frame(np.full((48, 64, 3), self.first + frame.index, np.uint8), frame.index, frame.time_s)


@pytest.fixture
def rack(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings of a run on stand-ins, where what a name opens is what is given for it: a source each time, or an error."""

    def settings(opened: dict[str, Callable[[], FakeSource]], **values: object) -> Settings:
        def open_it(uri: str, **how: Any) -> Source:
            return opened[uri]()

        monkeypatch.setattr(opening, "open_source", open_it)
        return stand.settings(source=list(opened), **values)

    return settings


def play(settings: Settings) -> tuple[dict[int, list[Result]], Cameras]:
    with open_cameras(settings) as cameras:
        came: dict[int, list[Result]] = {at: [] for at in range(len(cameras.sessions))}
        for at, result in cameras.results():
            came[at].append(result)
    return came, cameras


class Scripted:
    """As a capture: its n-th frame is there once so many frames of all cameras have been taken."""

    dropped = 0

    def __init__(self, there_at: list[int], taken: list[int], number: int) -> None:
        self.there_at, self.taken, self.number = there_at, taken, number
        self.source = SimpleNamespace(info=SimpleNamespace(name=f"camera {number}"))

    @property
    def ready(self) -> bool:
        return not self.there_at or len(self.taken) >= self.there_at[0]

    def next(self, timeout_s: float) -> Frame:
        if not self.there_at:
            raise Closed
        self.there_at.pop(0)
        self.taken.append(self.number)
        return Frame(np.full((48, 64, 3), 9, np.uint8), len(self.taken), len(self.taken) / 30)

    def close(self) -> None:
        pass


def order(tmp_path: Path, *there_at: list[int]) -> list[int]:
    """The numbers of the cameras whose frames were taken."""
    taken, sessions = list[int](), list[Session]()
    for number, moments in enumerate(there_at):
        engine = Engine(make_bundle(tmp_path / str(number)), FakeBackend())
        session = Session(Pipeline(engine, EveryFrame()), [])
        session.capture = Scripted(moments, taken, number)  # type: ignore[assignment]
        sessions.append(session)
    Cameras(sessions, Condition()).run()
    return taken


def test_cameras_whose_frames_wait_take_turns(tmp_path: Path) -> None:
    assert order(tmp_path, [0] * 3, [0] * 3, [0] * 3) == [0, 1, 2] * 3


def test_a_camera_that_always_has_a_frame_lets_no_other_wait_for_more_than_one_of_it(tmp_path: Path) -> None:
    taken = order(tmp_path, [0] * 20, [3, 9, 10, 17], [4, 9, 16])
    for number, moments in ((1, [3, 9, 10, 17]), (2, [4, 9, 16])):
        served = [at for at, one in enumerate(taken) if one == number]
        assert all(at - there <= 2 for at, there in zip(served, moments, strict=True)), taken
    assert taken.count(0) == 20


def test_what_is_cached_of_one_camera_is_never_seen_in_another(rack: Callable[..., Settings], stand: Stand) -> None:
    came, _ = play(rack({"a": lambda: Grey(10), "b": lambda: Grey(100), "c": lambda: Grey(200, 4)}, schedule="clockwork:3"))
    shades = {at: [int(result.labels[0, 0]) for result in results] for at, results in came.items()}
    assert shades == {0: [10, 10, 10, 13, 13, 13], 1: [100, 100, 100, 103, 103, 103], 2: [200, 200, 200, 203]}
    assert [[result.is_key for result in results] for results in came.values()] == [[True, False, False] * 2] * 2 + [
        [True, False, False, True]
    ]
    assert {stage: len(loaded) for stage, loaded in stand.backends[0].loaded.items() if loaded} == {"low": 1, "high": 1, "head": 1}
    assert len(stand.backends) == 1


def test_beside_the_frames_too_the_deep_stage_is_compiled_once_for_all(rack: Callable[..., Settings], stand: Stand) -> None:
    came, _ = play(rack({"a": lambda: Grey(10, 9), "b": lambda: Grey(100, 9)}, mode="async"))
    assert [{int(result.labels[0, 0]) // 100 for result in results} for results in came.values()] == [{0}, {1}]
    assert [len(backend.loaded["high"]) for backend in stand.backends] == [1, 1]


def test_a_budget_is_one_purse_and_every_other_schedule_is_the_cameras_own(rack: Callable[..., Settings]) -> None:
    sources = {"a": lambda: Grey(10, 1), "b": lambda: Grey(100, 1)}
    for schedule in ("budget:30ms", "clockwork:adaptive=0.1"):
        with open_cameras(rack(sources, schedule=schedule)) as cameras:
            one, two = (session.pipeline.schedule for session in cameras.sessions if session.pipeline)
            assert one is not two or schedule != "budget:30ms"
            assert isinstance(one, Budget) == (schedule == "budget:30ms")
            assert not isinstance(one, Budget) or (isinstance(two, Budget) and one.purse is two.purse)


def test_every_camera_has_its_own_files_and_is_named_in_them(rack: Callable[..., Settings], tmp_path: Path) -> None:
    places = {"output": tmp_path / "out.mp4", "save_masks": tmp_path / "masks", "trace": tmp_path / "run.jsonl"}
    _, cameras = play(rack({"a": lambda: Grey(10, 3), "b": lambda: Grey(100, 5)}, **places))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "net") == [
        "masks-0", "masks-1", "out-0.mp4", "out-1.mp4", "run-0.jsonl", "run-1.jsonl",
    ]  # fmt: skip
    for at, count in enumerate((3, 5)):
        with av.open(str(tmp_path / f"out-{at}.mp4")) as container:
            assert len(list(container.decode(video=0))) == count
        assert len(list((tmp_path / f"masks-{at}").iterdir())) == count
        lines = [json.loads(line) for line in (tmp_path / f"run-{at}.jsonl").read_text().splitlines()]
        assert [(line["camera"], line["source"], line["index"]) for line in lines] == [(at, "fake", index) for index in range(count)]
    summary: Any = cameras.summary()
    assert [(one["camera"], one["source"], one["frames"], one["error"]) for one in summary["cameras"]] == [
        (0, "fake", 3, None),
        (1, "fake", 5, None),
    ]
    assert summary["frames"] == 8


def test_a_run_of_several_is_replayed_from_the_traces_of_all(rack: Callable[..., Settings], tmp_path: Path) -> None:
    sources = {"a": lambda: Grey(10, 5), "b": lambda: Grey(100, 7)}
    first, _ = play(rack(sources, trace=tmp_path / "run.jsonl", schedule="clockwork:3"))
    again, _ = play(rack(sources, replay=tmp_path / "run.jsonl"))
    assert [[one.decision for one in results] for results in again.values()] == [
        [one.decision for one in results] for results in first.values()
    ]


def test_no_camera_writes_what_another_one_reads_or_over_what_is_there(tmp_path: Path, rack: Callable[..., Settings]) -> None:
    (tmp_path / "out-1.mp4").write_bytes(b"")
    sources: dict[str, Callable[[], FakeSource]] = {str(tmp_path / "out-1.mp4"): Grey(1).__class__, "b": lambda: Grey(2)}
    with pytest.raises(UsageError, match=r"--output .*out-1\.mp4: is what --source reads"):
        play(rack(sources, output=tmp_path / "out.mp4"))
    with pytest.raises(UsageError, match=r"--output .*out-1\.mp4: is there already"):
        play(rack({"a": lambda: Grey(1), "b": lambda: Grey(2)}, output=tmp_path / "out.mp4"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net", "out-1.mp4"]


def test_a_file_that_breaks_is_over_and_the_others_go_on(rack: Callable[..., Settings]) -> None:
    told = list[int]()
    with open_cameras(rack({"a": lambda: Grey(10, 2, error=SourceError("a broke")), "b": lambda: Grey(100, 8)})) as cameras:
        cameras.failed = lambda at, error: told.append(at)
        cameras.run()
    assert [session.count for session in cameras.sessions] == [2, 8]
    assert told == list(cameras.errors) == [0]
    assert str(cameras.errors[0]) == "a broke"


def test_a_camera_that_fails_comes_back_alone(rack: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has come back its frames go on in their count, and nothing of before is used; the other one is never touched."""
    connections: Iterator[Grey | None] = iter([Grey(10, 3, live=True, error=SourceError("unplugged")), None, Grey(50, 2, live=True)])
    monkeypatch.setattr("drive_seg.sources.reopened.DELAYS_S", (0.0,))
    came: dict[int, list[Result]] = {0: [], 1: []}

    def camera() -> FakeSource:
        if (made := next(connections)) is None:
            until(lambda: came[0])  # of a live source frames are lost, and what was before is to be seen
            raise SourceError("not there yet")
        return made

    with open_cameras(rack({"a": camera, "b": lambda: Grey(100, 6)}, schedule="clockwork:9")) as cameras:
        for at, result in cameras.results():
            came[at].append(result)
    frames = [(result.frame.index, result.frame.segment, int(result.labels[0, 0])) for result in came[0]]
    assert frames[-1][1] == 1
    assert [index for index, _, _ in frames] == sorted({index for index, _, _ in frames})
    assert {(segment, shade) for _, segment, shade in frames} <= {(0, 10), (0, 11), (0, 12), (1, 50), (1, 51)}
    assert [result.decision.reason for result in came[0] if result.cold] == ["first", "jump"]
    assert [result.is_key for result in came[1]] == [True] + [False] * 5
    assert not cameras.errors


def test_a_stream_that_is_not_there_yet_keeps_nobody_waiting(rack: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.sources.reopened.DELAYS_S", (0.0,))
    there = list[int]()

    def stream() -> FakeSource:
        if not there:
            raise Absent("no server; check it")
        return Grey(10, 2, live=True)

    came = dict[int, int]()
    with open_cameras(rack({"a": stream, "b": lambda: Grey(100, 3)})) as cameras:
        for at, _ in cameras.results():
            came[at] = came.get(at, 0) + 1
            if came == {1: 3}:
                assert cameras.captures[0].away
                there.append(1)
    assert set(came) == {0, 1}


def test_the_run_is_over_when_each_camera_has_given_as_many_frames_as_were_asked_for(rack: Callable[..., Settings]) -> None:
    came, _ = play(rack({"a": lambda: Grey(10, 99), "b": lambda: Grey(100, 2)}, max_frames=4))
    assert {at: len(results) for at, results in came.items()} == {0: 4, 1: 2}


def test_closing_ends_all(rack: Callable[..., Settings]) -> None:
    with open_cameras(rack({"a": lambda: Grey(0, 10**6), "b": lambda: Grey(0, 10**6)})) as cameras:
        for _ in cameras.results():
            cameras.close()
    until(lambda: not any(capture._worker.alive for capture in cameras.captures))


@pytest.mark.parametrize("flag", ["audit", "benchmark"])
def test_what_is_for_one_camera_is_refused_for_several(rack: Callable[..., Settings], flag: str) -> None:
    with pytest.raises(UsageError, match=f"^--{flag}: is for one camera; give one --source, or leave it out$"):
        play(rack({"a": lambda: Grey(1), "b": lambda: Grey(2)}, **{flag: True}))


def test_real_drives_beside_each_other_are_labelled_as_they_are_alone() -> None:
    drives = ["demo:?size=128x96&frames=5", "demo:?size=160x96&frames=4&seed=3"]  # of two sizes
    how = {"model": "camvid", "threads": 1, "precision": "fp32", "schedule": "clockwork:3"}
    came, cameras = play(Settings.load(None, {"source": drives, **how}))
    assert cameras.names == (drives[0], "demo:?seed=3&size=160x96&frames=4")
    for at, drive in enumerate(drives):
        alone, _ = play(Settings.load(None, {"source": drive, **how}))
        assert [result.decision for result in came[at]] == [result.decision for result in alone[0]]
        for one, two in zip(came[at], alone[0], strict=True):
            assert (one.labels == two.labels).all()


def test_one_source_given_as_a_list_is_one_source() -> None:
    assert Settings.load(None, {"source": ["demo:"]}) == Settings.load(None, {"source": "demo:"})
    assert open_source("demo:?frames=1").info.name == "demo:?frames=1"


@pytest.mark.parametrize("count", [0, 9])
def test_so_many_cameras_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"^--source: {count} were given; give 1 to 8$"):
        Settings.load(None, {"source": ["demo:"] * count})
