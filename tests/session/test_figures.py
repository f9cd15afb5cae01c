"""The benchmark's figures against frames whose times are known."""

from dataclasses import replace

import numpy as np
import pytest

from drive_seg.contracts import TIMED, Decision, Frame, Result
from drive_seg.session.figures import Figures, Latencies, Numbers, Rolling, percentiles


def result(index: int, total_ms: float, is_key: bool, dropped: int = 0, cold: bool = False) -> Result:
    frame = Frame(np.zeros((2, 2, 3), np.uint8), index, index / 30)
    ms = {"decode": 1.0, "low": 2.0, "total": total_ms} | ({"high": total_ms - 2} if is_key else {})
    return Result(frame, np.zeros((1, 1), np.uint8), None, Decision(is_key, "clock", ""), 0, 0.0, cold=cold, latency_ms=ms, dropped=dropped)


def test_figures_leave_the_warmup_out() -> None:
    latencies = Latencies(warmup=2)
    for i, ms in enumerate([500.0, 400.0, *range(1, 101)]):
        latencies.add(result(i, ms, is_key=i % 4 == 0, dropped=i // 10), now_s=i * 0.1)
    summary = latencies.summary()
    assert (summary["frames"], summary["warmup"]) == (100, 2)
    assert summary["fps"] == pytest.approx(10)
    assert summary["key_frame_rate"] == pytest.approx(0.25)
    assert summary["dropped"] == 10
    total = summary["latency_ms"]["total"]  # type: ignore[index]
    assert total == {
        "p50": 50.5, "p90": pytest.approx(90.1), "p95": pytest.approx(95.05), "p99": pytest.approx(99.01), "p99.9": None, "max": 100,
        "mean": 50.5,
    }  # fmt: skip


def test_every_stage_is_listed_and_one_that_never_ran_has_no_numbers() -> None:
    latencies = Latencies(warmup=0)
    latencies.add(result(0, 5.0, is_key=False), now_s=1.0)
    rows = latencies.summary()["latency_ms"]
    assert list(rows) == ["total", *TIMED]  # type: ignore[call-overload]
    assert rows["high"] == dict.fromkeys(("p50", "p90", "p95", "p99", "p99.9", "max", "mean"))  # type: ignore[index]


def test_key_frames_others_and_cold_ones_are_counted_apart() -> None:
    latencies = Latencies(warmup=0)
    for i, (ms, is_key, cold) in enumerate([(90.0, True, True), (30.0, True, False), (10.0, False, False), (14.0, False, False)]):
        latencies.add(result(i, ms, is_key, cold=cold), now_s=i * 0.1)
    kinds = latencies.summary()["total_ms"]
    assert {kind: (row["frames"], row["p50"]) for kind, row in kinds.items()} == {"key": (1, 30.0), "other": (2, 12.0), "cold": (1, 90.0)}  # type: ignore[attr-defined]


def test_no_frame_at_all_is_no_division_by_zero() -> None:
    summary = Latencies(warmup=5).summary()
    assert (summary["frames"], summary["fps"], summary["key_frame_rate"]) == (0, None, None)


def test_the_thousandth_needs_a_thousand_values() -> None:
    assert percentiles(range(999))["p99.9"] is None
    assert percentiles(range(1001))["p99.9"] == pytest.approx(999.0)  # 0..1000: a value's place is its size


def test_the_last_second_is_told_in_numbers_and_what_is_older_is_forgotten() -> None:
    rolling = Rolling(span_s=1.0)
    assert rolling.numbers(0.0) == Numbers()
    rolling.add(result(0, 99.0, is_key=True, cold=True), 0.0)
    for i, (ms, is_key, cold) in enumerate([(10.0, True, True), (20.0, False, False), (30.0, True, False), (40.0, False, False)], 1):
        rolling.add(replace(result(i, ms, is_key, cold=cold), age_frames=i - 1), i * 0.25)
    found = rolling.numbers(1.0)
    assert found == Numbers(
        count=4, fps=pytest.approx(3 / 0.75), p50_ms=25.0, p95_ms=pytest.approx(38.5), key_share=0.5, age_mean=1.5, age_max=3, cold=1,
        high_ms=18.0,
    )  # fmt: skip
    assert rolling.numbers(1.5) == Numbers(2, 4.0, 35.0, pytest.approx(39.5), 0.5, 2.5, 3, 0, 28.0)
    assert (rolling.numbers(1.8).count, rolling.numbers(1.8).fps, rolling.numbers(1.8).high_ms) == (1, 1.0, None)  # one in a second
    assert rolling.numbers(2.0) == Numbers()


def test_a_pipeline_and_its_comparison_are_counted_apart_and_what_differs_is_the_mean() -> None:
    figures, one = Figures(), result(0, 5.0, is_key=True)
    figures.add(one, None)
    figures.add(one, replace(one, latency_ms={"total": 7.0}))
    main, comparison = figures.numbers()
    assert (main.count, comparison.count, comparison.p50_ms, figures.differing()) == (2, 1, 7.0, None)
    figures.compare(one, replace(one, labels=np.ones((1, 1), np.uint8)))
    figures.compare(one, one)
    assert figures.differing() == 0.5
    figures.forget_comparison()
    assert (figures.numbers()[0].count, figures.numbers()[1], figures.differing()) == (2, Numbers(), None)


def test_a_rate_has_no_pause_in_it_and_begins_with_a_frames_own_work() -> None:
    latencies = Latencies()
    latencies.add(replace(result(0, 5.0, is_key=False), latency_ms={"decode": 1.0, "total": 5.0, "overlay": 4.0}), now_s=1.0)
    assert latencies.summary()["fps"] == pytest.approx(100)
    latencies.add(result(1, 5.0, is_key=False), now_s=1.09)
    assert latencies.summary()["fps"] == pytest.approx(20)
    latencies.stand()
    latencies.add(result(2, 9.0, is_key=False), now_s=500.0)  # 1 ms to decode, 9 to label
    assert latencies.summary()["fps"] == pytest.approx(3 / 0.11)
    assert Latencies(dropped_before=3).summary()["dropped"] == 0
