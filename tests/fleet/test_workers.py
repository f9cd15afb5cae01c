"""Processes that are killed: what they were given is lost and told, and they begin anew."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from drive_seg import __version__
from drive_seg.errors import UsageError
from drive_seg.fleet import workers
from drive_seg.fleet.batch import Batch
from drive_seg.fleet.drives import find_drives
from drive_seg.fleet.labelling import Order
from drive_seg.fleet.records import Records
from drive_seg.fleet.workers import LOCAL, NONE, Process, hired
from drive_seg.settings import Settings
from tests.fleet.conftest import single, write_drive
from tests.fleet.test_labelling import bytes_of
from tests.waiting import PATIENCE_S, until


@pytest.fixture
def tiny_order(tiny: tuple[str, ...], tmp_path: Path) -> Order:
    given = dict(zip((flag.lstrip("-").replace("-", "_") for flag in tiny[::2]), tiny[1::2], strict=True))
    Records(tmp_path / "out").make()
    return Order(Settings.load(None, {**given, "threads": 1, "schedule": "clockwork:4"}), tmp_path / "out", ("masks",), 1.0)


def test_a_process_that_is_killed_begins_anew(tiny_order: Order) -> None:
    with ExitStack() as stack:
        process = Process(tiny_order)
        stack.callback(process.close)
        begun = process.do("begin", __version__, {}).result(PATIENCE_S)
        assert begun["backend"] == "openvino"
        (child,) = (one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline()))
        child.kill()
        until(lambda: process.do("survey", None).exception(PATIENCE_S))
        lost: Future[Any] = process.do("survey", None)
        assert lost.exception(PATIENCE_S)
        process.again()
        assert process.do("begin", __version__, begun).result(PATIENCE_S) == begun


def test_without_ray_it_is_said_once_how_to_get_it(tiny_order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    with hired(tiny_order, 2, None) as crew:
        assert len(crew.workers) == 2
        assert "pip install 'drive-seg[fleet]'" in crew.note
    with hired(tiny_order, 1, NONE) as crew:
        assert crew.note == "1 process of 1 thread"
    with pytest.raises(UsageError, match=r"--ray 10\.0\.0\.1:6379: Ray is not installed"), hired(tiny_order, 2, "10.0.0.1:6379"):
        pass


@pytest.fixture(autouse=True, scope="module")
def _ray_of_the_tests() -> Iterator[None]:
    """It looks at these once, when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"USAGE_STATS_ENABLED": "0", "AUTH_MODE": "token", "AUTH_TOKEN": "0123456789abcdef" * 4}.items():
            patch.setenv(f"RAY_{name}", value)
        yield


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Of one node with one core, to which others can be added; all of them processes of this machine."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": workers.STORE_BYTES})
    yield made
    made.shutdown()


def run(order: Order, drives: Path, where: str, happened: Callable[[dict[str, Any]], None]) -> list[dict[str, Any]]:
    told = list[dict[str, Any]]()

    def tell(event: dict[str, Any]) -> None:
        told.append(event)
        happened(event)

    with hired(order, 2, where) as crew:
        assert Batch(find_drives([str(drives)], order.out), order, crew.workers, {}, tell).run()
    return told


def assert_each_once(order: Order, drives: Path, told: list[dict[str, Any]], into: Path) -> None:
    into.mkdir()
    for path in drives.glob("*.mp4"):
        assert bytes_of(order.out / path.stem / "masks") == bytes_of(single(order, path, into / path.stem) / "masks")
    pieces = [(event["drive"], event["start"], event["key"]) for event in told if event["event"] == "piece"]
    assert len(pieces) == len(set(pieces))


@pytest.fixture
def long_drives(tmp_path: Path) -> Path:
    for number in range(3):
        write_drive(tmp_path / "long" / f"{number}.mp4", 120)
    return tmp_path / "long"


@pytest.mark.slow
def test_ray_begins_an_actor_that_was_killed_anew(tiny_order: Order, long_drives: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    killed = list[str]()

    def kill_once(event: dict[str, Any]) -> None:
        if event["event"] == "piece" and not killed:
            killed.append(event["by"])
            os.kill(int(event["by"].partition(":")[2]), signal.SIGKILL)

    told = run(tiny_order, long_drives, LOCAL, kill_once)
    assert_each_once(tiny_order, long_drives, told, tmp_path / "single")
    assert killed


@pytest.mark.slow
def test_a_cluster_loses_a_node_and_nothing_else(tiny_order: Order, long_drives: Path, tmp_path: Path, cluster: Any) -> None:
    node, removed = cluster.add_node(num_cpus=1, object_store_memory=workers.STORE_BYTES), list[str]()
    cluster.wait_for_nodes()

    def kill_once(event: dict[str, Any]) -> None:
        if event["event"] == "piece" and not removed:
            removed.append(event["by"])
            cluster.remove_node(node, allow_graceful=False)

    told = run(tiny_order, long_drives, cluster.address, kill_once)
    assert_each_once(tiny_order, long_drives, told, tmp_path / "single")
    assert removed


@pytest.mark.slow
def test_where_no_cluster_answers_it_is_one_line(tiny_order: Order) -> None:
    pytest.importorskip("ray")
    for where in ("127.0.0.1:1", "nonsense", "127.0.0.1"):
        said = f"--ray {where}: no cluster answers there .*; give the HOST:PORT that"
        with pytest.raises(UsageError, match=said), hired(tiny_order, 2, where):
            pass
