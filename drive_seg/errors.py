"""Every error that this program raises on purpose: one line that names the thing and the remedy, and the exit code it ends with.

DriveSegError                 1
├── UsageError                2   a flag, key, name or value that cannot be meant
├── SourceError               1   a camera, file, folder or stream that cannot be opened or read on
│   └── Absent                1   a stream whose server is not there, or not there yet
├── BundleError               1   a model bundle that is incomplete, altered or not for this program
├── BackendError              1   a backend whose package or device is absent, or that failed
├── SinkError                 1   a recording, folder or report that cannot be written
├── DisplayError              1   no window can be opened here
├── DataError                 1   a training or evaluation pair that cannot be used
└── Stopped                 130   a training that was told to end, and is saved
"""

from drive_seg.redaction import redacted


class DriveSegError(Exception):
    """Base of all: `str(error)` is the one line that a person reads, without passwords."""

    exit_code = 1

    def __init__(self, line: str) -> None:
        super().__init__(redacted("".join(one if one.isprintable() else repr(one)[1:-1] for one in line)))  # names may hold anything


class UsageError(DriveSegError):
    exit_code = 2


class SourceError(DriveSegError):
    pass


class Absent(SourceError):
    pass


class BundleError(DriveSegError):
    pass


class BackendError(DriveSegError):
    pass


class SinkError(DriveSegError):
    pass


class DisplayError(DriveSegError):
    pass


class DataError(DriveSegError):
    pass


class Stopped(DriveSegError):
    exit_code = 130
