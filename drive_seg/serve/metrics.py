"""The run for Prometheus: counted from its first frame on, whether anybody asks or not."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric

from drive_seg.contracts import Result
from drive_seg.session.observer import Observer
from drive_seg.session.player import Player

BUCKETS_S = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics(Observer):
    """Counts in the session's thread; may be asked by any."""

    def __init__(self, player: Player, watched: Callable[[], tuple[int, int]]) -> None:
        """`watched`: how many watch at the moment, and how many pictures those who watch were too slow for so far."""
        self._player, self._watched = player, watched
        self._registry = CollectorRegistry()
        self._latency = Histogram(
            "drive_seg_frame_latency_seconds", "from a frame to its labels", (), registry=self._registry,
            buckets=BUCKETS_S,
        )  # fmt: skip
        self._frames = Counter("drive_seg_frames", "frames that were labelled", (), registry=self._registry)
        self._keys = Counter("drive_seg_key_frames", "frames on which the deep stage ran, or was begun", (), registry=self._registry)
        self._registry.register(self)

    def on_result(self, result: Result, comparison: Result | None) -> None:
        self._latency.observe(result.total_ms / 1e3)
        self._frames.inc()
        self._keys.inc(result.is_key)

    def collect(self) -> Iterator[Metric]:
        """What is counted elsewhere: called when it is asked for."""
        status, (viewers, missed) = self._player.status(), self._watched()
        yield CounterMetricFamily("drive_seg_dropped_frames", "frames of the source that were overtaken by newer ones", status.dropped)
        yield GaugeMetricFamily("drive_seg_feature_age_frames", "mean age of the features in the last second", status.numbers.age_mean)
        yield GaugeMetricFamily("drive_seg_viewers", "pages that are open", viewers)
        yield CounterMetricFamily("drive_seg_viewer_missed_frames", "frames that open pages were too slow for", missed)

    def text(self) -> bytes:
        """As Prometheus reads it."""
        text: bytes = generate_latest(self._registry)
        return text
