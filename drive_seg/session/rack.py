"""Several cameras for a window: their run in a thread of its own, and what is known of each while it goes on."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from drive_seg.errors import DriveSegError
from drive_seg.overlay import Painter
from drive_seg.session.cameras import Cameras
from drive_seg.session.figures import Figures, Numbers
from drive_seg.session.history import History, Moment, moment_of
from drive_seg.session.opening import open_cameras
from drive_seg.session.status import News, Shown
from drive_seg.settings import Settings
from drive_seg.workers import Worker

CLOSE_LIMIT_S = 60.0  # the frame under way, and the recordings' ends, on a machine that is busy


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """One camera at one moment."""

    name: str
    state: str  # opening, playing, reconnecting, ended, failed
    numbers: Numbers
    dropped: int
    error: str  # why it failed, in one line; mostly empty


class Rack:
    """Opens, plays and closes the cameras in its thread; files keep their own pace. All methods are for any thread."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        self._settings, count = settings.model_copy(update={"realtime": True}), range(len(settings.cameras))
        self._cameras: Cameras | None = None
        self._news, self._figures, self._history = [News() for _ in count], [Figures() for _ in count], [History() for _ in count]
        self._opened, self._refused = threading.Event(), list[BaseException]()
        self._failed = ""
        self._worker = Worker("cameras", self._run, on_error=self._fail)

    def open(self) -> None:
        """Returns once everything is open. Raises what opening it raises; nothing is left open then."""
        self._worker.start()
        self._opened.wait()
        if self._refused:
            raise self._refused[0]

    def close(self) -> None:
        """Ends everything, recordings properly, and waits for the threads; idempotent."""
        self.on_new = None
        if self._cameras:
            self._cameras.close()
        self._worker.wait(CLOSE_LIMIT_S)

    def salvage(self, limit_s: float) -> None:
        """Finishes what is written as far as that goes, in a process that will be ended at once."""
        if self._cameras:
            self._cameras.salvage(limit_s)

    @property
    def cameras(self) -> Cameras:
        """Once they are open."""
        assert self._cameras is not None
        return self._cameras

    @property
    def on_new(self) -> Callable[[], None] | None:
        """Called from its thread when a camera has a new frame to take, at most once a camera until that is taken."""
        return self._news[0].on_new

    @on_new.setter
    def on_new(self, call: Callable[[], None] | None) -> None:
        for news in self._news:
            news.on_new = call

    def take(self) -> dict[int, Shown]:
        """By the camera's number the newest frame that was not taken yet."""
        return {at: shown for at, news in enumerate(self._news) if (shown := news.take())}

    def painter(self, at: int) -> Painter:
        """What draws this camera's labels."""
        painter = self.cameras.sessions[at].painter
        assert painter is not None
        return painter

    def status(self, at: int) -> CameraStatus:
        cameras, error = self.cameras, self._failed
        capture, session = cameras.captures[at], cameras.sessions[at]
        if own := cameras.errors.get(at):
            error = str(own)
        state = "failed" if error else "ended" if session.over or self._worker.ended else capture.state
        return CameraStatus(cameras.names[at], state, self._figures[at].numbers()[0], session.dropped, error)

    @property
    def headline(self) -> str:
        """What runs."""
        pipeline = self.cameras.sessions[0].pipeline
        return pipeline.headline if pipeline else ""

    def history(self, at: int, last: int = 600) -> tuple[Moment, ...]:
        """What became of a camera's last frames, the oldest first."""
        return self._history[at].last(last)

    def summary(self) -> dict[str, object]:
        """As a run without a window says it."""
        return self.cameras.summary()

    @property
    def errors(self) -> list[BaseException]:
        """What ended all of them, if anything did, and the cameras that failed."""
        ended = [self._worker.error] if self._worker.error else []
        return [*ended, *self.cameras.errors.values()]

    def _run(self) -> None:
        try:
            with open_cameras(self._settings) as cameras:
                self._cameras = cameras
                self._opened.set()
                for at, result in cameras.results():
                    self._history[at].add(moment_of(result, len(result.classes)))
                    self._figures[at].add(result, None)
                    self._news[at].show(Shown(result))
        except BaseException as error:
            if not self._opened.is_set():
                self._refused.append(error)
            raise
        finally:
            self._opened.set()

    def _fail(self, error: BaseException) -> None:
        self._failed = str(error) if isinstance(error, DriveSegError) else f"{type(error).__name__}: {error}"
