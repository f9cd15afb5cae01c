"""An engine beside the others works on a snapshot made on the GPU, in its own time, and nobody waits for it."""

import numpy as np
import pytest

from drive_seg.backends.tensorrt.beside import TensorRtBeside
from drive_seg.backends.tensorrt.runtime import EngineRunner, TensorRtStage
from drive_seg.contracts import Array, TensorSpec
from drive_seg.errors import BackendError

from .fake_cuda import FakeCuda, FakeGpu, FakeProgram, Misuse
from .test_runtime import in_thread

IMAGE = (TensorSpec("image", "uint8", (1, 4, 6, 3)),)
LOW = (TensorSpec("detail", "float32", (1, 2)), TensorSpec("fine", "float32", (1, 3)))
PART, CONTEXT = (TensorSpec("part", "float32", (1, 2)),), (TensorSpec("context", "float32", (1, 2)),)


def low(image: Array) -> dict[str, Array]:
    return {"detail": np.float32(image.mean(dtype=np.float64)), "fine": np.float32(1)}


def picture(value: int) -> dict[str, Array]:
    return {"image": np.full((1, 4, 6, 3), value, np.uint8)}


class Machine:
    """`low`, and beside it a stage that doubles `detail`, each with an adapter of its own on one GPU."""

    def __init__(self, captures: bool = True, fail_at: int | None = None) -> None:
        self.gpu = FakeGpu()
        self.cudas = [FakeCuda(captures, gpu=self.gpu), FakeCuda(captures, fail_at, gpu=self.gpu)]
        self.low = TensorRtStage(EngineRunner("low", IMAGE, LOW, FakeProgram(self.cudas[0], IMAGE, LOW, low), self.cudas[0], True, {}))
        self.beside = self.add(self.cudas[1], LOW[:1], CONTEXT, {"detail": self.low})

    def add(
        self,
        cuda: FakeCuda,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        sources: dict[str, "TensorRtStage | TensorRtBeside"],
    ) -> TensorRtBeside:
        program = FakeProgram(cuda, inputs, outputs, lambda **given: {outputs[0].name: 2 * sum(given.values())})
        return TensorRtBeside(
            EngineRunner("high", inputs, outputs, program, cuda, False, {}, timed=True),
            {name: source.runner for name, source in sources.items()},
        )

    def close(self) -> None:
        self.beside.close()
        self.low.close()
        assert not any(cuda.alive for cuda in self.cudas)
        assert all(cuda.closed for cuda in self.cudas)


@pytest.mark.parametrize("captures", [True, False])
def test_it_works_on_what_low_had_put_out_when_it_was_started(captures: bool) -> None:
    machine = Machine(captures)
    machine.low(picture(10))
    machine.beside.start()
    for value in (20, 30):  # low goes on, and overwrites its buffers
        assert machine.low(picture(value))["detail"][0, 0] == value
    assert machine.beside.take() is None
    machine.gpu.finish()
    taken = machine.beside.take()
    assert taken is not None
    assert taken[0]["context"].tolist() == [[20, 20]]
    assert taken[1] > 0
    machine.beside.start()
    machine.gpu.finish()
    again = machine.beside.take()
    assert again is not None
    assert again[0]["context"].tolist() == [[60, 60]]
    machine.close()


def test_a_start_and_a_poll_wait_for_nothing_and_no_tensor_meets_the_host() -> None:
    machine = Machine()
    machine.low(picture(10))
    calls = machine.cudas[1].calls
    before = len(calls)
    machine.beside.start()
    assert calls[before:] == ["copy", "record", "wait_for", "record", "launch", "record"]
    machine.beside.take()
    assert calls[before + 6 :] == ["done"]
    machine.close()


def test_its_stream_goes_after_that_of_low() -> None:
    machine = Machine()
    assert [cuda.urgent for cuda in machine.cudas] == [[True], [False]]
    machine.close()


def test_one_may_be_fed_by_another_and_by_low() -> None:
    machine = Machine()
    cuda = FakeCuda(gpu=machine.gpu)
    last = machine.add(cuda, (*CONTEXT, LOW[0]), PART, {"context": machine.beside, "detail": machine.low})
    for value in (10, 25):
        machine.low(picture(value))
        machine.beside.start()
        last.start()
        machine.low(picture(99))
        assert last.take() is None
        machine.gpu.finish()
        assert machine.beside.take() is not None
        taken = last.take()
        assert taken is not None
        assert taken[0]["part"].tolist() == [[6 * value] * 2]
    last.close()
    assert not cuda.alive
    machine.close()


def test_it_may_be_closed_while_it_is_under_way_and_low_before_it() -> None:
    for first in ("beside", "low"):
        machine = Machine()
        machine.low(picture(10))
        machine.beside.start()
        getattr(machine, first).close()
        machine.close()


def test_a_second_start_and_a_start_after_the_end_are_refused() -> None:
    machine = Machine()
    machine.low(picture(10))
    machine.beside.start()
    with pytest.raises(BackendError, match="still under way"):
        machine.beside.start()
    machine.gpu.finish()
    assert machine.beside.take() is not None
    machine.low.close()
    with pytest.raises(BackendError, match="low, which feeds high, is closed"):
        machine.beside.start()
    machine.beside.close()
    for use in (machine.beside.start, machine.beside.take):
        with pytest.raises(BackendError, match="high is closed"):
            use()
    machine.close()


def test_it_may_be_opened_in_one_thread_and_used_and_closed_in_another() -> None:
    machine = Machine()

    def use() -> Array:
        machine.low(picture(7))
        machine.beside.start()
        machine.gpu.finish()
        taken = machine.beside.take()
        machine.close()
        return np.array(14.0) if taken else np.array(0.0)

    assert in_thread(use) == 14


def _calls_to_open() -> int:
    machine = Machine()
    count = len(machine.cudas[1].calls)
    machine.close()
    return count


@pytest.mark.parametrize("number", range(_calls_to_open()))
def test_whichever_call_fails_while_it_opens_nothing_is_left_behind(number: int) -> None:
    gpu = FakeGpu()
    cudas = FakeCuda(gpu=gpu), FakeCuda(fail_at=number, gpu=gpu)
    source = TensorRtStage(EngineRunner("low", IMAGE, LOW, FakeProgram(cudas[0], IMAGE, LOW, low), cudas[0], True, {}))
    program = FakeProgram(cudas[1], LOW[:1], CONTEXT, lambda detail: {"context": detail})
    with pytest.raises(BackendError, match=r"^CUDA: \w+ fails$"):
        TensorRtBeside(EngineRunner("high", LOW[:1], CONTEXT, program, cudas[1], False, {}, timed=True), {"detail": source.runner})
    assert not cudas[1].alive
    assert cudas[1].closed
    source.close()


@pytest.mark.parametrize("place", range(6))
def test_whichever_call_fails_in_a_start_all_can_still_be_closed(place: int) -> None:
    machine = Machine()
    machine.low(picture(10))
    machine.cudas[1]._fail_at = len(machine.cudas[1].calls) + place
    with pytest.raises(BackendError, match="fails"):
        machine.beside.start()
    machine.close()


def test_what_fails_on_the_gpu_is_said_by_the_poll() -> None:
    machine = Machine()
    machine.low(picture(10))
    machine.beside.start()
    machine.cudas[1]._fail_at = len(machine.cudas[1].calls)
    with pytest.raises(BackendError, match="done fails"):
        machine.beside.take()
    machine.close()


# ---- that the fake would notice


def test_the_fake_notices_a_stream_that_does_not_wait_for_another_ones_work() -> None:
    gpu = FakeGpu()
    cuda = FakeCuda(gpu=gpu)
    with cuda.current():
        source, other, event = cuda.stream(True), cuda.stream(False), cuda.event()
        memory, array = [cuda.allocate(4) for _ in range(2)], cuda.pinned((4,), "uint8")
        cuda.upload(memory[0], array, source)
        with pytest.raises(Misuse, match="did not wait"):
            cuda.copy(memory[1], memory[0], 4, other)  # reads what is being written
        cuda.record(event, source)
        cuda.wait_for(other, event)
        cuda.copy(memory[1], memory[0], 4, other)
        with pytest.raises(Misuse, match="did not wait"):
            cuda.upload(memory[0], array, source)  # writes what is being read
        with pytest.raises(Misuse, match="at work"):
            cuda.free(memory[0])


def test_the_fake_notices_events_that_nobody_recorded_or_waited_for() -> None:
    cuda = FakeCuda()
    with cuda.current():
        stream, event, array, pointer = cuda.stream(True), cuda.event(), cuda.pinned((4,), "uint8"), cuda.allocate(4)
        for call in (lambda: cuda.wait_for(stream, event), lambda: cuda.done(event), lambda: cuda.wait(event)):
            with pytest.raises(Misuse, match="not recorded"):
                call()
        cuda.upload(pointer, array, stream)
        cuda.record(event, stream)
        assert not cuda.done(event)
        with pytest.raises(Misuse, match="waited for"):
            cuda.begin_capture(stream)
        with pytest.raises(Misuse, match="nobody has waited"):
            cuda.record(event, stream)
        with pytest.raises(Misuse, match="not timed"):
            cuda.elapsed_ms(event, event)
        cuda.gpu.finish()
        assert cuda.done(event)
        cuda.begin_capture(stream)
        for call in (lambda: cuda.done(event), lambda: cuda.wait_for(stream, event), lambda: cuda.synchronize(stream)):
            with pytest.raises(Misuse, match="capture"):
                call()
