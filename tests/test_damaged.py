"""Files that are cut, damaged or mad, of every kind that is read: one line that names the file and a remedy, never a traceback."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from drive_seg import cli
from drive_seg.cli.flags import out
from drive_seg.errors import BackendError, BundleError, UsageError
from drive_seg.lab.evaluate.report import blank, drawn
from drive_seg.lab.train.loop import keep_rows
from drive_seg.network.card import load_bundle
from drive_seg.network.foreign import describe
from drive_seg.settings import Settings
from drive_seg.ui.keeping import Keeper
from tests.fakes import make_bundle

DEEP, DIGITS = "[" * 100_000, "9" * 100_000
LINE = '{"index": 0, "key": true, "reason": "age", "text": "", "score": null, "threshold": null}\n'
RECIPE = json.dumps({"data": "camvid11:x", "classes": ["road", "car"], "epochs": 1})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["run --headless --config FILE", "train FILE --out o", "bench --matrix FILE --out o"])
@pytest.mark.parametrize(
    "content",
    [
        f"a = {DEEP}".encode(),
        f"a = {DIGITS}".encode(),
        b'a = "\xff"',
        b"a = ",
        b'combination = "abc"',
        b"combination = [1]",
        b"rounds = " + b"9" * 400,
    ],
    ids=["deep", "digits", "no UTF-8", "cut", "a word", "a number", "large"],
)
def test_toml(here: Path, capsys: pytest.CaptureFixture[str], command: str, content: bytes) -> None:
    (here / "f.toml").write_bytes(content)
    said = refused(capsys, *command.replace("FILE", "f.toml").split())
    assert "f.toml" in said


@pytest.mark.parametrize(
    "command",
    [
        *("run --headless --config FILE", "train FILE --out o", "bench --matrix FILE --out o", "bench --compare FILE FILE"),
        *("run --headless --replay FILE", "run --headless --model net.onnx --class-names FILE"),
    ],
)
def test_a_video_given_as_a_text_is_not_read_to_its_end(here: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    with (here / "f.toml").open("wb") as file:
        file.truncate(1 << 40)  # a hole: no disk has it
    (here / "net.onnx").write_bytes(b"")
    said = refused(capsys, *command.replace("FILE", "f.toml").split())
    assert "f.toml" in said


@pytest.mark.parametrize(
    "content",
    [
        LINE.replace("0", "1e999").encode(),
        LINE[:40].encode(),
        DEEP.encode(),
        b"[]\n",
        b"1\n",
        b"\xff\n",
        LINE.replace("0", DIGITS).encode(),
        LINE.replace("null", '"a"').encode(),
        LINE.replace('"age"', "[]").encode(),
    ],
    ids=["1e999", "cut", "deep", "a list", "a number", "no UTF-8", "digits", "a score in words", "a reason that is a list"],
)
def test_replay(here: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (here / "t.jsonl").write_bytes(content)
    assert "t.jsonl" in refused(capsys, "run", "--headless", "--replay", "t.jsonl")


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "1",
        '{"rows": [{"name": "a"}]}',
        '{"rows": 1}',
        '{"rows": [1]}',
        DEEP,
        "",
        '{"rows": [{"name": "a", "turns": [{"per_frame": 1}]}]}',
    ],
    ids=["a list", "a number", "no turns", "rows that are none", "a row that is none", "deep", "empty", "a turn that is none"],
)
def test_compare(here: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    (here / "a.json").write_text(content)
    assert "a.json" in refused(capsys, "bench", "--compare", "a.json", "a.json")


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"recipe": "nan"},
        {"recipe": "[]", "step": "1"},
        {"recipe": RECIPE},
        {"recipe": RECIPE, "step": "x"},
        {"recipe": RECIPE, "step": "1"},
        {"recipe": "{}", "step": "1"},
    ],
    ids=["nothing", "nan", "a list", "no step", "a word for a step", "no weights", "an empty recipe"],
)
def test_checkpoint(here: Path, capsys: pytest.CaptureFixture[str], about: dict[str, str]) -> None:
    save_file({"x": np.zeros(1, np.float32)}, here / "c.safetensors", about)
    assert "c.safetensors" in refused(capsys, "export", "c.safetensors", "--out", "o")


def test_a_damaged_log_keeps_its_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    deep, whole = DEEP.encode(), '{"epoch": 1, "step": 10}\n'
    log.write_bytes(whole.encode() + b'{"epoch": 2}\n[1]\n\xff\xfe}\n{"step": 1e999}\n' + deep + b'\n{"step": 11}\n{"epoch": 3, "st')
    keep_rows(log, 10)
    assert log.read_text() == whole


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code in (1, 2)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("drive-seg: ")]
    assert len(line) < 1000
    return line


def network(folder: Path, shape: list[int]) -> str:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["y"])], "g", [ports[0]], [ports[1]])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "n.onnx")
    (folder / "n.txt").write_text("a\nb\nc\n")
    return str(folder / "n.onnx")


@pytest.mark.parametrize("shape", [[1, 3, 100_000, 100_000], [1, 3, 0, 8], [1, 3, 8, 2**40]], ids=str)
def test_absurd_networks(here: Path, capsys: pytest.CaptureFixture[str], shape: list[int]) -> None:
    network(here, shape)
    assert "export it again" in refused(capsys, "run", "--headless", "--model", "n.onnx", "--labels", "n.txt", "--backend", "openvino")


def test_names_that_are_no_utf_8(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(network(here, [1, 3, 8, 8]))
    path.write_bytes(path.read_bytes().replace(b"image", b"im\xb1ge"))
    assert "n.onnx" in refused(capsys, "run", "--headless", "--model", "n.onnx", "--labels", "n.txt", "--backend", "openvino")


@pytest.mark.parametrize(
    "given",
    [
        {"std": "nan,1,1"},
        {"mean": "inf,0,0"},
        {"scale": "nan"},
        {"give_up": "9" * 400 + "s"},
        {"input_size": "1x99999"},
        {"mode": "async:" + DIGITS},
        {"deadline": "9" * 400 + "fps"},
        {"min_time": "inf"},
        {"threads": "9" * 20},
    ],
)
def test_numbers_that_are_none(given: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        Settings.load(None, given)


@pytest.mark.parametrize("name", ["a\nb", "\udcff.mp4", "\x1b[31mred.mp4", "a\0b"])
def test_a_name_of_any_characters_is_one_plain_line(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    for flag in ("--source", "--class-names", "--output"):
        said = refused(capsys, "run", "--headless", "--model", "x.onnx", "--json", "nodir/j", flag, name)
        assert said.isprintable()
        assert "[" not in said.partition(":")[0]


@pytest.mark.parametrize("what", ["mean", "std"])
def test_nor_in_a_network_s_metadata(what: str) -> None:
    from drive_seg.classes import read_class_names
    from drive_seg.contracts import OnnxFile, Port

    file = OnnxFile("n.onnx", (Port("image", "float32", (1, 3, 8, 8)),), (Port("y", "float32", (1, 2, 8, 8)),), {what: "1,nan,1"})
    with pytest.raises(UsageError, match=what):
        describe(file, read_class_names(("a", "b")))


@pytest.mark.parametrize(
    "changes",
    [
        {"input": {"name": "image", "height": 24, "width": 32, "multiple": 0}},
        {"input": {"name": "image", "height": 10**9, "width": 32, "multiple": 8}},
        {"key_inputs": {"key_detail": {"channels": 1, "stride": 0}}},
        {"measured": 3},
        {"measured": {"clip": 3}},
        {"measured": {"clip": {"miou": "x"}}},
    ],
    ids=["multiple 0", "a height of 10^9", "stride 0", "no table", "an entry that is no table", "mIoU in words"],
)
def test_cards(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(BundleError, match=r"card\.json: .*; restore the bundle or export it again"):
        make_bundle(tmp_path / "b", **changes)


@pytest.mark.parametrize("name", ["../low.onnx", "/etc/passwd", "a/low.onnx", "..", "", "a\\low.onnx", "C:low.onnx", "a\0"])
def test_a_card_names_files_beside_itself_alone(tmp_path: Path, name: str) -> None:
    bundle = make_bundle(tmp_path / "b")
    card = json.loads(bundle.card.model_dump_json())
    card["stages"]["low"]["file"] = name
    (tmp_path / "b" / "card.json").write_text(json.dumps(card))
    (tmp_path / "low.onnx").write_bytes((tmp_path / "b" / "low.onnx").read_bytes())
    with pytest.raises(BundleError, match="no name of a file beside the card"):
        load_bundle(tmp_path / "b")


def test_a_class_may_be_called_anything(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table("class", title="[/x]")
    table.add_row("[/x]")
    out.print(table)
    out.print("[/x] [bold]")
    assert capsys.readouterr().out.count("[/x]") == 3
    figure = blank((2, 2))
    axes = figure.add_subplot(title=r"$\foo$")
    axes.set_xticks(range(1), [r"$\foo$"])
    assert drawn(figure).startswith("data:image/png")


@pytest.mark.parametrize("error", [ValueError("odd rtsp://me:hunter2@cam"), BackendError("ours")])
def test_a_snapshot_that_fails_says_so(qtbot: Any, error: Exception) -> None:
    keeper = Keeper(SimpleNamespace(), SimpleNamespace())  # type: ignore[arg-type]

    def fails() -> list[Path]:
        raise error

    with qtbot.waitSignal(keeper.told) as told:
        keeper._apart(fails)
    keeper.close()
    line, failed = told.args
    assert failed
    assert "hunter2" not in line
    assert ("odd" in line) or line == "ours"
