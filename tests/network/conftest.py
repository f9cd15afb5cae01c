"""The clock by which a frame's way is timed, in the tests' hands."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its one entry is what it shows: it stands still unless a test moves it."""
    shown = [0.0]
    for module in ("pipeline", "refresh"):
        monkeypatch.setattr(f"drive_seg.network.{module}.time", SimpleNamespace(perf_counter=lambda: shown[0]))
    return shown
