"""Waiting for what other threads and processes do. How long it takes says nothing: the limit ends a test that would wait for ever."""

import time
from collections.abc import Callable

PATIENCE_S = 100.0  # of a machine that is slow and busy; a test that passes waits no longer than it has to
PATIENCE_MS = int(PATIENCE_S * 1e3)


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never came"
        time.sleep(0.002)
