"""All commands in one program, and the one place where an error becomes a line and an exit code."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import typer

from drive_seg import watchdog
from drive_seg.cli.batch import batch
from drive_seg.cli.bench import bench
from drive_seg.cli.build import build
from drive_seg.cli.doctor import doctor
from drive_seg.cli.engines import engines
from drive_seg.cli.evaluate import evaluate
from drive_seg.cli.export import export
from drive_seg.cli.flags import err
from drive_seg.cli.gpu_check import gpu_check
from drive_seg.cli.headless import abandon, salvage
from drive_seg.cli.models import models
from drive_seg.cli.options import Command
from drive_seg.cli.quantize import quantize
from drive_seg.cli.run import run
from drive_seg.cli.sweep import sweep
from drive_seg.cli.train import train
from drive_seg.cli.train_temporal import train_temporal
from drive_seg.cli.zoo import zoo
from drive_seg.errors import DriveSegError
from drive_seg.workers import ended_by_signals, interrupt

CommandLineError: Any = typer.BadParameter.__mro__[2]  # click's base of them all, which typer keeps under a private name
COMMANDS = (  # in --help's order
    bench, run, batch, models, doctor, train, train_temporal, zoo, export, quantize, build, gpu_check, evaluate, sweep,
)  # fmt: skip
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
for command in COMMANDS:
    app.command(cls=Command)(command)
app.add_typer(engines, name="engines")


@app.callback()
def everything() -> None:
    """Real-time semantic segmentation of driving video."""
    from drive_seg.redaction import hook_crashes

    hook_crashes()


def main(arguments: Sequence[str] | None = None, command: Callable[..., Any] | None = None) -> None:
    """Runs a command and ends the process: 0, 1 for a failure, 2 for wrong use, 128 and its number for a signal; an error is one line
    unless --debug."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug, told = "--debug" in arguments, list[int]()

    def interrupted(number: int) -> None:
        told.append(number)
        interrupt(number)

    watchdog.last_resort = abandon
    try:
        with ended_by_signals(interrupted, salvage):
            code = (command or typer.main.get_command(app))(arguments, prog_name="drive-seg", standalone_mode=False, obj=arguments)
        _exit(code if isinstance(code, int) else 0)
    except BaseException as error:
        if told and not isinstance(error, SystemExit):  # whatever became of it in the library that it came up in
            _end("interrupted", 128 + told[0])
        if isinstance(error, CommandLineError):
            line = error.format_message().splitlines()[0]
            _end("a command is missing; see --help" if line.startswith("Usage:") else f"{line}; see --help", 2)
        if isinstance(error, DriveSegError):
            if debug:  # with what vendors said, where the address may stand as it was given
                err.print(traceback.format_exc(), soft_wrap=True, markup=False, end="")
            _end(str(error), error.exit_code)
        raise
    finally:
        watchdog.last_resort = None


def _end(line: str, code: int) -> None:
    err.print(f"drive-seg: {line}", soft_wrap=True, markup=False)
    _exit(code)


def _exit(code: int) -> None:
    if watchdog.hanging():  # a thread that is left alone in a library would have that library's own end wait for it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
