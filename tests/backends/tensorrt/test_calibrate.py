"""TensorRT 10's entropy calibrator, against a fake of TensorRT 10: what it is fed, what is kept, and which engines are built with it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_seg.backends.tensorrt.calibrate import cache_of, calibrated, can_calibrate, from_pictures
from drive_seg.backends.tensorrt.cuda import Gpu
from drive_seg.backends.tensorrt.flavour import Flavour
from drive_seg.backends.tensorrt.obtain import Wanted, Workshop
from drive_seg.backends.tensorrt.store import Store
from drive_seg.card import sha256
from drive_seg.errors import BackendError, DataError

from ..graphs import noise_image, segmentation_net
from .fake_cuda import FakeCuda
from .fake_tensorrt10 import HEADER, FakeTensorRt10

pytest.importorskip("onnx")
GPU = Gpu(0, "NVIDIA L4", "8.9", "13.0")


def ten(cuda: FakeCuda | None = None) -> tuple[Flavour, FakeTensorRt10]:
    def look(pointer: int, shape: tuple[int, ...]) -> Any:
        assert cuda is not None
        return cuda.block(pointer)[: int(np.prod(shape))].reshape(shape).copy()  # uint8 all

    api = FakeTensorRt10(look)
    return Flavour("tensorrt", api), api


@pytest.fixture
def net(tmp_path: Path) -> str:
    folder = tmp_path / "engines" / "town"
    folder.mkdir(parents=True)
    return segmentation_net(folder / "low.onnx", cast_first=True)


def calibrate(net: str, flavour: Flavour, cuda: FakeCuda, batches: list[Any]) -> None:
    from drive_seg.backends.tensorrt.build import build_engine
    from drive_seg.backends.tensorrt.typed import typed_network

    model = typed_network(net, {"image": (1, 120, 160, 3)}, "fp32").model
    with cuda.current(), from_pictures(flavour, cuda, batches, cache_of(net)) as calibrator:
        build_engine(flavour, "low.onnx", model, "int8", None, calibrator)


def test_every_picture_reaches_the_gpu_once_and_the_ranges_are_kept(net: str, tmp_path: Path) -> None:
    cuda = FakeCuda()
    flavour, api = ten(cuda)
    images = [noise_image(120, 160, seed=seed) for seed in (1, 2, 3)]
    calibrate(net, flavour, cuda, [{"image": image} for image in images])
    assert [np.array_equal(seen["image"], image) for seen, image in zip(api.seen, images, strict=True)] == [True] * 3
    assert api.built == [(0, {"INT8", "FP16"})]  # weakly typed, and no TF32
    assert (tmp_path / "calib" / "town" / "low.entropy.cache").read_bytes().startswith(HEADER)
    assert not cuda.alive


def test_what_is_on_the_gpu_is_freed_when_calibration_fails(net: str) -> None:
    cuda = FakeCuda()
    flavour, _ = ten(cuda)
    with pytest.raises(KeyError):
        calibrate(net, flavour, cuda, [{"image": noise_image(120, 160)}, {}])
    assert not cuda.alive
    assert not cache_of(net).exists()


def test_int8_is_built_by_the_ranges_where_there_are_some_and_by_q_dq_otherwise(net: str, tmp_path: Path) -> None:
    flavour, api = ten()
    told: list[str] = []
    workshop = Workshop(flavour, GPU, Store(tmp_path / "store"))
    int8 = Wanted(net, {"image": (1, 120, 160, 3)}, "int8")
    assert calibrated(net, "int8", flavour) is None
    cache_of(net).parent.mkdir(parents=True)
    cache_of(net).write_bytes(HEADER + b"image: 3c010a14")
    first = workshop.engine(int8, told.append)
    assert first.plan == b"engine by " + HEADER + b"image: 3c010a14"
    assert first.about.precision == "int8"
    assert "low.entropy.cache" in told[0]
    assert workshop.engine(int8, told.append).plan == first.plan
    assert len(api.built) == 1  # kept
    cache_of(net).write_bytes(HEADER + b"image: 3d010a14")
    assert workshop.engine(int8, told.append).plan.endswith(b"3d010a14")  # other ranges, another engine
    assert calibrated(net, "fp16", flavour) is None
    cache_of(net).unlink()
    assert calibrated(net, "int8", flavour) is None


def test_the_ranges_of_a_quantised_stage_are_those_of_its_floats() -> None:
    assert cache_of("/a/engines/town/low.int8.onnx") == cache_of("/a/engines/town/low.onnx") == Path("/a/calib/town/low.entropy.cache")


def test_a_tensorrt_without_calibrators_says_what_to_leave_out(net: str) -> None:
    flavour, _ = ten()
    eleven = Flavour("tensorrt", type("Eleven", (), {"__version__": "11.0", "BuilderFlag": object()})())
    assert can_calibrate(flavour)
    assert not can_calibrate(eleven)
    with (
        pytest.raises(BackendError, match=r"TensorRT 11\.0 has no entropy calibrator; leave --calibrate out"),
        from_pictures(eleven, FakeCuda(), [], cache_of(net)),
    ):
        pass


def test_a_bundle_is_calibrated_stage_by_stage_on_the_pictures_of_its_record(tmp_path: Path) -> None:
    import shutil

    import cv2

    pytest.importorskip("onnxruntime")
    from drive_seg.backends import open_backend
    from drive_seg.lab.build.entropy import calibrate_bundle

    from .networks import BUNDLES, bundle

    shutil.copytree(BUNDLES[0], tmp_path / "engines" / "town")
    record, images = tmp_path / "calib" / "town" / "frames.json", tmp_path / "images"
    images.mkdir()
    record.parent.mkdir(parents=True)
    for seed in (1, 2):
        cv2.imwrite(str(images / f"{seed}.png"), noise_image(360, 480, seed=seed)[0])
    record.write_text(json.dumps({"frames": {path.name: sha256(path) for path in sorted(images.iterdir())}}))
    cuda, town = FakeCuda(), bundle(tmp_path / "engines" / "town")
    flavour, api = ten(cuda)
    api.look = lambda pointer, shape: (cuda.block(pointer).any(), shape)
    cpu = open_backend("onnxruntime", device="cpu", precision="fp32", threads=1)
    made = calibrate_bundle(town, images, flavour, cuda, cpu, lambda line: None)
    assert [path.name for path in made] == ["low.entropy.cache", "high.entropy.cache", "head.entropy.cache"]
    assert len(api.seen) == 2 * 3
    assert not api.seen[0]["key_embedding"][0]  # the first picture has no key
    assert api.seen[1]["key_embedding"][0]
    assert api.seen[-1]["context"] == (True, (1, 128, 23, 30))
    (images / "2.png").write_bytes(b"another")
    with pytest.raises(DataError, match=r"2\.png: is not the picture .* \(SHA-256 differs\)"):
        calibrate_bundle(town, images, flavour, cuda, cpu, lambda line: None)
    (images / "2.png").unlink()
    with pytest.raises(DataError, match=r"2\.png: is missing"):
        calibrate_bundle(town, images, flavour, cuda, cpu, lambda line: None)
