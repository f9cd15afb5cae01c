"""What a window asks of the session that it shows, from any thread; everything can be changed while it plays."""

from collections.abc import Callable, Mapping
from pathlib import Path

from drive_seg.overlay import Look, Painter
from drive_seg.session.audit import Agreement
from drive_seg.session.commands import checked
from drive_seg.session.film import Film
from drive_seg.session.history import Moment
from drive_seg.session.live import FIELDS, with_pipeline
from drive_seg.session.observer import Observer
from drive_seg.session.status import Shown, Status
from drive_seg.session.steered import Steered
from drive_seg.settings import Settings

CHANGEABLE = FIELDS | {"source", "loop", "corridor"}


class Player:
    """Commands never wait and take effect between two frames; of several of a kind, the newest counts.

    A command that fails is a Trouble, and what ran before runs on.
    """

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        self._steered = Steered(settings)

    def open(self) -> None:
        """Starts to play; returns once source, network and what is written are open, or a stream's server is waited for.

        Raises what they raise; nothing is left open then.
        """
        self._steered.open()

    def close(self) -> None:
        """Ends everything, a recording properly, and waits for its threads; idempotent. `on_new` is not called afterwards."""
        self.on_new = None
        self._steered.close()

    def salvage(self, limit_s: float) -> None:
        """Finishes what is written as far as that goes, in a process that will be ended at once."""
        self._steered.session.salvage(limit_s)

    # -- what is known

    @property
    def on_new(self) -> Callable[[], None] | None:
        """Called from the session's thread when there is a new frame to take, at most once until `take`."""
        return self._steered.news.on_new

    @on_new.setter
    def on_new(self, call: Callable[[], None] | None) -> None:
        self._steered.news.on_new = call

    def take(self) -> Shown | None:
        """The newest that was not taken yet."""
        return self._steered.news.take()

    def watch(self, name: str, observer: Observer) -> None:
        """Tells it of every frame, in the session's thread; to be called before `open`. `name`: of REMEDIES."""
        self._steered.session.observers[name] = observer

    def status(self) -> Status:
        now = self._steered
        source, session, last = now.source, now.session, now.news.last
        main, other, (numbers, other_numbers) = now.main.pipeline, session.comparison, now.figures.numbers()
        return Status(
            state=now.state,
            settings=with_pipeline(now.settings, now.main.settings) if now.main.settings else now.settings,
            runs=main.runs if main else {},
            headline=main.headline if main else "",
            away=source.away,
            note="; ".join(filter(None, (main.engine.note if main else "", source.note))),
            classes=main.engine.classes if main else (),
            palette=main.engine.palette if main else (),
            source=source.info,
            seekable=source.seekable,
            position=last.result.frame.index if last else None,
            paused=source.capture is not None and source.pace.paused,
            speed=source.speed,
            dropped=source.dropped,
            recording=now.recording,
            comparison=other.runs if other else None,
            differing=now.figures.differing(),
            auditing="audit" in session.observers,
            numbers=numbers,
            comparison_numbers=other_numbers if other else None,
            trouble=now.news.trouble,
            unlike=now.unlike.mean,
        )

    def history(self, last: int = 600) -> tuple[Moment, ...]:
        """What became of the last frames, the oldest first."""
        return self._steered.history.last(last)

    def agreement(self) -> tuple[Agreement, ...]:
        """With the full network, by age; empty while nothing was audited."""
        auditor = self._steered.session.auditor
        return auditor.agreement() if auditor else ()

    def summary(self) -> dict[str, object]:
        """What ran last and how fast, as a run without a window says it. Raises UsageError before anything was opened."""
        return self._steered.session.summary()

    @property
    def recording(self) -> Path | None:
        return self._steered.recording

    # -- how it is drawn

    @property
    def look(self) -> Look:
        """How labels are drawn, in a recording too. Where it has a network's usual colours, it takes the next network's."""
        return self.painter.look

    @look.setter
    def look(self, look: Look) -> None:
        self._steered.session.painter = Painter(look)

    @property
    def film(self) -> Film:
        """What a recording shows."""
        return self._steered.session.film

    @film.setter
    def film(self, film: Film) -> None:
        self._steered.session.film = film

    @property
    def painter(self) -> Painter:
        """What draws them so."""
        return self._steered.painter

    # -- what is played

    def pause(self) -> None:
        self._steered.source.pace.pause()

    def resume(self) -> None:
        self._steered.source.pace.resume()

    def step(self) -> None:
        """Pauses, and lets one more frame come."""
        self._steered.source.pace.step()

    def speed(self, factor: float) -> None:
        """A file's. Raises UsageError for one that cannot be played."""
        self._steered.source.set_speed(factor)

    def seek(self, index: int) -> None:
        """Goes on from this frame, also of a source that has failed. Raises UsageError where the source cannot."""
        if self._steered.source.failed:
            self._steered.commands.put("source", index)
        else:
            self._steered.source.seek(index)

    # -- what is computed, and what is written

    def change(self, **settings: object) -> None:
        """Other settings, by their fields (CHANGEABLE). Raises UsageError at once for what cannot be meant."""
        self._steered.commands.put("change", checked(settings, CHANGEABLE))

    def compare(self, changes: Mapping[str, object] | None) -> None:
        """A second pipeline with these of the settings changed, for the same frames; None ends it. Raises UsageError as `change` does."""
        self._steered.commands.put("comparison", None if changes is None else checked(changes, FIELDS))

    def audit(self, on: bool) -> None:
        """Compares some frames' labels with the full network's, from the beginning; what was found stays to be read."""
        self._steered.commands.put("audit", on)

    def record(self, path: Path | None) -> None:
        """The overlay, with the look; None ends it. What is jumped over is not in it."""
        self._steered.commands.put("recorder", path)

    def refresh(self) -> None:
        """The next frame is a key frame, for the reason `manual`, once no refresh is under way."""
        self._steered.commands.put("network", None)
