"""The networks that others ship are what their papers say, run alike on every backend, and do not claim to be taught."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from drive_seg import cli
from drive_seg.backends import open_backend, read_onnx
from drive_seg.classes import ClassName, read_class_names
from drive_seg.contracts import Array, Frame, Image, Labels
from drive_seg.errors import UsageError
from drive_seg.foreign import ForeignEngine, describe
from drive_seg.lab.build.rivals import UNTRAINED, settle, write_rivals
from drive_seg.lab.models.bisenetv2 import BiSeNetV2
from drive_seg.lab.models.rivals import RIVALS, make_rival
from drive_seg.pipeline import Pipeline
from drive_seg.schedule import EveryFrame
from drive_seg.sources.demo import DemoDrive

RUNTIMES = ("openvino", "onnxruntime", "torch")
SIZE_HW = (72, 96)  # no multiple of 16 high: the deeper maps reach beyond the picture


@dataclass(frozen=True)
class Published:
    """What a paper or its published code says of a network."""

    classes: int
    parameters: int
    within: float  # of the parameters, as a share: how the figure is rounded
    size_hw: tuple[int, int]
    gmac: float | None = None  # multiply-adds, of which papers say FLOPs


PUBLISHED = {
    # torchvision: 11,029,328 with the auxiliary head, whose convolutions 40 to 10 (3x3, with batch norm) and 10 to 21 (1x1) have 3,851;
    # and 10.452 GMAC with the 0.015 of that head
    "deeplabv3mobilenet": Published(21, 11_029_328 - 3_851, 0, (520, 520), 10.437),
    # summed up from the layers of CoinCheung/BiSeNet without the auxiliary heads; the paper gives no parameters, and 21.15 GMAC with
    # fewer channels before the scores
    "bisenetv2": Published(19, 3_358_627, 0, (512, 1024)),
    "ddrnet23slim": Published(19, 5_700_000, 0.009, (1024, 2048), 36.3),  # table IV
    "espnet": Published(20, 364_000, 0.005, (512, 1024)),  # table 1
    "enet": Published(19, 370_000, 0.03, (360, 640)),  # table 3; its 3.83 GFLOP count additions and normalisations too
}


@pytest.mark.parametrize("name", RIVALS)
def test_a_network_is_as_large_as_published(name: str) -> None:
    published = PUBLISHED[name]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = make_rival(name, published.classes).eval()
        scores = network(torch.zeros(1, 3, *published.size_hw))
    assert scores.shape == (1, published.classes, *published.size_hw)
    parameters = sum(p.numel() for p in network.parameters())
    assert abs(parameters - published.parameters) <= published.within * published.parameters
    if published.gmac:
        assert counter.get_total_flops() / 2e9 == pytest.approx(published.gmac, rel=0.002)


def test_bisenetv2s_arithmetic_is_the_papers_but_for_the_channels_before_the_scores() -> None:
    def gmac(channels: int) -> float:
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            BiSeNetV2(19, channels).eval()(torch.zeros(1, 3, 512, 1024))
        return counter.get_total_flops() / 2e9

    assert gmac(512) < 21.15 < gmac(1024)  # at 1024x512, as inside the paper


@pytest.mark.parametrize("name", RIVALS)
def test_any_multiple_of_eight_goes_through(name: str) -> None:
    with torch.device("meta"):
        network = make_rival(name, 5).eval()
        for size_hw in ((8, 8), (40, 56), (96, 64)):
            assert network(torch.zeros(2, 3, *size_hw)).shape == (2, 5, *size_hw)


def test_the_context_embedding_and_the_pyramids_see_the_whole_picture() -> None:
    """What is far away counts: the corner's scores change with the opposite corner."""
    for name in ("deeplabv3mobilenet", "bisenetv2", "ddrnet23slim"):
        network = settled(name)
        image = torch.randn(1, 3, 96, 128)
        other = image.clone()
        other[:, :, 64:, 96:] += 3
        with torch.inference_mode():
            before, after = network(image)[..., :8, :8], network(other)[..., :8, :8]
        assert not torch.allclose(before, after, atol=1e-4), name


def settled(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = make_rival(name, 5)
    settle(network, torch.randn(4, 3, 96, 128))
    return network


@pytest.mark.parametrize("name", RIVALS)
def test_settled_features_neither_die_out_nor_blow_up(name: str) -> None:
    network, spreads = settled(name), list[float]()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, made: spreads.append(float(made.abs().max())))
    with torch.inference_mode():
        network(torch.randn(1, 3, 96, 128))
    assert min(spreads) > 1e-2
    assert max(spreads) < 1e3


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), frame(100 * i))
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """All of them at their full width, in floats and int8: some seconds, once."""
    folder = tmp_path_factory.mktemp("rivals")
    list(write_rivals(folder, tuple(RIVALS), SIZE_HW, pictures))
    return folder


_DRIVE = DemoDrive(3)


def frame(index: int) -> Image:
    return _DRIVE.frame(index)[0]


def labels(folder: Path, file: str, backend: str, precision: str) -> tuple[Labels, str]:
    """Of one frame, and the precision that ran."""
    names = read_class_names(folder / "classes.txt")
    chosen = open_backend(backend, device="cpu" if backend == "torch" else None, precision=precision, threads=1)
    with ForeignEngine(describe(read_onnx(str(folder / file)), names), chosen) as engine:
        found = Pipeline(engine, EveryFrame()).step(Frame(frame(10), 0, 0.0)).labels
        assert engine.input_hw == SIZE_HW
        return found, chosen.precision


@pytest.mark.parametrize("name", RIVALS)
def test_every_backend_gives_the_same_labels(written: Path, name: str) -> None:
    found = {backend: labels(written, f"{name}.onnx", backend, "fp32")[0] for backend in RUNTIMES}
    reference = found["torch"]
    assert reference.shape == SIZE_HW
    assert len(np.unique(reference)) >= 3  # or agreeing is no merit
    assert all((one == reference).mean() >= 0.995 for one in found.values())


@pytest.mark.parametrize("name", RIVALS)
def test_int8_runs_everywhere_and_follows_the_floats(written: Path, name: str) -> None:
    """Weights that nothing taught have scores close together, which rounding swaps: scores are compared, not labels."""
    convolutions = Counter(node.op_type for node in onnx.load(written / f"{name}.int8.onnx").graph.node)
    assert convolutions["QuantizeLinear"] > convolutions["Conv"] / 2
    fed = torch.randn(1, 3, *SIZE_HW, generator=torch.Generator().manual_seed(1)).numpy()
    reference = scores(written / f"{name}.onnx", "torch", "fp32", fed)
    for backend in RUNTIMES:
        assert np.corrcoef(scores(written / f"{name}.int8.onnx", backend, "int8", fed), reference)[0, 1] > 0.5, backend


def scores(path: Path, backend: str, precision: str, fed: Array) -> Array:
    chosen = open_backend(backend, device="cpu" if backend == "torch" else None, precision=precision, threads=1)
    stage = chosen.load(str(path), {"image": fed.shape})
    assert chosen.precision == precision
    found = np.array(stage({"image": fed})["scores"]).ravel()
    stage.close()
    return found


def test_a_file_says_how_it_is_fed_and_that_nothing_taught_it(written: Path) -> None:
    for name in RIVALS:
        for file in (f"{name}.onnx", f"{name}.int8.onnx"):
            read = read_onnx(str(written / file))
            assert read.metadata["weights"] == UNTRAINED
            assert read.inputs[0].dims == (1, 3, *SIZE_HW)
            assert int(read.metadata["parameters"]) == sum(p.numel() for p in make_rival(name, 11).parameters())
            told = describe(read, (ClassName("a"), ClassName("b")))
            assert (told.mean, told.std, told.channels) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "rgb")


def test_the_same_weights_every_time(written: Path, tmp_path: Path) -> None:
    list(write_rivals(tmp_path, ["espnet"], SIZE_HW))
    assert (tmp_path / "espnet.onnx").read_bytes() == (written / "espnet.onnx").read_bytes()
    assert not (tmp_path / "espnet.int8.onnx").exists()


@pytest.mark.parametrize(
    ("names", "size_hw", "said"),
    [
        (["espnet", "yolo"], SIZE_HW, "yolo: no such network; there are deeplabv3mobilenet, "),
        (["espnet"], (60, 96), "96x60: give multiples"),
    ],
)
def test_what_cannot_be_written_is_named_before_anything_is(tmp_path: Path, names: list[str], size_hw: tuple[int, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        list(write_rivals(tmp_path / "out", names, size_hw))
    assert not (tmp_path / "out").exists()


def test_an_unknown_network_is_told_all_there_are() -> None:
    with pytest.raises(UsageError) as error:
        make_rival("yolo", 3)
    assert all(name in str(error.value) for name in RIVALS)


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def test_the_command_writes_what_launch_then_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, pictures: Path) -> None:
    code, out, err = command(capsys, "rivals", "espnet", "--out", str(tmp_path), "--input-size", "96x72")
    assert code == 0, err
    assert "ESPNet" in out
    assert UNTRAINED in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.txt", "espnet.onnx"]
    flags = ["--model", str(tmp_path / "espnet.onnx"), "--class-names", str(tmp_path / "classes.txt"), "--threads", "1"]
    code, out, err = command(capsys, "run", "--headless", "--source", str(pictures), *flags, "--save-masks", str(tmp_path / "masks"))
    assert code == 0, err
    assert "espnet.onnx sees 96x72 RGB, mean 0.485,0.456,0.406" in err
    assert len(list((tmp_path / "masks").iterdir())) == 3


def test_a_wrong_name_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = command(capsys, "rivals", "yolo", "--out", str(tmp_path))
    assert code == 2
    assert err.startswith("drive-seg: yolo: no such network")
