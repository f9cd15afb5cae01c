"""`drive-seg build` fills the store, `engines` shows and clears it."""

from pathlib import Path

import pytest

from drive_seg import cli
from drive_seg.backends.tensorrt import store

from .networks import BUNDLES

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "cache_folder", lambda: tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return int(ended.value.code or 0)


@pytest.mark.tensorrt
def test_build_for_frames_of_a_size_makes_what_a_run_of_them_takes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    assert command("build", str(BUNDLES[0]), "--input-size", "160x96", "--frame-size", "320x240") == 0
    capsys.readouterr()
    assert command("engines", "list") == 0
    low = next(line for line in capsys.readouterr().out.splitlines() if "/low.onnx" in line)
    assert "1x240x320x3" in low
    assert command("build", str(BUNDLES[0]), "--frame-size", "320") == 2
    assert "--frame-size 320: give width and height" in capsys.readouterr().err


@pytest.mark.tensorrt
def test_build_makes_engines_that_list_shows_and_clear_removes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'drive-seg[tensorrt-rtx]'")
    assert command("build", str(BUNDLES[0]), "--precision", "int8", "--input-size", "240x192") == 0
    said = capsys.readouterr()
    assert "low.int8.onnx: int8" in said.err
    assert "engines by TensorRT for RTX" in said.out
    plans = sorted(folder.glob("*.plan"))
    assert len(plans) >= 3
    plans[0].write_bytes(b"rubbish")
    assert command("engines", "list") == 0
    listed = capsys.readouterr().out
    assert listed.count("int8") >= len(plans)
    assert listed.count("damaged") == 1
    assert "1x192x240x3" in listed
    assert command("engines", "clear") == 0
    assert f"removed {len(plans)} engines" in capsys.readouterr().out
    assert not list(folder.iterdir())
    assert command("engines", "list") == 0
    assert "drive-seg build" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--backend", "openvino"], "only tensorrt"), (["--precision", "fp7"], "fp7"), (["nonsense"], "nonsense: no such model")],
)
def test_what_cannot_be_meant_is_wrong_use(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("build", *arguments) == 2
    assert says in capsys.readouterr().err
