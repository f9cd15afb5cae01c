"""Flags made of Settings: each stands there once, and the command line and TOML take the same ones."""

import ast
import re
from pathlib import Path
from typing import Annotated

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from drive_seg.cli import app
from drive_seg.cli.options import Command, Flags, takes
from drive_seg.errors import UsageError
from drive_seg.settings import FLAGS, Settings

SAMPLES = {  # what is neither a text nor on or off
    "class_names": "names.txt", "mean": "1,2,3", "std": "1,2,3", "channels": "bgr", "input_size": "640x480", "deadline": "30fps",
    "give_up": "30s", "mode": "async", "refine": "smooth", "corridor": "0.2,1,0.8,1,0.5,0.5",
    "save_masks_format": "coco", "token": "none-that-opens-anything",
}  # fmt: skip
CLI = Path(app.__file__).parent


def asked(*words: str, repeated: tuple[str, ...] = (), files: bool = False) -> Flags:
    """What a command that takes everything gets, or one that takes `files` too."""
    got: list[Flags] = []

    @takes(*FLAGS, repeated=repeated)
    def command(flags: Flags) -> None:
        got.append(flags)

    @takes(*FLAGS)
    def with_files(given: Annotated[list[str], typer.Argument()], flags: Flags) -> None:
        got.append(flags)

    program = typer.Typer(add_completion=False, rich_markup_mode=None)
    program.command(cls=Command)(with_files if files else command)
    ran = CliRunner().invoke(program, words)
    assert ran.exit_code == 0, ran.output
    return got[0]


def test_nothing_is_given_that_was_not_typed() -> None:
    assert asked() == {}
    assert asked(repeated=("model",)) == {}


@pytest.mark.parametrize("name", FLAGS)
def test_the_command_line_and_toml_say_the_same(name: str, tmp_path: Path) -> None:
    value = SAMPLES.get(name, "1")
    flag = f"--{name.replace('_', '-')}"
    typed = asked(flag, value) if FLAGS[name].metavar else asked(flag)
    if name == "config":  # which no file can name
        assert typed == {"config": value}
        return
    config = tmp_path / "drive.toml"
    config.write_text(f"{name.replace('_', '-')} = {f'{value!r}' if FLAGS[name].metavar else 'true'}\n")
    assert Settings.load(None, typed) == Settings.load(config, {}).model_copy(update={"config": None})
    assert Settings.load(None, typed) != Settings.load(None, {})


@pytest.mark.parametrize("name", [name for name in FLAGS if name not in ("config", "token")])
def test_settings_are_written_as_the_command_line_that_gives_them(name: str) -> None:
    settings = Settings.load(None, {name: SAMPLES.get(name, "1") if FLAGS[name].metavar else True})
    assert Settings.load(None, asked(*settings.arguments())) == settings


def test_what_no_flag_can_say_is_refused() -> None:
    with pytest.raises(UsageError, match="write them into a file"):
        Settings.load(None, {"class_names": ["road", "car"]}).arguments()


def test_a_flag_that_may_stand_alone_means_its_first_choice_then() -> None:
    for words in (["--refine"], ["--refine", "--loop"], ["--refine", "edges"], ["--refine=edges"]):
        assert asked(*words)["refine"] == "edges"
    assert asked("--refine", "smooth", "--loop") == {"refine": "smooth", "loop": True}
    assert [Settings.load(None, {"refine": value}).refine for value in (True, False, "none")] == ["edges", None, None]
    with pytest.raises(UsageError, match="--refine: give edges, smooth or none, not 'nosuch'"):
        Settings.load(None, asked("--refine", "nosuch"))
    assert asked("--refine", "a.mp4", files=True) == {"refine": "edges"}
    assert asked("--refine", "smooth", "a.mp4", files=True) == {"refine": "smooth"}


def test_other_names_and_several_values() -> None:
    assert asked("-y", "-o", "x.mp4", "--labels", "names.txt") == {"overwrite": True, "output": "x.mp4", "class_names": "names.txt"}
    assert asked("--model", "a", "--model", "b", repeated=("model",)) == {"model": ["a", "b"]}


@pytest.mark.parametrize("command", sorted(typer.main.get_command(app.app).commands))  # type: ignore[attr-defined]
def test_help_fits_80_columns(command: str) -> None:
    said = CliRunner().invoke(app.app, [command, "--help"]).output
    assert max(map(len, said.splitlines())) <= 80


def test_help_tells_every_choice_below_its_option() -> None:
    said = CliRunner().invoke(app.app, ["run", "--help"]).output
    for name, flag in FLAGS.items():
        below = said.partition(f"--{name.replace('_', '-')} {flag.metavar}")[2]
        for form, help in flag.choices:
            assert re.search(rf"^    {re.escape(form)} +{re.escape(help[:20])}", below, re.MULTILINE), form


def test_no_command_is_longer_than_60_lines() -> None:
    """What is in a body beside its docstring."""
    for file in CLI.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.end_lineno:
                assert node.end_lineno - node.body[0].lineno < 60, f"{file.name}: {node.name}"
