"""What must not be told, taken out of every text that leaves the program: errors, consoles, reports, the window."""

import re
import sys
import threading
import traceback

_ACCOUNT = re.compile(
    r"(?:(?<=://)|(?<=\w\w:[/\\])(?![/\\]))"  # the second: an address that was taken for a path, which has no //
    r"(?:(?:(?!: )[^/?#\n])*|[^/?#@:\s]*:(?!\d+[/?#])[^\s@]*)@"  # the second: a password with a / ? or # in it
)
_SECRET = re.compile(
    r"(?i)((?:[?&;#][\w.-]*|[/_])(?:token|key|pass|pas|pwd|passwd|password|auth|secret|sig|signature|credential|credentials|jwt)=)[^&#;\s]*?(?=['\":,)]*(?:[&#;\s]|$))"
)


_hidden: set[str] = set()


def hide(secret: str) -> None:
    """In every text from now on."""
    _hidden.add(secret)


def redacted(text: str) -> str:
    """The address, or any text with addresses in it, without user names, passwords, the secrets of its query, and what is hidden."""
    for secret in _hidden:
        text = text.replace(secret, "…")
    return _SECRET.sub(r"\1…", _ACCOUNT.sub("", text))


def tell_crash(error: BaseException | None) -> None:
    """The traceback of what nobody expected, on stderr: whoever raised it may have put the address into it."""
    said = "".join(traceback.format_exception(error)) + "drive-seg: this should not have happened; please report it with the lines above\n"
    print(redacted(said), end="", file=sys.stderr, flush=True)


def hook_crashes() -> None:
    """What ends the process or a thread is told so, unless somebody else tells it already."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = lambda kind, error, trace: tell_crash(error)
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda crashed: tell_crash(crashed.exc_value)
