"""Who does the work: processes of this machine, by the standard library, or actors of Ray, on this machine or a cluster.

Either is given one job at a time and answers with a Future; one that ends under way is started again, and what it was given is lost.
"""

import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import active_children, get_context, parent_process, util
from typing import Any, Protocol

from drive_seg.backends.validation import one_line, thread_count
from drive_seg.errors import UsageError
from drive_seg.fleet.labelling import Labeller, Order
from drive_seg.watchdog import Aside
from drive_seg.workers import Worker as Thread

LOCAL, NONE = "local", "none"  # what --ray takes beside an address
ANSWER_S, CLUSTER_S = 5.0, 120.0  # of a port, and of the Ray behind it
STORE_BYTES = 80 << 20  # of Ray's memory for objects, of which none is large here: its least
INSTALL = "pip install 'drive-seg[fleet]'"


class Worker(Protocol):
    def do(self, job: str, *args: Any) -> Future[Any]:
        """What Labeller.do returns, or an exception of any kind where the worker has ended or broken."""

    def again(self) -> None:
        """Starts it anew."""

    def close(self) -> None:
        """Does not wait."""


_labeller: Labeller | None = None  # of this process


def _start(order: Order) -> None:
    global _labeller
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C comes to all: what is under way is finished
    Thread("parent", _end_with_the_parent).start()
    _labeller = Labeller(order)


def _end_with_the_parent() -> None:
    """One that is killed says nothing, and an idle process would wait for work for ever."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _do(job: str, *args: Any) -> Any:
    assert _labeller is not None
    return _labeller.do(job, *args)


class Process:
    """Spawned, as OpenVINO and others have threads that a fork would lose."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._executor = self._made()

    def _made(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, get_context("spawn"), _start, (self._order,))

    def do(self, job: str, *args: Any) -> Future[Any]:
        try:
            return self._executor.submit(_do, job, *args)
        except RuntimeError as error:  # it has ended since
            lost: Future[Any] = Future()
            lost.set_exception(error)
            return lost

    def again(self) -> None:
        self.close()
        self._executor = self._made()

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


def end_at_once() -> None:
    """Before this process ends without a word to anybody: its workers end, and the semaphores that they share with it are removed, which
    multiprocessing's own process does with a warning else. Of any thread."""
    util._run_finalizers(0)  # type: ignore[attr-defined]
    for process in active_children():
        process.kill()


class Actor:
    """Ray places it, and starts it again elsewhere when its process or machine ends."""

    def __init__(self, order: Order, ray: Any, cpus: int, gpus: int) -> None:
        made = ray.remote(Labeller).options(num_cpus=cpus, num_gpus=gpus, max_restarts=-1, max_task_retries=0)
        self._ray, self._actor = ray, made.remote(order)

    def do(self, job: str, *args: Any) -> Future[Any]:
        # To begin it may have to be placed elsewhere first, which is waited for; other work somebody else does meanwhile.
        retries = -1 if job == "begin" else 0
        asked: Future[Any] = self._actor.do.options(max_task_retries=retries).remote(job, *args).future()
        return asked

    def again(self) -> None:
        pass

    def close(self) -> None:
        self._ray.kill(self._actor)


@dataclass(frozen=True, slots=True)
class Crew:
    workers: tuple[Worker, ...]
    note: str  # who they are, in one line


@contextmanager
def hired(order: Order, count: int | None, where: str | None) -> Iterator[Crew]:
    """Workers, ended with the context. `count`: by default as many as there are cores for; `where`: LOCAL, NONE or a cluster's address.

    Without it Ray works on this machine if it is installed. Raises UsageError for an address at which no cluster answers.
    """
    if where not in (None, NONE) and not find_spec("ray"):
        raise UsageError(f"--ray {where}: Ray is not installed; {INSTALL}, or leave the flag out")
    threads = order.settings.threads or 1
    with ExitStack() as stack:
        if where == NONE or not find_spec("ray"):
            workers: list[Worker] = [Process(order) for _ in range(count or _fitting(thread_count(None), threads))]
            absent = "" if where == NONE else f"; Ray, which also does it on many machines, is not installed ({INSTALL})"
            note = f"{_many(len(workers), 'process')} of {_many(threads, 'thread')}{absent}"
        else:
            ray = stack.enter_context(_connected(where or LOCAL, threads * (count or _fitting(thread_count(None), threads))))
            cores = int(ray.cluster_resources().get("CPU", 0))
            gpus = int((order.settings.device or "").lower().startswith("cuda") or order.settings.backend == "tensorrt")
            workers = [Actor(order, ray, threads, gpus) for _ in range(count or _fitting(cores, threads))]
            nodes = sum(node["Alive"] for node in ray.nodes())
            note = f"{_many(len(workers), 'actor')} of Ray with {_many(threads, 'thread')}, on {_many(nodes, 'node')}"
        for worker in workers:
            stack.callback(worker.close)
        yield Crew(tuple(workers), note)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{('es' if what.endswith('s') else 's') * (count != 1)}"


def _fitting(cores: int, threads: int) -> int:
    return max(1, cores // threads)


@contextmanager
def _connected(where: str, cores: int) -> Iterator[Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else Ray tells its makers of every cluster
    # Nobody else may use it, and unasked Ray keeps a token in the user's home. It looks at these when it is imported.
    if where == LOCAL and "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    here: dict[str, Any] = {
        "num_cpus": cores,
        "object_store_memory": STORE_BYTES,
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
    }
    host, _, port = where.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():  # which Ray would try for minutes
            socket.create_connection((host, int(port)), ANSWER_S).close()
        if where == LOCAL:
            ray.init(where, **quiet, **here)
        else:  # what is there may be no Ray at all, for whose answer that waits for ever
            with Aside("connect to Ray", lambda text: ConnectionError(text), CLUSTER_S) as aside:
                aside(lambda: ray.init(where, **quiet), "its answer")
    except (OSError, OverflowError, RuntimeError, ValueError, ImportError) as error:
        remedy = "give the HOST:PORT that `ray start --head` has told, or none for processes without Ray"
        raise UsageError(f"--ray {where}: no cluster answers there ({one_line(error)}); {remedy}") from error
    with redirect_stdout(sys.stderr):  # its warnings of machines that are gone, the last of them at the end
        try:
            yield ray
        finally:
            ray.shutdown()
