"""Options made of Settings, where each is written once; a command says which of them it takes."""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any

import typer
import typer.core

from drive_seg.settings import FLAGS, NETWORK

Flags = dict[str, Any]  # what was given of Settings' fields
OF_NETWORK = tuple(name for name, flag in FLAGS.items() if flag.group == NETWORK)
OF_TIME = ("schedule", "mode", "propagation")


def takes(
    *fields: str, repeated: Collection[str] = (), instead: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """For a command with a parameter `flags`: it becomes an option for each of these fields of Settings, and gets what was given of them.

    `repeated`: fields whose option can be, and gives a list. `instead`: other words for --help.
    """

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command).parameters
        options = [_option(name, name in repeated, (instead or {}).get(name), own) for name in fields]
        parameters = list[inspect.Parameter]()
        for name, parameter in own.items():
            parameters += options if name == "flags" else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]

        def called(**given: Any) -> None:
            asked = {name: given.pop(name) for name in fields}
            command(**given, flags={name: value for name, value in asked.items() if value not in (None, False, [])})

        called.__name__, called.__doc__ = command.__name__, command.__doc__
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return with_options


def _option(name: str, repeated: bool, instead: str | None, own: Collection[str]) -> inspect.Parameter:
    """What is typed goes to Settings as it is, which reads TOML alike. `own`: the command's other parameters, whose names are theirs."""
    flag = FLAGS[name]
    said = instead or flag.help + "; can be repeated" * repeated + (f"  [{flag.default}]" if flag.default else "")
    names = [f"--{name.replace('_', '-')}", *(also for also in flag.names if also.lstrip("-") not in own)]
    kind: Any = (list[str] if repeated else str) | None if flag.metavar else bool
    option = typer.Option(*names, metavar=flag.metavar or None, help=said, rich_help_panel=flag.group or None)
    default = None if flag.metavar else False
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _filled(args: list[str], has_arguments: bool) -> Iterator[str]:
    """With the value that a flag means where it stands alone. What follows it is its value, but for flags, and for what is none of its
    choices where a command has arguments that it can be."""
    for given, after in pairwise((*args, "-")):
        flag = FLAGS.get(given.removeprefix("--").replace("-", "_")) if given.startswith("--") else None
        alone = flag and flag.alone and (after.startswith("-") or (has_arguments and after not in dict(flag.choices)))
        yield f"{given}={flag.alone}" if flag and alone else given


class Command(typer.core.TyperCommand):
    """Its --help is told by groups, and below an option what can be chosen."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        has_arguments = any(param.param_type_name == "argument" for param in self.get_params(ctx))
        return super().parse_args(ctx, list(_filled(args, has_arguments)))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                kind = "Arguments" if param.param_type_name == "argument" else getattr(param, "rich_help_panel", None) or "Options"
                flag = FLAGS.get(str(param.name))
                choices = flag.choices if flag and record[1].startswith(flag.help) else ()  # in other words it may mean fewer
                groups.setdefault(kind, []).extend([record, *((f"  {form}", said) for form, said in choices)])
        for kind, rows in ((kind, rows) for kind, rows in groups.items() if rows):
            with formatter.section(kind):
                formatter.write_dl(rows)
