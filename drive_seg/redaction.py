"""What must not be told, taken out of every text that leaves the program: errors, consoles, reports, the window."""

import re
import sys
import traceback

_ACCOUNT = re.compile(r"(?<=://)(?:(?:(?!: )[^/?#\n])*|[^/?#@:\s]*:(?!\d+[/?#])[^\s@]*)@")  # the second: a password with a / ? or # in it
_SECRET = re.compile(
    r"(?i)((?:[?&;#][\w.-]*|[/_])(?:token|key|pass|pas|pwd|passwd|password|auth|secret|sig|signature|credential|credentials|jwt)=)[^&#;\s]*"
)


def redacted(text: str) -> str:
    """The address, or any text with addresses in it, without user names, passwords and the secrets of its query."""
    return _SECRET.sub(r"\1…", _ACCOUNT.sub("", text))


def tell_crash(error: BaseException) -> None:
    """The traceback of what nobody expected, on stderr: whoever raised it may have put the address into it."""
    print(redacted("".join(traceback.format_exception(error))), end="", file=sys.stderr, flush=True)
