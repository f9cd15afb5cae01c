"""The library: what its pages show is true, it does what the program does, and what it is not to be given it says."""

import doctest
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import drive_seg
from drive_seg import library
from drive_seg.classes import clear_palette
from drive_seg.errors import BackendError, BundleError, SourceError, UsageError
from drive_seg.network.card import PACKAGE
from drive_seg.session.opening import open_session
from drive_seg.settings import DEFAULT_MODEL, Settings
from tests.fakes import FakeBackend, make_bundle
from tests.sources.clips import write_video
from tests.waiting import PATIENCE_S, until

ROOT = PACKAGE.parent
DRIVE = "demo:?seed=7&size=320x240&frames=6"
PICTURE = np.full((240, 320, 3), 128, np.uint8)
NAMES = ["road", "car", "sky #0000ff", "tree", "dog"]


def write_network(folder: Path) -> Path:
    """net.onnx and, one a line, the names of its classes."""
    from tests.network.test_foreign import Form  # needs the workshop's onnx

    (folder / "names.txt").write_text("\n".join(NAMES))
    return Path(Form().write(folder / "net.onnx"))


@pytest.fixture(scope="module")
def still() -> Iterator[drive_seg.Segmenter]:
    """The default network, to which one picture is nothing to the next."""
    with drive_seg.load() as segmenter:
        yield segmenter


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import drive_seg; print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert set(said) == {"drive_seg"}


def test_all_names_are_there_and_no_other() -> None:
    assert set(drive_seg.__all__) <= set(dir(drive_seg))
    assert all(getattr(drive_seg, name) is getattr(library, name) for name in drive_seg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'play_it'"):
        _ = drive_seg.play_it  # type: ignore[attr-defined]


def test_every_public_name_has_an_example_that_is_true() -> None:
    found = {test.name.removeprefix("drive_seg.library."): test for test in doctest.DocTestFinder().find(library)}
    assert {name for name, test in found.items() if test.examples} >= {
        "load",
        "frames",
        "Frames",
        "Segmenter",
        "Segmenter.__call__",
        "Result",
    }
    said: list[str] = []
    for test in found.values():
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_pages_code_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "drive.mp4", [i / 30 for i in range(6)], (240, 320))
    write_network(tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})


def test_it_is_the_programs_own_way() -> None:
    """The same frames, decisions and labels as a run of the program's."""
    given = {"model": "camvid", "schedule": "clockwork:3", "propagation": "netwarp", "mode": "async:2"}
    settings = Settings.load(None, {"source": DRIVE, **given})
    with open_session(settings) as session:
        theirs = [result for result, _ in session.results()]
    with drive_seg.load(**given) as segmenter:
        ours = [segmenter(frame) for frame in drive_seg.frames(DRIVE)]
        assert segmenter.runs["schedule"] == "clockwork:3"
    assert [one.details.decision for one in ours] == [one.decision for one in theirs]
    assert [one.age_frames for one in ours] == [one.age_frames for one in theirs]
    assert all(np.array_equal(a.network_labels, b.labels) for a, b in zip(ours, theirs, strict=True))


def test_a_result_at_the_frames_size_and_by_class(still: drive_seg.Segmenter) -> None:
    segmenter, result = still, still(next(drive_seg.frames(DRIVE)))
    small = result.network_labels
    assert result.labels.shape == (240, 320)
    assert np.array_equal(result.labels[::4, ::4], cv2.resize(small, (320, 240), interpolation=cv2.INTER_NEAREST)[::4, ::4])
    masks = result.masks()
    assert list(masks) == list(result.areas) == list(segmenter.classes)
    assert sum(mask.sum() for mask in masks.values()) == np.count_nonzero(result.labels < len(segmenter.classes))
    assert result.areas["road"] == pytest.approx(np.mean(small == segmenter.classes.index("road")))
    assert np.array_equal(result.overlay(0), result.frame.image)
    road = np.argwhere(masks["road"])[0]
    assert tuple(result.overlay(1)[tuple(road)][::-1]) == clear_palette(segmenter.classes)[segmenter.classes.index("road")]
    shown = cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(shown, result.overlay())
    assert "of frame 0: " in repr(result)
    assert result.latency_ms == result.details.latency_ms["total"]
    with pytest.raises(UsageError, match="0 to 1"):
        result.overlay(50)


def test_confidence_is_told_where_it_is_asked_for_and_changes_no_label() -> None:
    with drive_seg.load(confidence=True) as segmenter, drive_seg.load() as plain:
        told, silent = segmenter(PICTURE), plain(PICTURE)
    assert np.array_equal(told.labels, silent.labels)
    assert (silent.confidence, silent.runner_up, silent.details.confidence) == (None, None, None)
    assert told.confidence is not None
    assert told.runner_up is not None
    assert told.confidence.shape == told.runner_up.shape == PICTURE.shape[:2]
    assert 1 / len(told.classes) - 1 / 255 <= told.confidence.min() < told.confidence.max() <= 1
    assert not (told.runner_up == told.labels).any()


def test_who_writes_into_labels_harms_no_cache() -> None:
    with drive_seg.load(refine=True) as segmenter:
        result = segmenter(PICTURE)
    result.labels[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        result.network_labels[:] = 0


def test_a_bare_array_is_a_still_picture_unless_it_is_said_to_be_a_streams() -> None:
    with drive_seg.load(schedule="clockwork:4") as segmenter:
        streamed = [segmenter(PICTURE, stream=True).is_key for _ in range(3)]
        assert streamed == [True, False, False]
        assert segmenter(PICTURE).is_key
        assert [segmenter(PICTURE, stream=True).is_key for _ in range(2)] == [True, False]  # the still picture is none of the stream's
        frames = [segmenter(frame).is_key for frame in islice(drive_seg.frames(DRIVE), 2)]
        others = [segmenter(frame).is_key for frame in islice(drive_seg.frames(DRIVE), 2)]
        assert frames == others == [True, False]  # each drive begins with a key of its own
        assert segmenter(PICTURE, stream=True).is_key


def test_a_streams_array_may_be_written_to_again() -> None:
    """As cv2.VideoCapture.read(buffer) does: what is remembered of the picture is not the caller's memory."""
    pictures = [frame.image for frame in drive_seg.frames(DRIVE)]
    with drive_seg.load(schedule="clockwork:4", propagation="flow", input_size=(320, 240)) as segmenter:
        apart = [segmenter(picture, stream=True).network_labels for picture in pictures]
        segmenter(pictures[0])  # a still picture, behind which another stream begins
        buffer, same = np.empty_like(pictures[0]), []
        for picture in pictures:
            buffer[:] = picture
            same.append(segmenter(buffer, stream=True).network_labels)
    assert all(np.array_equal(a, b) for a, b in zip(apart, same, strict=True))


@pytest.mark.parametrize(
    "array", [PICTURE[:, ::-1], np.asfortranarray(PICTURE), np.zeros((7, 900, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)]
)
def test_any_size_and_memory_order_will_do(still: drive_seg.Segmenter, array: Any) -> None:
    assert still(array).labels.shape == array.shape[:2]
    assert still(drive_seg.Frame(array, 0, 0.0)).labels.shape == array.shape[:2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (PICTURE.astype(np.float32) / 255, r"float32 240x320x3 is no picture .*\(picture \* 255\)"),
        (PICTURE.astype(np.int64), "int64"),
        (PICTURE[..., 0], "GRAY2BGR"),
        (PICTURE.transpose(2, 0, 1), r"transpose\(1, 2, 0\)"),
        (np.zeros((240, 320, 4), np.uint8), "fourth channel"),
        (PICTURE[None], "one picture after the other"),
        (PICTURE[:0], "has no pixels"),
        (np.uint8(3) + np.zeros((), np.uint8)[()], "is no picture"),
        (np.zeros((), np.uint8), "without axes"),
        (np.zeros((240, 320, 1), np.uint8), "HxWx3"),
        (None, "a NoneType is no picture"),
        ([[1, 2, 3]], "a list is no picture; .* Frame"),
    ],
)
def test_what_is_no_picture_is_named_with_what_makes_one_of_it(still: drive_seg.Segmenter, given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        still(given)
    if isinstance(given, np.ndarray):
        with pytest.raises(UsageError, match=said):
            still(drive_seg.Frame(given, 0, 0.0))


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"model": "nonesuch"}, UsageError, f"no such model; .*{DEFAULT_MODEL}"),
        ({"model": Path(DEFAULT_MODEL)}, UsageError, "no such folder"),
        ({"model": Path(__file__).parent}, BundleError, "is no bundle"),
        ({"schedule": "sometimes"}, UsageError, "sometimes"),
        ({"schedule": "clockwork:1,2,4"}, UsageError, "one cached stage"),
        ({"mode": "async", "schedule": "clockwork:pipelined"}, UsageError, "timing of its own"),
        ({"propagation": "wish"}, UsageError, "it has hold"),
        ({"backend": "abacus"}, (UsageError, BackendError), "abacus"),
        ({"labels": ["road", "car"]}, UsageError, "without a card"),
        ({"threads": 0}, UsageError, "threads"),
    ],
)
def test_what_cannot_be_meant_is_said_when_it_is_loaded(
    given: dict[str, Any], error: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said) as caught:
        drive_seg.load(**given)
    assert isinstance(caught.value, drive_seg.DriveSegError)


def test_a_closed_segmenter_says_so() -> None:
    segmenter = drive_seg.load()
    segmenter.close()
    segmenter.close()
    with pytest.raises(UsageError, match="closed; load another"):
        segmenter(PICTURE)


@pytest.mark.parametrize("as_path", [False, True])
def test_any_onnx_network_with_its_classes(as_path: bool, tmp_path: Path) -> None:
    network = write_network(tmp_path)
    with drive_seg.load(network, labels=str(tmp_path / "names.txt") if as_path else NAMES) as segmenter:
        result = segmenter(PICTURE)
    assert (segmenter.classes, segmenter.palette[2]) == (("road", "car", "sky", "tree", "dog"), (0, 0, 255))
    assert result.labels.shape == (240, 320)
    assert sum(result.areas.values()) == pytest.approx(1)
    with pytest.raises(UsageError, match="class names, line 2: '#' is no class"):
        drive_seg.load(network, labels=["road", "#"])


def test_which_of_two_bundles_was_taken_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(tmp_path / "engines" / DEFAULT_MODEL)
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match=f"{DEFAULT_MODEL} means .*; --model ./engines/{DEFAULT_MODEL} is another one") as warned:
        drive_seg.load()
    assert warned[0].filename == __file__


def test_frames_that_are_left_or_forgotten_are_closed() -> None:
    for _ in drive_seg.frames("demo:?size=64x64"):
        break
    drive_seg.frames("demo:?size=64x64")
    with drive_seg.frames("demo:?size=64x64") as frames:
        next(frames)
    assert list(frames) == []
    assert not [thread.name for thread in threading.enumerate() if "capture" in thread.name]


def test_a_network_that_hangs_is_an_error_and_the_caller_lives_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    release, calls = threading.Event(), count()
    backend = FakeBackend(before_high=lambda: None if next(calls) == 0 else assert_set(release))
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda *_, **__: backend)
    monkeypatch.setattr("drive_seg.watchdog.LIMIT_S", 0.2)
    before = set(threading.enumerate())
    with drive_seg.load(make_bundle(tmp_path / "net").folder) as segmenter:
        assert segmenter(PICTURE).is_key
        for _ in range(2):
            with pytest.raises(BackendError, match=r"net on fake: high did not end within 0\.2 s; choose another backend or model"):
                segmenter(PICTURE)
    release.set()
    until(lambda: "segmenter" not in {thread.name for thread in set(threading.enumerate()) - before})


def assert_set(event: threading.Event) -> None:
    assert event.wait(PATIENCE_S)


def test_a_segmenter_that_is_forgotten_leaves_no_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda *_, **__: FakeBackend())
    before = set(threading.enumerate())
    assert drive_seg.load(make_bundle(tmp_path / "net").folder)(PICTURE).is_key
    until(lambda: "segmenter" not in {thread.name for thread in set(threading.enumerate()) - before})


@pytest.mark.parametrize(("source", "error"), [("ftp://x", UsageError), ("missing.mp4", SourceError), ("", UsageError)])
def test_a_source_that_is_none_is_said_at_once(source: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        drive_seg.frames(source)
