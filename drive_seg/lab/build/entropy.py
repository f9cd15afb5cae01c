"""Calibrates a bundle with TensorRT 10's entropy calibrator, on the pictures that calib/<bundle>/frames.json names."""

import json
from pathlib import Path

import numpy as np

from drive_seg.backends import open_backend
from drive_seg.backends.tensorrt.build import Progress, build_engine
from drive_seg.backends.tensorrt.calibrate import cache_of, can_calibrate, from_pictures
from drive_seg.backends.tensorrt.cuda import Cuda, find_gpu, open_cuda
from drive_seg.backends.tensorrt.flavour import Flavour, find_flavour
from drive_seg.backends.tensorrt.obtain import Tell
from drive_seg.card import Bundle, Card, sha256
from drive_seg.contracts import Array, Backend, StageName, Tensors
from drive_seg.engine import key_shapes
from drive_seg.errors import BackendError, DataError
from drive_seg.lab.evaluate.pairs import read_picture
from drive_seg.preprocess import input_size, to_input


def listed_frames(record: Path, images: Path) -> list[Path]:
    """The pictures of the record, frames.json, in `images`, each checked against its SHA-256.

    Raises DataError naming the first that is missing or another.
    """
    try:
        hashes: dict[str, str] = json.loads(record.read_text())["frames"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{record}: is no list of pictures ({error}); make it with `drive-seg quantize`") from error
    for name, wanted in hashes.items():
        path = images / name
        if not path.is_file():
            raise DataError(f"{path}: is missing; {record} was made with it")
        if sha256(path) != wanted:
            raise DataError(f"{path}: is not the picture that {record} was made with (SHA-256 differs)")
    return [images / name for name in hashes]


def feed_stages(bundle: Bundle, cpu: Backend, pictures: list[Path]) -> dict[StageName, list[Tensors]]:
    """What every stage of a key frame is given for every picture, by input; each stage in floats on `cpu`, after the one before.

    A picture is told of the one before it as its key.
    """
    card = bundle.card
    frames = [_as_fed(path, card) for path in pictures]
    size = frames[0][card.input.name].shape[1:3]
    none = {name: np.zeros(shape, np.float32) for name, shape in key_shapes(card, size).items()}
    key, fed = none, dict[StageName, list[Tensors]]()
    for name in card.stages:
        takes = card.stages[name].inputs
        shapes = {tensor: ({**frames[0], **none})[tensor].shape for tensor in takes}
        stage = cpu.load(bundle.onnx(name), shapes)
        fed[name] = []
        for frame in frames:
            given = {tensor: {**key, **frame}[tensor] for tensor in takes}
            fed[name].append(given)
            frame |= {tensor: np.array(value) for tensor, value in stage(given).items()}
            key = {tensor: frame[tensor.removeprefix("key_")] for tensor in none}
        stage.close()
    return fed


def _as_fed(path: Path, card: Card) -> dict[str, Array]:
    image = read_picture(path)
    about, multiple = (card.input.height, card.input.width), card.input.multiple
    return {card.input.name: to_input(image, input_size((image.shape[0], image.shape[1]), about, multiple))}


def calibrate_here(bundle: Bundle, images: Path, tell: Tell, progress: Progress | None = None) -> list[Path]:
    """`calibrate_bundle` on this machine's GPU. Raises BackendError, DataError."""
    gpu, flavour = find_gpu(), find_flavour()
    cpu, cuda = open_backend("onnxruntime", device="cpu", precision="fp32", threads=None), open_cuda(gpu.ordinal)
    try:
        return calibrate_bundle(bundle, images, flavour, cuda, cpu, tell, progress)
    finally:
        cuda.close()


def calibrate_bundle(
    bundle: Bundle, images: Path, flavour: Flavour, cuda: Cuda, cpu: Backend, tell: Tell, progress: Progress | None = None
) -> list[Path]:
    """Writes the ranges of every stage into calib/<bundle>/, and returns where. Raises BackendError, DataError."""
    from drive_seg.backends.tensorrt.typed import typed_network

    record = cache_of(bundle.onnx("low")).with_name("frames.json")
    if not can_calibrate(flavour):
        raise BackendError(f"{flavour.title} has no entropy calibrator; leave --calibrate out: int8 comes from the bundle's int8 files")
    made = []
    for name, batches in feed_stages(bundle, cpu, listed_frames(record, images)).items():
        path = bundle.onnx(name)
        cache = cache_of(path)
        tell(f"calibrating {bundle.card.name}/{name} on {len(batches)} pictures with {flavour.title} …")
        model = typed_network(path, {tensor: value.shape for tensor, value in batches[0].items()}, "fp32").model
        with cuda.current(), from_pictures(flavour, cuda, batches, cache) as calibrator:
            build_engine(flavour, Path(path).name, model, "int8", progress, calibrator)
        if not cache.is_file():
            raise BackendError(f"{flavour.title} built {name} and gave no ranges; leave --calibrate out")
        made.append(cache)
    return made
