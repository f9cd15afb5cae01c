"""Runs on stand-ins: what is decided shows without a network that has to be compiled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_seg.contracts import Frame, Result, Source
from drive_seg.session.opening import open_session
from drive_seg.settings import Settings
from drive_seg.sources import open_source
from tests.fakes import FakeBackend, FakeSource, FakeStage, make_bundle


class Greys(FakeSource):
    """Frames that grow brighter by one, so that a label tells of which frame it is."""

    def read(self) -> Frame | None:
        frame = super().read()
        return frame and Frame(np.full((48, 64, 3), 100 + frame.index, np.uint8), frame.index, frame.time_s)


@dataclass
class Stand:
    """Where runs find a source, a bundle and backends that cost nothing."""

    model: str
    source: Callable[[], FakeSource] = Greys
    asked: list[dict[str, Any]] = field(default_factory=list)  # of each backend that was opened
    backends: list[FakeBackend] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)

    def settings(self, **values: object) -> Settings:
        return Settings.load(None, {"source": "drive", "model": self.model, **values})

    def play(self, **values: object) -> tuple[list[Result], dict[str, object]]:
        with open_session(self.settings(**values)) as session:
            return [result for result, _ in session.results()], session.summary()

    def open_backend(self, name: str | None, **how: Any) -> FakeBackend:
        self.asked.append({"name": name, **how})
        self.backends.append(Noting())
        return self.backends[-1]

    def open_source(self, uri: str, **how: Any) -> Source:
        self.sources.append({"uri": uri, **how})
        return self.source() if uri == "drive" else open_source(uri, **how)

    def loaded(self) -> dict[str, list[int]]:
        """By stage, on which of the backends it was loaded."""
        return {
            stage: [at for at, backend in enumerate(self.backends) if backend.loaded[stage]] for stage in ("low", "high", "head")
        }  # fmt: skip


class Noting(FakeBackend):
    """Notes the sizes of the pictures that it is loaded for."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def load(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]]) -> FakeStage:
        self.sizes += [shape[1:3] for name, shape in input_shapes.items() if name == "image"]
        return super().load(onnx_path, input_shapes)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stand:
    made = Stand(str(make_bundle(tmp_path / "net").folder))
    monkeypatch.setattr("drive_seg.session.opening.open_backend", made.open_backend)
    monkeypatch.setattr("drive_seg.session.opening.open_source", made.open_source)
    return made
