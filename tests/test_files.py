"""Files: what is there stays until the new one is whole, a name has one writer, and all names of a file are known for one."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from drive_seg.errors import DriveSegError, SinkError, UsageError
from drive_seg.files import Beside, Use, drop_begun, expanded, require_apart, require_writable, write, write_all

ROOT = Path(__file__).parents[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    with Beside(tmp_path / "a.txt") as beside:
        beside.file.write(b"whole")
        assert names(tmp_path) == ["a.txt.part"]
        beside.keep()
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_what_is_there_is_replaced_only_when_that_is_asked_for_and_only_by_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    with pytest.raises(UsageError, match=r"a\.txt: is there already; give another name, or --overwrite"):
        write(path, "new")
    with suppress(ZeroDivisionError), Beside(path, overwrite=True) as beside:
        beside.file.write(b"half")
        raise ZeroDivisionError
    assert (names(tmp_path), path.read_text()) == (["a.txt"], "old")
    write(path, "new", overwrite=True)
    assert (names(tmp_path), path.read_text(), path.stat().st_mode & 0o777) == (["a.txt"], "new", 0o640)


@pytest.mark.parametrize("failing", ["b", "c"])
def test_files_that_belong_together_are_replaced_once_all_of_them_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    files = {tmp_path / name: "new" for name in "abc"}
    for path in files:
        path.write_text("old")
    put = Beside.put

    def full(self: Beside, content: str | bytes) -> None:
        if self.part.name == f"{failing}.part":
            raise SinkError("the disk is full")
        put(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Beside, "put", full)
        with pytest.raises(SinkError, match="full"):
            write_all(files, overwrite=True)
    assert (names(tmp_path), {path.read_text() for path in files}) == (["a", "b", "c"], {"old"})
    write_all(files, overwrite=True)
    assert (names(tmp_path), {path.read_text() for path in files}) == (["a", "b", "c"], {"new"})


def test_what_has_come_into_being_meanwhile_is_left_and_so_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with Beside(path) as beside:
        beside.file.write(b"ours")
        path.write_text("somebody else's")
        with pytest.raises(SinkError, match=r"has come into being meanwhile; what was written is .*a\.txt\.part"):
            beside.keep()
    assert (path.read_text(), (tmp_path / "a.txt.part").read_text()) == ("somebody else's", "ours")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write(tmp_path / "link.txt", "new", overwrite=True)
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_hard_link_keeps_what_it_had(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "b.txt").hardlink_to(tmp_path / "a.txt")
    write(tmp_path / "b.txt", "new", overwrite=True)
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_folder_is_no_file_and_a_pipe_is_written_directly(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        write(tmp_path, "x", overwrite=True)
    with pytest.raises(SinkError, match="make its folder first"):
        write(tmp_path / "no" / "a.txt", "x")
    write(Path("/dev/null"), "x")
    assert not Path("/dev/null.part").exists()


HOLD = """
import sys, time
from pathlib import Path
from drive_seg.files import Beside
beside = Beside(Path(sys.argv[1]))
beside.file.write(b"killed")
beside.file.flush()
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_process_is_refused_and_what_a_killed_one_left_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=r"a\.txt: is being written by another run; give another name"):
            write(path, "second")
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert names(tmp_path) == ["a.txt.part"]
    write(path, "third")
    assert (path.read_text(), (tmp_path / "a.txt.2.part").read_text()) == ("third", "killed")
    (tmp_path / "b.txt.part").write_text("somebody else's")
    (tmp_path / "b.txt.2.part").write_text("and this")
    write(tmp_path / "b.txt", "fourth")
    assert (tmp_path / "b.txt.3.part").read_text() == "somebody else's"
    assert (tmp_path / "b.txt.2.part").read_text() == "and this"


def test_a_part_that_is_a_link_to_a_users_file_does_not_reach_it(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    (tmp_path / "a.txt.part").symlink_to("mine.txt")
    write(tmp_path / "a.txt", "new")
    assert (tmp_path / "mine.txt").read_text() == ""
    assert (tmp_path / "a.txt").read_text() == "new"


def test_in_many_turns_at_once_one_writer_wins_and_nothing_is_mixed(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from drive_seg.errors import DriveSegError
from drive_seg.files import write
for turn in range(200):
    try:
        write(Path(sys.argv[1]), sys.argv[2] * 1000, overwrite=True)
    except DriveSegError as error:
        assert "is being written by another run" in str(error), error
"""
    path = tmp_path / "a.txt"
    command = [sys.executable, "-c", code, str(path)]
    both = [subprocess.Popen([*command, letter], cwd=ROOT, stderr=subprocess.PIPE, text=True) for letter in "ab"]
    assert [process.communicate()[1] for process in both] == ["", ""]
    assert names(tmp_path) == ["a.txt"]
    assert path.read_text() in ("a" * 1000, "b" * 1000)


def test_a_leading_tilde_is_the_home_folder_and_nothing_else_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a.mp4") == tmp_path / "a.mp4"
    for name in ("~nosuchuser/a.mp4", " a.mp4", "'a.mp4'", "a~.mp4"):
        assert str(expanded(name)) == name


def refused(*uses: Use) -> str:
    with pytest.raises(UsageError) as caught:
        require_apart(uses)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["in.mp4", "./in.mp4", "sub/../in.mp4", "hard.mp4", "soft.mp4", "linked/in.mp4"])
def test_every_name_of_an_input_is_known_for_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "in.mp4").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "hard.mp4").hardlink_to(tmp_path / "in.mp4")
    (tmp_path / "soft.mp4").symlink_to("in.mp4")
    (tmp_path / "linked").symlink_to(tmp_path)
    path = Path(os.path.join(tmp_path, name))  # noqa: PTH118 (which leaves the dots)
    said = refused(Use("--video", tmp_path / "in.mp4", "read"), Use("--output", path, "write"))
    assert said == f"--output {path}: is what --video reads; give another name"


@pytest.mark.parametrize(
    ("one", "other"), [("o.mp4", "o.mp4"), ("o.mp4", "sub/../o.mp4"), ("o.mp4", "O.MP4"), ("\u00e9.mp4", "e\u0301.mp4"), ("o", "o.part")]
)
def test_two_outputs_are_not_one_file(tmp_path: Path, one: str, other: str) -> None:
    (tmp_path / "sub").mkdir()
    said = refused(Use("--output", tmp_path / one, "write"), Use("--trace", tmp_path / other, "write"))
    assert "is where --output writes" in said
    assert "--trace" in said


def test_a_part_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "o.mp4.part").touch()
    assert "--source" in refused(Use("--source", tmp_path / "o.mp4.part", "read"), Use("--output", tmp_path / "o.mp4", "write"))


def test_masks_do_not_come_among_pictures_nor_another_output_among_masks(tmp_path: Path) -> None:
    masks = Use("--save-masks", tmp_path, "fill")
    assert "choose another folder" in refused(Use("--source", tmp_path, "read"), masks)
    assert "is where --save-masks writes" in refused(masks, Use("--json", tmp_path / "000001.png", "write"))
    require_apart([masks, Use("--output", tmp_path / "out.mp4", "write"), Use("--source", tmp_path / "in.mp4", "read")])


def test_what_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, said in (("no/a", "--json .*a: cannot be written: No such"), ("file/a", "Not a directory"), ("file", "is there already")):
        with pytest.raises(DriveSegError, match=said):
            require_writable([Use("--json", tmp_path / name, "write")], overwrite=False)
    require_writable([Use("--json", tmp_path / "file", "write"), Use("--trace", tmp_path / "new", "write")], overwrite=True)
    for name in ("file", "file/a"):
        with pytest.raises(SinkError, match=r"--save-masks .*file.*: cannot be written: Not a directory"):
            require_writable([Use("--save-masks", tmp_path / name, "fill")], overwrite=True)
    require_writable([Use("--save-masks", tmp_path / "new" / "masks", "fill")], overwrite=False)


def test_a_process_that_ends_at_once_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("before")
    with Beside(tmp_path / "run.json"), Beside(tmp_path / "kept.json", overwrite=True) as kept:
        kept.file.write(b"half")
        drop_begun()
        assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]
    assert (tmp_path / "kept.json").read_text() == "before"
