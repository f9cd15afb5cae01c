"""Tables and figures as text: Markdown's tables, a dash for what is not known, an HTML page from a template."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---:") -> str:
    """Lines without one at the end. `align` is Markdown's for all columns but the first."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---", *[align] * (len(head) - 1)], *rows))


def figure(value: float | None, form: str = ".4f") -> str:
    return "–" if value is None else format(value, form)


def html_page(template: Path, **values: Any) -> str:
    """The Jinja template with the values in it, escaped; `{{ value | score }}` has four digits.."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["score"] = figure
    return environment.from_string(template.read_text(encoding="utf-8")).render(values)
