"""Labels against the full network's: which frames are taken, in which thread, and what is said of each age."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Network
from drive_seg.errors import BackendError
from drive_seg.network.engine import Engine
from drive_seg.session.audit import Auditor
from tests.fakes import FakeBackend, make_bundle, make_result
from tests.waiting import PATIENCE_S, until


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def until_frames(auditor: Auditor, count: int) -> None:
    until(lambda: sum(one.frames for one in auditor.agreement()) >= count)


def opener(folder: Path, backend: FakeBackend) -> Network:
    return Engine(make_bundle(folder / "net"), backend)


def test_agreement_is_the_share_of_labels_that_the_full_network_gives_too(tmp_path: Path) -> None:
    """The stand-in labels a grey picture of 100 with 100 everywhere."""
    backend, labels = FakeBackend(), np.full((12, 16), 100, np.uint8)
    auditor = Auditor(lambda: opener(tmp_path, backend), (48, 64))
    auditor.wait(PATIENCE_S)
    auditor.on_result(make_result(0, labels=labels))
    until_frames(auditor, 1)
    auditor.wait(PATIENCE_S)
    labels = labels.copy()
    labels[:3] = 1
    auditor.on_result(make_result(1, labels=labels, age=1))
    until_frames(auditor, 2)
    auditor.close()
    auditor.close()
    assert [(one.age, one.frames, one.share) for one in auditor.agreement()] == [(0, 1, 1.0), (1, 1, 0.75)]
    assert all(stage.closed for stages in backend.loaded.values() for stage in stages)


def test_frames_are_left_alone_while_one_is_audited_and_an_offer_never_waits(tmp_path: Path) -> None:
    go, threads = threading.Event(), set[str]()

    def hold() -> None:
        threads.add(threading.current_thread().name)
        go.wait(PATIENCE_S)

    auditor = Auditor(lambda: opener(tmp_path, FakeBackend(before_high=hold)), (48, 64))
    auditor.wait(PATIENCE_S)
    for index in range(100):
        auditor.on_result(make_result(index))
    assert auditor.agreement() == ()  # all were offered before the first was done
    go.set()
    auditor.close()
    assert [(one.age, one.frames) for one in auditor.agreement()] == [(0, 1)]
    assert threads == {"audit"}


def test_every_age_gets_its_share_though_a_clock_brings_the_same_one_at_every_good_moment(tmp_path: Path) -> None:
    auditor = Auditor(lambda: opener(tmp_path, FakeBackend()), (48, 64))
    for index in range(30):
        for age in (0, 1, 2):
            auditor.wait(PATIENCE_S)  # idle at age 0, always
            auditor.on_result(make_result(3 * index + age, age=age))
            if age == 0:
                time.sleep(0.01)
    auditor.close()
    frames = [one.frames for one in auditor.agreement()]
    assert len(frames) == 3
    assert min(frames) >= max(frames) - 2


def test_what_broke_the_audit_is_raised_by_the_next_offer() -> None:
    def refuse() -> Network:
        raise BackendError("no memory; close other programs")

    auditor = Auditor(refuse, (48, 64))
    with pytest.raises(BackendError, match="no memory; close other programs"):
        auditor.wait(PATIENCE_S)
    with pytest.raises(BackendError, match="no memory"):
        auditor.on_result(make_result())
    auditor.close()
    assert auditor.agreement() == ()
