"""The command line over the TOML file over the defaults."""

from pathlib import Path

import pytest

from drive_seg.errors import UsageError
from drive_seg.settings import DEFAULT_MODEL, FLAGS, Settings


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    config = tmp_path / "drive.toml"
    config.write_text('schedule = "clockwork:4"\nopacity = 0.3\nmax-frames = 7\njson = "a.json"\n')
    settings = Settings.load(config, {"opacity": 0.8, "model": None})
    assert (settings.schedule, settings.opacity, settings.model, settings.max_frames) == ("clockwork:4", 0.8, DEFAULT_MODEL, 7)
    assert settings.json_file == Path("a.json")


def test_the_default_is_the_demo() -> None:
    assert Settings.load(None, {}).source == "demo:"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("opacty = 1", "opacty: no such key.*opacity"),
        ("opacity = 3", "opacity: .*3"),
        ("opacity =", "not valid TOML"),
        ('mode = "asynchronous"', "sync, async, or async:K"),
        ('mode = "async:0"', "async:K"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "drive.toml"
    config.write_text(text)
    with pytest.raises(UsageError, match=rf"drive\.toml: .*{said}|{said}"):
        Settings.load(config, {})


def refusal(config: Path) -> str | None:
    try:
        Settings.load(config, {})
    except UsageError as error:
        return str(error)
    return None


@pytest.mark.parametrize("key", [*FLAGS, "beside"])
def test_any_kind_of_value_is_taken_or_refused_by_its_key(tmp_path: Path, key: str) -> None:
    config = tmp_path / "drive.toml"
    for value in ("[]", '["abcdefghijklmnopqrst"]', "[[1]]", "{a = 1}", "3", "-1.5", "nan", "true", "1979-05-27", '""', '"a\\u0000b"'):
        config.write_text(f"{key} = {value}\n")
        said = refusal(config)
        assert said is None or key in said, value


def test_a_token_is_one_text(tmp_path: Path) -> None:
    config = tmp_path / "drive.toml"
    config.write_text('token = ["abcdefghijklmnopqrst"]\n')
    with pytest.raises(UsageError, match="token: give at least"):
        Settings.load(config, {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml"):
        Settings.load(tmp_path / "none.toml", {})


@pytest.mark.parametrize(("flag", "value"), [("opacity", 1.5), ("max_frames", 0), ("warmup", -1), ("threads", 0), ("mode", "fast")])
def test_a_wrong_flag_is_named_as_it_is_typed(flag: str, value: object) -> None:
    with pytest.raises(UsageError, match=rf"--{flag.replace('_', '-')}: .*{value}"):
        Settings.load(None, {flag: value})


def test_changes_are_checked_as_they_would_be_read_and_none_is_the_default() -> None:
    given = Settings.checked({"input_size": "640x480", "backend": None, "threads": 2})
    assert given == {"input_size": (640, 480), "backend": None, "threads": 2}
    assert Settings.checked({"input_size": (640, 480)}) == {"input_size": (640, 480)}
    for wrong in ({"threads": 0}, {"bogus": 1}, {"bogus": None}, {"mode": "slow"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            Settings.checked(wrong)


def test_a_tilde_is_expanded_once_and_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / "drive.toml"
    paths = ("output", "save-masks", "trace", "replay", "json", "class-names")
    config.write_text("\n".join(f'{name} = "~/x"' for name in (*paths, "source", "model")))
    settings = Settings.load(Path("~/drive.toml"), {})
    found = (settings.output, settings.save_masks, settings.trace, settings.replay, settings.json_file, settings.class_names)
    assert found == (tmp_path / "x",) * 6
    assert (settings.source, settings.model, settings.config) == (str(tmp_path / "x"), str(tmp_path / "x"), config)
    assert Settings.checked({"source": "~/y"}) == {"source": str(tmp_path / "y")}
    assert Settings.load(None, {"source": " ~/y", "output": "~nosuchuser/z"}).source == " ~/y"


def test_a_path_with_a_nul_is_refused() -> None:
    for name in ("source", "model", "output"):
        with pytest.raises(UsageError, match=f"--{name}: give a path without a NUL byte"):
            Settings.load(None, {name: "a\0b"})
