"""A stage on the GPU makes its calls in the right order, from the right thread, frees what it made, and says what is wrong."""

import threading
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

from drive_seg.backends.tensorrt.runtime import EngineRunner, TensorRtStage
from drive_seg.bench.gpu.load import count_kernels
from drive_seg.contracts import Array, TensorSpec
from drive_seg.errors import BackendError

from .fake_cuda import FakeCuda, FakeGpu, FakeProgram, Misuse

INPUTS = (TensorSpec("image", "uint8", (1, 4, 6, 3)), TensorSpec("bias", "float32", (1, 2)))
OUTPUTS = (TensorSpec("mean", "float32", (1, 2)), TensorSpec("labels", "uint8", (1, 4, 6)))


def compute(image: Array, bias: Array) -> dict[str, Array]:
    return {"mean": image.mean(dtype=np.float64) + bias, "labels": image[..., 0] // 2}


def opened(cuda: FakeCuda, can_be_captured: bool = True, urgent: bool = True) -> tuple[TensorRtStage, FakeProgram]:
    program = FakeProgram(cuda, INPUTS, OUTPUTS, compute, can_be_captured)
    return TensorRtStage(EngineRunner("net/low.onnx", INPUTS, OUTPUTS, program, cuda, urgent, {})), program


def given(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {"image": rng.integers(0, 256, (1, 4, 6, 3), dtype=np.uint8), "bias": rng.standard_normal((1, 2)).astype(np.float32)}


@pytest.mark.parametrize(("captures", "can_be_captured"), [(True, True), (True, False), (False, True)])
def test_answers_are_those_of_the_inputs_given_with_and_without_a_graph(captures: bool, can_be_captured: bool) -> None:
    stage, program = opened(FakeCuda(captures), can_be_captured)
    for seed in range(4):
        tensors = given(seed)
        answer = stage(tensors)
        for name, expected in compute(**tensors).items():
            np.testing.assert_allclose(answer[name], expected, rtol=1e-6)
    graph = captures and can_be_captured
    assert program.enqueued == (2 if graph else 5)  # warm-up and capture, or warm-up and every call
    stage.close()


def test_a_call_is_one_launch_and_one_wait() -> None:
    cuda = FakeCuda()
    stage, _ = opened(cuda)
    stage(given(0))  # the first one captures
    before = len(cuda.calls)
    stage(given(1))
    assert cuda.calls[before:] == ["launch", "record", "wait"]
    stage.close()


def test_outputs_are_overwritten_by_the_next_call_and_inputs_are_read_at_once() -> None:
    stage, _ = opened(FakeCuda())
    tensors = given(0)
    held = stage(tensors)["labels"]
    copy = held.copy()
    tensors["image"][:] = given(1)["image"]  # changed in place
    again = stage(tensors)["labels"]
    assert again is held
    assert not np.array_equal(held, copy)
    np.testing.assert_array_equal(stage({**given(0), "image": np.asfortranarray(given(0)["image"])})["labels"], copy)
    stage.close()


def test_close_frees_everything_once() -> None:
    cuda = FakeCuda()
    stage, program = opened(cuda)
    stage(given(0))
    assert cuda.alive
    stage.close()
    assert not cuda.alive
    assert cuda.closed
    assert program.closed
    stage.close()
    with pytest.raises(BackendError, match=r"net/low\.onnx is closed"):
        stage(given(0))


def _calls_to_run() -> int:
    cuda = FakeCuda()
    stage, _ = opened(cuda)
    stage(given(0))
    count = len(cuda.calls)
    stage.close()
    return count


@pytest.mark.parametrize("number", range(_calls_to_run()))
def test_whichever_call_fails_while_it_opens_or_runs_first_nothing_is_left_behind(number: int) -> None:
    cuda = FakeCuda(fail_at=number)

    def use() -> None:
        with closing(opened(cuda)[0]) as stage:
            stage(given(0))

    with pytest.raises(BackendError, match=r"^CUDA: \w+ fails$"):
        use()
    assert not cuda.alive
    assert cuda.closed


def test_a_full_gpu_is_said_and_leaves_nothing_behind() -> None:
    cuda = FakeCuda(capacity=100)
    with pytest.raises(BackendError, match="memory is full"):
        opened(cuda)
    assert not cuda.alive


@pytest.mark.parametrize(("place", "call"), [(0, "launch"), (1, "record"), (2, "wait")])
def test_a_call_that_fails_raises_and_the_stage_can_still_be_closed(place: int, call: str) -> None:
    cuda = FakeCuda()
    program = FakeProgram(cuda, INPUTS, OUTPUTS, compute)
    stage = TensorRtStage(EngineRunner("net/low.onnx", INPUTS, OUTPUTS, program, cuda, True, {}))
    stage(given(0))
    cuda._fail_at = len(cuda.calls) + place
    with pytest.raises(BackendError, match=f"{call} fails"):
        stage(given(0))
    stage.close()
    assert not cuda.alive


def in_thread(function: Callable[[], object]) -> object:
    result: list[object] = []

    def run() -> None:
        try:
            result.append(function())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    return result[0]


def test_it_may_be_opened_used_and_closed_in_three_threads_one_after_the_other() -> None:
    cuda = FakeCuda()
    stage, _ = opened(cuda)
    answer = in_thread(lambda: stage(given(3)))
    assert isinstance(answer, dict)
    np.testing.assert_array_equal(answer["labels"], compute(**given(3))["labels"])
    assert in_thread(stage.close) is None
    assert not cuda.alive


def test_two_threads_at_once_are_refused() -> None:
    cuda, inside, go_on = FakeCuda(), threading.Event(), threading.Event()

    def slow(image: Array, bias: Array) -> dict[str, Array]:
        if threading.current_thread() is worker:
            inside.set()
            assert go_on.wait(10)
        return compute(image, bias)

    program = FakeProgram(cuda, INPUTS, OUTPUTS, slow)
    worker = threading.Thread(target=lambda: stage(given(0)))
    stage = TensorRtStage(EngineRunner("net/low.onnx", INPUTS, OUTPUTS, program, cuda, True, {}))
    worker.start()
    assert inside.wait(10)
    for use in (lambda: stage(given(1)), stage.close):
        with pytest.raises(BackendError, match="another thread"):
            use()
    go_on.set()
    worker.join(10)
    stage.close()
    assert not cuda.alive


def test_priority_is_passed_on() -> None:
    for urgent in (True, False):
        cuda = FakeCuda()
        stage, _ = opened(cuda, urgent=urgent)
        assert cuda.urgent == [urgent]
        stage.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ({"image": np.zeros((1, 4, 6, 3), np.float32)}, "float32"),
        ({"bias": np.zeros((1, 3), np.float32)}, r"\[1, 3\]"),
        ({"x": np.zeros(1)}, "x"),
    ],
)
def test_wrong_inputs_are_named(spoil: dict[str, Array], says: str) -> None:
    stage, _ = opened(FakeCuda())
    with pytest.raises(BackendError, match=says):
        stage({**given(0), **spoil})
    stage.close()


def test_what_another_stage_has_just_put_out_is_copied_on_the_gpu_and_anything_else_from_the_host() -> None:
    gpu, shared = FakeGpu(), dict[int, int]()
    cudas = FakeCuda(gpu=gpu), FakeCuda(gpu=gpu)
    low = TensorRtStage(EngineRunner("low", INPUTS, OUTPUTS, FakeProgram(cudas[0], INPUTS, OUTPUTS, compute), cudas[0], True, shared))
    takes = (OUTPUTS[0], TensorSpec("context", "float32", (1, 2)))
    gives = (TensorSpec("sum", "float32", (1, 2)),)
    program = FakeProgram(cudas[1], takes, gives, lambda mean, context: {"sum": mean + context})
    head = TensorRtStage(EngineRunner("head", takes, gives, program, cudas[1], True, shared))
    context = np.array([[1, 2]], np.float32)
    for seed, as_it_came in [(0, True), (1, False), (2, True)]:
        mean = low(given(seed))["mean"]
        wanted = mean + context
        before = cudas[1].calls.count("upload")
        answer = head({"mean": mean if as_it_came else mean.copy(), "context": context})["sum"]
        np.testing.assert_array_equal(answer, wanted)
        if seed < 2:  # the first of its kind captures
            assert cudas[1].calls.count("upload") - before == (1 if as_it_came else 2)
    assert cudas[1].calls.count("begin_capture") == 2
    assert cudas[1].calls.count("copy") == 1
    low.close()
    reused = given(3)["bias"]
    np.testing.assert_array_equal(head({"mean": reused, "context": context})["sum"], reused + context)
    head.close()
    assert not shared
    assert not any(cuda.alive for cuda in cudas)


# ---- that the fake would notice


def test_the_fake_notices_a_thread_without_the_context() -> None:
    with pytest.raises(Misuse, match="not current"):
        FakeCuda().allocate(4)


def test_the_fake_notices_use_after_free() -> None:
    cuda = FakeCuda()
    with cuda.current():
        pointer, stream, event, array = cuda.allocate(4), cuda.stream(True), cuda.event(), cuda.pinned((4,), "uint8")
        cuda.free(pointer)
        cuda.download(array, pointer, stream)
        cuda.record(event, stream)
        with pytest.raises(Misuse, match="freed"):
            cuda.wait(event)


def test_the_fake_notices_what_is_freed_while_the_gpu_works_and_what_nobody_waits_for() -> None:
    cuda = FakeCuda()
    with cuda.current():
        pointer, stream, event, array = cuda.allocate(4), cuda.stream(True), cuda.event(), cuda.pinned((4,), "uint8")
        cuda.upload(pointer, array, stream)
        with pytest.raises(Misuse, match="at work"):
            cuda.free(pointer)
        cuda.record(event, stream)
        with pytest.raises(Misuse, match="nobody waited"):
            cuda.destroy_event(event)
        with pytest.raises(Misuse, match="waited for"):
            cuda.begin_capture(stream)


def test_the_fake_notices_what_may_not_happen_in_a_capture() -> None:
    cuda = FakeCuda()
    with cuda.current():
        stream, event = cuda.stream(True), cuda.event()
        cuda.begin_capture(stream)
        for call in (lambda: cuda.allocate(4), lambda: cuda.record(event, stream), lambda: cuda.destroy_stream(stream)):
            with pytest.raises(Misuse, match="captur"):
                call()
        assert isinstance(in_thread(lambda: cuda.end_capture(stream)), Misuse)


def test_the_fake_notices_a_leak() -> None:
    cuda = FakeCuda()
    with cuda.current():
        cuda.allocate(4)
    with pytest.raises(Misuse, match="not freed"):
        cuda.close()


def test_a_stage_counts_its_engines_layers_and_they_stand_for_kernels_where_nobody_can_count_those() -> None:
    torch = pytest.importorskip("torch")
    cuda = FakeCuda()
    stage, _ = opened(cuda)
    assert stage.layers() == 2
    if not torch.cuda.is_available():
        assert count_kernels(lambda: None, {"low": stage, "head": stage}) == {"by": "TensorRT's inspector", "layers": 4}
    stage.close()
    with pytest.raises(BackendError, match="is closed"):
        stage.layers()
    assert not cuda.alive
