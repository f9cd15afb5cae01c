"""The sweep and its parts: on networks whose labels tell which frame's context made them, and a piece of the real clip."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the workshop needs matplotlib: pip install 'drive-seg[lab]'")

from drive_seg import cli
from drive_seg.contracts import Frame, Labels, StageName, Tensors
from drive_seg.errors import SinkError, UsageError
from drive_seg.lab.evaluate.ages import AgeCurve, age_curve
from drive_seg.lab.evaluate.baselines import LabelCache, Oracle
from drive_seg.lab.evaluate.pairs import Sample
from drive_seg.lab.evaluate.sweep import SHARES, Row, Sweep, family, sweep
from drive_seg.lab.evaluate.sweep_report import above_clock, conclusions, write_sweep
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import parse_schedule
from drive_seg.settings import Settings
from tests.fakes import FakeBackend, make_bundle, make_keyed_bundle
from tests.sources.clips import DATA

CLIP = DATA / "camvid" / "clip"
SOFT = 0.9  # added to the features, so that one class after another is no scene cut


def shown(*classes: int) -> list[Sample]:
    """Pictures whose blue is a class, which a context made of them says again, with that truth."""
    return [(np.full((24, 32, 3), one, np.uint8), np.full((24, 32), one, np.uint8)) for one in classes]


def played(pipeline: Pipeline, samples: list[Sample]) -> list[tuple[int, bool]]:
    results = [pipeline.step(Frame(image, i, i / 15)) for i, (image, _) in enumerate(samples)]
    return [(int(result.labels[0, 0]), result.is_key) for result in results]


# --- age curves


@pytest.mark.parametrize("propagation", ["hold", "attend"])
def test_an_old_context_scores_what_it_says_against_todays_truth(tmp_path: Path, propagation: str) -> None:
    engine = Engine(make_keyed_bundle(tmp_path / "tiny"), FakeBackend(noise=SOFT), propagation)
    curve = age_curve(engine, propagation, shown(0, 0, 1, 1, 2, 2), 15.0, ages=3)
    # Of the frames 2 to 5, true 1 1 2 2, age 1 says 0 1 1 2: IoU 0, 1/3 and 1/2; age 2 says 0 0 1 1.
    assert curve == AgeCurve((1.0, pytest.approx(5 / 18), 0.0), 4)
    assert curve.average == pytest.approx((1 + 5 / 18) / 3)
    assert curve.minimum == 0


def test_frames_after_a_cut_have_no_key_frame_before_it(tmp_path: Path) -> None:
    engine = Engine(make_bundle(tmp_path / "tiny"), FakeBackend())  # without SOFT 1 to 0 is another scene
    assert age_curve(engine, "hold", shown(1, 1, 1, 0, 0, 0), 15.0, ages=3) == AgeCurve((1.0, 1.0, 1.0), 2)


def test_a_frame_without_truth_is_no_label_frame(tmp_path: Path) -> None:
    samples = shown(1, 1, 1, 1)
    samples[2][1][:] = 255
    engine = Engine(make_bundle(tmp_path / "tiny"), FakeBackend())
    assert age_curve(engine, "hold", samples, 15.0, ages=2).label_frames == 2
    assert age_curve(engine, "hold", samples, 15.0, ages=5) == AgeCurve((), 0)


class Counting(Engine):
    """Hands a count on from frame to frame: its labels say how many frames it has seen since the key frame."""

    seen = 0

    def deep(self, stage: StageName, tensors: Tensors) -> Tensors:
        self.seen = -1
        return super().deep(stage, tensors)

    def head(self, low: Tensors, context: Tensors, fresh: bool) -> Labels:
        self.seen += 1
        return np.full_like(super().head(low, context, fresh), self.seen)


def test_what_is_handed_on_meets_every_frame_in_between(tmp_path: Path) -> None:
    engine = Counting(make_bundle(tmp_path / "tiny"), FakeBackend())
    samples = [(image, np.full_like(truth, 2)) for image, truth in shown(1, 1, 1, 1, 1)]
    assert age_curve(engine, "hold", samples, 15.0, ages=3) == AgeCurve((0.0, 0.0, 1.0), 3)


# --- baselines


def test_a_label_cache_copies_the_whole_networks_labels(tmp_path: Path) -> None:
    engine = Engine(make_keyed_bundle(tmp_path / "tiny"), FakeBackend(noise=SOFT))
    pipeline = Pipeline(LabelCache(engine), parse_schedule("clockwork:3"))
    assert [label for label, _ in played(pipeline, shown(0, 1, 2, 2, 1, 0, 1))] == [0, 0, 0, 2, 2, 2, 1]


def test_the_oracle_asks_for_a_key_frame_when_more_than_the_share_really_differs(tmp_path: Path) -> None:
    full = [np.zeros((2, 5), np.uint8) for _ in range(6)]
    for labels, changed in zip(full, (0, 1, 2, 3, 4, 6), strict=True):
        labels.ravel()[:changed] = 1  # so many of ten
    engine = Engine(make_bundle(tmp_path / "tiny"), FakeBackend())
    keys = [key for _, key in played(Pipeline(engine, Oracle(full, 0.2)), shown(*[1] * 6))]
    assert keys == [True, False, False, True, False, True]  # .3 from the first, then .3 from the fourth; .2 is not more than .2


# --- the sweep


def drive(folder: Path, samples: list[Sample]) -> Path:
    for name, which in (("images", 0), ("labels", 1)):
        (folder / name).mkdir(parents=True)
        for i, sample in enumerate(samples):
            cv2.imwrite(str(folder / name / f"{i:03}.png"), sample[which])
    return folder


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """A drive of 14 frames, and a bundle for it with a forecast and a propagation of its own, which runs on a fake backend."""
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda *args, **how: FakeBackend(noise=SOFT))
    bundle = make_keyed_bundle(tmp_path / "tiny")
    return drive(tmp_path / "drive", shown(0, 0, 1, 1, 2, 2, 1, 1, 0, 0, 1, 1, 2, 2)), str(bundle.folder)


def test_everything_is_measured_on_the_same_frames(tiny: tuple[Path, str], tmp_path: Path) -> None:
    clip, model = tiny
    other = make_bundle(tmp_path / "other")
    told: list[Row] = []
    swept = sweep(clip, [model, str(other.folder)], Settings(), schedules=["clockwork:2", "keyframe:0.005", "async:1"], tell=told.append)
    assert told == list(swept.rows)
    rows = {row.name: row for row in swept.rows}
    oracles = [f"oracle:{share}" for share in SHARES]
    assert list(rows) == [
        *(f"{what}, {how}" for how in ("hold", "flow", "attend") for what in
          ("every-frame", "clockwork:2", "keyframe:0.005", "async:1", *oracles)),
        "clockwork:2, copied labels", "clockwork:2, warped labels", "other, every-frame",
    ]  # fmt: skip
    every, clock = rows["every-frame, hold"], rows["clockwork:2, hold"]
    assert (every.miou, every.key_frame_rate, every.gflop, every.family, every.kind) == (1.0, 1.0, 3.0, "every-frame", "run")
    assert (clock.miou, clock.key_frame_rate, clock.gflop) == (1.0, 0.5, 2.5)  # every second frame is where the class changes
    assert rows["clockwork:2, attend"].gflop == 3.5  # its head, of 3 GFLOP, runs on every second frame only
    assert rows["keyframe:0.005, hold"].key_frame_rate == rows["oracle:0.05, hold"].key_frame_rate == pytest.approx(7 / 14)
    late = rows["async:1, hold"]
    assert (late.family, late.mode, late.kind) == ("async", "async:1", "run")
    assert 0 < late.miou < 1
    assert late.work_ms > (late.latency_ms["mean"] or 0)
    copied = rows["clockwork:2, copied labels"]
    assert (copied.kind, copied.miou, copied.gflop) == ("labels", 1.0, 1.5)
    assert (every.temporal_consistency, every.flicker) == (every.truth_consistency, 0)
    assert list(swept.ages) == ["hold", "flow", "attend", "copied labels", "warped labels"]
    assert {(len(curve.miou), curve.label_frames, curve.miou[0]) for curve in swept.ages.values()} == {(12, 3, 1.0)}
    assert swept.ages["hold"].miou == swept.ages["copied labels"].miou

    out = tmp_path / "out"
    out.mkdir()
    write_sweep(out, swept, {"command": "drive-seg sweep …", "date": "today", "versions": {}})
    written = json.loads((out / "sweep.json").read_text())
    assert written["command"] == "drive-seg sweep …"
    assert [row["miou"] for row in written["rows"]] == [row.miou for row in swept.rows]
    assert written["ages"]["hold"]["minimum"] == swept.ages["hold"].minimum
    assert written["conclusions"] == conclusions(swept.rows)
    text = (out / "sweep.md").read_text()
    assert all(f"| {name} |" in text for name in (*rows, *swept.ages))
    assert all(sentence in text for sentence in written["conclusions"])
    for plot in ("sweep.png", "ages.png"):
        picture = cv2.imread(str(out / plot))
        assert picture is not None
        assert picture.std() > 10
    with pytest.raises(SinkError, match=r"nowhere.*cannot be written"):
        write_sweep(tmp_path / "nowhere", swept, {"command": "", "date": "", "versions": {}})


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"schedules": ["sometimes"]}, "clockwork:N"),
        ({"schedules": ["keyframe:0.05"]}, "no score"),
        ({"propagations": ["attend"]}, "hold, flow"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is(
    tiny: tuple[Path, str], tmp_path: Path, how: dict[str, list[str]], said: str
) -> None:
    plain, told = make_bundle(tmp_path / "plain"), list[Row]()
    with pytest.raises(UsageError, match=said):
        sweep(tiny[0], [str(plain.folder)], Settings(), tell=told.append, **how)  # type: ignore[arg-type]
    assert told == []


def test_bundles_of_other_classes_are_not_compared(tiny: tuple[Path, str], tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other", classes=["road", "car", "tree"])
    with pytest.raises(UsageError, match="other classes"):
        sweep(tiny[0], [tiny[1], str(other.folder)], Settings())


@pytest.mark.parametrize(
    ("schedule", "mode", "expected"),
    [
        ("every-frame", "sync", "every-frame"), ("every-frame", "async:2", "async"), ("clockwork:4", "sync", "clockwork"),
        ("clockwork:1,2,4", "sync", "clockwork by stage"), ("clockwork:adaptive=0.1", "sync", "adaptive"),
        ("clockwork:pipelined", "pipelined", "pipelined"), ("keyframe:0.08,max_age=9", "sync", "keyframe"),
        ("oracle:0.1", "sync", "oracle"),
    ],
)  # fmt: skip
def test_families(schedule: str, mode: str, expected: str) -> None:
    assert family(schedule, mode) == expected


# --- what it concludes

MS = {"p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0, "mean": 1.0}


def row(schedule: str, miou: float, keys: float, gflop: float = 0.0, work_ms: float = 1.0, propagation: str = "hold") -> Row:
    return Row(
        kind="oracle" if schedule.startswith("oracle") else "run", family=family(schedule), model="m", schedule=schedule, mode="sync",
        propagation=propagation, miou=miou, pixel_accuracy=miou, boundary_f1=None, temporal_consistency=None, truth_consistency=None,
        flicker=None, key_frame_rate=keys, gflop=gflop or 10 * keys, work_ms=work_ms, latency_ms=MS, key_ms=MS, other_ms=MS, iou={},
    )  # fmt: skip


CLOCK = [row("every-frame", 0.70, 1.0, work_ms=10.0), row("clockwork:2", 0.68, 1 / 2), row("clockwork:4", 0.66, 1 / 4, work_ms=4.0)]


def test_a_schedule_is_compared_with_the_clock_at_its_own_share_of_key_frames() -> None:
    rows = [
        *CLOCK,
        row("clockwork:adaptive=0.1", 0.68, 1 / 3),  # the clock: halfway between .68 and .66, .67
        row("clockwork:adaptive=0.2", 0.655, 1 / 4),
        row("clockwork:adaptive=0.3", 0.60, 1 / 9),  # no clock that slow
        row("keyframe:0.1", 0.67, 1 / 4),
        row("keyframe:0.1", 0.69, 1 / 2, propagation="flow"),  # no clock with flow
    ]
    assert above_clock(rows, "adaptive", "hold") == [pytest.approx(1.0), pytest.approx(-0.5)]
    assert above_clock(rows, "keyframe", "flow") == []
    said = conclusions(rows)
    assert (
        "Adaptive with hold beats the fixed clock at the same share of key frames by 0.25 points on average (2 rows, -0.50 to +1.00)."
        in said
    )
    assert "Keyframe with hold beats the fixed clock at the same share of key frames by 1.00 points on average (one row, +1.00)." in said
    assert "Keyframe with flow: no row in the fixed clock's range of key frames to compare." in said


def test_the_best_within_a_quarter_is_told_with_its_price() -> None:
    rows = [
        *CLOCK,
        row("clockwork:8", 0.62, 1 / 8),
        row("keyframe:0.2", 0.697, 0.2, work_ms=3.0, propagation="flow"),
        row("oracle:1", 0.7, 0.1),
    ]
    frugal, least = conclusions(rows)[-2:]
    assert frugal == (
        "Of what needs at most 25% of every frame's 10.00 GFLOP, keyframe:0.2, flow is best, and meets the goal of 0.5 points: "
        "mIoU 0.6970, 0.30 points below every frame's 0.7000, 20% of the arithmetic, 30% of the wall time."
    )
    assert least.startswith("Within 0.5 points of every frame, keyframe:0.2, flow needs least: mIoU 0.6970")
    assert "clockwork:4, hold is best, and misses" in conclusions(CLOCK)[-2]


def test_nothing_good_enough_is_told_too() -> None:
    frugal, least = conclusions(CLOCK[:2])[-2:]
    assert frugal.startswith(
        "Nothing needs at most 25% of every frame's 10.00 GFLOP; the least is clockwork:2, hold: mIoU 0.6800, 2.00 points"
    )
    assert least == "Nothing stays within 0.5 points of every frame."
    assert conclusions(CLOCK[:1])[0] == "Nothing needs at most 25% of every frame's 10.00 GFLOP."


# --- as a person types it


def test_evaluate_reports_how_steady_a_clip_is(tiny: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, model = tiny
    with pytest.raises(SystemExit) as end:
        cli.main(["evaluate", "--clip", str(clip), "--model", model, "--json", str(tmp_path / "scores.json")])
    assert end.value.code == 0
    assert "temporal consistency" in capsys.readouterr().out
    assert json.loads((tmp_path / "scores.json").read_text())["flicker"] == 0


def test_a_piece_of_the_real_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not CLIP.is_dir():
        pytest.skip("CamVid's clip is not here (shared/data/camvid/clip)")
    for name in ("images", "labels"):
        (tmp_path / "clip" / name).mkdir(parents=True)
        for path in sorted((CLIP / name).iterdir())[:13]:
            (tmp_path / "clip" / name / path.name).symlink_to(path)
    options = ("--propagation", "flow", "--schedule", "clockwork:4", "--threads", "1")
    with pytest.raises(SystemExit) as end:
        cli.main(["sweep", "--clip", str(tmp_path / "clip"), "--out", str(tmp_path / "out"), *options])
    said = capsys.readouterr().out
    assert end.value.code == 0
    assert "clockwork:4, flow" in said
    assert f"wrote {tmp_path / 'out' / 'sweep.md'}" in said
    swept = json.loads((tmp_path / "out" / "sweep.json").read_text())
    rows = {f"{one['schedule']} {one['family']}": one for one in swept["rows"]}
    every, clock = rows["every-frame every-frame"], rows["clockwork:4 clockwork"]
    assert every["miou"] > 0.6
    assert clock["miou"] > 0.5
    assert every["gflop"] > clock["gflop"]
    assert 0.9 < clock["temporal_consistency"] <= 1
    curve = swept["ages"]["flow"]
    assert (len(curve["miou"]), curve["label_frames"]) == (12, 2)
    assert curve["miou"][0] > curve["miou"][11]
    assert {field.name for field in dataclasses.fields(Sweep)} <= swept.keys()
