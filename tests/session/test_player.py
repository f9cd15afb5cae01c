"""What a player does with commands, failures and the end, on small stand-ins; and a few runs on the shipped bundle."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from drive_seg.contracts import Corridor, Frame, Result
from drive_seg.errors import Absent, BackendError, DriveSegError, SinkError, SourceError, UsageError
from drive_seg.network.ahead import USUAL
from drive_seg.overlay import Look, usual_look
from drive_seg.session.corridors import keep
from drive_seg.session.film import Film
from drive_seg.session.history import Moment
from drive_seg.session.opening import open_session
from drive_seg.session.player import Player
from drive_seg.session.status import Shown
from drive_seg.settings import Settings
from tests.fakes import FakeBackend, FakeSource, FakeStage, make_bundle
from tests.waiting import PATIENCE_S, until

FPS = 100.0


class Drive(FakeSource):
    """Frames of 100 a second, seekable, alike enough to be one scene; `first` is the brightness of the first."""

    def __init__(self, count: int = 10_000, first: int = 100, error: Exception | None = None, hang: bool = False) -> None:
        super().__init__(count, FPS, error=error, hang=hang)
        self.first = first

    def seek(self, index: int) -> None:
        self.reads = index

    def read(self) -> Frame | None:
        index = self.reads
        frame = super().read()
        return frame and Frame(np.full((48, 64, 3), self.first + index % 40, np.uint8), index, index / FPS)


class OneThread(FakeBackend):
    """Notes in which threads its stages are made, run and closed, and how many are open. Once `broken`, everything fails.

    One whose name begins with "slow" loads nothing before the gate is open.
    """

    def __init__(self, name: str | None, gate: threading.Event, broken: bool = False) -> None:
        super().__init__()
        self.name, self.broken, self.gate = name or "fake", broken, gate
        self.threads: set[str] = set()
        self.open = 0

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> FakeStage:
        if self.name.startswith("slow"):
            assert self.gate.wait(PATIENCE_S)
        if self.broken:
            raise BackendError("out of order; choose another")
        self.threads.add(threading.current_thread().name)
        stage = super().load(onnx_path, input_shapes)
        self.open += 1
        compute, backend = stage._compute, self

        class Noted(FakeStage):
            def close(self) -> None:
                backend.threads.add(threading.current_thread().name)
                backend.open -= not self.closed
                super().close()

        def noted(inputs: Mapping[str, np.ndarray], outputs: dict[str, np.ndarray]) -> None:
            self.threads.add(threading.current_thread().name)
            if self.broken:
                raise BackendError("out of order; choose another")
            compute(inputs, outputs)

        return Noted({spec.name: spec for spec in stage.inputs}, stage._outputs, noted)


class World:
    """Where players are made: sources by name, and every backend that was opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.sources: dict[str, Callable[[], FakeSource]] = {"drive": Drive}
        self.opened: list[FakeSource] = []
        self.backends: list[OneThread] = []
        self.refused: set[str | None] = set()  # backends that are absent
        self.broken: set[str | None] = set()  # those that fail
        self.gate = threading.Event()
        self.gate.set()
        for name in ("one", "other"):
            make_bundle(folder / name)
        self.folder = folder
        monkeypatch.setattr("drive_seg.session.steered.open_source", self._open_source)
        monkeypatch.setattr("drive_seg.session.opening.open_backend", self._open_backend)

    @property
    def used(self) -> list[OneThread]:
        """Those that stages were loaded on."""
        return [backend for backend in self.backends if backend.threads]

    def _open_source(self, name: str, **how: object) -> FakeSource:
        if name not in self.sources:
            raise SourceError(f"{name}: is not there; choose another")
        self.opened.append(self.sources[name]())
        return self.opened[-1]

    def _open_backend(self, name: str | None, **how: object) -> OneThread:
        if name in self.refused:
            raise BackendError(f"{name}: is absent; choose another")
        self.backends.append(OneThread(name, self.gate, name in self.broken))
        return self.backends[-1]

    def player(self, **values: object) -> Player:
        return Player(Settings.load(None, {"source": "drive", "model": str(self.folder / "one"), **values}))

    @contextmanager
    def playing(self, **values: object) -> Iterator[Player]:
        player = self.player(**values)
        try:
            player.open()
            until(lambda: bool(player.history()))
            yield player
        finally:
            player.close()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def more(player: Player, frames: int = 3) -> None:
    """Waits until so many frames have come; another source forgets those of the one before."""
    before: list[Moment] = []
    until(lambda: before or before.extend(player.history(1)))
    last = before[0]
    until(lambda: (now := player.history(1)) and (now[0].segment > last.segment or now[0].index >= last.index + frames))


def pause(player: Player) -> Shown:
    """Pauses; returns what is shown then."""
    player.pause()
    shown = None
    while shown is None or player._steered.news.last is not shown:  # what was under way still comes
        shown = player._steered.news.last
        time.sleep(0.15)
    player.take()
    return shown


def shown(player: Player) -> Shown:
    got: list[Shown] = []
    until(lambda: got.append(new) or True if (new := player.take()) else False)
    return got[0]


def trouble(player: Player, what: str) -> str:
    until(lambda: player.status().trouble)
    found = player.status().trouble
    assert found is not None
    assert found.what == what
    return found.text


def test_it_plays_at_the_sources_pace_and_closes_what_it_opened(world: World) -> None:
    start_s = time.monotonic()
    with world.playing() as player:
        start = player.history(1)[0].index
        more(player, 20)
        assert time.monotonic() - start_s >= player.history(1)[-1].index / FPS
        moments, status = player.history(10), player.status()
        assert [moment.index for moment in moments] == sorted(moment.index for moment in moments)
        assert moments[-1].index > start
        assert [moment.shares.shape for moment in moments] == [(len(player.status().classes),)] * len(moments)
        assert (status.state, status.runs["model"], status.source.name) == ("playing", "one", "fake")
        assert status.numbers.fps > 0
        got = shown(player)
        assert got.comparison is None
        assert got.result.labels[0, 0] == 100 + got.result.frame.index % 40
    assert [source.closed for source in world.opened] == [True]
    assert [backend.open for backend in world.used] == [0]
    assert world.used[0].threads == {"pipeline"}
    player.close()


def test_before_it_is_opened_there_is_nothing_to_tell(world: World) -> None:
    player = world.player()
    status = player.status()
    assert (status.state, status.runs, status.headline, status.classes, status.palette) == ("opening", {}, "", (), ())
    assert (status.source.name, status.position, status.seekable, status.paused, status.speed) == ("drive", None, False, False, 1.0)
    assert (status.dropped, status.recording, status.comparison, status.auditing, status.trouble) == (0, None, None, False, None)
    assert (player.take(), player.history(), player.agreement(), player.look.opacity) == (None, (), (), 0.5)
    for nothing in (player.pause, player.resume, player.step):
        nothing()
    with pytest.raises(UsageError, match="drive: is not open yet; seek once it plays"):
        player.seek(3)
    with pytest.raises(UsageError, match="nothing was played yet; open it first"):
        player.summary()
    player.close()


def test_a_stream_whose_server_is_absent_is_waited_for_and_played_once_it_is_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    there, asked = threading.Event(), list[dict[str, object]]()

    def absent() -> FakeSource:
        raise Absent("nobody answers")

    def awaited(name: str, **how: object) -> FakeSource:
        asked.append({"name": name, **how})
        assert there.wait(PATIENCE_S)
        return Drive(first=60)

    world.sources["stream"] = absent
    monkeypatch.setattr("drive_seg.session.awaited.open_source", awaited)
    with world.playing() as player:
        player.change(source="stream", loop=True)
        assert "it will be played once it is there" in trouble(player, "source")
        more(player)  # what played before plays on
        player.change(schedule="clockwork:5")
        until(lambda: player.status().runs["schedule"] == "clockwork:5")
        assert player.status().settings.source == "drive"
        there.set()
        until(lambda: player.status().settings.source == "stream")
        more(player)
        assert (player.status().settings.loop, player.status().runs["schedule"]) == (True, "clockwork:5")
        assert {moment.segment for moment in player.history()} == {1}
    assert [(one["name"], one["loop"]) for one in asked] == [("stream", True)]


def test_before_anything_plays_what_is_asked_for_is_kept_for_the_stream(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    there = threading.Event()

    def absent() -> FakeSource:
        raise Absent("nobody answers")

    def awaited(name: str, **how: object) -> FakeSource:
        assert there.wait(PATIENCE_S)
        return Drive()

    world.sources["drive"] = absent
    monkeypatch.setattr("drive_seg.session.awaited.open_source", awaited)
    player = world.player()
    try:
        player.open()
        assert (player.status().state, player.status().runs) == ("connecting", {})
        player.change(schedule="clockwork:5")
        until(lambda: player.status().settings.schedule == "clockwork:5")
        there.set()
        until(player.history)
        assert player.status().runs["schedule"] == "clockwork:5"
    finally:
        there.set()
        player.close()


def test_new_frames_are_told_once_until_they_are_taken_and_never_after_the_end(world: World) -> None:
    calls: list[float] = []
    with world.playing() as player:
        player.take()
        player.on_new = lambda: calls.append(time.monotonic())
        until(lambda: calls)
        more(player, 5)
        assert len(calls) == 1
        player.take()
        until(lambda: len(calls) == 2)
    told = len(calls)
    time.sleep(0.05)
    assert len(calls) == told


def test_another_schedule_keeps_network_and_cache(world: World) -> None:
    with world.playing() as player:
        player.change(schedule="clockwork:1000")
        until(lambda: player.status().runs["schedule"] == "clockwork:1000")
        more(player)
        until(lambda: player.history(1)[-1].age_frames > 3)
        assert player.status().settings.schedule == "clockwork:1000"
        assert [moment.reason for moment in player.history() if moment.cold] == ["first"]
    assert len(world.used) == 1


@pytest.mark.parametrize("change", [{"mode": "async"}, {"propagation": "flow"}, {"mode": "async:2"}, {"schedule": "clockwork:pipelined"}])
def test_what_needs_another_pipeline_gets_one_and_the_old_one_is_closed(world: World, change: dict[str, str]) -> None:
    with world.playing() as player:
        player.change(**change)
        name, value = next(iter(change.items()))
        until(lambda: player.status().runs[name] == value)
        more(player)
        assert [moment.reason for moment in player.history() if moment.cold] == ["first", "first"]
        assert world.used[0].open == 0
        assert player.status().trouble is None
    assert all(backend.open == 0 for backend in world.used)
    assert all(backend.threads <= {"pipeline", "high", "opening"} for backend in world.used)


def test_another_model_brings_its_palette_unless_the_look_has_one_of_its_own(world: World, tmp_path: Path) -> None:
    make_bundle(tmp_path / "red", palette=[(255, 0, 0)] * 3)
    with world.playing() as player:
        status = player.status()
        assert player.look == usual_look(status.classes, status.palette, status.settings.opacity)
        player.change(model=str(tmp_path / "red"))
        until(lambda: player.look.palette == ((255, 0, 0),) * 3)
        player.look = Look(((1, 2, 3),) * 3)
        player.change(model=str(tmp_path / "one"))
        until(lambda: player.status().palette == status.palette)
        assert player.look.palette == ((1, 2, 3),) * 3


def test_while_paused_the_frame_is_shown_again_by_the_new_pipeline(world: World) -> None:
    with world.playing(schedule="clockwork:1000") as player:
        until(lambda: player.history(1)[-1].age_frames > 3)
        before = pause(player)
        assert player.status().state == "paused"
        assert before.result.labels[0, 0] == 100
        moments = len(player.history())
        player.change(model=str(world.folder / "other"))
        after = shown(player)
        assert after.result.frame.index == before.result.frame.index
        assert after.result.labels[0, 0] == 100 + before.result.frame.index % 40
        assert (len(player.history()), player.status().runs["model"]) == (moments, "other")
        player.resume()
        more(player)


def test_at_the_end_everything_can_be_changed_and_a_seek_goes_back(world: World) -> None:
    world.sources["drive"] = lambda: Drive(8)
    with world.playing(schedule="clockwork:1000") as player:
        until(lambda: player.status().state == "ended")
        player.take()
        player.change(propagation="flow", mode="async:2")
        assert shown(player).result.frame.index == 7
        player.change(schedule="clockwork:2")
        until(lambda: player.status().runs["schedule"] == "clockwork:2")
        player.seek(2)
        until(lambda: player.history(1)[-1].segment == 1)
        until(lambda: player.status().state == "ended")
        assert 2 <= next(moment.index for moment in player.history() if moment.segment == 1) < 7  # the first may have been overtaken
        player.change(loop=True)
        until(lambda: player.history(1)[-1].segment >= 3)
        assert player.status().settings.loop


def test_the_summary_is_of_what_ran_last_alone_without_the_pauses(world: World) -> None:
    with world.playing() as player:
        more(player, 5)
        for change in ({"model": str(world.folder / "other")}, {"schedule": "clockwork:3"}):
            before = len(player.history(10_000))
            player.change(**change)
            name, value = next(iter(change.items()))
            until(lambda: getattr(player.status().settings, name) == value)  # noqa: B023
            more(player)
            until(lambda: player.summary()[name] == Path(value).name)  # noqa: B023
            assert 0 < player.summary()["frames"] <= len(player.history(10_000)) - before  # type: ignore[operator]
        start_s = time.monotonic()
        pause(player)
        paused_s = time.monotonic()
        until(lambda: time.monotonic() - paused_s > 2 * (paused_s - start_s))
        before, stood_s = player.summary(), time.monotonic() - paused_s
        player.resume()
        more(player)
        after, all_s = player.summary(), time.monotonic() - start_s
    seconds = [summary["frames"] / summary["fps"] for summary in (before, after)]  # type: ignore[operator]
    assert seconds[1] - seconds[0] <= all_s - stood_s


def test_a_change_that_fails_is_told_and_what_played_plays_on(world: World) -> None:
    with world.playing() as player:
        world.refused.add("abacus")
        for serial, change in enumerate(
            ({"backend": "abacus"}, {"model": "nonesuch"}, {"precision": "int8"}, {"schedule": "clockwork:1,2,4"}, {"source": "nowhere"}), 1
        ):
            player.change(**change)
            until(lambda: (now := player.status().trouble) and now.serial == serial)  # noqa: B023
            told = player.status().trouble
            assert told is not None
            assert told.what == ("source" if "source" in change else "change")
            assert "; " in told.text
            more(player)
            name, value = next(iter(change.items()))
            assert getattr(player.status().settings, name) != value
        assert [moment.reason for moment in player.history(10_000) if moment.cold] == ["first"]
        assert world.used[0].open == 3
        assert all(backend.open == 0 for backend in world.used[1:])


@pytest.mark.parametrize("change", [{"bogus": 1}, {"schedule": "sometimes"}, {"mode": "slow"}, {"output": "a.mp4"}, {"threads": 0}])
def test_nonsense_is_refused_at_once(world: World, change: dict[str, object]) -> None:
    player = world.player()
    with pytest.raises(UsageError):
        player.change(**change)
    with pytest.raises(UsageError):
        player.compare(change)


def test_of_many_commands_the_newest_counts(world: World) -> None:
    with world.playing() as player:
        for number in range(2, 200):
            player.change(schedule=f"clockwork:{number}")
            player.compare({"propagation": "flow"} if number % 2 else None)
        player.change(input_size=(64, 48))
        until(lambda: player.status().settings.input_size == (64, 48))
        until(lambda: player.status().comparison)
        more(player)
        status = player.status()
        assert (status.runs["schedule"], status.trouble) == ("clockwork:199", None)


def test_a_source_that_fails_leaves_the_player_open_for_another(world: World) -> None:
    world.sources["broken"] = lambda: Drive(4, error=SourceError("lens fell off"))
    with world.playing(source="broken") as player:
        assert trouble(player, "source") == "lens fell off; check it, or open another one"
        assert player.status().state == "failed"
        player.take()
        player.change(propagation="flow")
        assert shown(player).result.frame.index == player.status().position
        player.change(source="drive")
        until(lambda: player.status().state == "playing")
        more(player)
        assert {moment.segment for moment in player.history()} == {1}
        player.change(source="broken")
        until(lambda: player.status().state == "failed")

        def came_again() -> bool:
            if player.status().state == "failed":  # also once it was opened again, and had broken before it got there
                player.seek(1)
            return any(moment.segment >= 3 for moment in player.history(1))

        until(came_again)
        assert player.history(1)[-1].index >= 1


def test_while_a_source_hangs_commands_are_fulfilled_and_the_end_comes_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.sources.capture.CLOSE_LIMIT_S", 0.3)
    world.sources["drive"] = lambda: Drive(3, hang=True)
    with world.playing() as player:
        until(lambda: player.status().position == 2)
        for number in range(2, 5):
            player.change(schedule=f"clockwork:{number}")
            until(lambda: player.status().runs["schedule"] == f"clockwork:{number}")  # noqa: B023
        player.close()
        assert not world.opened[0].closed  # it hangs still
        world.opened[0].released.set()
        until(lambda: world.opened[0].closed)


def test_a_network_that_fails_waits_for_another_one(world: World) -> None:
    with world.playing() as player:
        world.used[0].broken = True
        assert trouble(player, "network") == "out of order; choose another"
        assert player.status().state == "failed"
        last, seen = player.history(1)[-1].index, len(player.history())
        time.sleep(0.5)  # of which 50 frames could have been lost
        player.change(model=str(world.folder / "one"))  # the same, once more
        until(lambda: player.status().state == "playing")
        more(player)
        assert player.history()[seen].index < last + 40  # the file has waited


class Tape:
    """A recorder in memory that fails after some frames."""

    wants_overlay = True

    def __init__(self, good: int = 10_000) -> None:
        self.results: list[Result] = []
        self.good, self.closed = good, False

    def put(self, result: Result) -> None:
        if len(self.results) == self.good:
            raise SinkError("the disk is full; free space there")
        self.results.append(result)

    def close(self) -> None:
        self.closed = True


def test_a_recorder_that_fails_ends_the_recording_alone(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tape = Tape(good=3)
    monkeypatch.setattr("drive_seg.session.opening.open_recorder", lambda *_: tape)
    with world.playing() as player:
        player.record(tmp_path / "out.mp4")
        assert trouble(player, "recorder") == "the disk is full; free space there"
        more(player)
        assert (player.status().recording, tape.closed, len(tape.results)) == (None, True, 3)
        assert player.status().state == "playing"


def test_the_look_is_recorded_and_what_is_jumped_over_is_not(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tape = Tape()
    monkeypatch.setattr("drive_seg.session.opening.open_recorder", lambda *_: tape)
    with world.playing() as player:
        player.record(tmp_path / "out.mp4")
        until(lambda: tape.results)
        assert player.status().recording == tmp_path / "out.mp4"
        player.look = Look(((0, 0, 255),) * 256, opacity=1.0)
        until(lambda: (overlay := tape.results[-1].overlay) is not None and (overlay == (255, 0, 0)).all())
        player.seek(5000)
        until(lambda: tape.results[-1].frame.index > 5000)
        player.change(source="drive", propagation="flow")
        until(lambda: tape.results[-1].frame.segment == 2)
        player.record(None)
        until(lambda: tape.closed)
        count = len(tape.results)
        more(player)
        assert (len(tape.results), player.status().recording) == (count, None)


def test_a_recording_of_a_comparison_shows_both_as_the_film_says(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tape = Tape()
    monkeypatch.setattr("drive_seg.session.opening.open_recorder", lambda *_: tape)
    with world.playing(schedule="clockwork:1000") as player:
        player.look = Look(tuple((number, 0, 0) for number in range(256)), opacity=1.0)  # a label is its red
        player.record(tmp_path / "out.mp4")
        player.compare({"schedule": "every-frame"})

        def newest() -> tuple[Result, np.ndarray]:
            result = tape.results[-1]
            assert result.overlay is not None
            return result, result.overlay[..., 2]

        until(lambda: tape.results and newest()[0].age_frames > 1 and len(set(newest()[1][0, [0, -1]].tolist())) == 2)
        result, red = newest()
        assert red[0, 0] == result.labels[0, 0]
        assert red[0, -1] == 100 + result.frame.index % 40
        player.film = Film(divider=1.0, captions=True)
        until(lambda: newest()[1][0, 0] < newest()[1][20, -8])
        player.compare(None)
        player.film = Film()
        until(lambda: (newest()[1] == newest()[0].labels[0, 0]).all())
        assert player.status().trouble is None


def test_captions_and_the_road_ahead_are_drawn_without_a_window_too(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("drive_seg.session.opening.open_source", lambda *_, **__: Drive(3))
    pictures: list[np.ndarray] = []
    for drawn in ({}, {"captions": True}, {"draw_ahead": True}):
        tape = Tape()
        monkeypatch.setattr("drive_seg.session.opening.open_recorder", lambda *_, tape=tape: tape)
        given = {"model": str(world.folder / "one"), "output": tmp_path / "out.mp4", "corridor": CORRIDOR, **drawn}
        with open_session(Settings.load(None, given)) as session:
            session.run()
        assert len(tape.results) == 3
        pictures.append(np.asarray(tape.results[-1].overlay))
    assert (pictures[0] == pictures[0][0, 0]).all()
    assert all((picture != pictures[0]).any() for picture in pictures[1:])


def test_a_recording_cannot_begin_over_its_own_source(world: World, tmp_path: Path) -> None:
    (tmp_path / "drive.mp4").touch()
    world.sources[str(tmp_path / "drive.mp4")] = Drive
    with world.playing(source=str(tmp_path / "drive.mp4")) as player:
        player.record(tmp_path / "drive.mp4")
        assert "drive.mp4: is what --source reads; give another name" in trouble(player, "recorder")
        more(player)


def test_a_source_is_not_opened_that_is_being_written_nor_a_recording_begun_over_a_file(world: World, tmp_path: Path) -> None:
    masks, kept = tmp_path / "masks", tmp_path / "kept.mp4"
    kept.write_text("kept")
    world.sources[str(masks)] = Drive
    with world.playing(save_masks=masks, overwrite=True) as player:
        until(lambda: list(masks.glob("*.png")))
        player.change(source=str(masks))
        assert "masks: is what --source reads; choose another folder" in trouble(player, "change")
        player.record(kept)
        until(lambda: (found := player.status().trouble) and found.what == "recorder" and "kept.mp4: is there already" in found.text)
        more(player)
        assert player.status().settings.source == "drive"
    assert kept.read_text() == "kept"


def test_a_comparison_labels_the_same_frames(world: World) -> None:
    with world.playing(schedule="clockwork:1000") as player:
        player.compare({"schedule": "every-frame"})
        until(lambda: player.status().comparison)
        until(lambda: (differs := player.status().differing) is not None and differs > 0.5)
        got = shown(player)
        assert got.comparison is not None
        assert got.comparison.frame is got.result.frame
        assert got.comparison.labels[0, 0] == 100 + got.result.frame.index % 40
        status = player.status()
        assert status.comparison_numbers is not None
        assert status.comparison_numbers.key_share == 1.0
        player.compare({"model": str(world.folder / "other")})
        until(
            lambda: (
                (comparison := player.status().comparison) and (comparison["model"], comparison["schedule"]) == ("other", "clockwork:1000")
            )
        )
        player.compare({"schedule": "every-frame"})
        player.change(model=str(world.folder / "other"))  # the comparison follows
        until(lambda: (comparison := player.status().comparison) and comparison["model"] == "other")
        player.compare(None)
        until(lambda: player.status().comparison is None)
        assert (player.status().differing, player.status().comparison_numbers) == (None, None)
    assert all(backend.open == 0 for backend in world.used)
    assert {name for backend in world.used for name in backend.threads} == {"pipeline", "opening"}


def test_a_comparison_of_the_same_settings_differs_nowhere(world: World) -> None:
    with world.playing() as player:
        pause(player)
        player.compare({})
        got = shown(player)
        assert got.comparison is not None
        assert player.status().differing == 0.0
        player.resume()
        more(player, 5)
        assert player.status().differing == 0.0


def test_a_comparison_that_fails_ends_the_comparison_alone(world: World) -> None:
    with world.playing() as player:
        world.refused.add("abacus")
        player.compare({"backend": "abacus"})
        assert "abacus" in trouble(player, "comparison")
        assert player.status().comparison is None
        player.compare({"schedule": "clockwork:3"})
        until(lambda: player.status().comparison)
        world.used[-1].broken = True
        until(lambda: player.status().comparison is None)
        more(player)
        assert player.status().state == "playing"


@pytest.mark.parametrize(("schedule", "ages"), [("every-frame", {0}), ("clockwork:3", {0, 1, 2})])
def test_an_audit_tells_how_labels_age(world: World, schedule: str, ages: set[int]) -> None:
    with world.playing(schedule=schedule, audit=True) as player:
        assert player.status().auditing
        until(lambda: {one.age for one in player.agreement()} == ages)
        assert {one.age: one.share for one in player.agreement()} == {age: float(age == 0) for age in ages}
        player.audit(False)
        until(lambda: not player.status().auditing)
        assert player.agreement()
    summary = player.summary()
    assert {one["age"] for one in summary["agreement"]} == ages  # type: ignore[attr-defined]
    assert [backend.threads for backend in world.used] == [{"pipeline"}, {"audit"}]
    assert all(backend.open == 0 for backend in world.used)


def test_an_audit_that_fails_ends_alone(world: World) -> None:
    with world.playing(audit=True) as player:
        until(player.agreement)
        world.used[-1].broken = True
        assert "out of order" in trouble(player, "audit")
        more(player)
        assert not player.status().auditing


def test_a_refresh_makes_one_key_frame(world: World) -> None:
    with world.playing(schedule="clockwork:1000") as player:
        until(lambda: player.history(1)[-1].age_frames > 2)
        player.refresh()
        until(lambda: "manual" in [moment.reason for moment in player.history()])
        more(player)
        assert [moment.reason for moment in player.history() if moment.is_key] == ["first", "manual"]


def test_pause_step_seek_and_speed(world: World) -> None:
    with world.playing() as player:
        at = pause(player).result.frame.index
        player.step()
        assert shown(player).result.frame.index == at + 1
        player.seek(4000)
        assert shown(player).result.frame.index == 4000
        assert player.status().paused
        player.speed(4)
        player.resume()
        more(player, 100)
        assert player.status().speed == 4
        with pytest.raises(UsageError):
            player.speed(99)


def test_after_as_many_frames_as_were_asked_for_it_has_ended(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tape = Tape()
    monkeypatch.setattr("drive_seg.session.opening.open_recorder", lambda *_: tape)
    with world.playing(max_frames=5, output=tmp_path / "out.mp4") as player:
        until(lambda: player.status().state == "ended")
        time.sleep(0.1)
        assert (len(player.history()), len(tape.results), tape.closed) == (5, 5, True)
        assert player.summary()["frames"] == 5


class Yard:
    """Where networks are built that take their time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.error: Exception | None = None
        self.built: list[str] = []
        self.threads: set[str] = set()
        monkeypatch.setattr(
            "drive_seg.session.opening.ready", lambda settings, _: settings.backend != "slow" or settings.model in self.built
        )
        monkeypatch.setattr("drive_seg.session.opening.prepare", self._prepare)

    def _prepare(self, settings: Settings, frame_hw: tuple[int, int], tell: Callable[[str], None]) -> None:
        self.threads.add(threading.current_thread().name)
        while not self.go.wait(0.01):
            tell(f"building {Path(settings.model).name}")
        if self.error:
            raise self.error
        self.built.append(settings.model)


def test_while_a_network_is_built_the_cpu_plays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    yard = Yard(monkeypatch)
    with world.playing(backend="slow") as player:
        until(lambda: player.status().state == "loading building one")
        assert player.status().runs["backend"] == player.status().settings.backend == "openvino"
        more(player)
        player.change(schedule="clockwork:7")
        until(lambda: player.status().runs["schedule"] == "clockwork:7")
        yard.go.set()
        until(lambda: player.status().runs["backend"] == "slow")
        assert player.status().runs["schedule"] == "clockwork:7"
        more(player)
        assert (player.status().state, player.status().trouble) == ("playing", None)
    assert yard.threads == {"opening"}
    assert [backend.threads for backend in world.used] == [{"pipeline"}, {"opening", "pipeline"}]


def test_when_building_fails_the_cpu_plays_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    yard = Yard(monkeypatch)
    yard.error = BackendError("no room on the GPU; close what uses it")
    yard.go.set()
    with world.playing(backend="slow") as player:
        assert trouble(player, "change") == "no room on the GPU; close what uses it"
        more(player)
        assert (player.status().state, player.status().settings.backend) == ("playing", "openvino")


def test_what_is_wanted_meanwhile_is_built_next_and_a_comparison_comes_when_it_is_built(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = Yard(monkeypatch)
    with world.playing() as player:
        player.change(backend="slow")
        player.compare({"backend": "slow", "schedule": "clockwork:2"})
        until(lambda: player.status().state.startswith("loading"))
        player.change(model=str(world.folder / "other"))
        until(lambda: player.status().state == "loading building other")
        assert (player.status().runs["model"], player.status().comparison) == ("one", None)
        yard.go.set()
        until(lambda: player.status().runs["backend"] == "slow")
        until(lambda: (comparison := player.status().comparison) and (comparison["model"], comparison["backend"]) == ("other", "slow"))
        assert player.status().runs["model"] == "other"
        assert player.status().trouble is None


def test_closing_does_not_wait_for_a_network_that_is_being_built(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Yard(monkeypatch)
    with world.playing(backend="slow") as player:
        player.close()  # else it would not come back: nothing lets the building go on


def test_while_another_pipeline_is_opened_the_picture_goes_on(world: World) -> None:
    with world.playing() as player:
        for ask, runs in (
            (lambda: player.change(backend="slow"), lambda: player.status().runs),
            (lambda: player.compare({"model": str(world.folder / "other")}), lambda: player.status().comparison),
        ):
            world.gate.clear()
            before = runs()
            ask()
            until(lambda: player.status().state.startswith("loading"))
            painted: list[int] = []
            player.take()
            player.on_new = lambda: painted.append(player.take().result.frame.index)  # type: ignore[union-attr]  # noqa: B023
            until(lambda: len(painted) >= 20)  # noqa: B023
            assert player.status().state.startswith("loading")
            assert runs() == before
            world.gate.set()
            until(lambda: runs() != before and player.status().state == "playing")  # noqa: B023
        assert player.status().runs["backend"] == "slow"
        assert [moment.reason for moment in player.history(10_000) if moment.cold] == ["first", "first"]
    assert all(backend.open == 0 for backend in world.used)


def test_a_second_change_takes_the_place_of_one_that_is_being_opened(world: World) -> None:
    with world.playing() as player:
        world.gate.clear()
        player.change(backend="slow")
        until(lambda: "slow" in player.status().state)
        player.change(backend="slower")
        until(lambda: "slower" in player.status().state)
        player.change(schedule="clockwork:7")  # does not wait for either
        until(lambda: player.status().runs["schedule"] == "clockwork:7")
        assert player.status().runs["backend"] == "fake"
        player.change(backend=None)  # as it is
        until(lambda: player.status().state == "playing")
        player.change(backend="slower")
        world.gate.set()
        until(lambda: player.status().runs["backend"] == "slower")
        assert (player.status().runs["schedule"], player.status().trouble) == ("clockwork:7", None)
    assert all(backend.open == 0 for backend in world.used)


def test_what_hangs_while_it_is_opened_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.session.live.PATIENCE_S", 0.0)
    with world.playing() as player:
        world.gate.clear()
        player.change(backend="slow")
        until(lambda: "slow" in player.status().state)
        player.change(model=str(world.folder / "other"), backend=None)
        until(lambda: player.status().runs["model"] == "other")
        world.gate.set()
        until(lambda: all(backend.open == 0 for backend in world.used if backend.name == "slow"))
        assert player.status().trouble is None


def test_a_failure_while_it_is_opened_leaves_what_runs_and_what_is_compared(world: World) -> None:
    with world.playing() as player:
        player.compare({"schedule": "clockwork:3"})
        until(lambda: player.status().comparison)
        world.broken.add("slow")
        for serial, (what, ask) in enumerate(
            (("change", player.change), ("comparison", lambda backend: player.compare({"backend": backend}))), 1
        ):
            ask(backend="slow")
            until(lambda: (now := player.status().trouble) and now.serial == serial)  # noqa: B023
            told = player.status().trouble
            assert told is not None
            assert (told.what, told.text) == (what, "out of order; choose another")
            until(lambda: player.status().comparison)
            comparison = player.status().comparison
            assert comparison is not None
            assert (comparison["backend"], comparison["schedule"], player.status().runs["backend"]) == ("fake", "clockwork:3", "fake")
        more(player)


def test_the_end_does_not_wait_for_what_hangs_while_it_is_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.session.steered.OPENING_LIMIT_S", 0.1)
    with world.playing() as player:
        world.gate.clear()
        player.change(backend="slow")
        until(lambda: "slow" in player.status().state)
        player.close()
        world.gate.set()  # it comes back all the same
        until(lambda: [backend.open for backend in world.used if backend.name == "slow" and backend.loaded["head"]] == [0])


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"source": "nowhere"}, SourceError), ({"model": "nonesuch"}, UsageError), ({"schedule": "clockwork:1,2,4"}, UsageError),
        ({"output": "no/such/folder/out.mp4"}, SinkError), ({"output": "out.gif"}, UsageError), ({"trace": "no/such/run.jsonl"}, SinkError),
        ({"precision": "int8"}, DriveSegError),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_raised_and_nothing_stays_open(world: World, values: dict[str, str], error: type[Exception]) -> None:
    player = world.player(**values)
    with pytest.raises(error):
        player.open()
    assert all(source.closed for source in world.opened)
    assert all(backend.open == 0 for backend in world.used)
    assert player.take() is None


# the shipped bundle


@contextmanager
def real(**values: object) -> Iterator[Player]:
    player = Player(Settings.load(None, {"threads": 1, **values}))
    try:
        player.open()
        until(lambda: bool(player.history()))
        yield player
    finally:
        player.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from drive_seg.demo import DemoDrive

    folder = tmp_path_factory.mktemp("pictures")
    drive = DemoDrive(5, (96, 128))
    for i in range(40):
        cv2.imwrite(str(folder / f"{i:03}.png"), drive.frame(i)[0])
    return folder


def test_the_shipped_bundle_is_changed_while_it_plays_and_recorded(pictures: Path, tmp_path: Path) -> None:
    asked = {"output": tmp_path / "out.mp4", "save_masks": tmp_path / "masks", "trace": tmp_path / "run.jsonl"}
    with real(source="demo:?size=128x96&frames=1000", model="camvid", **asked) as player:  # the one with learned propagations
        player.change(source=str(pictures), loop=True)
        for change in ({"schedule": "clockwork:4"}, {"propagation": "attend", "mode": "async"}, {"mode": "sync", "refine": "edges"}):
            player.change(**change)
            until(lambda: all(str(getattr(player.status().settings, name)) == str(value) for name, value in change.items()))  # noqa: B023
            more(player, 3)
        assert player.status().trouble is None
        assert player.status().runs["precision"]
        moments = player.history(10_000)
        frames = len(moments)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) >= frames
    assert len((tmp_path / "run.jsonl").read_text().splitlines()) >= frames
    assert all((tmp_path / "masks" / f"{moment.index:06}.png").exists() for moment in moments)
    assert player.summary()["propagation"] == "attend"


def test_the_shipped_bundles_are_compared_and_audited(pictures: Path) -> None:
    with real(source=str(pictures), loop=True, schedule="clockwork:8", audit=True) as player:
        player.speed(0.1)  # 3 frames a second: a busy machine would else lose so many that each is a key frame
        player.compare({"schedule": "every-frame"})
        until(lambda: any(one.age >= 4 and one.share < 1 for one in player.agreement()))
        until(lambda: (differs := player.status().differing) is not None and 0 < differs < 0.5)
        assert [one.share for one in player.agreement() if one.age == 0] in ([], [1.0])
        player.change(schedule="every-frame")
        player.compare({})
        player.audit(True)
        until(lambda: player.status().differing == 0.0)
        until(lambda: [one.share for one in player.agreement()] == [1.0])
        assert player.status().trouble is None


def test_another_source_of_another_size_goes_on_with_the_same_bundle(pictures: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "tall.png"), np.full((128, 96, 3), 90, np.uint8))
    with real(source=str(pictures)) as player:
        player.change(source=str(tmp_path))
        until(lambda: player.status().source.size_hw == (128, 96) and player.status().position == 0)
        until(lambda: player.status().state == "ended")
        assert player.history(1)[0].reason in ("size", "jump", "first")
        player.change(source=str(pictures), loop=True)
        until(lambda: (come := player.history(1)) and come[0].segment > 1 and player.status().source.size_hw == (96, 128))
        assert player.status().trouble is None


CORRIDOR = ((0.0, 1.0), (1.0, 1.0), (0.5, 0.0))


def test_the_road_ahead_is_looked_at_from_one_frame_to_the_next_also_at_the_one_that_stands(world: World) -> None:
    world.sources["drive"] = lambda: Drive(first=0)
    with world.playing() as player:
        more(player)
        assert player.history(1)[-1].ahead is None
        before = pause(player)
        player.change(corridor=CORRIDOR)
        ahead = shown(player).result.ahead
        assert ahead is not None
        assert (ahead.corridor, ahead.size_hw) == (CORRIDOR, (48, 64))
        assert player.status().settings.corridor == CORRIDOR
        other = ((0.1, 1.0), (1.0, 1.0), (0.5, 0.0))
        player.change(corridor=other)
        after = shown(player).result
        assert after.frame is before.result.frame
        assert after.ahead
        assert after.ahead.corridor == other
        player.resume()
        until(lambda: player.history(1)[-1].ahead)
        assert player.summary()["ahead"]["frames"] > 0  # type: ignore[index]
        player.change(corridor=None)
        until(lambda: player.history(1)[-1].ahead is None)
        assert player.status().trouble is None


def test_what_was_seen_ahead_is_counted_on_by_another_network_and_in_another_corridor_of_the_same_source(world: World) -> None:
    other: Corridor = ((0.1, 1.0), (1.0, 1.0), (0.5, 0.0))
    world.sources["drive"] = world.sources["other"] = lambda: Drive(first=0)

    def counted(player: Player, more_than: int) -> int:
        frames = [0]
        until(lambda: frames.append(player.summary().get("ahead", {}).get("frames", 0)) or frames[-1] > more_than)  # type: ignore[attr-defined, func-returns-value]
        return frames[-1]

    with world.playing(corridor=CORRIDOR) as player:
        before = counted(player, 5)
        player.change(model=str(world.folder / "other"))
        until(lambda: player.status().settings.model == str(world.folder / "other"))
        assert (before := counted(player, 0)) > 5
        player.change(corridor=None)
        until(lambda: "ahead" not in player.summary())
        player.change(corridor=other)
        assert counted(player, 0) >= before
        player.change(source="other", corridor=CORRIDOR)
        until(lambda: player.status().settings.source == "other")
        assert counted(player, 0) <= len(player.history(1000))  # the frames of that source alone


def test_a_network_without_a_road_is_told_and_plays_on_until_another_has_one(world: World, tmp_path: Path) -> None:
    make_bundle(tmp_path / "sea", classes=("sea", "car", "sky"))
    with world.playing(corridor=CORRIDOR) as player:
        until(lambda: player.history(1)[-1].ahead)
        player.change(model=str(tmp_path / "sea"))
        assert "no class of this network is the road" in trouble(player, "ahead")
        until(lambda: player.history(1)[-1].ahead is None)
        player.change(model=str(world.folder / "other"))
        until(lambda: player.history(1)[-1].ahead)


def test_each_source_has_the_corridor_that_was_set_for_it(world: World) -> None:
    world.sources["other"] = lambda: Drive(first=0)
    keep("other", CORRIDOR)
    with world.playing(corridor="saved") as player:
        until(lambda: player.history(1)[-1].ahead)
        assert player.history(1)[-1].ahead.corridor == USUAL  # type: ignore[union-attr]
        player.change(source="other")
        until(lambda: (now := player.history(1)) and now[-1].ahead and now[-1].ahead.corridor == CORRIDOR)
        player.change(source="nowhere", corridor=((0.2, 1.0), (0.8, 1.0), (0.5, 0.1)))
        assert "nowhere" in trouble(player, "source")
        more(player)
        assert player.history(1)[-1].ahead.corridor == CORRIDOR  # type: ignore[union-attr]


def test_a_drive_of_which_the_network_is_unsure_is_unlike_what_it_learned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.session.opening.with_confidence", lambda path, labels: nullcontext(path))
    make_bundle(world.folder / "one", sure=0.9)
    with world.playing(confidence=True) as player:
        player.speed(8.0)
        until(lambda: player.status().unlike is not None)
        assert player.status().unlike == pytest.approx(0.8)
        assert player.history(1)[0].confidence == pytest.approx(0.8)
        player.change(confidence=False)
        until(lambda: not player.status().settings.confidence and player.status().unlike is None)
        player.seek(0)  # and what was told before is not told of what comes
        until(lambda: player.history(1)[0].confidence is None)
