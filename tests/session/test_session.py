"""Whole runs on the shipped bundle: which frames come out, what is written, and how a run ends."""

import math
import threading
from itertools import permutations
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from drive_seg.contracts import Frame, Result, SourceInfo
from drive_seg.demo import DemoDrive
from drive_seg.errors import SinkError, SourceError, UsageError
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import EveryFrame
from drive_seg.overlay import usual_look
from drive_seg.session.observer import Observer
from drive_seg.session.opening import open_session, open_sinks
from drive_seg.session.session import Session
from drive_seg.settings import DEFAULT_MODEL, Settings
from drive_seg.sinks.background import DEPTH
from drive_seg.sinks.masks import MaskWriter
from drive_seg.sinks.recorder import Recorder
from tests.fakes import FakeBackend, FakeSource, make_bundle, make_result
from tests.session.conftest import Greys, Stand
from tests.sources.clips import DATA
from tests.waiting import PATIENCE_S


def settings(source: str = "demo:?size=128x96&frames=6", **values: object) -> Settings:
    return Settings.load(None, {"source": source, "threads": 1, **values})


def play(**values: object) -> tuple[list[Result], dict[str, object]]:
    with open_session(settings(**values)) as session:  # type: ignore[arg-type]
        results = [result for result, _ in session.results()]
        return results, session.summary()


def test_every_frame_of_a_labelled_drive_comes_out_in_order() -> None:
    results, summary = play()
    assert [result.frame.index for result in results] == list(range(6))
    assert all(result.frame.labels is not None for result in results)
    assert (summary["frames"], summary["dropped"], summary["key_frame_rate"]) == (6, 0, 1.0)
    assert [summary[key] for key in ("model", "backend", "schedule", "mode")] == [DEFAULT_MODEL, "openvino", "every-frame", "sync"]


def test_clockwork_makes_every_third_frame_a_key_frame(stand: Stand) -> None:
    stand.source = lambda: Greys(6)
    results, summary = stand.play(schedule="clockwork:3")
    assert [result.is_key for result in results] == [True, False, False] * 2
    assert summary["key_frame_rate"] == pytest.approx(1 / 3)


def test_a_run_without_a_window_draws_as_the_window_does(stand: Stand) -> None:
    with open_session(stand.settings(opacity=0.3)) as session:
        assert session.pipeline is not None
        assert session.painter is not None
        engine = session.pipeline.engine
        assert session.painter.look == usual_look(engine.classes, engine.palette, 0.3)


class Watching(Observer):
    """Has enough after so many frames, and notes what it sees."""

    def __init__(self, enough: int) -> None:
        self.enough, self.asked = enough, list[int]()
        self.seen: list[tuple[int, int | None, int]] = []  # index, the comparison's, OpenCV's threads
        self.closed = False

    def wants(self, frame: Frame) -> bool:
        self.asked.append(frame.index)
        return len(self.seen) < self.enough

    def on_result(self, result: Result, comparison: Result | None) -> None:
        self.seen.append((result.frame.index, comparison and comparison.frame.index, cv2.getNumThreads()))

    def close(self) -> None:
        self.closed = True


def test_an_observer_that_has_enough_ends_the_session_before_the_next_frames_work(tmp_path: Path) -> None:
    """And while it runs OpenCV's own threads are off, whoever runs it."""
    cv2.setNumThreads(4)
    watching, backend = Watching(2), FakeBackend()
    with Engine(make_bundle(tmp_path / "net"), backend) as engine:
        pipelines = [Pipeline(engine, EveryFrame()) for _ in range(2)]
        frames = (Frame(np.full((24, 32, 3), 100, np.uint8), i, i / 30) for i in range(10))
        session = Session(pipelines[0], frames, {"watching": watching}, comparison=pipelines[1])
        session.run()
        assert next(frames).index == 3
    assert watching.asked == [0, 1, 2]
    assert watching.seen == [(0, 0, 1), (1, 1, 1)]
    assert watching.closed
    assert backend.calls("head") == 2 * 2
    assert session.summary()["frames"] == 2


def test_max_frames_stops_an_endless_source(stand: Stand) -> None:
    stand.source = lambda: Greys(1000)
    results, _ = stand.play(max_frames=4)
    assert [result.frame.index for result in results] == [0, 1, 2, 3]


def test_a_looping_source_begins_again_with_a_fresh_cache(stand: Stand, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(3):
        cv2.imwrite(str(pictures / f"{i}.png"), np.full((48, 64, 3), 90, np.uint8))
    results, _ = stand.play(source=str(pictures), loop=True, max_frames=5, schedule="clockwork:10")
    assert [(result.frame.segment, result.frame.index) for result in results] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert [result.is_key for result in results] == [True, False, False, True, False]
    assert results[3].decision.reason == "jump"


@pytest.mark.parametrize("seed", [3, 4])
def test_the_demo_drives_cut_is_a_key_frame_and_its_neighbours_are_not(seed: int) -> None:
    drive = DemoDrive(seed)
    cut = math.ceil(drive.cut_time_s * drive.fps)
    with open_session(settings(schedule="clockwork:1000")) as session:
        results = [session.pipeline.step(Frame(drive.frame(i)[0], i, i / drive.fps)) for i in range(cut - 3, cut + 3)]
    assert [result.is_key for result in results] == [True, False, False, True, False, False]
    assert results[3].decision.reason == "cut"


@pytest.mark.parametrize("mode", ["sync", "async", "async:2"])
def test_where_two_drives_are_joined_the_first_frame_of_the_second_waits_for_its_own_context(mode: str) -> None:
    drives = [DemoDrive(seed) for seed in (3, 4)]
    pictures = [drive.frame(i)[0] for drive in drives for i in range(5)]
    with open_session(settings(schedule="every-frame" if mode == "async" else "clockwork:1000", mode=mode)) as session:
        results = [session.pipeline.step(Frame(picture, i, i / 30)) for i, picture in enumerate(pictures)]
    with open_session(settings()) as session:
        fresh = session.pipeline.step(Frame(pictures[5], 0, 0.0))
    assert [result.decision.reason for result in results if result.cold] == ["first", "cut"]
    assert (results[5].decision.reason, results[5].age_frames) == ("cut", 0)
    assert np.array_equal(results[5].labels, fresh.labels)
    assert all(result.frame.index - result.age_frames >= 5 for result in results[5:])


def test_in_async_mode_the_deep_stage_runs_beside_and_no_thread_is_left(stand: Stand) -> None:
    before = set(threading.enumerate())
    stand.source = lambda: Greys(40)
    results, summary = stand.play(mode="async", realtime=True)
    assert (summary["mode"], summary["schedule"]) == ("async", "every-frame")
    assert [result.cold for result in results] == [True] + [False] * (len(results) - 1)
    tracks = {span.track for result in results for span in result.spans if span.name == "high"}
    assert tracks == {"pipeline", "high"}  # the cold frame's, and all others
    assert max(result.age_frames for result in results) < len(results) - 1
    assert set(threading.enumerate()) <= before


def test_a_recording_has_every_frame_at_its_time_and_masks_are_class_ids(stand: Stand, tmp_path: Path) -> None:
    stand.source = lambda: Greys(6)
    results, _ = stand.play(output=tmp_path / "out.mp4", save_masks=tmp_path / "masks")
    with av.open(str(tmp_path / "out.mp4")) as container:
        times = [float(frame.time) for frame in container.decode(video=0) if frame.time is not None]
    assert times == pytest.approx([i / 30 for i in range(6)], abs=1e-3)
    masks = sorted((tmp_path / "masks").iterdir())
    assert [mask.name for mask in masks] == [f"{i:06}.png" for i in range(6)]
    mask = np.asarray(cv2.imread(str(masks[2]), cv2.IMREAD_UNCHANGED))
    wanted = cv2.resize(results[2].labels, (64, 48), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(mask, wanted)


@pytest.mark.parametrize("live", [False, True])
def test_a_file_waits_for_a_writer_that_cannot_keep_up_and_a_camera_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    count, go = 2 * DEPTH + 4, threading.Event()

    def hold_up(writer: type[Recorder | MaskWriter]) -> None:
        write = writer._write

        def held(self: Any, result: Result) -> None:
            go.wait(PATIENCE_S)
            write(self, result)

        monkeypatch.setattr(writer, "_write", held)

    hold_up(Recorder)
    hold_up(MaskWriter)
    sinks = open_sinks(settings(output=tmp_path / "out.mp4", save_masks=tmp_path / "masks"), SourceInfo("fake", (48, 64), 30.0, live, None))
    senders = [threading.Thread(target=lambda sink=sink: [sink.put(make_result(i)) for i in range(count)]) for sink in sinks.values()]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(PATIENCE_S if live else 0.2)  # without a fault none of a file's comes to its end here
    assert not live or not any(sender.is_alive() for sender in senders)
    go.set()
    for sender, sink in zip(senders, sinks.values(), strict=True):
        sender.join(PATIENCE_S)
        sink.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        recorded = len(list(container.decode(video=0)))
    masks = len(list((tmp_path / "masks").glob("*.png")))
    assert (recorded, masks) == (count, count) if not live else max(recorded, masks) <= DEPTH + 1


def test_a_picture_that_changes_size_midway_is_segmented_at_its_own(stand: Stand, tmp_path: Path) -> None:
    tmp_path = tmp_path / "pictures"
    tmp_path.mkdir()
    for i, shape in enumerate([(96, 128), (96, 128), (128, 96)]):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((*shape, 3), 90, np.uint8))
    results, _ = stand.play(source=str(tmp_path), schedule="clockwork:10", save_masks=tmp_path / "masks")
    assert results[2].decision.reason == "size"
    assert np.asarray(cv2.imread(str(tmp_path / "masks" / "000002.png"), 0)).shape == (128, 96)


def test_a_broken_source_ends_the_run_with_its_error_and_no_thread_left(stand: Stand, tmp_path: Path) -> None:
    stand.source = lambda: FakeSource(3, error=SourceError("lens fell off"))
    before = set(threading.enumerate())
    with pytest.raises(SourceError, match="lens fell off"):
        stand.play(output=tmp_path / "out.mp4")
    assert set(threading.enumerate()) <= before
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == 3


def test_a_source_that_hangs_ends_the_run(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource(3, hang=True)
    stand.source = lambda: source
    monkeypatch.setattr("drive_seg.watchdog.LIMIT_S", 0.2)
    with pytest.raises(SourceError, match=r"fake: reading a frame did not end within 0\.2 s"):
        stand.play()
    source.released.set()


def test_refined_labels_are_audited_against_refined_ones() -> None:
    _, summary = play(refine=True, audit=True, precision="fp32")
    found = summary["agreement"]
    assert isinstance(found, list)
    assert [(one["age"], one["share"]) for one in found] == [(0, 1.0)]


@pytest.mark.parametrize(("schedule", "least"), [("every-frame", 1.0), ("clockwork:30", 0.0)])
def test_an_audited_run_tells_how_far_labels_of_each_age_agree_with_the_full_networks(stand: Stand, schedule: str, least: float) -> None:
    stand.source = lambda: Greys(30)
    _, summary = stand.play(schedule=schedule, audit=True, realtime=True)
    found = summary["agreement"]
    assert isinstance(found, list)
    assert found
    assert all(set(one) == {"age", "frames", "share"} and least <= one["share"] <= 1 for one in found)
    assert [one["age"] for one in found] == sorted({one["age"] for one in found})
    assert max(one["age"] for one in found) == 0 if schedule == "every-frame" else min(one["share"] for one in found) < 1


def test_a_run_that_is_not_audited_says_nothing_of_it(stand: Stand) -> None:
    assert "agreement" not in stand.play()[1]


def test_a_recording_never_overwrites_its_own_source(stand: Stand, tmp_path: Path) -> None:
    path = tmp_path / "drive.mp4"
    stand.play(output=path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"--output .*drive\.mp4: is what --source reads; give another name$"):
        stand.play(source=str(path), output=path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="file"):
        stand.play(save_masks=tmp_path / "file" / "masks")


@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_other_backends_give_the_same_labels_in_fp32(backend: str) -> None:
    pytest.importorskip(backend, reason=f"the {backend} backend needs its package")
    reference, other = (play(source="demo:?size=480x360&frames=2", backend=name, precision="fp32")[0] for name in ("openvino", backend))
    for one, two in zip(reference, other, strict=True):
        assert (one.labels == two.labels).mean() >= 0.995


@pytest.mark.parametrize("source", ["camvid/clip/images", "video/kitti_2011_09_26_city.mp4"])
def test_a_run_recorded_on_openvino_is_replayed_on_torch(tmp_path: Path, source: str) -> None:
    pytest.importorskip("torch", reason="the torch backend needs its package")
    if not (DATA / source).exists():
        pytest.skip(f"real pictures are not beside the project (shared/data/{source})")
    same = {"source": str(DATA / source), "model": "camvid", "precision": "fp32", "max_frames": 20}
    record = tmp_path / "run.jsonl"
    recorded, _ = play(**same, backend="openvino", schedule="clockwork:adaptive=0.05", trace=record)
    replayed, summary = play(**same, backend="torch", replay=record)
    assert summary["schedule"] == f"replay of {record}"
    assert [result.decision for result in replayed] == [result.decision for result in recorded]
    assert [result.age_frames for result in replayed] == [result.age_frames for result in recorded]
    assert {"first", "change"} <= {result.decision.reason for result in recorded}
    assert 2 < sum(result.is_key for result in recorded) < 15
    for one, two in zip(recorded, replayed, strict=True):
        assert (one.labels == two.labels).mean() >= 0.99, one.frame.index


@pytest.mark.skipif(not (DATA / "video").is_dir(), reason="needs the recorded drives of ../shared/data")
@pytest.mark.parametrize("model", ["camvid", "camvid-large"])
def test_where_recorded_drives_are_joined_nothing_of_the_first_is_seen_in_the_second(model: str) -> None:
    """Two frames of each drive, and two of each other one behind them."""
    pictures: dict[str, list[Any]] = {"clip": [cv2.imread(str(path)) for path in sorted((DATA / "camvid/clip/images").iterdir())[:2]]}
    for path in sorted((DATA / "video").glob("*.mp4")):
        with av.open(str(path)) as video:
            frames = [frame.to_ndarray(format="bgr24") for _, frame in zip(range(2), video.decode(video=0), strict=False)]
        pictures[path.stem] = [cv2.resize(frame, (480, 360), interpolation=cv2.INTER_AREA) for frame in frames]
    with open_session(settings(schedule="clockwork:1000", propagation="netwarp", model=model, precision="fp32")) as session:

        def play(frames: list[Any], segment: int) -> list[Result]:
            return [session.pipeline.step(Frame(picture, i, i / 15, segment=segment)) for i, picture in enumerate(frames)]

        alone = {name: play(frames[:1], at)[0].labels for at, (name, frames) in enumerate(pictures.items())}
        for at, (first, second) in enumerate(permutations(pictures, 2), len(pictures)):
            results = play([*pictures[first], *pictures[second]], at)
            assert [result.is_key for result in results] == [True, False, True, False], (first, second)
            assert results[2].decision.reason == "cut"
            assert (results[2].labels == alone[second]).all()
