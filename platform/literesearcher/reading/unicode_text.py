"""Text let in from outside becomes valid Unicode here: lone surrogates are replaced, so that JSON can carry it.

Refuses to know: where the text came from. Neighbour: bytes become text in `reading.charset`.
"""

from __future__ import annotations


def valid_unicode(text: str) -> str:
    """The text itself where it is valid; else pairs that came as two halves are joined, and U+FFFD stands for each
    surrogate that is still alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
