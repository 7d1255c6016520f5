"""What a page's markup declares of the page: its language, the day it was published.

Refuses to know: what the text says, policies. A fact is None where the markup is silent or says what is no such fact.
Names are found first and patterns tried around them only: a pattern over a whole page costs more than its conversion.
"""

from __future__ import annotations

import re
from datetime import date

_TAG_CHARACTERS = 20_000
"""The root element is among so many; a declaration that names a language too."""
_SCRIPT_CHARACTERS = 300_000
"""Structured data may stand further down."""
_WINDOW = 300
_ROOT = re.compile(r"<(?:html|feed|rss|rdf:RDF)\b[^<>]{0,2000}", re.IGNORECASE)
_LANG = re.compile(r"""\b(?:xml:)?lang\s*=\s*["']?\s*([a-z]{2,3})(?![a-z])""", re.IGNORECASE)
_LANGUAGE = {
    name: re.compile(rf"""{re.escape(name)}["']?\s+content\s*=\s*["']?\s*([a-z]{{2,3}})(?![a-z])""", re.IGNORECASE)
    for name in ("content-language", "Content-Language", "og:locale")
} | {"language>": re.compile(r"language>\s*([a-z]{2,3})(?![a-z])", re.IGNORECASE)}
_DAY = r"(\d{4}-\d{2}-\d{2})"
_PUBLISHED = {
    name: re.compile(rf"""{re.escape(name)}["']\s*(?::|content\s*=|datetime\s*=)\s*["']?\s*{_DAY}""")
    for name in ("article:published_time", "datePublished", "dc.date", "DC.date", "dc.date.issued", "DC.date.issued",
                 "pubdate", "publishdate")
}  # fmt: skip


def language_of(source: str) -> str | None:
    """ISO 639-1, such as `en`."""
    head = source[:_TAG_CHARACTERS]
    root = _ROOT.search(head)
    found = _LANG.search(root[0]) if root else None
    code = found[1] if found else _named(_LANGUAGE, head)
    return code.lower() if code and len(code) == 2 else None


def published_of(source: str) -> str | None:
    """YYYY-MM-DD."""
    found = _named(_PUBLISHED, source[:_SCRIPT_CHARACTERS])
    try:
        return date.fromisoformat(found).isoformat() if found else None
    except ValueError:
        return None


def _named(signs: dict[str, re.Pattern[str]], text: str) -> str | None:
    for name, sign in signs.items():
        at = text.find(name)
        if at >= 0 and (found := sign.match(text[at : at + _WINDOW])):
            return found[1]
    return None
