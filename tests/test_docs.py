"""What README and docs show is so: commands are parsed by the command line itself, and nothing of them runs; links lead somewhere; what can
be chosen is told as --help tells it."""

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from drive_seg.backends import BACKENDS, PRECISIONS
from drive_seg.cli.app import CommandLineError, app
from drive_seg.errors import UsageError
from drive_seg.network import propagate, schedule
from drive_seg.session.auto import period_ms
from drive_seg.settings import FLAGS, Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
PROGRAMS = {("drive-seg",): (), ("python", "launch.py"): ("run",), ("python", "-m", "drive_seg"): ()}  # and the words before its own
PLACEHOLDERS = {  # what stands for something else, and what can be parsed in its place
    "…/": "",
    "[BUNDLE …]": "camvid",
    "[--clip DIR]": "--clip DIR",
    "[--mean … --std …": "--mean 0,0,0 --std 1,1,1",
    "--scale …": "--scale 255",
    "1024x512]": "1024x512",
    "fp16|int8|fp8|fp32 [--input-size WxH] [--frame-size WxH]": "fp16 --input-size 640x480 --frame-size 1280x720",
    "--precision …": "--precision fp16",
    " …": "",
}
COMMAND = typer.main.get_command(app)
GONE = ("drive-seg rivals", "drive-seg build --calibrate")  # told of where it says why
KNOWN = {"backend": BACKENDS, "precision": PRECISIONS, "propagation": propagate.KINDS}


def blocks(text: str) -> tuple[str, str]:
    """What stands in fences, and the page without that."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join(fenced), re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[tuple[str, bool]]:
    """What a reader would type, and whether it is whole: lines in fences and indented ones; what stands between backticks may be half."""
    fenced, rest = blocks(text)
    whole = [*fenced.replace("\\\n", " ").splitlines(), *re.findall(r"^ {4}(.*)$", rest, re.MULTILINE)]
    for line in (*whole, *re.findall(r"`([^`\n]+)`", rest)):
        if line.startswith(tuple(" ".join(program) + " " for program in PROGRAMS)) and line not in GONE:
            yield line, line in whole


def wrong(line: str, whole: bool = True) -> str:
    """Why a command cannot be meant; empty for one that can."""
    try:
        parse(line)
    except CommandLineError as error:
        return "" if type(error).__name__ == "MissingParameter" and not whole else str(error.format_message())
    except (UsageError, ValueError) as error:
        return str(error)
    return ""


def parse(line: str) -> None:
    """Raises UsageError, or what the parser raises."""
    for placeholder, meant in PLACEHOLDERS.items():
        line = line.replace(placeholder, meant)
    words = [word for word in shlex.split(line, comments=True) if word != "--help"]  # which would print it
    program = next(program for program in PROGRAMS if tuple(words[: len(program)]) == program)
    command: Any = COMMAND
    context, rest = None, [*PROGRAMS[program], *words[len(program) :]]
    while True:
        context = command.make_context(command.name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            break
        _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    check_values(context.params)


def check_values(given: dict[str, Any]) -> None:
    told = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in given.items() if name in FLAGS and value}
    for name, values in told.items():
        for value in values:
            Settings.load(None, {name: value})
            if name == "schedule" and not value.startswith("async:") and period_ms(value) is None:  # `sweep` takes a mode there
                schedule.parse_schedule(value)
            if name in KNOWN and value not in KNOWN[name]:
                raise UsageError(f"--{name} {value}: no such; there are {', '.join(KNOWN[name])}")


def anchors(text: str) -> set[str]:
    """The headings' names, as GitHub makes them."""
    titles = [re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in re.findall(r"^#+ (.*)$", blocks(text)[1], re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path, text: str) -> Iterator[str]:
    """The links that lead nowhere within the repository."""
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", blocks(text)[1])):
        place, _, anchor = link.partition("#")
        if re.match(r"https?:|mailto:", link):
            continue
        target = page.parent / place if place else page
        if (place and not target.exists()) or (anchor and anchor not in anchors(target.read_text() if place else text)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_that_is_shown_can_be_typed(page: Path) -> None:
    found = {line: why for line, whole in commands(page.read_text()) if (why := wrong(line, whole))}
    assert not found


def test_there_are_commands_on_the_pages() -> None:
    shown = [line for page in PAGES for line, _ in commands(page.read_text())]
    words = {shlex.split(line.replace("'", ""), comments=True)[1] for line in shown if line.startswith("drive-seg ")}
    assert {"bench", "evaluate", "train", "train-temporal", "export", "quantize", "sweep", "doctor", "build", "zoo"} <= words
    assert any(line.startswith("python launch.py ") for line in shown)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not list(broken(page, page.read_text()))


@pytest.mark.parametrize(
    "line",
    [
        "drive-seg rnu",
        "drive-seg bench --model",
        "drive-seg bench --modle camvid",
        "drive-seg train",
        "drive-seg engines lsit",
        "python launch.py --threads many",
        "python launch.py --mode slow",
        "python launch.py --schedule sometimes",
        "drive-seg bench --propagation hold --propagation drift",
        "drive-seg bench --backend abacus",
        "python launch.py --camera front",
        "drive-seg evaluate drive.mp4",
    ],
)
def test_a_command_that_cannot_be_typed_is_noticed(line: str) -> None:
    assert wrong(line)
    assert list(commands(f"```\n{line}\n```\n")) == [(line, True)]
    assert list(commands(f"as `{line}`\n")) == [(line, False)]


def test_half_a_command_may_be_told_of_but_not_shown() -> None:
    assert wrong("drive-seg train")
    assert not wrong("drive-seg train", whole=False)


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A *title*, of `code`\n\n```\n# none\n```\n")
    text = "# One\n[a](other.md) [b](none.md) [c](other.md#a-title-of-code) [d](other.md#none) [e](#one) [f](#two) `[g](no.md)` [h](https://x)\n"
    assert list(broken(tmp_path / "page.md", text)) == ["none.md", "other.md#none", "#two"]


def rows(page: Path, flag: str) -> list[tuple[str, str]]:
    """The first two cells of the table whose first title is this flag."""
    table = page.read_text().partition(f"| `--{flag}` |")[2].partition("\n\n")[0].splitlines()[2:]
    return [(cells[1].strip(" `"), cells[2].strip()) for cells in (line.split("|") for line in table)]


@pytest.mark.parametrize(
    ("flag", "kinds"),
    [
        ("schedule", [(kind.form, kind.help) for kind in schedule.KINDS.values()]),
        ("propagation", [(name, kind.help) for name, kind in propagate.KINDS.items()]),
    ],
)
def test_the_guide_says_of_each_choice_what_help_says(flag: str, kinds: Iterable[tuple[str, str]]) -> None:
    assert rows(ROOT / "docs" / "temporal.md", flag) == list(kinds)
