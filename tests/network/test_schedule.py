"""Which frames become key frames: decisions on hand-made sequences, and a budget against a simulated load."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_seg.contracts import Decision, View
from drive_seg.errors import UsageError
from drive_seg.network.schedule import (
    KINDS,
    MAX_AGE,
    SYNTAX,
    Kind,
    Purse,
    Replay,
    Schedule,
    find_kind,
    parse_schedule,
    read_schedule,
    share_budget,
)  # fmt: skip

FPS = 30


def view(
    age: int = 1, score: float | None = None, changed: float = 0.0, last_ms: float = 10, key_ms: float = 10, other_ms: float | None = 10
) -> View:
    return View(age, age, score, changed, last_ms, key_ms, other_ms, age)


def run(schedule: str | Schedule, frames: int, score: Callable[[int], float | None] = lambda age: None) -> list[int]:
    """The key frames among so many, the first one being cold; the score, and the share of changed labels, are functions of the age."""
    schedule, keys = parse_schedule(schedule) if isinstance(schedule, str) else schedule, [0]
    for index in range(1, frames):
        age = index - keys[-1]
        if schedule.decide(View(index, age, score(age), score(age) or 0.0, 10, 10, 10, age)).run_high:
            keys.append(index)
    return keys


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("every-frame", "every frame"),
        ("clockwork:pipelined", "pipelined in 2 stages"),
        ("clockwork:pipelined=3", "pipelined in 3 stages"),
    ],
)
def test_every_frame_is_a_key_frame(text: str, said: str) -> None:
    assert run(text, 5) == [0, 1, 2, 3, 4]
    decision = parse_schedule(text).decide(view())
    assert (decision.reason, decision.text) == ("every", said)


@pytest.mark.parametrize(
    ("text", "keys"), [("clockwork:1", [0, 1, 2, 3, 4, 5, 6]), ("clockwork:2", [0, 2, 4, 6]), ("clockwork:3", [0, 3, 6])]
)
def test_clockwork_ticks(text: str, keys: list[int]) -> None:
    assert run(text, 7) == keys


def test_clockwork_does_not_wait_for_a_frame_that_was_dropped() -> None:
    assert parse_schedule("clockwork:3").decide(view(age=5)).run_high


def rhythm(text: str, indices: Iterable[int]) -> str:
    """What is refreshed on the frames of these indices, the first one being cold: H all, m mid alone, - nothing."""
    schedule, key, mid, said = parse_schedule(text), 0, 0, "H"
    for index in list(indices)[1:]:
        decision = schedule.decide(View(index, index - key, None, 0.0, 10, 10, 10, index - mid))
        key = index if decision.run_high else key
        mid = index if decision.run_high or decision.run_mid else mid
        said += "H" if decision.run_high else "m" if decision.run_mid else "-"
    return said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clockwork:1,2,4", "H-m-H-m-H"),
        ("clockwork:1,1,3", "HmmHmmHmm"),
        ("clockwork:1,3,6", "H--m--H--"),
        ("clockwork:1,3,3", "H--H--H--"),
        ("clockwork:1,1,1", "HHHHHHHHH"),
        ("clockwork:1,3", "H--H--H--"),
        ("clockwork:3", "H--H--H--"),
    ],
)
def test_each_cached_stage_has_a_rate_of_its_own(text: str, said: str) -> None:
    assert rhythm(text, range(9)) == said


def test_a_stage_whose_frame_was_dropped_is_due_on_the_next_one() -> None:
    assert rhythm("clockwork:1,2,4", [0, 1, 3, 4, 7, 8, 9, 13]) == "H-mHmH-H"


def test_a_decision_says_what_is_due() -> None:
    decide = parse_schedule("clockwork:1,2,4").decide
    assert [decide(view(age)).text for age in (1, 2, 4)] == ["age 1 of 4", "mid due, age 2 of 4", "age 4 of 4"]
    assert [decide(view(age)).reason for age in (1, 2, 4)] == ["clock"] * 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clockwork:2,4", "first rate is low's"),
        ("clockwork:2,4,8", "first rate is low's"),
        ("clockwork:1,2,3", "3 is no multiple of 2"),
        ("clockwork:1,4,2", "2 is no multiple of 4"),
    ],
)
def test_rates_that_do_not_fit_each_other_are_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"--schedule {text}: .*{said}"):
        parse_schedule(text)


@given(
    rate=st.integers(1, 6),
    times=st.integers(1, 5),
    steps=st.lists(st.integers(1, 4), max_size=80),
)
def test_nothing_that_is_cached_ever_gets_as_old_as_its_rate(rate: int, times: int, steps: list[int]) -> None:
    schedule, index, key, mid = parse_schedule(f"clockwork:1,{rate},{rate * times}"), 0, 0, 0
    for step in steps:
        index += step
        decision = schedule.decide(View(index, index - key, None, 0.0, 10, 10, 10, index - mid))
        key = index if decision.run_high else key
        mid = index if decision.run_high or decision.run_mid else mid
        assert index - key < rate * times
        assert index - mid < rate


@pytest.mark.parametrize(("text", "reason"), [("clockwork:adaptive=0.1", "change"), ("keyframe:0.1", "score")])
def test_a_key_frame_comes_when_more_has_changed_than_is_allowed(text: str, reason: str) -> None:
    assert run(text, 9, lambda age: 0.05 * age) == [0, 3, 6]  # .10 is not more than .1
    decisions = [parse_schedule(text).decide(view(score=now, changed=now)) for now in (0.09, 0.11)]
    assert [decision.run_high for decision in decisions] == [False, True]
    assert [(decision.reason, decision.score, decision.threshold) for decision in decisions] == [(reason, 0.09, 0.1), (reason, 0.11, 0.1)]


@pytest.mark.parametrize("kind", ["clockwork:adaptive=0.1", "keyframe:0.1"])
def test_a_still_scene_is_looked_at_again_at_the_largest_age(kind: str) -> None:
    assert run(f"{kind},max_age=4", 10, lambda age: 0.0) == [0, 4, 8]
    assert run(kind, 2 * MAX_AGE, lambda age: 0.0) == [0, MAX_AGE]
    assert parse_schedule(kind).decide(view(age=MAX_AGE, score=0.0)).reason == "age"


def test_a_record_decides_again_as_it_did_and_what_it_did_not_see_is_no_key_frame() -> None:
    yes, no = Decision(True, "score", "score 0.2 of 0.1", 0.2, 0.1), Decision(False, "score", "score 0.0 of 0.1", 0.0, 0.1)
    replay = Replay({(0, 3): yes, (0, 4): no, (1, 3): no}, "replay")
    assert [replay.decide(view(index)) for index in (3, 4)] == [yes, no]
    assert replay.decide(replace(view(3), segment=1)) == no
    unseen = replay.decide(view(5))
    assert (unseen.run_high, unseen.run_mid, unseen.reason, unseen.text) == (False, False, "replay", "not in the record")
    older = Replay({(None, 3): yes}, "replay of a record that does not tell segments")
    assert [older.decide(replace(view(3), segment=segment)) for segment in (0, 7)] == [yes, yes]


ALL = [
    *("clockwork:1,4", "clockwork:1,2,4"),
    *("every-frame", "clockwork:4", "clockwork:adaptive=0.1", "clockwork:adaptive=.1,max_age=8", "clockwork:pipelined"),
    *("clockwork:pipelined=3", "keyframe:0.08", "keyframe:0.08,max_age=30", "budget:30ms", "budget:30fps", "budget:12.5ms,max_age=15"),
]
NONE = [
    *("", "sometimes", "every-frame:2", "clockwork", "clockwork:", "clockwork:0", "clockwork:-1", "clockwork:2.5", "clockwork:4,max_age=3"),
    *("clockwork:1,", "clockwork:1,0", "clockwork:1,2,", "clockwork:,2"),
    *("clockwork:adaptive", "clockwork:adaptive=0", "clockwork:adaptive=2", "clockwork:pipelined=1", "keyframe", "keyframe:0"),
    *("keyframe:1.5", "keyframe:0.1,max_age=0", "keyframe:0.1,age=3", "budget", "budget:30", "budget:0ms", "budget:30s", "budget:-1fps"),
]


@pytest.mark.parametrize("text", ALL)
def test_a_schedule_has_the_name_it_was_asked_for_by(text: str) -> None:
    assert parse_schedule(text).name == text


@pytest.mark.parametrize("text", NONE)
def test_what_cannot_be_meant_is_refused_with_what_can(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_schedule(text)
    assert SYNTAX in str(error.value)
    assert str(error.value).startswith(text)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_begins_with_a_schedule_of_its_own_and_at_every_tick_of_its_slider_is_one(kind: Kind) -> None:
    found = find_kind(kind.start)
    assert found is not None
    assert found[0] is kind
    read = read_schedule(kind.start)
    assert (read is None) == (kind.slider is None)
    for tick in range(kind.slider.ticks + 1 if kind.slider else 0):
        assert kind.slider is not None
        text = kind.slider.form.format(kind.slider.value(tick))
        read = read_schedule(text)
        assert read is not None
        assert parse_schedule(text).name == text
        assert kind.slider.tick(read[1]) == tick


def test_a_rate_is_read_as_a_time_and_an_age_is_kept() -> None:
    read = read_schedule("budget:50fps,max_age=9")
    assert read is not None
    assert read[1:] == (20.0, ",max_age=9")


# A budget on a machine where a frame takes `other` ms, and `key` ms with a refresh in it, both functions of the time.


def simulate(
    text: str, seconds: float, key: Callable[[float], float], other: Callable[[float], float], score: Callable[[int], float | None]
) -> list[tuple[float, bool, float, int]]:
    """Time, whether it is a key frame, what it took and its age, for frames that come at 30 fps or as fast as they are done."""
    schedule, rows, now_s, index, at = parse_schedule(text), list[tuple[float, bool, float, int]](), 0.0, 0, 0
    last: dict[bool, float] = {}
    while now_s < seconds:
        age = index - at
        run_high = not rows or schedule.decide(View(index, age, score(age), 0.0, rows[-1][2], last[True], last.get(False), age)).run_high
        if run_high:
            at = index
        ms = key(now_s) if run_high else other(now_s)
        last[run_high] = ms
        rows.append((now_s, run_high, ms, index - at))
        now_s += max(1 / FPS, ms / 1e3)
        index += 1
    return rows


def share(rows: list[tuple[float, bool, float, int]], start_s: float, end_s: float) -> float:
    keys = [key for now_s, key, _, _ in rows if start_s <= now_s < end_s]
    return sum(keys) / len(keys)


def mean_ms(rows: list[tuple[float, bool, float, int]], start_s: float, end_s: float) -> float:
    times = [ms for now_s, _, ms, _ in rows if start_s <= now_s < end_s]
    return sum(times) / len(times)


SCORES: dict[str, Callable[[int], float | None]] = {
    "without a score": lambda age: None,
    "a quiet drive": lambda age: 0.002 * age,
    "a drive": lambda age: 0.02 * age,
    "a wild drive": lambda age: min(1.0, 0.3 * age),
}


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@pytest.mark.parametrize(("text", "fits"), [("budget:30ms", 0.4), ("budget:20ms", 0.2), ("budget:50fps", 0.2), ("budget:15ms", 0.1)])
def test_a_budget_is_met_with_as_many_key_frames_as_fit(text: str, fits: float, score: Callable[[int], float | None]) -> None:
    rows = simulate(text, 12, lambda s: 60, lambda s: 10, score)
    assert share(rows, 2, 12) == pytest.approx(fits, rel=0.1)
    assert mean_ms(rows, 2, 12) <= 10 + 50 * fits + 0.5


def shared(text: str, rounds: int, *scores: Callable[[int], float | None], gone_at: int | None = None) -> list[list[bool]]:
    """By camera which of its frames are key frames, where a key frame takes 60 ms and another 10; the last camera has `gone_at` frames."""
    schedules = [parse_schedule(text) for _ in scores]
    share_budget(schedules)
    keys: list[list[bool]] = [[True] for _ in scores]
    for at in range(1, rounds):
        for number, (schedule, score) in enumerate(zip(schedules, scores, strict=True)):
            if gone_at is not None and number == len(scores) - 1 and at >= gone_at:
                continue
            age = next(back for back in range(1, at + 1) if keys[number][-back])
            other = 10.0 if False in keys[number] else None
            last = 60.0 if keys[number][-1] else 10.0
            keys[number].append(schedule.decide(View(at, age, score(age), 0.0, last, 60.0, other, age)).run_high)
    return keys


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@pytest.mark.parametrize(("text", "cameras", "fits"), [("budget:60ms", 2, 0.4), ("budget:60ms", 4, 0.1), ("budget:120ms", 6, 0.2)])
def test_a_budget_that_cameras_share_is_met_by_all_together_and_no_camera_has_another_ones_share(
    text: str, cameras: int, fits: float, score: Callable[[int], float | None]
) -> None:
    keys = shared(text, 300, *[score] * cameras)
    shares = [sum(one[60:]) / 240 for one in keys]
    assert sum(shares) / cameras == pytest.approx(fits, rel=0.1)
    assert all(share == pytest.approx(fits, rel=0.25) for share in shares)


def test_the_frames_that_need_a_shared_budget_most_have_it_whosever_they_are() -> None:
    quiet, wild = shared("budget:60ms,max_age=200", 300, lambda age: 0.0, lambda age: min(1.0, 0.3 * age))
    assert sum(quiet[60:]) < 0.2 * sum(wild[60:])


def test_the_share_of_a_camera_that_is_gone_is_the_others() -> None:
    keys = shared("budget:40ms", 300, *[SCORES["without a score"]] * 2, gone_at=100)
    assert sum(keys[0][20:100]) / 80 == pytest.approx(0.2, rel=0.2)
    assert sum(keys[0][150:]) / 150 == pytest.approx(0.6, rel=0.1)


def test_a_purse_forgets_who_has_not_asked_for_long() -> None:
    purse = Purse()
    assert [purse.ask(who) for who in (1, 2, 1, 2)] == [1, 2, 2, 2]
    asked = [purse.ask(1) for _ in range(2 * Purse.LATELY)]
    assert (asked[0], asked[-1]) == (2, 1)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@pytest.mark.parametrize(
    ("before", "after", "fits"),
    [
        ((20, 10), (60, 10), 0.4),
        ((60, 10), (20, 10), 1.0),
        ((60, 10), (60, 20), 0.25),
        ((60, 20), (60, 10), 0.4),
        ((90, 45), (60, 10), 0.4),
    ],
)
def test_two_seconds_after_a_step_in_load_a_budget_has_settled_and_swings_no_more(
    before: tuple[float, float], after: tuple[float, float], fits: float, score: Callable[[int], float | None]
) -> None:
    step_s = 8.0
    rows = simulate(
        "budget:30ms", 16, lambda s: (before if s < step_s else after)[0], lambda s: (before if s < step_s else after)[1], score
    )
    for start_s in range(10, 16):
        assert share(rows, start_s, start_s + 1) == pytest.approx(fits, abs=0.08)
        assert mean_ms(rows, start_s, start_s + 1) <= 33
    ages = [age for now_s, _, _, age in rows if now_s >= 10]
    assert max(ages) <= 2 / fits


def test_where_nothing_fits_only_the_largest_age_makes_key_frames() -> None:
    rows = simulate("budget:30ms,max_age=12", 10, lambda s: 90, lambda s: 40, lambda age: 1.0)
    keys = [i for i, (_, key, _, _) in enumerate(rows) if key]
    assert {b - a for a, b in pairwise(keys)} == {12}


def test_a_budget_says_what_is_saved_and_spends_it_as_soon_as_it_is_enough() -> None:
    decide = parse_schedule("budget:20ms").decide
    said = [decide(view(last_ms=10, key_ms=45, other_ms=10)) for _ in range(3)]
    assert [(one.run_high, one.reason, one.text) for one in said] == [
        (False, "budget", "10 ms saved of 25"), (False, "budget", "20 ms saved of 25"), (True, "budget", "30 ms saved of 25"),
    ]  # fmt: skip
    fits = decide(view(last_ms=10, key_ms=20, other_ms=10))
    assert (fits.run_high, fits.reason, fits.text) == (True, "budget", "fits into 20 ms")
    just = parse_schedule("budget:20ms").decide(view(last_ms=10, key_ms=30, other_ms=10))
    assert (just.run_high, just.text) == (True, "10 ms saved of 10")


def test_a_budgets_price_falls_from_dear_to_nothing_with_what_is_saved() -> None:
    decide, thresholds = parse_schedule("budget:20ms").decide, []
    for _ in range(12):
        decision = decide(view(score=0.0, last_ms=10, key_ms=60, other_ms=10))
        thresholds.append(decision.threshold)
        assert decision.reason == "budget"
    assert thresholds[:3] == [None] * 3  # less is saved than one costs more than the target
    assert thresholds[3:] == pytest.approx([0.25, 0.25 * 5 / 6, 0.25 * 4 / 6, 0.25 * 3 / 6, 0.25 * 2 / 6, 0.25 / 6, 0, 0, 0])
    assert not decision.run_high  # nothing has changed


def test_within_the_target_every_frame_is_a_key_frame() -> None:
    rows = simulate("budget:30fps", 5, lambda s: 25, lambda s: 10, lambda age: 0.0)
    assert all(key for _, key, _, _ in rows)


def test_a_budget_spends_on_the_frames_that_need_it() -> None:
    """Half of the time the scene moves ten times as fast; both halves together keep the mean."""
    quick = lambda s: int(s / 0.5) % 2 == 1  # noqa: E731
    schedule, now_s, at, last, keys = parse_schedule("budget:20ms"), 0.0, 0, {True: 60.0, False: 10.0}, {True: 0, False: 0}
    run_high = True
    for index in range(1, 900):
        now_s = index / FPS
        score = (0.1 if quick(now_s) else 0.01) * (index - at)
        run_high = schedule.decide(View(index, index - at, score, 0.0, last[run_high], 60.0, 10.0, index - at)).run_high
        keys[quick(now_s)] += run_high
        at = index if run_high else at
    assert keys[True] > 1.2 * keys[False]
    assert sum(keys.values()) / 900 == pytest.approx(0.2, rel=0.1)


times = st.floats(0.1, 500)


@given(
    text=st.sampled_from(["clockwork:adaptive=0.3,max_age=7", "keyframe:0.3,max_age=7", "budget:30ms,max_age=7", "budget:15fps,max_age=7"]),
    frames=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), times, times), min_size=1, max_size=120),
    scored=st.booleans(),
)
def test_the_age_never_exceeds_the_largest(text: str, frames: list[tuple[float, float, float, float]], scored: bool) -> None:
    schedule, age, last_ms = parse_schedule(text), 0, 10.0
    for score, changed, key_ms, other_ms in frames:
        age += 1
        given_score = score if scored or schedule.needs_score else None
        decision = schedule.decide(View(0, age, given_score, changed, last_ms, key_ms, other_ms, age))
        age, last_ms = (0, key_ms) if decision.run_high else (age, other_ms)
        assert age < 7
