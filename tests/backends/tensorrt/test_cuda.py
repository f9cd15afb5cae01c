"""The CUDA adapters do what the Protocol says with the packages' own calls; a missing driver or package ends in one line."""

import ctypes
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from drive_seg.backends.tensorrt import cuda as layer
from drive_seg.backends.tensorrt.adapters import open_cuda
from drive_seg.backends.tensorrt.cuda import Cuda, explain_cuda, find_gpu
from drive_seg.backends.tensorrt.runtime import EngineRunner, TensorRtStage
from drive_seg.contracts import TensorSpec
from drive_seg.errors import BackendError

SPECS = (TensorSpec("x", "float32", (1, 4)),), (TensorSpec("y", "float32", (1, 4)),)


class HostGpu:
    """A GPU whose memory is the host's and which works at once; what is alive is counted."""

    def __init__(self) -> None:
        self.alive: dict[int, Any] = {}
        self.calls: list[str] = []

    def make(self, size: int = 8) -> int:
        memory = (ctypes.c_uint8 * size)()
        self.alive[ctypes.addressof(memory)] = memory
        return ctypes.addressof(memory)

    def drop(self, handle: int) -> None:
        del self.alive[handle]


class Doubling:
    """A Program: y = 2 x, on memory at the bound addresses."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}

    def bind(self, tensor: str, pointer: int) -> None:
        self.at[tensor] = pointer

    def enqueue(self, stream: int) -> None:
        x, y = (np.frombuffer((ctypes.c_uint8 * 16).from_address(self.at[name]), np.float32) for name in "xy")
        y[:] = 2 * x

    def capturable(self, stream: int) -> bool:
        return True

    def close(self) -> None:
        pass


# ---- cuda-bindings


def bindings_double(gpu: HostGpu, real: Any, refuse: str = "", busy: Collection[int] = ()) -> Any:
    """`cuda.bindings.driver` as far as it is used: every call must be the real module's, and take as many arguments."""
    captured: list[bool] = []
    sizes = {"cuMemAlloc": 0, "cuMemHostAlloc": 0}

    def answer(call: str, *given: Any) -> tuple[Any, ...]:
        gpu.calls.append(call)
        if call == refuse:
            return (real.CUresult.CUDA_ERROR_OUT_OF_MEMORY, None)
        ok = real.CUresult.CUDA_SUCCESS
        if call in sizes:
            return ok, gpu.make(given[0])
        if call == "cuEventQuery" and given[0] in busy:
            return (real.CUresult.CUDA_ERROR_NOT_READY,)
        if call == "cuEventElapsedTime":
            return ok, 1.5
        if call in ("cuStreamCreateWithPriority", "cuEventCreate", "cuGraphInstantiate"):
            return ok, gpu.make()
        if call in ("cuMemFree", "cuMemFreeHost", "cuStreamDestroy", "cuEventDestroy", "cuGraphExecDestroy"):
            gpu.drop(given[0])
        elif call == "cuStreamEndCapture":
            captured.append(True)
            return ok, "graph"
        elif call == "cuCtxGetStreamPriorityRange":
            return ok, 0, -5
        elif call in ("cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemcpyDtoDAsync"):
            ctypes.memmove(given[0], given[1], given[2])
        elif call in ("cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPopCurrent"):
            return ok, 1
        return (ok,)

    class Double:
        def __getattr__(self, name: str) -> Any:
            found = getattr(real, name)  # AttributeError for what the package does not have
            return (lambda *given: answer(name, *given)) if name.startswith("cu") else found

    return Double()


@pytest.fixture
def real_driver() -> Any:
    return pytest.importorskip("cuda.bindings.driver", reason="pip install cuda-bindings")


@contextmanager
def opened_bindings(monkeypatch: pytest.MonkeyPatch, double: Any) -> Iterator[Cuda]:
    from drive_seg.backends.tensorrt import cuda_bindings

    monkeypatch.setattr(cuda_bindings, "import_module", lambda name: double)
    yield cuda_bindings.CudaBindings(0)


def test_cuda_bindings_runs_a_stage_by_a_graph_and_frees_all(monkeypatch: pytest.MonkeyPatch, real_driver: Any) -> None:
    gpu = HostGpu()
    with opened_bindings(monkeypatch, bindings_double(gpu, real_driver)) as cuda:
        stage = TensorRtStage(EngineRunner("net", *SPECS, Doubling(), cuda, urgent=True, shared={}))
        stage({"x": np.ones((1, 4), np.float32)})
        known = len(gpu.calls)
        stage({"x": np.ones((1, 4), np.float32)})
        assert gpu.calls[known:] == ["cuCtxPushCurrent", "cuGraphLaunch", "cuEventRecord", "cuEventSynchronize", "cuCtxPopCurrent"]
        stage.close()
    assert not gpu.alive
    assert gpu.calls.count("cuCtxPushCurrent") == gpu.calls.count("cuCtxPopCurrent")
    assert gpu.calls.count("cuDevicePrimaryCtxRetain") == gpu.calls.count("cuDevicePrimaryCtxRelease") == 1
    assert gpu.calls.count("cuGraphDestroy") == 1


def test_cuda_bindings_copies_what_it_is_told_to(monkeypatch: pytest.MonkeyPatch, real_driver: Any) -> None:
    gpu = HostGpu()
    with opened_bindings(monkeypatch, bindings_double(gpu, real_driver)) as cuda, cuda.current():
        array, stream, pointer = cuda.pinned((2, 3), "float32"), cuda.stream(urgent=False), cuda.allocate(24)
        assert (array.shape, array.dtype, array.flags.c_contiguous, array.flags.writeable) == ((2, 3), np.float32, True, True)
        array[:] = np.arange(6).reshape(2, 3)
        cuda.upload(pointer, array, stream)
        other = cuda.pinned((2, 3), "float32")
        cuda.download(other, pointer, stream)
        np.testing.assert_array_equal(other, array)


def test_cuda_bindings_polls_copies_on_the_gpu_and_lets_one_stream_wait_for_another(
    monkeypatch: pytest.MonkeyPatch, real_driver: Any
) -> None:
    gpu, busy = HostGpu(), set[int]()
    with opened_bindings(monkeypatch, bindings_double(gpu, real_driver, busy=busy)) as cuda, cuda.current():
        streams, events = [cuda.stream(urgent) for urgent in (True, False)], [cuda.event(timed=True) for _ in range(2)]
        places, array = [cuda.allocate(4) for _ in range(2)], cuda.pinned((4,), "uint8")
        array[:] = 1, 2, 3, 4
        cuda.upload(places[0], array, streams[0])
        cuda.record(events[0], streams[0])
        cuda.wait_for(streams[1], events[0])
        cuda.copy(places[1], places[0], 4, streams[1])
        busy.add(events[0])
        assert not cuda.done(events[0])
        busy.clear()
        assert cuda.done(events[0])
        assert cuda.elapsed_ms(*events) == 1.5
        array[:] = 0
        cuda.download(array, places[1], streams[1])
        assert array.tolist() == [1, 2, 3, 4]
    refusing = bindings_double(gpu, real_driver, refuse="cuEventQuery")
    with opened_bindings(monkeypatch, refusing) as cuda, cuda.current(), pytest.raises(BackendError, match="memory is full"):
        cuda.done(0)


def test_cuda_bindings_says_what_is_full(monkeypatch: pytest.MonkeyPatch, real_driver: Any) -> None:
    gpu = HostGpu()
    full = bindings_double(gpu, real_driver, refuse="cuMemAlloc")
    with opened_bindings(monkeypatch, full) as cuda, pytest.raises(BackendError, match=r"memory is full.*--input-size"):
        TensorRtStage(EngineRunner("net", *SPECS, Doubling(), cuda, urgent=True, shared={}))
    assert not gpu.alive


def test_cuda_bindings_without_a_driver(real_driver: Any) -> None:
    try:
        ctypes.CDLL(layer.DRIVER)
        pytest.skip("there is a driver here")
    except OSError:
        pass
    with pytest.raises(BackendError, match="no NVIDIA driver") as caught:
        open_cuda(0)
    assert "\n" not in str(caught.value)


# ---- pycuda


def pycuda_double(gpu: HostGpu) -> ModuleType:
    """`pycuda.driver` as far as it is used, with its rule that everything happens under one pushed context."""
    module, pushed = ModuleType("pycuda.driver"), list[Any]()

    class Freed:
        def __init__(self, size: int = 8) -> None:
            assert pushed, "no context"
            self.handle = gpu.make(size)

        def __int__(self) -> int:
            return self.handle

        def free(self) -> None:
            if self.handle in gpu.alive:
                assert pushed, "no context"
                gpu.drop(self.handle)

        __del__ = free

    class Stream(Freed):
        def __init__(self, flags: int) -> None:
            super().__init__()
            assert flags == 1

        def synchronize(self) -> None:
            gpu.calls.append("synchronize")

        def wait_for_event(self, event: "Event") -> None:
            gpu.calls.append("wait_for_event")

    class Event(Freed):
        def __init__(self, flags: int) -> None:
            super().__init__()
            self.timed = not flags

        def query(self) -> bool:
            return "wait_for_event" in gpu.calls

        def time_since(self, other: "Event") -> float:
            assert (self.timed, other.timed) == (True, True)
            return 2.5

        def record(self, stream: Stream) -> None:
            gpu.calls.append("record")

        def synchronize(self) -> None:
            gpu.calls.append("wait")

    class Context:
        def push(self) -> None:
            pushed.append(self)

        @staticmethod
        def pop() -> None:
            pushed.pop()

        def detach(self) -> None:
            gpu.calls.append("detach")

    def pagelocked_empty(shape: tuple[int, ...], dtype: str) -> Any:
        block = Freed(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        array = np.frombuffer(gpu.alive[block.handle], dtype).reshape(shape)
        return SimpleNamespaceArray(array, block)

    class SimpleNamespaceArray(np.ndarray):
        def __new__(cls, array: Any, block: Freed) -> Any:
            made = array.view(cls)
            made.block = block
            return made

        @property
        def base(self) -> Any:
            return self.block

    module.__dict__.update(
        init=lambda: None,
        Error=type("Error", (Exception,), {}),
        MemoryError=type("MemoryError", (Exception,), {}),
        Device=lambda ordinal: SimpleNamespace(retain_primary_context=Context),
        Context=Context,
        Stream=Stream,
        Event=Event,
        event_flags=SimpleNamespace(DISABLE_TIMING=2, DEFAULT=0),
        mem_alloc=Freed,
        pagelocked_empty=pagelocked_empty,
        memcpy_htod_async=lambda pointer, array, stream: ctypes.memmove(pointer, array.ctypes.data, array.nbytes),
        memcpy_dtod_async=lambda to, pointer, size, stream: ctypes.memmove(to, pointer, size),
        memcpy_dtoh_async=lambda array, pointer, stream: ctypes.memmove(array.ctypes.data, pointer, array.nbytes),
    )
    return module


def test_pycuda_runs_a_stage_without_a_graph_and_frees_all(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = HostGpu()
    monkeypatch.setitem(sys.modules, "pycuda", ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", pycuda_double(gpu))
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    cuda = open_cuda(0)
    assert (cuda.name, cuda.captures) == ("pycuda", False)
    stage = TensorRtStage(EngineRunner("net", *SPECS, Doubling(), cuda, urgent=True, shared={}))
    for value in (1, 3):
        np.testing.assert_array_equal(stage({"x": np.full((1, 4), value, np.float32)})["y"], 2 * value)
    stage.close()
    assert not gpu.alive
    assert gpu.calls[-1] == "detach"


def test_pycuda_polls_and_uses_what_another_of_its_adapters_made(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = HostGpu()
    monkeypatch.setitem(sys.modules, "pycuda", ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", pycuda_double(gpu))
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    one, other = open_cuda(0), open_cuda(0)
    with one.current():
        stream, event, place, array = one.stream(True), one.event(timed=True), one.allocate(4), one.pinned((4,), "uint8")
        array[:] = 1, 2, 3, 4
        one.upload(place, array, stream)
        one.record(event, stream)
    with other.current():
        second, last, copy = other.stream(False), other.event(timed=True), other.allocate(4)
        assert not other.done(event)
        other.wait_for(second, event)
        other.copy(copy, place, 4, stream)
        assert other.done(event)
        assert other.elapsed_ms(event, last) == 2.5
        array[:] = 0
        other.download(array, copy, second)
        assert array.tolist() == [1, 2, 3, 4]
        other.free(copy)
        other.destroy_event(last)
        other.destroy_stream(second)
    with one.current():
        one.free(place)
        one.unpin(array)
        one.destroy_event(event)
        one.destroy_stream(stream)
    assert not gpu.alive


# ---- what is missing


def test_without_any_package_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda.bindings.driver", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendError, match=r"cuda-bindings \(.*pycuda \(.*pip install cuda-bindings"):
        open_cuda(0)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("CUDA_ERROR_OUT_OF_MEMORY", "memory is full"),
        ("CUDA_ERROR_NO_BINARY_FOR_GPU", "compute capability"),
        ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "too old"),
        ("CUDA_ERROR_ILLEGAL_ADDRESS", "illegal address"),
    ],
)
def test_every_status_is_a_sentence(status: str, says: str) -> None:
    text = explain_cuda(status, "cuMemAlloc")
    assert says in text
    assert "cuMemAlloc" in text


def driver_double(count: int = 1, status: int = 0) -> Any:
    def put(value: int, status: int = 0) -> Callable[..., int]:
        def call(target: Any, *rest: Any) -> int:
            target._obj.value = value
            return status

        return call

    def name(target: Any, size: int, device: Any) -> int:
        target.value = b"NVIDIA H200"
        return 0

    def attribute(target: Any, which: int, device: Any) -> int:
        target._obj.value = {75: 9, 76: 0}[which]
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: status,
        cuDriverGetVersion=put(13010),
        cuDeviceGetCount=put(count),
        cuDeviceGet=put(0),
        cuDeviceGetName=name,
        cuDeviceGetAttribute=attribute,
    )


def test_the_gpu_is_asked_for_its_name_and_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer.ctypes, "CDLL", lambda name: driver_double())
    gpu = find_gpu()
    assert (gpu.name, gpu.compute_capability, gpu.driver) == ("NVIDIA H200", "9.0", "13.1")


@pytest.mark.parametrize(
    ("double", "ordinal", "says"), [({"count": 0}, 0, "finds no GPU"), ({"status": 100}, 0, "CUDA status 100"), ({"count": 2}, 5, "cuda:5")]
)
def test_a_driver_without_that_gpu(monkeypatch: pytest.MonkeyPatch, double: dict[str, int], ordinal: int, says: str) -> None:
    monkeypatch.setattr(layer.ctypes, "CDLL", lambda name: driver_double(**double))
    with pytest.raises(BackendError, match=says):
        find_gpu(ordinal)


def test_no_driver_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(layer.ctypes, "CDLL", absent)
    with pytest.raises(BackendError, match=r"no NVIDIA driver.*; install it"):
        find_gpu()
