"""As much of TensorRT 10 as an int8 build by calibration needs: it asks its calibrator as the real one does, and compiles nothing."""

from types import SimpleNamespace
from typing import Any

HEADER = b"TRT-101300-EntropyCalibration2\n"


class IInt8EntropyCalibrator2:
    """Its own constructor has to be called, as with every class that is bound from C++."""

    def __init__(self) -> None:
        self.bound = True


class _Logger:
    Severity = SimpleNamespace(WARNING=2)

    def __init__(self) -> None:
        pass


class _Config:
    def __init__(self, api: "FakeTensorRt10") -> None:
        self.api, self.flags, self.int8_calibrator, self.profiling_verbosity = api, set[str](), None, None

    def set_flag(self, flag: str) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: str) -> None:
        self.flags.discard(flag)


class _Network:
    num_layers = 0

    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.inputs: list[Any] = []

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    num_outputs = 0

    def get_input(self, index: int) -> Any:
        return self.inputs[index]


class FakeTensorRt10:
    """A module. `seen` is what calibrators gave it, read from the fake GPU by `look`, and `built` how every engine was asked for."""

    __version__ = "10.13.3.9"
    ILogger = _Logger
    IInt8EntropyCalibrator2 = IInt8EntropyCalibrator2
    IBuilderConfig = type("IBuilderConfig", (), {})
    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
    BuilderFlag = SimpleNamespace(INT8="INT8", FP16="FP16", TF32="TF32")
    ProfilingVerbosity = SimpleNamespace(DETAILED=2)
    DataType = SimpleNamespace(FP8=1)

    def __init__(self, look: Any = None) -> None:
        self.look, self.seen, self.built = look, list[dict[str, Any]](), list[tuple[int, set[str]]]()

    def Builder(self, log: Any) -> Any:
        return SimpleNamespace(
            create_network=_Network, create_builder_config=lambda: _Config(self), build_serialized_network=self._build
        )  # fmt: skip

    def OnnxParser(self, network: _Network, log: Any) -> Any:
        import onnx

        def parse(model: bytes) -> bool:
            for value in onnx.load_from_string(model).graph.input:
                shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
                kind = "UINT8" if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8 else "FLOAT"
                network.inputs.append(SimpleNamespace(name=value.name, shape=shape, dtype=SimpleNamespace(name=kind)))
            return True

        return SimpleNamespace(parse=parse, num_errors=0)

    def _build(self, network: _Network, config: _Config) -> bytes:
        self.built.append((network.flags, config.flags))
        calibrator = config.int8_calibrator
        if calibrator is None:
            return b"engine by Q/DQ"
        assert calibrator.bound
        assert calibrator.get_batch_size() == 1
        ranges = calibrator.read_calibration_cache()
        if ranges is None:
            names = [one.name for one in network.inputs]
            while (pointers := calibrator.get_batch(names)) is not None:
                self.seen.append({one.name: self.look(pointer, one.shape) for one, pointer in zip(network.inputs, pointers, strict=True)})
            ranges = HEADER + b"\n".join(name.encode() + b": 3c010a14" for name in names)
            calibrator.write_calibration_cache(memoryview(ranges))
        return b"engine by " + ranges
