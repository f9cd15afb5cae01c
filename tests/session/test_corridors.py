"""The corridor of a camera, kept for its user alone, from run to run."""

import stat
from pathlib import Path

import pytest

from drive_seg.errors import SinkError, UsageError
from drive_seg.network.ahead import USUAL
from drive_seg.session import corridors
from drive_seg.session.corridors import MOST, corridor_of, identity, keep, kept_in
from drive_seg.settings import Settings

SET = ((0.25, 0.9), (0.75, 0.95), (0.52, 0.45))


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_each_source_has_its_own_and_another_the_usual_one() -> None:
    assert corridor_of("0") == USUAL
    keep("0", SET)
    assert (corridor_of("0"), corridor_of("1")) == (SET, USUAL)
    keep("0", USUAL)
    assert corridor_of("0") == USUAL


def test_it_is_its_users_alone_and_tells_no_password() -> None:
    keep("rtsp://me:hunter2@cam/x?token=abc", SET)
    assert corridor_of("rtsp://you:other@cam/x?token=def") == SET
    assert stat.S_IMODE(kept_in().stat().st_mode) == 0o600
    assert not {"hunter2", "abc"} & set(kept_in().read_text().replace("?", " ").replace(":", " ").split())
    kept_in().chmod(0o644)
    keep("1", SET)
    assert stat.S_IMODE(kept_in().stat().st_mode) == 0o600
    assert "hunter2" not in kept_in().read_text()


def test_a_file_is_known_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drive.mp4").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    keep("drive.mp4", SET)
    assert corridor_of(str(tmp_path / "drive.mp4")) == SET
    assert identity("demo:?seed=7") == "demo:?seed=7"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"0": 1}', '{"0": [[0, 1], [1, 1]]}', '{"0": [[1,1],[0,1],[0,0]]}', '{"0": "abc"}', "[" * 9999]
)
def test_what_is_damaged_is_gone_over_and_replaced(text: str) -> None:
    kept_in().parent.mkdir(parents=True)
    kept_in().write_text(text)
    assert corridor_of("0") == USUAL
    keep("0", SET)
    assert corridor_of("0") == SET


def test_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corridors, "MOST", 2)
    for name in ("0", "1", "2"):
        keep(name, SET)
    assert [corridor_of(name) for name in ("0", "1", "2")] == [USUAL, SET, SET]
    assert MOST > 2


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file")
    with pytest.raises(SinkError, match="config"):
        keep("0", SET)


def test_the_flag_and_toml_say_the_same_and_what_is_none_is_refused(tmp_path: Path) -> None:
    toml = tmp_path / "run.toml"
    for text in ("[0.25, 0.9, 0.75, 0.95, 0.52, 0.45]", "[[0.25, 0.9], [0.75, 0.95], [0.52, 0.45]]", '"0.25,0.9,0.75,0.95,0.52,0.45"'):
        toml.write_text(f"corridor = {text}\n")
        assert Settings.load(toml, {}).corridor == SET
    given = Settings.load(None, {"corridor": "0.25,0.9,0.75,0.95,0.52,0.45"})
    assert given.corridor == SET
    assert given.arguments()[-2:] == ["--corridor", "0.25,0.9,0.75,0.95,0.52,0.45"]
    assert Settings.load(None, {"corridor": "saved"}).arguments()[-2:] == ["--corridor", "saved"]
    for wrong in ("somewhere", "0.2,1", "0.8,1,0.2,1,0.5,0.5", [1], 3, [[0, 1], [1, "x"]]):
        with pytest.raises(UsageError, match=r"^--corridor: give .*, such as 0.2,1,0.8,1,0.5,0.5, not "):
            Settings.load(None, {"corridor": wrong})
