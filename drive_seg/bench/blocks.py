"""Puts measured tables into documents, between marks that name them."""

import re
from collections.abc import Sequence
from pathlib import Path

from drive_seg.errors import UsageError
from drive_seg.files import write

MARKS = "<!-- bench:{name} -->", "<!-- /bench -->"


def replaced(text: str, name: str, content: str) -> str | None:
    """The text with what is between the marks of this name replaced; None where they are not in it."""
    begin, end = (re.escape(mark.format(name=name)) for mark in MARKS)
    found = re.search(f"({begin}).*?({end})", text, re.DOTALL)
    if not found:
        return None
    return f"{text[: found.end(1)]}\n{content.strip()}\n{text[found.start(2) :]}"


def check_blocks(documents: Sequence[Path], name: str) -> None:
    """Raises UsageError where none of them has the block: found before an hour is spent on measuring."""
    if all(replaced(_read(path), name, "") is None for path in documents):
        marks = " … ".join(mark.format(name=name) for mark in MARKS)
        raise UsageError(f"none of {', '.join(map(str, documents))} has the block {marks}; write it where the table is to be")


def fill_block(documents: Sequence[Path], name: str, content: str) -> list[Path]:
    """Fills the block in every document that has it, and returns those. Raises UsageError, SinkError."""
    written = []
    for path in documents:
        text = replaced(_read(path), name, content)
        if text is None:
            continue
        write(path, text, overwrite=True)
        written.append(path)
    return written


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); give a Markdown file that is there") from error
