"""Text let in from outside becomes valid Unicode here: lone surrogates are replaced, so that JSON can carry it.

Refuses to know: where the text came from. Bytes become text in `tools.charset`.
"""

from __future__ import annotations


def valid_unicode(text: str) -> str:
    """The text itself where it is valid; else with U+FFFD for each lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
