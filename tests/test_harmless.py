"""No user's file is harmed by a run, whatever its paths are: each mistake is one line, exit code 2, and every byte is where it was."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from drive_seg import cli
from drive_seg.cli.flags import alone_in

ROOT = Path(__file__).parents[1]
SHORT = "demo:?size=128x96&frames=3"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, which is the working folder too, with what a person may have in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("drive.mp4", " IN", "IN", "names.txt", "run.jsonl", "keep.mp4", "keep.json", "net.onnx"):
        (tmp_path / name).write_bytes(os.urandom(100))
    (tmp_path / "hard.mp4").hardlink_to("drive.mp4")
    (tmp_path / "soft.mp4").symlink_to("drive.mp4")
    (tmp_path / "hard.json").hardlink_to("drive.mp4")
    for folder in ("plain", "set/images", "set/labels"):
        (tmp_path / folder).mkdir(parents=True)
        for index in range(3):
            cv2.imwrite(f"{folder}/{index:06}.png", np.full((96, 128, 3) if "labels" not in folder else (96, 128), index, np.uint8))
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    """But for what libraries keep in a home folder."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".")}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return int(end.value.code or 0), capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    """The line; nothing was written, and nothing changed."""
    before = contents(folder)
    code, said = run(capsys, *arguments)
    assert contents(folder) == before
    (line,) = [line for line in said.splitlines() if line.startswith("drive-seg: ")]
    assert (code, "; " in line) == (2, True), line
    return line


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ("--video drive.mp4 --output drive.mp4", ("--source", "--output")),
        ("--video drive.mp4 --output ./plain/../drive.mp4", ("--source", "--output")),
        ("--video drive.mp4 --output hard.mp4", ("--source", "--output")),
        ("--video drive.mp4 --output soft.mp4", ("--source", "--output")),
        ("--video soft.mp4 --output drive.mp4", ("--source", "--output")),
        ("--video ~/drive.mp4 --output drive.mp4", ("--source", "--output")),
        ("--video drive.mp4 --output ~/drive.mp4", ("--source", "--output")),
        ("--video IN --trace IN", ("--source", "--trace")),
        ("--video IN --json IN", ("--source", "--json")),
        ("--video drive.mp4 --json hard.json", ("--source", "--json")),
        ("--output o.mp4 --trace o.mp4", ("--output", "--trace")),
        ("--output o.mp4 --trace O.MP4", ("--output", "--trace")),
        ("--output o.mp4 --json o.mp4.part", ("--output", "--json")),
        ("--trace o.jsonl --json o.jsonl", ("--trace", "--json")),
        ("--replay run.jsonl --trace run.jsonl", ("--replay", "--trace")),
        ("--model net.onnx --class-names names.txt --json names.txt", ("--class-names", "--json")),
        ("--model net.onnx --class-names names.txt --trace net.onnx", ("--model", "--trace")),
        ("--source plain --save-masks plain", ("--source", "--save-masks")),
        ("--source plain/*.png --save-masks plain", ("--source", "--save-masks")),
        ("--source plain/000001.png --save-masks ~/plain", ("--source", "--save-masks")),
        ("--source set --save-masks set/images", ("--source", "--save-masks")),
        ("--source set/images --save-masks set/labels", ("--source", "--save-masks")),
        ("--source set --json set/labels/000001.png", ("--source", "--json")),
        ("--save-masks new --json new/000001.png", ("--save-masks",)),
    ],
)
def test_two_uses_of_one_path_are_refused_with_both_flags_even_when_overwriting_is_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: str, flags: tuple[str, ...]
) -> None:
    given = ["run", "--headless", *([] if "--source" in arguments or "--video" in arguments else ["--source", SHORT]), *arguments.split()]
    for more in ([], ["-y"], ["--benchmark", "-y"]):
        line = refused(capsys, home, *given, *more)
        assert all(flag in line for flag in flags), line


def test_a_file_that_begins_with_a_blank_is_another_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--source" in refused(capsys, home, "run", "--headless", "--video", " IN", "--json", " IN", "-y")
    before = (home / "IN").read_bytes()
    code, said = run(capsys, "run", "--headless", "--video", " IN", "--json", "IN", "-y")  # which is no video
    assert (code, (home / "IN").read_bytes()) == (1, before), said
    (home / " IN").unlink()  # now IN is meant
    assert "--source" in refused(capsys, home, "run", "--headless", "--video", " IN", "--json", "IN", "-y")


@pytest.mark.parametrize("output", ["~/drive.mp4", "drive.mp4", "~/plain/../soft.mp4"])
def test_a_file_of_settings_cannot_delete_its_source(home: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    (home / "drive.toml").write_text(f'source = "~/drive.mp4"\noutput = "{output}"\noverwrite = true\nheadless = true\n')
    line = refused(capsys, home, "run", "--config", "drive.toml")
    assert "--source" in line
    assert "--output" in line


def test_a_file_of_settings_is_not_written_over(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "drive.toml").write_text(f'source = "{SHORT}"\njson = "~/drive.toml"\n')
    assert "--config" in refused(capsys, home, "run", "--headless", "--config", "drive.toml", "-y")
    (home / "drive.toml").write_text('config = "other.toml"\n')
    assert "cannot name another" in refused(capsys, home, "run", "--headless", "--config", "drive.toml")


@pytest.mark.parametrize(
    "arguments",
    [
        "run --headless --output keep.mp4", "run --headless --trace run.jsonl", "run --benchmark --json keep.json",
        "run --headless --save-masks plain", "evaluate --json keep.json", "evaluate --report keep.json", "bench --json keep.json",
    ],
)  # fmt: skip
def test_nothing_that_is_there_is_overwritten_unasked(home: Path, capsys: pytest.CaptureFixture[str], arguments: str) -> None:
    line = refused(capsys, home, *arguments.split(), "--source", SHORT)
    assert arguments.split()[-2] in line
    assert "--overwrite" in line


def test_reports_are_no_exception(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = ["--images", "set/images", "--labels", "set/labels"]
    assert "--labels" in refused(capsys, home, "evaluate", *pairs, "--report", "set/labels/000001.png", "-y")
    (home / "m.toml").write_text(f'source = "{SHORT}"\nschedule = ["every-frame", "clockwork:2"]\n')
    (home / "out").mkdir()
    (home / "out" / "m.html").write_text("kept")
    assert "--overwrite" in refused(capsys, home, "bench", "--matrix", "m.toml", "--out", "out")
    (home / "out" / "m.md").write_text("<!-- bench:m -->\n<!-- /bench -->\n")
    assert "--into" in refused(capsys, home, "bench", "--matrix", "m.toml", "--out", "out", "--into", "out/m.md", "-y")
    (home / "set" / "card.json").write_text("{}")
    assert "--overwrite" in refused(capsys, home, "export", "keep.json", "--out", "set")
    assert "--overwrite" in refused(capsys, home, "sweep", "--clip", "set", "--out", str(_touched(home / "plain" / "sweep.md").parent))


def _touched(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize("wrong", [["--trace", "nodir/t"], ["--json", "nodir/j"], ["--precision", "int3"], ["--model", "nonesuch"]])
def test_a_failed_start_leaves_what_was_there(home: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]) -> None:
    before = contents(home)
    code, _ = run(capsys, "run", "--headless", "--source", SHORT, "--output", "keep.mp4", "--trace", "run.jsonl", "-y", *wrong)
    assert code in (1, 2)
    assert contents(home) == before


def test_what_is_asked_for_is_written_and_replaced(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--output", "keep.mp4", "--save-masks", "~/plain", "--trace", "soft.jsonl", "--json", "~/keep.json", "--overwrite"]
    (home / "soft.jsonl").symlink_to("run.jsonl")
    assert run(capsys, "run", "--headless", "--source", SHORT, *asked)[0] == 0
    with av.open("keep.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == 3
    assert np.asarray(cv2.imread("plain/000002.png", cv2.IMREAD_UNCHANGED)).shape == (96, 128)
    assert (home / "soft.jsonl").is_symlink()
    assert len((home / "run.jsonl").read_text().splitlines()) == 3
    assert (home / "keep.json").read_text().startswith("{")
    assert not [path for path in home.rglob("*") if ".part" in path.name]


def test_a_second_run_is_refused_and_a_killed_one_leaves_what_can_be_played(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(home)
    command = [sys.executable, "-m", "drive_seg", "run", "--headless", "--source", "demo:?size=128x96&frames=100000"]
    command += ["--output", str(home / "keep.mp4"), "--trace", str(home / "new.jsonl"), "--json", str(home / "new.json"), "-y"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        part = home / "keep.mp4.part"
        try:
            while not part.exists() or part.stat().st_size < 5_000:
                assert process.poll() is None
                time.sleep(0.05)
            for flag, name in (("--output", "keep.mp4"), ("--trace", "new.jsonl"), ("--json", "new.json")):
                code, said = run(capsys, "run", "--headless", "--source", SHORT, flag, name, "-y")
                assert code == 2
                assert "is being written by another run" in said
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    assert {name: content for name, content in contents(home).items() if ".part" not in name} == before
    with av.open(str(part)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames > 5
    lines = (home / "new.jsonl.part").read_text().splitlines()
    assert len(lines) > 5
    assert all(line.endswith("}") for line in lines)
    assert run(capsys, "run", "--headless", "--source", SHORT, "--output", "keep.mp4", "-y")[0] == 0
    with av.open("keep.mp4.2.part") as container:
        assert sum(1 for _ in container.decode(video=0)) == frames


@pytest.mark.parametrize("link", ["symbolic", "hard"])
@pytest.mark.parametrize("played", ["linked", "plain"])
def test_no_mask_reaches_a_picture_that_is_played_through_a_link(
    home: Path, capsys: pytest.CaptureFixture[str], link: str, played: str
) -> None:
    (home / "linked").mkdir()
    for picture in (home / "plain").iterdir():
        there = home / "linked" / picture.name
        there.symlink_to(picture) if link == "symbolic" else there.hardlink_to(picture)
    other = {"linked": "plain", "plain": "linked"}[played]
    assert "--save-masks" in refused(capsys, home, "run", "--headless", "--source", played, "--save-masks", other, "-y")


def test_no_mask_is_written_through_a_link(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "masks").mkdir()
    (home / "masks" / "000001.png").symlink_to("../keep.mp4")
    line = refused(capsys, home, "run", "--headless", "--source", SHORT, "--save-masks", "masks", "-y")
    assert "000001.png: is a link" in line


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.ffconcat", "ffconcat version 1.0\nfile drive.mp4\n"),
        ("list.txt", "ffconcat version 1.0\nfile 'drive.mp4'\n"),
        ("list.m3u8", "#EXTM3U\n#EXTINF:1,\ndrive.mp4\n"),
        ("list.m3u", '#EXTM3U\n#EXT-X-MAP:URI="drive.mp4"\nother.ts\n'),
        ("list.mpd", '<?xml version="1.0"?>\n<MPD><BaseURL>drive.mp4</BaseURL></MPD>'),
        ("outer.ffconcat", "ffconcat version 1.0\nfile list.m3u8\n"),
    ],
)
def test_what_a_playlist_names_is_read(home: Path, capsys: pytest.CaptureFixture[str], name: str, content: str) -> None:
    (home / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\ndrive.mp4\n")
    (home / name).write_text(content)
    line = refused(capsys, home, "run", "--headless", "--source", name, "--output", "drive.mp4", "-y")
    assert "--source" in line
    assert "--output" in line


def test_the_weights_that_a_network_keeps_in_another_file_are_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 140 + ".bin"  # whose length takes two bytes in the file
    for weights in ("weights.bin", name):
        (home / weights).write_bytes(b"precious")
        size = bytes([len(weights)]) if len(weights) < 128 else bytes([len(weights) & 127 | 128, len(weights) >> 7])
        (home / "net.onnx").write_bytes(b"head\x0a\x08location\x12" + size + weights.encode() + b"tail")
        arguments = ("--source", SHORT, "--model", "net.onnx", "--labels", "names.txt", "--json", weights, "-y")
        assert "--model" in refused(capsys, home, "run", "--headless", *arguments)


@pytest.mark.parametrize("output", ["x.avi", "x", "/dev/null"])
def test_what_no_recording_can_be_is_told_before_the_work(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    for work in ("open_source", "find_model"):
        monkeypatch.setattr(f"drive_seg.session.opening.{work}", lambda *_, **__: pytest.fail("it was begun"))
    line = refused(capsys, home, "run", "--headless", "--source", SHORT, "--output", output)
    assert f"{output}: recordings end with .mp4, .mov, .mkv or .mcap; choose one of these" in line


def test_no_output_lies_within_another(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, home, "run", "--headless", "--source", SHORT, "--save-masks", "m/sub", "--json", "m")
    assert "--save-masks" in line
    assert "--json" in line


@pytest.mark.parametrize("flag", ["--json", "--save-masks", "--model", "--source", "--output", "--config"])
def test_a_name_that_is_too_long_is_one_line(home: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert "255 bytes" in refused(capsys, home, "run", "--headless", "--source", SHORT, flag, "n" * 256)


@pytest.mark.parametrize(
    "command",
    [
        "train r.toml --out keep.mp4", "train-temporal camvid t.toml --out keep.mp4/x", "zoo r.toml --out keep.mp4",
        "export keep.mp4 --out keep.json", "quantize camvid --images plain --calib keep.mp4", "sweep --clip set --out keep.mp4",
        "bench --schedule every-frame --schedule clockwork:4 --out keep.mp4",
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_made_is_told_before_the_work(home: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    pytest.importorskip("torch", reason="the workshop needs torch: pip install 'drive-seg[lab]'")
    for name in ("r", "t"):
        recipe = ROOT / "recipes" / {"r": "camvid.toml", "t": "temporal.toml"}[name]
        (home / f"{name}.toml").write_bytes(recipe.read_bytes())
    before = contents(home)
    code, said = run(capsys, *command.split())
    (line,) = [line for line in said.splitlines() if line.startswith("drive-seg: ")]
    assert (code, contents(home)) == (1, before), line
    assert f"; give another --{'calib' if 'calib' in command else 'out'}" in line


def test_no_two_trainings_share_a_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="the workshop needs torch: pip install 'drive-seg[lab]'")
    (home / "r.toml").write_bytes((ROOT / "recipes" / "camvid.toml").read_bytes())
    with alone_in(home / "run"):
        code, said = run(capsys, "train", "r.toml", "--out", "run")
        assert (code, "is being written by another run" in said) == (2, True), said
    assert contents(home / "run") == {}


def test_an_export_replaces_no_file_unasked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="the workshop needs torch: pip install 'drive-seg[lab]'")
    (home / "mine").mkdir()
    (home / "mine" / "low.onnx").write_bytes(b"precious")
    assert "low.onnx" in refused(capsys, home, "export", "keep.mp4", "--out", "~/mine")
