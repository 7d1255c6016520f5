"""Text of models and pages made safe for a terminal: no control or escape sequence of theirs reaches it.

Owns: what is stripped and how text is shortened. Refuses to know: colours, layout. A page must not move the cursor,
set a title, write to the clipboard, or turn the direction of what follows.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    # OSC, DCS, SOS, PM, APC strings with their terminator, CSI sequences, other two-byte escapes.
    r"(?:\x1b\]|\x9d|\x1b[P^_X]|[\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SPACE = re.compile(r"\s+")


def printable(text: str) -> str:
    """The text without escape sequences, controls (line feed and tab stay) and direction marks."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def one_line(text: str, width: int | None = None) -> str:
    """Printable and on one line, cut to `width` characters with an ellipsis."""
    line = _SPACE.sub(" ", printable(text)).strip()
    if width is not None and len(line) > width:
        return line[: max(1, width - 1)].rstrip() + "…"
    return line
