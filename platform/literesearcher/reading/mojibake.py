"""UTF-8 that somebody read as Latin-1 or Windows-1252: told by its telltale runs, and undone where that is clean.

Refuses to know: where the text came from, what becomes of it.
"""

from __future__ import annotations

import re

_CONTINUATION = "[\u0080-\u00bf" + bytes(range(0x80, 0xA0)).decode("cp1252", "ignore") + "]"
_RUN = re.compile(f"[\u00c2-\u00d1]{_CONTINUATION}|[\u00e0-\u00ef]{_CONTINUATION}{{2}}")
"""A lead byte's letter, then continuation bytes'."""
_TO_BYTES = {
    ord(character): code for code in range(0x80, 0xA0) if (character := bytes([code]).decode("cp1252", "ignore"))
}
"""Windows-1252's own characters to their bytes; every other character of Latin-1 is its own byte."""
_ROUNDS = 2
"""Some pages went through it twice."""


def is_mojibake(text: str) -> bool:
    """Three or more telltale runs in the first 500 characters."""
    return len(_RUN.findall(text[:500])) >= 3


def repaired(text: str) -> str:
    """The text with each line undone that holds a telltale run and is UTF-8 throughout when its bytes are put back."""
    for _ in range(_ROUNDS):
        text = "\n".join(map(_line, text.split("\n")))
        if not is_mojibake(text):
            break
    return text


def _line(line: str) -> str:
    if not _RUN.search(line):
        return line
    try:
        return line.translate(_TO_BYTES).encode("latin-1").decode()
    except UnicodeError:
        return line
