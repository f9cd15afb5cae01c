"""Network addresses as they may be shown and logged."""

import re

_ACCOUNT = re.compile(r"(?<=://)[^/?#]*@")
_SECRET = re.compile(r"(?i)([?&][\w.-]*(?:token|key|pass|pwd|passwd|password|auth|secret|sig|signature|credential)=)[^&#\s]*")


def redacted(text: str) -> str:
    """The address, or any text with addresses in it, without user names, passwords and the secrets of its query."""
    return _SECRET.sub(r"\1…", _ACCOUNT.sub("", text))
