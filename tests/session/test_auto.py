"""`--schedule auto` takes the most accurate of what was measured that fits into a frame's time, and says why."""

import math

import pytest

from drive_seg.errors import UsageError
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.session import auto
from drive_seg.session.auto import SWEEP, Timing, Way, choose, period_ms, resolved, ways_of
from drive_seg.settings import Settings

LARGE = Timing(key=80.0, other=20.0, beside=28.0, refresh=120.0)
SMALL = Timing(key=30.0, other=12.0, beside=18.0, refresh=40.0)


def way(model: str, schedule: str, miou: float, key_frames: float = 1.0, mode: str = "sync", propagation: str = "netwarp") -> Way:
    return Way(model, schedule, mode, propagation, miou, key_frames, 15.0)


WAYS = [
    way("large", "every-frame", 0.73, propagation="hold"),
    way("large", "clockwork:4", 0.71, 0.25),
    way("large", "every-frame", 0.72, mode="async:1"),
    way("large", "every-frame", 0.715, mode="async:2"),
    way("small", "every-frame", 0.70, propagation="hold"),
    way("small", "clockwork:2", 0.69, 0.5),
]


def chosen(limit_ms: float, paced: bool, timings: dict[str, Timing]) -> tuple[str, str, str]:
    found, _ = choose(WAYS, timings, limit_ms, paced)
    return found.model, found.schedule, found.mode


@pytest.mark.parametrize(
    ("limit_ms", "paced", "expected"),
    [
        (100.0, True, ("large", "every-frame", "sync")),  # all of it fits
        (40.0, True, ("large", "every-frame", "async:2")),  # 120 ms are two frames of the clip: async:1 was never measured so late
        (40.0, False, ("large", "clockwork:4", "sync")),  # 35 ms on average; nobody waits for a file's frames
        (30.0, True, ("large", "every-frame", "sync")),
        (24.0, False, ("small", "clockwork:2", "sync")),
    ],
)
def test_the_most_accurate_that_fits_is_taken(limit_ms: float, paced: bool, expected: tuple[str, str, str]) -> None:
    timings = {"large": LARGE, "small": SMALL}
    if limit_ms == 30.0:  # a machine four times as fast
        timings = {name: Timing(one.key / 4, one.other / 4, one.beside / 4, one.refresh / 4) for name, one in timings.items()}
    assert chosen(limit_ms, paced, timings) == expected


def test_where_nothing_fits_the_fastest_is_taken() -> None:
    assert chosen(5.0, True, {"large": LARGE, "small": SMALL}) == ("large", "every-frame", "async:2")
    assert chosen(5.0, False, {"large": LARGE, "small": SMALL}) == ("small", "clockwork:2", "sync")
    assert chosen(5.0, True, {"small": SMALL})[0] == "small"


def test_a_context_that_comes_later_than_was_measured_counts_as_nothing_that_is_known() -> None:
    assert math.isinf(Timing(80.0, 20.0, 28.0, refresh=140.0).of(WAYS[3], paced=True))
    assert Timing(80.0, 20.0, 28.0, refresh=130.0).of(WAYS[3], paced=True) == 28.0
    assert math.isinf(LARGE.of(WAYS[3], paced=False))  # unpaced frames leave a thread beside them no time that could be foretold


def test_the_time_of_a_frame_is_read_as_a_budget_is() -> None:
    assert period_ms("auto") == pytest.approx(1e3 / 30)
    assert period_ms("auto:25fps") == pytest.approx(40.0)
    assert period_ms("auto:12.5ms") == pytest.approx(12.5)
    assert period_ms("every-frame") is None
    assert period_ms("auto:0fps") is None


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Bundles `large` and `small` with WAYS in their cards, timed as above; and a third without figures. What was timed."""
    card, timed = load_bundle("camvid").card, list[str]()

    def load(name: str) -> Bundle:
        rows = [
            {key: getattr(one, key) for key in ("schedule", "mode", "propagation", "miou", "key_frames")}
            for one in WAYS
            if one.model == name
        ]
        measured = {SWEEP: {"hz": 15.0, "ways": rows}} if rows else {}
        return Bundle(load_bundle("camvid").folder, card.model_copy(update={"name": name, "measured": measured}))

    def time_bundle(bundle: Bundle, ways: list[Way], settings: Settings, paced: bool) -> Timing:
        timed.append(bundle.card.name)
        return {"large": LARGE, "small": SMALL}[bundle.card.name]

    monkeypatch.setattr(auto, "names", lambda: ["bare", "large", "small"])
    monkeypatch.setattr(auto, "load_bundle", load)
    monkeypatch.setattr(auto, "time_bundle", time_bundle)
    return timed


def test_what_was_chosen_becomes_the_settings_and_is_said(two: list[str]) -> None:
    told = list[str]()
    made = resolved(Settings.load(None, {"schedule": "auto:25fps"}), True, told.append)
    assert (made.model, made.schedule, made.mode, made.propagation) == ("large", "every-frame", "async", "netwarp")
    assert two == ["large", "small"]  # what has no figures is not timed
    assert told[-1] == "auto: large, async, netwarp: 28 ms a frame of 40 ms; large on every frame 80 ms; small on every frame 30 ms"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"model": "small"}, ("small", "every-frame", "sync", "hold")),
        ({"mode": "sync"}, ("small", "every-frame", "sync", "hold")),
        ({"model": "large", "mode": "async"}, ("large", "every-frame", "async", "netwarp")),
    ],
)
def test_what_was_given_is_kept_to(two: list[str], given: dict[str, str], expected: tuple[str, ...]) -> None:
    made = resolved(Settings.load(None, {"schedule": "auto:25fps", **given}), True, lambda line: None)
    assert (made.model, made.schedule, made.mode, made.propagation) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "bare"}, "no card has figures of --model bare"),
        ({"propagation": "attend"}, "no card has figures of --propagation attend"),
    ],
)
def test_what_nobody_has_measured_is_no_choice(two: list[str], given: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolved(Settings.load(None, {"schedule": "auto", **given}), True, lambda line: None)


def test_a_network_without_a_card_has_no_figures() -> None:
    with pytest.raises(UsageError, match=r"leave it out with net\.onnx"):
        resolved(Settings.load(None, {"schedule": "auto", "model": "net.onnx"}), True, lambda line: None)


def test_another_schedule_is_left_as_it_is() -> None:
    settings = Settings.load(None, {"schedule": "clockwork:3"})
    assert resolved(settings, True, lambda line: pytest.fail(line)) is settings


def test_a_bundle_is_timed_by_running_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "SECONDS", 0.0)
    bundle = load_bundle("camvid")
    ways = [
        way("camvid", "clockwork:4", 0.7, 0.25, propagation="flow"),
        way("camvid", "every-frame", 0.7, mode="async:2", propagation="flow"),
    ]
    timing = auto.time_bundle(bundle, ways, Settings.load(None, {"threads": 2}), True)
    assert timing.other > 0
    assert timing.key > 0
    assert 0 < timing.beside < math.inf
    assert auto.time_bundle(bundle, ways[:1], Settings.load(None, {}), True).beside == math.inf


def test_a_card_without_a_sweep_has_no_ways() -> None:
    assert list(ways_of("x", Bundle(load_bundle("camvid").folder, load_bundle("camvid").card.model_copy(update={"measured": {}})))) == []
