"""The run of a batch: which work is next, who gets it, and what came of it."""

import itertools
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from drive_seg import __version__
from drive_seg.backends.validation import one_line
from drive_seg.errors import BackendError, DriveSegError, SinkError, UsageError
from drive_seg.files import expanded
from drive_seg.fleet.drives import Drive, Piece
from drive_seg.fleet.labelling import Order, Outcome
from drive_seg.fleet.records import Records, Survey
from drive_seg.fleet.workers import Worker
from drive_seg.network.card import CARD, locate, sha256
from drive_seg.network.foreign import is_onnx
from drive_seg.settings import FLAGS, NETWORK

TRIES = 3  # of a piece of work whose worker ends without a word
MADE_BY = (
    *(name for name, flag in FLAGS.items() if flag.group == NETWORK),
    "schedule",
    "mode",
    "propagation",
    "opacity",
    "save_masks_format",
)
Tell = Callable[[dict[str, Any]], None]


def agreed(records: Records, order: Order) -> dict[str, str]:
    """What the batch runs by on every machine, {} at its beginning. Raises UsageError where it was begun by other settings than these."""
    kept = records.settings()
    for name, now in asked(order).items():
        if kept and (then := kept["asked"].get(name)) != now:
            flag = f"--{name.replace('_', '-')}" if name in (*MADE_BY, "save") else name.replace("_", " ")
            raise UsageError(f"{order.out}: was begun with {flag} {_said(then)}, not {_said(now)}; give the same, or another --out")
    return dict(kept.get("pinned", {}))


def asked(order: Order) -> dict[str, Any]:
    """All that decides what the results are."""
    model = order.settings.model
    made_by = order.settings.model_dump(mode="json", include=set(MADE_BY))
    content = sha256(expanded(model) if is_onnx(model) else locate(model) / CARD)
    return {"version": __version__, **made_by, "content_of_the_model": content, "save": sorted(order.save)}


def _said(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else "unset" if value is None else str(value)


@dataclass(eq=False)
class Case:
    """A drive under way."""

    drive: Drive
    survey: Survey
    pieces: list[Piece]
    outcomes: dict[Piece, Outcome] = field(default_factory=dict)
    under_way: int = 0  # how many are
    error: str = ""  # for which there is nothing of the last piece

    def needs(self, piece: Piece) -> bool:
        """Whether a piece is to be labelled still: what comes after an error is not, as in a run of the whole file."""
        before = itertools.takewhile(lambda one: one != piece, self.pieces)
        return piece in self.pieces and not any(outcome.error for one in before if (outcome := self.outcomes.get(one)))

    def review(self) -> list[Piece]:
        """What has to be labelled once more: a piece that began with another key frame than the one before it ended with, as there was a
        scene cut meanwhile. Where that does not help, the whole drive in one piece."""
        for number in range(1, len(self.pieces)):
            before, piece = self.outcomes.get(self.pieces[number - 1]), self.outcomes.get(self.pieces[number])
            if before is None or before.error or piece is None:
                break
            if before.ends_with == piece.began:
                continue
            wanted = replace(self.pieces[number], key=before.ends_with or 0)
            if wanted == self.pieces[number]:
                self.pieces, self.outcomes = [Piece()], {}
                return self.pieces
            self.pieces[number] = wanted
            return [wanted]
        return []

    @property
    def settled(self) -> list[Piece] | None:
        """The pieces that it is made of, after a `review` without an objection; None while one is missing."""
        for number, piece in enumerate(self.pieces, 1):
            if (outcome := self.outcomes.get(piece)) is None:
                return None
            if outcome.error:
                return self.pieces[:number]
        return self.pieces


@dataclass(eq=False)
class Job:
    """A piece of work: `survey`, `label` or `join`, as Labeller has them."""

    name: str
    drive: Drive
    case: Case | None = None
    piece: Piece | None = None
    tries: int = 0

    @property
    def arguments(self) -> tuple[Any, ...]:
        if self.case is None:
            return (self.drive,)
        return (self.drive, self.piece) if self.piece else (self.drive, self.case.survey, self.case.settled, self.case.error)


class Batch:
    """Gives work to workers until there is none. Used by one thread; `stop` may be called by any."""

    def __init__(self, drives: Sequence[Drive], order: Order, workers: Sequence[Worker], pinned: dict[str, str], tell: Tell) -> None:
        """`drives`: those that are not finished; `tell` is given what happens, as JSON has it."""
        self._order, self._records, self._tell = order, Records(order.out), tell
        self._unseen, self._waiting = deque(drives), deque[Job]()
        self._workers, self._pinned, self._idle = workers, pinned, list[Worker]()
        self._under_way = dict[Future[Any], tuple[Worker, Job]]()
        self._beginning = dict[Future[Any], Worker]()
        self._begun = Counter[int]()  # how often a worker tried to, since it last did some work
        self._failure: DriveSegError | None = None
        self._stopped = False

    def stop(self) -> None:
        """What is under way is finished, and nothing else begun."""
        self._stopped = True

    def run(self) -> bool:
        """Whether all is done, and not stopped before. Raises what the batch cannot go on with, once what was under way is finished."""
        for worker in self._workers if self._pinned else self._workers[:1]:
            self._begin(worker)
        while self._under_way or self._wanted:
            done, _ = wait([*self._under_way, *self._beginning], return_when=FIRST_COMPLETED)
            for future in done:
                if future in self._beginning:
                    self._has_begun(self._beginning.pop(future), future)
                else:
                    self._is_done(*self._under_way.pop(future), future)
            while self._idle and (job := self._next()):
                self._give(self._idle.pop(), job)
        if self._failure:
            raise self._failure
        return not (self._waiting or self._unseen)

    @property
    def _wanted(self) -> bool:
        return bool(self._waiting or self._unseen) and not (self._stopped or self._failure)

    def _next(self) -> Job | None:
        """What is begun comes before what is not."""
        while self._wanted:
            if not self._waiting:
                return Job("survey", self._unseen.popleft())
            job = self._waiting.popleft()
            if job.piece is None or (job.case and job.case.needs(job.piece)):
                return job
        return None

    def _give(self, worker: Worker, job: Job) -> None:
        if job.case:
            job.case.under_way += 1
        self._under_way[worker.do(job.name, *job.arguments)] = worker, job

    def _begin(self, worker: Worker) -> None:
        self._beginning[worker.do("begin", __version__, self._pinned)] = worker

    def _has_begun(self, worker: Worker, future: Future[Any]) -> None:
        if error := future.exception():
            self._begun[id(worker)] += 1
            if self._begun[id(worker)] >= TRIES:
                self._fail(
                    BackendError(f"a worker ends as soon as it begins ({one_line(error)}); try `drive-seg run` with the same settings")
                )
                return
            worker.again()
            self._begin(worker)
        elif isinstance(found := future.result(), DriveSegError):
            self._fail(found)
        else:
            self._idle.append(worker)
            if not self._pinned:  # by the first one
                self._pinned = found
                self._records.keep_settings({"asked": asked(self._order), "pinned": found})
                for another in self._workers[1:]:
                    self._begin(another)

    def _is_done(self, worker: Worker, job: Job, future: Future[Any]) -> None:
        if job.case:
            job.case.under_way -= 1
        if error := future.exception():
            worker.again()
            self._begin(worker)
            self._lost(job, error)
        else:
            self._begun[id(worker)] = 0
            self._idle.append(worker)
            if isinstance(found := future.result(), DriveSegError):
                self._fail(found)
            else:
                self._take(job, found)

    def _lost(self, job: Job, error: BaseException) -> None:
        job.tries += 1
        said = f"{job.drive.path}: its worker has ended {job.tries} times ({one_line(error)}); it was given up"
        self._tell({"event": "lost", "drive": job.drive.name, "job": job.name, "tries": job.tries, "error": one_line(error)})
        if job.tries < TRIES:
            self._waiting.appendleft(job)
        elif job.case is None:
            survey = Survey(bytes=job.drive.bytes, error=said)
            self._records.keep_survey(job.drive, survey)
            self._take(job, survey)
        elif job.piece:
            job.case.error = said
            self._take(job, Outcome(0, job.piece.key, None, said, 0.0, ""))
        else:
            self._fail(SinkError(said))

    def _take(self, job: Job, found: Any) -> None:
        """What a worker has found or done."""
        if job.case is None:
            case = Case(job.drive, found, list(found.pieces))
            self._tell(
                {"event": "survey", "drive": job.drive.name, "frames": found.frames, "pieces": len(case.pieces), "error": found.error}
            )
            self._label(case, case.pieces)
        elif job.piece:
            case = job.case
            case.outcomes[job.piece] = found
            self._tell({"event": "piece", "drive": job.drive.name, **asdict(job.piece), **asdict(found)})
            self._label(case, case.review())
        else:
            self._tell({"event": "file", "drive": job.drive.name, **{name: found[name] for name in ("frames", "fps", "took_s", "error")}})
            return
        if case.settled is not None and not case.under_way:
            self._waiting.appendleft(Job("join", job.drive, case))

    def _label(self, case: Case, pieces: Sequence[Piece]) -> None:
        self._waiting.extend(Job("label", case.drive, case, piece) for piece in pieces)

    def _fail(self, error: DriveSegError) -> None:
        self._failure = self._failure or error
