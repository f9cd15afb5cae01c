"""What some backends can besides (contracts.Backend), asked for with isinstance; whoever does has another way for those that cannot."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from drive_seg.contracts import Array, Backend, Image, Labels, Stage, StageName, Tensors, TensorSpec


class StageBeside(Protocol):
    """A stage that works while its caller goes on, and takes all its inputs from other stages. Used by their thread, closed before them."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def start(self) -> None:
        """Begins with what the others put out last; they may run again at once. Not before `take` has given what was made before."""

    def take(self) -> tuple[Tensors, float] | None:
        """What was made of it, good until the next start, and how many ms it took; None while it is under way. Waits for nothing."""

    def close(self) -> None: ...


@runtime_checkable
class Streaming(Protocol):
    """What a Backend can besides whose stages hand tensors on where they run, without the host."""

    def load_beside(
        self, onnx_path: str, sources: Mapping[str, Stage | StageBeside], pictures: Mapping[str, tuple[int, ...]]
    ) -> StageBeside:
        """A stage that goes after all others; for each of its inputs, the stage of this backend that puts it out, or is given it.

        `pictures`: the shapes that the network wants of those inputs that are pictures; larger frames are reduced by the stage.
        Raises BackendError.
        """


class PaintStage(Protocol):
    """Lays labels over the picture that another stage was given last. Used by that one's thread, closed before it."""

    def __call__(self, labels: Labels, colours: Array, shares: Array) -> Image:
        """(H, W, 3), the caller's own: of each pixel its id's share in its id's colour, the rest the picture.

        `colours`: BGR, float32 (256, 3), and `shares`, 0..1, float32 (256, 1), by id. Labels are enlarged by nearest neighbour.
        """

    def close(self) -> None: ...


@runtime_checkable
class TakingFrames(Protocol):
    """What a Backend can besides whose stages take frames as they are, and reduce and paint them where they run."""

    def load_reducing(self, onnx_path: str, input_shapes: Mapping[str, tuple[int, ...]], picture: str, frame_hw: tuple[int, int]) -> Stage:
        """As `load`; but the input called `picture` is given as (1, *frame_hw, 3), and made what it is in `input_shapes` by the stage."""

    def load_painter(self, stage: Stage, picture: str, labels_hw: tuple[int, int]) -> PaintStage:
        """For what a stage of this backend is given as its input `picture`. Raises BackendError."""


@runtime_checkable
class Compiling(Protocol):
    """What a Backend can besides that keeps what it compiles, because that takes long."""

    def ahead(self, tell: Callable[[str], None] | None) -> Backend:
        """The same, with stages that are compiled and cannot be called. `tell` is told what is under way, and ends it by raising something;
        without it nothing is compiled, and to load what is not kept is a BackendError."""


class Beside(Protocol):
    """The cached stages, at one input size, as one StageBeside."""

    def start(self) -> None: ...

    def take(self) -> tuple[Tensors, Mapping[StageName, float]] | None:
        """What they put out, the caller's own, and the ms that each took."""

    def close(self) -> None: ...
