"""A frame's way on fake stages: whose context made the labels, what is cached, and who owns the buffers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Array, Frame, Image, Key, Labels, Result, Tensors
from drive_seg.errors import BundleError, UsageError
from drive_seg.network.card import Bundle, KeyInputCard
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.propagate import Hold, Propagation, make_propagation
from drive_seg.network.refresh import Delayed
from drive_seg.network.schedule import parse_schedule
from tests.fakes import FakeBackend, make_bundle, make_keyed_bundle, make_two_rate_bundle


def frame(index: int, value: int, size_hw: tuple[int, int] = (24, 32), segment: int = 0, time_s: float | None = None) -> Frame:
    return Frame(np.full((*size_hw, 3), value, np.uint8), index, index / 30 if time_s is None else time_s, segment=segment)


def play(tmp_path: Path, schedule: str, frames: list[Frame]) -> tuple[list[Result], FakeBackend]:
    backend = FakeBackend()
    with Engine(make_bundle(tmp_path / "net"), backend) as engine:
        pipeline = Pipeline(engine, parse_schedule(schedule))
        return [pipeline.step(one) for one in frames], backend


def contexts(results: list[Result]) -> list[int]:
    """The value of the frame whose context made each result's labels."""
    return [int(result.labels[0, 0]) for result in results]


@pytest.mark.parametrize("schedule", ["clockwork:4", "clockwork:1000"])
@pytest.mark.parametrize(("step", "fps"), [(36, 30.0), (1, 1 / 1.2)])  # of 36 frames one is computed; or no more come
def test_frames_that_are_far_apart_in_time_are_not_cold_for_ever(tmp_path: Path, schedule: str, step: int, fps: float) -> None:
    frames = [Frame(np.full((24, 32, 3), 100 + i, np.uint8), i * step, i * 1.2, period_s=1 / fps) for i in range(8)]
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        for mode in (None, Delayed(engine, 1, 1, "async:1")):
            pipeline = Pipeline(engine, parse_schedule(schedule), refresher=mode)
            results = [pipeline.step(one) for one in frames]
            assert [result.decision.reason for result in results if result.cold] == ["first"]


def test_every_frame_uses_its_own_context(tmp_path: Path) -> None:
    results, backend = play(tmp_path, "every-frame", [frame(i, 100 + i) for i in range(4)])
    assert contexts(results) == [100, 101, 102, 103]
    assert backend.calls("high") == 4
    assert all(result.is_key and result.age_frames == 0 for result in results)


def test_clockwork_holds_the_key_frames_context(tmp_path: Path) -> None:
    results, backend = play(tmp_path, "clockwork:3", [frame(i, 100 + i) for i in range(7)])
    assert contexts(results) == [100, 100, 100, 103, 103, 103, 106]
    assert [result.age_frames for result in results] == [0, 1, 2, 0, 1, 2, 0]
    assert [result.age_ms for result in results] == pytest.approx([age / 30 * 1e3 for age in (0, 1, 2, 0, 1, 2, 0)])
    assert [result.is_key for result in results] == [True, False, False, True, False, False, True]
    assert (backend.calls("low"), backend.calls("high"), backend.calls("head")) == (7, 3, 7)
    assert "high" not in results[1].latency_ms
    assert all(result.dropped == 0 for result in results)


def test_results_survive_the_stages_reusing_their_buffers(tmp_path: Path) -> None:
    results, _ = play(tmp_path, "every-frame", [frame(i, 100 + i) for i in range(3)])
    assert [int(result.labels.max()) for result in results] == [100, 101, 102]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (frame(1, 101, size_hw=(32, 24)), "size"),
        (frame(1, 101, segment=1), "jump"),
        (frame(1, 101, time_s=5.0), "gap"),
        (frame(1, 101, time_s=-1.0), "gap"),
        (frame(1, 5), "cut"),
    ],
)
def test_an_invalid_cache_is_refreshed_on_the_same_frame(tmp_path: Path, second: Frame, reason: str) -> None:
    results, _ = play(tmp_path, "clockwork:10", [frame(0, 100), second, frame(2, 102, (second.image.shape[0], second.image.shape[1]))])
    assert results[1].is_key
    assert results[1].decision.reason == reason
    assert results[1].cold
    assert contexts(results)[1] == second.image[0, 0, 0]


def test_a_new_size_is_fitted_and_the_old_stages_are_closed(tmp_path: Path) -> None:
    results, backend = play(tmp_path, "every-frame", [frame(0, 100), frame(1, 101, (24, 48)), frame(2, 102, (48, 96))])
    assert [len(backend.loaded[stage]) for stage in ("low", "high", "head")] == [2, 2, 2]  # 48x96 has the shape of 24x48
    assert all(stage.closed for stages in backend.loaded.values() for stage in stages)
    assert results[0].labels.shape == (12, 16)
    assert results[1].labels.shape[1] > results[1].labels.shape[0] * 1.8


def test_dropped_frames_count_into_the_age(tmp_path: Path) -> None:
    results, _ = play(tmp_path, "clockwork:4", [frame(i, 100) for i in (0, 3, 7)])
    assert [result.age_frames for result in results] == [0, 3, 0]


def test_the_overlay_is_painted_only_when_it_is_wanted_and_not_counted_as_latency(tmp_path: Path, now_s: list[float]) -> None:
    def take(ms: float) -> None:
        now_s[0] += ms / 1e3

    def paint(image: Image, labels: Labels) -> Image:
        take(100)
        return np.full_like(image, labels[0, 0])

    with Engine(make_bundle(tmp_path / "net"), FakeBackend(before_high=lambda: take(30))) as engine:
        bare, painted = (Pipeline(engine, parse_schedule("every-frame"), p).step(frame(0, 77)) for p in (None, paint))
    assert bare.overlay is None
    assert "overlay" not in bare.latency_ms
    assert painted.overlay is not None
    assert painted.overlay[0, 0, 0] == 77
    assert painted.latency_ms["overlay"] == pytest.approx(100)
    assert painted.total_ms == painted.latency_ms["high"] == pytest.approx(30)


def test_a_frame_says_what_was_done_when_and_where(tmp_path: Path) -> None:
    results, _ = play(tmp_path, "clockwork:2", [frame(i, 100 + i) for i in range(2)])
    way = ["preprocess", "low", "propagate", "head"]
    for result, deep in zip(results, (["high"], []), strict=True):
        assert [(span.name, span.track) for span in result.spans] == [
            ("decode", "capture"), *((name, "pipeline") for name in way + deep),
        ]  # fmt: skip
        assert set(result.latency_ms) == {"decode", *way, *deep, "total"}
        done = [span for span in result.spans if span.track == "pipeline"]
        assert sum(span.ms for span in done) <= result.total_ms
        assert sorted(done, key=lambda span: span.start_s) == [*done[:2], *done[4:], *done[2:4]]


def test_where_a_frame_was_decoded_is_told(tmp_path: Path) -> None:
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        result = Pipeline(engine, parse_schedule("every-frame")).step(replace(frame(0, 100), decoded_s=2.0, decode_ms=4.0), dropped=3)
    assert (result.spans[0].start_s, result.spans[0].ms, result.dropped) == (pytest.approx(1.996), 4.0, 3)


def keyed(tmp_path: Path, propagation: str, blues: list[int], schedule: str = "clockwork:3") -> tuple[list[Result], FakeBackend]:
    backend = FakeBackend()
    with Engine(make_keyed_bundle(tmp_path / "net"), backend, propagation) as engine:
        pipeline = Pipeline(engine, parse_schedule(schedule), propagation=make_propagation(propagation))
        return [pipeline.step(frame(i, blue)) for i, blue in enumerate(blues)], backend


def test_low_scores_against_the_tensors_of_the_key_frame_and_not_those_of_the_last(tmp_path: Path) -> None:
    results, _ = keyed(tmp_path, "hold", [100, 110, 115, 124, 125, 140], "keyframe:.2")
    assert [result.decision.score for result in results] == [None, *(pytest.approx(x) for x in (0.1, 0.15, 0.24, 0.01, 0.16))]
    assert [result.is_key for result in results] == [True, False, False, True, False, False]


def test_without_a_key_frame_low_is_fed_nothing_and_a_new_size_forgets_it(tmp_path: Path) -> None:
    seen: list[float] = []
    backend = FakeBackend()
    with Engine(make_keyed_bundle(tmp_path / "net"), backend) as engine:
        pipeline = Pipeline(engine, parse_schedule("clockwork:9"))
        for i, size_hw in enumerate([(24, 32), (24, 32), (32, 24), (32, 24)]):
            pipeline.step(frame(i, 80, size_hw))
            seen.append(float(backend.loaded["low"][-1]._outputs["score"][0, 0]))
    assert seen == pytest.approx([0.8, 0, 0.8, 0])


def test_a_propagation_of_the_networks_own_gets_the_key_frames_tensors_and_this_frames(tmp_path: Path) -> None:
    results, backend = keyed(tmp_path, "attend", [100, 110, 120, 125, 130])
    assert contexts(results) == [100, 100, 100, 125, 125]  # FakeBackend's attend shows the key's own tensors
    assert (backend.calls("attend"), backend.calls("head")) == (3, 2)  # a key frame has the bundle's own head
    assert {spec.name for spec in backend.loaded["attend"][0].inputs} == {"key_detail", "detail", "context"}


@pytest.mark.parametrize(("propagation", "said"), [("drift", "hold, flow, attend"), ("", "hold, flow, attend")])
def test_a_propagation_that_the_bundle_lacks_is_refused_with_those_it_has(tmp_path: Path, propagation: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Engine(make_keyed_bundle(tmp_path / "net"), FakeBackend(), propagation)


def test_a_card_whose_key_tensors_have_another_shape_is_refused(tmp_path: Path) -> None:
    card = make_keyed_bundle(tmp_path / "net").card
    wrong = card.model_copy(update={"key_inputs": {"key_detail": KeyInputCard(channels=1, stride=4)}})
    with Engine(Bundle(tmp_path / "net", wrong), FakeBackend()) as engine, pytest.raises(BundleError, match="key_detail"):
        engine.fit((24, 32))


def test_a_schedule_by_score_needs_a_network_with_one(tmp_path: Path) -> None:
    with (
        Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine,
        pytest.raises(UsageError, match=r"keyframe:\.1: net puts out no score"),
    ):
        Pipeline(engine, parse_schedule("keyframe:.1"))


def test_adaptive_clockwork_compares_what_was_shown(tmp_path: Path) -> None:
    """With the context held the fake's labels never change; only the largest age makes key frames."""
    results, _ = play(tmp_path, "clockwork:adaptive=.5,max_age=3", [frame(i, 100 + i) for i in range(7)])
    assert [result.decision.reason for result in results] == ["first", "change", "change", "age", "change", "change", "age"]
    assert [result.decision.score for result in results] == [None, 0, 0, None, 0, 0, None]


def two_rates(
    tmp_path: Path, schedule: str, frames: list[Frame], propagation: Propagation | None = None
) -> tuple[list[Result], FakeBackend]:
    backend = FakeBackend()
    with Engine(make_two_rate_bundle(tmp_path / "net"), backend) as engine:
        pipeline = Pipeline(engine, parse_schedule(schedule), propagation=propagation)
        return [pipeline.step(one) for one in frames], backend


def parts(results: list[Result]) -> tuple[list[int], list[int]]:
    """The values of the frames that the deepest stage's part of each context was made from, and mid's."""
    return contexts(results), [int(result.labels[-1, 0]) for result in results]


def test_where_mid_alone_is_due_its_part_of_the_context_is_replaced_and_no_other(tmp_path: Path) -> None:
    results, backend = two_rates(tmp_path, "clockwork:1,2,4", [frame(i, 100 + i) for i in range(9)])
    assert parts(results) == ([100, 100, 100, 100, 104, 104, 104, 104, 108], [100, 100, 102, 102, 104, 104, 106, 106, 108])
    assert [backend.calls(stage) for stage in ("low", "mid", "high", "head")] == [9, 5, 3, 9]
    assert [result.is_key for result in results] == [i % 4 == 0 for i in range(9)]
    assert [result.age_frames for result in results] == [0, 1, 2, 3, 0, 1, 2, 3, 0]  # of the oldest part
    for i, result in enumerate(results):
        assert ("mid" in result.latency_ms, "high" in result.latency_ms) == (i % 2 == 0, i % 4 == 0)
        assert (result.high_ms is None) == (i % 4 != 0)
    assert results[0].high_ms == pytest.approx(results[0].latency_ms["mid"] + results[0].latency_ms["high"])


@pytest.mark.parametrize("schedule", ["every-frame", "clockwork:1", "clockwork:1,1,1"])
def test_a_key_frame_refreshes_both_stages(tmp_path: Path, schedule: str) -> None:
    results, backend = two_rates(tmp_path, schedule, [frame(i, 100 + i) for i in range(4)])
    assert parts(results) == ([100, 101, 102, 103], [100, 101, 102, 103])
    assert (backend.calls("mid"), backend.calls("high")) == (4, 4)


def test_a_scene_cut_refreshes_both_stages_whatever_is_due(tmp_path: Path) -> None:
    results, _ = two_rates(tmp_path, "clockwork:1,2,4", [frame(i, 100 if i < 3 else 10) for i in range(6)])
    assert parts(results) == ([100, 100, 100, 10, 10, 10], [100, 100, 100, 10, 10, 10])
    assert [result.decision.reason for result in results] == ["first", "clock", "clock", "cut", "clock", "clock"]
    assert [result.decision.run_mid for result in results] == [False, False, True, False, False, True]


def test_the_cache_has_copies_of_its_own_and_not_what_only_high_reads(tmp_path: Path) -> None:
    backend = FakeBackend()
    with Engine(make_two_rate_bundle(tmp_path / "net"), backend) as engine:
        pipeline = Pipeline(engine, parse_schedule("clockwork:1,2,4"))
        for i in range(3):
            pipeline.step(frame(i, 100 + i))
        key = pipeline._cache.in_use()
        assert [(part.index, set(part.context)) for part in key.parts] == [(0, {"context"}), (2, {"part"})]
        for part in key.parts:
            for tensor in part.context.values():
                for stage in ("low", "mid", "high"):
                    assert not any(np.shares_memory(tensor, mine) for mine in backend.loaded[stage][0]._outputs.values())


class Moving(Hold):
    """Adds to a context what the picture's blue has gained since that context's frame."""

    def see(self, image: Image) -> Array:
        return np.array(image[..., 0].mean())

    def propagate(self, key: Key, seen: Array | None) -> Tensors:
        assert key.seen is not None
        assert seen is not None
        return {name: tensor + (seen - key.seen) for name, tensor in key.context.items()}


def test_adaptive_clockwork_sees_what_the_propagation_moves(tmp_path: Path) -> None:
    values = [100, 100, 103, 104, 104, 104]
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        pipeline = Pipeline(engine, parse_schedule("clockwork:adaptive=.5"), propagation=Moving())
        results = [pipeline.step(frame(i, value)) for i, value in enumerate(values)]
    assert contexts(results) == values
    assert [result.decision.score for result in results] == [None, 0, 0, 1, 0, 0]
    assert [result.is_key for result in results] == [True, False, False, True, False, False]


def test_each_part_of_the_context_is_brought_from_the_frame_that_it_was_made_of(tmp_path: Path) -> None:
    values = [100, 103, 107, 112, 118, 125, 133]
    results, _ = two_rates(tmp_path, "clockwork:1,2,4", [frame(i, value) for i, value in enumerate(values)], Moving())
    assert parts(results) == (values, values)


@pytest.mark.parametrize(
    ("make", "schedule", "said"),
    [
        (make_bundle, "clockwork:1,2,4", "net has one cached stage: clockwork:1,N, that is clockwork:N"),
        (make_bundle, "clockwork:1,2,4,8", "net has one cached stage"),
        (make_two_rate_bundle, "clockwork:1,4", "net has two cached stages: clockwork:1,M,N"),
        (make_two_rate_bundle, "clockwork:1,2,4,8", "net has two cached stages"),
    ],
)
def test_a_schedule_with_as_many_rates_as_the_bundle_has_not_is_refused(
    tmp_path: Path, make: Callable[[Path], Bundle], schedule: str, said: str
) -> None:
    with Engine(make(tmp_path / "net"), FakeBackend()) as engine, pytest.raises(UsageError, match=f"--schedule {schedule}: {said}"):
        Pipeline(engine, parse_schedule(schedule))


def test_one_cached_stage_with_a_rate_of_its_own_is_plain_clockwork(tmp_path: Path) -> None:
    frames = [frame(i, 100 + i) for i in range(7)]
    alone, plain = play(tmp_path / "a", "clockwork:1,3", frames)[0], play(tmp_path / "b", "clockwork:3", frames)[0]
    assert contexts(alone) == contexts(plain) == [100, 100, 100, 103, 103, 103, 106]


def test_a_refresh_that_is_asked_for_is_made_once(tmp_path: Path) -> None:
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        pipeline = Pipeline(engine, parse_schedule("clockwork:1000"))
        results = [pipeline.step(frame(i, 100 + i)) for i in range(3)]
        pipeline.refresh()
        results += [pipeline.step(frame(i, 100 + i)) for i in range(3, 6)]
    assert [result.decision.reason for result in results] == ["first", "clock", "clock", "manual", "clock", "clock"]
    assert contexts(results) == [100, 100, 100, 103, 103, 103]


def test_a_refresh_that_is_asked_for_waits_for_the_one_under_way(tmp_path: Path) -> None:
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        pipeline = Pipeline(engine, parse_schedule("clockwork:1000"), refresher=Delayed(engine, 2, 1, "async:2"))
        results = [pipeline.step(frame(0, 100))]
        for i in range(1, 7):
            if i < 3:
                pipeline.refresh()
            results.append(pipeline.step(frame(i, 100 + i)))
    assert [result.decision.reason for result in results] == ["first", "manual", "busy", "manual", "clock", "clock", "clock"]
    assert contexts(results) == [100, 100, 100, 101, 101, 103, 103]


def test_a_refresh_that_is_asked_for_says_what_the_schedule_saw(tmp_path: Path) -> None:
    with Engine(make_keyed_bundle(tmp_path / "net"), FakeBackend()) as engine:
        pipeline = Pipeline(engine, parse_schedule("keyframe:.2"), refresher=Delayed(engine, 2, 1, "async:2"))
        pipeline.step(frame(0, 100))
        pipeline.refresh()
        asked = pipeline.step(frame(1, 105)).decision
        busy = pipeline.step(frame(2, 150)).decision
    assert (asked.run_high, asked.reason, asked.text) == (True, "manual", "asked for")
    assert (busy.run_high, busy.reason, busy.text) == (False, "busy", "a refresh is under way")
    assert (asked.score, asked.threshold, busy.score, busy.threshold) == (pytest.approx(0.05), 0.2, pytest.approx(0.5), 0.2)


def test_a_refresh_is_not_made_twice_where_the_frame_needs_its_own_key_anyway(tmp_path: Path) -> None:
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        pipeline = Pipeline(engine, parse_schedule("clockwork:1000"))
        pipeline.refresh()
        results = [pipeline.step(frame(i, 100 + i)) for i in range(3)]
    assert [result.decision.reason for result in results] == ["first", "clock", "clock"]


def test_a_context_older_than_was_asked_for_is_said_while_its_successor_is_made(tmp_path: Path) -> None:
    with Engine(make_bundle(tmp_path / "net"), FakeBackend()) as engine:
        schedule = parse_schedule("clockwork:adaptive=0.9,max_age=2")
        pipeline = Pipeline(engine, schedule, refresher=Delayed(engine, 3, 1, "async:3"))
        decisions = [pipeline.step(frame(i, 100)).decision for i in range(5)]
    assert [(one.reason, one.text) for one in decisions[2:]] == [
        ("age", "age 2 of 2"),
        ("busy", "a refresh is under way, age 3 of 2"),
        ("busy", "a refresh is under way, age 4 of 2"),
    ]
