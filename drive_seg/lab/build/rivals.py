"""Writes the plain per-frame networks as others ship them: one ONNX file each, fixed size, normalised floats in, full-size scores out.

Nothing taught them anything. Their time does not depend on that, so they are there to be timed beside a bundle, and for nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from drive_seg.contracts import Array, Image
from drive_seg.errors import SinkError, UsageError
from drive_seg.foreign import tables
from drive_seg.lab.build.export import PALETTE, Piece, gflop, trace
from drive_seg.lab.build.quantize import calibrate, in_floats, quantize, spread
from drive_seg.lab.evaluate.pairs import read_picture
from drive_seg.lab.models.rivals import MULTIPLE, RIVALS, make_rival
from drive_seg.preprocess import to_input
from drive_seg.sources.demo import DemoDrive

SIZE_HW = (360, 480)
CLASSES = "classes.txt"
UNTRAINED = "untrained: for speed only"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of RGB from 0 to 1
SEED = 7
SETTLING, APART = 8, 50  # frames of the demo drive; its second street begins between frames 240 and 360
FRAMES = 16  # of int8's calibration: as good as 64 (quantize.py), and every picture's full-size scores are kept


@dataclass(frozen=True, slots=True)
class Written:
    """One network, and where it lies."""

    name: str
    files: tuple[Path, ...]  # floats, and int8 if that was asked for
    parameters: int
    gflop: float  # multiplications and additions both, as in a bundle's card: twice what papers count


def write_rivals(out: Path, names: Sequence[str], size_hw: tuple[int, int] = SIZE_HW, images: Path | None = None) -> Iterator[Written]:
    """Writes NAME.onnx, with `images` NAME.int8.onnx calibrated on them too, and classes.txt, CamVid's, into `out`, one by one.

    Raises UsageError for a name or size that cannot be, DataError for pictures that cannot be used, SinkError.
    """
    if unknown := [name for name in names if name not in RIVALS]:
        raise UsageError(f"{unknown[0]}: no such network; there are {', '.join(RIVALS)}")
    if any(length < MULTIPLE or length % MULTIPLE for length in size_hw):
        raise UsageError(f"--input-size {size_hw[1]}x{size_hw[0]}: give multiples of {MULTIPLE}")
    calibration = [_as_fed(read_picture(path), size_hw) for path in spread(images, FRAMES)] if images else []
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / CLASSES).write_text("".join(f"{name} #{r:02x}{g:02x}{b:02x}\n" for name, (r, g, b) in PALETTE.items()))
    except OSError as error:
        raise SinkError(f"{out}: cannot be written ({error.strerror}); give another --out") from error
    drive = DemoDrive(SEED)
    settling = torch.from_numpy(np.concatenate([_as_fed(drive.frame(APART * i)[0], size_hw) for i in range(SETTLING)]))
    for name in names:
        written = write_plain(name, out / f"{name}.onnx", settling)
        yield written if not calibration else quantize_plain(written, calibration)


def _as_fed(image: Image, size_hw: tuple[int, int]) -> Array:
    """Float (1, 3, H, W), as drive_seg.foreign feeds it."""
    rgb = to_input(image, size_hw)[0, :, :, ::-1]
    return np.stack([table[rgb[:, :, i]] for i, table in enumerate(tables(MEAN, STD))])[None]


def write_plain(name: str, path: Path, settling: Tensor) -> Written:
    """One network with settled random weights, at the size of the pictures (N, 3, H, W) that settle them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = make_rival(name, len(PALETTE))
    settle(network, settling)
    piece = Piece(network, {"image": settling[:1]}, ("scores",))
    written = Written(name, (path,), sum(p.numel() for p in network.parameters()), gflop(piece))
    with torch.no_grad():
        model = trace(piece, path)
    rival = RIVALS[name]
    facts = {
        "mean": ",".join(map(str, MEAN)),
        "std": ",".join(map(str, STD)),
        "Image.BitmapPixelFormat": "Rgb8",
        "weights": UNTRAINED,
        "network": rival.title,
        "paper": rival.paper,
        "parameters": str(written.parameters),
        "gflop": str(written.gflop),
    }
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return written


@torch.no_grad()
def settle(network: nn.Module, pictures: Tensor) -> None:
    """Gives every batch norm these pictures' statistics, in inference mode then: random features neither die out nor blow up.

    A network of denormals or infinities would not take the time that a trained one does.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()(pictures)
    network.eval()


def quantize_plain(written: Written, pictures: Sequence[Array]) -> Written:
    """Writes the int8 file beside the float one, rounded as a bundle's stages are (quantize.py)."""
    path = written.files[0]
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    ranges = calibrate(model, [{"image": picture} for picture in pictures])
    beside = path.with_suffix(".int8.onnx")
    onnx.save(quantize(model, ranges, in_floats(model, None)), beside)
    return Written(written.name, (path, beside), written.parameters, written.gflop)
