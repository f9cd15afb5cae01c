"""Which files a run reads and writes, and that these are not one and the same."""

from pathlib import Path

from drive_seg.backends import external_files
from drive_seg.errors import DriveSegError
from drive_seg.files import Use, require_apart, require_writable
from drive_seg.network.card import locate
from drive_seg.network.foreign import is_onnx
from drive_seg.settings import Settings
from drive_seg.sinks import bag, recorder
from drive_seg.sinks.formats import FORMATS
from drive_seg.sources import files_of


def reads(settings: Settings) -> list[Use]:
    """Every file that a run reads, with the flag that names it."""
    given = [
        ("--class-names", settings.class_names),
        ("--config", settings.config),
        *(("--replay", one.replay) for one in settings.cameras),
    ]
    named = [*(("--source", files_of(one.source)) for one in settings.cameras), ("--model", _model_files(settings.model))]
    named += [(flag, [path]) for flag, path in given if isinstance(path, Path)]
    return [Use(flag, path, "read") for flag, paths in named for path in paths]


def _model_files(model: str) -> list[Path]:
    if is_onnx(model):
        return [Path(model), *external_files(model)]
    try:
        return list(locate(model).iterdir())
    except (DriveSegError, OSError):  # loading it tells
        return []


def check_apart(settings: Settings, *more: Use) -> list[Use]:
    """What a run writes, `more` beside what its settings say. Raises UsageError where that is what it reads, or two of it are one."""
    given = [(flag, path) for one in settings.cameras for flag, path in one.written.items()] + [("--json", settings.json_file)]
    suffix = FORMATS[settings.save_masks_format].suffix
    writes = [Use(flag, path, "fill" if flag == "--save-masks" and not suffix else "write") for flag, path in given if path]
    writes += more
    if writes:
        require_apart([*reads(settings), *writes])
    return writes


def check_paths(settings: Settings) -> None:
    """All paths of a run, before anything is opened: one is not another, nothing is overwritten unasked, and all can be written as what
    they are to become.

    Raises UsageError, SinkError.
    """
    if settings.output:
        (bag.writer_for if settings.output.suffix.lower() == bag.SUFFIX else recorder.container_of)(settings.output)
    require_writable(check_apart(settings), settings.overwrite)
